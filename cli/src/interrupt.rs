//! SIGINT, SIGTERM and SIGHUP while results are written: the program ends between two results, never within one, and
//! the output is closed.

use super::Stop;
use edge_ocr::Error;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Results on their way to a file or pipe. The writer holds the lock; a signal waits for it.
pub struct Guarded<T>(Arc<Mutex<Option<T>>>);

impl<T: Send + 'static> Guarded<T> {
    /// From now on SIGINT, SIGTERM and SIGHUP close the results by `close` and end the program; its exit code is 128 plus
    /// the signal's number. A SIGHUP that the program was started to ignore, by nohup(1), stays ignored.
    pub fn new(results: T, close: impl FnOnce(T) -> io::Result<()> + Send + 'static) -> Result<Guarded<T>, Stop> {
        let results = Arc::new(Mutex::new(Some(results)));
        let shared = results.clone();
        let end = move |signal: i32| {
            // Held until the process has ended, so that nothing is written after the end.
            let mut results = shared.lock().unwrap_or_else(PoisonError::into_inner);
            match results.take().map(close) {
                Some(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                    print_error!("edge-ocr: the end of the results could not be written: {error}; free space");
                }
                _ => {}
            }
            system::exit(128 + signal);
        };
        let refused = |e| Error::Config(format!("signals cannot be caught: {e}; free memory and open files"));
        system::on_signal(end).map_err(refused)?;
        Ok(Guarded(results))
    }

    /// Writes a result; no signal ends the program meanwhile.
    pub fn with<R>(&self, write: impl FnOnce(&mut T) -> R) -> R {
        let mut results = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write(results.as_mut().expect("a signal takes them for good, and ends the program"))
    }

    /// Closes the results; no signal ends the program meanwhile.
    pub fn close<R>(self, close: impl FnOnce(T) -> R) -> R {
        let mut results = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        close(results.take().expect("a signal takes them for good, and ends the program"))
    }
}

#[cfg(unix)]
mod system {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use std::io;
    use std::thread::Builder;
    use std::time::{Duration, Instant};

    /// A later signal ends the program at once: whoever reads the results may have stopped, and the program waits for
    /// it. What comes earlier is the same signal again: timeout(1) sends it to its child and to the process group.
    const AGAIN: Duration = Duration::from_millis(500);

    /// Calls `end` once, in a thread of its own, when a signal comes.
    pub fn on_signal(end: impl FnOnce(i32) + Send + 'static) -> io::Result<()> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        if !is_ignored(SIGHUP) {
            signals.add_signal(SIGHUP)?;
        }
        let work = move || {
            let (mut end, mut since) = (Some(end), Instant::now());
            for signal in signals.forever() {
                let ending = end.take().map(|end| {
                    since = Instant::now();
                    Builder::new().name("end".into()).spawn(move || end(signal))
                });
                if matches!(ending, Some(Err(_))) || since.elapsed() > AGAIN {
                    exit(128 + signal);
                }
            }
        };
        Builder::new().name("signals".into()).spawn(work).map(drop)
    }

    /// Ends the process without the C library's exit handlers: those of ONNX Runtime take down what another thread may
    /// just be running in.
    pub fn exit(code: i32) -> ! {
        signal_hook::low_level::exit(code)
    }

    /// Whether this process ignores a signal. Linux tells, with signal `n` as bit `n - 1`; other systems do not.
    fn is_ignored(signal: i32) -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let hex = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
        u64::from_str_radix(hex.trim(), 16).is_ok_and(|ignored| ignored >> (signal - 1) & 1 == 1)
    }
}

#[cfg(not(unix))]
mod system {
    pub fn exit(code: i32) -> ! {
        std::process::exit(code)
    }

    /// No signals here: the program ends when it is killed.
    pub fn on_signal(_: impl FnOnce(i32) + Send + 'static) -> std::io::Result<()> {
        Ok(())
    }
}
