//! What can go wrong with an image. Every message is one sentence: the thing, the reason, the remedy.

use crate::param::Param;

/// Why an image, or a request about one, cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The data has no bytes at all.
    #[error("image is empty (0 bytes); give a file that holds an image")]
    Empty,

    /// The data begins like none of the formats that are read.
    #[error(
        "data is not an image in a format that can be read (PNG, JPEG, WebP, BMP, GIF, TIFF, PNM); convert it to one of these"
    )]
    UnknownFormat,

    /// The data is of a format that is not read.
    #[error("this is {format}, which cannot be read; {remedy}")]
    ForeignFormat {
        /// The format, with its article.
        format: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },

    /// The encoded image is longer than [`max_bytes`](super::decode::Limits::max_bytes).
    #[error("image file is {bytes} bytes, more than the limit of {limit} bytes; raise {}", Param::MaxBytes)]
    TooManyBytes {
        /// Length of the encoded image.
        bytes: u64,
        /// The limit in force.
        limit: u64,
    },

    /// The image is wider than [`max_width_px`](super::decode::Limits::max_width_px).
    #[error("image is {width}x{height} pixels, wider than the limit of {limit} pixels; raise {}", Param::MaxWidth)]
    TooWide {
        /// Width by the header.
        width: u32,
        /// Height by the header.
        height: u32,
        /// The limit in force.
        limit: u32,
    },

    /// The image is higher than [`max_height_px`](super::decode::Limits::max_height_px).
    #[error("image is {width}x{height} pixels, higher than the limit of {limit} pixels; raise {}", Param::MaxHeight)]
    TooHigh {
        /// Width by the header.
        width: u32,
        /// Height by the header.
        height: u32,
        /// The limit in force.
        limit: u32,
    },

    /// The image has more pixels than [`max_pixels`](super::decode::Limits::max_pixels).
    #[error("image is {width}x{height} pixels, more than the limit of {limit} pixels; raise {}", Param::MaxPixels)]
    TooManyPixels {
        /// Width by the header.
        width: u32,
        /// Height by the header.
        height: u32,
        /// The limit in force.
        limit: u64,
    },

    /// A file has more pages than [`max_pages`](super::decode::Limits::max_pages).
    #[error("file has more pages than the limit of {limit}; split it, or raise {}", Param::MaxPages)]
    TooManyPages {
        /// The limit in force.
        limit: u64,
    },

    /// The pages of a file have more pixels than [`max_total_pixels`](super::decode::Limits::max_total_pixels).
    #[error(
        "the {pages} pages of the file have {pixels} pixels together, more than the limit of {limit}; split it, or raise {}",
        Param::MaxTotalPixels
    )]
    TooManyPagePixels {
        /// Number of pages.
        pages: usize,
        /// Pixels of all of them by their headers.
        pixels: u64,
        /// The limit in force.
        limit: u64,
    },

    /// One page of several cannot be used.
    #[error("page {page} of {pages}: {error}")]
    Page {
        /// Number of the page, from 1.
        page: usize,
        /// Number of pages.
        pages: usize,
        /// Why.
        error: Box<ImageError>,
    },

    /// Decoding would take more than [`max_decode_bytes`](super::decode::Limits::max_decode_bytes).
    #[error(
        "decoding this {width}x{height} {format} image would take at least {needed} bytes of memory, more than the limit of {limit} bytes; make the image smaller or raise {}",
        Param::MaxDecodeBytes
    )]
    TooMuchMemory {
        /// Name of the format.
        format: &'static str,
        /// Width by the header.
        width: u32,
        /// Height by the header.
        height: u32,
        /// Estimated need of the whole decode, the encoded image included.
        needed: u64,
        /// The limit in force.
        limit: u64,
    },

    /// The format is known, this variety of it is not.
    #[error("this {format} image cannot be read because {reason}; convert it to an ordinary PNG or JPEG")]
    Unsupported {
        /// Name of the format.
        format: &'static str,
        /// What is not supported.
        reason: String,
    },

    /// The data breaks the rules of its own format.
    #[error("this {format} image is damaged ({reason}); save it again from its source")]
    Damaged {
        /// Name of the format.
        format: &'static str,
        /// What the decoder found wrong.
        reason: String,
    },

    /// The allocator refused.
    #[error("no memory for {bytes} bytes of pixels; make the image smaller or free memory")]
    OutOfMemory {
        /// Size of the block that was asked for.
        bytes: usize,
    },

    /// Sides, stride and number of bytes do not fit each other.
    #[error(
        "{bytes} bytes with a stride of {stride} bytes cannot hold an image of {width}x{height} RGB8 pixels; pass a width, a height and a stride that fit the buffer"
    )]
    Shape {
        /// Claimed width in pixels.
        width: usize,
        /// Claimed height in pixels.
        height: usize,
        /// Claimed distance of rows in bytes.
        stride: usize,
        /// Length of the buffer.
        bytes: usize,
    },

    /// A cut-out that is empty or sticks out of its image.
    #[error("the part {w}x{h} at {x},{y} is not inside the image of {width}x{height} pixels; choose one that is")]
    Crop {
        /// Left edge in pixels.
        x: usize,
        /// Top edge in pixels.
        y: usize,
        /// Width in pixels.
        w: usize,
        /// Height in pixels.
        h: usize,
        /// Width of the image.
        width: usize,
        /// Height of the image.
        height: usize,
    },

    /// Four corners of which three lie on one line, or which are not finite: no perspective maps them to a rectangle.
    #[error("the corners {quad:?} do not span an area; give four corners of which no three lie on a line")]
    FlatQuad {
        /// The corners as given.
        quad: [[f32; 2]; 4],
    },

    /// A region of interest that cannot be read.
    #[error(
        "region '{text}' cannot be read because {reason}; write x,y,w,h, each in pixels (10) or per cent of the image (10%)"
    )]
    RegionSyntax {
        /// The region as given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A region of interest that does not lie in this image.
    #[error(
        "region {region} is {w}x{h} pixels at {x},{y} and so not inside the image of {width}x{height} pixels; choose one that is"
    )]
    RegionOutside {
        /// The region as given.
        region: String,
        /// Left edge in pixels, after rounding.
        x: u64,
        /// Top edge in pixels, after rounding.
        y: u64,
        /// Width in pixels, after rounding.
        w: u64,
        /// Height in pixels, after rounding.
        h: u64,
        /// Width of the image.
        width: usize,
        /// Height of the image.
        height: usize,
    },

    /// An enhancement nobody knows.
    #[error("enhancement '{name}' is unknown; use contrast, threshold, otsu or deskew")]
    UnknownEnhancement {
        /// The name as given.
        name: String,
    },

    /// Turning the image straight needs a second one, and that is too much.
    #[error(
        "turning this {width}x{height} image straight would take {needed} bytes of memory, more than the limit of {limit} bytes; leave deskew out, make the image smaller or raise {}",
        Param::MaxDecodeBytes
    )]
    DeskewMemory {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Bytes of the image and its straightened copy.
        needed: u64,
        /// The limit in force.
        limit: u64,
    },
}
