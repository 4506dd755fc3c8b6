//! What the publisher needs of the outbox.

/// One record waiting to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Rises with every record, also across restarts.
    pub id: u64,
    /// The record, opaque to the queue.
    pub bytes: Vec<u8>,
}

/// Records in the order in which they were accepted, until the broker has them.
pub trait Queue: Send {
    /// The oldest record that has not been removed.
    fn peek(&mut self) -> Option<Entry>;
    /// Forgets a record: the broker has it, or never will.
    fn remove(&mut self, id: u64);
    /// Makes everything accepted so far durable; called before a record is first sent.
    fn sync(&mut self);
    /// Records waiting.
    fn len(&self) -> usize;
    /// Whether none waits.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
