//! Boxes to characters: cuts, turns and reads every line, spread over the threads.

use crate::classify::Classifier;
use crate::crop::{self, Crop};
use crate::detect::TextBox;
use crate::error::StageError;
use crate::image::PixelView;
use crate::infer::{InferError, MAX_WORKERS, Pool};
use crate::memory::{NoMemory, Workbench, list, room};
use crate::page::{Char, MAX_CHARS, ms};
use crate::parallel;
use crate::recognise::{self, MAX_BATCH, Recogniser, Restriction};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Boxes that there is room for at once: what the detector finds on a page and on its overview.
pub const MAX_BOXES: usize = 2048;

/// What the lists of this file are for, in [`NoMemory`].
const LINES: &str = "the lines of a page";

/// One line to be read, in the coordinates of the prepared picture.
pub struct LineBox {
    /// TL, TR, BR, BL.
    pub quad: [[f32; 2]; 4],
    /// Outline, if it is more than the quad.
    pub polygon: Vec<[f32; 2]>,
    /// The detector's score; 1 where nothing was detected.
    pub score: f32,
    /// Whether the picture itself is the line: then it is not cut out, and not turned however tall.
    whole: bool,
}

impl LineBox {
    /// The whole picture is the line.
    pub fn whole(width: usize, height: usize) -> LineBox {
        let (w, h) = (width as f32, height as f32);
        LineBox { quad: [[0.0, 0.0], [w, 0.0], [w, h], [0.0, h]], polygon: Vec::new(), score: 1.0, whole: true }
    }

    /// A box of the detector.
    pub fn found(found: &TextBox) -> LineBox {
        LineBox { quad: found.quad, polygon: found.polygon.clone(), score: found.score, whole: false }
    }

    /// Width and height of the line image.
    fn size(&self) -> [usize; 2] {
        if self.whole { self.quad[2].map(|side| side as usize) } else { crop::line_size(self.quad) }
    }

    /// Width over height of the line image.
    fn ratio(&self) -> f64 {
        let [width, height] = self.size();
        width as f64 / height.max(1) as f64
    }

    /// Bytes of each of the two parts of memory that cutting it out needs.
    fn crop_bytes(&self) -> usize {
        if self.whole { 0 } else { crop::bytes(self.quad) }
    }
}

/// A line that was read.
pub struct ReadLine {
    /// Of which box.
    pub index: usize,
    /// See [`Crop::quarter_turns`].
    pub quarter_turns: u8,
    /// Mean score of its characters.
    pub score: f32,
    chars: Range<usize>,
    worker: usize,
}

/// Milliseconds of one call, the slowest thread's.
#[derive(Clone, Copy, Default)]
pub struct Summary {
    /// Classifier.
    pub classify_ms: f32,
    /// Cutting out and reading.
    pub recognise_ms: f32,
}

/// The recogniser and classifier with what their threads need.
pub struct LineReader {
    recogniser: Recogniser,
    classifier: Option<Classifier>,
    workers: Vec<Mutex<Worker>>,
    /// Boxes by the length of their line.
    order: Vec<(f64, usize)>,
    lines: Vec<ReadLine>,
}

/// What one thread needs besides its part of the memory.
struct Worker {
    scratch: recognise::Scratch,
    read: Lines,
    summary: Summary,
    result: Result<(), StageError>,
}

impl LineReader {
    /// Reads with up to `threads` threads, at least one.
    pub fn new(recogniser: Recogniser, classifier: Option<Classifier>, threads: usize) -> Result<LineReader, NoMemory> {
        let worker = |_| {
            Ok(Mutex::new(Worker {
                scratch: recognise::Scratch::new()?,
                read: Lines { lines: list(MAX_BOXES, LINES)?, chars: list(MAX_CHARS, LINES)? },
                summary: Summary::default(),
                result: Ok(()),
            }))
        };
        Ok(LineReader {
            recogniser,
            classifier,
            workers: (0..threads.max(1)).map(worker).collect::<Result<_, NoMemory>>()?,
            order: list(MAX_BOXES, LINES)?,
            lines: list(MAX_BOXES, LINES)?,
        })
    }

    /// The recogniser.
    pub fn recogniser(&self) -> &Recogniser {
        &self.recogniser
    }

