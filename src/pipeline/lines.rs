//! Boxes to characters: cuts, turns and reads every line, spread over the threads.

mod bar;
mod direction;
mod minus;
mod worker;

use crate::classify::Classifier;
use crate::crop;
use crate::detect::TextBox;
use crate::image::PixelView;
use crate::infer::{InferError, MAX_WORKERS, Pool};
use crate::memory::{NoMemory, Workspace, aligned_size, try_vec_with_capacity};
use crate::page::{Char, Quad};
use crate::parallel;
use crate::recognise::{Reader, Recognisers, Restrictions};
use crate::stage::StageError;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
pub use worker::ReadLine;
use worker::{Job, Turning, Worker};

/// Boxes that there is room for at once: what the detector finds on a page and on its overview.
pub const MAX_BOXES: usize = 2048;

/// What the lists of this file are for, in [`NoMemory`].
const LINES: &str = "the lines of a page";

/// One line to be read, in the coordinates of the prepared image.
pub struct LineBox {
    /// TL, TR, BR, BL.
    pub quad: [[f32; 2]; 4],
    /// Outline, if it is more than the quad.
    pub polygon: Vec<[f32; 2]>,
    /// The detector's score; 1 where nothing was detected.
    pub score: f32,
    /// Whether the image itself is the line: then it is not cut out, and not turned however tall.
    whole: bool,
}

impl LineBox {
    /// The whole image is the line.
    pub fn whole(width: usize, height: usize) -> LineBox {
        let (w, h) = (width as f32, height as f32);
        LineBox { quad: [[0.0, 0.0], [w, 0.0], [w, h], [0.0, h]], polygon: Vec::new(), score: 1.0, whole: true }
    }

    /// A box of the detector.
    pub fn found(found: &TextBox) -> LineBox {
        LineBox { quad: found.quad, polygon: found.polygon.clone(), score: found.score, whole: false }
    }

