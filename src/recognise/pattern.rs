//! Fixed fields: `--pattern`, one character class for each position of the text, and the likeliest reading that fits.
//!
//! | in the pattern | stands for |
//! |---|---|
//! | `9` | a digit |
//! | `A`, `a` | a capital, a small letter (A to Z) |
//! | `X` | a capital letter or a digit |
//! | `*` | any character the model knows |
//! | `[…]` | one of the characters between the brackets |
//! | `\c` | the character `c` itself |
//! | anything else | itself |

use super::ctc::{self, Probabilities, Symbol};
use crate::models::Charset;
use std::collections::HashMap;

/// A pattern longer than this is a mistake.
const MAX_POSITIONS: usize = 64;
/// A class with more members than this is searched only among those that are likeliest at some time step.
const MAX_MEMBERS: usize = 128;

/// What may stand at each position, as classes of one recogniser.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// Ascending classes of each position.
    positions: Vec<Vec<usize>>,
}

impl Pattern {
    /// Reads a pattern for a recogniser's characters; `allowed` (classes, ascending) narrows every position.
    pub fn parse(text: &str, charset: &Charset, allowed: Option<&[usize]>) -> Result<Pattern, String> {
        let classes = charset.by_char();
        let mut positions = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let mut members: Vec<usize> = match c {
                '*' => (1..charset.classes()).collect(),
                '[' => {
                    let mut set = String::new();
                    loop {
                        match chars.next() {
                            Some(']') => break,
                            Some('\\') => set.extend(chars.next()),
                            Some(c) => set.push(c),
                            None => return Err("the [ has no ]".into()),
                        }
                    }
                    of(&classes, set.chars())
                }
                '\\' => of(&classes, [chars.next().ok_or("a \\ at the end stands for nothing")?]),
                '9' => of(&classes, '0'..='9'),
                'A' => of(&classes, 'A'..='Z'),
                'a' => of(&classes, 'a'..='z'),
                'X' => of(&classes, ('0'..='9').chain('A'..='Z')),
                c => of(&classes, [c]),
            };
            members.sort_unstable();
            members.dedup();
            members.retain(|m| allowed.is_none_or(|a| a.binary_search(m).is_ok()));
            if members.is_empty() {
                return Err(format!("position {} can hold none of the model's characters", positions.len() + 1));
            }
            positions.push(members);
        }
        match positions.len() {
            0 => Err("it is empty".into()),
            n if n > MAX_POSITIONS => Err(format!("it has {n} positions, more than {MAX_POSITIONS}")),
            _ => Ok(Pattern { positions }),
        }
    }

    /// The likeliest path through the time steps that spells a text of this pattern (Viterbi over CTC states: a blank
    /// before, between and after the characters, where equal neighbours need a blank between them). Nothing is found
    /// when there are fewer time steps than characters. A score is the mean probability over the steps of the
    /// character.
    pub fn decode(&self, probabilities: Probabilities<'_>, out: &mut Vec<Symbol>) {
        out.clear();
        let states = self.states(probabilities);
        let steps = probabilities.steps();
        if steps == 0 || states.is_empty() {
            return;
        }
        // cost[s]: log probability of the best path that is in state s now; from[t][s]: the state before it.
        let mut cost: Vec<f32> = states
            .iter()
            .map(|s| if s.position == 0 { log(probabilities.row(0), s.class) } else { f32::NEG_INFINITY })
            .collect();
        let mut from: Vec<u32> = Vec::with_capacity(steps * states.len());
        from.extend(0..states.len() as u32);
        // Where the states of each position begin: its blank, then its characters.
        let blanks: Vec<usize> =
            (0..=self.positions.len()).map(|p| states.partition_point(|s| s.position < p)).collect();
        let mut next = vec![f32::NEG_INFINITY; states.len()];
        for t in 1..steps {
            let row = probabilities.row(t);
            for (i, state) in states.iter().enumerate() {
                let mut best = (cost[i], i);
                let mut offer = |j: usize| {
                    if cost[j] > best.0 {
                        best = (cost[j], j);
                    }
                };
                let before = state.position.checked_sub(1).map(|p| blanks[p] + 1..blanks[p + 1]);
                if state.class == 0 {
                    before.into_iter().flatten().for_each(&mut offer);
                } else {
                    offer(blanks[state.position]);
                    before.into_iter().flatten().filter(|&j| states[j].class != state.class).for_each(&mut offer);
                }
                next[i] = best.0 + log(row, state.class);
                from.push(best.1 as u32);
            }
            std::mem::swap(&mut cost, &mut next);
        }
        // The text is whole in the last blank or in a character of the last position.
        let last = states.partition_point(|s| s.position < self.positions.len() - 1) + 1;
        let Some(mut state) = (last..states.len()).max_by(|&a, &b| cost[a].total_cmp(&cost[b])) else { return };
        if cost[state] == f32::NEG_INFINITY {
            return;
        }
        let mut open = None;
        for t in (0..steps).rev() {
            let State { position, class } = states[state];
            if class != 0 {
                let p = probabilities.row(t).get(class).copied().unwrap_or(0.0).clamp(0.0, 1.0);
                match out.last_mut() {
                    Some(s) if open == Some(position) => {
                        s.start = t;
                        s.score += p;
                    }
                    _ => out.push(Symbol { class, score: p, start: t, end: t + 1, second: None }),
                }
                open = Some(position);
            }
            state = from[t * states.len() + state] as usize;
        }
        out.reverse();
        for s in out.iter_mut() {
            s.score /= (s.end - s.start) as f32;
        }
    }

    /// The next likely class for the character at `position`, which was decoded as `symbol`, at the time step of its
    /// run where `symbol` is likeliest: the steps beside it may belong to the neighbours.
    pub fn second(
        &self,
        position: usize,
        symbol: &Symbol,
        probabilities: Probabilities<'_>,
        same: impl Fn(usize, usize) -> bool,
    ) -> Option<(usize, f32)> {
        let members = self.positions.get(position)?;
        let at = |t: usize| probabilities.row(t).get(symbol.class).copied().unwrap_or(0.0);
        let decided = (symbol.start..symbol.end).max_by(|&a, &b| at(a).total_cmp(&at(b)))?;
        ctc::second(probabilities.row(decided), symbol.class, members.iter().copied(), same)
    }

    /// The states in order of position: blank before position p, then its characters; last the blank after all.
    fn states(&self, probabilities: Probabilities<'_>) -> Vec<State> {
        let mut likely: Vec<usize> =
            probabilities.rows().filter_map(|row| (1..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]))).collect();
        likely.sort_unstable();
        likely.dedup();
        let mut states = Vec::new();
        for (position, members) in self.positions.iter().enumerate() {
            states.push(State { position, class: 0 });
            let few = members.len() <= MAX_MEMBERS;
            states.extend(
                members
                    .iter()
                    .filter(|m| few || likely.binary_search(m).is_ok())
                    .map(|&class| State { position, class }),
            );
        }
        states.push(State { position: self.positions.len(), class: 0 });
        states
    }
}

