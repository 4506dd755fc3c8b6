//! Images for calibration and evaluation, prepared as the OCR pipeline prepares them.

mod image;
pub mod list;
pub mod manifest;
pub mod samples;

pub use image::Image;
