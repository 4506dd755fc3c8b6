//! Frame → an observation of each field: alignment, regions, one pipeline for all of them.

use super::field_config::{AlignConfig, FieldConfig, OnLost, validate_fields};
use crate::rules::{CharGuess, Observation};
use edge_ocr::config::{Config, Mode};
use edge_ocr::error::Error;
use edge_ocr::image::align::{AlignError, Aligner, Alignment, Similarity};
use edge_ocr::image::decode::{self, Limits};
use edge_ocr::image::region::{PixelRect, Region};
use edge_ocr::image::{CHANNELS, Image, ImageError, PixelView, reserve, warp};
use edge_ocr::page::{Page, Quad, ms};
use edge_ocr::pipeline::{Frame, Names, OnProgress, Pipeline, Profile};
use edge_ocr::source::{self, Input};
use image::{RgbImage, imageops};
use std::time::Instant;

/// A mark has at most 256×256 pixels; no sensible file of one is longer.
const MAX_MARK_BYTES: u64 = 1 << 20;
/// A region turned by less than this, in degrees, is cut out with whole pixels: over the length of a field that is
/// within what the recogniser is used to.
const MIN_TURN_DEG: f32 = 0.3;
/// A change of scale by less than this part is ignored for the same reason.
const MIN_SCALING: f32 = 0.01;

/// A line higher than this is made smaller before it is read: twice the height of the recogniser's input.
const MAX_LINE_PX: usize = 96;

/// What was read in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameReadings {
    /// One for each field, in the order of the configuration.
    pub fields: Vec<FieldReading>,
    /// Where the marks were found; `None` if the node has none.
    pub alignment: Option<Alignment>,
    /// Looking for the marks, in milliseconds.
    pub align_ms: f32,
    /// All of it, in milliseconds.
    pub total_ms: f32,
}

/// What was read in one field of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldReading {
    /// Name of the field.
    pub name: String,
    /// What was read; empty where nothing was, or nothing could be.
    pub observation: Observation,
    /// Corners of the region in the frame from its top left clockwise, moved by the alignment.
    pub region: Quad,
    /// Boxes of the lines that `observation` joins, in the frame.
    pub lines: Vec<Quad>,
    /// Lines among these that the second of two recognisers read, because the first was not certain.
    pub second_lines: usize,
    /// What may be missing in it; one sentence each.
    pub warnings: Vec<String>,
    /// Why the field could not be read in this frame.
    pub problem: Option<FieldProblem>,
    /// Cutting out and reading, in milliseconds.
    pub read_ms: f32,
}

/// Why a field could not be read in a frame. Every message is one sentence: the thing, the reason, the remedy.
#[derive(thiserror::Error, Clone, Debug, PartialEq)]
pub enum FieldProblem {
    /// The scene is not where it was.
    #[error(
        "the reference marks were not found (likeness {score:.2}); clean or light the scene, put the camera back, or take a new reference image"
    )]
    NotAligned {
        /// Likeness of the mark found worst.
        score: f32,
    },
    /// The scene has moved so far that the field is out of sight.
    #[error(
        "the region, moved with the scene by {dx_px:.0},{dy_px:.0} pixels, leaves the frame of {width}x{height} pixels; put the camera back or define the region again"
    )]
    Left {
        /// Pixels to the right.
        dx_px: f32,
        /// Pixels down.
        dy_px: f32,
        /// Width of the frame.
        width: usize,
        /// Height of the frame.
        height: usize,
    },
    /// The region is not in the frame, or cannot be cut out.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// A field, ready to be read.
struct Field {
    name: String,
    /// None: the whole frame.
    roi: Option<Region>,
    profile: Profile,
}

/// Where a field is in a frame.
enum Place {
    /// Whole pixels.
    Rect(PixelRect),
    /// Turned or scaled: the map from the reference image, and the region there.
    Turned(Similarity, PixelRect),
}

impl Place {
    /// Corners in the frame.
    fn quad(&self) -> Quad {
        match self {
            Place::Rect(rect) => corners(*rect),
            Place::Turned(map, rect) => corners(*rect).map(|corner| map.apply(corner)),
        }
    }
}

