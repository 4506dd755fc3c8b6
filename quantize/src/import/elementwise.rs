//! Sums and products: biases, scalar chains, activations spelt out, squeeze-excite, layer normalisation.

use super::raw::{Constant, RawNode};
use super::{Importer, Layout, Value, describe};
use crate::graph::{Activation, Conv, ConvKind, Op, SqueezeExcite, TensorId, Weights};

/// Two scalars that a network means to be equal.
fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-4 * b.abs().max(1e-3)
}

impl Importer {
    pub(super) fn activation(&mut self, node: &RawNode, act: Activation) -> Result<Value, String> {
        let (id, layout) = self.feature(node, 0)?;
        let channels = self.channels(id);
        Ok(Value::Feature(self.emit(node, Op::Activation(act), vec![id], channels), layout))
    }

    pub(super) fn sigmoid(&mut self, node: &RawNode) -> Result<Value, String> {
        let (x, _) = self.feature(node, 0)?;
        let value = self.activation(node, Activation::Sigmoid)?;
        if let Value::Feature(id, _) = value {
            self.sigmoid_of.insert(id, x);
        }
        Ok(value)
    }

    pub(super) fn erf(&mut self, node: &RawNode) -> Result<Value, String> {
        let (id, _) = self.feature(node, 0)?;
        match self.affine_of.get(&id) {
            Some((x, a, b)) if near(*a, std::f32::consts::FRAC_1_SQRT_2) && *b == 0.0 => Ok(Value::Erf(*x)),
            _ => Err("its input is not x divided by the root of 2".into()),
        }
    }

    pub(super) fn clip(&mut self, node: &RawNode) -> Result<Value, String> {
        let (id, _) = self.feature(node, 0)?;
        let bound = |at: usize, name: &str| match self.constant(node, at)? {
            Some(constant) => Ok(constant.floats().and_then(|v| v.first().copied())),
            None => Ok::<_, String>(node.float(name)),
        };
        let bounds = (bound(1, "min")?, bound(2, "max")?);
        match (self.affine_of.get(&id), bounds) {
            (Some((x, a, b)), (Some(0.0), Some(6.0))) if near(*a, 1.0) && near(*b, 3.0) => Ok(Value::Clip6(*x)),
            _ => Err(format!("it clips to {bounds:?}, and its input is not x + 3 clipped to 0..6")),
        }
    }

    pub(super) fn binary(&mut self, node: &RawNode) -> Result<Value, String> {
        let (a, b) = (self.value(node, 0)?.clone(), self.value(node, 1)?.clone());
        match (node.op.as_str(), a, b) {
            ("Mul" | "Add", x, Value::Const(c)) | ("Mul" | "Add", Value::Const(c), x) => {
                self.with_constant(node, x, &c)
            }
            ("Div" | "Sub", x, Value::Const(c)) => self.with_constant(node, x, &c),
            ("Add", Value::Feature(a, la), Value::Feature(b, lb)) if la == lb => {
                let channels = self.channels(a);
                if channels != self.channels(b) {
                    return Err("it adds maps of different channels".into());
                }
                Ok(Value::Feature(self.emit(node, Op::Add { up: 1 }, vec![a, b], channels), la))
            }
            ("Mul", Value::Feature(a, la), Value::Feature(b, _)) => self.product(node, a, b, la),
            ("Mul", Value::Feature(x, layout), Value::ErfPlusOne(of))
            | ("Mul", Value::ErfPlusOne(of), Value::Feature(x, layout))
                if x == of =>
            {
                Ok(self.scaled_activation(node, x, layout, Activation::Gelu, 2.0))
            }
            ("Mul", Value::Feature(x, layout), Value::Clip6(of))
            | ("Mul", Value::Clip6(of), Value::Feature(x, layout))
                if x == of =>
            {
                Ok(self.scaled_activation(node, x, layout, Activation::HardSwish, 6.0))
            }
            ("Sub", Value::Feature(x, Layout::Ntc), Value::Mean(of)) if x == of => Ok(Value::Centred(x)),
            ("Div", Value::Centred(x), Value::Deviation(of, eps)) if x == of => {
                let c = self.channels(x);
                let op = Op::LayerNorm { gamma: vec![1.0; c], beta: vec![0.0; c], eps };
                Ok(Value::Feature(self.emit(node, op, vec![x], c), Layout::Ntc))
            }
            (_, a, b) => Err(format!("it joins {} and {}", describe(&a), describe(&b))),
        }
    }

