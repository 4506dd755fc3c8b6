//! Calls of the operators on u8 tensors.

use super::context::{Context, Share, column};
use crate::error::{Error, check, check_len};
use crate::ops::{self, *};
use crate::pack::{PackedConv, padded};
use crate::plan::{ConvStep, DType, ExciteStep, Span, Tensor};
use crate::tensor::Shape;

/// With fewer rows than this for each piece, rows are cut.
const ROWS_EACH: usize = 2;

/// How a map is seen by operators that work element by element: maps of few rows get more and shorter ones, so
/// that pieces are of about the same size. Not single pixels: kernels have a start-up cost for each row.
fn spread(s: &Shape, share: Share) -> Shape {
    if share.pieces < 2 || s.h >= ROWS_EACH * share.pieces {
        return *s;
    }
    let cut = (1..=s.w).find(|&g| s.w.is_multiple_of(g) && s.h * g >= ROWS_EACH * share.pieces).unwrap_or(s.w);
    Shape { h: s.h * cut, w: s.w / cut, ..*s }
}

/// Pixels that the matrix kernels take at a time (a multiple of what any of them takes).
pub(super) const PIXEL_BLOCK: usize = 12;

impl<'x> Context<'x> {
    fn output(&self, c: &ConvStep, shape: Shape) -> Result<Output<'x>, Error> {
        Ok(match c.y.dtype {
            DType::U8 { .. } => Output::U8(self.view_mut_as(&c.y, shape)?, c.zero_out),
            _ => Output::F32(self.view_mut_as(&c.y, shape)?),
        })
    }

    fn conv_params(&self, c: &ConvStep, shape: impl Fn(&Shape) -> Shape) -> Result<ConvParams<'x>, Error> {
        let residual = |(t, mul): (Tensor, f32)| -> Result<Residual<'x>, Error> {
            Ok(Residual { view: self.view_as(&t, shape(&t.shape))?, zero: t.zero(), mul })
        };
        Ok(ConvParams {
            weights: PackedConv { weights: self.constants(c.weights)?, sums: self.constants(c.sums)? },
            bias: self.constants(c.bias)?,
            mul: self.constants(c.mul)?,
            window: c.window,
            zero_in: c.x.zero(),
            act: c.act,
            post: c.post,
            residual: c.residual.map(residual).transpose()?,
        })
    }

    pub fn conv(&self, c: &ConvStep, share: Share) -> Result<(), Error> {
        let one = Window { kh: 1, kw: 1, sh: 1, sw: 1, pad_top: 0, pad_left: 0 };
        let plain = c.window == one && (c.x.shape.h, c.x.shape.w) == (c.y.shape.h, c.y.shape.w);
        let shape = |s: &Shape| if plain { column(s) } else { *s };
        let (xs, ys) = (shape(&c.x.shape), shape(&c.y.shape));
        let x = self.view_as(&c.x, xs)?;
        let rows = share.of_blocks(ys.h, if plain { PIXEL_BLOCK } else { 1 });
        let scratch = self.scratch(share)?;
        conv(self.kernels, &self.conv_params(c, shape)?, x, self.output(c, ys)?, rows, scratch)
    }

    pub fn depthwise(&self, c: &ConvStep, share: Share) -> Result<(), Error> {
        let p = self.conv_params(c, |s| *s)?;
        let p = DepthwiseParams {
            weights: p.weights.weights,
            bias: p.bias,
            mul: p.mul,
            window: p.window,
            zero_in: p.zero_in,
            act: p.act,
            post: p.post,
            residual: p.residual,
        };
        let (x, y) = (self.view(&c.x)?, self.output(c, c.y.shape)?);
        depthwise(self.kernels, &p, x, y, share.of(c.y.shape.h), self.scratch(share)?)
    }

    pub fn transposed(&self, c: &ConvStep, share: Share) -> Result<(), Error> {
        let (x, y) = (self.view(&c.x)?, self.output(c, c.y.shape)?);
        // Whole input rows, each of which makes two.
        let rows = share.of(c.x.shape.h);
        let rows = 2 * rows.start..2 * rows.end;
        transposed2x2(self.kernels, &self.conv_params(c, |s| *s)?, x, y, rows, self.scratch(share)?)
    }

    pub fn max_pool(
        &self,
        x: &Tensor,
        y: &Tensor,
        window: &Window,
        requant: Option<Requant>,
        share: Share,
    ) -> Result<(), Error> {
        max_pool(self.kernels, window, requant, self.view(x)?, self.view_mut(y)?, share.of(y.shape.h))
    }

    pub fn avg_pool(
        &self,
        x: &Tensor,
        y: &Tensor,
        window: &Window,
        requant: Requant,
        include_pad: bool,
        share: Share,
    ) -> Result<(), Error> {
        avg_pool(self.kernels, window, requant, include_pad, self.view(x)?, self.view_mut(y)?, share.of(y.shape.h))
    }

    /// Phase 0 of what begins with a mean: the sums of each piece (there is one for each worker), at the start of
    /// the scratch of the worker with the piece's number, whoever computes them.
    fn sums(&self, x: &Tensor, share: Share) -> Result<(), Error> {
        let s = column(&x.shape);
        let view = self.view_as(x, s)?;
        check_len("global sum", "scratch", self.scratch_bytes / 4, 2 * s.c)?;
        global_sum(self.kernels, view, share.of(s.h), self.slice(self.scratch_at(share.piece), s.c)?)
    }

    /// Phase 1: adds the sums of all pieces. Integers, so their number does not matter.
    fn add_sums(&self, c: usize, share: Share, total: &mut [u32]) -> Result<(), Error> {
        total.fill(0);
        for piece in 0..share.workers {
            let sums: &[u32] = self.read(self.scratch_at(piece), c)?;
            total.iter_mut().zip(sums).for_each(|(t, s)| *t = t.wrapping_add(*s));
        }
        Ok(())
    }

    pub fn global_mean(
        &self,
        x: &Tensor,
        y: &Tensor,
        mul: f32,
        add: f32,
        phase: usize,
        share: Share,
    ) -> Result<(), Error> {
        check("global mean", "the output is not one pixel of the input's channels", {
            (y.shape.h, y.shape.w, y.shape.c) == (1, 1, x.shape.c)
        })?;
        if phase == 0 {
            return self.sums(x, share);
        }
        if share.is_nothing() {
            return Ok(());
        }
        // One piece, past the sums that lie at the start of the worker's scratch.
        let c = x.shape.c;
        let total = self.slice(self.scratch_at(share.worker) + 4 * c, c)?;
        self.add_sums(c, share, total)?;
        global_avg(total, mul, add, self.slice(y.offset, c)?)
    }

    pub fn squeeze_excite(&self, s: &ExciteStep, phase: usize, share: Share) -> Result<(), Error> {
        if phase == 0 {
            return self.sums(&s.x, share);
        }
        // Every worker computes all factors before its first piece: it takes microseconds and saves a phase. The
        // sums at the start of its scratch stay, because others may still read them.
        let c = s.x.shape.c;
        let at = self.scratch_at(share.worker) + 4 * c.next_multiple_of(16);
        let (wide, mid) = (padded(c), s.hidden.min(1 << 16).next_multiple_of(16));
        let need = squeeze_excite_scratch(c, s.hidden);
        check_len("squeeze-excite", "scratch", self.scratch_bytes, need)?;
        let scale = self.slice(at + 8 * wide + 4 * mid, wide)?;
        if share.first {
            let total = self.slice(at, c)?;
            let mean = self.slice(at + 4 * wide, c)?;
            let hidden = self.slice(at + 8 * wide, mid)?;
            let p = SqueezeExciteParams {
                c,
                mid: s.hidden,
                w1: self.constants(s.w1)?,
                b1: self.constants(s.b1)?,
                w2: self.constants(s.w2)?,
                b2: self.constants(s.b2)?,
                act: s.act,
            };
            self.add_sums(c, share, total)?;
            global_avg(total, s.mean_mul, s.mean_add, mean)?;
            ops::squeeze_excite(self.kernels, &p, mean, hidden, scale)?;
        }
        let shape = spread(&s.y.shape, share);
        let (x, y) = (self.view_as(&s.x, spread(&s.x.shape, share))?, self.view_mut_as(&s.y, shape)?);
        let p = ChannelScaleParams { scale, plus: s.plus, requant: s.requant };
        channel_scale(self.kernels, &p, x, y, share.of(shape.h))
    }

    pub fn add(&self, a: &Tensor, b: &Tensor, y: &Tensor, a_mul: f32, b_mul: f32, share: Share) -> Result<(), Error> {
        let p = AddParams { a_zero: a.zero(), a_mul, b_zero: b.zero(), b_mul, zero_out: y.zero(), lo: 0 };
        let plain = b.shape.same_extent(&y.shape);
        let shape = |s: &Shape| if plain { spread(s, share) } else { *s };
        let ys = shape(&y.shape);
        let (a, b) = (self.view_as(a, shape(&a.shape))?, self.view_as(b, shape(&b.shape))?);
        add(self.kernels, &p, a, b, self.view_mut_as(y, ys)?, share.of(ys.h))
    }

    pub fn requant(&self, x: &Tensor, y: &Tensor, requant: Option<Requant>, share: Share) -> Result<(), Error> {
        upsample(self.kernels, requant, self.view(x)?, self.view_mut(y)?, share.of(y.shape.h))
    }

    pub fn lut(&self, x: &Tensor, y: &Tensor, table: Span, share: Share) -> Result<(), Error> {
        let table: &[u8] = self.constants(table)?;
        let (have, need) = (table.len(), 256);
        let table = table.try_into().map_err(|_| Error::Length { op: "lut", what: "table", need, have })?;
        lut(table, self.view(x)?, self.view_mut(y)?, share.of(y.shape.h))
    }

    pub fn dequantise(&self, x: &Tensor, y: &Tensor, share: Share) -> Result<(), Error> {
        dequantise(self.kernels, x.zero(), x.scale(), self.view(x)?, self.view_mut(y)?, share.of(y.shape.h))
    }

    pub fn quantise(&self, x: &Tensor, y: &Tensor, share: Share) -> Result<(), Error> {
        quantise(self.kernels, y.zero(), 1.0 / y.scale(), self.view(x)?, self.view_mut(y)?, share.of(y.shape.h))
    }
}
