//! A second look at images in which nothing was found: smoothed, so that dotted print becomes strokes.
//!
//! The detector does not see the date that an ink-jet printer has put on a package: to it the dots are texture. In a
//! copy that is reduced and smoothed it finds the lines; the recogniser reads them from the image itself, for dots do
//! not disturb it.
//!
//! What it costs: nothing where a line was read with some certainty, and next to nothing where the smoothed image has
//! no contrast: a blank page stays as cheap as it is. Any other image without text is searched once more, on a canvas
//! that is no larger than its own, and large ones once more at [`SIDES_PX`].

use super::affine::AffineTransform;
use super::lines::LineBox;
use super::profile::Profile;
use super::stages::Stages;
use crate::error::Error;
use crate::image::PixelView;
use crate::image::smooth;
use crate::infer::InferError;
use crate::memory::aligned_size;
use crate::page::ms;
use std::ops::Range;
use std::time::Instant;

/// The longest side of the smoothed image, one after the other until something is found. Dots whose distance is a
/// 250th to an 80th of the first are joined, those half as far apart by the second. Text so small on an image no
/// larger than the second is not worth the time.
const SIDES_PX: [usize; 2] = [640, 1280];
/// How far smoothing reaches, in pixels of the smoothed image. Dots 2.5 to 8 pixels apart become strokes with 3, 2 to
/// 6 with 2.
const RADIUS_PX: usize = 3;
/// There is a second look where no line scored at least this.
const SURE: f32 = 0.8;
/// A smoothed image has something in it if its brightness, 0 to 255, differs by this within a square of so many
/// pixels. Noise of a dark camera and the shade of a lamp differ by less, a faint dotted stroke by more.
const LEAST_CONTRAST: u8 = 12;
const SQUARE_PX: usize = 32;

impl Stages {
    /// Looks again if what was read of an image, the lines from number `first` on, is nothing sure. What is better
    /// stays.
    pub(super) fn look_again(
        &mut self,
        view: PixelView<'_>,
        place: &AffineTransform,
        profile: &Profile,
        first: usize,
    ) -> Result<(), Error> {
        let longest = view.width().max(view.height());
        for (i, side) in SIDES_PX.into_iter().enumerate() {
            let sure = self.page.lines().skip(first).any(|line| line.score >= SURE);
            if sure || (i > 0 && longest <= side) || !self.find_smoothed(view, side)? {
                return Ok(());
            }
            let second = self.page.len();
            self.read_boxes(view, place, profile)?;
            let (before, now) = (self.text(first..second), self.text(second..self.page.len()));
            self.page.discard(if now > before { first..second } else { second..self.page.len() });
        }
        Ok(())
    }

    /// How much text there is in some lines, each character counting by how sure its line is.
    fn text(&self, lines: Range<usize>) -> f32 {
        let lines = self.page.lines().skip(lines.start).take(lines.len());
        lines.map(|line| line.score * line.text().chars().len() as f32).sum()
    }

    /// Puts the boxes of text in the smoothed image into `boxes`; false if there is nothing to be seen.
    fn find_smoothed(&mut self, view: PixelView<'_>, side: usize) -> Result<bool, Error> {
        let start = Instant::now();
        let Some(detector) = &mut self.detector else { return Ok(false) };
        let side = side.min(self.config.detect.scale.max_side_px);
        let scale = (side as f32 / view.width().max(view.height()) as f32).min(1.0);
        let size = [view.width(), view.height()].map(|side| ((side as f32 * scale).round() as usize).max(1));
        let (pixels, sums) = (size[0] * size[1] * crate::image::CHANNELS, smooth::sums_bytes(view.width()));
        let (boxes, pool, timing) = (&mut self.boxes, &mut self.pool, &mut self.page.timing);
        let on_progress = &self.on_progress;
        let there = self.workspace.beside(aligned_size(pixels) + sums, |memory, rest| -> Result<bool, Error> {
            let (image, sums) = memory.split_at_mut(aligned_size(pixels));
            let image = &mut image[..pixels];
            smooth::smoothed(view, size, RADIUS_PX, sums, image)?;
            let smoothed = PixelView::new(image, size[0], size[1], size[0] * crate::image::CHANNELS)?;
            timing.prepare_ms += ms(start);
            // At the edges there are fewer pixels to be averaged, and more noise.
            let inside = |side: usize| if side > 4 * RADIUS_PX { [RADIUS_PX, side - 2 * RADIUS_PX] } else { [0, side] };
            let [[x, w], [y, h]] = size.map(inside);
            if smooth::local_contrast(smoothed.crop(x, y, w, h)?, SQUARE_PX) < LEAST_CONTRAST {
                return Ok(false);
            }
            let start = Instant::now();
            let found = detector.detect(smoothed, rest, pool, &**on_progress)?;
            let back = [view.width() as f32 / size[0] as f32, view.height() as f32 / size[1] as f32];
            boxes.clear();
            boxes.extend(found.iter().map(|found| LineBox::found(found).scaled(back)));
            timing.detect_ms += ms(start);
            Ok(true)
        });
        there.map_err(InferError::from)?
    }
}