#[derive(Clone, Copy)]
struct State {
    position: usize,
    class: usize,
}

fn of(classes: &HashMap<char, Vec<usize>>, chars: impl IntoIterator<Item = char>) -> Vec<usize> {
    chars.into_iter().filter_map(|c| classes.get(&c)).flatten().copied().collect()
}

/// Log probability with a floor, so that one impossible step does not make all paths equal.
fn log(row: &[f32], class: usize) -> f32 {
    row.get(class).copied().unwrap_or(0.0).max(1e-10).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn charset() -> Charset {
        Charset::parse("0\n1\n2\nA\nB\nO\n-").unwrap()
    }

    /// One row for each character of `steps` (`_` is the blank), which gets `p`, the rest sharing what is left.
    fn probabilities(steps: &str, p: f32) -> Vec<f32> {
        let set = charset();
        let n = set.classes();
        steps
            .chars()
            .flat_map(|c| {
                let class = if c == '_' { 0 } else { set.by_char()[&c][0] };
                (0..n).map(move |k| if k == class { p } else { (1.0 - p) / (n - 1) as f32 })
            })
            .collect()
    }

    fn read(pattern: &str, steps: &str) -> String {
        let set = charset();
        let values = probabilities(steps, 0.8);
        let mut out = Vec::new();
        Pattern::parse(pattern, &set, None)
            .unwrap()
            .decode(Probabilities::new(&values, set.classes()).unwrap(), &mut out);
        assert!(out.windows(2).all(|w| w[0].end <= w[1].start) && out.iter().all(|s| (0.0..=1.0).contains(&s.score)));
        out.iter().map(|s| set.text(s.class)).collect()
    }

    #[test]
    fn the_likeliest_text_of_the_pattern_is_found() {
        assert_eq!(read("99", "_11_2_"), "12");
        assert_eq!(read("99", "1_1"), "11");
        assert_eq!(read("AB-9", "A_B_-_2"), "AB-2");
        assert_eq!(read("[AO]9", "_O_0"), "O0");
        assert_eq!(read("**", "_A_0_"), "A0");
        // A letter where only a digit may be: some digit is given, and of the right number.
        assert_eq!(read("99", "_1_O_").len(), 2);
        assert_eq!(read("999", "_0").len(), 0, "fewer steps than characters");
    }

    #[test]
    fn the_second_best_is_one_that_may_stand_there() {
        let set = charset();
        // `O` is likeliest at the second character, where only digits may stand: 0, then 1.
        let mut values = probabilities("_1_O_", 0.8);
        let row = 3 * set.classes();
        (values[row + 1], values[row + 2]) = (0.15, 0.1);
        let p = Probabilities::new(&values, set.classes()).unwrap();
        let pattern = Pattern::parse("99", &set, None).unwrap();
        let mut out = Vec::new();
        pattern.decode(p, &mut out);
        let second = pattern.second(1, &out[1], p, |_, _| false);
        assert_eq!((out[1].class, second), (1, Some((2, 0.1))));
        assert_eq!(pattern.second(2, &out[1], p, |_, _| false), None);
    }

    #[test]
    fn a_pattern_that_fits_nothing_is_refused() {
        for bad in ["", "[", "\\", "ü", "[]"] {
            assert!(Pattern::parse(bad, &charset(), None).is_err(), "{bad}");
        }
        assert!(Pattern::parse("A", &charset(), Some(&[1, 2])).is_err());
        assert!(Pattern::parse(&"1".repeat(300), &charset(), None).is_err());
    }

    proptest! {
        #[test]
        fn any_pattern_and_any_numbers_are_an_answer(pattern in "[019AaX*\\[\\]\\\\-]{0,6}", values in proptest::collection::vec(prop_oneof![0.0f32..1.0, Just(f32::NAN), Just(-1.0)], 0..120)) {
            let set = charset();
            let values = &values[..values.len() / set.classes() * set.classes()];
            if let Ok(pattern) = Pattern::parse(&pattern, &set, None) {
                let mut out = Vec::new();
                pattern.decode(Probabilities::new(values, set.classes()).unwrap(), &mut out);
                prop_assert!(out.is_empty() || out.len() == pattern.positions.len());
            }
        }
    }
}
