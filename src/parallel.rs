//! Work shared between the threads of one call.

/// Does `work` on every item, the first on this thread and each other one on a thread of its own, and returns the first
/// error in the order of the items. A panic goes on to the caller.
pub fn side_by_side<T: Send, E: Send>(
    mut items: impl Iterator<Item = T>,
    work: impl Fn(T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let Some(first) = items.next() else { return Ok(()) };
    let work = &work;
    std::thread::scope(|scope| {
        let others: Vec<_> = items.map(|item| scope.spawn(move || work(item))).collect();
        let result = work(first);
        others.into_iter().fold(result, |result, other| match other.join() {
            Ok(other) => result.and(other),
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::side_by_side;

    #[test]
    fn every_item_is_worked_on_and_the_first_error_returned() {
        let mut items = [1, 2, 3, 4];
        assert_eq!(
            side_by_side(items.iter_mut(), |item| {
                *item *= 10;
                if *item > 20 { Err(*item) } else { Ok(()) }
            }),
            Err(30)
        );
        assert_eq!(items, [10, 20, 30, 40]);
        assert_eq!(side_by_side(std::iter::empty::<()>(), |()| Err("never")), Ok(()));
    }
}
