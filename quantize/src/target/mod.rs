//! A board as data: `targets/<name>.toml`. What the fields mean to a user is in `docs/boards.md`.

mod arena;

pub use arena::Arena;

use edge_ocr_engine::Isa;
use serde::Deserialize;

/// What tiles share unless a flag says otherwise: `ScaleParams::default` in the program's `detect/scale.rs`.
const OVERLAP_PX: usize = 96;

/// A target file. Unknown fields are refused, so that a misspelt one is never silently without effect.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Version of this format: 1.
    pub schema: u32,
    /// The file's stem; what `EDGE_OCR_TARGET` takes.
    pub name: String,
    /// One line for `edge-ocr targets`.
    pub description: String,
    /// Threads for which the arena has room; more are possible, but then memory comes from the heap.
    pub threads: usize,
    /// Most bytes that the static arena may take; a build that needs more fails.
    pub arena_budget_bytes: usize,
    /// How the program is made.
    #[serde(default)]
    pub program: Program,
    /// What the board is; without it the target is for any machine.
    pub board: Option<Board>,
    /// What finds text.
    pub detector: Detector,
    /// What reads it.
    pub recogniser: Recogniser,
    /// What tells upright lines from turned ones.
    pub classifier: Classifier,
}

/// How the program is made. All of it may be left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Program {
    /// Whether the plans are deflated in the program's file, and inflated into static memory when it starts.
    pub compress: bool,
}

/// The hardware.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// What `--target` of cargo or cross may be, the recommended one first; all of one architecture.
    pub triples: Vec<String>,
    /// The core, by LLVM's name: what emulators and pipeline models are asked for. The compiler is not: programs
    /// built for one out-of-order core run badly on the in-order ones.
    pub cpu: String,
    /// CPU features beyond the triple's that the kernels need, by Rust's names.
    pub features: Vec<String>,
    /// Instruction set of the kernels, as in `EDGE_OCR_ISA`. A processor without it is refused at start.
    pub kernels: String,
    /// Cores.
    pub cores: usize,
    /// First-level data cache of a core, KiB.
    pub l1d_kib: usize,
    /// Second-level cache, of a core or shared, KiB.
    pub l2_kib: usize,
    /// Memory of the smallest such board, MiB.
    pub ram_mib: usize,
}

/// What finds text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// Name of a manifest that has a `.q8` file beside it.
    pub model: String,
    /// Another one that the program holds as well, for those who ask for it.
    pub second_model: Option<String>,
    /// Widths and heights of the network's inputs, smallest first; multiples of 32.
    pub canvases_px: Vec<[usize; 2]>,
    /// Longest side of the page that is searched; larger ones are reduced to it.
    pub max_side_px: usize,
}

/// What reads text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recogniser {
    /// Name of a manifest that has a `.q8` file beside it.
    pub model: String,
    /// The one that reads again what the first is not sure of.
    pub second_model: Option<String>,
    /// Characters that can be read: `latin`, `digits`, `full`, or a text file; `EDGE_OCR_CHARSET` goes before it.
    pub charset: String,
    /// Widths of the network's input, ascending.
    pub widths_px: Vec<usize>,
    /// Pixels of the largest line image; larger ones are cut out at a smaller scale.
    pub max_crop_px: usize,
}

/// What tells upright lines from turned ones.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// Name of a manifest that has a `.q8` file beside it.
    pub model: String,
}

/// CPU features that the kernels of an instruction set need beyond the architecture's least, by Rust's names.
fn features(isa: Isa) -> &'static [&'static str] {
    match isa {
        Isa::Avx2 => &["avx2"],
        Isa::AvxVnni => &["avx2", "avxvnni"],
        Isa::Avx512Vnni => &["avx2", "avx512f", "avx512bw", "avx512vl", "avx512vnni"],
        Isa::NeonDot => &["dotprod"],
        Isa::Scalar | Isa::ArmDsp | Isa::NeonSadalp => &[],
    }
}

/// The architecture of a triple, by the name that Rust's `target_arch` has for it.
fn arch(triple: &str) -> &str {
    match triple.split_once('-').map_or(triple, |(arch, _)| arch) {
        arch if arch.starts_with("arm") || arch.starts_with("thumb") => "arm",
        arch => arch,
    }
}

impl Board {
    /// The architecture, by the name that Rust's `target_arch` has for it.
    pub fn arch(&self) -> &str {
        self.triples.first().map_or("", |triple| arch(triple))
    }

