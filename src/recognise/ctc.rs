//! Class probabilities to characters: greedy CTC, with the mask of `--allowed-chars` inside.
//!
//! Rule (PaddleOCR `CTCLabelDecode`): take the likeliest class of every time step; drop a step that repeats the class
//! before it; drop blanks. The score of a character is the probability of its first step, the score of a line their
//! mean.
//!
//! Spaces have a rule of their own, [`Spaces`]: they stand between two characters where the network sees one at all.

use crate::infer::Likeliest;
use std::ops::Range;

/// One decoded class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Symbol {
    /// Class, 1 to C-1; never the blank.
    pub class: usize,
    /// Its probability at its first time step, 0 to 1.
    pub score: f32,
    /// First time step of its run.
    pub start: usize,
    /// One past the last time step of its run.
    pub end: usize,
    /// The class that would have come next at the time step that decided, with its probability there on the scale of
    /// `score`. Of those that were allowed; never the blank. Filled in after decoding, by [`second`] or its like.
    pub second: Option<(usize, f32)>,
}

/// Probabilities `[steps][classes]`, row-major; class 0 is the blank.
#[derive(Clone, Copy)]
pub struct Probabilities<'a> {
    values: &'a [f32],
    classes: usize,
}

impl<'a> Probabilities<'a> {
    /// `values.len()` must be a multiple of `classes`, which must be at least 2.
    pub fn new(values: &'a [f32], classes: usize) -> Option<Self> {
        (classes >= 2 && values.len().is_multiple_of(classes)).then_some(Probabilities { values, classes })
    }

    /// Number of time steps.
    pub fn steps(&self) -> usize {
        self.values.len() / self.classes
    }

    /// Number of classes, the blank included.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The classes of each step.
    pub fn rows(&self) -> impl Iterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.classes)
    }

    /// One step; empty if there is none of that number.
    pub fn row(&self, step: usize) -> &'a [f32] {
        self.values.get(step * self.classes..(step + 1) * self.classes).unwrap_or(&[])
    }
}

/// When a space stands between two characters. Where a gap is narrow, these networks give the blank more than the
/// space, so the likeliest class alone loses many of the spaces that they see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spaces {
    /// The class of the space.
    pub class: usize,
    /// A space stands where its probability at some step between two characters is at least this; above 0, below 1.
    pub thresh: f32,
}

impl Spaces {
    /// The chance of a space where its greatest probability between two characters is `p`: 0.5 at the threshold, with
    /// odds in proportion to those of `p`.
    fn chance(self, p: f32) -> f32 {
        let p = p.clamp(0.0, 1.0);
        let (yes, no) = (p * (1.0 - self.thresh), self.thresh * (1.0 - p));
        if yes > 0.0 { yes / (yes + no) } else { 0.0 }
    }
}

/// What decoding takes of a time step.
struct Step {
    /// The likeliest class, and its probability.
    class: usize,
    score: f32,
    /// The probability of the space.
    space: f32,
    /// Where the blank is likeliest, the likeliest character besides the space, with its probability; else 0.
    other: (usize, f32),
}

/// Greedy decoding over all classes. `out` is cleared first. Gives how certain the least certain gap between two
/// characters is, 0 to 1: the chance that there is a space in it, or none, as was decided, and that there is no other
/// character in it. Narrow letters go missing like that (`feld` for `field`).
pub fn greedy(probabilities: Probabilities<'_>, spaces: Option<Spaces>, out: &mut Vec<Symbol>) -> f32 {
    let step = |row: &[f32]| {
        let (class, score) = best(row);
        let space = spaces.and_then(|s| row.get(s.class)).copied().unwrap_or(0.0);
        let characters = (1..row.len()).filter(|class| spaces.is_none_or(|s| s.class != *class));
        let other = if class == 0 { likeliest(row, characters) } else { (0, 0.0) };
        Step { class, score, space, other }
    };
    collapse(probabilities.rows().map(step), spaces, out)
}

/// The likeliest of some classes of a step with its probability; class 0 with 0 if none has any.
fn likeliest(row: &[f32], classes: impl Iterator<Item = usize>) -> (usize, f32) {
    let at = |class: usize| row.get(class).copied().unwrap_or(0.0);
    classes.fold((0, 0.0), |best, class| if at(class) > best.1 { (class, at(class)) } else { best })
}

