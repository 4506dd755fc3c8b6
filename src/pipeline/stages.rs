//! The stages of a pipeline with their memory: one part of a frame after the other onto a page.

use super::affine::AffineTransform;
use super::lines::{LineBox, LineReader, MAX_BOXES, ReadLine, ReadOptions};
use super::profile::Profile;
use super::{Frame, OnProgress};
use crate::config::{Config, Memory, Mode, Order};
use crate::detect::TextBox;
use crate::detect::detector::Detector;
use crate::detect::scale::{self, ScaleRule};
use crate::error::Error;
use crate::image::enhance;
use crate::image::region::PixelRect;
use crate::image::resize::{self, ResizeScratch};
use crate::image::turn::{self, Turn};
use crate::image::{Image, ImageError, PixelView};
use crate::infer::Pool;
use crate::memory::{Workspace, try_vec_with_capacity};
use crate::page::{Char, LineDraft, OwnedLine, Page, ms};
use crate::param::Param;
use crate::recognise::Reader;
use std::time::Instant;

/// A page of more pixels takes more memory to search than the recogniser's plans, which are then given up for it.
const LARGE_PAGE_PX: usize = 640 * 640;

/// What is said when text is to be found without the network that finds it.
pub const NO_DETECTOR: &str =
    "text cannot be found because the pipeline was made for lines only; make it with mode page, or read lines";

/// The networks and what they work in.
pub struct Stages {
    /// The configuration in force, with the defaults of the manifests.
    pub config: Config,
    /// None where only lines are read.
    pub detector: Option<Detector>,
    /// Recogniser and classifier.
    pub reader: LineReader,
    /// Boxes of the part that is read now.
    pub boxes: Vec<LineBox>,
    /// The result.
    pub page: Box<Page>,
    /// Memory of the networks.
    pub workspace: Workspace<'static>,
    /// Threads.
    pub pool: Pool,
    /// Called after each run of a network.
    pub on_progress: OnProgress,
    /// When the page was begun.
    pub start: Instant,
}

/// All of a frame.
pub fn whole(frame: &Frame<'_>) -> PixelRect {
    PixelRect { x: 0, y: 0, w: frame.pixels.width(), h: frame.pixels.height() }
}

impl Stages {
    /// The networks with threads and lists of their own.
    pub fn new(
        config: Config,
        detector: Option<Detector>,
        reader: LineReader,
        workspace: Workspace<'static>,
        on_progress: OnProgress,
    ) -> Result<Stages, Error> {
        let threads = config.threads;
        let pool = Pool::new(threads).map_err(|e| {
            Error::Config(format!("{threads} threads cannot be started: {e}; give fewer with {}", Param::Threads))
        })?;
        let boxes = try_vec_with_capacity(MAX_BOXES, "the lines of a page")?;
        let page = Page::try_boxed()?;
        Ok(Stages { config, detector, reader, boxes, page, workspace, pool, on_progress, start: Instant::now() })
    }

    /// Forgets the page before, and begins that of `frame`.
    pub fn begin(&mut self, frame: &Frame<'_>) {
        self.start = Instant::now();
        self.page.clear();
        [self.page.width_px, self.page.height_px] = frame.full_px.map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        self.page.timing.decode_ms = frame.decode_ms;
    }

    /// The page of all that was read since [`begin`](Self::begin).
    pub fn finish(&mut self) -> &Page {
        self.page.timing.total_ms = self.page.timing.decode_ms + ms(self.start);
        &self.page
    }

