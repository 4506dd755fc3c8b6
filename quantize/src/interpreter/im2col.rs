//! Patches of an image as rows of a matrix.

use crate::graph::{Conv, ConvKind, Shape};

/// Gives the patches that a convolution sees, one output row at a time, in order (kh, kw, channel).
pub struct Patches<'a> {
    conv: &'a Conv,
    x: &'a [f32],
    shape: Shape,
    /// Output width.
    out_w: usize,
    rows: Vec<f32>,
}

impl<'a> Patches<'a> {
    /// `x` has `shape`; outside of it everything is 0.
    pub fn new(conv: &'a Conv, x: &'a [f32], shape: Shape, out_w: usize) -> Patches<'a> {
        Patches { conv, x, shape, out_w, rows: Vec::new() }
    }

    /// Length of a patch: taps × channels.
    pub fn len(&self) -> usize {
        self.conv.kernel[0] as usize * self.conv.kernel[1] as usize * self.shape.c
    }

    /// A convolution without taps.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The patches of output row `y`: for the transposed convolution those of input row `y`.
    pub fn row(&mut self, y: usize) -> &[f32] {
        let (c, w) = (self.shape.c, self.shape.w);
        let conv = self.conv;
        let plain = conv.kernel == [1, 1] && conv.stride == [1, 1] && conv.pad == Default::default();
        if plain || conv.kind == ConvKind::Transposed {
            return &self.x[y * w * c..(y + 1) * w * c];
        }
        let [kh, kw] = conv.kernel.map(|v| v as usize);
        let [sh, sw] = conv.stride.map(|v| v as usize);
        let len = kh * kw * c;
        self.rows.clear();
        self.rows.resize(self.out_w * len, 0.0);
        for dy in 0..kh {
            let Some(iy) = (y * sh + dy).checked_sub(conv.pad.top as usize).filter(|iy| *iy < self.shape.h) else {
                continue;
            };
            let line = &self.x[iy * w * c..(iy + 1) * w * c];
            for ox in 0..self.out_w {
                for dx in 0..kw {
                    let Some(ix) = (ox * sw + dx).checked_sub(conv.pad.left as usize).filter(|ix| *ix < w) else {
                        continue;
                    };
                    let at = ox * len + (dy * kw + dx) * c;
                    self.rows[at..at + c].copy_from_slice(&line[ix * c..(ix + 1) * c]);
                }
            }
        }
        &self.rows
    }
}

/// Sum over the taps of a depthwise convolution: row `y` of the output, `weights` being `[tap][c]`.
pub fn depthwise_row(conv: &Conv, x: &[f32], shape: Shape, weights: &[f32], y: usize, out: &mut [f32]) {
    let (c, w) = (shape.c, shape.w);
    let [kh, kw] = conv.kernel.map(|v| v as usize);
    let [sh, sw] = conv.stride.map(|v| v as usize);
    out.fill(0.0);
    for (ox, out) in out.chunks_exact_mut(c).enumerate() {
        for dy in 0..kh {
            let Some(iy) = (y * sh + dy).checked_sub(conv.pad.top as usize).filter(|iy| *iy < shape.h) else {
                continue;
            };
            for dx in 0..kw {
                let Some(ix) = (ox * sw + dx).checked_sub(conv.pad.left as usize).filter(|ix| *ix < w) else {
                    continue;
                };
                let pixel = &x[(iy * w + ix) * c..(iy * w + ix + 1) * c];
                let tap = &weights[(dy * kw + dx) * c..(dy * kw + dx + 1) * c];
                for ((o, p), t) in out.iter_mut().zip(pixel).zip(tap) {
                    *o += p * t;
                }
            }
        }
    }
}
