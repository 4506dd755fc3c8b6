//! The text of an image file, page by page, and why something of it may be missing; with `--json` all that is known of
//! each line, word and character.
//!
//!     cargo run --release --example read_image -- [IMAGE] [--json]

use edge_ocr::{Config, Pipeline};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let (flags, paths): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/receipt.jpg");
    let path = paths.first().map_or(default, String::as_str);

    let mut pipeline = Pipeline::from_config(&Config::default())?;
    let pages = pipeline.read_path(path)?;
    if flags.iter().any(|flag| flag == "--json") {
        println!("{}", serde_json::to_string_pretty(&pages)?);
        return Ok(());
    }
    for page in pages {
        if page.pages > 1 {
            println!("== page {} of {}", page.page, page.pages);
        }
        print!("{}", page.text());
        for warning in page.warnings {
            eprintln!("{path}: {warning}");
        }
    }
    Ok(())
}
