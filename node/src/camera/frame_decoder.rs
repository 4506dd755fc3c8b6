//! Bytes of a frame → an upright image, the same for all sources.

use super::config::Common;
use super::jpeg::with_tables;
use super::pixels::{Layout, Range, to_image};
use super::{CameraError, Captured};
use edge_ocr::image::decode::{self, Decoded, Limits, Notice, Pages};
use edge_ocr::image::turn::{half_in_place, mirror_columns, mirror_rows, transpose_in_place};
use edge_ocr::image::{Image, ImageError};
use edge_ocr::panics::catch_panic;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// Why a JPEG without its end is no frame.
const CUT: &str = "it is a JPEG that was cut off";

/// Size and layout of raw frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawShape {
    pub layout: Layout,
    pub range: Range,
    pub width: usize,
    pub height: usize,
    /// Bytes from row to row.
    pub stride: usize,
}

/// An upright image, and the size of the frame it was made of.
#[derive(Debug)]
pub(super) struct Upright {
    pub image: Image,
    /// Width and height of the whole frame, upright: those of `image`, or more if it was decoded smaller.
    pub full_px: [usize; 2],
    /// Notices of its decoder.
    pub notices: Vec<Notice>,
}

/// Decodes frames into upright images, within limits.
#[derive(Clone, Debug)]
pub(super) struct FrameDecoder {
    limits: Limits,
    /// A JPEG that takes more as RGB8 is decoded smaller.
    max_decoded_bytes: u64,
    mirror: bool,
    rotate_deg: u16,
    /// Whether it was logged that only the first of several images is read.
    first_page_warned: Arc<AtomicBool>,
}

impl FrameDecoder {
    pub fn new(common: &Common) -> FrameDecoder {
        let max_decoded_bytes = match common.reduce_above_px {
            0 => u64::MAX,
            pixels => pixels.saturating_mul(3),
        };
        let Common { limits, mirror, rotate_deg, .. } = *common;
        FrameDecoder { limits, max_decoded_bytes, mirror, rotate_deg, first_page_warned: Arc::default() }
    }

    /// Decodes an image in any supported format, recognised by its bytes. Of several pages or frames only the first is
    /// read, which is logged once: a camera that sends such files sends them all the time.
    ///
    /// # Errors
    /// [`CameraError::BadFrame`]. A JPEG that was cut counts as broken: its grey rest would be read as an empty
    /// display.
    pub fn decode(&self, source: &str, bytes: &[u8]) -> Result<Upright, CameraError> {
        // The decoder guards its own foreign code; this net is for the steps around it.
        let work = || {
            let bytes = with_tables(bytes);
            if decode::ends_early(&bytes) {
                return Err(CUT.to_owned());
            }
            let mut pages = Pages::new(&bytes, self.limits, self.max_decoded_bytes).map_err(|e| e.to_string())?;
            let first = pages.next().ok_or("it has no pages")?.map_err(|e| e.to_string())?;
            let more = !pages.is_done() || first.notices.iter().any(|notice| notice.is_loss());
            if more && !self.first_page_warned.swap(true, Ordering::Relaxed) {
                log::warn!("a frame of {source} holds several images, of which only the first is read");
            }
            let (image, full_px) = self.turned(first.image, first.full_px).map_err(|e| e.to_string())?;
            Ok(Upright { image, full_px, notices: first.notices })
        };
        self.catch_decoder_panic(source, work)
    }

    /// Looks how many pages a file has. [`page`](Self::page) gives them.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn pages(&self, source: &str, bytes: Vec<u8>) -> Result<Pages<Vec<u8>>, CameraError> {
        let work = || {
            let bytes = match with_tables(&bytes) {
                Cow::Owned(with_tables) => with_tables,
                Cow::Borrowed(_) => bytes,
            };
            if decode::ends_early(&bytes) {
                return Err(CUT.to_owned());
            }
            Pages::new(bytes, self.limits, self.max_decoded_bytes).map_err(|e| e.to_string())
        };
        self.catch_decoder_panic(source, work)
    }

    /// The next page of a file; `None` after the last.
    pub fn page(&self, source: &str, pages: &mut Pages<Vec<u8>>) -> Option<Result<Decoded, CameraError>> {
        let work = || {
            let Some(page) = pages.next() else { return Ok(None) };
            let mut page = page.map_err(|e| e.to_string())?;
            (page.image, page.full_px) = self.turned(page.image, page.full_px).map_err(|e| e.to_string())?;
            Ok(Some(page))
        };
        self.catch_decoder_panic(source, work).transpose()
    }

    /// Converts a raw frame.
    ///
    /// # Errors
    /// [`CameraError::BadFrame`].
    pub fn raw(&self, source: &str, bytes: &[u8], shape: &RawShape) -> Result<Upright, CameraError> {
        let work = || {
            let image = to_image(bytes, shape.layout, shape.range, shape.width, shape.height, shape.stride)?;
            let (image, full_px) = self.turned(image, [shape.width, shape.height]).map_err(|e| e.to_string())?;
            Ok(Upright { image, full_px, notices: Vec::new() })
        };
        self.catch_decoder_panic(source, work)
    }

    fn catch_decoder_panic<T>(&self, source: &str, work: impl FnOnce() -> Result<T, String>) -> Result<T, CameraError> {
        let result = catch_panic(work).unwrap_or_else(|_| Err("its decoder failed on it".into()));
        result.map_err(|reason| CameraError::BadFrame { source_name: source.into(), reason })
    }

    /// An image of a frame of `full_px`, mirrored and turned as the configuration says, and so the frame's size.
    fn turned(&self, mut image: Image, full_px: [usize; 2]) -> Result<(Image, [usize; 2]), ImageError> {
        if self.mirror {
            image.mirror();
        }
        let (w, h) = (image.width(), image.height());
        if self.rotate_deg == 0 {
            return Ok((image, full_px));
        }
        let mut data = image.into_raw();
        if self.rotate_deg == 180 {
            half_in_place(&mut data);
            return Ok((Image::from_raw(data, w, h)?, full_px));
        }
        transpose_in_place(&mut data, w, h)?;
        match self.rotate_deg {
            90 => mirror_rows(&mut data, h),
            _ => mirror_columns(&mut data, h),
        }
        let [full_w, full_h] = full_px;
        Ok((Image::from_raw(data, h, w)?, [full_h, full_w]))
    }
}