    /// `factor * act(x)`: what a spelt-out activation is before its last division.
    fn scaled_activation(
        &mut self,
        node: &RawNode,
        x: TensorId,
        layout: Layout,
        act: Activation,
        factor: f32,
    ) -> Value {
        let channels = self.channels(x);
        let id = self.emit(node, Op::Activation(act), vec![x], channels);
        self.affine(node, id, layout, vec![factor], vec![0.0])
    }

    fn with_constant(&mut self, node: &RawNode, x: Value, c: &Constant) -> Result<Value, String> {
        let values = c.floats().ok_or("it joins a map and integers")?.to_vec();
        let (scale, shift): (Vec<f32>, Vec<f32>) = match node.op.as_str() {
            "Mul" => (values.clone(), vec![0.0; values.len()]),
            "Div" => (values.iter().map(|v| 1.0 / v).collect(), vec![0.0; values.len()]),
            "Sub" => (vec![1.0; values.len()], values.iter().map(|v| -v).collect()),
            _ => (vec![1.0; values.len()], values.clone()),
        };
        match (x, scale.len()) {
            (Value::Feature(id, layout), 1) => Ok(self.affine(node, id, layout, scale, shift)),
            (Value::Feature(id, layout), n) if n == self.channels(id) && along_channels(&c.dims, layout) => {
                Ok(self.affine(node, id, layout, scale, shift))
            }
            (Value::Erf(x), 1) if near(scale[0], 1.0) && near(shift[0], 1.0) => Ok(Value::ErfPlusOne(x)),
            (Value::Variance(x), 1) if scale[0] == 1.0 && shift[0] > 0.0 => Ok(Value::VariancePlus(x, shift[0])),
            (nested @ Value::Nested(..), 1) if scale[0] == 1.0 && shift[0] == 0.0 => Ok(nested),
            (Value::Attention(qkv), 1) => qkv.affine(scale[0], shift[0]).map(Value::Attention),
            (other, n) => Err(format!("it joins {} and {n} numbers of shape {:?}", describe(&other), c.dims)),
        }
    }

    /// Appends scale·x + shift, unless that is x.
    pub(super) fn affine(
        &mut self,
        node: &RawNode,
        x: TensorId,
        layout: Layout,
        scale: Vec<f32>,
        shift: Vec<f32>,
    ) -> Value {
        if scale.iter().all(|s| *s == 1.0) && shift.iter().all(|s| *s == 0.0) {
            return Value::Feature(x, layout);
        }
        let (channels, scalar) = (self.channels(x), (scale.len() == 1).then(|| (x, scale[0], shift[0])));
        let id = self.emit(node, Op::Affine { scale, shift }, vec![x], channels);
        if let Some(of) = scalar {
            self.affine_of.insert(id, of);
        }
        Value::Feature(id, layout)
    }

    /// x·sigmoid(x), x·hard_sigmoid(x) of the hard-swish, or x·s with s from x's mean.
    fn product(&mut self, node: &RawNode, a: TensorId, b: TensorId, layout: Layout) -> Result<Value, String> {
        let channels = self.channels(a);
        for (x, gate) in [(a, b), (b, a)] {
            if self.sigmoid_of.get(&gate) == Some(&x) {
                return Ok(Value::Feature(
                    self.emit(node, Op::Activation(Activation::Silu), vec![x], channels),
                    layout,
                ));
            }
            if self.is_hard_swish_gate(x, gate) {
                return Ok(Value::Feature(
                    self.emit(node, Op::Activation(Activation::HardSwish), vec![x], channels),
                    layout,
                ));
            }
            if let Some(se) = self.squeeze_excite(x, gate) {
                return Ok(Value::Feature(self.emit(node, Op::SqueezeExcite(se), vec![x], channels), layout));
            }
        }
        Err("it multiplies two maps of which neither is a gate of the other".into())
    }

