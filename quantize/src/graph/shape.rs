//! Heights and widths for a given input size.

use super::{ConvKind, Graph, Node, Op, Pad};

/// Height, width, channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Shape {
    pub h: usize,
    pub w: usize,
    pub c: usize,
}

impl Shape {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.h * self.w * self.c
    }

    /// Nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.h * self.w
    }
}

/// An input size that the network cannot take.
#[derive(thiserror::Error, Debug, Clone, PartialEq, Eq)]
#[error("an input of {h}x{w} pixels does not fit the network: at node {node} {reason}; take another size")]
pub struct ShapeError {
    /// Height that was asked for.
    pub h: usize,
    /// Width that was asked for.
    pub w: usize,
    /// Where it does not fit.
    pub node: String,
    /// Why.
    pub reason: String,
}

/// No image or feature map is larger than this on a side.
const MAX_SIDE: usize = 1 << 16;

/// No feature map is larger than this.
const MAX_ELEMENTS: usize = 1 << 30;

impl Graph {
    /// The shape of every tensor for an image of `h` × `w`. Tensors that no node writes have no pixels.
    pub fn shapes(&self, h: usize, w: usize) -> Result<Vec<Shape>, ShapeError> {
        let mut shapes: Vec<Shape> =
            self.tensors.iter().map(|t| Shape { h: 0, w: 0, c: t.channels as usize }).collect();
        let wrong = |node: &str, reason: String| ShapeError { h, w, node: node.to_string(), reason };
        if h == 0 || w == 0 || h > MAX_SIDE || w > MAX_SIDE {
            return Err(wrong("input", format!("sides must be 1 to {MAX_SIDE}")));
        }
        let input = &mut shapes[self.input.index()];
        (input.h, input.w) = (h, w);
        for node in &self.nodes {
            let inputs: Vec<Shape> = node.inputs.iter().filter_map(|id| shapes.get(id.index()).copied()).collect();
            let [oh, ow] = output_size(node, &inputs).map_err(|reason| wrong(&node.name, reason))?;
            if oh == 0 || ow == 0 || oh > MAX_SIDE || ow > MAX_SIDE {
                return Err(wrong(&node.name, format!("a map would have {oh}x{ow} pixels")));
            }
            let out = &mut shapes[node.output.index()];
            if oh.checked_mul(ow).and_then(|p| p.checked_mul(out.c)).is_none_or(|n| n > MAX_ELEMENTS) {
                return Err(wrong(&node.name, format!("a map would have {oh}x{ow}x{} elements", out.c)));
            }
            (out.h, out.w) = (oh, ow);
        }
        Ok(shapes)
    }
}

fn window(side: usize, before: u32, after: u32, kernel: u32, stride: u32) -> usize {
    let padded = side + before as usize + after as usize;
    if padded < kernel as usize { 0 } else { (padded - kernel as usize) / stride.max(1) as usize + 1 }
}

fn windows(x: Shape, kernel: [u32; 2], stride: [u32; 2], pad: Pad) -> [usize; 2] {
    [window(x.h, pad.top, pad.bottom, kernel[0], stride[0]), window(x.w, pad.left, pad.right, kernel[1], stride[1])]
}

/// Height and width of a node's output for the shapes of its inputs.
pub fn output_size(node: &Node, inputs: &[Shape]) -> Result<[usize; 2], String> {
    let input = |i: usize| inputs.get(i).copied();
    let x = input(0).ok_or("it has no input")?;
    let out = match &node.op {
        Op::Conv(conv) => {
            let out = match conv.kind {
                ConvKind::Transposed => [x.h * 2, x.w * 2],
                _ => windows(x, conv.kernel, conv.stride, conv.pad),
            };
            if let Some(r) = input(1)
                && [r.h, r.w] != out
            {
                return Err(format!("the residual has {}x{} pixels, the sum {}x{}", r.h, r.w, out[0], out[1]));
            }
            out
        }
        Op::Pool(pool) => windows(x, pool.kernel, pool.stride, pool.pad),
        Op::GlobalMean => [1, 1],
        Op::Add { up } => {
            let b = input(1).ok_or("it has one input, not two")?;
            let up = *up as usize;
            if [b.h * up, b.w * up] != [x.h, x.w] {
                return Err(format!("{}x{} and {}x{} (times {up}) are to be added", x.h, x.w, b.h, b.w));
            }
            [x.h, x.w]
        }
        Op::Upsample { factor } => [x.h * *factor as usize, x.w * *factor as usize],
        Op::Concat => {
            if !inputs.iter().all(|s| [s.h, s.w] == [x.h, x.w]) {
                return Err("maps of different sizes are to be joined".into());
            }
            [x.h, x.w]
        }
        _ => [x.h, x.w],
    };
    Ok(out)
}
