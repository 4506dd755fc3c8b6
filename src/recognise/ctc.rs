//! Class probabilities to characters: greedy CTC, with the mask of `--allowed-chars` inside.
//!
//! Rule (PaddleOCR `CTCLabelDecode`): take the likeliest class of every time step; drop a step that repeats the class
//! before it; drop blanks. The score of a character is the probability of its first step, the score of a line their
//! mean.

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

/// Greedy decoding over all classes. `out` is cleared first.
pub fn greedy(probabilities: Probabilities<'_>, out: &mut Vec<Symbol>) {
    collapse(probabilities.rows().map(best), out);
}

/// Greedy decoding where only the likeliest classes of the steps are known; the second of a symbol is the next best
/// among these. `same` as for [`second`]. `out` is cleared first.
pub fn greedy_likeliest(likeliest: Likeliest<'_>, same: impl Fn(usize, usize) -> bool, out: &mut Vec<Symbol>) {
    let per_step = likeliest.per_step.max(1);
    // A negative number is no class: it counts as a blank.
    let pair = |(class, p): (&i32, &f32)| (usize::try_from(*class).unwrap_or(0), *p);
    let step =
        |(classes, scores): (&'_ [i32], &'_ [f32])| classes.iter().zip(scores).map(pair).next().unwrap_or((0, 0.0));
    let steps = likeliest.classes.chunks_exact(per_step).zip(likeliest.scores.chunks_exact(per_step));
    collapse(steps.map(step), out);
    for symbol in out {
        let row = symbol.start * per_step..(symbol.start + 1) * per_step;
        let (classes, scores) = (likeliest.classes.get(row.clone()), likeliest.scores.get(row));
        let mut others = classes.unwrap_or_default().iter().zip(scores.unwrap_or_default()).map(pair);
        let second =
            others.find(|(class, p)| *class != 0 && *p > 0.0 && *class != symbol.class && !same(*class, symbol.class));
        symbol.second = second.map(|(class, p)| (class, p.min(1.0)));
    }
}

/// Greedy decoding over the classes `allowed` (ascending, without the blank). `out` is cleared first.
///
/// A masked class must not become a blank, or a digit that looks like a letter would vanish. So the probability that a
/// step is a character at all, 1 - p(blank), is kept, and shared among the allowed characters in proportion; that
/// decides. The score is more modest: p(character) over p(blank) + p(all allowed), so that text which is nothing of
/// what was allowed does not come out as certain.
pub fn greedy_masked(probabilities: Probabilities<'_>, allowed: &[usize], out: &mut Vec<Symbol>) {
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
        if best == 0 || (1.0 - blank) * best_p / sum <= blank {
            return (0, blank);
        }
        (best, best_p / (blank + sum))
    };
    collapse(probabilities.rows().map(step), out);
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