    /// Whether `gate` is hard_sigmoid(x) with the slope and offset of a hard-swish.
    fn is_hard_swish_gate(&self, x: TensorId, gate: TensorId) -> bool {
        self.producer(gate).is_some_and(|node| match node.op {
            Op::Activation(Activation::HardSigmoid { alpha, beta }) => {
                node.inputs == [x] && near(alpha, 1.0 / 6.0) && near(beta, 0.5)
            }
            _ => false,
        })
    }

    /// Walks back from a gate: hard sigmoid, product, relu, product, mean of x.
    fn squeeze_excite(&self, x: TensorId, gate: TensorId) -> Option<SqueezeExcite> {
        let top = self.producer(gate)?;
        let Op::Activation(Activation::HardSigmoid { alpha, beta }) = top.op else { return None };
        let (fc2, bias2, hidden) = self.fully_connected(*top.inputs.first()?)?;
        let relu = self.producer(hidden)?;
        if relu.op != Op::Activation(Activation::Relu) {
            return None;
        }
        let (fc1, bias1, mean) = self.fully_connected(*relu.inputs.first()?)?;
        let pooled = self.producer(mean)?;
        (pooled.op == Op::GlobalMean && pooled.inputs == [x]).then_some(SqueezeExcite {
            hidden: bias1.len() as u32,
            fc1,
            bias1,
            fc2,
            bias2,
            alpha,
            beta,
            residual: false,
        })
    }

    /// A 1×1 convolution with or without a sum behind it: weights, biases, input.
    fn fully_connected(&self, output: TensorId) -> Option<(Vec<f32>, Vec<f32>, TensorId)> {
        let mut node = self.producer(output)?;
        let mut added: Option<&Vec<f32>> = None;
        if let Op::Affine { scale, shift } = &node.op {
            if scale.iter().any(|s| *s != 1.0) {
                return None;
            }
            added = Some(shift);
            node = self.producer(*node.inputs.first()?)?;
        }
        match &node.op {
            Op::Conv(Conv {
                kind: ConvKind::Dense,
                kernel: [1, 1],
                act: Activation::Linear,
                weights: Weights::F32(w),
                bias,
                ..
            }) => {
                let at = |v: &Vec<f32>, i: usize| if v.len() == 1 { v[0] } else { v[i] };
                let bias = bias.iter().enumerate().map(|(i, b)| b + added.map_or(0.0, |a| at(a, i))).collect();
                Some((w.clone(), bias, *node.inputs.first()?))
            }
            _ => None,
        }
    }

    pub(super) fn reduce_mean(&mut self, node: &RawNode) -> Result<Value, String> {
        let axes = node.ints("axes").unwrap_or(&[]);
        match (self.value(node, 0)?.clone(), axes) {
            (Value::Feature(_, Layout::Nchw), [2, 3] | [-2, -1]) => self.global_mean(node),
            (Value::Feature(x, Layout::Ntc), [-1] | [2]) => Ok(Value::Mean(x)),
            (Value::Squared(x), [-1] | [2]) => Ok(Value::Variance(x)),
            (other, axes) => Err(format!("it takes the mean of {} over axes {axes:?}", describe(&other))),
        }
    }

    pub(super) fn norm_piece(&mut self, node: &RawNode) -> Result<Value, String> {
        match (node.op.as_str(), self.value(node, 0)?.clone()) {
            ("Pow", Value::Centred(x)) if self.floats(node, 1)? == [2.0] => Ok(Value::Squared(x)),
            ("Sqrt", Value::VariancePlus(x, eps)) => Ok(Value::Deviation(x, eps)),
            (_, other) => Err(format!("its input is {}", describe(&other))),
        }
    }
}

/// Whether a constant of this shape has one number per channel.
fn along_channels(dims: &[usize], layout: Layout) -> bool {
    let Some(axis) = dims.iter().position(|d| *d != 1) else { return true };
    // Axes are aligned at their ends.
    dims.iter().filter(|d| **d != 1).count() == 1 && axis + layout.rank() == layout.channel_axis() + dims.len()
}
