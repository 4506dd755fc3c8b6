//! What must be known of a file before a decoder may allocate for it: size, memory-relevant variety, EXIF block.
//!
//! The decoders of `image` are asked where they tell this themselves before they allocate; what stands here they do
//! not, or they believe the file too readily. Nothing is trusted further than the length of the data: every walk ends
//! at the first thing it does not understand, and the decoder then says what is wrong.

pub(super) mod gif;
pub(super) mod jpeg;
pub(super) mod mpf;
pub(super) mod png;
pub(super) mod tiff;
pub(super) mod webp;
