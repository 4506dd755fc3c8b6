//! `quantize list`: chooses calibration or held-out images from the data folder.

use clap::Args as ClapArgs;
use edge_ocr_quantize::Error;
use edge_ocr_quantize::data::list;
use std::path::PathBuf;

/// Choose images: every fourth for calibration, the others for evaluation
#[derive(ClapArgs)]
pub struct Args {
    /// Folder with labelled images
    #[arg(long)]
    data: PathBuf,
    /// The images that calibration must not see
    #[arg(long)]
    held_out: bool,
    /// Cuts of text lines instead of whole images
    #[arg(long)]
    lines: bool,
    /// With --lines: at most so many of an image
    #[arg(long, default_value_t = 8)]
    per_image: usize,
}

/// Prints the list.
pub fn run(args: Args) -> Result<(), Error> {
    for entry in list::choose(&args.data, args.held_out, args.lines, args.per_image)? {
        // What calibrates needs no text.
        let entry = if args.held_out { entry } else { list::Entry { text: None, ..entry } };
        println!("{}", list::line(&entry));
    }
    Ok(())
}
