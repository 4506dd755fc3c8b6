//! Images read side by side and told one after the other, in their order.

use edge_ocr::Pipeline;
use edge_ocr::config::Provider;
use edge_ocr::infer::Ran;
use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The turn of one item: what is said of it waits for this.
pub struct Turn<'a, S> {
    turns: &'a Turns<S>,
    /// Of the item.
    number: usize,
    /// Whether the items behind it have their turn too.
    goes_on: bool,
}

/// Whose turn it is, and what the one whose turn it is may change.
struct Turns<S> {
    order: Mutex<Order>,
    changed: Condvar,
    state: Mutex<S>,
}

struct Order {
    /// The next item that nobody has taken.
    next: usize,
    /// The item whose turn it is.
    turn: usize,
    /// No item has its turn any more.
    ended: bool,
}

impl<S> Turn<'_, S> {
    /// Waits until all items before are done, and lends what only one thread at a time may change. `None`: one of those
    /// items has ended the work.
    pub fn wait(&self) -> Option<MutexGuard<'_, S>> {
        if self.turns.come(self.number).ended {
            return None;
        }
        Some(self.turns.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S> Drop for Turn<'_, S> {
    /// The next one's turn; after a panic nobody's.
    fn drop(&mut self) {
        let mut order = self.turns.come(self.number);
        order.turn += 1;
        order.ended |= !self.goes_on;
        self.turns.changed.notify_all();
    }
}

impl<S> Turns<S> {
    /// The next item that nobody has taken.
    fn take<'a, I>(&self, items: &'a [I]) -> Option<(&'a I, Turn<'_, S>)> {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let item = items.get(order.next).filter(|_| !order.ended)?;
        order.next += 1;
        Some((item, Turn { turns: self, number: order.next - 1, goes_on: false }))
    }

    /// Waits for the turn of an item, or for the end.
    fn come(&self, number: usize) -> MutexGuard<'_, Order> {
        let order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |order: &mut Order| order.turn != number && !order.ended;
        self.changed.wait_while(order, waits).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pipelines that read `images` images: two for several images where ONNX Runtime uses a GPU, so that the text of one
/// is found while that of another is recognised. On a CPU one image uses all cores: two at a time took 11 % longer.
pub fn pipelines(pipeline: Pipeline, images: usize) -> Vec<Pipeline> {
    let on_gpu = |(_, ran): &(String, Ran)| ran.ran.is_some_and(|provider| provider != Provider::Cpu);
    match images > 1 && pipeline.names().ran.iter().any(on_gpu) {
        true => two(pipeline),
        false => vec![pipeline],
    }
}

/// This pipeline, and another with its networks, if there is memory for it.
fn two(pipeline: Pipeline) -> Vec<Pipeline> {
    let second = pipeline.sharing_networks();
    if let Err(error) = &second {
        log::warn!("one image is read at a time: {error}");
    }
    std::iter::once(pipeline).chain(second).collect()
}

