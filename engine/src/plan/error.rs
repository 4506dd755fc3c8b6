//! Why a plan was refused.

use crate::error::Error;
use crate::kernels::Name;
use core::fmt;

/// A plan cannot be used, or not here.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PlanError {
    /// The bytes do not start at a multiple of 64.
    Unaligned,
    /// They do not begin like a plan.
    NotAPlan,
    /// Another version of the format.
    Version {
        /// Found.
        found: u32,
    },
    /// The length is not what the header says.
    Length {
        /// Bytes given.
        have: usize,
        /// Bytes that belong there.
        need: usize,
    },
    /// The checksum does not match.
    Checksum,
    /// Header, tables or steps do not make sense.
    Content {
        /// What.
        what: &'static str,
    },
    /// A step breaks a rule.
    Step {
        /// Input size that it belongs to, counted from 0.
        variant: usize,
        /// Number of the step, counted from 0.
        step: usize,
        /// Which rule.
        what: &'static str,
    },
    /// An operator refuses a step's arguments.
    Op {
        /// Number of the step, counted from 0.
        step: usize,
        /// Its sentence.
        error: Error,
    },
    /// The plan was made for another board.
    Target {
        /// Found.
        found: Name,
        /// Wanted.
        wanted: Name,
    },
    /// The plan has no such input size.
    Variant {
        /// Asked for.
        index: usize,
        /// Input sizes there are.
        count: usize,
    },
    /// The arena is too small or does not start at a multiple of 64.
    Arena {
        /// Bytes given (0 when misaligned).
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// No workers, or more than [`super::MAX_WORKERS`].
    Workers {
        /// Asked for.
        workers: usize,
    },
}

const AGAIN: &str = "make it again with `quantize plan`";

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            PlanError::Unaligned => {
                f.write_str("the plan does not start at a multiple of 64 bytes; embed it in `plan::Aligned`")
            }
            PlanError::NotAPlan => write!(f, "these bytes do not begin like a plan; {AGAIN}"),
            PlanError::Version { found } => {
                write!(f, "the plan's format is version {found}, this release reads {}; {AGAIN}", super::VERSION)
            }
            PlanError::Length { have, need } => {
                write!(f, "the plan has {have} bytes where {need} belong: it is truncated or padded; {AGAIN}")
            }
            PlanError::Checksum => write!(f, "the plan's checksum does not match: it is damaged; {AGAIN}"),
            PlanError::Content { what } => write!(f, "the plan cannot be used: {what}; {AGAIN}"),
            PlanError::Step { variant, step, what } => {
                write!(f, "the plan cannot be used: step {step} of input size {variant}: {what}; {AGAIN}")
            }
            PlanError::Op { step, error } => write!(f, "the plan cannot be used: step {step}: {error}; {AGAIN}"),
            PlanError::Target { found, wanted } => write!(
                f,
                "the plan was made for the target {}, this program was built for {}; make it for this target",
                found.as_str(),
                wanted.as_str()
            ),
            PlanError::Variant { index, count } => {
                write!(f, "the plan has {count} input sizes, number {index} was asked for")
            }
            PlanError::Arena { have: 0, need } => {
                write!(f, "the arena must start at a multiple of 64 bytes and hold {need} bytes")
            }
            PlanError::Arena { have, need } => write!(f, "the arena holds {have} bytes, {need} are needed"),
            PlanError::Workers { workers } => {
                write!(f, "{workers} workers were asked for; 1 to {} are possible", super::MAX_WORKERS)
            }
        }
    }
}

impl core::error::Error for PlanError {}
