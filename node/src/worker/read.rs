//! Images to results.

use edge_ocr::config::Config;
use edge_ocr::error::Error;
use edge_ocr::output::{self, Document, Format, Part, Writer};
use edge_ocr::pipeline::Pipeline;

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
        let models = output::Models::from(pipeline.names());
        Ok(PipelineReader { engine: pipeline.names().engine, pipeline, params, models, chars })
    }

    /// One page that cannot be read is an error for all: a result never lacks a page silently.
    fn document(&mut self, job: &str, image: &[u8]) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut options = output::Options::default();
        options.chars = self.chars;
        let mut writer = Writer::new(Format::Json, options, &mut bytes);
        // Into memory: neither can fail.
        let written = |e| Error::Config(format!("the result cannot be written ({e}); free memory"));
        for decoded in self.pipeline.pages(image)? {
            let decoded = decoded?;
            let page = self.pipeline.run(&decoded)?;
            let warnings = decoded.warnings();
            let mut document = Document::new(job, page, &self.models, &self.params, self.engine);
            document.part = Part::of(&decoded, &warnings);
            writer.document(&document).map_err(written)?;
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
