//! Pictures to results.

use crate::config::Config;
use crate::error::Error;
use crate::image::decode::{self, Reduced};
use crate::output::{self, Document, Format, Writer};
use crate::pipeline::{Frame, Pipeline};
use std::time::Instant;

/// Reads the picture of a job.
pub trait Read: Send {
    /// The JSON object for an encoded picture. `job` is its name in the result.
    ///
    /// # Errors
    /// [`ReadError`]; the next picture may be fine.
    fn read(&mut self, job: &str, picture: &[u8]) -> Result<Vec<u8>, ReadError>;
}

/// Why a picture was not read. One sentence.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The picture cannot be used.
    #[error("{0}")]
    Picture(String),
    /// The picture is innocent.
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

    fn document(&mut self, job: &str, picture: &[u8]) -> Result<Vec<u8>, Error> {
        let (limits, most_bytes) = (self.pipeline.config().limits, self.pipeline.config().most_decoded_bytes());
        let start = Instant::now();
        let Reduced { picture, full_px } = decode::decode_reduced(picture, &limits, most_bytes)?;
        let decode_ms = start.elapsed().as_secs_f32() * 1e3;
        let page = self.pipeline.run(Frame { full_px, decode_ms, ..Frame::new(picture.view()) })?;
        let document = Document { source: job, page, models: &self.models, params: &self.params, engine: self.engine };
        let mut bytes = Vec::new();
        let mut writer = Writer::new(Format::Jsonl, output::Options { chars: self.chars }, &mut bytes);
        // Into memory: neither can fail.
        let written = writer.document(&document).and_then(|()| writer.finish());
        written.map_err(|e| Error::Config(format!("the result cannot be written ({e}); free memory")))?;
        bytes.truncate(bytes.trim_ascii_end().len());
        Ok(bytes)
    }
}

impl Read for PipelineReader {
    fn read(&mut self, job: &str, picture: &[u8]) -> Result<Vec<u8>, ReadError> {
        self.document(job, picture).map_err(|error| match error {
            Error::Image(_) | Error::Source(_) => ReadError::Picture(error.to_string()),
            _ => ReadError::Engine(error.to_string()),
        })
    }
}
