//! The signals that end a service or begin it anew. None of them is lost, also while the program executes itself again.
//!
//! `exec` puts every handler back to the default, which for SIGHUP and SIGTERM is death. What it leaves as it is are the signals that
//! are held back, and those that wait because of it. So they are held back in every thread but the one that listens, from the first
//! moment on, and before an `exec` in that one too: whatever comes then waits in the kernel until the new program listens.

pub use system::{Listener, Signals, let_through};

/// What somebody wants by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To end: SIGTERM or SIGINT, with its number.
    Stop(i32),
    /// To read the configuration again: SIGHUP.
    Reload,
}

#[cfg(unix)]
mod system {
    use super::Asked;
    use nix::sys::signal::{SigSet, SigmaskHow, Signal};
    use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::iterator::Handle;
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::JoinHandle;

    /// Whether they are held back.
    static CAUGHT: AtomicBool = AtomicBool::new(false);

    fn set() -> SigSet {
        [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM].into_iter().collect()
    }

    /// Signals that are caught; see the [module](super).
    pub struct Signals(signal_hook::iterator::Signals);

    impl Signals {
        /// Catches them from now on, and holds them back in this thread and in those that it starts; they wait for
        /// [`listen`](Self::listen). To be called first of all, before there are other threads. A file that grows over the limit on
        /// lengths (`LimitFSIZE`, `ulimit -f`) is from now on an error of that write instead of the program's end.
        ///
        /// # Errors
        /// The system's.
        pub fn catch() -> io::Result<Signals> {
            set().thread_block()?;
            CAUGHT.store(true, Ordering::Release);
            // A flag that nobody looks at: whoever writes is told by the error.
            signal_hook::flag::register(SIGXFSZ, Arc::default())?;
            Ok(Signals(signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])?))
        }

        /// Gives them to `obey` in a thread of its own.
        ///
        /// # Errors
        /// The system has no thread to give.
        pub fn listen(self, mut obey: impl FnMut(Asked) + Send + 'static) -> io::Result<Listener> {
            let Signals(mut signals) = self;
            let handle = signals.handle();
            let work = move || {
                let mut hear = |signal| obey(if signal == SIGHUP { Asked::Reload } else { Asked::Stop(signal) });
                if let Err(e) = set().thread_unblock() {
                    log::error!("signals cannot be listened for: {e}");
                }
                signals.forever().for_each(&mut hear);
                // What comes after this line waits for the next program; what came before is heard.
                let _ = set().thread_block();
                signals.pending().for_each(&mut hear);
            };
            let thread = std::thread::Builder::new().name("signals".into()).spawn(work)?;
            Ok(Listener { handle, thread })
        }
    }

    /// The thread that listens; it does so until the program ends, if it is not told otherwise.
    pub struct Listener {
        handle: Handle,
        thread: JoinHandle<()>,
    }

    impl Listener {
        /// Listens no longer: what has come has been given when this returns, and what comes later waits for the next program.
        pub fn finish(self) {
            self.handle.close();
            let _ = self.thread.join();
        }
    }

    /// Runs `work`, which starts a program, so that signals are not held back in that one.
    pub fn let_through<T>(work: impl FnOnce() -> T) -> T {
        if !CAUGHT.load(Ordering::Acquire) {
            return work();
        }
        // One that comes right now is caught in this thread, and heard all the same.
        let before = set().thread_swap_mask(SigmaskHow::SIG_UNBLOCK);
        let result = work();
        if let Ok(before) = before {
            let _ = before.thread_set_mask();
        }
        result
    }
}

/// No signals here: the program ends when it is killed.
#[cfg(not(unix))]
mod system {
    use super::Asked;
    use std::io;

    /// Nothing.
    pub struct Signals;

    impl Signals {
        /// Nothing to do.
        ///
        /// # Errors
        /// None.
        pub fn catch() -> io::Result<Signals> {
            Ok(Signals)
        }

        /// Nothing comes.
        ///
        /// # Errors
        /// None.
        pub fn listen(self, _: impl FnMut(Asked) + Send + 'static) -> io::Result<Listener> {
            Ok(Listener)
        }
    }

    /// Nothing.
    pub struct Listener;

    impl Listener {
        /// Nothing to do.
        pub fn finish(self) {}
    }

    /// Runs `work`.
    pub fn let_through<T>(work: impl FnOnce() -> T) -> T {
        work()
    }
}
