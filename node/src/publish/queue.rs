//! What the publisher needs of the outbox.

/// One record waiting to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From 1 on; rises with every record, also across restarts.
    pub id: u64,
    /// The record, opaque to the queue.
    pub bytes: Vec<u8>,
}

/// Records in the order in which they were accepted, until the broker has them. They may be removed in any order:
/// records of a topic that the broker does not take stay while those of other topics go.
pub trait Queue: Send {
    /// The oldest record whose id is above `after`; 0 for the oldest of all.
    fn next(&mut self, after: u64) -> Option<Entry>;
    /// Forgets a record: the broker has it, or never will. Nothing happens if it is not there.
    fn remove(&mut self, id: u64);
    /// Makes everything accepted so far durable; called before a record is first sent.
    fn sync(&mut self);
    /// Records waiting.
    fn len(&self) -> usize;
    /// Whether ids have changed, or older records have come, since this was last asked. Then no id from before can be
    /// relied on, and until this is asked [`remove`](Self::remove) does nothing.
    fn renumbered(&mut self) -> bool {
        false
    }
    /// The oldest record, whatever ids were known before.
    fn peek(&mut self) -> Option<Entry> {
        self.renumbered();
        self.next(0)
    }
    /// Whether none waits.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