/// Reads the fields of one frame after the other, all with one pipeline.
pub struct FieldReader {
    pipeline: Pipeline,
    fields: Vec<Field>,
    aligner: Option<(Aligner, OnLost)>,
    /// Pixels of a turned region.
    turned: Vec<u8>,
    on_progress: Option<OnProgress>,
}

impl FieldReader {
    /// Makes the pipeline; of `config`, what a field says takes the place of mode, restriction, turn, enhancements
    /// and score threshold, and its regions are of no effect. Networks that no field needs are not loaded. The
    /// images of marks are read from the paths as they are given.
    ///
    /// # Errors
    /// [`Error::Config`] for fields and marks that cannot be used, naming the field; otherwise as
    /// [`Pipeline::from_config`].
    pub fn new(config: &Config, fields: &[FieldConfig], align: Option<&AlignConfig>) -> Result<FieldReader, Error> {
        validate_fields(fields.iter()).map_err(Error::Config)?;
        let profiles: Vec<_> = fields.iter().map(FieldConfig::profile).collect();
        let aligner = align.map(|align| Ok::<_, Error>((aligner(align)?, align.on_lost))).transpose()?;
        let pipeline = Pipeline::for_profiles(config, &profiles)?;
        let made = fields.iter().zip(&profiles).map(|(field, profile)| {
            let of_field = |sentence: String| Error::Config(format!("field {}: {sentence}", field.name));
            let profile = pipeline.profile(profile).map_err(|error| match error {
                Error::Config(sentence) => of_field(sentence),
                Error::Param(error) => of_field(error.to_string()),
                other => other,
            })?;
            Ok(Field { name: field.name.clone(), roi: field.region().map_err(of_field)?, profile })
        });
        let fields = made.collect::<Result<_, Error>>()?;
        Ok(FieldReader { pipeline, fields, aligner, turned: Vec::new(), on_progress: None })
    }

    /// The models in use.
    pub fn names(&self) -> &Names {
        self.pipeline.names()
    }

    /// The pipeline, to read other things between frames; see [`Pipeline::profile`].
    pub fn pipeline(&mut self) -> &mut Pipeline {
        &mut self.pipeline
    }

    /// Calls `on_progress` whenever something is done: a field, the marks, and as [`Pipeline::on_progress`] does.
    pub fn on_progress(&mut self, on_progress: OnProgress) {
        self.pipeline.on_progress(on_progress.clone());
        self.on_progress = Some(on_progress);
    }

    fn progress(&self) {
        if let Some(on_progress) = &self.on_progress {
            on_progress();
        }
    }

    /// Reads all fields of a frame. That a field, or the marks, cannot be found in this frame is part of the answer.
    ///
    /// # Errors
    /// [`Error::Infer`] if a network fails, [`Error::Config`] for a frame that is too small for the place of a mark.
    pub fn read(&mut self, frame: &Image) -> Result<FrameReadings, Error> {
        self.read_reduced(frame, [frame.width(), frame.height()])
    }

    /// The same for an image that was decoded smaller than the frame, which has `full_px` (width and height):
    /// regions in pixels are of the frame. The places in the answer are of the image. Marks are of the image,
    /// too: a node with marks takes whole frames.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_reduced(&mut self, frame: &Image, full_px: [usize; 2]) -> Result<FrameReadings, Error> {
        let start = Instant::now();
        let view = frame.view();
        let alignment = self.aligner.as_ref().map(|(aligner, _)| aligner.locate(view)).transpose().map_err(unusable)?;
        let align_ms = ms(start);
        self.progress();
        let mut fields = Vec::with_capacity(self.fields.len());
        for i in 0..self.fields.len() {
            fields.push(self.read_field(i, view, full_px, alignment.as_ref())?);
            self.progress();
        }
        Ok(FrameReadings { fields, alignment, align_ms, total_ms: ms(start) })
    }

    fn read_field(
        &mut self,
        index: usize,
        frame: PixelView<'_>,
        full_px: [usize; 2],
        alignment: Option<&Alignment>,
    ) -> Result<FieldReading, Error> {
        let start = Instant::now();
        let field = &self.fields[index];
        let mut reading = FieldReading {
            name: field.name.clone(),
            observation: Observation::default(),
            second_lines: 0,
            region: [[0.0; 2]; 4],
            lines: Vec::new(),
            warnings: Vec::new(),
            problem: None,
            read_ms: 0.0,
        };
        let on_lost = self.aligner.as_ref().map_or(OnLost::default(), |(_, on_lost)| *on_lost);
        let (place, problem) = locate(field.roi, frame, full_px, alignment, on_lost);
        if let Some(place) = &place {
            reading.region = place.quad();
        }
        let read = match (&place, problem) {
            (Some(place), None) => {
                read_place(&mut self.pipeline, &field.profile, frame, place, &mut self.turned, &mut reading)
            }
            (_, problem) => {
                reading.problem = problem;
                Ok(())
            }
        };
        match read {
            Ok(()) => {}
            // Of this field in this frame; what the engine cannot do, it can do for no field.
            Err(Error::Image(error)) => reading.problem = Some(error.into()),
            Err(error) => return Err(error),
        }
        reading.read_ms = ms(start);
        Ok(reading)
    }
}

