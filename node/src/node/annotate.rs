//! A frame with its fields drawn on it, as a JPEG of limited length: what a person looks at when a reading is in doubt.

use super::fields::{FieldReading, FrameReadings};
use edge_ocr::image::Image;
use edge_ocr::image::align::Similarity;
use edge_ocr::output::annotate::{colour, label, outline};
use edge_ocr::output::{Font, FontError};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage, imageops};
use serde::{Deserialize, Serialize};

/// Times that an image is encoded at most, each smaller than the one before.
const MAX_TRIES: usize = 8;
/// An image is not made narrower or lower than this: nothing could be seen on it.
const MIN_SIDE_PX: u32 = 64;
/// How much smaller an image is made than its length suggests: the estimate is rough.
const MARGIN: f64 = 0.95;

/// What the JPEG may cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnnotateConfig {
    /// Longest JPEG; the image is made smaller until it fits. At least 4096.
    pub max_bytes: usize,
    /// Longer side of the JPEG in pixels; at least 64.
    pub max_side_px: u32,
    /// Quality of the JPEG, 1 to 100.
    pub quality: u8,
}

impl Default for AnnotateConfig {
    fn default() -> Self {
        AnnotateConfig { max_bytes: 200_000, max_side_px: 1280, quality: 80 }
    }
}

impl AnnotateConfig {
    /// Least value of `max_bytes`.
    pub(super) const MIN_BYTES: usize = 4096;

    /// Checks the ranges; the error is one sentence naming the key.
    pub fn validate(&self) -> Result<(), String> {
        let facts = [
            (self.max_bytes >= Self::MIN_BYTES, "max_bytes must be at least 4096"),
            (self.max_side_px >= MIN_SIDE_PX, "max_side_px must be at least 64"),
            ((1..=100).contains(&self.quality), "quality must be 1 to 100"),
        ];
        facts.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, sentence)| Err(sentence.into()))
    }
}

/// Why there is no annotated image. Every message is one sentence.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum AnnotateError {
    /// However small.
    #[error("the annotated image does not fit into {max_bytes} bytes; raise max_bytes or lower quality")]
    TooLong {
        /// The limit.
        max_bytes: usize,
    },
    /// Sides, pixels or encoder.
    #[error("the annotated image cannot be made: {0}; report this as a defect")]
    Image(String),
    /// The font.
    #[error(transparent)]
    Font(#[from] FontError),
}

/// Draws each field's region with its name and text, its lines, and the reference marks; see `draw`.
#[derive(Debug)]
pub struct FrameAnnotator {
    font: Font,
    config: AnnotateConfig,
}

impl FrameAnnotator {
    /// With the font in the program.
    ///
    /// # Errors
    /// [`AnnotateError::Image`] with the sentence of [`AnnotateConfig::validate`].
    pub fn new(config: AnnotateConfig) -> Result<FrameAnnotator, AnnotateError> {
        config.validate().map_err(AnnotateError::Image)?;
        Ok(FrameAnnotator { font: Font::built_in()?, config })
    }

    /// The JPEG of a frame with what was read in it, at most as long as configured.
    ///
    /// # Errors
    /// [`AnnotateError::TooLong`] if not even a tiny image is short enough.
    pub fn annotate(&self, frame: &Image, readings: &FrameReadings) -> Result<Vec<u8>, AnnotateError> {
        let side = |side: usize| u32::try_from(side).map_err(|e| AnnotateError::Image(e.to_string()));
        let (width, height) = (side(frame.width())?, side(frame.height())?);
        // Borrowed: a frame of a camera is large, and only its reduced copy is drawn on.
        let whole = image::ImageBuffer::<image::Rgb<u8>, _>::from_raw(width, height, frame.as_raw())
            .ok_or_else(|| AnnotateError::Image("the frame has lost its pixels".into()))?;
        let mut scale = f64::min(1.0, f64::from(self.config.max_side_px) / f64::from(width.max(height)));
        for _ in 0..MAX_TRIES {
            let reduced = |side: u32| ((f64::from(side) * scale).round() as u32).clamp(1, side);
            let (w, h) = (reduced(width), reduced(height));
            let mut canvas: RgbImage = match (w, h) == (width, height) {
                true => RgbImage::from_raw(width, height, frame.as_raw().to_vec())
                    .ok_or_else(|| AnnotateError::Image("the frame has lost its pixels".into()))?,
                false => imageops::thumbnail(&whole, w, h),
            };
            draw(&mut canvas, readings, f64::from(w) / f64::from(width), &self.font);
            let mut jpeg = Vec::new();
            JpegEncoder::new_with_quality(&mut jpeg, self.config.quality)
                .write_image(canvas.as_raw(), w, h, ExtendedColorType::Rgb8)
                .map_err(|e| AnnotateError::Image(e.to_string()))?;
            if jpeg.len() <= self.config.max_bytes {
                return Ok(jpeg);
            }
            if w.max(h) <= MIN_SIDE_PX {
                break;
            }
            // About as many bytes a pixel; a smaller image has more of them, hence the tries.
            scale *= (self.config.max_bytes as f64 / jpeg.len() as f64).sqrt() * MARGIN;
            scale = scale.max(f64::from(MIN_SIDE_PX) / f64::from(width.max(height)));
        }
        Err(AnnotateError::TooLong { max_bytes: self.config.max_bytes })
    }

