//! Files and their bytes to results.

use super::Pipeline;
use crate::error::Error;
use crate::image::decode::Pages;
use crate::page::OwnedPage;
use crate::source::{self, Input};
use std::path::Path;

impl Pipeline {
    /// Reads an image file: [`read_bytes`](Self::read_bytes) of what is in it.
    ///
    /// # Errors
    /// [`Error::Source`] for a file that is missing, longer than [`Limits::max_bytes`](crate::image::decode::Limits) or
    /// no regular file; otherwise as [`read_bytes`](Self::read_bytes).
    pub fn read_path(&mut self, path: impl AsRef<Path>) -> Result<Vec<OwnedPage>, Error> {
        let input = Input::Path(path.as_ref().to_path_buf());
        self.read_bytes(source::read(&input, self.config().limits.max_bytes)?)
    }

    /// Reads an encoded image: JPEG, PNG or PNM, with the feature `formats` also TIFF, WebP, BMP and GIF, told apart
    /// by their content. It is decoded within [`Config::limits`](crate::Config), turned upright by its EXIF
    /// orientation, and if it is large and a JPEG perhaps reduced
    /// ([`Config::max_decoded_bytes`](crate::Config::max_decoded_bytes)); coordinates are those of the whole image.
    ///
    /// The answer has one result for each page of the file: several only for a TIFF, never none. A page that cannot be
    /// read is an error for all, so that no page is missing without a word. What else is not read, such as further
    /// frames of an animation or the end of a file that was cut, is in [`OwnedPage::warnings`]. To take the pages that
    /// can be read, or to keep only one of them in memory, go through [`pages`](Self::pages) with [`run`](Self::run).
    ///
    /// # Errors
    /// [`Error::Image`] for what is no image, exceeds a limit, is damaged, or has a page that is;
    /// [`Error::Infer`] if a network fails.
    pub fn read_bytes(&mut self, bytes: impl AsRef<[u8]>) -> Result<Vec<OwnedPage>, Error> {
        let pages = self.pages(bytes.as_ref())?;
        let mut read = Vec::with_capacity(pages.page_count());
        for decoded in pages {
            let decoded = decoded?;
            let page = self.run(&decoded)?.to_owned();
            let (page_number, pages) = (decoded.page, decoded.page_count);
            let warnings = decoded.warnings().into_iter().chain(page.warnings).collect();
            read.push(OwnedPage { page: page_number, pages, warnings, ..page });
        }
        Ok(read)
    }

    /// The pages of an encoded image, decoded one after the other within this pipeline's limits. Each is given to
    /// [`run`](Self::run):
    ///
    /// ```
    /// # use edge_ocr::{Config, Pipeline};
    /// # let mut pipeline = Pipeline::from_config(&Config::default())?;
    /// for decoded in pipeline.pages(std::fs::read("tests/golden/plate.jpg")?)? {
    ///     let decoded = decoded?;
    ///     println!("page {} of {}", decoded.page, decoded.page_count);
    ///     for line in pipeline.run(&decoded)?.lines() {
    ///         println!("{}", line.text());
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Image`] for what is no image or exceeds a limit. A page that cannot be decoded is an error in its
    /// place.
    pub fn pages<B: AsRef<[u8]>>(&self, bytes: B) -> Result<Pages<B>, Error> {
        Ok(Pages::new(bytes, self.config().limits, self.config().max_decoded_bytes())?)
    }
}
