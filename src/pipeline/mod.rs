//! From pixels to a page: wires the stages together and owns their memory.
//!
//! ```text
//! Frame → regions → rotate, enhance → detect → crop → classify → recognise → Page, in reading order
//! ```

mod lines;
mod open;
mod place;

pub use open::{Opened, open};

use crate::classify::Classifier;
use crate::config::{Config, Engine, Memory, Mode, Order};
use crate::detect::detector::Detector;
use crate::detect::scale::{self, ScaleRule};
use crate::error::Error;
use crate::image::enhance;
use crate::image::resize::{self, ResizeScratch};
use crate::image::roi::{PixelRect, Roi};
use crate::image::turn::{self, Turn};
use crate::image::{ImageError, Picture, PixelView};
use crate::infer::Pool;
use crate::memory::Workbench;
use crate::models::{Charset, Kind, ModelError, Store};
use crate::page::{LineDraft, Page, ms};
use crate::parallel;
use crate::recognise::Recogniser;
use crate::source::{self, Input};
use lines::{LineBox, LineReader, MAX_BOXES};
use place::Place;
use std::time::Instant;

/// One picture to read: borrowed RGB8 pixels.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// The pixels, upright.
    pub pixels: PixelView<'a>,
    /// What decoding them took, to be told in the page's timing; 0 if nothing was decoded.
    pub decode_ms: f32,
    /// Width and height in which results are told: those of `pixels`, or of the picture from which they were reduced.
    pub full_px: [usize; 2],
}

impl<'a> Frame<'a> {
    /// A frame of pixels that come from anywhere.
    pub fn new(pixels: PixelView<'a>) -> Frame<'a> {
        Frame { pixels, decode_ms: 0.0, full_px: [pixels.width(), pixels.height()] }
    }
}

/// A page of more pixels takes more memory to search than the recogniser's plans, which are then given up for it.
const LARGE_PAGE_PX: usize = 640 * 640;

/// The largest dictionary that is read: a hundred times PP-OCRv6's.
const MAX_DICT_BYTES: u64 = 8 << 20;

/// Reads pictures, one after the other.
pub struct Pipeline {
    config: Config,
    names: Names,
    regions: Vec<Roi>,
    detector: Option<Detector>,
    reader: LineReader,
    boxes: Vec<LineBox>,
    page: Box<Page>,
    bench: Workbench,
    pool: Pool,
}

/// The models in use.
#[derive(Clone, Debug, PartialEq)]
pub struct Names {
    /// Engine.
    pub engine: &'static str,
    /// Detector; none in line mode.
    pub det: Option<String>,
    /// Recogniser.
    pub rec: String,
    /// Classifier; none when switched off.
    pub cls: Option<String>,
}

impl Pipeline {
    /// Reads the models and prepares them for their most usual shape.
    ///
    /// # Errors
    /// [`Error::Config`] for parameters out of range, [`Error::Model`] for models that are missing, damaged or of the
    /// wrong kind, [`Error::NoEngine`] for an engine this program was built without.
    pub fn from_config(config: &Config) -> Result<Pipeline, Error> {
        config.validate().map_err(Error::Config)?;
        let regions = config
            .regions
            .iter()
            .map(|r| r.parse())
            .collect::<Result<Vec<Roi>, _>>()
            .map_err(|e| Error::Config(e.to_string()))?;
        let store = Store::new(config.models.folder.as_deref());
        let threads = config.threads;
        let mut bench = match config.engine {
            Engine::Arena => Workbench::in_arena(),
            Engine::Tract => Workbench::on_heap(),
        };
        let detector = match config.mode {
            Mode::Page => {
                let det = open(config, &store, Kind::Detector, threads, &mut bench)?;
                let pixels = config.memory.pixels_at_once();
                Some((Detector::new(det.network, &det.manifest, &config.detect, pixels)?, det.name))
            }
            Mode::Line => None,
        };
        // All threads share a run of the detector, but each reads lines of its own.
        let rec = open(config, &store, Kind::Recogniser, 1, &mut bench)?;
        let charset = match &config.models.dict {
            Some(path) => {
                let broken = |reason: String| ModelError::Dictionary { name: path.display().to_string(), reason };
                let bytes =
                    source::read(&Input::Path(path.clone()), MAX_DICT_BYTES).map_err(|e| broken(e.to_string()))?;
                let text = String::from_utf8(bytes).map_err(|e| broken(e.to_string()))?;
                Charset::parse(&text).map_err(broken)?
            }
            None => rec.charset.ok_or_else(|| ModelError::Dictionary {
                name: rec.name.clone(),
                reason: "the model file carries none; give its text file with --dict".into(),
            })?,
        };
        let recogniser = Recogniser::new(rec.network, &rec.manifest, charset, &config.recognise)?;
        let classifier = match config.classify && config.mode == Mode::Page {
            true => {
                let cls = open(config, &store, Kind::Classifier, 1, &mut bench)?;
                Some((Classifier::new(cls.network, &cls.manifest, config.cls_thresh)?, cls.name))
            }
            false => None,
        };
        let (detector, det) = detector.unzip();
        let mut config = config.clone();
        if let Some(detector) = &detector {
            config.detect.db = (*detector.db_params()).into();
        }
        config.rec_score_thresh = Some(config.score_thresh());
        let (classifier, cls) = classifier.unzip();
        let names = Names { engine: recogniser.engine(), det, rec: rec.name, cls };
        let reader = LineReader::new(recogniser, classifier, threads);
        let mut pool = Pool::new(threads).map_err(|e| {
            Error::Config(format!("{threads} threads cannot be started: {e}; give fewer with --threads"))
        })?;
        // A thread allocates when it begins, which must not happen while the first picture is read.
        parallel::run(&mut pool, &|_| {});
        Ok(Pipeline {
            bench,
            config,
            names,
            regions,
            detector,
            reader,
            boxes: Vec::with_capacity(MAX_BOXES),
            page: Page::boxed(),
            pool,
        })
    }