    /// Appends what stands in a part of the frame to the page.
    pub fn read(&mut self, frame: &Frame<'_>, rect: PixelRect, profile: &Profile) -> Result<(), Error> {
        let start = Instant::now();
        let (page, full) = (frame.pixels, frame.full_px);
        let mut view = page.crop(rect.x, rect.y, rect.w, rect.h)?;
        let mut place =
            AffineTransform::scaled(full[0] as f32 / page.width() as f32, full[1] as f32 / page.height() as f32);
        place.prepend(AffineTransform::shift(rect.x as f32, rect.y as f32));
        let prepared = self.prepare(view, profile, &mut place)?;
        if let Some(image) = &prepared {
            view = image.view();
        }
        self.page.timing.prepare_ms += ms(start);
        let first = self.page.len();
        if profile.mode == Mode::Line {
            self.boxes.clear();
            self.boxes.push(LineBox::whole(view.width(), view.height()));
            return self.read_boxes(view, &place, profile);
        }
        let scale = &self.config.detect.scale;
        let searched = scale::searched_at(scale, view.width(), view.height()) * page.width() as f32;
        self.page.searched_at = self.page.searched_at.min(searched / full[0].max(1) as f32);
        self.find(view)?;
        self.read_boxes(view, &place, profile)?;
        if self.config.detect.scale.rule == ScaleRule::Tiled {
            self.look_again(view, &place, profile, first)?;
        }
        match self.config.order {
            Order::Reading => self.page.sort_reading_order_from(first),
            Order::Rapidocr => self.page.sort_like_rapidocr_from(first),
        }
        Ok(())
    }

    /// Puts the boxes of text in an image into `boxes`.
    fn find(&mut self, view: PixelView<'_>) -> Result<(), Error> {
        let start = Instant::now();
        let detector = self.detector.as_mut().ok_or_else(|| Error::Config(NO_DETECTOR.into()))?;
        if self.config.memory == Memory::Small && view.width() * view.height() > LARGE_PAGE_PX {
            self.reader.recognisers().release();
        }
        self.boxes.clear();
        let found = detector.detect(view, &mut self.workspace, &mut self.pool, &*self.on_progress)?;
        self.boxes.extend(found.iter().map(LineBox::found));
        let inputs = detector.prepare_ms();
        self.page.timing.prepare_ms += inputs;
        self.page.timing.detect_ms += ms(start) - inputs;
        Ok(())
    }

    /// The boxes of text in an image as it is.
    pub(super) fn detect(&mut self, view: PixelView<'_>) -> Result<Vec<TextBox>, Error> {
        let reference = self.config.detect.scale.rule == ScaleRule::Reference;
        let working = if reference { self.reference_image(view)? } else { None };
        self.find(working.as_ref().map_or(view, |(image, _)| image.view()))?;
        let (width, height) = (view.width(), view.height());
        let back = working.map_or(AffineTransform::scaled(1.0, 1.0), |(_, back)| back);
        let on_image = |p: &[f32; 2]| back.clamped(*p, width, height);
        Ok(self
            .boxes
            .iter()
            .map(|b| TextBox {
                quad: b.quad.each_ref().map(on_image),
                polygon: b.polygon.iter().map(on_image).collect(),
                score: b.score,
            })
            .collect())
    }

    /// Reads the boxes of an image as it is, each of which gives a line.
    pub(super) fn recognise(&mut self, view: PixelView<'_>, profile: &Profile) -> Result<Vec<OwnedLine>, Error> {
        let options = ReadOptions {
            restrictions: &profile.restrictions,
            classify: profile.classify,
            widen: false,
            on_progress: &*self.on_progress,
        };
        self.reader.read(view, &mut self.boxes, options, &mut self.workspace, &mut self.pool)?;
        let boxes = &self.boxes;
        let line = |text_box: &LineBox, read: Option<&ReadLine>, chars: &[Char]| {
            OwnedLine::from(LineDraft {
                quad: text_box.quad,
                quarter_turns: read.map_or(0, |read| read.quarter_turns),
                score: read.map_or(0.0, |read| read.certainty.mean),
                second: read.is_some_and(|read| read.reader == Reader::Second),
                det_score: text_box.score,
                polygon: &text_box.polygon,
                chars,
            })
        };
        // A box without pixels gives an empty line.
        let mut lines: Vec<OwnedLine> = boxes.iter().map(|text_box| line(text_box, None, &[])).collect();
        self.reader.for_each(|read, chars| {
            lines[read.index] = line(&boxes[read.index], Some(read), chars);
        });
        Ok(lines)
    }

