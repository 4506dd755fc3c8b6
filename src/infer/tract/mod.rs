//! The float engine: tract reads any ONNX network of the family and runs it in f32.
//!
//! Every input shape gets a plan of its own: a symbolic axis left in a plan makes tract's depthwise convolutions about
//! eight times slower. A plan holds a packed copy of the weights, so the number of plans kept is bounded and the one
//! unused for longest goes first. This engine allocates while it runs.

mod normalise;

use super::{Answer, InferError, Model, Pool, Session, Shape, borrow_aligned};
use crate::memory::aligned_size;
use crate::models::manifest::Input;
use normalise::Normaliser;
use std::sync::{Arc, Mutex};
use tract_onnx::prelude::*;

type Plan = Arc<RunnableModel<TypedFact, Box<dyn TypedOp>>>;

/// Why a file is not a network that tract can read. The text is tract's reason.
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
#[error("{0}")]
pub struct ReadError(String);

const NO_FIXED_OUTPUT: &str = "its output is not a tensor of one to four fixed axes";

/// A place for a model with its plan, empty until somebody has built it.
type Slot = Arc<Mutex<Option<Arc<TractSession>>>>;

/// A network read from ONNX.
pub struct TractModel {
    name: Arc<str>,
    normaliser: Arc<Normaliser>,
    graph: InferenceModel,
    metadata: Vec<(String, String)>,
    max_plans: usize,
    /// The least recently used first.
    plans: Mutex<Vec<(Shape, Slot)>>,
}

impl TractModel {
    /// Reads the bytes of an ONNX file with embedded weights, which takes images normalised as `input` says. `name`
    /// is used in error messages; at most `max_plans` (at least 1) are kept.
    pub fn read(name: &str, bytes: &[u8], input: &Input, max_plans: usize) -> Result<TractModel, ReadError> {
        let (graph, metadata) = catch_tract_panic(|| {
            // Exporters leave symbolic shapes on inner values, which contradict the fixed shape a plan is made for; all
            // follow from the input anyway.
            let onnx = onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
            let proto = onnx.proto_model_for_read(&mut &bytes[..])?;
            let metadata = proto.metadata_props.iter().map(|e| (e.key.clone(), e.value.clone())).collect();
            let graph = onnx.model_for_proto_model(&proto)?;
            if graph.input_outlets()?.len() != 1 || graph.output_outlets()?.is_empty() {
                return Err(TractError::msg("it must have one input and an output"));
            }
            Ok((graph, metadata))
        })
        .map_err(ReadError)?;
        Ok(TractModel {
            name: name.into(),
            normaliser: Arc::new(Normaliser::new(input)),
            graph,
            metadata,
            max_plans: max_plans.max(1),
            plans: Mutex::new(Vec::new()),
        })
    }

    /// The value of a key in the file's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    fn error(&self, shape: Shape) -> impl FnOnce(String) -> InferError {
        let model = self.name.to_string();
        move |reason| InferError::Shape { model, shape, reason }
    }

    fn build(&self, input: Shape) -> Result<TractSession, InferError> {
        let plan: Plan = catch_tract_panic(|| {
            self.graph
                .clone()
                .with_input_fact(0, f32::fact(input.axes()).into())?
                // What the exporter wrote of the output is a guess with symbols in it; it follows from the input.
                .with_output_fact(0, InferenceFact::default())?
                .into_optimized()?
                .into_runnable()
        })
        .map_err(self.error(input))?;
        let output = plan.model().output_fact(0).ok();
        let output = output.and_then(|fact| fact.shape.as_concrete().and_then(Shape::from_slice));
        let output = output.ok_or_else(|| self.error(input)(NO_FIXED_OUTPUT.into()))?;
        Ok(TractSession { name: self.name.clone(), normaliser: self.normaliser.clone(), plan, input, output })
    }
}

