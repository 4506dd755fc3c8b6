//! Pictures for calibration and evaluation, prepared as the OCR pipeline prepares them.

pub mod list;
pub mod manifest;
mod picture;
pub mod samples;

pub use picture::Picture;
