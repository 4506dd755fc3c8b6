//! One input to its pages.

use edge_ocr::Error;
use edge_ocr::image::Image;
use edge_ocr::image::decode::{self, Decoded, Limits, Pages};
use edge_ocr::source::{self, Input};

/// How inputs are decoded.
#[derive(Clone, Copy)]
pub struct Loading {
    pub limits: Limits,
    /// A JPEG of more bytes as RGB8 is decoded at a reduced size.
    pub max_bytes: u64,
    /// Whether left and right are exchanged.
    pub mirror: bool,
}

/// Reads an input and decodes its pages one after the other. Its notices are for [`log_notices`].
pub fn load(input: &Input, loading: Loading) -> impl Iterator<Item = Result<Decoded, Error>> {
    let opened = source::read(input, loading.limits.max_bytes)
        .map_err(Error::from)
        .and_then(|bytes| Ok(Pages::new(bytes, loading.limits, loading.max_bytes)?));
    let (pages, error) = match opened {
        Ok(pages) => (Some(pages), None),
        Err(error) => (None, Some(Err(error))),
    };
    let read = pages.into_iter().flatten().map(move |decoded| -> Result<Decoded, Error> {
        let mut decoded = decoded?;
        if loading.mirror {
            decoded.image.mirror();
        }
        Ok(decoded)
    });
    error.into_iter().chain(read)
}

/// Logs what was found out about a page of the input `name` while it was decoded.
pub fn log_notices(name: &str, decoded: &Decoded) {
    for notice in &decoded.notices {
        log::warn!("{name}: {notice}");
    }
}

/// The first page of an input, at its full size.
pub fn first(input: &Input, limits: Limits) -> Result<Image, Error> {
    Ok(decode::decode(&source::read(input, limits.max_bytes)?, &limits)?)
}
