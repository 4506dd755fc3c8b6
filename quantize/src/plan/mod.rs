//! The plan compiler: a quantised model and input sizes to a plan of the engine (`edge_ocr_engine::plan`).
//!
//! | module | what |
//! |---|---|
//! | `lower` | operators of the graph to steps of the engine, on numbered slots instead of memory |
//! | `constants` | packed weights, biases and tables as one block, shared by all input sizes |
//! | `buffer_assignment` | slots to buffers: concatenations as views, results in the place of dead inputs |
//! | [`memory_planner`] | buffers to offsets |
//! | `map` | the memory map as text and as an image |
//!
//! Nothing here needs tract; this is what `build/main.rs` calls. How to add an operator: `docs/engine.md`,
//! "Adding an operator".

mod buffer_assignment;
mod constants;
mod error;
mod lower;
mod map;
mod memory;
pub mod memory_planner;
mod slots;

pub use error::CompileError;
pub use memory::AlignedBytes;

use crate::q8::Model;
use buffer_assignment::Buffer;
use edge_ocr_engine::plan::{self, Header, NamedStep, Plan, Step, VariantHeader};
use edge_ocr_engine::{Isa, Kernels, PreparedPlan};
use memory_planner::MemoryLayout;

/// For what a plan is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Name of the target, at most 24 bytes: programs refuse plans of other targets.
    pub target: String,
    /// Heights and widths of the input, in pixels; each becomes a variant of the plan, in this order.
    pub sizes: Vec<[usize; 2]>,
}

/// A plan and what is known about it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The plan's file; must be embedded at a multiple of 64 bytes.
    pub bytes: Vec<u8>,
    /// Bytes of the constants.
    pub constants_bytes: usize,
    /// One for each input size.
    pub variants: Vec<CompiledVariant>,
}

/// What is known about one input size.
#[derive(Clone, Debug)]
pub struct CompiledVariant {
    /// Height and width of the input.
    pub size: [usize; 2],
    /// Steps in order.
    pub steps: Vec<CompiledStep>,
    /// Buffers with their lifetimes.
    pub buffers: Vec<Buffer>,
    /// Their offsets.
    pub memory_layout: MemoryLayout,
    /// Bytes of scratch for each worker.
    pub scratch_bytes: usize,
}

/// A step and where it comes from.
#[derive(Clone, Debug)]
pub struct CompiledStep {
    /// Index of the graph's node.
    pub node: usize,
    /// The step.
    pub step: Step,
}

impl CompiledVariant {
    /// Bytes of arena with `workers` workers.
    pub fn arena_bytes(&self, workers: usize) -> usize {
        plan::arena_bytes(self.memory_layout.bytes, self.scratch_bytes, workers)
    }
}

/// Compiles a model for some input sizes. The same model and options give the same bytes.
///
/// # Errors
/// [`CompileError`]: an operator or element type that the engine lacks (with the node's name), an input size that
/// does not fit, numbers out of range.
pub fn compile(model: &Model, options: &Options) -> Result<Compiled, CompileError> {
    if options.sizes.is_empty() {
        return Err(CompileError::Options("no input sizes were given; give at least one".into()));
    }
    if options.target.is_empty() || options.target.len() > 24 {
        return Err(CompileError::Options(format!(
            "a target's name has 1 to 24 bytes, \"{}\" has not",
            options.target
        )));
    }
    let graph = &model.graph;
    let mut constants = constants::Constants::default();
    let mut variants = Vec::new();
    let mut tables = Vec::new();
    for &size in &options.sizes {
        let shapes = graph.shapes(size[0], size[1])?;
        let lowered = lower::lower(graph, &shapes, &mut constants)?;
        let placed = buffer_assignment::assign_buffers(&lowered)?;
        let memory_layout = memory_planner::plan_offsets(&placed.buffers);
        let steps: Vec<CompiledStep> = lowered
            .steps
            .iter()
            .map(|d| CompiledStep { node: d.node, step: placed.place(&d.step, &memory_layout.offsets) })
            .collect();
        let scratch_bytes = steps.iter().map(|s| s.step.scratch_bytes()).max().unwrap_or(0);
        let mut body = Vec::new();
        for s in &steps {
            let name = &graph.nodes[s.node].name;
            body.extend(postcard::to_stdvec(&NamedStep { name, step: s.step }).map_err(CompileError::write)?);
        }
        let header = VariantHeader {
            tensor_bytes: memory_layout.bytes,
            scratch_bytes,
            input: placed.tensor(lowered.input, &memory_layout.offsets),
            output: placed.tensor(lowered.output, &memory_layout.offsets),
            steps: steps.len(),
            steps_bytes: body.len(),
        };
        tables.extend(postcard::to_stdvec(&header).map_err(CompileError::write)?);
        tables.extend(body);
        variants.push(CompiledVariant { size, steps, buffers: placed.buffers, memory_layout, scratch_bytes });
    }
    let bytes = write(model, options, constants.bytes(), &tables)?;
    verify(&bytes)?;
    Ok(Compiled { bytes, constants_bytes: constants.bytes().len(), variants })
}

/// The file.
fn write(model: &Model, options: &Options, constants: &[u8], tables: &[u8]) -> Result<Vec<u8>, CompileError> {
    let header = Header {
        model: &model.name,
        target: &options.target,
        classes: model.classes.len() as u32,
        classes_crc: classes_crc(&model.classes),
        variants: options.sizes.len(),
    };
    let header = postcard::to_stdvec(&header).map_err(CompileError::write)?;
    let len = |n: usize| u32::try_from(n).map_err(CompileError::write);
    let mut bytes = plan::header(len(constants.len())?, len(header.len() + tables.len())?).to_vec();
    bytes.extend_from_slice(constants);
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(tables);
    bytes.extend_from_slice(&plan::crc32(&bytes).to_le_bytes());
    Ok(bytes)
}

/// What [`Header::classes_crc`] holds for these texts.
pub fn classes_crc(classes: &[String]) -> u32 {
    if classes.is_empty() {
        return 0;
    }
    let texts: Vec<u8> = classes.iter().flat_map(|c| c.bytes().chain([0])).collect();
    plan::crc32(&texts)
}

/// Loads the plan as a board would, and lets every operator check its arguments.
fn verify(bytes: &[u8]) -> Result<(), CompileError> {
    let aligned = AlignedBytes::copy(bytes);
    let plan = Plan::load(aligned.bytes()).map_err(CompileError::refused)?;
    let kernels = Kernels::for_isa(Isa::Scalar).map_err(CompileError::refused)?;
    let mut arena = AlignedBytes::zeroed(plan.arena_bytes(1));
    for variant in 0..plan.header().variants {
        PreparedPlan::new(&plan, variant, kernels, 1, arena.bytes_mut()).map_err(CompileError::refused)?;
    }
    Ok(())
}
