//! The picture with what was read drawn on it.

use crate::page::{Page, Quad, bounds};
use ab_glyph::{Font as _, FontVec, PxScale, ScaleFont};
use image::{Rgb, RgbImage};
use imageproc::drawing::{draw_filled_rect_mut, draw_line_segment_mut, draw_text_mut};
use imageproc::rect::Rect;

/// Most characters of a label; what is longer runs off any picture.
const MAX_LABEL_CHARS: usize = 200;
/// Smallest and largest height of a label in pixels.
const LABEL_PX: (f32, f32) = (10.0, 32.0);
/// Height of a label in heights of its box.
const LABEL_SCALE: f32 = 0.5;
/// Behind the label, so that it can be read on any picture.
const PLATE: Rgb<u8> = Rgb([255, 255, 255]);

/// A TrueType or OpenType font.
#[derive(Debug)]
pub struct Font(FontVec);

/// Bytes that are no usable font.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FontError {
    /// The parser refused them.
    #[error("the font cannot be read: {0}; give a TrueType or OpenType file (.ttf, .otf)")]
    Unreadable(String),
    /// They have no sensible size.
    #[error("the font cannot be used: its letters have no height; give another TrueType or OpenType file")]
    NoHeight,
}

/// DejaVu Sans, reduced to Latin, Greek and Cyrillic; see NOTICE.
const BUILT_IN: &[u8] = include_bytes!("font/DejaVuSans-subset.ttf");

impl Font {
    /// The font in the program: Latin, Greek and Cyrillic.
    ///
    /// # Errors
    /// None that a test would not have found; the type is that of [`Font::from_bytes`].
    pub fn built_in() -> Result<Font, FontError> {
        Font::from_bytes(BUILT_IN)
    }

    /// Reads a font file; of a collection (`.ttc`) the first font.
    ///
    /// # Errors
    /// [`FontError`] if the bytes are no font, or one whose letters have no height.
    pub fn from_bytes(bytes: &[u8]) -> Result<Font, FontError> {
        let font = FontVec::try_from_vec_and_index(bytes.to_vec(), 0)
            .map_err(|error| FontError::Unreadable(error.to_string()))?;
        let height = font.as_scaled(PxScale::from(LABEL_PX.1)).height();
        let units = font.units_per_em().unwrap_or(0.0);
        if !(height.is_finite() && height > 0.0 && units >= 16.0) {
            return Err(FontError::NoHeight);
        }
        Ok(Font(font))
    }

    /// Width in pixels of a text at `scale`, laid out as `draw_text_mut` does; none if the font's
    /// spacing makes no sense, on which the drawing would panic.
    fn width(&self, text: &str, scale: PxScale) -> Option<f32> {
        let font = self.0.as_scaled(scale);
        let (mut width, mut before) = (0.0, None);
        for glyph in text.chars().map(|c| font.glyph_id(c)) {
            width += font.h_advance(glyph) + before.map_or(0.0, |b| font.kern(glyph, b).min(0.0));
            before = Some(glyph);
        }
        (width.is_finite() && width >= 0.0).then_some(width)
    }
}

/// Draws each line's box, 2 pixels wide, and its text above the box, or inside where there is no room.
///
/// The colour tells the line's score: green from 0.9, amber from 0.6, red below. Characters the font
/// lacks come out as its empty box, or not at all. Coordinates are those of `page`, so `rgb` must be the
/// picture the page was read from; what lies outside is cut off.
pub fn annotate(page: &Page, rgb: &mut RgbImage, font: &Font) {
    for line in page.lines() {
        outline(&line.quad, colour(line.score), rgb);
    }
    // Labels last, so that no box is drawn across one.
    for line in page.lines() {
        label(&line.quad, colour(line.score), line.text().chars(), rgb, font);
    }
}

/// Colour of a score.
pub(crate) fn colour(score: f32) -> Rgb<u8> {
    match score {
        0.9.. => Rgb([0, 140, 60]),
        0.6.. => Rgb([200, 110, 0]),
        _ => Rgb([210, 0, 30]),
    }
}

/// Draws a box.
pub(crate) fn outline(quad: &Quad, colour: Rgb<u8>, rgb: &mut RgbImage) {
    // A wild coordinate would make the line drawing step through millions of pixels outside.
    let (width, height) = (rgb.width() as f32, rgb.height() as f32);
    let corners = quad.map(|[x, y]| [x.clamp(-width, 2.0 * width), y.clamp(-height, 2.0 * height)]);
    for (i, from) in corners.iter().enumerate() {
        let to = corners[(i + 1) % 4];
        let steep = (to[1] - from[1]).abs() > (to[0] - from[0]).abs();
        for shift in [0.0, 1.0] {
            let (dx, dy) = if steep { (shift, 0.0) } else { (0.0, shift) };
            let (start, end) = ((from[0] + dx, from[1] + dy), (to[0] + dx, to[1] + dy));
            draw_line_segment_mut(rgb, start, end, colour);
        }
    }
}

/// Draws the text of a box on a plate.
pub(crate) fn label(quad: &Quad, colour: Rgb<u8>, text: impl Iterator<Item = char>, rgb: &mut RgbImage, font: &Font) {
    let area = bounds(quad, rgb.width(), rgb.height());
    let low_side = area.width().min(area.height()) as f32;
    let size = (low_side * LABEL_SCALE).clamp(LABEL_PX.0, LABEL_PX.1);
    let scale = PxScale::from(size);
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.take(MAX_LABEL_CHARS).map(shown).collect();
    let Some(width) = font.width(&text, scale) else {
        return;
    };
    if text.trim().is_empty() || area.width() == 0 || area.height() == 0 {
        return;
    }
    let size = size.ceil() as u32;
    let x = area.left.min(i32::MAX as u32) as i32;
    // Above the box, or on its upper edge if the picture begins there.
    let y = area.top.saturating_sub(size + 1).min(i32::MAX as u32) as i32;
    let plate_width = (width.ceil() as u32).clamp(1, rgb.width()) + 2;
    draw_filled_rect_mut(rgb, Rect::at(x, y).of_size(plate_width, size + 1), PLATE);
    draw_text_mut(rgb, colour, x + 1, y, scale, &font.0, &text);
}
