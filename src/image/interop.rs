//! Images of the crate `image` to ours, and the other way round.

use super::{CHANNELS, Image, ImageError, PixelView, reserve};
use ::image::{DynamicImage, GrayImage, RgbImage};

impl<'a> From<&'a Image> for PixelView<'a> {
    fn from(image: &'a Image) -> PixelView<'a> {
        image.view()
    }
}

/// Borrows the pixels. [`ImageError::Shape`] for an image without pixels, which the crate `image` allows.
impl<'a> TryFrom<&'a RgbImage> for PixelView<'a> {
    type Error = ImageError;

    fn try_from(image: &'a RgbImage) -> Result<PixelView<'a>, ImageError> {
        let [width, height] = [image.width(), image.height()].map(|side| side as usize);
        PixelView::new(image.as_raw(), width, height, width.saturating_mul(CHANNELS))
    }
}

/// Takes the pixels without copying them. [`ImageError::Shape`] for an image without pixels.
impl TryFrom<RgbImage> for Image {
    type Error = ImageError;

    fn try_from(image: RgbImage) -> Result<Image, ImageError> {
        let [width, height] = [image.width(), image.height()].map(|side| side as usize);
        Image::from_raw(image.into_raw(), width, height)
    }
}

/// Copies: of grey pixels each becomes three bytes. [`ImageError::Shape`] for an image without pixels,
/// [`ImageError::OutOfMemory`] if the memory for the copy cannot be had.
impl TryFrom<&GrayImage> for Image {
    type Error = ImageError;

    fn try_from(image: &GrayImage) -> Result<Image, ImageError> {
        let [width, height] = [image.width(), image.height()].map(|side| side as usize);
        let mut data = reserve(image.as_raw().len().saturating_mul(CHANNELS))?;
        data.extend(image.as_raw().iter().flat_map(|&grey| [grey; CHANNELS]));
        Image::from_raw(data, width, height)
    }
}

/// Takes RGB8 pixels as they are and converts others: grey becomes R = G = B, 16 bits become 8, and transparency is
/// dropped without a ground, unlike in [`decode`](super::decode). The EXIF orientation is the caller's business.
/// [`ImageError::Shape`] for an image without pixels.
impl TryFrom<DynamicImage> for Image {
    type Error = ImageError;

    fn try_from(image: DynamicImage) -> Result<Image, ImageError> {
        image.into_rgb8().try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rgb_image_is_borrowed_as_it_is() {
        let rgb = RgbImage::from_raw(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let view = PixelView::try_from(&rgb).unwrap();
        assert_eq!((view.width(), view.height(), view.row(0)), (2, 1, &[1, 2, 3, 4, 5, 6][..]));
        assert_eq!(view.row(0).as_ptr(), rgb.as_raw().as_ptr(), "a copy");
        assert_eq!(Image::try_from(rgb).unwrap().pixel(1, 0), Some([4, 5, 6]));
    }

    #[test]
    fn grey_image_has_three_equal_channels() {
        let grey = GrayImage::from_raw(1, 2, vec![7, 9]).unwrap();
        assert_eq!(Image::try_from(&grey).unwrap().as_raw(), [7, 7, 7, 9, 9, 9]);
        assert_eq!(Image::try_from(DynamicImage::from(grey)).unwrap().pixel(0, 1), Some([9; 3]));
    }

    #[test]
    fn image_without_pixels_is_an_error() {
        let shape = |error: Option<ImageError>| matches!(error, Some(ImageError::Shape { .. }));
        assert!(shape(PixelView::try_from(&RgbImage::new(0, 3)).err()));
        assert!(shape(Image::try_from(RgbImage::new(3, 0)).err()));
        assert!(shape(Image::try_from(&GrayImage::new(0, 0)).err()));
    }
}
