//! Reads ONNX files. The only file that knows tract, of which only the protobuf types are used.

use crate::import::raw::{Attr, Constant, Numbers, RawModel, RawNode};
use std::path::Path;
use tract_onnx::pb::{self, attribute_proto::AttributeType, tensor_proto::DataType};
use tract_onnx::prelude::Framework;

/// A file that is no ONNX model this tool can read.
#[derive(thiserror::Error, Debug)]
#[error("{path} cannot be read as an ONNX model: {reason}; fetch it again with models/fetch and check its sha256")]
pub struct OnnxError {
    path: String,
    reason: String,
}

/// Reads a model file.
///
/// # Errors
/// The file cannot be opened, is no protobuf of an ONNX model, or keeps its weights in a second file.
pub fn read(path: &Path) -> Result<RawModel, OnnxError> {
    let wrong = |reason: String| OnnxError { path: path.display().to_string(), reason };
    let proto = tract_onnx::onnx().proto_model_for_path(path).map_err(|e| wrong(format!("{e:#}")))?;
    convert(proto).map_err(wrong)
}

fn convert(proto: pb::ModelProto) -> Result<RawModel, String> {
    let graph = proto.graph.ok_or("it has no graph")?;
    let mut model = RawModel::default();
    for tensor in &graph.initializer {
        model.constants.insert(tensor.name.clone(), constant(tensor)?);
    }
    let not_constant = |name: &String| !model.constants.contains_key(name);
    model.inputs = graph.input.iter().map(|i| i.name.clone()).filter(not_constant).collect();
    model.outputs = graph.output.into_iter().map(|o| o.name).collect();
    model.metadata = proto.metadata_props.into_iter().map(|p| (p.key, p.value)).collect();
    for (i, node) in graph.node.into_iter().enumerate() {
        let name = if node.name.is_empty() { format!("{}#{i}", node.op_type) } else { node.name };
        let mut attrs = std::collections::HashMap::new();
        for attr in &node.attribute {
            attrs.insert(attr.name.clone(), attribute(attr).map_err(|e| format!("node {name}: {e}"))?);
        }
        model.nodes.push(RawNode { name, op: node.op_type, inputs: node.input, outputs: node.output, attrs });
    }
    Ok(model)
}

fn attribute(attr: &pb::AttributeProto) -> Result<Attr, String> {
    Ok(match AttributeType::try_from(attr.r#type) {
        Ok(AttributeType::Float) => Attr::Float(attr.f),
        Ok(AttributeType::Int) => Attr::Int(attr.i),
        Ok(AttributeType::String) => Attr::Text(String::from_utf8_lossy(&attr.s).into_owned()),
        Ok(AttributeType::Ints) => Attr::Ints(attr.ints.clone()),
        Ok(AttributeType::Tensor) => Attr::Tensor(constant(attr.t.as_ref().ok_or("a tensor attribute is empty")?)?),
        _ => Attr::Other,
    })
}

fn constant(tensor: &pb::TensorProto) -> Result<Constant, String> {
    let wrong = |reason: &str| format!("constant {}: {reason}", tensor.name);
    let dims = tensor.dims.iter().map(|d| usize::try_from(*d)).collect::<Result<Vec<_>, _>>();
    let dims = dims.map_err(|_| wrong("a negative dimension"))?;
    let len = dims.iter().try_fold(1usize, |a, d| a.checked_mul(*d)).ok_or_else(|| wrong("it is too large"))?;
    let raw = &tensor.raw_data;
    let numbers = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) if raw.is_empty() => Numbers::F32(tensor.float_data.clone()),
        Ok(DataType::Float) => Numbers::F32(raw.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
        Ok(DataType::Double) if raw.is_empty() => Numbers::F32(tensor.double_data.iter().map(|v| *v as f32).collect()),
        Ok(DataType::Double) => Numbers::F32(raw.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect()),
        Ok(DataType::Int64) if raw.is_empty() => Numbers::I64(tensor.int64_data.clone()),
        Ok(DataType::Int64) => Numbers::I64(raw.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()),
        Ok(DataType::Int32 | DataType::Bool) if raw.is_empty() => {
            Numbers::I64(tensor.int32_data.iter().map(|v| i64::from(*v)).collect())
        }
        Ok(DataType::Int32) => {
            Numbers::I64(raw.as_chunks().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect())
        }
        Ok(DataType::Bool) => Numbers::I64(raw.iter().map(|b| i64::from(*b)).collect()),
        other => return Err(wrong(&format!("its type {other:?} is not known"))),
    };
    let have = match &numbers {
        Numbers::F32(values) => values.len(),
        Numbers::I64(values) => values.len(),
    };
    if have != len {
        return Err(wrong(&format!("it has {have} elements, its shape says {len}")));
    }
    Ok(Constant { dims, numbers })
}
