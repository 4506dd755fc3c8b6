//! Integer convolutions: windows, panels, products and the epilogue of the sums.

use serde::{Deserialize, Serialize};

/// Function applied to a real value x at the end of a convolution, matrix product or element-wise step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Activation {
    /// y = x.
    Linear,
    /// y = max(x, 0); for u8 outputs the lower clamp becomes the output's zero point.
    Relu,
    /// y = x * Phi(x), |error| < 9e-5 for |x| < 1000.
    Gelu,
    /// y = x * clamp(x / 6 + 0.5, 0, 1).
    HardSwish,
    /// y = x / (1 + e^-x).
    Silu,
    /// y = 1 / (1 + e^-x).
    Sigmoid,
    /// y = clamp(alpha x + beta, 0, 1).
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
}

/// Fills a panel: for each output pixel, its kh*kw*ic inputs in one row of the ISA's panel format.
#[derive(Clone, Copy, Debug)]
pub struct PanelArgs {
    /// Channel 0 of input pixel (0, 0).
    pub src: *const u8,
    /// Bytes between input pixels.
    pub stride: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Input channels.
    pub c: usize,
    /// Window.
    pub window: Window,
    /// Output width.
    pub ow: usize,
    /// First output pixel, counted row by row.
    pub first: usize,
    /// Output pixels.
    pub count: usize,
    /// Value outside the image.
    pub zero: u8,
    /// Panel.
    pub dst: *mut u8,
    /// Bytes between panel rows.
    pub dst_stride: usize,
}

/// Kernel size, strides and leading pads of a sliding window. Trailing pads follow from the output's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Kernel height.
    pub kh: usize,
    /// Kernel width.
    pub kw: usize,
    /// Vertical stride.
    pub sh: usize,
    /// Horizontal stride.
    pub sw: usize,
    /// Rows above the image.
    pub pad_top: usize,
    /// Columns left of the image.
    pub pad_left: usize,
}

/// Most segments of a panel row.
pub const MAX_SEGMENTS: usize = 16;

/// Multiplies panel rows with a block (or two) of 16 output channels. A panel row is one segment of all K (im2col) or
/// one segment for each kernel row, each in its own buffer.
#[derive(Clone, Copy, Debug)]
pub struct GemmArgs {
    /// Start of each segment of the first panel row.
    pub segments: [*const u8; MAX_SEGMENTS],
    /// Segments used.
    pub count: usize,
    /// Bytes from a panel row to the next, in every segment.
    pub stride: usize,
    /// Panel rows.
    pub pixels: usize,
    /// Steps of four k in a segment.
    pub k4: usize,
    /// Blocks: 1, or up to `Kernels::blocks`.
    pub blocks: usize,
    /// `[blocks][count * k4][16 oc][4 k]`.
    pub weights: *const i8,
    /// Groups of four output channels that matter in the last block (1..=4); lanes of the others are left undefined.
    pub quads: usize,
    /// `[blocks][pixels][16]`, written.
    pub acc: *mut i32,
    /// `count * k4 * 128` bytes, for kernels that widen the weights first.
    pub wide: *mut u8,
}

impl GemmArgs {
    /// Segments of a panel whose rows are whole.
    pub(crate) fn one(panel: *const u8) -> [*const u8; MAX_SEGMENTS] {
        let mut s = [core::ptr::null(); MAX_SEGMENTS];
        s[0] = panel;
        s
    }
}

/// Where the epilogue writes.
#[derive(Clone, Copy, Debug)]
pub enum EpilogueOut {
    /// Quantised.
    U8 {
        /// First channel of the block at the first pixel.
        ptr: *mut u8,
        /// Zero point.
        zero: u8,
        /// Lower clamp.
        lo: u8,
    },
    /// Real values.
    F32 {
        /// First channel of the block at the first pixel.
        ptr: *mut f32,
    },
}

/// Turns accumulators of one block of 16 channels into outputs.
#[derive(Clone, Copy, Debug)]
pub struct EpilogueArgs {
    /// `[pixels][16]`.
    pub acc: *const i32,
    /// Pixels.
    pub pixels: usize,
    /// 16 biases.
    pub bias: *const i32,
    /// 16 multipliers.
    pub mul: *const f32,
    /// Activation.
    pub act: Activation,
    /// Factor after the activation (not for Linear and Relu).
    pub post: f32,
    /// Residual tensor at the block's first channel and pixel, or null.
    pub res: *const u8,
    /// Bytes between residual pixels.
    pub res_stride: usize,
    /// Zero point of the residual.
    pub res_zero: u8,
    /// Its scale over the output's.
    pub res_mul: f32,
    /// Output.
    pub out: EpilogueOut,
    /// Elements between output pixels.
    pub out_stride: usize,
    /// Channels to write (1..=16).
    pub cols: usize,
}

impl EpilogueArgs {
    /// Moves the pointers from channel 0 of pixel 0 to channel `c` of pixel `first`.
    ///
    /// # Safety
    /// The tensors and parameters must hold that pixel and channel.
    #[inline(always)]
    pub(crate) unsafe fn advance(&mut self, first: usize, c: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            self.bias = self.bias.add(c);
            self.mul = self.mul.add(c);
            if !self.res.is_null() {
                self.res = self.res.add(first * self.res_stride + c);
            }
            match &mut self.out {
                EpilogueOut::U8 { ptr, .. } => *ptr = ptr.add(first * self.out_stride + c),
                EpilogueOut::F32 { ptr } => *ptr = ptr.add(first * self.out_stride + c),
            }
        }
    }
}

/// Depthwise convolution of a row range.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseArgs {
    /// Channel 0 of input pixel (0, 0).
    pub src: *const u8,
    /// Bytes between input pixels.
    pub stride: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// Window.
    pub window: Window,
    /// Output width.
    pub ow: usize,
    /// First output row.
    pub y0: usize,
    /// Past the last output row.
    pub y1: usize,
    /// Value outside the image.
    pub zero: u8,
    /// `[c/16][tap][16]`.
    pub weights: *const i8,
    /// Template: `bias`, `mul`, `res`, `out` point to channel 0 (of pixel (0, 0)); `acc`, `pixels`, `cols` are set by
    /// the kernel.
    pub epilogue: EpilogueArgs,
    /// At least `Kernels::depthwise_scratch` bytes, 64-byte aligned.
    pub scratch: *mut u8,
}