/// Where a region is in a frame, or would be, and why it cannot be read there.
fn locate(
    roi: Option<Region>,
    frame: PixelView<'_>,
    full_px: [usize; 2],
    alignment: Option<&Alignment>,
    on_lost: OnLost,
) -> (Option<Place>, Option<FieldProblem>) {
    let (width, height) = (frame.width(), frame.height());
    let Some(roi) = roi else { return (Some(Place::Rect(PixelRect { x: 0, y: 0, w: width, h: height })), None) };
    let rect = match roi.resolve(full_px[0], full_px[1]) {
        Ok(rect) => rect.scaled(full_px, [width, height]),
        Err(error) => return (None, Some(error.into())),
    };
    let Some(alignment) = alignment else { return (Some(Place::Rect(rect)), None) };
    if !alignment.aligned {
        let problem = (on_lost == OnLost::Skip).then_some(FieldProblem::NotAligned { score: alignment.score });
        return (Some(Place::Rect(rect)), problem);
    }
    let map = alignment.transform;
    let place = Place::Turned(map, rect);
    // A mark's place is known to about half a pixel.
    let inside =
        |[x, y]: [f32; 2]| (-1.0..=width as f32 + 1.0).contains(&x) && (-1.0..=height as f32 + 1.0).contains(&y);
    let [dx, dy] = moved(&map, rect);
    if !place.quad().iter().all(|corner| inside(*corner)) {
        return (Some(place), Some(FieldProblem::Left { dx_px: dx, dy_px: dy, width, height }));
    }
    if map.turn_deg().abs() >= MIN_TURN_DEG || (map.scale() - 1.0).abs() >= MIN_SCALING {
        return (Some(place), None);
    }
    // Rounded, it may reach over the edge by the pixel that was allowed for.
    let start = |start: usize, length: usize, by: f32, side: usize| {
        (start as f32 + by).round().clamp(0.0, (side - length) as f32) as usize
    };
    let rect = PixelRect { x: start(rect.x, rect.w, dx, width), y: start(rect.y, rect.h, dy, height), ..rect };
    (Some(Place::Rect(rect)), None)
}

/// By how much the middle of a region has moved.
fn moved(map: &Similarity, rect: PixelRect) -> [f32; 2] {
    let middle = [rect.x as f32 + rect.w as f32 / 2.0, rect.y as f32 + rect.h as f32 / 2.0];
    let to = map.apply(middle);
    [to[0] - middle[0], to[1] - middle[1]]
}

