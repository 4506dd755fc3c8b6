//! Bytes → RGB8 pixels, and everything done to pixels before a network sees them.
//!
//! All images here are RGB, eight bits a channel, interleaved (`R G B R G B …`), rows top to bottom. [`PixelView`]
//! borrows such pixels from any memory (a camera's frame, a part of a larger image); [`Image`] owns them without
//! padding between rows.

pub mod align;
pub mod decode;
pub mod enhance;
mod error;
mod header;
mod interop;
mod orient;
pub mod region;
pub mod resize;
pub(crate) mod signature;
pub mod smooth;
pub mod turn;
pub mod warp;

pub use error::ImageError;

/// Bytes of one RGB8 pixel.
pub const CHANNELS: usize = 3;

/// A borrowed RGB8 image: interleaved rows that lie `stride` bytes apart.
///
/// At least one pixel wide and high. Cheap to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelView<'a> {
    data: &'a [u8],
    width: usize,
    height: usize,
    stride: usize,
}

impl<'a> PixelView<'a> {
    /// Wraps `data`: `height` rows of `width` RGB8 pixels, the start of a row `stride` bytes after that of the row
    /// above.
    ///
    /// # Errors
    /// [`ImageError::Shape`] if a side is 0, `stride` is less than `3 * width`, or `data` ends before the last pixel
    /// (the padding after the last row may be missing).
    pub fn new(data: &'a [u8], width: usize, height: usize, stride: usize) -> Result<Self, ImageError> {
        let needed = needed_bytes(width, height, stride);
        match needed {
            Some(needed) if data.len() >= needed => Ok(Self { data, width, height, stride }),
            _ => Err(ImageError::Shape { width, height, stride, bytes: data.len() }),
        }
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The `3 * width` bytes of row `y`, counted from the top; empty for a `y` below the image.
    pub fn row(&self, y: usize) -> &'a [u8] {
        if y >= self.height {
            return &[];
        }
        let start = y * self.stride; // cannot overflow: checked against the length of `data` in `new`
        self.data.get(start..start + self.width * CHANNELS).unwrap_or(&[])
    }

    /// The `w`×`h` pixels whose upper left corner is (`x`, `y`), without copying.
    ///
    /// # Errors
    /// [`ImageError::Crop`] if a side is 0 or the rectangle is not wholly inside the image.
    pub fn crop(&self, x: usize, y: usize, w: usize, h: usize) -> Result<PixelView<'a>, ImageError> {
        let inside = |start: usize, length: usize, side: usize| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= side)
        };
        let outside = ImageError::Crop { x, y, w, h, width: self.width, height: self.height };
        if !inside(x, w, self.width) || !inside(y, h, self.height) {
            return Err(outside);
        }
        let data = self.data.get(y * self.stride + x * CHANNELS..).ok_or(outside)?;
        PixelView::new(data, w, h, self.stride)
    }

    /// A copy of these pixels in memory of their own.
    ///
    /// # Errors
    /// [`ImageError::OutOfMemory`] if the memory for it cannot be had.
    pub fn to_image(&self) -> Result<Image, ImageError> {
        let mut data = reserve(self.width * CHANNELS * self.height)?;
        for y in 0..self.height {
            data.extend_from_slice(self.row(y));
        }
        Image::from_raw(data, self.width, self.height)
    }
}

/// An owned RGB8 image without padding: pixel (x, y) is the three bytes from `3 * (y * width + x)`.
///
/// At least one pixel wide and high.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    data: Vec<u8>,
    width: usize,
    height: usize,
}

impl Image {
    /// An image of `width`×`height` pixels, every one of them `fill` (red, green, blue).
    ///
    /// # Errors
    /// [`ImageError::Shape`] if a side is 0 or the size overflows, [`ImageError::OutOfMemory`] if the memory for it
    /// cannot be had.
    pub fn new(width: usize, height: usize, fill: [u8; 3]) -> Result<Self, ImageError> {
        let bytes = needed_bytes(width, height, width.saturating_mul(CHANNELS)).ok_or(ImageError::Shape {
            width,
            height,
            stride: width.saturating_mul(CHANNELS),
            bytes: 0,
        })?;
        let mut data = reserve(bytes)?;
        data.resize(bytes, 0);
        data.as_chunks_mut().0.fill(fill);
        Ok(Self { data, width, height })
    }

    /// Takes `data`, exactly `3 * width * height` bytes of interleaved RGB8, without copying it.
    ///
    /// # Errors
    /// [`ImageError::Shape`] if a side is 0 or the length is another one.
    pub fn from_raw(data: Vec<u8>, width: usize, height: usize) -> Result<Self, ImageError> {
        let stride = width.saturating_mul(CHANNELS);
        if needed_bytes(width, height, stride) != Some(data.len()) {
            return Err(ImageError::Shape { width, height, stride, bytes: data.len() });
        }
        Ok(Self { data, width, height })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// All pixels, borrowed.
    pub fn view(&self) -> PixelView<'_> {
        PixelView { data: &self.data, width: self.width, height: self.height, stride: self.width * CHANNELS }
    }