    /// Makes the plans most often needed, as many as are kept, which otherwise the first picture that needs one waits for.
    pub fn warm_up(&self) -> Result<(), Error> {
        let plans = self.config.memory.plans();
        if let Some(detector) = &self.detector {
            detector.warm_up(plans)?;
        }
        self.reader.recogniser().warm_up(plans)?;
        Ok(())
    }

    /// The configuration in force: what was left to the manifests is filled in.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The models in use.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Reads one picture. The page is valid until the next call.
    ///
    /// # Errors
    /// [`Error::Image`] for a region outside the picture, [`Error::Infer`] if a network fails.
    pub fn run(&mut self, frame: Frame<'_>) -> Result<&Page, Error> {
        let start = Instant::now();
        self.page.clear();
        [self.page.width_px, self.page.height_px] = frame.full_px.map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        self.page.timing.decode_ms = frame.decode_ms;
        if self.regions.is_empty() {
            let whole = PixelRect { x: 0, y: 0, w: frame.pixels.width(), h: frame.pixels.height() };
            self.read_region(&frame, whole)?;
        }
        for i in 0..self.regions.len() {
            let rect = self.regions[i].resolve(frame.pixels.width(), frame.pixels.height())?;
            let before = self.page.len();
            self.read_region(&frame, rect)?;
            log::debug!("region {}: {} lines", i + 1, self.page.len() - before);
        }
        self.page.timing.total_ms = frame.decode_ms + ms(start);
        Ok(&self.page)
    }

