//! One run of a program for every frame.

use super::super::config::Common;
use super::super::frame_decoder::captured;
use super::super::retry_state::RetryState;
use super::super::{CameraError, Captured, FrameSource, Shutdown};
use super::child::Program;
use super::{CommandConfig, OutputDecoder, with_words};
use crate::util::latch::deadline;
use std::time::{Duration, Instant, SystemTime};

/// How long a program may go on after its output has ended.
const LINGER: Duration = Duration::from_secs(2);
/// And in any case, when the time is over: its end follows that of its output.
const MIN_LINGER: Duration = Duration::from_millis(50);
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// The source.
pub struct Once {
    command: Vec<String>,
    output_decoder: OutputDecoder,
    max_bytes: u64,
    timeout: Duration,
    retry: RetryState,
    count: u64,
}

impl Once {
    pub fn new(config: &CommandConfig, common: &Common) -> Once {
        let output_decoder = OutputDecoder::new(config, common);
        let max_bytes = output_decoder.raw.map_or(common.max_bytes, |(_, bytes)| bytes as u64);
        Once {
            command: config.command.clone(),
            output_decoder,
            max_bytes,
            timeout: Duration::from_millis(common.timeout_ms),
            retry: RetryState::new(common.backoff_min_ms, common.backoff_max_ms),
            count: 0,
        }
    }

    /// Runs the program. It is gone when this returns.
    fn run(&self, end: Instant, stop: &Shutdown) -> Result<(Vec<u8>, SystemTime), CameraError> {
        let output_decoder = &self.output_decoder;
        let start = Instant::now();
        let (mut program, mut stdout) =
            Program::start(&self.command, &output_decoder.name).map_err(|e| output_decoder.not_started(&e))?;
        let (mut bytes, mut chunk, mut status) = (Vec::new(), vec![0; CHUNK_BYTES], None);
        loop {
            if stop.is_set() {
                return Err(CameraError::Stopped);
            }
            // Once it has ended, so does its output: a process that it left behind may hold that open for ever.
            status = status.or_else(|| program.wait(Instant::now()));
            let read = stdout
                .read_until(&mut chunk, stop.slice(end), Some(stop.latch()))
                .map_err(|e| output_decoder.failed(&format!("it cannot be read ({e})"), "", "start it by hand"))?;
            match read {
                Some(0) => break,
                Some(read) => bytes.extend_from_slice(&chunk[..read]),
                None => {}
            }
            if bytes.len() as u64 > self.max_bytes {
                program.end();
                return Err(self.too_long());
            }
            if status.is_none() && Instant::now() >= end {
                program.end();
                let remedy = "it was killed; run it by hand, or raise timeout_ms";
                return Err(CameraError::Timeout {
                    source_name: output_decoder.name.clone(),
                    waited_ms: start.elapsed().as_millis() as u64,
                    remedy: with_words(remedy, &program.last_line()),
                });
            }
        }
        let at = SystemTime::now();
        // What it says about the frame counts, and it is not left running.
        let status =
            status.or_else(|| program.wait((Instant::now() + LINGER).min(end.max(Instant::now() + MIN_LINGER))));
        match status {
            Some(status) if !status.success() => {
                let reason = format!("it ended with {status}");
                Err(output_decoder.failed(&reason, &program.last_line(), "run it by hand to see why"))
            }
            Some(_) if bytes.is_empty() => {
                let remedy = "have it write to its standard output (often -o -)";
                Err(output_decoder.failed("it ended without a frame", &program.last_line(), remedy))
            }
            _ => Ok((bytes, at)),
        }
    }

    fn too_long(&self) -> CameraError {
        let reason = match self.output_decoder.raw {
            Some((_, bytes)) => {
                format!(
                    "it has more than the {bytes} bytes of its format and size: check format, width_px and height_px"
                )
            }
            None => format!("it has more than {} bytes: ask for a smaller image or raise max_bytes", self.max_bytes),
        };
        CameraError::BadFrame { source_name: self.output_decoder.name.clone(), reason }
    }
}

impl FrameSource for Once {
    fn next(&mut self, timeout: Duration, stop: &Shutdown) -> Result<Captured, CameraError> {
        let end = deadline(timeout);
        self.retry.wait(end, stop)?;
        let run = self.run(end.min(deadline(self.timeout)), stop);
        self.retry.note(&run);
        let (bytes, at) = run?;
        self.count += 1;
        let image = self.output_decoder.image(&bytes)?;
        Ok(captured(image, at, format!("{} frame {}", self.output_decoder.name, self.count)))
    }

    fn describe(&self) -> String {
        self.output_decoder.name.clone()
    }
}
