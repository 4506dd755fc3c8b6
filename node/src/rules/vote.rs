//! Several frames' texts → one.

use super::reading::{Candidate, CharGuess, MAX_CANDIDATES};

/// Most frames for one reading.
pub(super) const MAX_FRAMES: usize = 15;
/// Weight of a frame whose score is lower: it votes, if only just.
const MIN_WEIGHT: f64 = 0.01;
/// Least probability of a second guess to be named as a candidate.
const MIN_SECOND: f64 = 0.05;
/// Longer texts are not named as candidates.
const MAX_CANDIDATE_CHARS: usize = 128;

/// A frame's vote.
pub(super) struct FrameVote {
    pub chars: Vec<CharGuess>,
    /// Score of the text, 0 to 1.
    pub score: f32,
}

/// What the frames say together.
pub(super) struct Outcome {
    /// Each character with its mean score in the frames that have it, and the most likely other one.
    pub chars: Vec<CharGuess>,
    /// Index of the frame vote with this text, or else of the one with the highest score.
    pub frame_vote: usize,
    /// Share of the votes, 0 to 1; of a text put together from several, that of its weakest character.
    pub share: f32,
    /// Other texts, best first.
    pub candidates: Vec<Candidate>,
}

impl Outcome {
    pub(super) fn text(&self) -> String {
        text(&self.chars)
    }

    /// Mean score of the characters; 0 without any.
    pub(super) fn score(&self) -> f32 {
        score(&self.chars)
    }

    /// The least sure character.
    pub(super) fn weakest(&self) -> Option<&CharGuess> {
        self.chars.iter().filter(|c| !c.ch.is_whitespace()).min_by(|a, b| a.score.total_cmp(&b.score))
    }
}

pub(super) fn text(chars: &[CharGuess]) -> String {
    chars.iter().map(|c| c.ch).collect()
}

/// Mean score, spaces left out: their place says more than their score.
pub(super) fn score(chars: &[CharGuess]) -> f32 {
    let scores: Vec<f64> = chars.iter().filter(|c| !c.ch.is_whitespace()).map(|c| f64::from(c.score)).collect();
    if scores.is_empty() { 0.0 } else { (scores.iter().sum::<f64>() / scores.len() as f64) as f32 }
}