    /// Reads the boxes and appends the lines to the page.
    pub(super) fn read_boxes(
        &mut self,
        view: PixelView<'_>,
        place: &AffineTransform,
        profile: &Profile,
    ) -> Result<(), Error> {
        let options = ReadOptions {
            restrictions: &profile.restrictions,
            classify: profile.classify && profile.mode == Mode::Page,
            widen: profile.mode == Mode::Page && self.config.detect.scale.rule == ScaleRule::Tiled,
            on_progress: &*self.on_progress,
        };
        let summary = self.reader.read(view, &mut self.boxes, options, &mut self.workspace, &mut self.pool)?;
        self.page.timing.classify_ms += summary.classify_ms;
        self.page.timing.recognise_ms += summary.recognise_ms;
        let thresh = profile.score_thresh;
        let (result, boxes) = (&mut self.page, &self.boxes);
        let size = [result.width_px, result.height_px].map(|side| side as usize);
        self.reader.for_each(|read, chars| {
            let line = &boxes[read.index];
            if read.certainty.mean < thresh || chars.iter().all(|c| c.ch.is_whitespace()) {
                return;
            }
            let on_page = |p: [f32; 2]| place.clamped(p, size[0], size[1]);
            let polygon: Vec<[f32; 2]> = line.polygon.iter().map(|p| on_page(*p)).collect();
            // A full page counts what it drops; the rest of the image is still read.
            let _ = result.push_line(LineDraft {
                quad: line.quad.map(on_page),
                quarter_turns: read.quarter_turns,
                score: read.certainty.mean,
                second: read.reader == Reader::Second,
                det_score: line.score,
                polygon: &polygon,
                chars,
            });
        });
        Ok(())
    }

    /// Everything that is done to the pixels of a region before the detector: `None` if nothing is. `place` becomes the
    /// map from the result to the page.
    fn prepare(
        &self,
        view: PixelView<'_>,
        profile: &Profile,
        place: &mut AffineTransform,
    ) -> Result<Option<Image>, Error> {
        let turn = match profile.rotate_deg {
            90 => Some(Turn::Right),
            180 => Some(Turn::Half),
            270 => Some(Turn::Left),
            _ => None,
        };
        let mut image = None;
        if let Some(turn) = turn {
            let whole = view.to_image()?;
            let (w, h) = turn.size(whole.width(), whole.height());
            let mut turned = Image::new(w, h, [0; 3])?;
            turn::turn(whole.as_raw(), whole.width(), whole.height(), turn, turned.as_raw_mut())?;
            place.prepend(AffineTransform::turned(turn, view.width() as f32, view.height() as f32));
            image = Some(turned);
        }
        if !profile.enhance.is_empty() {
            let input = match image.take() {
                Some(image) => image,
                None => view.to_image()?,
            };
            let enhanced = enhance::apply(input, &profile.enhance, &self.config.limits)?;
            place.prepend(AffineTransform(enhanced.to_original));
            image = Some(enhanced.image);
        }
        if profile.mode == Mode::Page && self.config.detect.scale.rule == ScaleRule::Reference {
            let input = image.as_ref().map_or(view, Image::view);
            if let Some((working, back)) = self.reference_image(input)? {
                place.prepend(back);
                image = Some(working);
            }
        }
        Ok(image)
    }

    /// RapidOCR's working image: within bounds, flat ones with black above and below; lines are cut out of it too.
    fn reference_image(&self, view: PixelView<'_>) -> Result<Option<(Image, AffineTransform)>, ImageError> {
        let [w, h] = scale::reference_bounds(&self.config.detect.scale, view.width(), view.height());
        let pad = scale::reference_padding(w, h);
        if pad == 0 && (w, h) == (view.width(), view.height()) {
            return Ok(None);
        }
        let mut working = Image::new(w, h + 2 * pad, [0; 3])?;
        let rows = &mut working.as_raw_mut()[pad * w * 3..(pad + h) * w * 3];
        resize::linear(view, rows, w, h, &mut ResizeScratch::default())?;
        let scale = [view.width() as f32 / w as f32, view.height() as f32 / h as f32];
        Ok(Some((working, AffineTransform([[scale[0], 0.0, 0.0], [0.0, scale[1], -(pad as f32) * scale[1]]]))))
    }
}