/// Reads a region that lies in the frame.
fn read_place(
    pipeline: &mut Pipeline,
    profile: &Profile,
    frame: PixelView<'_>,
    place: &Place,
    memory: &mut Vec<u8>,
    reading: &mut FieldReading,
) -> Result<(), Error> {
    let (upright, map, rect) = match place {
        Place::Rect(rect) => {
            let view = frame.crop(rect.x, rect.y, rect.w, rect.h)?;
            (view, Similarity::IDENTITY, *rect)
        }
        Place::Turned(map, rect) => {
            let bytes = rect.w * rect.h * CHANNELS;
            if memory.len() < bytes {
                *memory = reserve(bytes)?;
                memory.resize(bytes, 0);
            }
            let upright = &mut memory[..bytes];
            let matrix = warp::perspective_from_quad(place.quad(), rect.w, rect.h)?;
            warp::warp_cubic(frame, &matrix, upright, rect.w, rect.h)?;
            (PixelView::new(upright, rect.w, rect.h, rect.w * CHANNELS)?, *map, *rect)
        }
    };
    let reduced = if profile.mode() == Mode::Line { reduced(upright, profile)? } else { None };
    let view = reduced.as_ref().map_or(upright, Image::view);
    let page = pipeline.run_profile(Frame::new(view), profile, None)?;
    reading.observation = observe(page);
    reading.second_lines = page.lines().filter(|line| line.second).count();
    reading.warnings = page.notices().map(|notice| notice.to_string()).collect();
    let on_frame = |[x, y]: [f32; 2]| map.apply([x + rect.x as f32, y + rect.y as f32]);
    reading.lines = match profile.mode() {
        Mode::Line => vec![reading.region; page.len()],
        Mode::Page => page.lines().map(|line| line.quad.map(on_frame)).collect(),
    };
    Ok(())
}

/// A line that is much higher than the network sees it, smaller by means over areas; `None` if it is not. The
/// pipeline scales lines as the published models were trained, from point to point, and of a large line that is every
/// fifth row: on the LCD photographs of the development data 37 of 40 numbers come out right instead of 35.
fn reduced(line: PixelView<'_>, profile: &Profile) -> Result<Option<Image>, ImageError> {
    let (w, h) = (line.width(), line.height());
    let height = if profile.rotate_deg().is_multiple_of(180) { h } else { w };
    if height <= MAX_LINE_PX {
        return Ok(None);
    }
    let side = |side: usize| (side * MAX_LINE_PX).div_ceil(height).max(1) as u32;
    let whole = RgbImage::from_raw(w as u32, h as u32, line.to_image()?.into_raw());
    let Some(whole) = whole else { return Ok(None) };
    let small = imageops::thumbnail(&whole, side(w), side(h));
    let (w, h) = (small.width() as usize, small.height() as usize);
    Image::from_raw(small.into_raw(), w, h).map(Some)
}

/// A page as the rules see it: its lines joined by line feeds, and every character with its alternative.
fn observe(page: &Page) -> Observation {
    let mut seen = Observation::default();
    for line in page.lines() {
        if !seen.chars.is_empty() {
            seen.text.push('\n');
        }
        for c in line.chars() {
            seen.text.push(c.ch);
            seen.chars.push(CharGuess { ch: c.ch, score: c.score, second: c.second });
        }
    }
    let sum: f32 = seen.chars.iter().map(|c| c.score).sum();
    seen.score = sum / seen.chars.len().max(1) as f32;
    seen
}

fn corners(rect: PixelRect) -> Quad {
    let [left, top, right, bottom] = [rect.x, rect.y, rect.x + rect.w, rect.y + rect.h].map(|v| v as f32);
    [[left, top], [right, top], [right, bottom], [left, bottom]]
}

/// The marks of a configuration, read from their files.
fn aligner(config: &AlignConfig) -> Result<Aligner, Error> {
    config.validate().map_err(Error::Config)?;
    let mut images = Vec::with_capacity(config.marks.len());
    for (i, mark) in config.marks.iter().enumerate() {
        let bad = |reason: String| Error::Config(format!("align: mark {}: {reason}", i + 1));
        let bytes = source::read(&Input::Path(mark.image.clone()), MAX_MARK_BYTES).map_err(|e| bad(e.to_string()))?;
        let image = decode::decode(&bytes, &Limits::default()).map_err(|e| bad(e.to_string()))?;
        images.push((image, [mark.x_px, mark.y_px]));
    }
    let marks: Vec<_> = images.iter().map(|(image, at)| (image.view(), *at)).collect();
    Aligner::new(&marks, config.params()).map_err(unusable)
}

fn unusable(error: AlignError) -> Error {
    match error {
        AlignError::Image(error) => Error::Image(error),
        other => Error::Config(format!("align: {other}")),
    }
}

#[cfg(test)]
mod tests;
