//! Convolutions, pooling, resizing, matrix products.

use super::raw::{Constant, RawNode};
use super::{Importer, Layout, Value};
use crate::graph::{Activation, Conv, ConvKind, Op, Pad, Pool, PoolKind, TensorId, Weights};

fn pair(values: Option<&[i64]>, default: u32) -> Result<[u32; 2], String> {
    match values {
        None => Ok([default; 2]),
        Some([a, b]) => match (u32::try_from(*a), u32::try_from(*b)) {
            (Ok(a), Ok(b)) => Ok([a, b]),
            _ => Err("a negative size".into()),
        },
        Some(other) => Err(format!("{} sizes, not 2", other.len())),
    }
}

/// Padding from `pads` or `auto_pad`.
fn padding(node: &RawNode, kernel: [u32; 2], stride: [u32; 2]) -> Result<Pad, String> {
    match node.text("auto_pad").unwrap_or("NOTSET") {
        "SAME_UPPER" if stride == [1, 1] => {
            // Independent of the size at stride 1; the odd one goes to the end.
            let [h, w] = kernel.map(|k| k - 1);
            Ok(Pad { top: h / 2, left: w / 2, bottom: h - h / 2, right: w - w / 2 })
        }
        "NOTSET" | "VALID" => match node.ints("pads") {
            None => Ok(Pad::default()),
            Some(&[t, l, b, r]) => {
                let side = |v: i64| u32::try_from(v).map_err(|_| "a negative padding".to_string());
                Ok(Pad { top: side(t)?, left: side(l)?, bottom: side(b)?, right: side(r)? })
            }
            Some(other) => Err(format!("{} paddings, not 4", other.len())),
        },
        other => Err(format!("auto_pad {other} with stride {stride:?}")),
    }
}

impl Importer {
    fn weights(&self, node: &RawNode) -> Result<(Vec<f32>, [usize; 4]), String> {
        let constant = self.constant(node, 1)?.ok_or("it has no weights")?;
        match (constant.floats(), &constant.dims[..]) {
            (Some(values), &[a, b, c, d]) => Ok((values.to_vec(), [a, b, c, d])),
            _ => Err(format!("its weights have shape {:?}", constant.dims)),
        }
    }

    pub(super) fn conv(&mut self, node: &RawNode) -> Result<Value, String> {
        let x = self.image(node, 0)?;
        let ic = self.channels(x);
        let (values, [oc, per_group, kh, kw]) = self.weights(node)?;
        if pair(node.ints("dilations"), 1)? != [1, 1] {
            return Err("it is dilated".into());
        }
        let kernel = [kh as u32, kw as u32];
        let stride = pair(node.ints("strides"), 1)?;
        let pad = padding(node, kernel, stride)?;
        let group = node.int("group").unwrap_or(1);
        let kind = match group {
            1 if per_group == ic => ConvKind::Dense,
            g if g == ic as i64 && oc == ic && per_group == 1 => ConvKind::Depthwise,
            _ => return Err(format!("{group} groups, {ic} to {oc} channels")),
        };
        let taps = kh * kw;
        let mut weights = vec![0.0; values.len()];
        for (i, value) in values.into_iter().enumerate() {
            // From [oc][ic][tap] to [oc][tap][ic], or from [c][tap] to [tap][c].
            let (o, c, tap) = (i / (taps * per_group), i / taps % per_group, i % taps);
            let at = if kind == ConvKind::Depthwise { tap * oc + o } else { (o * taps + tap) * per_group + c };
            weights[at] = value;
        }
        let bias = match self.constant(node, 2)?.map(Constant::floats) {
            None => vec![0.0; oc],
            Some(Some(bias)) if bias.len() == oc => bias.to_vec(),
            Some(_) => return Err("its bias has another length".into()),
        };
        let conv = Conv {
            kind,
            in_channels: ic as u32,
            out_channels: oc as u32,
            kernel,
            stride,
            pad,
            weights: Weights::F32(weights),
            bias,
            act: Activation::Linear,
            post: None,
        };
        Ok(Value::Feature(self.emit(node, Op::Conv(conv), vec![x], oc), Layout::Nchw))
    }

    pub(super) fn conv_transpose(&mut self, node: &RawNode) -> Result<Value, String> {
        let x = self.image(node, 0)?;
        let (values, [ic, oc, kh, kw]) = self.weights(node)?;
        let plain = node.ints("pads").is_none_or(|p| p.iter().all(|v| *v == 0))
            && node.ints("output_padding").is_none_or(|p| p.iter().all(|v| *v == 0))
            && node.int("group").unwrap_or(1) == 1
            && pair(node.ints("dilations"), 1)? == [1, 1];
        if [kh, kw] != [2, 2] || pair(node.ints("strides"), 1)? != [2, 2] || !plain || ic != self.channels(x) {
            return Err("only 2x2 with stride 2 and without padding is known".into());
        }
        let mut weights = vec![0.0; values.len()];
        for (i, value) in values.into_iter().enumerate() {
            // From [ic][oc][tap] to [tap][oc][ic].
            let (c, o, tap) = (i / (oc * 4), i / 4 % oc, i % 4);
            weights[(tap * oc + o) * ic + c] = value;
        }
        let bias = match self.constant(node, 2)?.map(Constant::floats) {
            None => vec![0.0; 4 * oc],
            Some(Some(bias)) if bias.len() == oc => bias.repeat(4),
            Some(_) => return Err("its bias has another length".into()),
        };
        let conv = Conv {
            kind: ConvKind::Transposed,
            in_channels: ic as u32,
            out_channels: oc as u32,
            kernel: [1, 1],
            stride: [1, 1],
            pad: Pad::default(),
            weights: Weights::F32(weights),
            bias,
            act: Activation::Linear,
            post: None,
        };
        Ok(Value::Feature(self.emit(node, Op::Conv(conv), vec![x], oc), Layout::Nchw))
    }

