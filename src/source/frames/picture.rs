//! Bytes of a frame → an upright picture, the same for all sources.

use super::config::Common;
use super::jpeg::with_tables;
use super::pixels::{Layout, Range, to_picture};
use super::{CameraError, Captured};
use crate::guard::guarded;
use crate::image::decode::{self, Limits};
use crate::image::turn::{half_in_place, mirror_columns, mirror_rows, transpose_in_place};
use crate::image::{ImageError, Picture};
use std::time::SystemTime;

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

/// An upright picture, and the size of the frame it was made of.
#[derive(Debug)]
pub(super) struct Decoded {
    pub picture: Picture,
    /// Width and height of the whole frame, upright: those of `picture`, or more if it was decoded smaller.
    pub full_px: [usize; 2],
}

/// Makes pictures of frames, within limits.
#[derive(Clone, Debug)]
pub(super) struct Developer {
    limits: Limits,
    /// A JPEG that takes more as RGB8 is decoded smaller.
    most_bytes: u64,
    rotate_deg: u16,
}

impl Developer {
    pub fn new(common: &Common) -> Developer {
        let most_bytes = match common.reduce_above_px {
            0 => u64::MAX,
            pixels => pixels.saturating_mul(3),
        };
        Developer { limits: common.limits, most_bytes, rotate_deg: common.rotate_deg }
    }

    /// Decodes a picture in any format that is read, told by its bytes.
    ///
    /// # Errors
    /// [`CameraError::BadFrame`]. A JPEG that was cut counts as broken: its grey rest would be read as an empty display.
    pub fn encoded(&self, source: &str, bytes: &[u8]) -> Result<Decoded, CameraError> {
        // The decoder guards its own foreign code; this net is for the steps around it.
        let work = || {
            let bytes = with_tables(bytes);
            if decode::ends_early(&bytes) {
                return Err("it is a JPEG that was cut off".to_owned());
            }
            let reduced =
                decode::decode_reduced(&bytes, &self.limits, self.most_bytes).map_err(|e| as_keys(&e.to_string()))?;
            self.turned(reduced.picture, reduced.full_px).map_err(|e| e.to_string())
        };
        self.guard(source, work)
    }

    /// Converts a raw frame.
    ///
    /// # Errors
    /// [`CameraError::BadFrame`].
    pub fn raw(&self, source: &str, bytes: &[u8], shape: &RawShape) -> Result<Decoded, CameraError> {
        let work = || {
            let picture = to_picture(bytes, shape.layout, shape.range, shape.width, shape.height, shape.stride)?;
            self.turned(picture, [shape.width, shape.height]).map_err(|e| e.to_string())
        };
        self.guard(source, work)
    }

    fn guard(&self, source: &str, work: impl FnOnce() -> Result<Decoded, String>) -> Result<Decoded, CameraError> {
        let result = guarded(work).unwrap_or_else(|_| Err("its decoder failed on it".into()));
        result.map_err(|reason| CameraError::BadFrame { source_name: source.into(), reason })
    }

    fn turned(&self, picture: Picture, full_px: [usize; 2]) -> Result<Decoded, ImageError> {
        let (w, h) = (picture.width(), picture.height());
        if self.rotate_deg == 0 {
            return Ok(Decoded { picture, full_px });
        }
        let mut data = picture.into_raw();
        if self.rotate_deg == 180 {
            half_in_place(&mut data);
            return Ok(Decoded { picture: Picture::from_raw(data, w, h)?, full_px });
        }
        transpose_in_place(&mut data, w, h)?;
        match self.rotate_deg {
            90 => mirror_rows(&mut data, h),
            _ => mirror_columns(&mut data, h),
        }
        let [full_w, full_h] = full_px;
        Ok(Decoded { picture: Picture::from_raw(data, h, w)?, full_px: [full_h, full_w] })
    }
}

/// The message with the keys of the configuration in place of the command line's flags.
pub(super) fn as_keys(message: &str) -> String {
    let flags = [
        ("--max-decode-bytes", "limits.max_decode_bytes"),
        ("--max-bytes", "limits.max_bytes"),
        ("--max-pixels", "limits.max_pixels"),
        ("--max-width", "limits.max_width_px"),
        ("--max-height", "limits.max_height_px"),
    ];
    flags.iter().fold(message.to_owned(), |text, (flag, key)| text.replace(flag, key))
}

/// A frame that was taken at `captured_at`.
pub(super) fn captured(decoded: Decoded, captured_at: SystemTime, name: String) -> Captured {
    let Decoded { picture, full_px } = decoded;
    Captured { picture, full_px, captured_at, name }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Junk, jpeg, png, repeat, without_tables};
    use super::*;

    fn developer(change: impl FnOnce(&mut Common)) -> Developer {
        let mut common = Common::default();
        change(&mut common);
        Developer::new(&common)
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
            let decoded = developer(|c| c.rotate_deg = rotate_deg).raw("x", &[1, 2, 3, 4, 5, 6], &shape).unwrap();
            let picture = decoded.picture;
            assert_eq!(decoded.full_px, [picture.width(), picture.height()]);
            let grey: Vec<u8> = picture.as_raw().iter().step_by(3).copied().collect();
            assert_eq!((grey, picture.width()), (want.to_vec(), width), "{rotate_deg}");
        }
    }

    #[test]
    fn large_frames_are_reduced_when_asked() {
        let frame = jpeg(1);
        let sizes = |change: fn(&mut Common)| {
            let decoded = developer(change).encoded("x", &frame).unwrap();
            ([decoded.picture.width(), decoded.picture.height()], decoded.full_px)
        };
        assert_eq!(sizes(|_| {}), ([48, 32], [48, 32]));
        // Regions in pixels are of the whole frame.
        assert_eq!(sizes(|c| c.reduce_above_px = 1000), ([24, 16], [48, 32]));
        assert_eq!(sizes(|c| (c.reduce_above_px, c.rotate_deg) = (1000, 90)), ([16, 24], [32, 48]));
        assert_eq!(sizes(|c| (c.reduce_above_px, c.rotate_deg) = (1000, 180)), ([24, 16], [48, 32]));
    }

    #[test]
    fn what_is_no_whole_picture_is_a_bad_frame() {
        let frame = jpeg(1);
        let reason = |bytes: &[u8]| match developer(|_| {}).encoded("camera", bytes) {
            Err(CameraError::BadFrame { source_name, reason }) if source_name == "camera" => reason,
            other => panic!("{other:?}"),
        };
        assert!(reason(&frame[..frame.len() - 200]).contains("cut off"));
        assert!(reason(b"<html>").contains("not a picture"));
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
        let developer = developer(|c| c.rotate_deg = 90);
        let mut junk = Junk::new(3);
        repeat(200, || {
            for frame in &frames {
                let _ = developer.encoded("x", &junk.damage(frame));
            }
        });
    }
}