/// Votes. Texts of the length that has most votes are voted on character by character, where a frame gives its first
/// guess and its second as much as they are probable; a text that comes out so and was read in no frame has to be one
/// that `fits`, otherwise the most voted whole text wins. `invalid` are the texts of frames that do not have the form:
/// they count in the total. On a tie the earlier frame wins. `None` without frame votes.
pub(super) fn vote(
    frame_votes: &[FrameVote],
    invalid: &[(String, f32)],
    fits: impl Fn(usize, &[CharGuess]) -> bool,
) -> Option<Outcome> {
    let weight = |score: f32| f64::from(score).max(MIN_WEIGHT);
    let total: f64 = frame_votes.iter().map(|b| weight(b.score)).chain(invalid.iter().map(|(_, s)| weight(*s))).sum();

    let length = winner(frame_votes.iter().map(|b| (b.chars.len(), weight(b.score))))?;
    let group: Vec<(usize, &FrameVote)> =
        frame_votes.iter().enumerate().filter(|(_, b)| b.chars.len() == length).collect();
    let texts: Vec<(String, f64)> = frame_votes.iter().map(|b| (text(&b.chars), weight(b.score))).collect();
    let votes = ranked(texts.iter().map(|(text, weight)| (text.as_str(), *weight)));

    let whole = |wanted: &str| texts.iter().position(|(text, _)| text == wanted);
    let composed: Vec<char> = (0..length).filter_map(|i| most_likely(&group, i)).collect();
    let composed: String = composed.into_iter().collect();
    let read = whole(&composed).is_some();
    let best_frame_vote =
        || group.iter().max_by(|a, b| a.1.score.total_cmp(&b.1.score).then(b.0.cmp(&a.0))).map(|(i, _)| *i);
    let (winning, frame_vote) = match read {
        true => (composed.clone(), best_of(frame_votes, &texts, &composed)?),
        false => {
            let frame_vote = best_frame_vote()?;
            let chars = merge(&group, &composed);
            match fits(frame_vote, &chars) {
                true => (composed, frame_vote),
                false => {
                    let (first, _) = votes.iter().find(|(text, _)| text.chars().count() == length)?;
                    ((*first).to_owned(), best_of(frame_votes, &texts, first)?)
                }
            }
        }
    };
    let chars = merge(&group, &winning);
    // Of a whole text this is at least its share; more where frames that erred elsewhere agree with it.
    let share =
        (0..length).zip(winning.chars()).map(|(i, ch)| agreeing(&group, i, ch, weight)).fold(f64::INFINITY, f64::min);
    let share = if share.is_finite() { (share / total).clamp(0.0, 1.0) } else { 0.0 };

    let mut candidates: Vec<Candidate> = Vec::new();
    let mut add = |text: String, share: f64| {
        let known = text == winning || candidates.iter().any(|c| c.text == text);
        if candidates.len() < MAX_CANDIDATES && !known && text.chars().count() <= MAX_CANDIDATE_CHARS {
            candidates.push(Candidate { text, share: share.clamp(0.0, 1.0) as f32 });
        }
    };
    votes.iter().for_each(|(text, weight)| add((*text).to_owned(), weight / total));
    let invalid = ranked(invalid.iter().map(|(text, score)| (text.as_str(), weight(*score))));
    invalid.iter().for_each(|(text, weight)| add((*text).to_owned(), weight / total));
    let mut seconds: Vec<(usize, char, f64)> = Vec::new();
    for (i, guess) in chars.iter().enumerate() {
        if let Some((ch, p)) = guess.second.filter(|(_, p)| f64::from(*p) >= MIN_SECOND) {
            seconds.push((i, ch, f64::from(p)));
        }
    }
    seconds.sort_by(|a, b| b.2.total_cmp(&a.2));
    for (at, ch, p) in seconds {
        add(chars.iter().enumerate().map(|(i, c)| if i == at { ch } else { c.ch }).collect(), p * share);
    }
    candidates.sort_by(|a, b| b.share.total_cmp(&a.share));
    Some(Outcome { chars, frame_vote, share: share as f32, candidates })
}

/// The texts of frames none of which can be used, as candidates.
pub(super) fn invalid_candidates(invalid: &[(String, f32)], without: &str) -> Vec<Candidate> {
    let total: f64 = invalid.iter().map(|(_, score)| f64::from(*score).max(MIN_WEIGHT)).sum();
    let votes = ranked(invalid.iter().map(|(text, score)| (text.as_str(), f64::from(*score).max(MIN_WEIGHT))));
    let votes = votes.into_iter().filter(|(text, _)| *text != without && text.chars().count() <= MAX_CANDIDATE_CHARS);
    votes
        .take(MAX_CANDIDATES)
        .map(|(text, weight)| Candidate { text: text.into(), share: (weight / total) as f32 })
        .collect()
}

/// What has most votes; the first of several.
fn winner<T: PartialEq>(votes: impl Iterator<Item = (T, f64)>) -> Option<T> {
    ranked(votes).into_iter().next().map(|(what, _)| what)
}

/// Votes summed, most first, the earlier first of equals.
fn ranked<T: PartialEq>(votes: impl Iterator<Item = (T, f64)>) -> Vec<(T, f64)> {
    let mut sums: Vec<(T, f64)> = Vec::new();
    for (what, weight) in votes {
        match sums.iter_mut().find(|(known, _)| *known == what) {
            Some((_, sum)) => *sum += weight,
            None => sums.push((what, weight)),
        }
    }
    sums.sort_by(|a, b| b.1.total_cmp(&a.1));
    sums
}

/// Probability that a guess gives to a character.
fn given(guess: &CharGuess, ch: char) -> f64 {
    match guess.second {
        _ if guess.ch == ch => f64::from(guess.score),
        Some((second, p)) if second == ch => f64::from(p),
        _ => 0.0,
    }
}

