//! What is read of a model before it is edited.

use super::onnx::{attribute, graph, model, node, pair, tensor, value};
use super::{GraphError, MIN_OPSET};
use crate::infer::ort::proto::{Value, WireError, fields, last, only, text, utf8};
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

/// Most axes of an input or output.
const MAX_AXES: usize = 8;
/// Most entries of the metadata; models of the family have a handful.
const MAX_METADATA: usize = 1000;
/// How deep graphs may be in graphs, as the branches of a condition are.
const MAX_DEPTH: usize = 8;

/// The parts of a model that the edit needs.
pub struct Parts<'a> {
    /// Where the graph is in the file, number and length included.
    pub graph_at: Range<usize>,
    /// The graph.
    pub graph: &'a [u8],
    /// Where the description of the input is in the graph, number and length included.
    pub input_at: Range<usize>,
    /// The only input that is no initialiser.
    pub input: Described<'a>,
    /// The first output.
    pub output: Described<'a>,
    /// Keys and values.
    pub metadata: Vec<(String, String)>,
    /// All names.
    pub names: Names<'a>,
}

/// The description of an input or output.
pub struct Described<'a> {
    /// Its name.
    pub name: &'a str,
    /// The number of its type of elements; `None` if it is no tensor.
    pub element: Option<u64>,
    /// The messages of its axes; `None` if nothing is said of them.
    pub axes: Option<Vec<&'a [u8]>>,
}

/// What is known of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<'a> {
    /// Its length, at least 1.
    Length(u64),
    /// Its name, which other axes of the same length have too.
    Name(&'a str),
    /// Nothing. Exporters write a length of -1, and the name `?` on axes that need not be equal.
    Nothing,
}

/// Reads the parts of a model.
pub fn parts(onnx: &[u8]) -> Result<Parts<'_>, GraphError> {
    let (mut found, mut opset, mut metadata) = (None, None, Vec::new());
    for field in fields(onnx) {
        let field = field?;
        if let Some(graph) = field.bytes_of(model::GRAPH) {
            if found.replace((graph, field.range)).is_some() {
                return Err(WireError::Twice.into());
            }
        } else if let Some(set) = field.bytes_of(model::OPSET) {
            if let ("" | "ai.onnx", Some(Value::Varint(version))) = (text(set, pair::FIRST)?, last(set, pair::SECOND)?)
            {
                opset = Some(opset.map_or(version, |other: u64| other.min(version)));
            }
        } else if let Some(entry) = field.bytes_of(model::METADATA) {
            if metadata.len() == MAX_METADATA {
                return Err(GraphError::Size(format!("more than {MAX_METADATA} entries of metadata")));
            }
            metadata.push((text(entry, pair::FIRST)?.to_string(), text(entry, pair::SECOND)?.to_string()));
        }
    }
    let (graph, graph_at) = found.ok_or(GraphError::NoGraph)?;
    // A model without a word on it is of ONNX's first version.
    let opset = opset.unwrap_or(1);
    if opset < MIN_OPSET {
        return Err(GraphError::Opset { got: opset });
    }
    let mut names = Names::default();
    names.collect(graph, 0)?;
    let (input, input_at) = input(graph)?;
    Ok(Parts { graph_at, graph, input_at, input, output: output(graph)?, metadata, names })
}

fn input(message: &[u8]) -> Result<(Described<'_>, Range<usize>), GraphError> {
    let mut initialisers = HashSet::new();
    for field in fields(message) {
        initialisers.extend(initialiser(&field?)?);
    }
    let mut found = None;
    for field in fields(message) {
        let field = field?;
        let Some(described) = field.bytes_of(graph::INPUT) else { continue };
        if !initialisers.contains(text(described, value::NAME)?) && found.replace((described, field.range)).is_some() {
            return Err(GraphError::Input("it has several".into()));
        }
    }
    let (described, range) = found.ok_or_else(|| GraphError::Input("it has none".into()))?;
    Ok((describe(described)?, range))
}

fn output(message: &[u8]) -> Result<Described<'_>, GraphError> {
    for field in fields(message) {
        if let Some(described) = field?.bytes_of(graph::OUTPUT) {
            return describe(described);
        }
    }
    Err(GraphError::Output("it has none".into()))
}

/// The name of an initialiser, if a field of a graph is one.
fn initialiser<'a>(field: &crate::infer::ort::proto::Field<'a>) -> Result<Option<&'a str>, GraphError> {
    let tensor = match field.bytes_of(graph::SPARSE_INITIALISER) {
        Some(sparse) => only(sparse, tensor::SPARSE_VALUES)?,
        None => field.bytes_of(graph::INITIALISER),
    };
    let Some(tensor) = tensor else { return Ok(None) };
    if last(tensor, tensor::LOCATION)? == Some(Value::Varint(tensor::EXTERNAL)) {
        return Err(GraphError::ExternalWeights);
    }
    Ok(Some(text(tensor, tensor::NAME)?))
}

/// The type of elements and the shape of a described value, as far as given.
fn tensor_type(described: &[u8]) -> Result<(Option<u64>, Option<&[u8]>), WireError> {
    let Some(kind) = only(described, value::TYPE)? else { return Ok((None, None)) };
    let Some(tensor) = only(kind, value::TENSOR)? else { return Ok((None, None)) };
    let element = match last(tensor, value::ELEMENT)? {
        Some(Value::Varint(element)) => element,
        _ => 0,
    };
    Ok((Some(element), only(tensor, value::SHAPE)?))
}