    /// Reads all boxes of a picture as `how` says; the result is told by [`for_each`](Self::for_each).
    pub fn read(
        &mut self,
        page: PixelView<'_>,
        boxes: &[LineBox],
        how: How<'_>,
        bench: &mut Workbench,
        pool: &mut Pool,
    ) -> Result<Summary, StageError> {
        self.lines.clear();
        if boxes.is_empty() {
            return Ok(Summary::default());
        }
        // Longest first: the last to finish are short, and lines of one run have about one width.
        self.order.clear();
        self.order.extend(boxes.iter().enumerate().map(|(i, b)| (b.ratio(), i)));
        self.order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let batch = self.recogniser.batch();
        let longest = &boxes[self.order[0].1];
        let tensors = self.recogniser.memory_bytes(boxes.len(), longest.size())?;
        let classifier = self.classifier.as_ref().filter(|_| how.classify);
        let tensors = tensors.max(classifier.map_or(0, Classifier::memory_bytes));
        let crop = boxes.iter().map(LineBox::crop_bytes).max().unwrap_or(0);
        let needed = boxes.len().div_ceil(batch).clamp(1, pool.threads().min(self.workers.len()).min(MAX_WORKERS));
        let each = 2 * batch * room(crop) + room(tensors);
        let mut memory = bench.bytes(needed * each).map_err(InferError::from)?.chunks_exact_mut(each);
        let job = Job {
            page,
            boxes,
            order: &self.order,
            next: AtomicUsize::new(0),
            recogniser: &self.recogniser,
            restriction: how.restriction,
            classifier,
            on_progress: how.on_progress,
            crop_bytes: crop,
            memory: std::array::from_fn(|_| Mutex::new(memory.next().unwrap_or_default())),
        };
        let work = |worker: usize| {
            if let (Some(state), Some(memory)) = (self.workers.get(worker), job.memory.get(worker)) {
                let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                state.lock().unwrap_or_else(PoisonError::into_inner).work(&job, &mut memory);
            }
        };
        match needed {
            1 => work(0),
            _ => parallel::each(pool, needed, &work),
        }
        let (mut summary, mut result) = (Summary::default(), Ok(()));
        for (i, worker) in self.workers[..needed].iter_mut().enumerate() {
            let worker = worker.get_mut().unwrap_or_else(PoisonError::into_inner);
            self.lines.extend(worker.read.lines.drain(..).map(|line| ReadLine { worker: i, ..line }));
            summary.classify_ms = summary.classify_ms.max(worker.summary.classify_ms);
            summary.recognise_ms = summary.recognise_ms.max(worker.summary.recognise_ms);
            result = result.and(std::mem::replace(&mut worker.result, Ok(())));
        }
        self.lines.sort_unstable_by_key(|line| line.index);
        result.map(|()| summary)
    }

    /// What was read, against the order of the boxes: calls `read` with each line and its characters. The detector finds boxes
    /// from the bottom of the page to its top, so that of a page with too many lines the first are kept.
    pub fn for_each(&mut self, mut read: impl FnMut(&ReadLine, &[Char])) {
        for line in self.lines.iter().rev() {
            if let Some(worker) = self.workers.get_mut(line.worker) {
                let worker = worker.get_mut().unwrap_or_else(PoisonError::into_inner);
                read(line, worker.read.chars.get(line.chars.clone()).unwrap_or(&[]));
            }
        }
    }
}

/// What is asked of the stages that read lines.
#[derive(Clone, Copy)]
pub struct How<'a> {
    /// What may come out.
    pub restriction: &'a Restriction,
    /// Turn lines that stand on their head, if there is a classifier.
    pub classify: bool,
    /// Called after each run of a network.
    pub on_progress: &'a (dyn Fn() + Sync),
}

/// What the threads share.
struct Job<'a> {
    page: PixelView<'a>,
    boxes: &'a [LineBox],
    order: &'a [(f64, usize)],
    /// The next batch that nobody has taken.
    next: AtomicUsize,
    recogniser: &'a Recogniser,
    restriction: &'a Restriction,
    classifier: Option<&'a Classifier>,
    on_progress: &'a (dyn Fn() + Sync),
    /// Bytes of the largest crop.
    crop_bytes: usize,
    /// Each thread's part.
    memory: [Mutex<&'a mut [u8]>; MAX_WORKERS],
}

