//! Rounds of work: pieces that threads claim one by one, and who notices that the last one is finished.
//!
//! A round is open while pieces of it are unclaimed or unfinished. Each thread has a slot with a range of pieces:
//! it takes its own from the front, so that from round to round it works on about the same rows, and then the
//! others' from the back. No thread waits for one that has claimed nothing.
//!
//! A slot's word holds the round's number, so that a thread that was stopped between reading and claiming cannot
//! claim a piece of a later round by mistake.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[cfg(test)]
use super::tests::disturb;

/// Where tests let a thread be late.
#[cfg(not(test))]
fn disturb() {}

/// What a round is about, for those who do its pieces.
pub(super) type Task = [usize; 5];

/// Bits of a slot's word for the number of a piece.
const BITS: u32 = 12;

/// Most pieces of a round.
pub(super) const MAX_PIECES: usize = (1 << BITS) - 1;

/// A slot's word: round, next piece, end of the pieces.
fn word(round: u64, next: usize, end: usize) -> u64 {
    round << (2 * BITS) | (next as u64) << BITS | end as u64
}

fn next_and_end(word: u64) -> (usize, usize) {
    ((word >> BITS) as usize & MAX_PIECES, word as usize & MAX_PIECES)
}

/// Whether a slot with this word has pieces left.
pub(super) fn has_pieces(word: u64) -> bool {
    let (next, end) = next_and_end(word);
    next < end
}

/// The word of slot `i` in the round after that of slot 0's word `first`. All slots hold the same round between
/// rounds, because all were filled for the last one.
pub(super) fn filled(first: u64, pieces: usize, i: usize, slots: usize) -> u64 {
    word((first >> (2 * BITS)).wrapping_add(1), pieces * i / slots, pieces * (i + 1) / slots)
}

/// The word of a slot from which a piece was taken, and the piece: the first for the slot's own thread, the last
/// for others.
pub(super) fn taken(old: u64, own: bool) -> Option<(u64, usize)> {
    let (next, end) = next_and_end(old);
    let round = old >> (2 * BITS);
    match (next < end, own) {
        (false, _) => None,
        (true, true) => Some((word(round, next + 1, end), next)),
        (true, false) => Some((word(round, next, end - 1), end - 1)),
    }
}

/// In a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line<T>(T);

/// See the module.
#[derive(Debug)]
pub(super) struct Rounds {
    slots: Box<[Line<AtomicU64>]>,
    unfinished: Line<AtomicUsize>,
    /// Task of the open round. Task and pieces change only while none is open.
    task: [AtomicUsize; 5],
    pieces: AtomicUsize,
}

impl Rounds {
    /// With a slot for each thread; no round is open.
    pub fn new(threads: usize) -> Rounds {
        Rounds {
            slots: (0..threads).map(|_| Line::default()).collect(),
            unfinished: Line::default(),
            task: Default::default(),
            pieces: AtomicUsize::new(0),
        }
    }

    /// Opens a round of at least one piece. Only while no round is open, and by one thread: whoever was told by
    /// [`Rounds::finish`] that the last one is over, or started none yet.
    pub fn open(&self, task: Task, pieces: usize) {
        let pieces = pieces.clamp(1, MAX_PIECES);
        self.task.iter().zip(task).for_each(|(to, from)| to.store(from, Ordering::Relaxed));
        self.pieces.store(pieces, Ordering::Relaxed);
        self.unfinished.0.store(pieces, Ordering::Relaxed);
        let first = self.slots[0].0.load(Ordering::Relaxed);
        let slots = self.slots.len();
        // The last slot is filled last and never with nothing, so that no round ends before all are filled.
        for (i, slot) in self.slots.iter().enumerate() {
            // In one order with the flag of a thread that looks for work a last time before it sleeps.
            slot.0.store(filled(first, pieces, i, slots), Ordering::SeqCst);
            disturb();
        }
    }

    /// A piece that nobody else has. Until it is finished the round stays open.
    pub fn claim(&self, thread: usize) -> Option<usize> {
        disturb();
        let slots = self.slots.len();
        (0..slots).find_map(|i| self.take((thread + i) % slots, i == 0))
    }

    fn take(&self, slot: usize, own: bool) -> Option<usize> {
        let slot = &self.slots[slot].0;
        let mut old = slot.load(Ordering::Acquire);
        loop {
            let (new, piece) = taken(old, own)?;
            disturb();
            match slot.compare_exchange_weak(old, new, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(piece),
                Err(now) => old = now,
            }
        }
    }

    /// Whether a piece can be claimed.
    pub fn has_work(&self) -> bool {
        self.slots.iter().any(|slot| has_pieces(slot.0.load(Ordering::SeqCst)))
    }

    /// Task and number of pieces of the open round: for those who have an unfinished piece of it.
    pub fn task(&self) -> (Task, usize) {
        let task = std::array::from_fn(|i| self.task[i].load(Ordering::Relaxed));
        (task, self.pieces.load(Ordering::Relaxed))
    }

    /// Hands in claimed pieces, done or not. True for whoever hands in the last one: the round is over, what all
    /// threads wrote in it can be read, and the next one can be opened.
    pub fn finish(&self, pieces: usize) -> bool {
        disturb();
        self.unfinished.0.fetch_sub(pieces, Ordering::AcqRel) == pieces
    }
}
