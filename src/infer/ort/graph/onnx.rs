//! The messages of ONNX that are added to a graph, and the numbers of fields that are read (`onnx.proto`).

use crate::infer::ort::proto::Message;

/// Fields of a model.
pub mod model {
    pub const GRAPH: u32 = 7;
    pub const OPSET: u32 = 8;
    pub const METADATA: u32 = 14;
}

/// Fields of an operator set, and of an entry of the metadata: domain and version, key and value.
pub mod pair {
    pub const FIRST: u32 = 1;
    pub const SECOND: u32 = 2;
}

/// Fields of a graph.
pub mod graph {
    pub const NODE: u32 = 1;
    pub const INITIALISER: u32 = 5;
    pub const INPUT: u32 = 11;
    pub const OUTPUT: u32 = 12;
    pub const VALUE: u32 = 13;
    pub const SPARSE_INITIALISER: u32 = 15;
}

/// Fields of a node.
pub mod node {
    pub const INPUT: u32 = 1;
    pub const OUTPUT: u32 = 2;
    pub const NAME: u32 = 3;
    pub const OPERATOR: u32 = 4;
    pub const ATTRIBUTE: u32 = 5;
}

/// Fields of an attribute.
pub mod attribute {
    pub const NAME: u32 = 1;
    pub const INT: u32 = 3;
    pub const TENSOR: u32 = 5;
    pub const GRAPH: u32 = 6;
    pub const INTS: u32 = 8;
    pub const GRAPHS: u32 = 11;
    pub const TYPE: u32 = 20;
}

/// Fields of a tensor of numbers.
pub mod tensor {
    pub const AXIS: u32 = 1;
    pub const TYPE: u32 = 2;
    pub const NAME: u32 = 8;
    pub const RAW: u32 = 9;
    pub const LOCATION: u32 = 14;
    /// The location that means another file.
    pub const EXTERNAL: u64 = 1;
    /// Of a sparse tensor: its values, a tensor.
    pub const SPARSE_VALUES: u32 = 1;
}

/// Fields of the description of a value, message in message: name and type; tensor; element type and shape; axes;
/// number and name.
pub mod value {
    pub const NAME: u32 = 1;
    pub const TYPE: u32 = 2;
    pub const TENSOR: u32 = 1;
    pub const ELEMENT: u32 = 1;
    pub const SHAPE: u32 = 2;
    pub const AXIS: u32 = 1;
    pub const AXIS_NUMBER: u32 = 1;
    pub const AXIS_NAME: u32 = 2;
}

/// The types of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    F32 = 1,
    U8 = 2,
    I32 = 6,
    I64 = 7,
}

/// An axis of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Always of this length.
    Fixed(usize),
    /// Of any length, the same wherever this name stands.
    Named(String),
}

impl Axis {
    /// The message.
    pub fn message(&self) -> Message {
        match self {
            Axis::Fixed(length) => Message::default().number(value::AXIS_NUMBER, *length as u64),
            Axis::Named(name) => Message::default().bytes(value::AXIS_NAME, name),
        }
    }
}

/// The description of an input or output; `axes` are messages, `None` where nothing is known of them.
pub fn describe<M: AsRef<[u8]>>(name: &str, element: Element, axes: Option<&[M]>) -> Message {
    let tensor = Message::default().number(value::ELEMENT, element as u64);
    let tensor = match axes {
        Some(axes) => {
            let shape = axes.iter().fold(Message::default(), |shape, axis| shape.bytes(value::AXIS, axis));
            tensor.bytes(value::SHAPE, shape)
        }
        None => tensor,
    };
    Message::default().bytes(value::NAME, name).bytes(value::TYPE, Message::default().bytes(value::TENSOR, tensor))
}

/// A node of the standard operators. It has the name of its first output, which is as unique.
pub fn operator(operator: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) -> Message {
    let message = inputs.iter().fold(Message::default(), |message, name| message.bytes(node::INPUT, name));
    let message = outputs.iter().fold(message, |message, name| message.bytes(node::OUTPUT, name));
    let message = message.bytes(node::NAME, outputs.first().unwrap_or(&"")).bytes(node::OPERATOR, operator);
    attributes.iter().fold(message, |message, attribute| message.bytes(node::ATTRIBUTE, attribute))
}

/// An attribute that is a number.
pub fn int(name: &str, number: i64) -> Message {
    const KIND: u64 = 2;
    Message::default()
        .bytes(attribute::NAME, name)
        .number(attribute::INT, number.cast_unsigned())
        .number(attribute::TYPE, KIND)
}

/// An attribute that is a list of numbers.
pub fn ints(name: &str, numbers: &[u64]) -> Message {
    const KIND: u64 = 7;
    let message = Message::default().bytes(attribute::NAME, name);
    let message = numbers.iter().fold(message, |message, number| message.number(attribute::INTS, *number));
    message.number(attribute::TYPE, KIND)
}

/// A node that gives a constant. Unlike an initialiser, it is not to be listed among the inputs in any version of ONNX.
pub fn constant(name: &str, element: Element, axes: &[u64], little_endian: &[u8]) -> Message {
    const KIND: u64 = 4;
    let tensor = axes.iter().fold(Message::default(), |tensor, axis| tensor.number(tensor::AXIS, *axis));
    let tensor = tensor.number(tensor::TYPE, element as u64).bytes(tensor::RAW, little_endian);
    let value = Message::default().bytes(attribute::NAME, "value").bytes(attribute::TENSOR, tensor);
    operator("Constant", &[], &[name], &[value.number(attribute::TYPE, KIND)])
}
