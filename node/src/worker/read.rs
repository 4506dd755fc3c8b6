//! Images to results.

use edge_ocr::config::Config;
use edge_ocr::error::Error;
use edge_ocr::image::decode::{Decoded, Notice, Pages};
use edge_ocr::output::{self, Document, Format, Part, Writer};
use edge_ocr::pipeline::{Frame, Pipeline};
use std::time::Instant;

/// Reads the image of a job.
pub trait Read: Send {
    /// The JSON object for an encoded image, or the array of them for one with several pages. `job` is its name in
    /// the result.
    ///
    /// # Errors
    /// [`ReadError`]; the next image may be fine.
    fn read(&mut self, job: &str, image: &[u8]) -> Result<Vec<u8>, ReadError>;
}

/// Why an image was not read. One sentence.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The image cannot be used.
    #[error("{0}")]
    Image(String),
    /// The engine failed; the image is not the cause.
    #[error("{0}")]
    Engine(String),
}

/// The pipeline, and the project's own JSON.
pub struct PipelineReader {
    pipeline: Pipeline,
    params: serde_json::Value,
    models: output::Models,
    engine: &'static str,
    chars: bool,
}

impl PipelineReader {
    /// Opens the pipeline. With `chars` results have words and characters.
    ///
    /// # Errors
    /// Those of [`Pipeline::from_config`].
    pub fn new(config: &Config, chars: bool) -> Result<PipelineReader, Error> {
        let pipeline = Pipeline::from_config(config)?;
        pipeline.warm_up()?;
        let params = serde_json::to_value(pipeline.config()).map_err(|e| {
            Error::Config(format!("the parameters cannot be written as JSON ({e}); this is a mistake in edge-ocr"))
        })?;
        let names = pipeline.names();
        let models = output::Models { det: names.det.clone(), cls: names.cls.clone(), rec: names.rec.clone() };
        Ok(PipelineReader { engine: names.engine, pipeline, params, models, chars })
    }

    /// One page that cannot be read is an error for all: a result never lacks a page silently.
    fn document(&mut self, job: &str, image: &[u8]) -> Result<Vec<u8>, Error> {
        let (limits, max_bytes) = (self.pipeline.config().limits, self.pipeline.config().max_decoded_bytes());
        let mut pages = Pages::new(image, limits, max_bytes)?;
        let mut bytes = Vec::new();
        let options = output::Options { chars: self.chars, ..output::Options::default() };
        let mut writer = Writer::new(Format::Json, options, &mut bytes);
        // Into memory: neither can fail.
        let written = |e| Error::Config(format!("the result cannot be written ({e}); free memory"));
        loop {
            let start = Instant::now();
            let Some(decoded) = pages.next() else { break };
            let Decoded { image, full_px, page: page_number, notices } = decoded?;
            let decode_ms = start.elapsed().as_secs_f32() * 1e3;
            let page = self.pipeline.run(Frame { full_px, decode_ms, ..Frame::new(image.view()) })?;
            let warnings: Vec<String> = notices.iter().map(Notice::to_string).collect();
            let part = Part { page_number, page_count: pages.page_count(), warnings: &warnings };
            let (models, params, engine) = (&self.models, &self.params, self.engine);
            writer.document(&Document { source: job, page, models, params, engine, part }).map_err(written)?;
        }
        writer.finish().map_err(written)?;
        bytes.truncate(bytes.trim_ascii_end().len());
        Ok(bytes)
    }
}

impl Read for PipelineReader {
    fn read(&mut self, job: &str, image: &[u8]) -> Result<Vec<u8>, ReadError> {
        self.document(job, image).map_err(|error| match error {
            Error::Image(_) | Error::Source(_) => ReadError::Image(error.to_string()),
            _ => ReadError::Engine(error.to_string()),
        })
    }
}

#[cfg(all(test, feature = "formats"))]
mod tests {
    use super::*;

    const PAGES: &[u8] = include_bytes!("../../../tests/cases/three_pages.tif");

    fn result(reader: &mut PipelineReader, image: &[u8]) -> Result<serde_json::Value, ReadError> {
        reader.read("7", image).map(|json| serde_json::from_slice(&json).expect("JSON"))
    }

    #[test]
    fn job_of_several_pages_has_them_all_or_an_error() {
        let mut reader = PipelineReader::new(&Config::default(), false).expect("a reader");
        let pages = result(&mut reader, PAGES).expect("read");
        let texts: Vec<_> = (0..3).map(|page| pages[page]["lines"][0]["text"].clone()).collect();
        assert_eq!(texts, ["Page one", "Page two", "Page three"]);
        assert_eq!((&pages[2]["page"], &pages[2]["source"]), (&3.into(), &"7".into()));
        let one = result(&mut reader, include_bytes!("../../../tests/golden/word.png")).expect("read");
        assert!(one["lines"][0]["text"].is_string() && one["pages"] == 1, "an object");
        // Where the last directory would be.
        let error = result(&mut reader, &PAGES[..PAGES.len() - 60]).unwrap_err();
        assert!(matches!(&error, ReadError::Image(sentence) if sentence.contains("after page 2")), "{error}");
    }
}
