//! What one thread does: takes lines, cuts them out, turns and reads them.

use super::LineBox;
use crate::classify::Classifier;
use crate::crop::Crop;
use crate::image::PixelView;
use crate::infer::MAX_WORKERS;
use crate::memory::{NoMemory, aligned_size, try_vec_with_capacity};
use crate::page::{Char, MAX_CHARS, ms};
use crate::recognise::{self, Certainty, MAX_BATCH, Reader, Recogniser, Restriction};
use crate::stage::StageError;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// A line that scores less cannot be read as it stands.
const READABLE: f32 = 0.5;
/// Such a line is turned over if it then scores this much: texture is never as clear in either direction.
const CLEAR: f32 = 0.8;

/// A line that was read.
pub struct ReadLine {
    /// Of which box.
    pub index: usize,
    /// See [`Crop::quarter_turns`].
    pub quarter_turns: u8,
    /// How certain its characters are.
    pub certainty: Certainty,
    /// Who read it.
    pub reader: Reader,
    pub(super) chars: Range<usize>,
    pub(super) worker: usize,
}

/// How the lines of a job are turned.
#[derive(Clone, Copy)]
pub(super) enum Turning<'a> {
    /// As they stand; those that the classifier, if there is one, takes for turned are read both ways.
    Asked(Option<&'a Classifier>),
    /// Lying lines and tall ones turned over, or not.
    Given([bool; 2]),
}

/// What the threads share.
pub(super) struct Job<'a> {
    pub page: PixelView<'a>,
    pub boxes: &'a [LineBox],
    /// Places in `boxes`, with the ratio of width to height.
    pub order: &'a [(f64, usize)],
    /// The next batch that nobody has taken.
    pub next: AtomicUsize,
    pub recogniser: &'a Recogniser,
    /// Which one that is.
    pub reader: Reader,
    pub restriction: &'a Restriction,
    pub turning: Turning<'a>,
    /// Called after each run of a network.
    pub on_progress: &'a (dyn Fn() + Sync),
    /// Bytes of the largest crop.
    pub crop_bytes: usize,
    /// Each thread's part.
    pub memory: [Mutex<&'a mut [u8]>; MAX_WORKERS],
}

/// What one thread needs besides its part of the memory.
pub(super) struct Worker {
    scratch: recognise::Scratch,
    pub read: Lines,
    pub classify_ms: f32,
    pub recognise_ms: f32,
    pub result: Result<(), StageError>,
}

/// A line of a batch: cut out, or the image itself.
enum Source<'a> {
    Crop(Crop<'a>),
    Whole(PixelView<'a>),
}

impl Source<'_> {
    fn view(&self) -> Result<PixelView<'_>, StageError> {
        Ok(match self {
            Source::Crop(crop) => crop.view()?,
            Source::Whole(page) => *page,
        })
    }

    fn quarter_turns(&self) -> u8 {
        match self {
            Source::Crop(crop) => crop.quarter_turns,
            Source::Whole(_) => 0,
        }
    }
}

impl Worker {
    pub fn new() -> Result<Worker, NoMemory> {
        Ok(Worker {
            scratch: recognise::Scratch::new()?,
            read: Lines {
                lines: try_vec_with_capacity(super::MAX_BOXES, super::LINES)?,
                chars: try_vec_with_capacity(2 * MAX_CHARS, super::LINES)?,
                used: 0,
            },
            classify_ms: 0.0,
            recognise_ms: 0.0,
            result: Ok(()),
        })
    }

    /// Forgets what was read, for another image.
    pub fn clear(&mut self) {
        self.read.lines.clear();
        self.read.chars.clear();
        self.read.used = 0;
        (self.classify_ms, self.recognise_ms, self.result) = (0.0, 0.0, Ok(()));
    }

    /// Reads batches of the job until none is left, or one fails.
    pub fn work(&mut self, job: &Job<'_>, memory: &mut [u8]) {
        while let Some(batch) = job.order.chunks(job.recogniser.batch()).nth(job.next.fetch_add(1, Ordering::Relaxed)) {
            self.result = self.read(job, batch, memory);
            (job.on_progress)();
            if self.result.is_err() {
                return;
            }
        }
    }

