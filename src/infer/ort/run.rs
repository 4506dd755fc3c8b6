//! Runs: pixels into ONNX Runtime's input, its answer into the memory of the caller.

use super::error::essence;
use super::graph::{HandedOver, TOP, Top};
use crate::infer::{Answer, InferError, Likeliest, Pool, Session, Shape, borrow_aligned};
use crate::memory::aligned_size;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, SessionInputValue};
use ort::value::TensorRef;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

/// A session of ONNX Runtime, which one thread at a time may run: its `Run` is not safe to be called by several with
/// every provider (pykeio/ort#511).
pub struct Runner {
    /// File or manifest name.
    pub name: String,
    /// What a run needs.
    pub state: Mutex<State>,
}

/// What a run needs.
pub struct State {
    /// ONNX Runtime's session.
    pub session: ort::session::Session,
    /// Names of the inputs: pixels, and which columns hold any.
    inputs: [String; 2],
    /// Gives the output of the network.
    all: (String, RunOptions<HasSelectedOutputs>),
    /// Gives the likeliest classes only, of a recogniser.
    likeliest: Option<(Top, RunOptions<HasSelectedOutputs>)>,
}

impl State {
    /// A session of the network that was handed over.
    pub fn new(session: ort::session::Session, handed: &HandedOver) -> ort::Result<State> {
        let select = |names: &[&str]| -> ort::Result<RunOptions<HasSelectedOutputs>> {
            let outputs = names.iter().fold(OutputSelector::no_default(), |outputs, name| outputs.with(*name));
            Ok(RunOptions::new()?.with_outputs(outputs))
        };
        let name = handed.probabilities.clone();
        let all = select(&[&name])?;
        let likeliest = match &handed.top {
            Some(top) => Some((top.clone(), select(&[&top.classes, &top.scores])?)),
            None => None,
        };
        let inputs = [handed.pixels.clone(), handed.inside.clone()];
        Ok(State { session, inputs, all: (name, all), likeliest })
    }

    /// Runs on black images; gives the shape of the network's answer.
    pub fn answer_to_black(&mut self, input: Shape) -> ort::Result<Vec<usize>> {
        let (pixels, inside) = (vec![0; input.elements()], vec![1; inside_elements(input)]);
        let State { session, inputs: names, all: (name, options), .. } = self;
        let outputs = session.run_with_options(inputs(names, input, &pixels, &inside)?, options)?;
        let (shape, _) = outputs[name.as_str()].try_extract_tensor::<f32>()?;
        Ok(shape.iter().map(|axis| usize::try_from(*axis).unwrap_or(0)).collect())
    }
}

/// The inputs of a run.
type Inputs<'a> = Vec<(Cow<'a, str>, SessionInputValue<'a>)>;

/// Images of `shape`, `[N, 3, H, W]`, as the graph that was handed over takes them: pixels `[N, H, W, 3]`, and for each
/// column `[N, 1, W, 1]` whether it holds any.
fn inputs<'a>(names: &'a [String; 2], shape: Shape, pixels: &'a [u8], inside: &'a [u8]) -> ort::Result<Inputs<'a>> {
    let &[n, c, h, w] = shape.axes() else { return Err(ort::Error::new("no image")) };
    let pixels = TensorRef::from_array_view(([n, h, w, c], pixels))?;
    let inside = TensorRef::from_array_view(([n, 1, w, 1], inside))?;
    let [first, second] = names.each_ref().map(|name| Cow::Borrowed(name.as_str()));
    Ok(vec![(first, pixels.into()), (second, inside.into())])
}

fn inside_elements(input: Shape) -> usize {
    input.axes().first().unwrap_or(&0) * input.axes().last().unwrap_or(&0)
}

/// A network at one shape.
pub struct OrtSession {
    /// Shared with those at other shapes.
    pub runner: Arc<Runner>,
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
}

impl OrtSession {
    fn failed(&self, reason: &str) -> InferError {
        InferError::Run { model: self.runner.name.clone(), reason: essence(reason) }
    }

