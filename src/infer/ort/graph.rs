//! The ONNX graph that is handed to ONNX Runtime: the model's own, with bytes as its input, and with the likeliest
//! classes behind a recogniser.
//!
//! A GPU is fed with bytes, four times fewer than floats, and asked for the likeliest classes of a line, which are some
//! thousand times fewer than the probabilities of all:
//!
//! ```text
//! pixels u8 [N,H,W,3] ─ Cast ─ Transpose ─ Add -255·mean ────────────── Mul ─ the model's input f32 [N,3,H,W]
//! inside u8 [N,1,W,1] ─ Cast ─ Transpose ─ Mul 1/(255·std) [N,3,1,W] ───┘
//! the model's output f32 [N,T,classes] ─ TopK ─ top scores f32 [N,T,4]
//!                                          └─── Cast ─ top classes i32 [N,T,4]
//! ```
//!
//! The mean is taken off first: with the usual mean of 0.5 that is exact, in half precision as well. The bytes are cast
//! before they are moved, because TensorRT does nothing else with bytes, and moved before they are calculated with,
//! because ONNX Runtime's CPU takes eight times longer where the colours are the innermost axis.
//!
//! Everything that is not replaced is copied byte by byte, so that nothing of a model is lost.

mod onnx;
mod read;
#[cfg(test)]
mod tests;

use super::proto::{Message, WireError};
use crate::models::manifest::{Input, Kind};
use onnx::{Axis, Element};
use read::{Described, Known, Names};
use std::ops::Range;

/// How many of the likeliest classes a recogniser answers.
pub const TOP: usize = 4;

/// The first operator set whose operators are those that are added: `TopK` has its present form since.
const MIN_OPSET: u64 = 11;

/// An edited model.
#[derive(Clone, Debug, PartialEq)]
pub struct HandedOver {
    /// The ONNX file. Equal models and manifests give equal bytes.
    pub bytes: Vec<u8>,
    /// Name of the input that takes images: u8 `[N, H, W, 3]`, colours in the order of the manifest. `pixels`, unless
    /// the model has a value of that name.
    pub pixels: String,
    /// Name of the input that says where an image ends: u8 `[N, 1, W, 1]`, 1 for a column with pixels, 0 for padding,
    /// which the network then sees as 0. `inside`, unless the model has a value of that name.
    pub inside: String,
    /// Name of the model's own output, f32.
    pub probabilities: String,
    /// Of a recogniser, the outputs with the likeliest classes.
    pub top: Option<Top>,
    /// The lengths of N, H and W that the graph is fixed at; `None` where any will do.
    pub fixed: [Option<usize>; 3],
    /// Keys and values of the model's metadata, as the recogniser's dictionary under `character`.
    pub metadata: Vec<(String, String)>,
}

/// Names of the outputs with the [`TOP`] likeliest classes at each step of a line, the likeliest first and of equals
/// the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top {
    /// Their probabilities, f32 `[N, T, 4]`. `top_scores`, unless the model has a value of that name.
    pub scores: String,
    /// Their numbers, i32 `[N, T, 4]`. `top_classes`, unless the model has a value of that name.
    pub classes: String,
}

/// The shapes that TensorRT builds an engine for, as its execution provider takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The least, for `trt_profile_min_shapes`.
    pub min: String,
    /// What it is fastest at, for `trt_profile_opt_shapes`.
    pub opt: String,
    /// The greatest, for `trt_profile_max_shapes`.
    pub max: String,
}

/// Why a model cannot be edited, as the end of a sentence.
#[derive(thiserror::Error, Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GraphError {
    /// The bytes are not those of an ONNX file.
    #[error("the file is damaged: {0}; fetch it again")]
    Damaged(#[from] WireError),
    /// There is no graph in the file.
    #[error("the file holds no graph; give an ONNX model")]
    NoGraph,
    /// It was exported for an old version of ONNX.
    #[error(
        "it is of operator set {got} and must be of {MIN_OPSET} or later; export it again with a later operator set"
    )]
    Opset {
        /// The version of the standard operators.
        got: u64,
    },
    /// The weights are not in the file.
    #[error("its weights are in another file; give a file with its weights inside")]
    ExternalWeights,
    /// More of something than any model of the family has.
    #[error("it has {0}; give a model of the PP-OCR family")]
    Size(String),
    /// The input is not an image.
    #[error("its input cannot be replaced: {0}; give a model of the PP-OCR family")]
    Input(String),
    /// The output is not what a network of its kind answers.
    #[error("its output cannot be used: {0}; give a model of the PP-OCR family")]
    Output(String),
}