    /// All bytes: rows top to bottom, no padding.
    pub fn as_raw(&self) -> &[u8] {
        &self.data
    }

    /// All bytes, to be changed in place.
    pub fn as_raw_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// The bytes themselves, without copying.
    pub fn into_raw(self) -> Vec<u8> {
        self.data
    }

    /// The `3 * width` bytes of row `y`, to be changed; empty for a `y` below the image.
    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        let row = self.width * CHANNELS;
        if y >= self.height {
            return &mut [];
        }
        self.data.get_mut(y * row..(y + 1) * row).unwrap_or_default()
    }

    /// Exchanges left and right, in place: what a camera sees in a mirror becomes readable.
    pub fn mirror(&mut self) {
        turn::mirror_rows(&mut self.data, self.width);
    }

    /// Red, green and blue of the pixel at (`x`, `y`); `None` outside the image.
    pub fn pixel(&self, x: usize, y: usize) -> Option<[u8; 3]> {
        if x >= self.width || y >= self.height {
            return None;
        }
        self.data.as_chunks().0.get(y * self.width + x).copied()
    }

    /// The pixel at (`x`, `y`), to be changed; `None` outside the image.
    pub fn pixel_mut(&mut self, x: usize, y: usize) -> Option<&mut [u8; 3]> {
        if x >= self.width || y >= self.height {
            return None;
        }
        self.data.as_chunks_mut().0.get_mut(y * self.width + x)
    }
}

impl std::fmt::Debug for Image {
    /// Size only: a dump of the pixels would fill the log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({}x{})", self.width, self.height)
    }
}

/// Bytes from the first to the last pixel of an image; `None` if a side is 0, rows overlap or the number overflows.
fn needed_bytes(width: usize, height: usize, stride: usize) -> Option<usize> {
    let row = width.checked_mul(CHANNELS)?;
    if row == 0 || height == 0 || stride < row {
        return None;
    }
    stride.checked_mul(height - 1)?.checked_add(row)
}

/// An empty vector with room for exactly `bytes`, or an error where a plain allocation would end the process.
pub fn reserve(bytes: usize) -> Result<Vec<u8>, ImageError> {
    let mut data = Vec::new();
    data.try_reserve_exact(bytes).map_err(|_| ImageError::OutOfMemory { bytes })?;
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn view_checks_its_shape() {
        let data = [0u8; 22];
        assert!(PixelView::new(&data, 2, 3, 8).is_ok(), "padding after the last row may be missing");
        assert!(PixelView::new(&data, 2, 3, 9).is_err());
        assert!(PixelView::new(&data, 2, 3, 5).is_err());
        assert!(PixelView::new(&data, 0, 3, 8).is_err());
        assert!(PixelView::new(&data, 2, 0, 8).is_err());
        assert!(PixelView::new(&data, usize::MAX, 2, usize::MAX).is_err());
        let error = PixelView::new(&data, 2, 3, 9).unwrap_err().to_string();
        assert!(error.contains("2x3") && error.contains("22 bytes"), "{error}");
    }

    #[test]
    fn crop_sees_the_right_pixels() {
        let mut image = Image::new(4, 3, [1, 2, 3]).unwrap();
        *image.pixel_mut(2, 1).unwrap() = [7, 8, 9];
        let view = image.view();
        let crop = view.crop(2, 1, 2, 2).unwrap();
        assert_eq!(crop.row(0), [7, 8, 9, 1, 2, 3]);
        assert_eq!(crop.row(2), [0u8; 0]);
        assert!(view.crop(2, 1, 3, 1).is_err());
        assert!(view.crop(2, 1, 0, 1).is_err());
        assert!(view.crop(usize::MAX, 0, 2, 1).is_err());
        assert_eq!(crop.to_image().unwrap().into_raw().len(), 12);
    }

    #[test]
    fn mirror_exchanges_left_and_right() {
        let mut image = Image::from_raw((0..18).collect(), 3, 2).unwrap();
        image.mirror();
        assert_eq!(image.as_raw(), [6, 7, 8, 3, 4, 5, 0, 1, 2, 15, 16, 17, 12, 13, 14, 9, 10, 11]);
    }

    #[test]
    fn image_refuses_wrong_sizes() {
        assert!(Image::new(0, 1, [0; 3]).is_err());
        assert!(Image::new(usize::MAX, 2, [0; 3]).is_err());
        assert!(Image::from_raw(vec![0; 11], 2, 2).is_err());
        assert_eq!(Image::from_raw(vec![0; 12], 2, 2).unwrap().pixel(1, 1), Some([0; 3]));
        assert_eq!(Image::new(2, 2, [0; 3]).unwrap().pixel(2, 0), None);
    }
}