    /// A JPEG of the part of the frame from which one field was read, with nothing drawn.
    ///
    /// # Errors
    /// [`AnnotateError`].
    pub fn cut_out(&self, frame: &Image, readings: &FrameReadings, name: &str) -> Result<Vec<u8>, AnnotateError> {
        let wrong = |reason: String| AnnotateError::Image(reason);
        let field = readings.fields.iter().find(|field| field.name == name);
        let region = field.ok_or_else(|| wrong(format!("the frame has no field {name}")))?.region;
        let span = |axis: usize, side: usize| {
            let (min, max) = region.iter().fold((f32::MAX, 0.0_f32), |(l, m), p| (l.min(p[axis]), m.max(p[axis])));
            let start = (min.max(0.0) as usize).min(side.saturating_sub(1));
            (start, (max.ceil() as usize).clamp(start + 1, side) - start)
        };
        let ((x, w), (y, h)) = (span(0, frame.width()), span(1, frame.height()));
        let part = frame.view().crop(x, y, w, h).and_then(|part| part.to_image()).map_err(|e| wrong(e.to_string()))?;
        self.annotate(&part, &FrameReadings { fields: Vec::new(), ..readings.clone() })
    }
}

/// Draws the fields of a frame onto an image of it that is `scale` times as large.
fn draw(canvas: &mut RgbImage, readings: &FrameReadings, scale: f64, font: &Font) {
    let shrink = Similarity { a: scale, ..Similarity::IDENTITY };
    for field in &readings.fields {
        let colour = colour(field.observation.score);
        for line in &field.lines {
            outline(&line.map(|corner| shrink.apply(corner)), colour, canvas);
        }
        outline(&field.region.map(|corner| shrink.apply(corner)), colour, canvas);
    }
    if let Some(alignment) = &readings.alignment {
        for ([x, y], likeness) in &alignment.marks {
            let [x, y] = shrink.apply([*x, *y]);
            let arm = 6.0;
            for arms in [[[x - arm, y], [x + arm, y]], [[x, y - arm], [x, y + arm]]] {
                let [from, to] = arms;
                outline(&[from, to, to, from], colour(*likeness), canvas);
            }
        }
    }
    // Labels last, so that no box is drawn across one.
    for field in &readings.fields {
        let region = field.region.map(|corner| shrink.apply(corner));
        label(&region, colour(field.observation.score), caption(field).chars(), canvas, font);
    }
}

/// Name and text, or why there is none.
fn caption(field: &FieldReading) -> String {
    let text = match (&field.problem, field.observation.text.as_str()) {
        (Some(_), _) => "not read",
        (None, "") => "no text",
        (None, text) => text,
    };
    format!("{}: {text}", field.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Observation;
    use edge_ocr::image::decode::{Limits, decode};

    fn readings() -> FrameReadings {
        let field = FieldReading {
            name: "energy".into(),
            observation: Observation { text: "123\n45".into(), score: 0.95, chars: Vec::new() },
            second_lines: 0,
            region: [[200.0, 150.0], [500.0, 150.0], [500.0, 220.0], [200.0, 220.0]],
            lines: vec![[[f32::NAN, -1e9], [1e9, 0.0], [9.0, 1e30], [0.0, 0.0]]],
            warnings: Vec::new(),
            problem: None,
            read_ms: 1.0,
        };
        let marks = [([f32::INFINITY, 3.0], 0.5)].into_iter().collect();
        let alignment =
            edge_ocr::image::align::Alignment { transform: Similarity::IDENTITY, score: 0.5, aligned: false, marks };
        FrameReadings { fields: vec![field], alignment: Some(alignment), align_ms: 1.0, total_ms: 2.0 }
    }

    fn noise(width: usize, height: usize) -> Image {
        let mut image = Image::new(width, height, [0; 3]).unwrap();
        let mut state = 7u32;
        for v in image.as_raw_mut() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *v = (state >> 24) as u8;
        }
        image
    }

    #[test]
    fn the_limits_are_kept_and_the_region_is_drawn() {
        // Noise is the worst there is for JPEG.
        for (frame, max_bytes) in [(noise(900, 600), 200_000), (noise(900, 600), 10_000)] {
            let config = AnnotateConfig { max_bytes, max_side_px: 640, ..AnnotateConfig::default() };
            let jpeg = FrameAnnotator::new(config).unwrap().annotate(&frame, &readings()).unwrap();
            assert!(jpeg.len() <= max_bytes);
            let image = decode(&jpeg, &Limits::default()).unwrap();
            assert!(image.width() <= 640 && image.width().abs_diff(image.height() * 3 / 2) <= 2, "{image:?}");
        }
        let white = Image::new(900, 600, [255; 3]).unwrap();
        let jpeg = FrameAnnotator::new(AnnotateConfig::default()).unwrap().annotate(&white, &readings()).unwrap();
        let image = decode(&jpeg, &Limits::default()).unwrap();
        assert_eq!((image.width(), image.height()), (900, 600));
        assert!(image.pixel(201, 180).unwrap()[0] < 120, "the left edge of the region is green");
        assert!((205..300).any(|x| image.pixel(x, 135).unwrap()[0] < 150), "a label stands above");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let config = AnnotateConfig { max_bytes: 4096, quality: 100, ..AnnotateConfig::default() };
        let made = FrameAnnotator::new(config).unwrap().annotate(&noise(64, 64), &readings());
        assert_eq!(made, Err(AnnotateError::TooLong { max_bytes: 4096 }));
        for bad in [
            AnnotateConfig { max_bytes: 10, ..config },
            AnnotateConfig { max_side_px: 0, ..config },
            AnnotateConfig { quality: 0, ..config },
        ] {
            assert!(FrameAnnotator::new(bad).is_err(), "{bad:?}");
        }
    }
}