/// The messages of a shape's axes.
fn axes(shape: &[u8]) -> impl Iterator<Item = Result<&[u8], WireError>> {
    fields(shape).filter_map(|field| field.map(|field| field.bytes_of(value::AXIS)).transpose())
}

fn describe(described: &[u8]) -> Result<Described<'_>, GraphError> {
    let (element, shape) = tensor_type(described)?;
    let axes = shape.map(|shape| axes(shape).take(MAX_AXES + 1).collect::<Result<Vec<_>, _>>()).transpose()?;
    if axes.as_ref().is_some_and(|axes| axes.len() > MAX_AXES) {
        return Err(GraphError::Size(format!("a tensor of more than {MAX_AXES} axes")));
    }
    Ok(Described { name: text(described, value::NAME)?, element, axes })
}

/// What the message of an axis says.
pub fn known(axis: &[u8]) -> Result<Known<'_>, WireError> {
    let mut known = Known::Nothing;
    // Length and name exclude each other: the last one counts.
    for field in fields(axis) {
        let field = field?;
        known = match (field.number, field.value) {
            (value::AXIS_NUMBER, Value::Varint(length)) if length.cast_signed() > 0 => Known::Length(length),
            (value::AXIS_NAME, Value::Bytes(name)) if !matches!(name, b"" | b"?") => Known::Name(utf8(name)?),
            (value::AXIS_NUMBER | value::AXIS_NAME, _) => Known::Nothing,
            _ => known,
        };
    }
    Ok(known)
}

/// The names of a model's values, nodes and axes.
#[derive(Default)]
pub struct Names<'a>(HashSet<Cow<'a, str>>);

impl<'a> Names<'a> {
    /// A name that was not there before, and is from now on: `stem`, or `stem` with a number.
    pub fn fresh(&mut self, stem: &str) -> String {
        let mut name = stem.to_string();
        let mut number = 0_u64;
        while !self.0.insert(Cow::Owned(name.clone())) {
            number += 1;
            name = format!("{stem}_{number}");
        }
        name
    }

    fn insert(&mut self, name: &'a [u8]) -> Result<(), WireError> {
        self.0.insert(Cow::Borrowed(utf8(name)?));
        Ok(())
    }

    /// Adds the names of a graph and of those in its nodes: a name inside hides none outside, so all are one set.
    fn collect(&mut self, message: &'a [u8], depth: usize) -> Result<(), GraphError> {
        if depth > MAX_DEPTH {
            return Err(GraphError::Size(format!("graphs in graphs more than {MAX_DEPTH} deep")));
        }
        for field in fields(message) {
            let field = field?;
            if let Some(name) = initialiser(&field)? {
                self.0.insert(Cow::Borrowed(name));
            } else if let Some(node) = field.bytes_of(graph::NODE) {
                self.collect_node(node, depth)?;
            } else if let (graph::INPUT | graph::OUTPUT | graph::VALUE, Value::Bytes(described)) =
                (field.number, field.value)
            {
                self.0.insert(Cow::Borrowed(text(described, value::NAME)?));
                for axis in axes(tensor_type(described)?.1.unwrap_or_default()) {
                    if let Known::Name(name) = known(axis?)? {
                        self.0.insert(Cow::Borrowed(name));
                    }
                }
            }
        }
        Ok(())
    }

    fn collect_node(&mut self, message: &'a [u8], depth: usize) -> Result<(), GraphError> {
        for field in fields(message) {
            let field = field?;
            match (field.number, field.value) {
                (node::INPUT | node::OUTPUT | node::NAME, Value::Bytes(name)) => self.insert(name)?,
                (node::ATTRIBUTE, Value::Bytes(attribute)) => {
                    for field in fields(attribute) {
                        let field = field?;
                        let inner = field.bytes_of(attribute::GRAPH).or_else(|| field.bytes_of(attribute::GRAPHS));
                        inner.map_or(Ok(()), |graph| self.collect(graph, depth + 1))?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_names_are_not_there_yet() {
        let mut names = Names::default();
        names.insert(b"pixels").unwrap();
        names.insert(b"pixels_2").unwrap();
        let fresh: Vec<String> = (0..3).map(|_| names.fresh("pixels")).collect();
        assert_eq!(fresh, ["pixels_1", "pixels_3", "pixels_4"]);
    }

    #[test]
    fn the_last_word_on_an_axis_counts() {
        assert_eq!(known(&[0x08, 48]), Ok(Known::Length(48)));
        assert_eq!(known(&[0x12, 1, b'W']), Ok(Known::Name("W")));
        assert_eq!(known(&[0x08, 48, 0x12, 1, b'W', 0x1a, 0]), Ok(Known::Name("W")));
        assert_eq!(known(&[0x12, 1, b'W', 0x08, 48]), Ok(Known::Length(48)));
        for nothing in
            [&[][..], &[0x12, 1, b'?'], &[0x12, 0], &[0x08, 0], &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]]
        {
            assert_eq!(known(nothing), Ok(Known::Nothing), "{nothing:?}");
        }
    }
}
