//! The image with boxes around what was read, and beside it the texts.

use crate::memory::{self, NoMemory};
use crate::page::{Bounds, Page, Quad, bounds};
use ab_glyph::{Font as _, FontVec, PxScale, ScaleFont};
use image::{GrayImage, Luma, Rgb, RgbImage};
use imageproc::drawing::draw_filled_rect_mut;
use imageproc::drawing::{draw_line_segment_mut, draw_text_mut};
use imageproc::rect::Rect;

/// Most characters of a label or line that are drawn: more cannot be read at the size of a box.
const MAX_LABEL_CHARS: usize = 500;
/// Height of the letters in heights of their box, which is larger than the text in it.
const TEXT_SCALE: f32 = 0.85;
/// Free at both ends of a text, in heights of its box.
const TEXT_PADDING: f32 = 0.12;
/// Least and largest width of the letters in widths that the font gives them: they fill their box, but not at any
/// price.
const TEXT_STRETCH: (f32, f32) = (0.7, 1.2);
/// Longest side of a line of text before it is laid into its box; longer ones are enlarged.
const MAX_STRIP_PX: f32 = 4096.0;
/// Between the image and the texts.
const RULE: Rgb<u8> = Rgb([160, 160, 160]);
const RULE_PX: u32 = 2;
/// An image that is so many times as wide as high has the texts below it.
const WIDE: u32 = 2;
/// Smallest and largest height of a label in pixels.
const LABEL_PX: (f32, f32) = (10.0, 32.0);
/// Height of a label in heights of its box.
const LABEL_SCALE: f32 = 0.5;
/// Behind the label, so that it can be read on any image.
const PLATE: Rgb<u8> = Rgb([255, 255, 255]);

/// A TrueType or OpenType font.
#[derive(Debug)]
pub struct Font(FontVec);

/// Bytes that are no usable font.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FontError {
    /// The parser refused them.
    #[error("the font cannot be read: {0}; give a TrueType or OpenType file (.ttf, .otf)")]
    Unreadable(String),
    /// They have no sensible size.
    #[error("the font cannot be used: its letters have no height; give another TrueType or OpenType file")]
    NoHeight,
}

/// DejaVu Sans, reduced to Latin, Greek, Cyrillic and signs of measuring; see NOTICE.
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

/// The image with each line's box, and to the right of it (below it, if it is wide) the texts on white, each in the
/// place and in the size of its box: nothing hides the image.
///
/// The colour of a box tells the line's score: green from 0.9, amber from 0.6, red below. Characters the font
/// lacks come out as its empty box, or not at all. Coordinates are those of `page`, so `rgb` must be the
/// image the page was read from; what lies outside is cut off.
///
/// # Errors
/// There is no memory for an image of twice the size.
pub fn annotate(page: &Page, mut rgb: RgbImage, font: &Font) -> Result<RgbImage, NoMemory> {
    let (width, height) = rgb.dimensions();
    let below = width > height.saturating_mul(WIDE);
    let twice = |side: u32| side.saturating_mul(2).saturating_add(RULE_PX);
    let mut all = if below { white(width, twice(height))? } else { white(twice(width), height)? };
    let (dx, dy) = if below { (0, height.saturating_add(RULE_PX)) } else { (width.saturating_add(RULE_PX), 0) };
    let beside = |quad: Quad| quad.map(|[x, y]| [x + dx as f32, y + dy as f32]);
    for line in page.lines() {
        outline(&line.quad, colour(line.score), &mut rgb);
        outline(&beside(line.quad), colour(line.score), &mut all);
    }
    // Texts last, so that no box is drawn across one.
    for line in page.lines() {
        write_into(&beside(line.reading_quad()), line.text().chars(), &mut all, font);
    }
    // And then the image, so that nothing is drawn across that.
    let (rule_width, rule_height) = if below { (width, dy) } else { (dx, height) };
    for y in 0..rule_height {
        for x in 0..rule_width {
            if let Some(pixel) = all.get_pixel_mut_checked(x, y) {
                *pixel = rgb.get_pixel_checked(x, y).copied().unwrap_or(RULE);
            }
        }
    }
    Ok(all)
}

/// A white image.
fn white(width: u32, height: u32) -> Result<RgbImage, NoMemory> {
    let bytes = usize::try_from(u64::from(width) * u64::from(height) * 3).unwrap_or(usize::MAX);
    let mut pixels = memory::try_vec_with_capacity(bytes, "the annotated image")?;
    pixels.resize(bytes, 255);
    // As many bytes as there are pixels: it is never the empty image.
    Ok(RgbImage::from_raw(width, height, pixels).unwrap_or_default())
}

