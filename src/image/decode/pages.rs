//! All pages of a file, and what of it was not decoded.

use super::{Image, Job, Limits, Reduced, check_file, decode_reduced, ends_early};
use crate::image::header::{gif, mpf, png, tiff, webp};
use crate::image::{CHANNELS, ImageError};
use crate::page::ms;
use ::image::ImageFormat;
use ::image::codecs::pnm;
use std::fmt;
use std::io::Cursor;
use std::time::Instant;

/// An image whose brightest channel is darker is nearly black, in grey levels.
const NEARLY_BLACK: u8 = 16;

/// A page of a file, ready to be read: [`Pipeline::run`](crate::Pipeline::run) takes `&Decoded`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Decoded {
    /// The pixels, upright.
    pub image: Image,
    /// Width and height in pixels of the file's image, upright; see [`Reduced`].
    pub full_px: [usize; 2],
    /// Number of the page in its file, from 1.
    pub page: usize,
    /// Number of pages of the file, as far as they were found.
    pub page_count: usize,
    /// What decoding took, in milliseconds.
    pub decode_ms: f32,
    /// What a person should know about it.
    pub notices: Vec<Notice>,
}

impl Decoded {
    /// The notices as clauses.
    pub fn warnings(&self) -> Vec<String> {
        self.notices.iter().map(Notice::to_string).collect()
    }
}

/// What a person should know about an image that was decoded. `Display` gives a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The file was cut.
    EndsEarly,
    /// The file holds further images (frames of an animation, the views of a stereo camera), which are not decoded.
    FurtherImages {
        /// How many, if the file says so.
        count: Option<u32>,
    },
    /// There is next to nothing to be seen.
    NearlyBlack,
}

impl Notice {
    /// Whether something of the file was left out.
    pub fn is_loss(self) -> bool {
        self != Notice::NearlyBlack
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::EndsEarly => f.write_str("the file ends early; what is missing is grey or blurred"),
            Notice::FurtherImages { count: Some(count) } => {
                write!(f, "the file is an animation; its first frame was read, and {count} further ones were not")
            }
            Notice::FurtherImages { count: None } => {
                f.write_str("the file holds further images behind the first, which were not read")
            }
            Notice::NearlyBlack => f.write_str("the image is nearly black"),
        }
    }
}

/// The pages of an encoded image, decoded one after the other: those of a TIFF; of other formats the only one, or
/// the first frame. The bytes are dropped with the last page.
///
/// A page that cannot be decoded is an error in its place, and the next ones follow.
#[derive(Debug)]
pub struct Pages<B> {
    bytes: Option<B>,
    limits: Limits,
    max_bytes: u64,
    format: ImageFormat,
    /// Where the directories of a TIFF begin; of other formats one that is not looked at.
    directories: Vec<u32>,
    next: usize,
    /// Why there may be more pages than were found.
    broken: Option<ImageError>,
}

impl<B: AsRef<[u8]>> Pages<B> {
    /// Looks how many pages there are; nothing is decoded yet. `max_bytes` is that of [`decode_reduced`].
    ///
    /// # Errors
    /// [`ImageError`] if the file is none that is read, or has more bytes, pages or pixels in all its pages than
    /// `limits` allow.
    pub fn new(bytes: B, limits: Limits, max_bytes: u64) -> Result<Self, ImageError> {
        let file = bytes.as_ref();
        let format = check_file(file, &limits)?;
        let (mut directories, mut broken) = (vec![0], None);
        if cfg!(feature = "formats")
            && format == ImageFormat::Tiff
            && let Some(chain) = tiff::chain(file, limits.max_pages)
        {
            if chain.end == tiff::End::TooMany {
                return Err(ImageError::TooManyPages { limit: limits.max_pages });
            }
            let pixels = chain.pages.iter().fold(0_u64, |sum, page| sum.saturating_add(page.pixels()));
            if chain.pages.len() > 1 && pixels > limits.max_total_pixels {
                let (pages, limit) = (chain.pages.len(), limits.max_total_pixels);
                return Err(ImageError::TooManyPagePixels { pages, pixels, limit });
            }
            // Without any directory the decoder says what is wrong.
            if !chain.pages.is_empty() {
                directories = chain.pages.iter().map(|page| page.at).collect();
                if let tiff::End::Broken(why) = chain.end {
                    let reason = format!("after page {} {why}, so further pages cannot be found", directories.len());
                    broken = Some(ImageError::Damaged { format: super::name(format), reason });
                }
            }
        }
        Ok(Pages { bytes: Some(bytes), limits, max_bytes, format, directories, next: 0, broken })
    }

