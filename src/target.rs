//! The board that this program was built for, made by `build/main.rs` from `targets/<name>.toml`: input sizes, plans,
//! and the size of all memory.
//!
//! To add a board: copy a file of `targets/`, change its numbers (`docs/boards.md` explains them), and build
//! with `EDGE_OCR_TARGET` set to the file's stem.

mod stored;

pub use stored::Stored;

use crate::models::Kind;

/// A plan inside the program.
#[derive(Debug)]
pub struct Embedded {
    /// Name of the manifest.
    pub model: &'static str,
    /// What the network does.
    pub kind: Kind,
    /// The plan, as it lies in the program.
    pub stored: Stored,
    /// Bytes of the plan.
    pub plan_bytes: usize,
    /// Bytes of its weights and other constants.
    pub constants_bytes: usize,
    /// Text of each class of a recogniser; class 0 is the blank. Empty for the others.
    pub classes: &'static [&'static str],
    /// Its input sizes.
    pub sizes: &'static [Size],
}

/// The networks of a kind that are built in; the first is the default.
pub fn embedded(kind: Kind) -> &'static [Embedded] {
    match kind {
        Kind::Detector => &DETECTORS,
        Kind::Recogniser => &RECOGNISERS,
        Kind::Classifier => &CLASSIFIERS,
    }
}

/// All networks that are built in.
pub fn all_embedded() -> impl Iterator<Item = &'static Embedded> {
    [Kind::Detector, Kind::Recogniser, Kind::Classifier].into_iter().flat_map(embedded)
}

/// The network of a kind and name, if it is built in.
pub fn find(kind: Kind, name: &str) -> Option<&'static Embedded> {
    embedded(kind).iter().find(|embedded| embedded.model == name)
}

impl Embedded {
    /// The plan's bytes, aligned to 64. Where they are stored deflated, the first call inflates them.
    ///
    /// # Errors
    /// What is wrong with what is stored.
    pub fn plan(&'static self) -> Result<&'static [u8], String> {
        self.stored.plan()
    }
}

/// An input size of a plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// Width of the input.
    pub width_px: usize,
    /// Height of the input.
    pub height_px: usize,
    /// Memory of a run on one thread.
    pub arena_bytes: usize,
    /// Memory of a run on all threads of the target.
    pub arena_bytes_all_threads: usize,
    /// Tensor memory over the most that is ever in use at once; 1 is the least possible.
    pub over_lower_bound: f64,
}

/// What a program knows of a target, its own or another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// What `EDGE_OCR_TARGET` takes.
    pub name: &'static str,
    /// What the target is.
    pub description: &'static str,
    /// The board's architecture, by the name that `target_arch` has for it; none if the target is for any machine.
    pub arch: Option<&'static str>,
    /// The board's core, by LLVM's name.
    pub cpu: Option<&'static str>,
    /// Instruction set of its kernels.
    pub kernels: Option<&'static str>,
    /// Memory of the smallest such board, MiB; 0 if the target is for any machine.
    pub ram_mib: usize,
}

include!(concat!(env!("OUT_DIR"), "/target.rs"));