/// [`greedy`] where only the likeliest classes of the steps are known; the second of a symbol is the next best among
/// these. `same` as for [`second`].
pub fn greedy_likeliest(
    likeliest: Likeliest<'_>,
    spaces: Option<Spaces>,
    same: impl Fn(usize, usize) -> bool,
    out: &mut Vec<Symbol>,
) -> f32 {
    let per_step = likeliest.per_step.max(1);
    // A negative number is no class: it counts as a blank.
    let pair = |(class, p): (&i32, &f32)| (usize::try_from(*class).unwrap_or(0), *p);
    let step = |(classes, scores): (&'_ [i32], &'_ [f32])| {
        let pairs = classes.iter().zip(scores).map(pair);
        let (class, score) = pairs.clone().next().unwrap_or((0, 0.0));
        let is_space = |class: usize| spaces.is_some_and(|s| s.class == class);
        let space = pairs.clone().find(|(class, _)| is_space(*class)).map_or(0.0, |(_, p)| p);
        let mut others = pairs.filter(|(other, _)| class == 0 && *other != 0 && !is_space(*other));
        Step { class, score, space, other: others.next().unwrap_or((0, 0.0)) }
    };
    let steps = likeliest.classes.chunks_exact(per_step).zip(likeliest.scores.chunks_exact(per_step));
    let least = collapse(steps.map(step), spaces, out);
    for symbol in out {
        let row = symbol.start * per_step..(symbol.start + 1) * per_step;
        let (classes, scores) = (likeliest.classes.get(row.clone()), likeliest.scores.get(row));
        let mut others = classes.unwrap_or_default().iter().zip(scores.unwrap_or_default()).map(pair);
        let second =
            others.find(|(class, p)| *class != 0 && *p > 0.0 && *class != symbol.class && !same(*class, symbol.class));
        symbol.second = second.map(|(class, p)| (class, p.min(1.0)));
    }
    least
}

/// [`greedy`] over the classes `allowed` (ascending, without the blank).
///
/// A masked class must not become a blank, or a digit that looks like a letter would vanish. So the probability that a
/// step is a character at all, 1 - p(blank), is kept, and shared among the allowed characters in proportion; that
/// decides. The score is more modest: p(character) over p(blank) + p(all allowed), so that text which is nothing of
/// what was allowed does not come out as certain.
pub fn greedy_masked(
    probabilities: Probabilities<'_>,
    allowed: &[usize],
    spaces: Option<Spaces>,
    out: &mut Vec<Symbol>,
) -> f32 {
    let spaces = spaces.filter(|s| allowed.binary_search(&s.class).is_ok());
    let step = |row: &[f32]| {
        // A NaN counts as nothing: `max` gives the other operand.
        let blank = row[0].max(0.0);
        let (mut best, mut best_p, mut sum) = (0, 0.0, 0.0);
        for &class in allowed {
            let p = row.get(class).copied().unwrap_or(0.0).max(0.0);
            sum += p;
            if p > best_p {
                (best, best_p) = (class, p);
            }
        }
        let all = blank + sum;
        let space = spaces.and_then(|s| row.get(s.class)).map_or(0.0, |p| p.max(0.0) / all);
        if best == 0 || (1.0 - blank) * best_p / sum <= blank {
            let characters = allowed.iter().copied().filter(|class| spaces.is_none_or(|s| s.class != *class));
            let (other, p) = likeliest(row, characters);
            return Step { class: 0, score: blank, space, other: (other, p / all) };
        }
        Step { class: best, score: best_p / all, space, other: (0, 0.0) }
    };
    collapse(probabilities.rows().map(step), spaces, out)
}

/// The likeliest class; the first of equals, as numpy's argmax.
fn best(row: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (class, &p) in row.iter().enumerate() {
        if p > best.1 {
            best = (class, p);
        }
    }
    best
}