/// Puts bytes in front of a model's input, and the likeliest classes behind a recogniser. `input` says how the model
/// wants its images normalised, and which of its axes are of a fixed length even if the file does not say so.
///
/// # Errors
/// The file is no ONNX model with its weights inside, its operators are too old, or its only input is not an f32 image
/// `[N, 3, H, W]`, or its first output not f32, of a recogniser `[N, T, classes]`.
pub fn hand_over(onnx: &[u8], input: &Input, kind: Kind) -> Result<HandedOver, GraphError> {
    let read::Parts { graph_at, graph, input_at, input: images, output, metadata, mut names } = read::parts(onnx)?;
    let axes = image_axes(&images, input, &mut names)?;
    let fixed = axes.each_ref().map(|axis| match axis {
        Axis::Fixed(length) => Some(*length),
        Axis::Named(_) => None,
    });
    let front = front(images.name, axes, input, &mut names)?;
    check_output(&output, kind)?;
    let (behind, top) = match kind {
        Kind::Recogniser => {
            let (behind, top) = behind(&output, &mut names);
            (behind, Some(top))
        }
        Kind::Detector | Kind::Classifier => (Message::default(), None),
    };

    let (model_before, model_after) = around(onnx, graph_at)?;
    let (graph_before, graph_after) = around(graph, input_at)?;
    let parts = [front.nodes.as_ref(), graph_before, front.inputs.as_ref(), graph_after, behind.as_ref()];
    let length = parts.iter().map(|part| part.len()).sum();
    let file = Message::with_capacity(model_before.len() + length + model_after.len() + 16);
    let file = file.raw(model_before).head(onnx::model::GRAPH, length);
    let file = parts.iter().fold(file, |file, part| file.raw(part)).raw(model_after);
    Ok(HandedOver {
        bytes: file.into_bytes(),
        pixels: front.pixels,
        inside: front.inside,
        probabilities: output.name.to_string(),
        top,
        fixed,
        metadata,
    })
}

impl HandedOver {
    /// The profile of an engine for all of `shapes`, fastest at `usual`; each is N, H and W.
    pub fn profile(&self, usual: [usize; 3], shapes: &[[usize; 3]]) -> Profile {
        let fold = |choose: fn(usize, usize) -> usize| {
            shapes.iter().fold(usual, |all, one| std::array::from_fn(|axis| choose(all[axis], one[axis])))
        };
        let text = |[n, h, w]: [usize; 3]| {
            let HandedOver { pixels, inside, .. } = self;
            format!("{pixels}:{n}x{h}x{w}x3,{inside}:{n}x1x{w}x1")
        };
        Profile { min: text(fold(usize::min)), opt: text(usual), max: text(fold(usize::max)) }
    }
}

/// What is before and after a field of a message.
fn around(message: &[u8], field: Range<usize>) -> Result<(&[u8], &[u8]), WireError> {
    message.get(..field.start).zip(message.get(field.end..)).ok_or(WireError::Truncated)
}

/// N, H and W of the input. A name is kept, because the descriptions of inner values use it; every axis without a
/// length has a name of its own, because TensorRT takes axes of the same name for equally long.
fn image_axes(images: &Described, input: &Input, names: &mut Names) -> Result<[Axis; 3], GraphError> {
    if images.element != Some(Element::F32 as u64) {
        return Err(GraphError::Input("it is not of type f32".into()));
    }
    let Some(&[n, channels, h, w]) = images.axes.as_deref() else {
        return Err(GraphError::Input("it does not have four axes".into()));
    };
    let mut taken = Vec::new();
    match read::known(channels)? {
        Known::Length(3) | Known::Nothing => {}
        Known::Length(_) => return Err(GraphError::Input("it does not have three channels".into())),
        Known::Name(name) => taken.push(name),
    }
    let mut decide = |letter: &str, axis, manifest: Option<usize>| {
        let (length, name) = match read::known(axis)? {
            Known::Length(length) => (Some(length), None),
            Known::Name(name) => (None, Some(name)),
            Known::Nothing => (None, None),
        };
        let length = length.map(usize::try_from).transpose();
        let length = length.map_err(|_| GraphError::Input(format!("its {letter} is too great")))?;
        match (length, manifest) {
            (Some(length), Some(manifest)) if length != manifest => {
                Err(GraphError::Input(format!("its {letter} is {length}, and its manifest says {manifest}")))
            }
            (Some(length), _) | (None, Some(length)) => Ok(Axis::Fixed(length)),
            (None, None) => Ok(Axis::Named(match name.filter(|name| !taken.contains(name)) {
                Some(name) => {
                    taken.push(name);
                    name.to_string()
                }
                None => names.fresh(letter),
            })),
        }
    };
    Ok([decide("N", n, None)?, decide("H", h, input.height_px)?, decide("W", w, input.width_px)?])
}

/// What is put in front.
struct Front {
    pixels: String,
    inside: String,
    /// Fields of the graph: the descriptions of the inputs.
    inputs: Message,
    /// Fields of the graph: the nodes.
    nodes: Message,
}

