//! The signals that end a service (SIGTERM, SIGINT) or make it read its configuration again (SIGHUP).

pub use system::Signals;

/// What somebody wants by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalRequest {
    /// To end: SIGTERM or SIGINT, with its number.
    Stop(i32),
    /// To read the configuration again: SIGHUP.
    Reload,
}

#[cfg(unix)]
mod system {
    use super::SignalRequest;
    use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    use std::io;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    /// What asks for the end so soon after the same request is that request again: timeout(1) sends its signal to its
    /// child and to the process group. A second one ends a service at once, so it must be a person's.
    const AGAIN: Duration = Duration::from_millis(500);

    /// Signals that are caught; see the [module](super).
    pub struct Signals(signal_hook::iterator::Signals);

    impl Signals {
        /// Catches them from now on; they wait for [`listen`](Self::listen). To be called before anything that takes
        /// time, because until then a signal kills the process. A file that grows over the limit on lengths
        /// (`LimitFSIZE`, `ulimit -f`) is from now on an error of that write instead of the program's end.
        ///
        /// # Errors
        /// The system's.
        pub fn catch() -> io::Result<Signals> {
            // Nobody looks at the flag: whoever writes gets the error.
            signal_hook::flag::register(SIGXFSZ, Arc::default())?;
            Ok(Signals(signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])?))
        }

        /// Gives them to `on_request` in a thread of its own, until the process ends.
        ///
        /// # Errors
        /// The system has no thread to give.
        pub fn listen(self, mut on_request: impl FnMut(SignalRequest) + Send + 'static) -> io::Result<()> {
            let Signals(mut signals) = self;
            let work = move || {
                let mut stopped: Option<Instant> = None;
                for signal in signals.forever() {
                    if signal == SIGHUP {
                        on_request(SignalRequest::Reload);
                    } else if stopped.is_none_or(|first| first.elapsed() > AGAIN) {
                        stopped.get_or_insert_with(Instant::now);
                        on_request(SignalRequest::Stop(signal));
                    }
                }
            };
            std::thread::Builder::new().name("signals".into()).spawn(work).map(drop)
        }
    }
}

/// No signals here: the program ends when it is killed.
#[cfg(not(unix))]
mod system {
    use super::SignalRequest;
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
        pub fn listen(self, _: impl FnMut(SignalRequest) + Send + 'static) -> io::Result<()> {
            Ok(())
        }
    }
}