/// Drops repeats and blanks, and puts spaces between characters; gives what [`greedy`] does.
fn collapse(steps: impl Iterator<Item = Step>, spaces: Option<Spaces>, out: &mut Vec<Symbol>) -> f32 {
    out.clear();
    let (mut before, mut least) = (0, 1.0f32);
    // The step since the last character where a space is likeliest.
    let mut gap = (0, 0.0f32);
    // The character since then that the blank was only just likelier than, and how certain the blank is there. The steps
    // beside a character often have some probability of it: that is no other one.
    let mut missing = (0, 1.0f32);
    for (t, Step { class, score, space, other }) in steps.enumerate() {
        if class == 0 || spaces.is_some_and(|s| s.class == class) {
            if space > gap.1 {
                gap = (t, space);
            }
            let blank = score / (score + other.1);
            if class == 0 && blank < missing.1 && out.last().is_none_or(|last| last.class != other.0) {
                missing = (other.0, blank);
            }
        } else if class == before {
            if let Some(last) = out.last_mut() {
                last.end = t + 1;
            }
        } else {
            if missing.0 != class {
                least = least.min(missing.1);
            }
            if let Some(spaces) = spaces
                && !out.is_empty()
            {
                let chance = spaces.chance(gap.1);
                least = least.min(chance.max(1.0 - chance));
                if gap.1 >= spaces.thresh {
                    out.push(symbol(spaces.class, chance, gap.0));
                }
            }
            out.push(symbol(class, score, t));
            (gap, missing) = ((t, 0.0), (0, 1.0));
        }
        before = class;
    }
    least.min(missing.1)
}

/// A symbol of one time step.
fn symbol(class: usize, score: f32, step: usize) -> Symbol {
    // A NaN counts as nothing.
    let score = if score > 0.0 { score.min(1.0) } else { 0.0 };
    Symbol { class, score, start: step, end: step + 1, second: None }
}

/// The likeliest of `classes` in `row` besides `first`, if any has a probability above 0; the first of equals. `same`
/// tells classes that stand for the same text (dictionaries repeat characters): those are no alternative.
///
/// Meant for the rows that emitted a symbol only, of which there are far fewer than rows: decoding itself looks for
/// no more than the best.
pub fn second(
    row: &[f32],
    first: usize,
    classes: impl Iterator<Item = usize>,
    same: impl Fn(usize, usize) -> bool,
) -> Option<(usize, f32)> {
    let mut found = (0, 0.0);
    for class in classes {
        let p = row.get(class).copied().unwrap_or(0.0);
        if p > found.1 && class != first && !same(class, first) {
            found = (class, p);
        }
    }
    (found.0 != 0).then_some((found.0, found.1.min(1.0)))
}

/// [`second`] among the classes `allowed`, on the modest scale of [`greedy_masked`].
pub fn second_masked(
    row: &[f32],
    first: usize,
    allowed: &[usize],
    same: impl Fn(usize, usize) -> bool,
) -> Option<(usize, f32)> {
    let at = |class: usize| row.get(class).copied().unwrap_or(0.0).max(0.0);
    let all = at(0) + allowed.iter().map(|class| at(*class)).sum::<f32>();
    second(row, first, allowed.iter().copied(), same).map(|(class, p)| (class, (p / all).min(1.0)))
}

/// Where each symbol lies along the line, as fractions of `steps_of_text` (the steps that the text, without its right
/// padding, covers). The network marks about the middle of a character: each reaches half-way to its neighbours, and
/// the outer ones as far outwards as inwards.
pub fn extents(symbols: &[Symbol], steps_of_text: f32, out: &mut Vec<Range<f32>>) {
    out.clear();
    let middle = |s: &Symbol| (s.start + s.end) as f32 / 2.0;
    for (i, symbol) in symbols.iter().enumerate() {
        let m = middle(symbol);
        let left = (i > 0).then(|| (m - middle(&symbols[i - 1])) / 2.0);
        let right = symbols.get(i + 1).map(|next| (middle(next) - m) / 2.0);
        // A lone character has the whole line.
        let whole = steps_of_text;
        let from = m - left.or(right).unwrap_or(whole);
        let to = m + right.or(left).unwrap_or(whole);
        let fraction = |t: f32| if steps_of_text > 0.0 { (t / steps_of_text).clamp(0.0, 1.0) } else { 0.0 };
        out.push(fraction(from)..fraction(to));
    }
}

#[cfg(test)]
mod tests;
