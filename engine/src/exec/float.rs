//! Calls of the operators on f32 tensors.

use super::context::{Context, Share, column};
use crate::error::{Error, check};
use crate::ops::*;
use crate::pack::PackedConv;
use crate::plan::{Span, Step, Tensor};
use crate::tensor::{Shape, View, ViewMut};

impl<'x> Context<'x> {
    /// Input and output as columns of pixels.
    fn columns(&self, x: &Tensor, y: &Tensor) -> Result<(View<'x, f32>, ViewMut<'x, f32>, usize), Error> {
        let ys = column(&y.shape);
        Ok((self.view_as(x, column(&x.shape))?, self.view_mut_as(y, ys)?, ys.h))
    }

    pub fn matmul(
        &self,
        x: &Tensor,
        y: &Tensor,
        residual: Option<&Tensor>,
        (weights, bias): (Span, Span),
        act: Activation,
        share: Share,
    ) -> Result<(), Error> {
        let residual = residual.map(|r| self.view_as(r, column(&r.shape))).transpose()?;
        let p = MatmulParams { b: self.constants(weights)?, bias: self.constants(bias)?, act, residual };
        let (x, y, pixels) = self.columns(x, y)?;
        matmul(self.kernels, &p, x, y, share.of(pixels))
    }

    pub fn conv_f32(
        &self,
        x: &Tensor,
        y: &Tensor,
        window: Window,
        (weights, bias): (Span, Span),
        act: Activation,
        share: Share,
    ) -> Result<(), Error> {
        let p = ConvF32Params { weights: self.constants(weights)?, bias: self.constants(bias)?, window, act };
        let pixels = share.of(y.shape.h * y.shape.w);
        conv_f32(self.kernels, &p, self.view(x)?, self.view_mut(y)?, pixels, self.scratch(share)?)
    }

    pub fn depthwise_f32(
        &self,
        x: &Tensor,
        y: &Tensor,
        window: Window,
        (weights, bias): (Span, Span),
        act: Activation,
        share: Share,
    ) -> Result<(), Error> {
        let p = DepthwiseF32Params { weights: self.constants(weights)?, bias: self.constants(bias)?, window, act };
        depthwise_f32(self.kernels, &p, self.view(x)?, self.view_mut(y)?, share.of(y.shape.h))
    }

    pub fn add_f32(&self, a: &Tensor, b: &Tensor, y: &Tensor, act: Activation, share: Share) -> Result<(), Error> {
        add_f32(self.kernels, act, self.view(a)?, self.view(b)?, self.view_mut(y)?, share.of(y.shape.h))
    }

    pub fn map_f32(&self, x: &Tensor, y: &Tensor, act: Activation, share: Share) -> Result<(), Error> {
        map_f32(self.kernels, act, self.view(x)?, self.view_mut(y)?, share.of(y.shape.h))
    }

    pub fn layer_norm(
        &self,
        x: &Tensor,
        y: &Tensor,
        (gamma, beta): (Span, Span),
        eps: f32,
        share: Share,
    ) -> Result<(), Error> {
        let p = LayerNormParams { gamma: self.constants(gamma)?, beta: self.constants(beta)?, eps };
        let (x, y, pixels) = self.columns(x, y)?;
        layer_norm(self.kernels, &p, x, y, share.of(pixels))
    }

    pub fn attention(&self, x: &Tensor, y: &Tensor, heads: usize, scale: f32, share: Share) -> Result<(), Error> {
        check("attention", "heads", heads >= 1)?;
        let p = AttentionParams { heads, d: y.shape.c / heads, scale };
        let tokens = share.of(y.shape.h * y.shape.w);
        attention(self.kernels, &p, self.view(x)?, self.view_mut(y)?, tokens, self.scratch(share)?)
    }

    pub fn softmax(&self, x: &Tensor, y: &Tensor, share: Share) -> Result<(), Error> {
        let (x, y, pixels) = self.columns(x, y)?;
        softmax(self.kernels, x, y, share.of(pixels))
    }

    pub fn ctc(&self, step: &Step, share: Share) -> Result<(), Error> {
        let Step::Ctc { x, y, classes, weights, sums, mul, bias } = step else { return Ok(()) };
        let Shape { h, w, c, .. } = y.shape;
        check("ctc", "the numbers of tokens differ", (h, w) == (x.shape.h, x.shape.w))?;
        let p = CtcParams {
            weights: PackedConv { weights: self.constants(*weights)?, sums: self.constants(*sums)? },
            mul: self.constants(*mul)?,
            bias: self.constants(*bias)?,
            classes: *classes,
        };
        let (tokens, range, scratch) = (self.view(x)?, share.of(h * w), self.scratch(share)?);
        let at = y.offset + range.start * c * y.dtype.size();
        check("ctc", "the output has not one channel for each class", c == *classes)?;
        let out = self.slice(at, range.len() * c)?;
        ctc_probabilities(self.kernels, &p, tokens, range, out, scratch)
    }
}
