//! Which way up the lines of an image are: as most of them are, unless one of them says otherwise with good evidence.
//!
//! The classifier looks at each line alone and misses short and faint ones; read the wrong way up, they come out as
//! nonsense of a middling score. Lying and tall lines are counted apart, since a spine may be read in either direction.

use super::worker::ReadLine;
use crate::page::Char;

/// Most lines have one direction when they have at least this many times the text of the others …
const MAJORITY: f32 = 3.0;
/// … in at least this many lines.
const MAJORITY_LINES: usize = 2;
/// A line keeps a direction of its own if it scores this much better in it. Text upside down loses more, nonsense less.
const CLEARLY_BETTER: f32 = 0.15;
/// A line does not get the direction of the others if it then scores less than this.
const READABLE: f32 = 0.5;

/// Whether characters are such as are characters, too, when they are turned over: `8088` is `8808` upside down.
pub(super) fn is_text_either_way(chars: &[Char]) -> bool {
    const TURNED: &str = "01689HIMNOSWXZbdlnopqsuxz.,:;-+=%/|()[]<>'\"*#~_ ";
    chars.iter().all(|c| TURNED.contains(c.ch))
}

fn is_turned(line: &ReadLine) -> bool {
    line.quarter_turns >= 2
}

/// Whether most lines are turned over, of the lying and of the tall ones; `None` if neither is the case for most.
pub(super) fn of_most(lines: &[ReadLine]) -> [Option<bool>; 2] {
    [0, 1].map(|tall| {
        let (mut text, mut count) = ([0.0; 2], [0; 2]);
        for line in lines.iter().filter(|line| line.quarter_turns % 2 == tall && !line.chars.is_empty()) {
            let turned = usize::from(is_turned(line));
            text[turned] += line.certainty.mean * line.chars.len() as f32;
            count[turned] += 1;
        }
        let most = |turned: usize| count[turned] >= MAJORITY_LINES && text[turned] >= MAJORITY * text[1 - turned];
        most(1).then_some(true).or(most(0).then_some(false))
    })
}

/// Whether a line has another direction than most.
pub(super) fn differs(line: &ReadLine, most: [Option<bool>; 2]) -> bool {
    most[usize::from(line.quarter_turns % 2)].is_some_and(|turned| turned != is_turned(line))
}

/// Whether a line that differs is to be taken as it reads in the direction of most.
pub(super) fn is_better(as_most: &ReadLine, own: &ReadLine) -> bool {
    let [as_most, own] = [as_most, own].map(|line| line.certainty.mean);
    as_most >= READABLE.min(own) && as_most > own - CLEARLY_BETTER
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognise::{Certainty, Reader};

    fn line(quarter_turns: u8, chars: usize, score: f32) -> ReadLine {
        let certainty = Certainty { mean: score, least: score };
        ReadLine { index: 0, quarter_turns, certainty, reader: Reader::First, chars: 0..chars, worker: 0 }
    }

    #[test]
    fn short_line_of_a_turned_page_differs() {
        let lines = [line(2, 20, 0.95), line(2, 12, 0.9), line(0, 6, 0.68)];
        let most = of_most(&lines);
        assert_eq!(most, [Some(true), None]);
        assert_eq!(lines.each_ref().map(|l| differs(l, most)), [false, false, true]);
        assert!(!differs(&line(1, 6, 0.9), most), "tall lines are apart");
    }

    #[test]
    fn digits_may_be_text_either_way() {
        let chars = |text: &str| -> Vec<Char> {
            text.chars().map(|ch| Char { ch, score: 1.0, start: 0.0, end: 1.0, second: None }).collect()
        };
        assert!(["8088", "SNOW", "600 - 9", ""].iter().all(|text| is_text_either_way(&chars(text))));
        assert!(!["Total 88", "KX 4791 B"].iter().any(|text| is_text_either_way(&chars(text))));
    }

    #[test]
    fn halves_of_a_page_are_of_no_one_mind() {
        assert_eq!(of_most(&[line(2, 20, 0.95), line(2, 20, 0.9), line(0, 15, 0.9)]), [None; 2]);
        assert_eq!(of_most(&[line(2, 90, 0.95), line(0, 5, 0.6)]), [None; 2], "one line is not most");
        assert_eq!(of_most(&[]), [None; 2]);
    }

    #[test]
    fn good_evidence_keeps_a_direction_of_its_own() {
        let own = line(0, 6, 0.95);
        for (score, taken) in [(0.7, false), (0.79, false), (0.85, true), (0.97, true)] {
            assert_eq!(is_better(&line(2, 6, score), &own), taken, "{score}");
        }
        assert!(!is_better(&line(2, 6, 0.45), &line(0, 6, 0.55)), "it would vanish");
        assert!(is_better(&line(2, 6, 0.4), &line(0, 6, 0.3)));
    }
}