/// Writes a text into a box, of which the first corner is where the text's top left is.
fn write_into(quad: &Quad, text: impl Iterator<Item = char>, onto: &mut RgbImage, font: &Font) {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.take(MAX_LABEL_CHARS).map(shown).collect();
    let [origin, right, _, down] = *quad;
    let [along, across] = [right, down].map(|to| [to[0] - origin[0], to[1] - origin[1]]);
    let [length, height] = [along, across].map(|side| side[0].hypot(side[1]));
    let turned = along[0] * across[1] - along[1] * across[0];
    if text.trim().is_empty() || !(length.is_finite() && height.is_finite()) || turned.abs() < 1.0 {
        return;
    }
    // On a strip of the box's size first, which is then laid into the box.
    let zoom = (MAX_STRIP_PX / length.max(height)).min(1.0);
    let (strip_width, strip_height) = ((length * zoom).ceil().max(1.0), (height * zoom).ceil().max(1.0));
    let size = strip_height * TEXT_SCALE;
    let Some(width) = font.width(&text, PxScale::from(size)).filter(|width| *width > 0.0) else { return };
    let padding = TEXT_PADDING * strip_height.min(strip_width);
    let stretch = (strip_width - 2.0 * padding) / width;
    // A text too long for its box is made lower as well as narrower.
    let size = size * (stretch / TEXT_STRETCH.0).min(1.0);
    let scale = PxScale { x: size * (stretch * strip_height * TEXT_SCALE / size).min(TEXT_STRETCH.1), y: size };
    let mut strip = GrayImage::new(strip_width as u32, strip_height as u32);
    let (left, top) = (padding.round() as i32, ((strip_height - size) / 2.0).round() as i32);
    draw_text_mut(&mut strip, Luma([255]), left, top, scale, &font.0, &text);

    let Bounds { left, top, right, bottom } = bounds(quad, onto.width(), onto.height());
    for y in top..bottom {
        for x in left..right {
            let to = [x as f32 + 0.5 - origin[0], y as f32 + 0.5 - origin[1]];
            let u = (to[0] * across[1] - to[1] * across[0]) / turned * strip_width;
            let v = (along[0] * to[1] - along[1] * to[0]) / turned * strip_height;
            let ink = coverage(&strip, u - 0.5, v - 0.5);
            if let Some(pixel) = onto.get_pixel_mut_checked(x, y).filter(|_| ink > 0.0) {
                pixel.0 = pixel.0.map(|value| (f32::from(value) * (1.0 - ink)) as u8);
            }
        }
    }
}

/// How much of a point is letter, 0 to 1; between pixels by their weights, outside nothing.
fn coverage(strip: &GrayImage, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let at = |dx: f32, dy: f32| {
        let (x, y) = (left + dx, top + dy);
        let inside = x >= 0.0 && y >= 0.0;
        let pixel = inside.then(|| strip.get_pixel_checked(x as u32, y as u32)).flatten();
        pixel.map_or(0.0, |pixel| f32::from(pixel.0[0]) / 255.0)
    };
    let (fx, fy) = (x - left, y - top);
    let row = |dy: f32| at(0.0, dy) * (1.0 - fx) + at(1.0, dy) * fx;
    row(0.0) * (1.0 - fy) + row(1.0) * fy
}

/// Colour of a score.
pub fn colour(score: f32) -> Rgb<u8> {
    match score {
        0.9.. => Rgb([0, 140, 60]),
        0.6.. => Rgb([200, 110, 0]),
        _ => Rgb([210, 0, 30]),
    }
}

/// Draws a box.
pub fn outline(quad: &Quad, colour: Rgb<u8>, rgb: &mut RgbImage) {
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
pub fn label(quad: &Quad, colour: Rgb<u8>, text: impl Iterator<Item = char>, rgb: &mut RgbImage, font: &Font) {
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
    // Above the box, or on its upper edge if the image begins there.
    let y = area.top.saturating_sub(size + 1).min(i32::MAX as u32) as i32;
    let plate_width = (width.ceil() as u32).clamp(1, rgb.width()) + 2;
    draw_filled_rect_mut(rgb, Rect::at(x, y).of_size(plate_width, size + 1), PLATE);
    draw_text_mut(rgb, colour, x + 1, y, scale, &font.0, &text);
}

#[cfg(test)]
mod tests;
