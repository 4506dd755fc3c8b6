//! One run of a program for every frame.

use super::super::backoff::{LOOK, Tries, deadline};
use super::super::config::Common;
use super::super::picture::captured;
use super::super::{CameraError, Captured, FrameSource, Stop};
use super::child::Program;
use super::{CommandConfig, Development, with_words};
use std::io::Read;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant, SystemTime};

/// How long a program may go on after its output has ended.
const LINGER: Duration = Duration::from_secs(2);

/// The source.
pub struct Once {
    command: Vec<String>,
    development: Development,
    most: u64,
    timeout: Duration,
    tries: Tries,
    count: u64,
}

impl Once {
    pub fn new(config: &CommandConfig, common: &Common) -> Once {
        let development = Development::new(config, common);
        let most = development.raw.map_or(common.max_bytes, |(_, bytes)| bytes as u64);
        Once {
            command: config.command.clone(),
            development,
            most,
            timeout: Duration::from_millis(common.timeout_ms),
            tries: Tries::new(common.backoff_min_ms, common.backoff_max_ms),
            count: 0,
        }
    }

    /// Runs the program. It is gone when this returns.
    fn run(&self, end: Instant, stop: &Stop) -> Result<(Vec<u8>, SystemTime), CameraError> {
        let development = &self.development;
        let start = Instant::now();
        let (mut program, stdout) =
            Program::start(&self.command, &development.name).map_err(|e| development.not_started(&e))?;
        let (give, output) = sync_channel(1);
        let most = self.most;
        let read = move || {
            let mut bytes = Vec::new();
            let result = stdout.take(most.saturating_add(1)).read_to_end(&mut bytes);
            let _ = give.send(result.map(|_| (bytes, SystemTime::now())));
        };
        std::thread::Builder::new().name("frame".into()).spawn(read).map_err(|e| development.not_started(&e))?;
        let output = loop {
            if stop.is_set() {
                return Err(CameraError::Stopped);
            }
            let left = end.saturating_duration_since(Instant::now());
            match output.recv_timeout(left.min(LOOK)) {
                Ok(output) => break output,
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
                Err(_) => {
                    program.end();
                    let mend = "it was killed; run it by hand, or raise timeout_ms";
                    return Err(CameraError::Timeout {
                        source_name: development.name.clone(),
                        waited_ms: start.elapsed().as_millis() as u64,
                        mend: with_words(mend, &program.last_line()),
                    });
                }
            }
        };
        let (bytes, at) =
            output.map_err(|e| development.failed(&format!("it cannot be read ({e})"), "", "start it by hand"))?;
        if bytes.len() as u64 > most {
            program.end();
            return Err(self.too_long());
        }
        // What it says about the frame counts, and it is not left running.
        match program.wait((Instant::now() + LINGER).min(end.max(Instant::now() + LOOK))) {
            Some(status) if !status.success() => {
                let reason = format!("it ended with {status}");
                Err(development.failed(&reason, &program.last_line(), "run it by hand to see why"))
            }
            Some(_) if bytes.is_empty() => {
                let mend = "have it write to its standard output (often -o -)";
                Err(development.failed("it ended without a frame", &program.last_line(), mend))
            }
            _ => Ok((bytes, at)),
        }
    }

    fn too_long(&self) -> CameraError {
        let reason = match self.development.raw {
            Some((_, bytes)) => {
                format!(
                    "it has more than the {bytes} bytes of its format and size: check format, width_px and height_px"
                )
            }
            None => format!("it has more than {} bytes: ask for a smaller picture or raise max_bytes", self.most),
        };
        CameraError::BadFrame { source_name: self.development.name.clone(), reason }
    }
}

impl FrameSource for Once {
    fn next(&mut self, timeout: Duration, stop: &Stop) -> Result<Captured, CameraError> {
        let end = deadline(timeout);
        self.tries.wait(end, stop)?;
        let run = self.run(end.min(deadline(self.timeout)), stop);
        self.tries.note(&run);
        let (bytes, at) = run?;
        self.count += 1;
        let picture = self.development.picture(&bytes)?;
        Ok(captured(picture, at, format!("{} frame {}", self.development.name, self.count)))
    }

    fn describe(&self) -> String {
        self.development.name.clone()
    }
}
