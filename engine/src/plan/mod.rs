//! A plan: a quantised network specialised for one board, in bytes that are used where they lie.
//!
//! ```text
//!  0   8 bytes   "EOCRPLN\n"
//!  8   4 bytes   format version, little endian like all numbers
//! 12   4 bytes   length of the constants, a multiple of 64
//! 16   4 bytes   length of the tables
//! 20  44 bytes   0
//! 64  constants  packed weights, sums, biases, multipliers, f32 matrices, tables of bytes; each at a multiple of 64
//!     tables     Head, then for each input size its VariantHead and its steps (a name and a Step each); postcard
//!     4 bytes    CRC-32 (IEEE) of everything before
//! ```
//!
//! Input sizes ("variants": a detector's h x w, a recogniser's widths) share the constants. Packed weights are the
//! same for all instruction sets, and scratch is large enough for each, so a plan fits every board with its byte
//! order.
//!
//! [`Plan::load`] checks every offset, length, type and alias; [`crate::exec::PreparedPlan::new`] lets every
//! operator check its shapes. After that an executor cannot leave the arena.
//!
//! How to add an operator: `docs/engine.md`, "Adding an operator". Raise [`VERSION`] when old plans would be read
//! wrongly: a [`Step`] is stored by its number, so new ones go to the end.

mod check;
mod crc;
mod error;
mod scratch;
mod step;

pub use crc::crc32;
pub use error::PlanError;
pub use step::{ConvStep, DType, ExciteStep, Span, Step, Tensor};

use crate::kernels::Name;
use crate::kernels::args::Activation;
use crate::size::MAX_BYTES;
use crate::tensor::SLACK_BYTES;
use serde::{Deserialize, Serialize};

#[cfg(target_endian = "big")]
compile_error!("plans are little endian and used where they lie");

/// First bytes of a plan.
pub const MAGIC: [u8; 8] = *b"EOCRPLN\n";
/// Version of the format that this release writes and reads.
pub const VERSION: u32 = 1;
/// Bytes before the constants; also what a plan's first byte must be aligned to.
pub const HEADER_BYTES: usize = 64;
/// Most workers of an executor.
pub const MAX_WORKERS: usize = 16;

const MAX_VARIANTS: usize = 64;
const MAX_STEPS: usize = 4096;

/// Bytes with an alignment of 64: `static PLAN: &Aligned<[u8]> = &Aligned(*include_bytes!("..."));`
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Aligned<T: ?Sized>(pub T);

/// What a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header<'a> {
    /// Name of the quantised model.
    pub model: &'a str,
    /// Name of the target.
    pub target: &'a str,
    /// Classes of a recogniser; 0 for others.
    pub classes: u32,
    /// CRC-32 of the classes' texts, each followed by a zero byte; 0 without classes.
    pub classes_crc: u32,
    /// Input sizes.
    pub variants: usize,
}

/// What is fixed for one input size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariantHeader {
    /// Bytes of the arena that hold tensors; a multiple of 64.
    pub tensor_bytes: usize,
    /// Bytes of scratch for each worker; a multiple of 64.
    pub scratch_bytes: usize,
    /// The image: u8, dense.
    pub input: Tensor,
    /// The answer: dense.
    pub output: Tensor,
    /// Steps.
    pub steps: usize,
    /// Bytes of the steps.
    pub steps_bytes: usize,
}

/// A step with the name of the operator of the network that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedStep<'a> {
    /// Name.
    pub name: &'a str,
    /// Step.
    pub step: Step,
}

/// A checked plan.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    header: Header<'a>,
    constants: &'a [u8],
    variants: &'a [u8],
}

/// One input size of a checked plan.
#[derive(Clone, Copy, Debug)]
pub struct Variant<'a> {
    header: VariantHeader,
    steps: &'a [u8],
    constants: &'a [u8],
}

/// The header of a plan with these lengths.
pub fn header(constants: u32, tables: u32) -> [u8; HEADER_BYTES] {
    let mut h = [0; HEADER_BYTES];
    h[..8].copy_from_slice(&MAGIC);
    h[8..12].copy_from_slice(&VERSION.to_le_bytes());
    h[12..16].copy_from_slice(&constants.to_le_bytes());
    h[16..20].copy_from_slice(&tables.to_le_bytes());
    h
}

/// Bytes of arena for `tensor_bytes` of tensors and `workers` times `scratch_bytes`.
pub const fn arena_bytes(tensor_bytes: usize, scratch_bytes: usize, workers: usize) -> usize {
    tensor_bytes + SLACK_BYTES + workers * scratch_bytes + SLACK_BYTES
}

