//! One ONNX node: which rule applies, and the arithmetic of shapes.

use super::raw::{Attr, Constant, Numbers, RawNode};
use super::{Importer, Layout, Value, describe};
use crate::graph::{Activation, Op};

impl Importer {
    /// What the first output of a node stands for.
    pub(super) fn step(&mut self, node: &RawNode) -> Result<Value, String> {
        match node.op.as_str() {
            "Identity" | "Cast" => self.value(node, 0).cloned(),
            "Constant" => match node.attrs.get("value") {
                Some(Attr::Tensor(constant)) => Ok(Value::Const(constant.clone())),
                _ => Err("it holds no tensor".into()),
            },
            "Conv" => self.conv(node),
            "ConvTranspose" => self.conv_transpose(node),
            "MatMul" => self.matmul(node),
            "BatchNormalization" => self.batch_norm(node),
            "MaxPool" | "AveragePool" => self.pool(node),
            "GlobalAveragePool" => self.global_mean(node),
            "ReduceMean" => self.reduce_mean(node),
            "Resize" => self.resize(node),
            "Relu" => self.activation(node, Activation::Relu),
            "Sigmoid" => self.sigmoid(node),
            "HardSigmoid" => {
                let (alpha, beta) = (node.float("alpha").unwrap_or(0.2), node.float("beta").unwrap_or(0.5));
                self.activation(node, Activation::HardSigmoid { alpha, beta })
            }
            "HardSwish" => self.activation(node, Activation::HardSwish),
            "Erf" => self.erf(node),
            "Clip" => self.clip(node),
            "Add" | "Sub" | "Mul" | "Div" => self.binary(node),
            "Pow" | "Sqrt" => self.norm_piece(node),
            "Softmax" => self.softmax(node),
            "Concat" => self.concat(node),
            "Shape" => match self.value(node, 0)? {
                Value::Feature(_, layout) => Ok(Value::Ints(vec![None; layout.rank()])),
                Value::Attention(qkv) => qkv.rank().map(|rank| Value::Ints(vec![None; rank])),
                other => Err(format!("its input is {}", describe(other))),
            },
            "Slice" => self.slice(node),
            "Reshape" => self.reshape(node),
            "Squeeze" => self.squeeze(node),
            "Unsqueeze" => self.unsqueeze(node),
            "Transpose" => self.transpose(node),
            _ => Err("this operation is not known".into()),
        }
    }

    fn ints(&self, node: &RawNode, at: usize) -> Result<Vec<Option<i64>>, String> {
        match self.value(node, at)? {
            Value::Ints(ints) => Ok(ints.clone()),
            Value::Const(Constant { numbers: Numbers::I64(values), .. }) => {
                Ok(values.iter().copied().map(Some).collect())
            }
            other => Err(format!("its input {at} is {}, not integers", describe(other))),
        }
    }

    fn concat(&mut self, node: &RawNode) -> Result<Value, String> {
        if !matches!(self.value(node, 0)?, Value::Feature(..)) {
            let parts = (0..node.inputs.len()).map(|i| self.ints(node, i)).collect::<Result<Vec<_>, _>>()?;
            return Ok(Value::Ints(parts.concat()));
        }
        let ids = (0..node.inputs.len()).map(|i| self.image(node, i)).collect::<Result<Vec<_>, _>>()?;
        if node.int("axis") != Some(1) {
            return Err("it does not join channels".into());
        }
        let channels = ids.iter().map(|id| self.channels(*id)).sum();
        Ok(Value::Feature(self.emit(node, Op::Concat, ids, channels), Layout::Nchw))
    }

    fn slice(&mut self, node: &RawNode) -> Result<Value, String> {
        let list = |at: usize| Ok::<_, String>(self.constant(node, at)?.and_then(Constant::ints).map(<[i64]>::to_vec));
        let (starts, ends, axes) = (list(1)?, list(2)?, list(3)?);
        let (Some([start]), Some([end])) = (starts.as_deref(), ends.as_deref()) else {
            return Err("its bounds are not one constant each".into());
        };
        if axes.as_deref().is_some_and(|a| a != [0]) || list(4)?.is_some_and(|s| s != [1]) {
            return Err("it does not cut the first axis step by step".into());
        }
        match self.value(node, 0)?.clone() {
            Value::Ints(ints) => {
                let len = ints.len() as i64;
                let bound = |v: i64| (if v < 0 { v + len } else { v }).clamp(0, len) as usize;
                Ok(Value::Ints(ints.get(bound(*start)..bound(*end)).unwrap_or(&[]).to_vec()))
            }
            Value::Attention(qkv) => qkv.slice(*start, *end).map(Value::Attention),
            other => Err(format!("its input is {}", describe(&other))),
        }
    }

