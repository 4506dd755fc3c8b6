//! The flag by which a node or worker is ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set when the node is to end; shared by all threads.
#[derive(Clone, Default)]
pub struct Stop {
    set: Arc<AtomicBool>,
    on_poll: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Stop {
    /// The same flag for a wait that is watched over: `on_poll` is called whenever [`is_set`](Self::is_set) is asked,
    /// which a [`FrameSource`](crate::camera::FrameSource) that waits does at least every
    /// [`MAX_WAIT_SLICE`](crate::camera::MAX_WAIT_SLICE).
    pub fn with_poll(&self, on_poll: impl Fn() + Send + Sync + 'static) -> Stop {
        Stop { set: self.set.clone(), on_poll: Some(Arc::new(on_poll)) }
    }

    /// Ends the node.
    pub fn set(&self) {
        self.set.store(true, Ordering::Release);
    }

    /// Whether the node is to end.
    pub fn is_set(&self) -> bool {
        if let Some(on_poll) = &self.on_poll {
            on_poll();
        }
        self.set.load(Ordering::Acquire)
    }
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Stop").field(&self.set).finish()
    }
}
