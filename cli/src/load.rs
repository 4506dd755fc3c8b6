//! One input to its pages, as frames with the time that each took.

use edge_ocr::image::Image;
use edge_ocr::image::decode::{self, Decoded, Limits, Notice, Pages};
use edge_ocr::source::{self, Input};
use edge_ocr::{Error, Frame};
use std::time::Instant;

/// A decoded page.
pub struct Loaded {
    pub image: Image,
    /// Width and height of the file's image, which may have been decoded at a reduced size.
    full_px: [usize; 2],
    /// Of decoding, not of reading the file.
    decode_ms: f32,
    /// Number of the page, from 1.
    pub page: usize,
    /// Number of pages of the file.
    pub pages: usize,
    /// What of the file is not in the image, and what else is odd about it.
    pub notices: Vec<Notice>,
}

impl Loaded {
    pub fn frame(&self) -> Frame<'_> {
        Frame { decode_ms: self.decode_ms, full_px: self.full_px, ..Frame::new(self.image.view()) }
    }
}

/// How inputs are decoded.
#[derive(Clone, Copy)]
pub struct Loading {
    pub limits: Limits,
    /// A JPEG of more bytes as RGB8 is decoded at a reduced size.
    pub max_bytes: u64,
    /// Whether left and right are exchanged.
    pub mirror: bool,
}

/// Reads an input and decodes its pages one after the other. Notices are logged.
pub fn load(input: &Input, loading: Loading) -> impl Iterator<Item = Result<Loaded, Error>> {
    let opened = source::read(input, loading.limits.max_bytes)
        .map_err(Error::from)
        .and_then(|bytes| Ok(Pages::new(bytes, loading.limits, loading.max_bytes)?));
    let (pages, error) = match opened {
        Ok(pages) => (Some(pages), None),
        Err(error) => (None, Some(Err(error))),
    };
    let name = input.name().into_owned();
    let read = pages.into_iter().flat_map(move |mut pages| {
        let (name, count) = (name.clone(), pages.page_count());
        std::iter::from_fn(move || {
            let start = Instant::now();
            let decoded = pages.next()?;
            let decode_ms = start.elapsed().as_secs_f32() * 1e3;
            Some(decoded.map_err(Error::from).map(|Decoded { mut image, full_px, page, notices }| {
                for notice in &notices {
                    log::warn!("{name}: {notice}");
                }
                if loading.mirror {
                    image.mirror();
                }
                Loaded { image, full_px, decode_ms, page, pages: count, notices }
            }))
        })
    });
    error.into_iter().chain(read)
}

/// The first page of an input, at its full size.
pub fn first(input: &Input, limits: Limits) -> Result<Image, Error> {
    Ok(decode::decode(&source::read(input, limits.max_bytes)?, &limits)?)
}
