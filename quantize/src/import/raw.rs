//! An ONNX file as plain data: what the reader of the format gives to the rest of the front end.

use std::collections::HashMap;

/// A constant tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Shape; empty for a scalar.
    pub dims: Vec<usize>,
    /// Elements, row-major.
    pub numbers: Numbers,
}

/// Elements of a constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Floats of any width.
    F32(Vec<f32>),
    /// Integers and booleans of any width.
    I64(Vec<i64>),
}

impl Constant {
    /// The floats, if it holds floats.
    pub fn floats(&self) -> Option<&[f32]> {
        match &self.numbers {
            Numbers::F32(values) => Some(values),
            Numbers::I64(_) => None,
        }
    }

    /// The integers, if it holds integers.
    pub fn ints(&self) -> Option<&[i64]> {
        match &self.numbers {
            Numbers::I64(values) => Some(values),
            Numbers::F32(_) => None,
        }
    }
}

/// An attribute of a node.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Attr {
    Float(f32),
    Int(i64),
    Text(String),
    Ints(Vec<i64>),
    Tensor(Constant),
    /// A type that no known operator uses.
    Other,
}

/// A node of the ONNX graph.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct RawNode {
    pub name: String,
    pub op: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attrs: HashMap<String, Attr>,
}

impl RawNode {
    /// An integer attribute.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.attrs.get(name) {
            Some(Attr::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// A float attribute.
    pub fn float(&self, name: &str) -> Option<f32> {
        match self.attrs.get(name) {
            Some(Attr::Float(value)) => Some(*value),
            _ => None,
        }
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attrs.get(name) {
            Some(Attr::Ints(values)) => Some(values),
            _ => None,
        }
    }

    /// A string.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attrs.get(name) {
            Some(Attr::Text(value)) => Some(value),
            _ => None,
        }
    }
}

/// An ONNX model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawModel {
    /// In the file's order, which ONNX requires to be a runnable one.
    pub nodes: Vec<RawNode>,
    /// Initialisers by name.
    pub constants: HashMap<String, Constant>,
    /// Inputs that are no initialisers.
    pub inputs: Vec<String>,
    /// Outputs.
    pub outputs: Vec<String>,
    /// Metadata, such as the recogniser's dictionary under `character`.
    pub metadata: HashMap<String, String>,
}