    pub(super) fn matmul(&mut self, node: &RawNode) -> Result<Value, String> {
        if let (Value::Attention(a), Value::Attention(b)) = (self.value(node, 0)?, self.value(node, 1)?) {
            return a.matmul(*b).map(Value::Attention);
        }
        let (x, layout) = self.feature(node, 0)?;
        let constant = self.constant(node, 1)?.ok_or("it has no weights")?;
        let (Some(values), &[k, n]) = (constant.floats(), &constant.dims[..]) else {
            return Err(format!("its weights have shape {:?}", constant.dims));
        };
        if k != self.channels(x) || layout.channel_axis() + 1 != layout.rank() {
            return Err("it does not multiply the channels of its input".into());
        }
        let weights = (0..n * k).map(|i| values[i % k * n + i / k]).collect();
        let conv = product(weights, k, n);
        Ok(Value::Feature(self.emit(node, Op::Conv(conv), vec![x], n), layout))
    }

    pub(super) fn batch_norm(&mut self, node: &RawNode) -> Result<Value, String> {
        let (x, layout) = self.feature(node, 0)?;
        let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|at| self.floats(node, at).map(<[f32]>::to_vec));
        let (gamma, beta, mean, variance) = (gamma?, beta?, mean?, variance?);
        let c = self.channels(x);
        if [&gamma, &beta, &mean, &variance].iter().any(|v| v.len() != c)
            || ![Layout::Nchw, Layout::Nct].contains(&layout)
        {
            return Err(format!("it does not fit {c} channels"));
        }
        let eps = f64::from(node.float("epsilon").unwrap_or(1e-5));
        let scale: Vec<f64> = (0..c).map(|i| f64::from(gamma[i]) / (f64::from(variance[i]) + eps).sqrt()).collect();
        let shift = (0..c).map(|i| (f64::from(beta[i]) - f64::from(mean[i]) * scale[i]) as f32).collect();
        Ok(self.affine(node, x, layout, scale.iter().map(|s| *s as f32).collect(), shift))
    }

    pub(super) fn pool(&mut self, node: &RawNode) -> Result<Value, String> {
        let x = self.image(node, 0)?;
        let kernel = pair(node.ints("kernel_shape"), 1)?;
        let stride = pair(node.ints("strides"), 1)?;
        let pad = padding(node, kernel, stride)?;
        let kind = if node.op == "MaxPool" { PoolKind::Max } else { PoolKind::Average };
        let counts_padding = node.int("count_include_pad").unwrap_or(0) != 0 && pad != Pad::default();
        if node.int("ceil_mode").unwrap_or(0) != 0 || counts_padding || pair(node.ints("dilations"), 1)? != [1, 1] {
            return Err("it rounds up, counts its padding or is dilated".into());
        }
        let channels = self.channels(x);
        let op = Op::Pool(Pool { kind, kernel, stride, pad });
        Ok(Value::Feature(self.emit(node, op, vec![x], channels), Layout::Nchw))
    }

    pub(super) fn global_mean(&mut self, node: &RawNode) -> Result<Value, String> {
        let x = self.image(node, 0)?;
        let channels = self.channels(x);
        Ok(Value::Feature(self.emit(node, Op::GlobalMean, vec![x], channels), Layout::Nchw))
    }

    pub(super) fn resize(&mut self, node: &RawNode) -> Result<Value, String> {
        let x: TensorId = self.image(node, 0)?;
        let exact = node.text("mode").unwrap_or("nearest") == "nearest"
            && node.text("coordinate_transformation_mode") == Some("asymmetric")
            && node.text("nearest_mode") == Some("floor");
        let factor = match self.floats(node, 2)? {
            [1.0, 1.0, a, b] if a == b && a.fract() == 0.0 && (1.0..=64.0).contains(a) && exact => *a as u32,
            other => return Err(format!("only nearest (asymmetric, floor) by a whole factor is known, not {other:?}")),
        };
        let channels = self.channels(x);
        Ok(Value::Feature(self.emit(node, Op::Upsample { factor }, vec![x], channels), Layout::Nchw))
    }
}

/// A matrix product with `[n][k]` weights as a 1×1 convolution.
fn product(weights: Vec<f32>, k: usize, n: usize) -> Conv {
    Conv {
        kind: ConvKind::Dense,
        in_channels: k as u32,
        out_channels: n as u32,
        kernel: [1, 1],
        stride: [1, 1],
        pad: Pad::default(),
        weights: Weights::F32(weights),
        bias: vec![0.0; n],
        act: Activation::Linear,
        post: None,
    }
}
