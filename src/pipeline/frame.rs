//! One image to read.

use crate::image::decode::Decoded;
use crate::image::{Image, PixelView};

/// One image to read: borrowed RGB8 pixels. Made of a [`PixelView`], an [`Image`] or a [`Decoded`] page.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// The pixels, upright.
    pub pixels: PixelView<'a>,
    /// What decoding them took, in milliseconds, for the page's timing; 0 if nothing was decoded.
    pub decode_ms: f32,
    /// Width and height of the coordinates in the result and of regions in pixels: those of `pixels`, or of the image
    /// from which they were reduced.
    pub full_px: [usize; 2],
}

impl<'a> Frame<'a> {
    /// A frame of pixels that come from anywhere.
    pub fn new(pixels: PixelView<'a>) -> Frame<'a> {
        Frame { pixels, decode_ms: 0.0, full_px: [pixels.width(), pixels.height()] }
    }
}

impl<'a> From<PixelView<'a>> for Frame<'a> {
    fn from(pixels: PixelView<'a>) -> Frame<'a> {
        Frame::new(pixels)
    }
}

impl<'a> From<&'a Image> for Frame<'a> {
    fn from(image: &'a Image) -> Frame<'a> {
        Frame::new(image.view())
    }
}

impl<'a> From<&'a Decoded> for Frame<'a> {
    fn from(decoded: &'a Decoded) -> Frame<'a> {
        Frame { pixels: decoded.image.view(), decode_ms: decoded.decode_ms, full_px: decoded.full_px }
    }
}