impl<'a> Plan<'a> {
    /// Checks a plan. It borrows the bytes and copies nothing.
    ///
    /// # Errors
    /// [`PlanError`]: not a plan, another version, truncated, damaged, or breaking a rule.
    pub fn load(bytes: &'a [u8]) -> Result<Plan<'a>, PlanError> {
        let word = |at: usize| {
            let b = bytes.get(at..at + 4)?;
            b.try_into().ok().map(u32::from_le_bytes)
        };
        if bytes.get(..8) != Some(&MAGIC[..]) {
            return Err(PlanError::NotAPlan);
        }
        let short = PlanError::Length { have: bytes.len(), need: HEADER_BYTES + 4 };
        let found = word(8).ok_or(short)?;
        if found != VERSION {
            return Err(PlanError::Version { found });
        }
        let (constants, tables) = (word(12).ok_or(short)? as usize, word(16).ok_or(short)? as usize);
        let need = constants.checked_add(tables).and_then(|n| n.checked_add(HEADER_BYTES + 4));
        let need = need.ok_or(PlanError::Content { what: "impossible lengths" })?;
        if bytes.len() != need {
            return Err(PlanError::Length { have: bytes.len(), need });
        }
        if Some(crc32(&bytes[..need - 4])) != word(need - 4) {
            return Err(PlanError::Checksum);
        }
        if !bytes.as_ptr().addr().is_multiple_of(HEADER_BYTES) {
            return Err(PlanError::Unaligned);
        }
        if !constants.is_multiple_of(64) {
            return Err(PlanError::Content { what: "the constants are not aligned" });
        }
        let tables_at = HEADER_BYTES + constants;
        let (header, variants): (Header<'a>, &'a [u8]) = take(&bytes[tables_at..need - 4])?;
        let plan = Plan { header, constants: &bytes[HEADER_BYTES..tables_at], variants };
        plan.check()?;
        Ok(plan)
    }

    /// As [`Plan::load`], and the plan must be for the target `wanted`.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn load_for(bytes: &'a [u8], wanted: &str) -> Result<Plan<'a>, PlanError> {
        let plan = Plan::load(bytes)?;
        if plan.header.target != wanted {
            return Err(PlanError::Target { found: Name::new(plan.header.target), wanted: Name::new(wanted) });
        }
        Ok(plan)
    }

    fn check(&self) -> Result<(), PlanError> {
        let content = |what| PlanError::Content { what };
        if !(1..=MAX_VARIANTS).contains(&self.header.variants) {
            return Err(content("no input sizes, or too many"));
        }
        let mut rest = self.variants;
        for index in 0..self.header.variants {
            let variant;
            (variant, rest) = self.split(rest)?;
            let h = &variant.header;
            let whole = |n: usize| n <= MAX_BYTES && n.is_multiple_of(64);
            if !whole(h.tensor_bytes) || !whole(h.scratch_bytes) || h.scratch_bytes > MAX_BYTES / MAX_WORKERS {
                return Err(content("the arena is too large or not aligned"));
            }
            for t in [&h.input, &h.output] {
                check::check_tensor(t, h.tensor_bytes).map_err(content)?;
                if !t.is_dense() {
                    return Err(content("input or output has gaps"));
                }
            }
            if !matches!(h.input.dtype, DType::U8 { .. }) {
                return Err(content("the input is not u8"));
            }
            let (mut steps, mut step) = (variant.steps, 0);
            while !steps.is_empty() {
                let named: NamedStep<'_>;
                (named, steps) = take(steps)?;
                check::check_step(&named.step, h, self.constants.len()).map_err(|what| PlanError::Step {
                    variant: index,
                    step,
                    what,
                })?;
                step += 1;
            }
            if step != h.steps || step > MAX_STEPS {
                return Err(content("the number of steps is wrong"));
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(content("bytes are left over")) }
    }

    /// The first variant of `tables`, and what follows it.
    fn split(&self, tables: &'a [u8]) -> Result<(Variant<'a>, &'a [u8]), PlanError> {
        let (header, rest): (VariantHeader, &'a [u8]) = take(tables)?;
        let (steps, rest) =
            rest.split_at_checked(header.steps_bytes).ok_or(PlanError::Content { what: "the steps are cut off" })?;
        Ok((Variant { header, steps, constants: self.constants }, rest))
    }

    /// Model, target, classes.
    pub fn header(&self) -> &Header<'a> {
        &self.header
    }

    /// Bytes of the constants.
    pub fn constants_bytes(&self) -> usize {
        self.constants.len()
    }

    /// All input sizes, in the order in which they were asked for.
    pub fn variants(&self) -> impl Iterator<Item = Variant<'a>> {
        let plan = *self;
        let mut rest = self.variants;
        (0..self.header.variants).map_while(move |_| {
            let (variant, left) = plan.split(rest).ok()?;
            rest = left;
            Some(variant)
        })
    }

    /// Input size number `index`.
    ///
    /// # Errors
    /// [`PlanError::Variant`].
    pub fn variant(&self, index: usize) -> Result<Variant<'a>, PlanError> {
        self.variants().nth(index).ok_or(PlanError::Variant { index, count: self.header.variants })
    }

    /// Bytes of arena that are enough for every input size with `workers` workers.
    pub fn arena_bytes(&self, workers: usize) -> usize {
        self.variants().map(|v| v.arena_bytes(workers)).max().unwrap_or(0)
    }
}

impl<'a> Variant<'a> {
    /// Sizes, input, output.
    pub fn header(&self) -> &VariantHeader {
        &self.header
    }

    /// Bytes of arena with `workers` workers.
    pub fn arena_bytes(&self, workers: usize) -> usize {
        arena_bytes(self.header.tensor_bytes, self.header.scratch_bytes, workers.min(MAX_WORKERS))
    }

    /// All steps in order.
    pub fn steps(&self) -> impl Iterator<Item = NamedStep<'a>> {
        let mut rest = self.steps;
        core::iter::from_fn(move || {
            let (step, left) = postcard::take_from_bytes(rest).ok()?;
            rest = left;
            Some(step)
        })
    }

    /// The step that starts at byte `at` of the steps, and the byte at which the next one starts.
    #[cfg(feature = "std")]
    pub(crate) fn step_at(&self, at: usize) -> Option<(NamedStep<'a>, usize)> {
        let (step, left) = postcard::take_from_bytes(self.steps.get(at..)?).ok()?;
        Some((step, self.steps.len() - left.len()))
    }

    pub(crate) fn constants(&self) -> &'a [u8] {
        self.constants
    }
}

fn take<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), PlanError> {
    postcard::take_from_bytes(bytes).map_err(|_| PlanError::Content { what: "its tables are not readable" })
}