    /// Number of pages that were found.
    pub fn page_count(&self) -> usize {
        self.directories.len()
    }

    /// Whether all pages were given.
    pub fn is_done(&self) -> bool {
        self.next == self.page_count() && self.broken.is_none()
    }

    fn decode(&self, file: &[u8], index: usize) -> Result<Decoded, ImageError> {
        let start = Instant::now();
        let Reduced { image, full_px } = match self.format {
            ImageFormat::Tiff => {
                let directory = self.directories.get(index).copied().filter(|_| cfg!(feature = "formats"));
                let job = Job { directory, ..Job::new(file, &self.limits, self.format) };
                let image = job.run_catching_panics(self.format)?;
                let full_px = [image.width(), image.height()];
                Reduced { image, full_px }
            }
            _ => decode_reduced(file, &self.limits, self.max_bytes)?,
        };
        let notices = notices(file, self.format, &image);
        let page_count = self.page_count();
        Ok(Decoded { image, full_px, page: index + 1, page_count, decode_ms: ms(start), notices })
    }
}

impl<B: AsRef<[u8]>> Iterator for Pages<B> {
    type Item = Result<Decoded, ImageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (index, pages) = (self.next, self.page_count());
        if index == pages {
            return self.broken.take().map(Err);
        }
        // Counted first: whatever happens to this page, the next call gives the next one.
        self.next += 1;
        let decoded = self.decode(self.bytes.as_ref()?.as_ref(), index);
        if self.next == pages {
            self.bytes = None;
        }
        Some(decoded.map_err(|error| match pages {
            1 => error,
            _ => ImageError::Page { page: index + 1, pages, error: Box::new(error) },
        }))
    }
}

fn notices(file: &[u8], format: ImageFormat, image: &Image) -> Vec<Notice> {
    let further = match format {
        ImageFormat::Gif => Some(gif::frames(file).saturating_sub(1)),
        ImageFormat::WebP => Some(webp::walk(file).frames.saturating_sub(1)),
        ImageFormat::Png => png::walk(file).map(|png| png.further_frames),
        ImageFormat::Pnm if has_further_pnm(file) => None,
        ImageFormat::Jpeg if mpf::has_further(file) => None,
        _ => Some(0),
    };
    let facts = [
        (ends_early(file), Notice::EndsEarly),
        (further != Some(0), Notice::FurtherImages { count: further }),
        (image.as_raw().iter().all(|&value| value < NEARLY_BLACK), Notice::NearlyBlack),
    ];
    facts.into_iter().filter(|(holds, _)| *holds).map(|(_, notice)| notice).collect()
}

/// Whether another image follows the first one of a binary PNM.
fn has_further_pnm(file: &[u8]) -> bool {
    use pnm::{PnmSubtype, SampleEncoding::Binary};
    let rest = || {
        let (reader, header) = pnm::PnmDecoder::new(Cursor::new(file)).ok()?.into_inner();
        let (width, height) = (u64::from(header.width()), u64::from(header.height()));
        let sample_bytes = if header.maximal_sample() > 255 { 2 } else { 1 };
        let row = match header.subtype() {
            PnmSubtype::Bitmap(Binary) => width.div_ceil(8),
            PnmSubtype::Graymap(Binary) => width * sample_bytes,
            PnmSubtype::Pixmap(Binary) => width * sample_bytes * CHANNELS as u64,
            PnmSubtype::ArbitraryMap => (width * sample_bytes).checked_mul(header.as_arbitrary()?.depth.into())?,
            _ => return None,
        };
        let end = reader.position().checked_add(row.checked_mul(height)?)?;
        file.get(usize::try_from(end).ok()?..)
    };
    matches!(rest().unwrap_or_default().trim_ascii_start(), [b'P', b'1'..=b'7', ..])
}

#[cfg(all(test, feature = "formats"))]
mod tests;