impl Model for TractModel {
    fn engine(&self) -> &'static str {
        "tract"
    }

    fn output_shape(&self, input: Shape) -> Result<Shape, InferError> {
        catch_tract_panic(|| {
            let mut graph = self.graph.clone();
            graph.set_input_fact(0, f32::fact(input.axes()).into())?;
            graph.set_output_fact(0, InferenceFact::default())?;
            graph.analyse(false)?;
            let shape = graph.output_fact(0)?.shape.as_concrete_finite()?;
            shape.and_then(|axes| Shape::from_slice(&axes)).ok_or_else(|| TractError::msg(NO_FIXED_OUTPUT))
        })
        .map_err(self.error(input))
    }

    fn release(&self) {
        self.plans.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clear();
    }

    fn session(&self, input: Shape) -> Result<Arc<dyn Session>, InferError> {
        let slot = {
            let mut slots = self.plans.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let entry = match slots.iter().position(|(s, _)| *s == input) {
                Some(i) => slots.remove(i),
                None => {
                    if slots.len() >= self.max_plans {
                        slots.remove(0);
                    }
                    (input, Slot::default())
                }
            };
            slots.push(entry.clone());
            entry.1
        };
        // Held while the plan is built: nobody builds the same one twice, and others are not kept waiting.
        let mut model = slot.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(model) = &*model {
            return Ok(model.clone());
        }
        let start = std::time::Instant::now();
        let built = Arc::new(self.build(input)?);
        log::debug!("{}: plan for {input} in {:.0} ms", self.name, start.elapsed().as_secs_f64() * 1e3);
        *model = Some(built.clone());
        Ok(built)
    }
}

struct TractSession {
    name: Arc<str>,
    normaliser: Arc<Normaliser>,
    plan: Plan,
    input: Shape,
    output: Shape,
}

impl Session for TractSession {
    fn input_shape(&self) -> Shape {
        self.input
    }

    fn output_shape(&self) -> Shape {
        self.output
    }

    /// The images and the answer; all else tract takes from the heap.
    fn memory_bytes(&self) -> usize {
        aligned_size(self.input.elements()) + self.output.elements() * size_of::<f32>()
    }

    fn input<'a>(&self, memory: &'a mut [u8]) -> Result<&'a mut [u8], InferError> {
        borrow_aligned(&self.name, memory, self.input.elements())
    }

    fn run<'a>(&self, memory: &'a mut [u8], columns: &[usize], _: Option<&mut Pool>) -> Result<Answer<'a>, InferError> {
        let (pixels, output) =
            borrow_aligned(&self.name, memory, self.memory_bytes())?.split_at_mut(aligned_size(self.input.elements()));
        let output: &mut [f32] = bytemuck::cast_slice_mut(output);
        let &[_, channels, height, width] = self.input.axes() else { return Err(self.failed("no image".into())) };
        catch_tract_panic(|| {
            let one = channels * height * width;
            let mut tensor = Tensor::zero::<f32>(self.input.axes())?;
            let mut plain = tensor.try_as_plain_ram_mut()?;
            let planes = plain.as_slice_mut::<f32>()?;
            for ((pixels, planes), columns) in pixels.chunks_exact(one).zip(planes.chunks_exact_mut(one)).zip(columns) {
                self.normaliser.fill(pixels, width, *columns, planes);
            }
            let results = self.plan.run(tvec!(tensor.into_tvalue()))?;
            let result = results.first().ok_or_else(|| TractError::msg("no output"))?;
            let values = result.try_as_plain_ram()?.as_slice::<f32>()?;
            if values.len() != output.len() {
                return Err(TractError::msg("the output has another shape than announced"));
            }
            output.copy_from_slice(values);
            Ok(())
        })
        .map_err(|reason| self.failed(reason))?;
        Ok(Answer::F32(output))
    }
}

impl TractSession {
    fn failed(&self, reason: String) -> InferError {
        InferError::Run { model: self.name.to_string(), reason }
    }
}

/// Runs tract and turns its error, or its panic on a graph it did not expect, into one line.
fn catch_tract_panic<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match crate::panics::catch_panic(work) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(one_line(&format!("{error:#}"))),
        Err(panic) => Err(one_line(&panic)),
    }
}

/// tract's errors span lines and can quote half a graph.
fn one_line(text: &str) -> String {
    const MAX: usize = 240;
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(MAX) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_network_are_an_error() {
        let manifest = crate::models::Manifest::parse(include_str!("../../../models/ppocrv6-small-det.toml")).unwrap();
        for bytes in [&b""[..], b"hello", &[0xff; 64]] {
            let error = TractModel::read("x.onnx", bytes, &manifest.input, 2).err().expect("refused");
            assert!(!error.to_string().is_empty() && !error.to_string().contains('\n'));
        }
    }

    #[test]
    fn an_error_is_one_short_line() {
        let error =
            catch_tract_panic(|| -> TractResult<()> { Err(TractError::msg(format!("a\nb {}", "c".repeat(1000)))) })
                .unwrap_err();
        assert!(error.starts_with("a b ccc") && error.ends_with('…') && error.chars().count() == 241);
        assert_eq!(
            catch_tract_panic(|| -> TractResult<()> { panic!("boom\nand more") }),
            Err("boom and more".to_string())
        );
    }
}
