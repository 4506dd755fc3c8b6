//! A minus that the detector leaves out of the box of its number.
//!
//! To the network that finds text, a lone bar is texture: it often leaves out the minus of a seven-segment display or
//! of a single large digit, or gives it a box of its own, and the number is then read without it. So the place to the
//! left of a number is searched for a [bar](super::bar). That alone proves nothing: the line is read once more with the
//! bar, and only a dash that the recogniser reads is taken.

use super::{LineBox, LineReader, ReadOptions, Turn, bar, chars};
use crate::image::PixelView;
use crate::infer::Pool;
use crate::memory::Workspace;
use crate::page::{Bounds, Quad, bounds};
use crate::stage::StageError;

/// The line with the bar is not taken if it scores less, unless the line without it did, too.
const READABLE: f32 = 0.5;
/// What stands nearer to the bar than this, in heights of the box, may belong to it: a range, a name with a hyphen.
const APART_HEIGHTS: f32 = 1.0;

/// Whether a character begins a number.
fn begins_number(c: char) -> bool {
    matches!(c, '0'..='9' | '.' | ',' | '$' | '€' | '£' | '¥')
}

/// Whether a character is what a minus is read as.
fn is_dash(c: char) -> bool {
    matches!(c, '-' | '_' | '~' | '¬' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' | '\u{4e00}' | '\u{ff0d}')
}

impl LineReader {
    /// Reads numbers once more with the bar to their left, where there is one, and keeps what then begins with a dash.
    pub(super) fn read_left_out_minus(
        &mut self,
        page: PixelView<'_>,
        boxes: &mut [LineBox],
        options: ReadOptions<'_>,
        workspace: &mut Workspace,
        pool: &mut Pool,
    ) -> Result<(), StageError> {
        self.widened.clear();
        for line in self.lines.iter().filter(|line| line.quarter_turns == 0) {
            let found = &boxes[line.index];
            let number = chars(&mut self.workers, line).first().is_some_and(|c| begins_number(c.ch));
            if !number || found.whole || !found.polygon.is_empty() {
                continue;
            }
            let Some(wider) = bar::with_bar(page, found.quad) else { continue };
            let place = before(found.quad, wider);
            let mut others = self.lines.iter().filter(|other| other.index != line.index);
            let belongs_to_other = others.any(|other| {
                let quad = &boxes[other.index].quad;
                !chars(&mut self.workers, other).is_empty() && meet(&place, quad) && !is_bar(quad, &found.quad)
            });
            if !belongs_to_other {
                self.widened.push((line.index, wider));
            }
        }
        self.order.clear();
        for (index, quad) in &mut self.widened {
            std::mem::swap(&mut boxes[*index].quad, quad);
            self.order.push((boxes[*index].ratio(), *index));
        }
        let pass = (self.recognisers.last(), Turn::Upright);
        self.read_ordered(page, boxes, options, pass, workspace, pool)?;
        let count = self.lines.len();
        self.take_lines(|lines, line| lines.push(line));
        while self.lines.len() > count {
            let Some(line) = self.lines.pop() else { break };
            let Some(at) = self.widened.iter().position(|(index, _)| *index == line.index) else { continue };
            let with_minus = chars(&mut self.workers, &line).first().is_some_and(|c| is_dash(c.ch));
            if let Ok(place) = self.lines[..count].binary_search_by_key(&line.index, |line| line.index)
                && with_minus
                && line.certainty.mean >= READABLE.min(self.lines[place].certainty.mean)
            {
                self.widened.swap_remove(at);
                self.lines[place] = line;
            }
        }
        for (index, quad) in &self.widened {
            boxes[*index].quad = *quad;
        }
        self.drop_dashes(boxes);
        Ok(())
    }

    /// Takes away what was read in boxes that hold nothing but the dash with which another line begins.
    fn drop_dashes(&mut self, boxes: &[LineBox]) {
        for at in 0..self.lines.len() {
            let number = self.lines[at].index;
            if self.lines[at].quarter_turns != 0
                || !chars(&mut self.workers, &self.lines[at]).first().is_some_and(|c| is_dash(c.ch))
            {
                continue;
            }
            for other in self.lines.iter_mut().filter(|other| other.index != number) {
                let (bar, line) = (&boxes[other.index].quad, &boxes[number].quad);
                if chars(&mut self.workers, other).len() == 1 && is_bar(bar, line) && begins_with(line, bar) {
                    other.chars = 0..0;
                }
            }
        }
    }
}

/// Whether a box is so low against that of a line that it can hold no other character of it than a dash.
fn is_bar(quad: &Quad, line: &Quad) -> bool {
    let [bar, line] = [quad, line].map(|quad| bounds(quad, u32::MAX, u32::MAX).height());
    bar <= line / 2
}

/// Whether the middle of a box is within the first height of a line.
fn begins_with(line: &Quad, quad: &Quad) -> bool {
    let [line, bar] = [line, quad].map(|quad| bounds(quad, u32::MAX, u32::MAX));
    let (x, y) = (bar.left + bar.width() / 2, bar.top + bar.height() / 2);
    (line.left..line.left.saturating_add(line.height())).contains(&x) && (line.top..line.bottom).contains(&y)
}

/// The place of a bar that makes a box wider, and what is near to its left.
fn before(narrow: Quad, wider: Quad) -> Bounds {
    let height = (narrow[3][0] - narrow[0][0]).hypot(narrow[3][1] - narrow[0][1]);
    let middle = |quad: Quad| [0, 1].map(|axis| (quad[0][axis] + quad[3][axis]) / 2.0);
    let ([left, y], [right, _]) = (middle(wider), middle(narrow));
    let whole = |v: f32| v as u32;
    Bounds {
        left: whole(left - APART_HEIGHTS * height),
        top: whole(y - height / 4.0),
        right: whole(right),
        bottom: whole(y + height / 4.0),
    }
}

/// Whether a box covers a part of a place.
fn meet(place: &Bounds, quad: &Quad) -> bool {
    let quad = bounds(quad, u32::MAX, u32::MAX);
    place.left < quad.right && quad.left < place.right && place.top < quad.bottom && quad.top < place.bottom
}