    /// On an image that is larger along both axes.
    pub fn scaled(mut self, [x, y]: [f32; 2]) -> LineBox {
        for point in self.quad.iter_mut().chain(&mut self.polygon) {
            *point = [point[0] * x, point[1] * y];
        }
        self
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

/// Milliseconds of one call, the slowest thread's.
#[derive(Clone, Copy, Default)]
pub struct Summary {
    /// Classifier.
    pub classify_ms: f32,
    /// Cutting out and reading.
    pub recognise_ms: f32,
}

/// The recognisers and the classifier with what their threads need.
pub struct LineReader {
    recognisers: Recognisers,
    classifier: Option<Arc<Classifier>>,
    workers: Vec<Mutex<Worker>>,
    /// Boxes by the length of their line.
    order: Vec<(f64, usize)>,
    lines: Vec<ReadLine>,
    /// Boxes that were widened for a minus, as they were before.
    widened: Vec<(usize, Quad)>,
}

impl LineReader {
    /// Reads with up to `threads` threads, at least one.
    pub fn new(
        recognisers: Recognisers,
        classifier: Option<Arc<Classifier>>,
        threads: usize,
    ) -> Result<LineReader, NoMemory> {
        Ok(LineReader {
            recognisers,
            classifier,
            workers: (0..threads.max(1)).map(|_| Worker::new().map(Mutex::new)).collect::<Result<_, NoMemory>>()?,
            order: try_vec_with_capacity(MAX_BOXES, LINES)?,
            lines: try_vec_with_capacity(MAX_BOXES, LINES)?,
            widened: try_vec_with_capacity(MAX_BOXES, LINES)?,
        })
    }

    /// Another one with the same networks and as many threads.
    pub fn sharing_networks(&self) -> Result<LineReader, NoMemory> {
        LineReader::new(self.recognisers.clone(), self.classifier.clone(), self.workers.len())
    }

    /// The recognisers.
    pub fn recognisers(&self) -> &Recognisers {
        &self.recognisers
    }

    /// Reads all boxes of an image as `options` says; the result is told by [`for_each`](Self::for_each). With
    /// `options.widen`, boxes of numbers before which the detector left out a minus become wider.
    pub fn read(
        &mut self,
        page: PixelView<'_>,
        boxes: &mut [LineBox],
        options: ReadOptions<'_>,
        workspace: &mut Workspace,
        pool: &mut Pool,
    ) -> Result<Summary, StageError> {
        self.lines.clear();
        for worker in &mut self.workers {
            worker.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self.order.clear();
        self.order.extend(boxes.iter().enumerate().map(|(i, b)| (b.ratio(), i)));
        let start = self.recognisers.starting(options.restrictions);
        let last = self.recognisers.last();
        // What the first of two recognisers is certain of stands upright, unless it is text in either direction: only the
        // rest is classified.
        let turning = if start == last { Turn::Asked } else { Turn::Upright };
        self.read_ordered(page, boxes, options, (start, turning), workspace, pool)?;
        self.take_lines(|lines, line| lines.push(line));
        self.lines.sort_unstable_by_key(|line| line.index);
        if start != last {
            self.order.clear();
            let classify = options.classify && self.classifier.is_some();
            for line in &self.lines {
                let mut either_way = || direction::is_text_either_way(chars(&mut self.workers, line));
                if !self.recognisers.is_final(line.certainty) || (classify && either_way()) {
                    self.order.push((boxes[line.index].ratio(), line.index));
                }
            }
            self.read_ordered(page, boxes, options, (last, Turn::Asked), workspace, pool)?;
            self.take_lines(|lines, again| replace(lines, again, |_, _| true));
        }
        if options.classify && self.classifier.is_some() {
            let turned = direction::of_most(&self.lines);
            self.order.clear();
            let others = self.lines.iter().filter(|line| direction::differs(line, turned));
            self.order.extend(others.map(|line| (boxes[line.index].ratio(), line.index)));
            let turned = Turn::Given(turned.map(|turned| turned.unwrap_or(false)));
            self.read_ordered(page, boxes, options, (last, turned), workspace, pool)?;
            self.take_lines(|lines, other| replace(lines, other, direction::is_better));
        }
        if options.widen {
            self.read_left_out_minus(page, boxes, options, workspace, pool)?;
        }
        let mut summary = Summary::default();
        for worker in &mut self.workers {
            let worker = worker.get_mut().unwrap_or_else(PoisonError::into_inner);
            summary.classify_ms = summary.classify_ms.max(worker.classify_ms);
            summary.recognise_ms = summary.recognise_ms.max(worker.recognise_ms);
        }
        Ok(summary)
    }

    /// Reads the boxes in `order` with one of the recognisers, spread over the threads.
    fn read_ordered(
        &mut self,
        page: PixelView<'_>,
        boxes: &[LineBox],
        options: ReadOptions<'_>,
        (reader, turn): (Reader, Turn),
        workspace: &mut Workspace,
        pool: &mut Pool,
    ) -> Result<(), StageError> {
        // Longest first: the last to finish are short, and lines of one run have about one width.
        self.order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let Some((_, longest)) = self.order.first() else { return Ok(()) };
        let Some(restriction) = options.restrictions.of(reader) else { return Ok(()) };
        let recogniser = self.recognisers.get(reader);
        let (count, batch) = (self.order.len(), recogniser.batch());
        let tensors = recogniser.memory_bytes(count, boxes[*longest].size())?;
        let classifier = self.classifier.as_deref().filter(|_| options.classify && turn == Turn::Asked);
        let tensors = tensors.max(classifier.map_or(0, Classifier::memory_bytes));
        let crop = self.order.iter().map(|(_, index)| boxes[*index].crop_bytes()).max().unwrap_or(0);
        let needed = count.div_ceil(batch).clamp(1, pool.threads().min(self.workers.len()).min(MAX_WORKERS));
        let each = 2 * batch * aligned_size(crop) + aligned_size(tensors);
        let mut memory = workspace.bytes(needed * each).map_err(InferError::from)?.chunks_exact_mut(each);
        let job = Job {
            page,
            boxes,
            order: &self.order,
            next: AtomicUsize::new(0),
            recogniser,
            reader,
            restriction,
            turning: match turn {
                Turn::Given(turned) => Turning::Given(turned),
                Turn::Asked | Turn::Upright => Turning::Asked(classifier),
            },
            on_progress: options.on_progress,
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
        let mut result = Ok(());
        for worker in &mut self.workers[..needed] {
            let worker = worker.get_mut().unwrap_or_else(PoisonError::into_inner);
            result = result.and(std::mem::replace(&mut worker.result, Ok(())));
        }
        result
    }

    /// Gives each line that a thread has read to `take`, which puts it into the list of all.
    fn take_lines(&mut self, mut take: impl FnMut(&mut Vec<ReadLine>, ReadLine)) {
        for (i, worker) in self.workers.iter_mut().enumerate() {
            let worker = worker.get_mut().unwrap_or_else(PoisonError::into_inner);
            for line in worker.read.lines.drain(..) {
                take(&mut self.lines, ReadLine { worker: i, ..line });
            }
        }
    }

    /// What was read, against the order of the boxes: calls `read` with each line and its characters. The detector
    /// finds boxes from the bottom of the page to its top, so that of a page with too many lines the first are kept.
    pub fn for_each(&mut self, mut read: impl FnMut(&ReadLine, &[Char])) {
        for line in self.lines.iter().rev() {
            read(line, chars(&mut self.workers, line));
        }
    }
}

/// How the lines of a pass are turned.
#[derive(Clone, Copy, PartialEq)]
enum Turn {
    /// As the classifier says, if there is one.
    Asked,
    /// As they stand.
    Upright,
    /// Lying lines and tall ones turned over, or not.
    Given([bool; 2]),
}

/// Puts a line that was read again in the place of the same line in a list sorted by index, if it `is_better` than that.
fn replace(lines: &mut [ReadLine], again: ReadLine, is_better: impl Fn(&ReadLine, &ReadLine) -> bool) {
    if let Ok(at) = lines.binary_search_by_key(&again.index, |line| line.index)
        && is_better(&again, &lines[at])
    {
        lines[at] = again;
    }
}

/// The characters of a line.
fn chars<'a>(workers: &'a mut [Mutex<Worker>], line: &ReadLine) -> &'a [Char] {
    let worker = workers.get_mut(line.worker).map(|worker| worker.get_mut().unwrap_or_else(PoisonError::into_inner));
    worker.and_then(|worker| worker.read.chars.get(line.chars.clone())).unwrap_or_default()
}

/// What is asked of the stages that read lines.
#[derive(Clone, Copy)]
pub struct ReadOptions<'a> {
    /// What may come out.
    pub restrictions: &'a Restrictions,
    /// Turn lines that stand on their head, if there is a classifier.
    pub classify: bool,
    /// Widen boxes by a minus that the detector left out.
    pub widen: bool,
    /// Called after each run of a network.
    pub on_progress: &'a (dyn Fn() + Sync),
}

#[cfg(test)]
mod tests;