/// The character with most probability at a place, among those that are some frame's first guess.
fn most_likely(group: &[(usize, &FrameVote)], at: usize) -> Option<char> {
    // A frame without scores for its characters still reads what it reads.
    let read = |b: &FrameVote| b.chars[at].ch;
    winner(group.iter().map(|(_, frame_vote)| {
        let ch = read(frame_vote);
        // Each frame that reads `ch` adds its own part; what the others give to it as a second guess is added once,
        // to the first.
        let first = group.iter().find(|(_, b)| read(b) == ch).is_some_and(|(_, b)| std::ptr::eq(*b, *frame_vote));
        let others = group.iter().filter(|(_, b)| first && read(b) != ch).map(|(_, b)| given(&b.chars[at], ch));
        (ch, given(&frame_vote.chars[at], ch) + others.sum::<f64>())
    }))
}

/// Weight of the frames that read `ch` at a place.
fn agreeing(group: &[(usize, &FrameVote)], at: usize, ch: char, weight: impl Fn(f32) -> f64) -> f64 {
    group.iter().filter(|(_, b)| b.chars[at].ch == ch).map(|(_, b)| weight(b.score)).sum()
}

/// The winning text with scores: the mean over the frames that read it, and of the others the most likely character.
fn merge(group: &[(usize, &FrameVote)], winning: &str) -> Vec<CharGuess> {
    let one = |(at, ch): (usize, char)| {
        let guesses = || group.iter().map(|(_, b)| &b.chars[at]);
        let agreeing: Vec<f64> = guesses().filter(|g| g.ch == ch).map(|g| f64::from(g.score)).collect();
        let score = if agreeing.is_empty() { 0.0 } else { agreeing.iter().sum::<f64>() / agreeing.len() as f64 };
        let others = guesses()
            .flat_map(|g| [(g.ch, f64::from(g.score))].into_iter().chain(g.second.map(|(c, p)| (c, f64::from(p)))));
        let second = ranked(others.filter(|(other, _)| *other != ch)).into_iter().next();
        let second = second.map(|(other, sum)| (other, (sum / group.len() as f64) as f32));
        CharGuess { ch, score: score as f32, second }
    };
    winning.chars().enumerate().map(one).collect()
}