/// A line of a batch: cut out, or the picture itself.
enum Source<'a> {
    Crop(Crop<'a>),
    Whole(PixelView<'a>),
}

impl Worker {
    fn work(&mut self, job: &Job<'_>, memory: &mut [u8]) {
        self.read.clear();
        self.summary = Summary::default();
        self.result = Ok(());
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
        let mut classify_ms = 0.0;
        let (crops, tensors) = memory.split_at_mut(2 * job.recogniser.batch() * room(job.crop_bytes));
        let mut crops = crops.chunks_exact_mut(room(job.crop_bytes).max(1));
        let mut lines = heapless::Vec::<(usize, Source<'_>), MAX_BATCH>::new();
        for (_, index) in batch {
            let line = &job.boxes[*index];
            let source = if line.whole {
                Source::Whole(job.page)
            } else {
                let memory = [crops.next().unwrap_or_default(), crops.next().unwrap_or_default()];
                let Some(mut crop) = Crop::cut(job.page, line.quad, memory)? else { continue };
                if let Some(classifier) = job.classifier {
                    let start = Instant::now();
                    let turned = classifier.is_turned(crop.view()?, tensors, self.scratch.resize())?;
                    classify_ms += ms(start);
                    (job.on_progress)();
                    if turned {
                        self.read_both_ways(job, &mut crop, *index, tensors)?;
                        continue;
                    }
                }
                Source::Crop(crop)
            };
            let _ = lines.push((*index, source));
        }
        let mut views = heapless::Vec::<PixelView<'_>, MAX_BATCH>::new();
        for (_, source) in &lines {
            let _ = views.push(match source {
                Source::Crop(crop) => crop.view()?,
                Source::Whole(page) => *page,
            });
        }
        let Worker { scratch, read, .. } = self;
        job.recogniser.read(&views, job.restriction, tensors, scratch, |i, line| {
            if let Some((index, source)) = lines.get(i) {
                let turns = match source {
                    Source::Crop(crop) => crop.quarter_turns,
                    Source::Whole(_) => 0,
                };
                read.push(*index, turns, line);
            }
        })?;
        self.summary.classify_ms += classify_ms;
        self.summary.recognise_ms += ms(start) - classify_ms;
        Ok(())
    }

    /// Reads a line that the classifier takes for turned as it stands and turned over, and keeps what scores higher: the
    /// classifier is often wrong about faint and about short lines.
    fn read_both_ways(
        &mut self,
        job: &Job<'_>,
        crop: &mut Crop<'_>,
        index: usize,
        tensors: &mut [u8],
    ) -> Result<(), StageError> {
        let Worker { scratch, read, .. } = self;
        let (turns, mut upright) = (crop.quarter_turns, None);
        job.recogniser.read(&[crop.view()?], job.restriction, tensors, scratch, |_, line| {
            upright = Some(line.score());
            read.push(index, turns, line);
        })?;
        (job.on_progress)();
        crop.turn_over();
        let turns = crop.quarter_turns;
        job.recogniser.read(&[crop.view()?], job.restriction, tensors, scratch, |_, line| {
            if upright.is_none_or(|upright| line.score() > upright) {
                read.pop();
                read.push(index, turns, line);
            }
        })
    }
}

/// Lines read by one thread, with their characters one after the other. All are kept, even if no page can hold them: which
/// are left out must not depend on the thread that reads them.
struct Lines {
    lines: Vec<ReadLine>,
    chars: Vec<Char>,
}

impl Lines {
    fn push(&mut self, index: usize, quarter_turns: u8, line: &recognise::Scratch) {
        let from = self.chars.len();
        self.chars.extend_from_slice(&line.chars);
        let chars = from..self.chars.len();
        self.lines.push(ReadLine { index, quarter_turns, score: line.score(), chars, worker: 0 });
    }

    /// Forgets the line pushed last.
    fn pop(&mut self) {
        if let Some(line) = self.lines.pop() {
            self.chars.truncate(line.chars.start);
        }
    }

    fn clear(&mut self) {
        self.lines.clear();
        self.chars.clear();
    }
}
