//! The INT8 engine: plans that were compiled with the program run in memory whose size was known then.
//!
//! A plan fixes the input sizes; all of them are checked and prepared when the network is loaded, and a run allocates
//! nothing.

use super::{Answer, InferError, Model, Pool, Session, Shape, borrow_aligned};
use crate::image::CHANNELS;
use crate::memory::Workspace;
use crate::models::Kind;
use crate::target;
use edge_ocr_engine as engine;
use edge_ocr_engine::Kernels;
use edge_ocr_engine::plan::{DType, Plan};
use std::sync::Arc;

pub use edge_ocr_engine::Isa;

/// A network of the program.
pub struct ArenaModel {
    shapes: Vec<Shape>,
    sessions: Vec<Arc<dyn Session>>,
    workers: usize,
}

impl ArenaModel {
    /// Checks the plan of an embedded model, for which it needs `workspace` for a moment; a run uses at most `workers`
    /// threads.
    ///
    /// # Errors
    /// [`InferError::Kernels`] if the processor lacks what was asked for, [`InferError::Plan`] if the plan breaks a
    /// rule.
    pub fn load(
        embedded: &'static target::Embedded,
        workers: usize,
        workspace: &mut Workspace,
    ) -> Result<ArenaModel, InferError> {
        let name = embedded.model;
        let broken = |reason: String| InferError::Plan { model: name.into(), reason };
        let kernels = kernels()?;
        let bytes = embedded.plan().map_err(broken)?;
        let plan = Plan::load_for(bytes, target::NAME).map_err(|e| broken(e.to_string()))?;
        let memory = workspace.bytes(plan.arena_bytes(workers))?;
        let (mut shapes, mut sessions) = (Vec::new(), Vec::<Arc<dyn Session>>::new());
        for variant in 0..plan.header().variants {
            let prepared = engine::PreparedPlan::new(&plan, variant, kernels, workers, memory);
            let prepared = prepared.map_err(|e| broken(e.to_string()))?;
            let session = ArenaSession::new(name, embedded.kind, prepared)
                .ok_or_else(|| broken(format!("its input has {} channels, not three", prepared.input().shape.c)))?;
            shapes.push(session.input);
            sessions.push(Arc::new(session));
        }
        Ok(ArenaModel { shapes, sessions, workers })
    }
}

/// The kernels in force: those of the target, the best that the processor has if the target is for any machine, or
/// those of `EDGE_OCR_ISA`.
///
/// # Errors
/// [`InferError::Machine`] if this is not the machine that the program was built for, [`InferError::Kernels`] if the
/// processor lacks what was asked for.
pub fn kernels() -> Result<&'static Kernels, InferError> {
    crate::board::check().map_err(InferError::Machine)?;
    match target::KERNELS.and_then(|name| Isa::from_name(name).ok()) {
        Some(isa) => Kernels::preferring(isa),
        None => Kernels::detect(),
    }
    .map_err(|e| InferError::Kernels(e.to_string()))
}

/// The instruction set of the kernels in force.
pub fn isa() -> Result<Isa, InferError> {
    kernels().map(Kernels::isa)
}

impl Model for ArenaModel {
    fn engine(&self) -> &'static str {
        "arena"
    }

    fn shapes(&self) -> Option<&[Shape]> {
        Some(&self.shapes)
    }

    fn spreads(&self) -> bool {
        self.workers > 1
    }

    fn session(&self, input: Shape) -> Result<Arc<dyn Session>, InferError> {
        let index = self.shapes.iter().position(|shape| *shape == input);
        index.and_then(|i| self.sessions.get(i)).cloned().ok_or_else(|| InferError::Size {
            shape: input,
            built_in: self.shapes.iter().map(Shape::to_string).collect::<Vec<_>>().join(", "),
        })
    }
}

struct ArenaSession {
    name: &'static str,
    prepared: engine::PreparedPlan<'static>,
    input: Shape,
    output: Shape,
    /// Where the image lies in the arena.
    offset: usize,
    /// Byte that pads an image: what the network takes for 0.
    padding: u8,
}

impl ArenaSession {
    fn new(name: &'static str, kind: Kind, prepared: engine::PreparedPlan<'static>) -> Option<ArenaSession> {
        let (input, output) = (prepared.input(), prepared.output().shape);
        let DType::U8 { zero, .. } = input.dtype else { return None };
        let (tokens, offset) = (output.h * output.w, input.offset);
        let input = (input.shape.c == CHANNELS).then(|| Shape::image(input.shape.h, input.shape.w))?;
        let output = match kind {
            Kind::Detector => Shape::from_slice(&[1, output.c, output.h, output.w]),
            Kind::Recogniser => Shape::from_slice(&[1, tokens, output.c]),
            Kind::Classifier => Shape::from_slice(&[1, tokens * output.c]),
        }?;
        Some(ArenaSession { name, prepared, input, output, offset, padding: zero })
    }
}

impl Session for ArenaSession {
    fn input_shape(&self) -> Shape {
        self.input
    }

    fn output_shape(&self) -> Shape {
        self.output
    }

    fn memory_bytes(&self) -> usize {
        self.prepared.arena_bytes()
    }

    fn input<'a>(&self, memory: &'a mut [u8]) -> Result<&'a mut [u8], InferError> {
        let arena = borrow_aligned(self.name, memory, self.memory_bytes())?;
        // A checked plan's input lies inside the arena.
        Ok(arena.get_mut(self.offset..self.offset + self.input.elements()).unwrap_or_default())
    }

    fn run<'a>(
        &self,
        memory: &'a mut [u8],
        columns: &[usize],
        pool: Option<&mut Pool>,
    ) -> Result<Answer<'a>, InferError> {
        let &[_, _, _, width] = self.input.axes() else { return Err(self.failed("it takes no image".into())) };
        let columns = columns.first().copied().unwrap_or(width);
        if columns < width {
            for row in self.input(memory)?.chunks_exact_mut(width * CHANNELS) {
                row[columns * CHANNELS..].fill(self.padding);
            }
        }
        let arena = borrow_aligned(self.name, memory, self.memory_bytes())?;
        let mut run = self.prepared.bind(arena).map_err(|e| self.failed(e.to_string()))?;
        match pool {
            Some(pool) => pool.run(&mut run),
            None => run.run(),
        }
        .map_err(|e| self.failed(e.to_string()))?;
        match run.into_output() {
            engine::Answer::F32(values) => Ok(Answer::F32(values)),
            engine::Answer::U8 { values, zero, scale } => Ok(Answer::U8 { values, zero, scale }),
        }
    }
}

impl ArenaSession {
    fn failed(&self, reason: String) -> InferError {
        InferError::Run { model: self.name.into(), reason }
    }
}