fn front(input: &str, [n, h, w]: [Axis; 3], norm: &Input, names: &mut Names) -> Result<Front, GraphError> {
    // In f64 and rounded once, so that the numbers are as near as can be to what the float engine calculates.
    let shift = norm.mean.map(|mean| (-255.0 * f64::from(mean)) as f32);
    let scale = norm.std.map(|std| (1.0 / (255.0 * f64::from(std))) as f32);
    if !shift.iter().chain(&scale).all(|number| number.is_finite()) {
        return Err(GraphError::Input("the mean or the std of its manifest cannot be used".into()));
    }
    let [pixels, inside] = ["pixels", "inside"].map(|stem| names.fresh(stem));
    let [shift_name, scale_name, floats, planes, centred, flags, columns, weights] =
        ["shift", "scale", "floats", "planes", "centred", "flags", "columns", "weights"]
            .map(|stem| names.fresh(&format!("edge_ocr_{stem}")));
    let per_channel = |name: &str, numbers: [f32; 3]| {
        onnx::constant(name, Element::F32, &[1, 3, 1, 1], numbers.map(f32::to_le_bytes).as_flattened())
    };
    let cast = |from: &str, to: &str| onnx::operator("Cast", &[from], &[to], &[onnx::int("to", Element::F32 as i64)]);
    let channels_first =
        |from: &str, to: &str| onnx::operator("Transpose", &[from], &[to], &[onnx::ints("perm", &[0, 3, 1, 2])]);
    let nodes = [
        per_channel(&shift_name, shift),
        per_channel(&scale_name, scale),
        cast(&pixels, &floats),
        channels_first(&floats, &planes),
        onnx::operator("Add", &[&planes, &shift_name], &[&centred], &[]),
        cast(&inside, &flags),
        channels_first(&flags, &columns),
        onnx::operator("Mul", &[&columns, &scale_name], &[&weights], &[]),
        onnx::operator("Mul", &[&centred, &weights], &[input], &[]),
    ];
    let one = || Axis::Fixed(1).message();
    let images = [n.message(), h.message(), w.message(), Axis::Fixed(3).message()];
    let widths = [n.message(), one(), w.message(), one()];
    let inputs = Message::default()
        .bytes(onnx::graph::INPUT, onnx::describe(&pixels, Element::U8, Some(&images)))
        .bytes(onnx::graph::INPUT, onnx::describe(&inside, Element::U8, Some(&widths)));
    let nodes = nodes.iter().fold(Message::default(), |fields, node| fields.bytes(onnx::graph::NODE, node));
    Ok(Front { pixels, inside, inputs, nodes })
}

fn check_output(output: &Described, kind: Kind) -> Result<(), GraphError> {
    if output.element != Some(Element::F32 as u64) {
        return Err(GraphError::Output("it is not of type f32".into()));
    }
    if let (Kind::Recogniser, Some(axes)) = (kind, &output.axes) {
        let [_, _, classes] = axes.as_slice() else {
            return Err(GraphError::Output(format!("it has {} axes, and a recogniser's has 3", axes.len())));
        };
        if let Known::Length(classes) = read::known(classes)?
            && classes < TOP as u64
        {
            return Err(GraphError::Output(format!("it has {classes} classes, and a recogniser's has at least {TOP}")));
        }
    }
    Ok(())
}

/// Fields of the graph: the nodes behind a recogniser and the descriptions of their outputs.
fn behind(output: &Described, names: &mut Names) -> (Message, Top) {
    let top = Top { scores: names.fresh("top_scores"), classes: names.fresh("top_classes") };
    let [count, wide] = ["edge_ocr_top", "edge_ocr_classes"].map(|stem| names.fresh(stem));
    let form = [onnx::int("axis", -1), onnx::int("largest", 1), onnx::int("sorted", 1)];
    let narrow = onnx::int("to", Element::I32 as i64);
    let nodes = [
        onnx::constant(&count, Element::I64, &[1], &(TOP as i64).to_le_bytes()),
        onnx::operator("TopK", &[output.name, &count], &[&top.scores, &wide], &form),
        onnx::operator("Cast", &[&wide], &[&top.classes], &[narrow]),
    ];
    let last = Axis::Fixed(TOP).message();
    let axes = output.axes.as_deref().map(|axes| [axes.get(..2).unwrap_or_default(), &[last.as_ref()]].concat());
    let axes = axes.as_deref();
    let fields = nodes.iter().fold(Message::default(), |fields, node| fields.bytes(onnx::graph::NODE, node));
    let fields = fields
        .bytes(onnx::graph::OUTPUT, onnx::describe(&top.scores, Element::F32, axes))
        .bytes(onnx::graph::OUTPUT, onnx::describe(&top.classes, Element::I32, axes));
    (fields, top)
}