    /// The parts of the memory: pixels, which columns hold any (of image `i` the first `columns[i]`), answer.
    fn parts<'a>(&self, memory: &'a mut [u8], columns: &[usize]) -> Result<[&'a mut [u8]; 3], InferError> {
        let memory = borrow_aligned(&self.runner.name, memory, self.memory_bytes())?;
        let (pixels, rest) = memory.split_at_mut(aligned_size(self.input.elements()));
        let (inside, answer) = rest.split_at_mut(aligned_size(inside_elements(self.input)));
        let inside = &mut inside[..inside_elements(self.input)];
        mark_inside(inside, self.input.axes().last().copied().unwrap_or(1), columns);
        Ok([&mut pixels[..self.input.elements()], inside, answer])
    }
}

/// Marks the columns that hold pixels: of image `i` the first `columns[i]`.
fn mark_inside(inside: &mut [u8], width: usize, columns: &[usize]) {
    for (row, columns) in inside.chunks_exact_mut(width.max(1)).zip(columns) {
        let (pixels, padding) = row.split_at_mut((*columns).min(width));
        pixels.fill(1);
        padding.fill(0);
    }
}

impl Session for OrtSession {
    fn input_shape(&self) -> Shape {
        self.input
    }

    fn output_shape(&self) -> Shape {
        self.output
    }

    /// The images, which columns they fill, and the answer; all else ONNX Runtime takes from the heap.
    fn memory_bytes(&self) -> usize {
        let inputs = aligned_size(self.input.elements()) + aligned_size(inside_elements(self.input));
        inputs + self.output.elements() * size_of::<f32>()
    }

    fn input<'a>(&self, memory: &'a mut [u8]) -> Result<&'a mut [u8], InferError> {
        borrow_aligned(&self.runner.name, memory, self.input.elements())
    }

    fn run<'a>(&self, memory: &'a mut [u8], columns: &[usize], _: Option<&mut Pool>) -> Result<Answer<'a>, InferError> {
        let [pixels, inside, answer] = self.parts(memory, columns)?;
        let answer: &mut [f32] = bytemuck::cast_slice_mut(answer);
        let mut state = self.runner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { session, inputs: names, all: (name, options), .. } = &mut *state;
        let mut run = || -> ort::Result<()> {
            let outputs = session.run_with_options(inputs(names, self.input, pixels, inside)?, options)?;
            copy(outputs[name.as_str()].try_extract_tensor::<f32>()?.1, answer)
        };
        run().map_err(|e| self.failed(e.message()))?;
        Ok(Answer::F32(answer))
    }

    fn run_likeliest<'a>(&self, memory: &'a mut [u8], columns: &[usize]) -> Result<Option<Likeliest<'a>>, InferError> {
        let [pixels, inside, answer] = self.parts(memory, columns)?;
        let mut state = self.runner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { session, inputs: names, likeliest: Some((top, options)), .. } = &mut *state else {
            return Ok(None);
        };
        let steps: usize = self.output.axes().iter().take(2).product();
        let (classes, rest) = answer.split_at_mut((steps * TOP * size_of::<i32>()).min(answer.len()));
        let scores =
            rest.get_mut(..classes.len()).ok_or_else(|| self.failed("it has fewer classes than are asked for"))?;
        let (classes, scores): (&mut [i32], &mut [f32]) =
            (bytemuck::cast_slice_mut(classes), bytemuck::cast_slice_mut(scores));
        let mut run = || -> ort::Result<()> {
            let outputs = session.run_with_options(inputs(names, self.input, pixels, inside)?, options)?;
            copy(outputs[top.classes.as_str()].try_extract_tensor::<i32>()?.1, classes)?;
            copy(outputs[top.scores.as_str()].try_extract_tensor::<f32>()?.1, scores)
        };
        run().map_err(|e| self.failed(e.message()))?;
        Ok(Some(Likeliest { classes, scores, per_step: TOP }))
    }
}

fn copy<T: Copy>(from: &[T], to: &mut [T]) -> ort::Result<()> {
    if from.len() != to.len() {
        return Err(ort::Error::new("the output has another shape than announced"));
    }
    to.copy_from_slice(from);
    Ok(())
}