fn collapse(steps: impl Iterator<Item = (usize, f32)>, out: &mut Vec<Symbol>) {
    out.clear();
    let mut before = 0;
    for (t, (class, score)) in steps.enumerate() {
        if class != 0 {
            match out.last_mut() {
                Some(last) if class == before => last.end = t + 1,
                _ => out.push(Symbol {
                    class,
                    score: if score > 0.0 { score.min(1.0) } else { 0.0 },
                    start: t,
                    end: t + 1,
                    second: None,
                }),
            }
        }
        before = class;
    }
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(rows: &[[f32; 4]]) -> Vec<f32> {
        rows.concat()
    }

    fn read(values: &[f32], allowed: Option<&[usize]>) -> Vec<(usize, f32)> {
        let mut out = Vec::new();
        let p = Probabilities::new(values, 4).unwrap();
        match allowed {
            None => greedy(p, &mut out),
            Some(allowed) => greedy_masked(p, allowed, &mut out),
        }
        out.iter().map(|s| (s.class, s.score)).collect()
    }

    #[test]
    fn repeats_collapse_and_a_blank_parts_them() {
        let v = rows(&[[0., 0.9, 0., 0.], [0., 0.8, 0., 0.], [1., 0., 0., 0.], [0., 0.7, 0., 0.], [0., 0., 0.6, 0.]]);
        assert_eq!(read(&v, None), [(1, 0.9), (1, 0.7), (2, 0.6)]);
    }

    #[test]
    fn masked_class_yields_to_best_allowed_class() {
        // Class 3 (say, O) is likeliest; only 1 and 2 are allowed; the blank is likelier than both.
        let v = rows(&[[0.05, 0.04, 0.01, 0.9]]);
        let got = read(&v, Some(&[1, 2]));
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].0, 1);
        assert!((got[0].1 - 0.4).abs() < 1e-6, "modest: {}", got[0].1);
        assert_eq!(read(&rows(&[[0.6, 0.1, 0.1, 0.2]]), Some(&[1, 2])), []);
        assert_eq!(read(&v, Some(&[])), []);
        assert_eq!(read(&v, Some(&[99])), []);
    }

    #[test]
    fn second_best_is_neither_blank_nor_same_letter() {
        let row = [0.4, 0.05, 0.3, 0.25];
        let different = |_, _| false;
        assert_eq!(second(&row, 2, 1..4, different), Some((3, 0.25)));
        assert_eq!(second(&row, 2, 1..4, |a, b| (a, b) == (3, 2)), Some((1, 0.05)));
        assert_eq!(second(&row, 2, [2].into_iter(), different), None);
        assert_eq!(second(&[0.0, 0.0, 1.0, 0.0], 2, 1..4, different), None);
        // Of the allowed ones, over the blank and all that is allowed.
        let (class, p) = second_masked(&row, 2, &[1, 2], different).unwrap();
        assert_eq!(class, 1);
        assert!((p - 0.05 / 0.75).abs() < 1e-6, "{p}");
        assert_eq!(second_masked(&row, 2, &[2, 99], different), None);
    }

    #[test]
    fn likeliest_classes_decode_as_all_do() {
        // Steps of the classes 0 to 3, the best two of each.
        let classes = [1, 2, 1, 0, 0, 1, 3, 2, 2, 3];
        let scores = [0.7, 0.2, 0.6, 0.3, 0.9, 0.1, 0.5, 0.4, 0.8, 0.0];
        let mut out = Vec::new();
        greedy_likeliest(Likeliest { classes: &classes, scores: &scores, per_step: 2 }, |_, _| false, &mut out);
        let got: Vec<_> = out.iter().map(|s| (s.class, s.score, s.start..s.end, s.second)).collect();
        assert_eq!(got, [(1, 0.7, 0..2, Some((2, 0.2))), (3, 0.5, 3..4, Some((2, 0.4))), (2, 0.8, 4..5, None)]);
        greedy_likeliest(Likeliest { classes: &classes, scores: &scores, per_step: 2 }, |a, b| a + b == 5, &mut out);
        assert_eq!(out[1].second, None, "the same letter is no alternative");
        for (classes, scores, per_step) in [(&[][..], &[][..], 0), (&[-1, 5], &[f32::NAN, 2.0], 1)] {
            greedy_likeliest(Likeliest { classes, scores, per_step }, |_, _| false, &mut out);
            assert!(out.iter().all(|s| (0.0..=1.0).contains(&s.score)));
        }
    }

    #[test]
    fn extents_share_the_line() {
        let mut out = Vec::new();
        let s = |start, end| Symbol { class: 1, score: 1.0, start, end, second: None };
        extents(&[s(1, 2), s(4, 6), s(8, 9)], 10.0, &mut out);
        assert_eq!(out, [0.0..0.325, 0.325..0.675, 0.675..1.0]);
        extents(&[s(3, 4)], 10.0, &mut out);
        assert_eq!(out, [0.0..1.0]);
    }

    proptest! {
        #[test]
        fn a_masked_reading_has_only_allowed_classes(values in proptest::collection::vec(prop_oneof![0.0f32..1.0, Just(f32::NAN)], 0..30), allowed in proptest::sample::subsequence(vec![1usize, 2, 3], 0..3)) {
            let values = &values[..values.len() / 4 * 4];
            let mut out = Vec::new();
            let p = Probabilities::new(values, 4).unwrap();
            greedy_masked(p, &allowed, &mut out);
            for s in &out {
                prop_assert!(allowed.contains(&s.class) && (0.0..=1.0).contains(&s.score));
                let second = second_masked(p.row(s.start), s.class, &allowed, |_, _| false);
                prop_assert!(second.is_none_or(|(class, p)| {
                    allowed.contains(&class) && class != s.class && (0.0..=s.score).contains(&p)
                }), "{:?} after {:?}", second, s);
            }
            greedy(Probabilities::new(values, 4).unwrap(), &mut out);
            let mut spans = Vec::new();
            extents(&out, values.len() as f32 / 4.0, &mut spans);
            prop_assert!(spans.windows(2).all(|w| w[0].end <= w[1].start + 1e-3));
        }
    }
}