/// A frame that was taken at `captured_at`.
pub(super) fn captured(frame: Upright, captured_at: SystemTime, name: String) -> Captured {
    let Upright { image, full_px, notices } = frame;
    Captured { image, full_px, captured_at, notices, name }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Junk, jpeg, png, repeat, without_tables};
    use super::*;

    fn decoder(change: impl FnOnce(&mut Common)) -> FrameDecoder {
        let mut common = Common::default();
        change(&mut common);
        FrameDecoder::new(&common)
    }

    #[test]
    fn turns_are_clockwise() {
        let shape = RawShape { layout: Layout::Grey, range: Range::Full, width: 3, height: 2, stride: 3 };
        for (rotate_deg, want, width) in [
            (0, [1, 2, 3, 4, 5, 6], 3),
            (90, [4, 1, 5, 2, 6, 3], 2),
            (180, [6, 5, 4, 3, 2, 1], 3),
            (270, [3, 6, 2, 5, 1, 4], 2),
        ] {
            let decoded = decoder(|c| c.rotate_deg = rotate_deg).raw("x", &[1, 2, 3, 4, 5, 6], &shape).unwrap();
            let image = decoded.image;
            assert_eq!(decoded.full_px, [image.width(), image.height()]);
            let grey: Vec<u8> = image.as_raw().iter().step_by(3).copied().collect();
            assert_eq!((grey, image.width()), (want.to_vec(), width), "{rotate_deg}");
        }
    }

    #[test]
    fn mirrored_frame_is_exchanged_before_turn() {
        let shape = RawShape { layout: Layout::Grey, range: Range::Full, width: 3, height: 2, stride: 3 };
        for (rotate_deg, want) in [(0, [3, 2, 1, 6, 5, 4]), (90, [6, 3, 5, 2, 4, 1])] {
            let decoder = decoder(|c| (c.mirror, c.rotate_deg) = (true, rotate_deg));
            let image = decoder.raw("x", &[1, 2, 3, 4, 5, 6], &shape).unwrap().image;
            let grey: Vec<u8> = image.as_raw().iter().step_by(3).copied().collect();
            assert_eq!(grey, want, "{rotate_deg}");
        }
        let (plain, mirrored) = (decoder(|_| {}), decoder(|c| c.mirror = true));
        let mut image = plain.decode("x", &jpeg(1)).unwrap().image;
        image.mirror();
        assert_eq!(mirrored.decode("x", &jpeg(1)).unwrap().image, image);
    }

    #[test]
    fn large_frames_are_reduced_when_asked() {
        let frame = jpeg(1);
        let sizes = |change: fn(&mut Common)| {
            let decoded = decoder(change).decode("x", &frame).unwrap();
            ([decoded.image.width(), decoded.image.height()], decoded.full_px)
        };
        assert_eq!(sizes(|_| {}), ([48, 32], [48, 32]));
        // Regions in pixels are of the whole frame.
        assert_eq!(sizes(|c| c.reduce_above_px = 1000), ([24, 16], [48, 32]));
        assert_eq!(sizes(|c| (c.reduce_above_px, c.rotate_deg) = (1000, 90)), ([16, 24], [32, 48]));
        assert_eq!(sizes(|c| (c.reduce_above_px, c.rotate_deg) = (1000, 180)), ([24, 16], [48, 32]));
    }

    #[test]
    fn what_is_no_whole_image_is_a_bad_frame() {
        let frame = jpeg(1);
        let reason = |bytes: &[u8]| match decoder(|_| {}).decode("camera", bytes) {
            Err(CameraError::BadFrame { source_name, reason }) if source_name == "camera" => reason,
            other => panic!("{other:?}"),
        };
        assert!(reason(&frame[..frame.len() - 200]).contains("cut off"));
        assert!(reason(b"<html>").contains("not an image"));
        assert!(reason(b"").contains("empty"));
        // The header of a PNG of 60000x60000 pixels: refused before memory is taken.
        let mut bomb = png(0);
        bomb[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
        let said = reason(&bomb);
        assert!(said.contains("60000x60000") && said.contains("limits.max_width_px"), "{said}");
    }

    #[test]
    fn damaged_frames() {
        let frames = [jpeg(1), without_tables(&jpeg(2)), png(9)];
        let decoder = decoder(|c| c.rotate_deg = 90);
        let mut junk = Junk::new(3);
        repeat(200, || {
            for frame in &frames {
                let _ = decoder.decode("x", &junk.damage(frame));
            }
        });
    }
}
