//! What was measured, as a table, as one JSON object, or as a row for `benches/boards/`.

use super::machine::Machine;
use super::stats::Stats;
use super::{Stop, exit};
use edge_ocr::sensors::Reading;
use serde::Serialize;

/// Name and version of the JSON object; the number rises when a field changes its meaning.
pub const SCHEMA: &str = "edge-ocr-bench/1";

/// Head of the table that rows belong to.
pub const COLUMNS: &str = "| board | processor | cores | kernels | threads | det ms | rec ms | page ms | cold start ms | peak MB | arena MB | J a page | degrees | version |";

#[derive(Clone, Copy, PartialEq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StageName {
    Det,
    Rec,
    Page,
}

impl StageName {
    fn name(self) -> &'static str {
        match self {
            StageName::Det => "det",
            StageName::Rec => "rec",
            StageName::Page => "page",
        }
    }
}

/// Everything that was measured, and on what.
#[derive(Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub version: &'static str,
    pub target: &'static str,
    #[serde(flatten)]
    pub machine: Machine,
    pub engine: &'static str,
    /// Instruction set of the INT8 kernels; the float engine has its own.
    pub kernels: Option<&'static str>,
    /// Characters that the INT8 engine can read; the float engine's are in the model.
    pub charset: Option<&'static str>,
    pub threads: usize,
    pub arena_bytes: usize,
    pub peak_memory_bytes: Option<u64>,
    /// From starting another process of this program to its having read the built-in image.
    pub cold_start_ms: Option<f64>,
    pub repeat: u32,
    pub warm_up: u32,
    pub before: Reading,
    pub after: Reading,
    pub warnings: Vec<String>,
    pub stages: Vec<Stage>,
}

/// One measurement.
#[derive(Serialize)]
pub struct Stage {
    pub stage: StageName,
    pub model: String,
    /// Of the network's input, or of the page.
    pub width_px: usize,
    pub height_px: usize,
    /// Threads that shared one run.
    pub threads: usize,
    pub ms: Stats,
    /// Where the time of a page went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Memory of one run of the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<usize>,
    /// Energy of one repetition, of everything that the board's sensor sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joules: Option<f64>,
    /// Pixels that the detector takes for text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_pixels: Option<usize>,
    /// What was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

#[derive(Serialize)]
pub struct Part {
    pub part: &'static str,
    pub ms: Stats,
}

impl Report {
    /// For programs.
    pub fn json(&self) -> Result<u8, Stop> {
        let text =
            serde_json::to_string(self).map_err(|e| Stop::Failed(format!("the times could not be written: {e}")))?;
        say!("{text}");
        Ok(exit::OK)
    }

    /// A row for the table of boards, and its head.
    pub fn markdown(&self) -> Result<u8, Stop> {
        let or_dash = |number: Option<f64>, digits: usize| number.map_or("-".into(), |n| format!("{n:.digits$}"));
        let stage = |name: StageName| self.stages.iter().find(|stage| stage.stage == name);
        let times = |name: StageName| {
            let of = |s: &Stage| format!("{:.1} / {:.1} ({}x{})", s.ms.p50, s.ms.p90, s.width_px, s.height_px);
            let all: Vec<String> = self.stages.iter().filter(|stage| stage.stage == name).map(of).collect();
            if all.is_empty() { "-".into() } else { all.join("; ") }
        };
        let machine = &self.machine;
        let cells = [
            machine.board.clone().unwrap_or_else(|| "-".into()),
            machine.cpu.clone().unwrap_or_else(|| "-".into()),
            machine.cores.to_string(),
            self.kernels.unwrap_or("f32").into(),
            self.threads.to_string(),
            times(StageName::Det),
            times(StageName::Rec),
            times(StageName::Page),
            or_dash(self.cold_start_ms, 0),
            or_dash(self.peak_memory_bytes.map(|bytes| megabytes(bytes as f64)), 1),
            format!("{:.1}", megabytes(self.arena_bytes as f64)),
            or_dash(stage(StageName::Page).and_then(|stage| stage.joules), 3),
            or_dash(self.after.temperature_c, 0),
            format!("{} for {}", self.version, self.target),
        ];
        say!("{COLUMNS}");
        say!("{}", COLUMNS.split(" | ").map(|_| "---").collect::<Vec<_>>().join("|").replacen("---", "|---", 1) + "|");
        say!("| {} |", cells.map(|cell| cell.replace('|', "/")).join(" | "));
        Ok(exit::OK)
    }

    /// For people.
    pub fn table(&self) -> Result<u8, Stop> {
        let machine = &self.machine;
        let cpu = machine.cpu.as_deref().unwrap_or("unknown");
        let board = machine.board.as_ref().map_or(String::new(), |board| format!(", {board}"));
        say!("program    edge-ocr {} for {} on {}, target {}", self.version, machine.arch, machine.os, self.target);
        say!("processor  {cpu}, {} cores{board}", machine.cores);
        let kernels = self.kernels.map_or("f32".into(), |isa| format!("{isa} kernels"));
        say!("engine     {}, {kernels}, {} threads", self.engine, self.threads);
        let peak =
            self.peak_memory_bytes.map_or("unknown".into(), |bytes| format!("{:.1} MB", megabytes(bytes as f64)));
        say!("memory     peak {peak}; static arena {:.1} MB", megabytes(self.arena_bytes as f64));
        if let Some(ms) = self.cold_start_ms {
            say!("cold start {ms:.0} ms from starting the program to the built-in image's text");
        }
        if let (Some(then), Some(now)) = (self.before.temperature_c, self.after.temperature_c) {
            say!("heat       {then:.0} degrees before, {now:.0} after");
        }
        say!("");
        say!("{:24}{:>9}{:>9}{:>9}{:>9}{:>9}", "milliseconds", "mean", "stdev", "P50", "P90", "min");
        for (i, stage) in self.stages.iter().enumerate() {
            let again = self.stages[..i].iter().any(|before| before.stage == stage.stage);
            let second = if again { "second " } else { "" };
            let threads =
                if stage.threads == self.threads { String::new() } else { format!(", {} thread", stage.threads) };
            let (name, width, height) = (stage.stage.name(), stage.width_px, stage.height_px);
            row(&format!("{second}{name} {width}x{height}{threads}"), &stage.ms)?;
            for part in &stage.parts {
                row(&format!("  {}", part.part), &part.ms)?;
            }
        }
        say!("");
        if let Some(joules) = self.stages.last().and_then(|stage| stage.joules) {
            say!("energy     {joules:.3} J for each of the last");
        }
        say!("answers    the same in all {} repetitions", self.warm_up + self.repeat);
        for warning in &self.warnings {
            say!("warning    {warning}");
        }
        Ok(exit::OK)
    }
}

fn row(name: &str, s: &Stats) -> Result<(), Stop> {
    say!("{name:24}{:9.2}{:9.2}{:9.2}{:9.2}{:9.2}", s.mean, s.stdev, s.p50, s.p90, s.min);
    Ok(())
}

fn megabytes(bytes: f64) -> f64 {
    bytes / 1e6
}