    fn read(&mut self, job: &Job<'_>, batch: &[(f64, usize)], memory: &mut [u8]) -> Result<(), StageError> {
        let start = Instant::now();
        let classified_before = self.classify_ms;
        let (crops, tensors) = memory.split_at_mut(2 * job.recogniser.batch() * aligned_size(job.crop_bytes));
        let mut crops = crops.chunks_exact_mut(aligned_size(job.crop_bytes).max(1));
        let mut lines = heapless::Vec::<(usize, Source<'_>), MAX_BATCH>::new();
        for (_, index) in batch {
            let line = &job.boxes[*index];
            let source = if line.whole {
                Source::Whole(job.page)
            } else {
                let memory = [crops.next().unwrap_or_default(), crops.next().unwrap_or_default()];
                let Some(mut crop) = Crop::cut(job.page, line.quad, memory)? else { continue };
                match job.turning {
                    Turning::Asked(Some(classifier)) if self.looks_turned(job, classifier, &crop, tensors)? => {
                        self.read_both_ways(job, &mut crop, *index, tensors)?;
                        continue;
                    }
                    Turning::Given(turned) if turned[usize::from(crop.quarter_turns % 2)] => crop.turn_over(),
                    _ => {}
                }
                Source::Crop(crop)
            };
            let view = source.view()?;
            if job.recogniser.windows([view.width(), view.height()], job.restriction).is_some() {
                let certainty = self.read_one(job, view, tensors)?;
                self.read.push(job.reader, *index, source.quarter_turns(), certainty);
            } else {
                let _ = lines.push((*index, source));
            }
        }
        let mut views = heapless::Vec::<PixelView<'_>, MAX_BATCH>::new();
        for (_, source) in &lines {
            let _ = views.push(source.view()?);
        }
        let mut unreadable = heapless::Vec::<usize, MAX_BATCH>::new();
        let Worker { scratch, read, .. } = self;
        job.recogniser.read(&views, job.restriction, tensors, scratch, |i, line| {
            if let Some((index, source)) = lines.get(i) {
                read.chars.extend_from_slice(&line.chars);
                read.push(job.reader, *index, source.quarter_turns(), line.certainty());
                if line.certainty().mean < READABLE {
                    let _ = unreadable.push(i);
                }
            }
        })?;
        drop(views);
        if matches!(job.turning, Turning::Asked(Some(_))) {
            for i in unreadable {
                if let Some((index, Source::Crop(crop))) = lines.get_mut(i) {
                    self.try_turned(job, crop, *index, tensors)?;
                }
            }
        }
        self.recognise_ms += ms(start) - (self.classify_ms - classified_before);
        Ok(())
    }

    /// What the classifier says of a line.
    fn looks_turned(
        &mut self,
        job: &Job<'_>,
        classifier: &Classifier,
        crop: &Crop<'_>,
        tensors: &mut [u8],
    ) -> Result<bool, StageError> {
        let start = Instant::now();
        let turned = classifier.is_turned(crop.view()?, tensors, self.scratch.resize())?;
        self.classify_ms += ms(start);
        (job.on_progress)();
        Ok(turned)
    }

    /// Reads a line that the classifier takes for turned as it stands and turned over, and keeps what scores higher:
    /// the classifier is often wrong about faint and about short lines.
    fn read_both_ways(
        &mut self,
        job: &Job<'_>,
        crop: &mut Crop<'_>,
        index: usize,
        tensors: &mut [u8],
    ) -> Result<(), StageError> {
        let first = self.read.chars.len();
        let upright = self.read_one(job, crop.view()?, tensors)?;
        let second = self.read.chars.len();
        let turns = crop.quarter_turns;
        crop.turn_over();
        let turned = self.read_one(job, crop.view()?, tensors)?;
        if turned.mean > upright.mean {
            self.read.chars.drain(first..second);
            self.read.push(job.reader, index, crop.quarter_turns, turned);
        } else {
            self.read.chars.truncate(second);
            self.read.push(job.reader, index, turns, upright);
        }
        Ok(())
    }

    /// Reads a line that cannot be read as it stands turned over, and takes it so if then it is clear text: the
    /// classifier misses turned lines too.
    fn try_turned(
        &mut self,
        job: &Job<'_>,
        crop: &mut Crop<'_>,
        index: usize,
        tensors: &mut [u8],
    ) -> Result<(), StageError> {
        let first = self.read.chars.len();
        crop.turn_over();
        let certainty = self.read_one(job, crop.view()?, tensors)?;
        match self.read.lines.iter().rposition(|line| line.index == index) {
            Some(at) if certainty.mean >= CLEAR => {
                self.read.lines.swap_remove(at);
                self.read.push(job.reader, index, crop.quarter_turns, certainty);
            }
            _ => self.read.chars.truncate(first),
        }
        Ok(())
    }

    /// Reads one line, in windows if it is too long for the network, and appends its characters; gives how certain they
    /// are.
    fn read_one(&mut self, job: &Job<'_>, line: PixelView<'_>, tensors: &mut [u8]) -> Result<Certainty, StageError> {
        let Worker { scratch, read: Lines { chars, .. }, .. } = self;
        let (first, mut certainty) = (chars.len(), Certainty::default());
        let Some(windows) = job.recogniser.windows([line.width(), line.height()], job.restriction) else {
            job.recogniser.read(&[line], job.restriction, tensors, scratch, |_, line| {
                chars.extend_from_slice(&line.chars);
                certainty = line.certainty();
            })?;
            (job.on_progress)();
            return Ok(certainty);
        };
        certainty.least = 1.0;
        for columns in windows.columns() {
            let second = chars.len();
            let window = line.crop(columns.start, 0, columns.len(), line.height())?;
            job.recogniser.read(&[window], job.restriction, tensors, scratch, |_, line| {
                chars.extend_from_slice(&line.chars);
                certainty.least = certainty.least.min(line.certainty().least);
            })?;
            (job.on_progress)();
            windows.join(chars, first, second, columns);
        }
        let scores = chars[first..].iter().map(|c| c.score);
        certainty.mean = scores.sum::<f32>() / (chars.len() - first).max(1) as f32;
        Ok(certainty)
    }
}

/// Lines read by one thread.
pub(super) struct Lines {
    pub lines: Vec<ReadLine>,
    /// Their characters, one line after the other. All are kept, even if no page can hold them: which are left out must
    /// not depend on the thread that reads them. There is room for those of a page, read twice.
    pub chars: Vec<Char>,
    /// Characters that belong to lines.
    used: usize,
}

impl Lines {
    /// Makes a line of the characters that belong to none yet.
    fn push(&mut self, reader: Reader, index: usize, quarter_turns: u8, certainty: Certainty) {
        let chars = self.used..self.chars.len();
        self.used = chars.end;
        self.lines.push(ReadLine { index, quarter_turns, certainty, reader, chars, worker: 0 });
    }
}