/// The frame vote with a text whose score is highest, the earlier of equals.
fn best_of(frame_votes: &[FrameVote], texts: &[(String, f64)], wanted: &str) -> Option<usize> {
    let having = (0..frame_votes.len()).filter(|i| texts[*i].0 == wanted);
    having.max_by(|a, b| frame_votes[*a].score.total_cmp(&frame_votes[*b].score).then(b.cmp(a)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame_vote(text: &str, score: f32) -> FrameVote {
        FrameVote { chars: text.chars().map(|ch| CharGuess { ch, score, second: None }).collect(), score }
    }

    fn with_second(mut frame_vote: FrameVote, at: usize, score: f32, second: (char, f32)) -> FrameVote {
        frame_vote.chars[at] = CharGuess { score, second: Some(second), ..frame_vote.chars[at] };
        frame_vote
    }

    fn run(frame_votes: &[FrameVote]) -> (String, f32) {
        let outcome = vote(frame_votes, &[], |_, _| true).unwrap();
        (outcome.text(), outcome.share)
    }

    #[test]
    fn most_votes_win_and_votes_have_weight() {
        assert_eq!(run(&[frame_vote("123", 0.9), frame_vote("128", 0.9), frame_vote("123", 0.9)]).0, "123");
        assert_eq!(run(&[frame_vote("123", 0.3), frame_vote("128", 0.95), frame_vote("123", 0.3)]).0, "128");
        assert_eq!(run(&[frame_vote("123", 0.5), frame_vote("128", 0.5)]), ("123".into(), 0.5), "the earlier on a tie");
        assert!(vote(&[], &[], |_, _| true).is_none());
    }

    #[test]
    fn frames_that_err_in_different_places_agree() {
        let frame_votes = [frame_vote("923", 0.9), frame_vote("183", 0.9), frame_vote("124", 0.9)];
        let (text, share) = run(&frame_votes);
        assert_eq!(text, "123", "read in no frame as a whole");
        assert!((share - 2.0 / 3.0).abs() < 1e-6, "{share}");
        // Unless it does not fit, as after a check digit.
        let outcome = vote(&frame_votes, &[], |_, chars| super::text(chars) != "123").unwrap();
        assert_eq!(outcome.text(), "923");
    }

    #[test]
    fn second_guesses_count_but_nothing_is_invented() {
        let unsure = || with_second(frame_vote("3", 0.8), 0, 0.5, ('9', 0.45));
        assert_eq!(run(&[unsure(), frame_vote("9", 0.8)]).0, "9");
        assert_eq!(run(&[unsure(), frame_vote("3", 0.4), frame_vote("8", 0.6)]).0, "3");
        // Nobody's first guess is nobody's reading, however probable.
        let two = [
            with_second(frame_vote("3", 0.8), 0, 0.5, ('9', 0.49)),
            with_second(frame_vote("8", 0.8), 0, 0.5, ('9', 0.49)),
        ];
        assert_ne!(run(&two).0, "9");
    }

    #[test]
    fn lengths_are_voted_on_first() {
        let (text, share) = run(&[frame_vote("99", 0.9), frame_vote("123", 0.8), frame_vote("123", 0.8)]);
        assert_eq!(text, "123");
        assert!((share - 1.6 / 2.5).abs() < 1e-6, "{share}");
    }

    #[test]
    fn unformed_frames_count_in_total_and_as_candidates() {
        let invalid = [("1 glare".to_owned(), 0.5)];
        let outcome = vote(&[frame_vote("12", 0.5), frame_vote("13", 0.4)], &invalid, |_, _| true).unwrap();
        assert!((outcome.share - 0.5 / 1.4).abs() < 1e-6);
        let texts: Vec<_> = outcome.candidates.iter().map(|c| c.text.as_str()).collect();
        assert_eq!(texts, ["1 glare", "13"]);
        assert_eq!(invalid_candidates(&invalid, "1 glare"), []);
        assert_eq!(invalid_candidates(&invalid, "")[0], Candidate { text: "1 glare".into(), share: 1.0 });
    }

    #[test]
    fn one_frame_names_its_second_guesses() {
        let outcome = vote(&[with_second(frame_vote("129", 0.9), 2, 0.6, ('3', 0.3))], &[], |_, _| true).unwrap();
        assert_eq!(outcome.candidates, [Candidate { text: "123".into(), share: 0.3 }]);
        assert_eq!(outcome.weakest().map(|c| c.ch), Some('9'));
    }

    proptest! {
        #[test]
        fn whatever_the_frames_say(frames in prop::collection::vec(("[0-9]{1,4}", 0f32..=1.0, 0f32..=1.0, "[0-9]"), 1..16)) {
            let votes = || -> Vec<FrameVote> {
                frames.iter().map(|(text, score, p, other)| {
                    let second = other.chars().next().map(|ch| (ch, *p));
                    let chars = text.chars().map(|ch| CharGuess { ch, score: *score, second }).collect();
                    FrameVote { chars, score: *score }
                }).collect()
            };
            let (a, b) = (vote(&votes(), &[], |_, _| true).unwrap(), vote(&votes(), &[], |_, _| true).unwrap());
            prop_assert_eq!(&a.chars, &b.chars);
            prop_assert_eq!(&a.candidates, &b.candidates);
            prop_assert!((0.0..=1.0).contains(&a.share) && (0.0..=1.0).contains(&a.score()));
            prop_assert!(a.candidates.len() <= MAX_CANDIDATES && a.candidates.iter().all(|c| c.text != a.text()));
            prop_assert!(a.candidates.is_sorted_by(|x, y| x.share >= y.share));
            // Each character was some frame's first guess there.
            for (i, c) in a.chars.iter().enumerate() {
                prop_assert!(votes().iter().any(|b| b.chars.get(i).is_some_and(|g| g.ch == c.ch)));
            }
        }
    }
}
