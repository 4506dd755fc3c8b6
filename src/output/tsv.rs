//! Tesseract's table: one row for each page, block, paragraph, line and word.
//!
//! The page is one block of one paragraph: the lines are in reading order, and nothing here knows
//! paragraphs. Confidence is in percent for words and -1 for everything else, as Tesseract has it, so that
//! `conf >= 0` selects the words.

use super::text::Plain;
use crate::page::{Bounds, Page, bounds};
use std::io::{self, Write};

pub(super) fn header(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext")
}

/// The first columns of a row: level, page, block, paragraph, line, word.
type Place = [usize; 6];

pub(super) fn page(out: &mut dyn Write, page: &Page, number: usize) -> io::Result<()> {
    let (width, height) = (page.width_px, page.height_px);
    let whole = Bounds { left: 0, top: 0, right: width, bottom: height };
    structure(out, [1, number, 0, 0, 0, 0], whole)?;

    let boxes = page.lines().map(|line| bounds(&line.quad, width, height));
    let Some(block) = boxes.reduce(|a, b| a.union(&b)) else {
        return Ok(());
    };
    structure(out, [2, number, 1, 0, 0, 0], block)?;
    structure(out, [3, number, 1, 1, 0, 0], block)?;
    for (at, line) in page.lines().enumerate() {
        structure(out, [4, number, 1, 1, at + 1, 0], bounds(&line.quad, width, height))?;
        for (word_at, word) in line.words().enumerate() {
            place(out, [5, number, 1, 1, at + 1, word_at + 1], bounds(&word.quad(), width, height))?;
            let percent = crate::page::rounded::round_to(word.score() * 100.0, 100.0);
            writeln!(out, "{percent}\t{}", Plain(word.text().chars()))?;
        }
    }
    Ok(())
}

/// A row without text.
fn structure(out: &mut dyn Write, row: Place, area: Bounds) -> io::Result<()> {
    place(out, row, area)?;
    out.write_all(b"-1\t\n")
}

/// The columns up to the confidence.
fn place(out: &mut dyn Write, row: Place, area: Bounds) -> io::Result<()> {
    for number in row {
        write!(out, "{number}\t")?;
    }
    write!(out, "{}\t{}\t{}\t{}\t", area.left, area.top, area.width(), area.height())
}