/// Calls `work` with each item and a worker that is free; each worker has a thread, the first one the caller's. `work`
/// reads, waits for its turn, which comes in the order of the items, and tells what it has read by means of `state`.
///
/// `work` says whether there are turns after this one. The answer is that of the first item, in the order of the items,
/// that ended the work, otherwise true: what `work` gives behind that item counts for nothing. A panic ends the work
/// when the turn of its item has come, and is passed on to the caller.
pub fn in_turn<W: Send, I: Sync, S: Send, E: Send>(
    workers: &mut [W],
    items: &[I],
    state: S,
    work: impl Fn(&mut W, &I, &Turn<'_, S>) -> Result<bool, E> + Sync,
) -> (S, Result<bool, E>) {
    let order = Mutex::new(Order { next: 0, turn: 0, ended: false });
    let turns = Turns { order, changed: Condvar::new(), state: Mutex::new(state) };
    // Up to the item that ends the work: its number, and what was given for it.
    let go_on = |worker: &mut W| {
        while let Some((item, mut turn)) = turns.take(items) {
            match work(worker, item, &turn) {
                Ok(true) => turn.goes_on = true,
                ended => return (turn.number, ended),
            }
        }
        (usize::MAX, Ok(true))
    };
    let result = thread::scope(|scope| {
        let Some((first, others)) = workers.split_first_mut() else { return Ok(true) };
        let spawn = |worker| thread::Builder::new().name("turns".into()).spawn_scoped(scope, || go_on(worker));
        // A thread that the system does not give is not needed: the others do its work.
        let threads: Vec<_> = others.iter_mut().filter_map(|worker| spawn(worker).ok()).collect();
        let mut result = go_on(first);
        for thread in threads {
            let other = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            if other.0 < result.0 {
                result = other;
            }
        }
        result.1
    });
    (turns.state.into_inner().unwrap_or_else(PoisonError::into_inner), result)
}

#[cfg(test)]
mod side_by_side;

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Items 0 and 1 are read at the same time, and so are 2 and 3, …; of each pair the later one is ready first.
    #[test]
    fn later_items_that_are_ready_first_wait() {
        let items: Vec<usize> = (0..40).collect();
        let both = Barrier::new(2);
        let ready = Mutex::new(Vec::new());
        let work = |_: &mut (), item: &usize, turn: &Turn<'_, Vec<usize>>| -> Result<bool, ()> {
            both.wait();
            if item % 2 == 1 {
                ready.lock().unwrap().push(*item);
                both.wait();
            } else {
                both.wait();
                ready.lock().unwrap().push(*item);
            }
            turn.wait().unwrap().push(*item);
            Ok(true)
        };
        let (told, result) = in_turn(&mut [(), ()], &items, Vec::new(), work);
        assert_eq!((told, result), (items, Ok(true)));
        assert!(ready.into_inner().unwrap().chunks(2).all(|pair| pair[0] == pair[1] + 1));
    }

    #[test]
    fn any_number_of_workers_tells_the_same() {
        let items: Vec<usize> = (0..100).collect();
        // Some tell nothing, some several things.
        let work = |_: &mut (), item: &usize, turn: &Turn<'_, Vec<usize>>| -> Result<bool, ()> {
            (0..item % 3).for_each(|_| turn.wait().unwrap().push(*item));
            Ok(true)
        };
        let told = |workers: usize| in_turn(&mut vec![(); workers], &items, Vec::new(), work);
        for workers in [2, 3, 8] {
            assert_eq!(told(workers), told(1), "{workers}");
        }
        assert_eq!(told(0), (vec![], Ok(true)));
        assert_eq!(in_turn(&mut [()], &[], 7, |_, _: &(), _| Ok::<_, ()>(true)), (7, Ok(true)));
    }

    /// The item that ends the work, and one behind it that has been read, fails, or would tell something.
    #[test]
    fn nothing_is_told_behind_the_end() {
        for (ends, behind) in [(Ok(false), Ok(true)), (Err(1), Err(2)), (Ok(false), Err(2)), (Err(1), Ok(false))] {
            let both = Barrier::new(2);
            let calls = AtomicUsize::new(0);
            let work = |_: &mut (), item: &usize, turn: &Turn<'_, Vec<usize>>| {
                calls.fetch_add(1, Ordering::Relaxed);
                if *item >= 2 {
                    both.wait();
                }
                if *item == 3 {
                    if let Some(mut told) = turn.wait() {
                        told.push(3);
                    }
                    return behind;
                }
                turn.wait().unwrap().push(*item);
                if *item == 2 { ends } else { Ok(true) }
            };
            let result = in_turn(&mut [(), ()], &(0..10).collect::<Vec<_>>(), Vec::new(), work);
            assert_eq!(result, (vec![0, 1, 2], ends));
            assert_eq!(calls.into_inner(), 4, "no more is begun");
        }
    }

    /// The panic of item 1 comes while item 0 is read by the other thread, whichever that is.
    #[test]
    fn a_panic_ends_both_after_its_turn() {
        for _ in 0..20 {
            let both = Barrier::new(2);
            let told = Mutex::new(Vec::new());
            let work = |_: &mut (), item: &usize, turn: &Turn<'_, ()>| -> Result<bool, ()> {
                if *item < 2 {
                    both.wait();
                }
                assert_ne!(*item, 1, "of the test");
                let turn = turn.wait();
                if turn.is_some() {
                    told.lock().unwrap().push(*item);
                }
                Ok(turn.is_some())
            };
            let ended = catch_unwind(AssertUnwindSafe(|| in_turn(&mut [(), ()], &[0, 1, 2, 3], (), work)));
            assert!(ended.is_err());
            assert_eq!(told.into_inner().unwrap(), [0]);
        }
    }

    #[test]
    fn a_panic_within_a_turn_ends_both() {
        let both = Barrier::new(2);
        let work = |_: &mut (), item: &usize, turn: &Turn<'_, usize>| -> Result<bool, ()> {
            both.wait();
            let Some(mut told) = turn.wait() else { return Ok(false) };
            assert_ne!(*item, 0, "of the test");
            *told += 1;
            Ok(true)
        };
        assert!(catch_unwind(AssertUnwindSafe(|| in_turn(&mut [(), ()], &[0, 1], 0, work))).is_err());
    }
}