    fn read_region(&mut self, frame: &Frame<'_>, rect: PixelRect) -> Result<(), Error> {
        let start = Instant::now();
        let (page, full) = (frame.pixels, frame.full_px);
        let mut view = page.crop(rect.x, rect.y, rect.w, rect.h)?;
        let mut place = Place::scaled(full[0] as f32 / page.width() as f32, full[1] as f32 / page.height() as f32);
        place.before(Place::shift(rect.x as f32, rect.y as f32));
        let prepared = self.prepare(view, &mut place)?;
        if let Some(picture) = &prepared {
            view = picture.view();
        }
        self.boxes.clear();
        match &mut self.detector {
            None => self.boxes.push(LineBox::whole(view.width(), view.height())),
            Some(detector) => {
                let before = ms(start);
                if self.config.memory == Memory::Small && view.width() * view.height() > LARGE_PAGE_PX {
                    self.reader.recogniser().release();
                }
                let found = detector.detect(view, &mut self.bench, &mut self.pool)?;
                self.boxes.extend(found.iter().map(LineBox::found));
                let inputs = detector.prepare_ms();
                self.page.timing.prepare_ms += before + inputs;
                self.page.timing.detect_ms += ms(start) - before - inputs;
            }
        }
        let first = self.page.len();
        let summary = self.reader.read(view, &self.boxes, &mut self.bench, &mut self.pool)?;
        self.page.timing.classify_ms += summary.classify_ms;
        self.page.timing.recognise_ms += summary.recognise_ms;
        let thresh = self.config.score_thresh();
        let (result, boxes) = (&mut self.page, &self.boxes);
        self.reader.for_each(|read, chars| {
            let line = &boxes[read.index];
            if read.score < thresh || chars.iter().all(|c| c.ch.is_whitespace()) {
                return;
            }
            let on_page = |p: [f32; 2]| place.clamped(p, full[0], full[1]);
            let polygon: Vec<[f32; 2]> = line.polygon.iter().map(|p| on_page(*p)).collect();
            // A full page counts what it drops; the rest of the picture is still read.
            let _ = result.push_line(LineDraft {
                quad: line.quad.map(on_page),
                quarter_turns: read.quarter_turns,
                score: read.score,
                det_score: line.score,
                polygon: &polygon,
                chars,
            });
        });
        if self.config.mode == Mode::Page {
            match self.config.order {
                Order::Reading => self.page.sort_reading_order_from(first),
                Order::Rapidocr => self.page.sort_like_rapidocr_from(first),
            }
        }
        Ok(())
    }

    /// Everything that is done to the pixels of a region before the detector: `None` if nothing is. `place` becomes the
    /// map from the result to the page.
    fn prepare(&self, view: PixelView<'_>, place: &mut Place) -> Result<Option<Picture>, Error> {
        let turn = match self.config.rotate_deg {
            90 => Some(Turn::Right),
            180 => Some(Turn::Half),
            270 => Some(Turn::Left),
            _ => None,
        };
        let mut picture = None;
        if let Some(turn) = turn {
            let whole = view.to_picture()?;
            let (w, h) = turn.size(whole.width(), whole.height());
            let mut turned = Picture::new(w, h, [0; 3])?;
            turn::turn(whole.as_raw(), whole.width(), whole.height(), turn, turned.as_raw_mut())?;
            place.before(Place::turned(turn, view.width() as f32, view.height() as f32));
            picture = Some(turned);
        }
        if !self.config.enhance.is_empty() {
            let input = match picture.take() {
                Some(picture) => picture,
                None => view.to_picture()?,
            };
            let enhanced = enhance::apply(input, &self.config.enhance, &self.config.limits)?;
            place.before(Place(enhanced.to_original));
            picture = Some(enhanced.picture);
        }
        if self.detector.is_some() && self.config.detect.scale.rule == ScaleRule::Reference {
            let input = picture.as_ref().map_or(view, Picture::view);
            if let Some((working, back)) = self.reference_picture(input)? {
                place.before(back);
                picture = Some(working);
            }
        }
        Ok(picture)
    }

    /// RapidOCR's working picture: within bounds, flat ones with black above and below; lines are cut out of it too.
    fn reference_picture(&self, view: PixelView<'_>) -> Result<Option<(Picture, Place)>, ImageError> {
        let [w, h] = scale::reference_bounds(&self.config.detect.scale, view.width(), view.height());
        let pad = scale::reference_padding(w, h);
        if pad == 0 && (w, h) == (view.width(), view.height()) {
            return Ok(None);
        }
        let mut working = Picture::new(w, h + 2 * pad, [0; 3])?;
        let rows = &mut working.as_raw_mut()[pad * w * 3..(pad + h) * w * 3];
        resize::linear(view, rows, w, h, &mut ResizeScratch::default())?;
        let scale = [view.width() as f32 / w as f32, view.height() as f32 / h as f32];
        Ok(Some((working, Place([[scale[0], 0.0, 0.0], [0.0, scale[1], -(pad as f32) * scale[1]]]))))
    }
}
