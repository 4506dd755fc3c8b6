//! All schedules: a model of [`super::rounds`] with the same words, in which threads take their atomic steps in
//! every order.

use super::rounds::{filled, has_pieces, taken};
use std::collections::HashSet;

/// What a thread does next.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Next {
    /// Reads the slot that is this far from its own.
    Look(usize),
    /// Exchanges it if it still has this word.
    Claim(usize, u64),
    /// Hands in a piece of this round.
    Finish(usize),
    /// Fills this slot of the round, for which it has read slot 0.
    Open(usize, u64),
}

/// Threads, their slots, and what they share.
#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    threads: Vec<Next>,
    slots: Vec<u64>,
    unfinished: usize,
    round: usize,
    /// Bit p: piece p of the round was claimed.
    claimed: u32,
    over: bool,
}

impl State {
    /// The state after a step of one thread.
    fn after(&self, thread: usize, sizes: &[usize]) -> State {
        let mut s = self.clone();
        let slots = s.slots.len();
        let now = s.threads[thread];
        s.threads[thread] = match now {
            Next::Look(i) => match has_pieces(s.slots[(thread + i) % slots]) {
                true => Next::Claim(i, s.slots[(thread + i) % slots]),
                false => Next::Look((i + 1) % slots),
            },
            Next::Claim(i, old) if s.slots[(thread + i) % slots] == old => {
                let (new, piece) = taken(old, i == 0).unwrap();
                s.slots[(thread + i) % slots] = new;
                assert!(piece < sizes[s.round], "a piece that this round does not have");
                assert_eq!(s.claimed & 1 << piece, 0, "a piece claimed twice");
                s.claimed |= 1 << piece;
                Next::Finish(s.round)
            }
            Next::Claim(i, _) => Next::Look(i),
            Next::Finish(round) => {
                assert_eq!(round, s.round, "a piece of a round that is over");
                s.unfinished -= 1;
                if s.unfinished > 0 {
                    Next::Look(0)
                } else {
                    assert_eq!(s.claimed, (1 << sizes[round]) - 1, "a round that ended early");
                    s.open(sizes)
                }
            }
            Next::Open(i, first) => {
                s.slots[i] = filled(first, sizes[s.round], i, slots);
                if i + 1 < slots { Next::Open(i + 1, first) } else { Next::Look(0) }
            }
        };
        s
    }

    /// Begins to open the round after this one.
    fn open(&mut self, sizes: &[usize]) -> Next {
        self.round += 1;
        self.over = self.round == sizes.len();
        if self.over {
            return Next::Look(0);
        }
        (self.unfinished, self.claimed) = (sizes[self.round], 0);
        Next::Open(0, self.slots[0])
    }

    /// Nobody has anything to do, and nothing can be claimed.
    fn is_stuck(&self) -> bool {
        self.threads.iter().all(|t| matches!(t, Next::Look(_))) && !self.slots.iter().any(|s| has_pieces(*s))
    }
}

/// Rounds of these sizes; returns how many states there are.
fn explore(threads: usize, sizes: &[usize]) -> usize {
    let mut start = State {
        threads: vec![Next::Look(0); threads],
        slots: vec![0; threads],
        unfinished: sizes[0],
        round: 0,
        claimed: 0,
        over: false,
    };
    start.threads[0] = Next::Open(0, 0);
    let (mut seen, mut open) = (HashSet::from([start.clone()]), vec![start]);
    while let Some(state) = open.pop() {
        assert!(state.over || !state.is_stuck(), "no thread goes on");
        if state.over {
            continue;
        }
        for thread in 0..threads {
            let next = state.after(thread, sizes);
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    assert!(seen.iter().any(|s| s.over));
    seen.len()
}

#[test]
fn rounds_in_every_schedule_do_each_piece_once() {
    for (threads, sizes) in [(2, &[1, 4, 2, 3][..]), (2, &[4, 1, 1, 4][..]), (3, &[3, 1, 4][..]), (3, &[1, 5][..])] {
        assert!(explore(threads, sizes) > 100);
    }
}