    fn check(&self) -> Result<(), String> {
        let isa = Isa::from_name(&self.kernels).map_err(|_| {
            let known: Vec<&str> = Isa::ALL.iter().map(|isa| isa.name()).collect();
            format!("board.kernels is {:?}; it can be {}", self.kernels, known.join(", "))
        })?;
        let own = match isa {
            Isa::Scalar => self.arch(),
            Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni => "x86_64",
            Isa::ArmDsp => "arm",
            Isa::NeonSadalp | Isa::NeonDot => "aarch64",
        };
        let lacking = features(isa).iter().find(|need| !self.features.iter().any(|has| has == *need));
        let facts = [
            (self.triples.is_empty(), "board.triples is empty".to_string()),
            (self.triples.iter().any(|t| arch(t) != self.arch()), "board.triples are of several architectures".into()),
            (own != self.arch(), format!("board.kernels {:?} are not for {}", self.kernels, self.arch())),
            (lacking.is_some(), format!("board.kernels {:?} need {lacking:?} in board.features", self.kernels)),
            (!(1..=1024).contains(&self.cores), "board.cores must be 1 to 1024".into()),
            (!(4..=1024).contains(&self.l1d_kib), "board.l1d_kib must be 4 to 1024".into()),
            (self.l2_kib > 1 << 20, "board.l2_kib must be at most a gigabyte".into()),
            (!(64..=1 << 20).contains(&self.ram_mib), "board.ram_mib must be 64 to 1048576".into()),
        ];
        facts.into_iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, sentence)| Err(sentence))
    }
}

impl Target {
    /// Reads and checks a target file; `name` is its stem. The error is one line.
    ///
    /// # Errors
    /// What is wrong with the file, without its name.
    pub fn parse(text: &str, name: &str) -> Result<Target, String> {
        let target: Target =
            toml::from_str(text).map_err(|e| e.to_string().split_whitespace().collect::<Vec<_>>().join(" "))?;
        target.check(name)?;
        Ok(target)
    }

    fn check(&self, name: &str) -> Result<(), String> {
        let (det, rec) = (&self.detector, &self.recogniser);
        let canvas = |c: &[usize; 2]| c.iter().all(|side| (32..=4096).contains(side) && side.is_multiple_of(32));
        let width = |w: &usize| (32..=8192).contains(w) && w.is_multiple_of(8);
        let ram = self.board.as_ref().map_or(usize::MAX, |board| board.ram_mib << 20);
        let facts = [
            (self.schema == 1, "schema must be 1"),
            (self.name == name && name.len() <= 24, "name must be the file's, at most 24 letters"),
            ((1..=16).contains(&self.threads), "threads must be 1 to 16"),
            (self.arena_budget_bytes <= ram / 2, "arena_budget_bytes must be at most half of board.ram_mib"),
            (
                !det.canvases_px.is_empty() && det.canvases_px.iter().all(canvas),
                "detector.canvases_px must be sides of 32 to 4096 pixels, multiples of 32",
            ),
            (det.second_model.as_ref() != Some(&det.model), "detector.second_model must be another than model"),
            (rec.second_model.as_ref() != Some(&rec.model), "recogniser.second_model must be another than model"),
            (
                det.canvases_px.iter().any(|c| c.iter().all(|side| *side >= 2 * OVERLAP_PX)),
                "detector.canvases_px needs a canvas of at least 192x192, for pages that are cut into tiles",
            ),
            (det.canvases_px.is_sorted_by_key(|[w, h]| w * h), "detector.canvases_px must begin with the smallest"),
            ((64..=8192).contains(&det.max_side_px), "detector.max_side_px must be 64 to 8192"),
            (
                !rec.widths_px.is_empty() && rec.widths_px.iter().all(width) && rec.widths_px.is_sorted(),
                "recogniser.widths_px must be 32 to 8192 pixels, multiples of 8, ascending",
            ),
            ((1 << 14..=1 << 24).contains(&rec.max_crop_px), "recogniser.max_crop_px must be 16384 to 16777216"),
        ];
        match facts.into_iter().find(|(holds, _)| !holds) {
            Some((_, sentence)) => Err(sentence.into()),
            None => self.board.as_ref().map_or(Ok(()), Board::check),
        }
    }

    /// Whether a program for `arch` (a `target_arch` of Rust) can be for this target.
    ///
    /// # Errors
    /// A sentence that says what to build with instead.
    pub fn suits(&self, arch: &str) -> Result<(), String> {
        match &self.board {
            Some(board) if board.arch() != arch => Err(format!(
                "the target {} is a board for {}, and this build is for {arch}; add --target {}",
                self.name,
                board.arch(),
                board.triples.first().map_or("", String::as_str)
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
