//! What a thread works in while it reads lines, and what is known of the line read last.

use super::SHORTEST_PX;
use super::ctc::Symbol;
use crate::image::resize::ResizeScratch;
use crate::memory::{NoMemory, try_vec_with_capacity};
use crate::page::Char;
use crate::target;
use std::ops::Range;

/// How certain the text of a line is: probabilities, 0 to 1. Both are 0 where nothing was read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Certainty {
    /// Mean of the characters: the score of the line.
    pub mean: f32,
    /// That of the least certain character, or of the gap between two characters that is least certainly a space or
    /// none.
    pub least: f32,
}

impl Certainty {
    /// Whether both are at least those of `least`.
    pub fn reaches(self, least: Certainty) -> bool {
        self.mean >= least.mean && self.least >= least.least
    }
}

/// What one thread needs to read lines besides the memory of the network; large enough from the start for the widths
/// of the target, and grows beyond them.
pub struct Scratch {
    pub(super) resize: ResizeScratch,
    pub(super) symbols: Vec<Symbol>,
    pub(super) extents: Vec<Range<f32>>,
    /// How certain the least certain gap of the line read last is, see [`greedy`](super::ctc::greedy).
    pub(super) gaps: f32,
    /// The characters of the line read last, in reading order.
    pub chars: Vec<Char>,
}

impl Scratch {
    /// Room for the target's widest line.
    pub fn new() -> Result<Scratch, NoMemory> {
        let widest = target::WIDTHS_PX.iter().copied().max().unwrap_or(SHORTEST_PX);
        // A character needs a time step, and none of these networks has more than one for four columns.
        let steps = widest / 4;
        let for_what = "reading lines";
        Ok(Scratch {
            resize: ResizeScratch::for_width(widest)?,
            symbols: try_vec_with_capacity(steps, for_what)?,
            extents: try_vec_with_capacity(steps, for_what)?,
            gaps: 1.0,
            // An entry of a dictionary is at most eight characters long, nearly always one.
            chars: try_vec_with_capacity(2 * steps, for_what)?,
        })
    }

    /// Memory for resizing, for others who work on the same line.
    pub fn resize(&mut self) -> &mut ResizeScratch {
        &mut self.resize
    }

    /// How certain the line read last is.
    pub fn certainty(&self) -> Certainty {
        let scores = || self.symbols.iter().map(|s| s.score);
        match self.symbols.len() {
            0 => Certainty::default(),
            n => Certainty { mean: scores().sum::<f32>() / n as f32, least: scores().fold(self.gaps, f32::min) },
        }
    }
}
