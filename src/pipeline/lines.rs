//! Boxes to characters: cuts, turns and reads every line, spread over the threads.

use crate::classify::{self, Classifier};
use crate::crop::{self, Crop};
use crate::detect::TextBox;
use crate::error::StageError;
use crate::image::PixelView;
use crate::page::Char;
use crate::parallel;
use crate::recognise::{self, Recogniser};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

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
pub struct LineTiming {
    /// Classifier.
    pub classify_ms: f32,
    /// Cutting out and reading.
    pub recognise_ms: f32,
}

/// The recogniser and classifier with the memory of their threads.
pub struct LineReader {
    recogniser: Recogniser,
    classifier: Option<Classifier>,
    workers: Vec<Worker>,
    lines: Vec<ReadLine>,
}

/// The memory of one thread.
#[derive(Default)]
struct Worker {
    crops: Vec<Crop>,
    classify: classify::Scratch,
    recognise: recognise::Scratch,
    chars: Vec<Char>,
    lines: Vec<ReadLine>,
    timing: LineTiming,
}

impl LineReader {
    /// Reads with `threads` threads, at least one.
    pub fn new(recogniser: Recogniser, classifier: Option<Classifier>, threads: usize) -> LineReader {
        let workers = (0..threads.max(1)).map(|_| Worker::default()).collect();
        LineReader { recogniser, classifier, workers, lines: Vec::new() }
    }

    /// The recogniser.
    pub fn recogniser(&self) -> &Recogniser {
        &self.recogniser
    }

    /// Reads all boxes of a picture; the result is in [`lines`](Self::lines).
    pub fn read(&mut self, page: PixelView<'_>, boxes: &[LineBox]) -> Result<LineTiming, StageError> {
        // Longest first: the last to finish are short, and lines of one run have about one width.
        let mut order: Vec<(f64, usize)> =
            boxes.iter().enumerate().map(|(i, b)| (crop::line_ratio(b.quad), i)).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let job = Job {
            page,
            boxes,
            order: &order,
            next: AtomicUsize::new(0),
            recogniser: &self.recogniser,
            classifier: self.classifier.as_ref(),
        };
        let needed = boxes.len().div_ceil(self.recogniser.batch()).clamp(1, self.workers.len());
        let result = parallel::side_by_side(self.workers[..needed].iter_mut(), |worker| worker.work(&job));
        self.lines.clear();
        let mut timing = LineTiming::default();
        for (i, worker) in self.workers[..needed].iter_mut().enumerate() {
            self.lines.extend(worker.lines.drain(..).map(|line| ReadLine { worker: i, ..line }));
            timing.classify_ms = timing.classify_ms.max(worker.timing.classify_ms);
            timing.recognise_ms = timing.recognise_ms.max(worker.timing.recognise_ms);
        }
        self.lines.sort_by_key(|line| line.index);
        result.map(|()| timing)
    }

    /// What was read, in the order of the boxes, with the characters of each.
    pub fn lines(&self) -> impl Iterator<Item = (&ReadLine, &[Char])> {
        self.lines.iter().map(|line| {
            (line, self.workers.get(line.worker).and_then(|w| w.chars.get(line.chars.clone())).unwrap_or(&[]))
        })
    }
}

/// What the threads share.
struct Job<'a> {
    page: PixelView<'a>,
    boxes: &'a [LineBox],
    order: &'a [(f64, usize)],
    /// The next batch that nobody has taken.
    next: AtomicUsize,
    recogniser: &'a Recogniser,
    classifier: Option<&'a Classifier>,
}

impl Worker {
    fn work(&mut self, job: &Job<'_>) -> Result<(), StageError> {
        self.lines.clear();
        self.chars.clear();
        self.timing = LineTiming::default();
        let size = job.recogniser.batch();
        let mut indices = Vec::with_capacity(size);
        loop {
            let Some(batch) = job.order.chunks(size).nth(job.next.fetch_add(1, Ordering::Relaxed)) else {
                return Ok(());
            };
            let start = Instant::now();
            let mut classify_ms = 0.0;
            indices.clear();
            for (_, index) in batch {
                let line = &job.boxes[*index];
                if self.crops.len() <= indices.len() {
                    self.crops.push(Crop::default());
                }
                let crop = &mut self.crops[indices.len()];
                if line.whole {
                    crop.take_whole(job.page);
                } else if !crop.cut(job.page, line.quad)? {
                    continue;
                }
                indices.push(*index);
                if let Some(classifier) = job.classifier {
                    let start = Instant::now();
                    if classifier.is_turned(crop.view()?, &mut self.classify)? {
                        crop.turn_over();
                    }
                    classify_ms += start.elapsed().as_secs_f32() * 1e3;
                }
            }
            let views = self.crops[..indices.len()].iter().map(Crop::view).collect::<Result<Vec<_>, _>>()?;
            let (lines, chars, crops) = (&mut self.lines, &mut self.chars, &self.crops);
            job.recogniser.read(&views, &mut self.recognise, |i, read| {
                let from = chars.len();
                chars.extend_from_slice(&read.chars);
                lines.push(ReadLine {
                    index: indices[i],
                    quarter_turns: crops[i].quarter_turns,
                    score: read.score(),
                    chars: from..chars.len(),
                    worker: 0,
                });
            })?;
            self.timing.classify_ms += classify_ms;
            self.timing.recognise_ms += start.elapsed().as_secs_f32() * 1e3 - classify_ms;
        }
    }
}
