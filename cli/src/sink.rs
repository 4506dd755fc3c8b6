//! Where results go: a file, or standard output.

use super::{Stop, write_failed};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Whoever writes flushes after each result.
pub type Sink = BufWriter<Box<dyn Write + Send>>;

/// The file that was named; none for `-`, which is standard output, and by default.
pub fn file(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| *path != Path::new("-"))
}

/// Opens it; gives its name for messages too.
pub fn create(path: Option<&Path>) -> Result<(String, Sink), Stop> {
    let (name, out): (String, Box<dyn Write + Send>) = match file(path) {
        Some(path) => {
            let name = path.display().to_string();
            let file = File::create(path).map_err(write_failed(&name))?;
            (name, Box::new(file))
        }
        None => ("standard output".into(), Box::new(io::stdout())),
    };
    Ok((name, BufWriter::new(out)))
}
