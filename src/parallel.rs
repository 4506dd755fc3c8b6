//! Work shared between the threads of a pool.

use crate::infer::Pool;
use std::sync::{Mutex, PoisonError};

/// Does `work` on every item, at most as many as the pool has threads, each on a thread of its own, and gives the results in
/// the order of the items, or the first error in that order. A panic goes on to the caller. Allocates.
pub fn side_by_side<T: Send, R: Send, E: Send>(
    pool: &mut Pool,
    items: Vec<T>,
    work: impl Fn(T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let places: Vec<_> = items.into_iter().map(|item| Mutex::new((Some(item), None))).collect();
    run(pool, &|worker| {
        let Some(place) = places.get(worker) else { return };
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(item) = place.0.take() {
            place.1 = Some(work(item));
        }
    });
    places.into_iter().filter_map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner).1).collect()
}

/// Does `work` with the number of each thread on it, the caller's included, which is 0. A panic goes on to the caller.
/// Allocates nothing.
pub fn run(pool: &mut Pool, work: &(dyn Fn(usize) + Sync)) {
    if let Err(error) = pool.broadcast(work) {
        panic!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_and_the_first_error_returned() {
        let mut pool = Pool::new(4).unwrap();
        let halve = |n: i32| if n % 2 == 0 { Ok(n / 2) } else { Err(n) };
        assert_eq!(side_by_side(&mut pool, vec![2, 8, 6], halve), Ok(vec![1, 4, 3]));
        assert_eq!(side_by_side(&mut pool, vec![2, 3, 4, 5], halve), Err(3));
        assert_eq!(side_by_side(&mut pool, vec![], halve), Ok(vec![]));
    }

    #[test]
    #[should_panic]
    fn a_panic_goes_on() {
        run(&mut Pool::new(2).unwrap(), &|worker| assert_eq!(worker, 0));
    }
}
