//! A program that writes frames continuously. One thread reads them and keeps the newest; another supervises the
//! program.

use super::super::config::Common;
use super::super::frame_decoder::captured;
use super::super::jpeg::JpegSplitter;
use super::super::latest_frame::LatestFrame;
use super::super::pnm::PnmSplitter;
use super::super::retry_state::retry;
use super::super::{CameraError, Captured, FrameSource, Part, Shutdown};
use super::child::Program;
use super::pipe::Pipe;
use super::{CommandConfig, CommandFormat, OutputDecoder, with_words};
use crate::util::latch::Monitor;
use crate::util::retry::Retry;
use edge_ocr::panics::catch_panic;
use std::io::Read;
use std::process::ChildStdout;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the end of the output is waited for when the program was ended. Longer only if something that left its
/// group holds it.
const DRAIN: Duration = Duration::from_secs(1);
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Cuts the output into frames.
enum Splitter {
    Jpeg(JpegSplitter),
    Pnm(PnmSplitter),
    /// Raw frames of this many bytes.
    Raw(usize, Vec<u8>),
}

impl Splitter {
    fn push(&mut self, mut bytes: &[u8], give: &mut dyn FnMut(Part)) -> Result<(), String> {
        match self {
            Splitter::Jpeg(splitter) => splitter.push(bytes, give),
            Splitter::Pnm(splitter) => return splitter.push(bytes, give),
            Splitter::Raw(length, frame) => {
                while !bytes.is_empty() {
                    let (now, later) = bytes.split_at((*length - frame.len()).min(bytes.len()));
                    frame.extend_from_slice(now);
                    bytes = later;
                    if frame.len() == *length {
                        give(Part::Frame(std::mem::take(frame)));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The source. The program is started when the first frame is asked for.
pub struct Stream {
    latest: Arc<LatestFrame>,
    supervisor: Option<Supervisor>,
    thread: Option<JoinHandle<()>>,
    output_decoder: Arc<OutputDecoder>,
    max_age: Duration,
}

impl Stream {
    pub fn new(config: &CommandConfig, common: &Common) -> Stream {
        let output_decoder = Arc::new(OutputDecoder::new(config, common));
        let latest = Arc::<LatestFrame>::default();
        let supervisor = Supervisor {
            command: config.command.clone(),
            format: config.format,
            latest: latest.clone(),
            output_decoder: output_decoder.clone(),
            retry: retry(common.backoff_min_ms, common.backoff_max_ms),
            timeout: Duration::from_millis(common.timeout_ms),
            max_bytes: usize::try_from(common.max_bytes).unwrap_or(usize::MAX),
        };
        let max_age = Duration::from_millis(common.max_age_ms);
        Stream { latest, supervisor: Some(supervisor), thread: None, output_decoder, max_age }
    }
}

impl FrameSource for Stream {
    fn next(&mut self, timeout: Duration, stop: &Shutdown) -> Result<Captured, CameraError> {
        if let Some(supervisor) = self.supervisor.take() {
            match std::thread::Builder::new().name("program".into()).spawn(move || supervisor.run()) {
                Ok(thread) => self.thread = Some(thread),
                Err(error) => return Err(self.output_decoder.not_started(&error)),
            }
        }
        let frame = self.latest.take(timeout, self.max_age, stop, || CameraError::Timeout {
            source_name: self.output_decoder.name.clone(),
            waited_ms: timeout.as_millis() as u64,
            remedy: "run the program by hand, or raise timeout_ms".into(),
        })?;
        let image = self.output_decoder.image(&frame.frame)?;
        Ok(captured(image, frame.at, format!("{} frame {}", self.output_decoder.name, frame.number)))
    }

    fn describe(&self) -> String {
        self.output_decoder.name.clone()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.latest.close();
        // Not longer than it takes to kill the program: it must not outlive the node.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread that starts the program, watches it and restarts it.
struct Supervisor {
    command: Vec<String>,
    format: CommandFormat,
    latest: Arc<LatestFrame>,
    output_decoder: Arc<OutputDecoder>,
    retry: Retry,
    timeout: Duration,
    max_bytes: usize,
}

/// A run of the program.
struct Session {
    /// When the last frame came.
    last: Instant,
    /// How many came.
    count: u64,
    /// Set when its output has ended; why it cannot be cut into frames, if it is that.
    ended: Option<Result<(), String>>,
}

impl Supervisor {
    fn run(mut self) {
        while !self.latest.is_closed() {
            if let Err(error) = self.session() {
                self.latest.fail(error);
                let pause = self.retry.failed(Instant::now());
                self.latest.pause(pause);
            }
        }
    }

    /// One run of the program, until it ends, hangs, or nobody wants frames any more. It is gone when this returns.
    fn session(&mut self) -> Result<(), CameraError> {
        let output_decoder = self.output_decoder.clone();
        let (mut program, stdout) =
            Program::start(&self.command, &output_decoder.name).map_err(|e| output_decoder.not_started(&e))?;
        let session = Arc::new(Monitor::new(Session { last: Instant::now(), count: 0, ended: None }));
        let _wakers = [program.exited(), self.latest.closed()].map(|latch| latch.notify(session.waker()));
        self.read(stdout, session.clone()).map_err(|e| output_decoder.not_started(&e))?;
        let mut status = None;
        let ended = loop {
            let end = session.lock().last + self.timeout;
            session.wait_until(end, |session| {
                let exited = status.is_none() && program.exited().is_set();
                (exited || session.ended.is_some() || self.latest.is_closed()).then_some(())
            });
            // Once it has ended, so does its output: a process that it left behind may hold that open for ever.
            status = status.or_else(|| program.wait(Instant::now()));
            if self.latest.is_closed() {
                program.end();
                return Ok(());
            }
            let (last, ended) = {
                let session = &mut *session.lock();
                (session.last, session.ended.take())
            };
            if let Some(ended) = ended {
                break ended;
            }
            if last.elapsed() >= self.timeout {
                program.end();
                session.wait_until(Instant::now() + DRAIN, |session| session.ended.as_ref().map(drop));
                self.note_success(&session);
                let remedy = "it was killed and is restarted; run it by hand, or raise timeout_ms";
                return Err(CameraError::Timeout {
                    source_name: output_decoder.name.clone(),
                    waited_ms: self.timeout.as_millis() as u64,
                    remedy: with_words(remedy, &program.last_line()),
                });
            }
        };
        let seen = self.note_success(&session);
        let broken = ended.err();
        let status = match broken {
            // It goes on writing what cannot be read.
            Some(_) => None,
            None => status.or_else(|| program.wait(Instant::now() + DRAIN)),
        };
        program.end();
        let reason = match (broken, status) {
            (Some(reason), _) => reason,
            (None, Some(status)) => format!("it ended with {status}"),
            (None, None) => "it closed its output".into(),
        };
        let remedy = match self.format {
            _ if seen > 0 => "it is restarted; run it by hand if this goes on",
            CommandFormat::Jpeg | CommandFormat::Pnm => {
                "check that it writes frames in this format to its standard output"
            }
            _ => "check that it writes raw frames to its standard output, and width_px and height_px",
        };
        Err(output_decoder.failed(&reason, &program.last_line(), remedy))
    }

    /// Starts again with the shortest pause if there were frames. Gives their number.
    fn note_success(&mut self, session: &Monitor<Session>) -> u64 {
        let count = session.lock().count;
        if count > 0 {
            self.retry.succeeded();
        }
        count
    }

    /// Starts the thread that reads.
    fn read(&self, mut stdout: Pipe<ChildStdout>, session: Arc<Monitor<Session>>) -> std::io::Result<()> {
        let mut splitter = match (self.format, &self.output_decoder.raw) {
            (_, Some((_, bytes))) => Splitter::Raw(*bytes, Vec::new()),
            (CommandFormat::Pnm, None) => Splitter::Pnm(PnmSplitter::new(self.max_bytes)),
            (_, None) => Splitter::Jpeg(JpegSplitter::new(self.max_bytes)),
        };
        let (latest, output_decoder, max_bytes) = (self.latest.clone(), self.output_decoder.clone(), self.max_bytes);
        let split = {
            let session = session.clone();
            move || {
                let mut chunk = vec![0; CHUNK_BYTES];
                loop {
                    let read = match stdout.read(&mut chunk) {
                        Ok(0) => return Ok(()),
                        Ok(read) => read,
                        Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                        Err(e) => return Err(format!("its output cannot be read ({e})")),
                    };
                    splitter.push(&chunk[..read], &mut |part| {
                        // Without waking the supervisor: it looks again when the last frame is too old.
                        let mut session = session.lock();
                        session.last = Instant::now();
                        match part {
                            Part::Frame(frame) => {
                                session.count += 1;
                                latest.put(frame);
                            }
                            part => latest.fail(part.to_error(&output_decoder.name, max_bytes)),
                        }
                    })?;
                }
            }
        };
        let work = move || {
            let ended = catch_panic(split).unwrap_or_else(|_| Err("its output made the reader fail".into()));
            session.change(|session| session.ended = Some(ended));
        };
        std::thread::Builder::new().name("frames".into()).spawn(work).map(drop)
    }
}
