//! Work shared between the threads of a pool.

use crate::infer::Pool;
use std::sync::{Mutex, PoisonError};

/// Applies `work` to every item, on as many threads as are free. Returns the results in the order of the items, or the
/// first error in that order. A panic is passed on to the caller. Allocates.
pub fn map<T: Send, R: Send, E: Send>(
    pool: &mut Pool,
    items: Vec<T>,
    work: impl Fn(T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let places: Vec<_> = items.into_iter().map(|item| Mutex::new((Some(item), None))).collect();
    each(pool, places.len(), &|i| {
        let mut place = places[i].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(item) = place.0.take() {
            place.1 = Some(work(item));
        }
    });
    places.into_iter().filter_map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner).1).collect()
}

/// Calls `work` once with each number below `count`, on the free threads, the caller's included. A panic is passed on to
/// the caller. Allocates nothing.
pub fn each(pool: &mut Pool, count: usize, work: &(dyn Fn(usize) + Sync)) {
    if let Err(error) = pool.each(count, work) {
        panic!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_visits_all_items_returns_first_error() {
        let mut pool = Pool::new(4).unwrap();
        let halve = |n: i32| if n % 2 == 0 { Ok(n / 2) } else { Err(n) };
        assert_eq!(map(&mut pool, vec![2, 8, 6], halve), Ok(vec![1, 4, 3]));
        assert_eq!(map(&mut pool, vec![2, 3, 4, 5], halve), Err(3));
        assert_eq!(map(&mut pool, vec![], halve), Ok(vec![]));
        // More items than threads.
        assert_eq!(map(&mut pool, (0..20).map(|n| 2 * n).collect(), halve), Ok((0..20).collect()));
    }

    #[test]
    #[should_panic(expected = "a worker thread panicked")]
    fn a_panic_goes_on() {
        each(&mut Pool::new(2).unwrap(), 2, &|i| assert_eq!(i, 0));
    }
}