    /// The axes of a node that has them as an input or, in older networks, as an attribute.
    fn axes(&self, node: &RawNode) -> Result<Option<Vec<i64>>, String> {
        Ok(match self.constant(node, 1)?.and_then(Constant::ints) {
            Some(axes) => Some(axes.to_vec()),
            None => node.ints("axes").map(<[i64]>::to_vec),
        })
    }

    fn unsqueeze(&mut self, node: &RawNode) -> Result<Value, String> {
        let axes = self.axes(node)?;
        match (self.value(node, 0)?.clone(), axes.as_deref()) {
            (ints @ Value::Ints(_), _) => Ok(ints),
            (Value::Feature(id, Layout::Nct), Some([2])) => Ok(Value::Feature(id, Layout::Nchw)),
            (Value::Feature(id, layout), Some([0])) => Ok(Value::Nested(id, layout)),
            (other, axes) => Err(format!("its input is {} and its axes are {axes:?}", describe(&other))),
        }
    }

    fn squeeze(&mut self, node: &RawNode) -> Result<Value, String> {
        let axes = self.axes(node)?;
        match (self.value(node, 0)?.clone(), axes.as_deref()) {
            (ints @ Value::Ints(_), _) => Ok(ints),
            (Value::Attention(qkv), Some([0])) => Ok(Value::Attention(qkv)),
            (Value::Nested(id, layout), Some([0])) => Ok(Value::Feature(id, layout)),
            (Value::Feature(id, Layout::Nchw), Some([2])) => Ok(Value::Feature(id, Layout::Nct)),
            (other, axes) => Err(format!("its input is {} and its axes are {axes:?}", describe(&other))),
        }
    }

    fn reshape(&mut self, node: &RawNode) -> Result<Value, String> {
        if let Value::Ints(ints) = self.value(node, 0)? {
            return Ok(Value::Ints(ints.clone()));
        }
        let target = self.ints(node, 1)?;
        match (self.value(node, 0)?.clone(), target.len()) {
            (Value::Const(constant), _) => {
                let dims = target.iter().map(|d| d.and_then(|d| usize::try_from(d).ok())).collect::<Option<Vec<_>>>();
                let dims = dims.filter(|d| d.iter().product::<usize>() == constant.dims.iter().product::<usize>());
                dims.map(|dims| Value::Const(Constant { dims, ..constant })).ok_or("a constant of unknown shape".into())
            }
            (Value::Feature(id, Layout::Nchw), 3) => Ok(Value::Feature(id, Layout::Nct)),
            (Value::Feature(id, Layout::Nchw), 2) => Ok(Value::Feature(id, Layout::Nc)),
            (Value::Feature(id, Layout::Ntc), 4) => Ok(Value::Feature(id, Layout::Nhwc)),
            (Value::Feature(id, Layout::Ntc), 5) => self.split_heads(id, &target).map(Value::Attention),
            (Value::Attention(qkv), 3) => self.attention(node, qkv),
            // To the shape that it has.
            (Value::Attention(qkv), rank) if qkv.rank() == Ok(rank) && target.iter().all(Option::is_none) => {
                Ok(Value::Attention(qkv))
            }
            (other, rank) => Err(format!("its input is {}, its target has {rank} axes", describe(&other))),
        }
    }

    fn transpose(&mut self, node: &RawNode) -> Result<Value, String> {
        let perm = node.ints("perm").unwrap_or(&[]);
        let layout = match (self.value(node, 0)?.clone(), perm) {
            (Value::Attention(qkv), perm) => return qkv.transpose(perm).map(Value::Attention),
            (Value::Feature(id, Layout::Nct), [0, 2, 1]) => (id, Layout::Ntc),
            (Value::Feature(id, Layout::Ntc), [0, 2, 1]) => (id, Layout::Nct),
            (Value::Feature(id, Layout::Nhwc), [0, 3, 1, 2]) => (id, Layout::Nchw),
            (Value::Feature(id, Layout::Nchw), [0, 2, 3, 1]) => (id, Layout::Nhwc),
            (other, perm) => return Err(format!("its input is {}, its axes {perm:?}", describe(&other))),
        };
        Ok(Value::Feature(layout.0, layout.1))
    }

    fn softmax(&mut self, node: &RawNode) -> Result<Value, String> {
        let axis = node.int("axis").unwrap_or(-1);
        match self.value(node, 0)?.clone() {
            Value::Attention(qkv) => qkv.softmax(axis).map(Value::Attention),
            Value::Feature(id, layout)
                if [layout.channel_axis() as i64, layout.channel_axis() as i64 - layout.rank() as i64]
                    .contains(&axis) =>
            {
                let channels = self.channels(id);
                Ok(Value::Feature(self.emit(node, Op::Softmax, vec![id], channels), layout))
            }
            other => Err(format!("its input is {}, its axis {axis}", describe(&other))),
        }
    }
}
