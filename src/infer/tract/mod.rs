//! The float engine: tract reads any ONNX network of the family and runs it in f32.
//!
//! Every input shape gets a plan of its own: a symbolic axis left in a plan makes tract's depthwise convolutions about
//! eight times slower. A plan holds a packed copy of the weights, so the number of plans kept is bounded and the one
//! unused for longest goes first. This engine allocates while it runs.

use super::{InferError, Model, Network, Shape};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use tract_linalg::multithread::{Executor, multithread_tract_scope};
use tract_onnx::prelude::*;

type Plan = Arc<RunnableModel<TypedFact, Box<dyn TypedOp>>>;

/// How a network is run.
#[derive(Clone, Debug)]
pub struct TractOptions {
    /// Plans kept at once, at least 1.
    pub max_plans: usize,
    /// Threads inside one run (matrix products only), at least 1.
    pub threads: usize,
}

/// Why a file is not a network that tract can read. The text is tract's reason.
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
#[error("{0}")]
pub struct ReadError(String);

/// A network read from ONNX.
pub struct TractNetwork {
    name: String,
    graph: InferenceModel,
    metadata: Vec<(String, String)>,
    executor: Option<Executor>,
    max_plans: usize,
    plans: Mutex<Vec<(Shape, Plan)>>,
}

impl TractNetwork {
    /// Reads the bytes of an ONNX file with embedded weights. `name` is used in error messages.
    pub fn read(name: &str, bytes: &[u8], options: &TractOptions) -> Result<TractNetwork, ReadError> {
        let (graph, metadata) = guarded(|| {
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
        Ok(TractNetwork {
            name: name.to_string(),
            graph,
            metadata,
            executor: (options.threads > 1).then(|| Executor::multithread(options.threads)),
            max_plans: options.max_plans.max(1),
            plans: Mutex::new(Vec::new()),
        })
    }

    /// The value of a key in the file's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    fn build(&self, shape: Shape) -> Result<Plan, InferError> {
        guarded(|| {
            self.graph
                .clone()
                .with_input_fact(0, f32::fact(shape.axes()).into())?
                // What the exporter wrote of the output is a guess with symbols in it; it follows from the input.
                .with_output_fact(0, InferenceFact::default())?
                .into_optimized()?
                .into_runnable()
        })
        .map_err(|reason| InferError::Shape { model: self.name.clone(), shape, reason })
    }

    fn plan(&self, shape: Shape) -> Result<Plan, InferError> {
        // Held while a plan is built, so that two threads never build the same one.
        let mut plans = self.plans.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let entry = match plans.iter().position(|(s, _)| *s == shape) {
            Some(i) => plans.remove(i),
            None => {
                if plans.len() >= self.max_plans {
                    plans.remove(0);
                }
                let start = std::time::Instant::now();
                let plan = self.build(shape)?;
                log::debug!("{}: plan for {shape} in {:.0} ms", self.name, start.elapsed().as_secs_f64() * 1e3);
                (shape, plan)
            }
        };
        let plan = entry.1.clone();
        plans.push(entry);
        Ok(plan)
    }
}

impl Network for TractNetwork {
    fn engine(&self) -> &'static str {
        "tract"
    }

    fn at(&self, input: Shape) -> Result<Box<dyn Model>, InferError> {
        let plan = self.plan(input)?;
        let output = plan
            .model()
            .output_fact(0)
            .ok()
            .and_then(|fact| fact.shape.as_concrete().and_then(Shape::from_slice))
            .ok_or_else(|| InferError::Shape {
                model: self.name.clone(),
                shape: input,
                reason: "its output is not a tensor of one to four fixed axes".into(),
            })?;
        Ok(Box::new(TractModel { name: self.name.clone(), plan, input, output, executor: self.executor.clone() }))
    }
}

struct TractModel {
    name: String,
    plan: Plan,
    input: Shape,
    output: Shape,
    executor: Option<Executor>,
}

impl Model for TractModel {
    fn input_shape(&self) -> Shape {
        self.input
    }

    fn output_shape(&self) -> Shape {
        self.output
    }

    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), InferError> {
        for (want, got) in [(self.input.elements(), input.len()), (self.output.elements(), output.len())] {
            if want != got {
                return Err(InferError::Buffer { model: self.name.clone(), want, got });
            }
        }
        let mut run = || {
            guarded(|| {
                let tensor = Tensor::from_shape(self.input.axes(), input)?;
                let results = self.plan.run(tvec!(tensor.into_tvalue()))?;
                let result = results.first().ok_or_else(|| TractError::msg("no output"))?;
                let values = result.try_as_plain_ram()?.as_slice::<f32>()?;
                if values.len() != output.len() {
                    return Err(TractError::msg("the output has another shape than announced"));
                }
                output.copy_from_slice(values);
                Ok(())
            })
        };
        let done = match &self.executor {
            Some(executor) => multithread_tract_scope(executor.clone(), &mut run),
            None => run(),
        };
        done.map_err(|reason| InferError::Run { model: self.name.clone(), reason })
    }
}

std::thread_local! {
    static GUARDED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether this thread is inside foreign code whose panics become errors: a panic hook may then stay silent.
pub fn panic_is_caught() -> bool {
    GUARDED.get()
}

/// Runs tract and turns its error, or its panic, into one line. tract asserts what it expects of a graph: on a damaged
/// file that must be an answer, not the end of the program.
fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(one_line(&format!("{error:#}"))),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Err(one_line(text.unwrap_or("the engine gave up")))
        }
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

    const OPTIONS: TractOptions = TractOptions { max_plans: 2, threads: 1 };

    #[test]
    fn bytes_that_are_no_network_are_an_error() {
        for bytes in [&b""[..], b"hello", &[0xff; 64]] {
            let error = TractNetwork::read("x.onnx", bytes, &OPTIONS).err().expect("refused");
            assert!(!error.to_string().is_empty() && !error.to_string().contains('\n'));
        }
    }

    #[test]
    fn a_panic_of_the_engine_is_an_error() {
        std::panic::set_hook(Box::new(|_| assert!(panic_is_caught())));
        let caught = guarded(|| -> TractResult<()> { panic!("boom\nand more") });
        let _ = std::panic::take_hook();
        assert_eq!(caught, Err("boom and more".to_string()));
        assert!(!panic_is_caught());
    }
}
