//! Where results go, and that they do not go over what is read.

use super::Stop;
use edge_ocr::Error;
use edge_ocr::source::Input;
use std::path::{Path, PathBuf};

/// Refuses outputs (flag and path) that are an input, or one another.
pub fn refuse(outputs: &[(&str, Option<&Path>)], inputs: &[Input]) -> Result<(), Stop> {
    let mut before: Vec<(&str, &Path, Option<PathBuf>)> = Vec::new();
    for (flag, path) in outputs.iter().filter_map(|(flag, path)| Some((*flag, (*path)?))) {
        let file = existing(path);
        let same = |other: &Path| file.is_some() && existing(other) == file;
        let what = if inputs.iter().any(|input| matches!(input, Input::Path(input) if same(input))) {
            "which is also read".to_string()
        } else if let Some((other, ..)) = before.iter().find(|b| b.1 == path || file.is_some() && b.2 == file) {
            format!("as does {other}")
        } else {
            before.push((flag, path, file));
            continue;
        };
        let message = format!("{flag} writes to {}, {what}; name another file", path.display());
        return Err(Error::Config(message).into());
    }
    Ok(())
}

/// The regular file that is already at a path, under its one true name; devices may well be read and written.
fn existing(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().filter(|path| path.is_file())
}
