//! Where results go, and that they do not go over what is read.

use super::Stop;
use edge_ocr::Error;
use edge_ocr::source::Input;
use std::path::Path;

/// Refuses outputs (flag and path) that are an input, or one another.
pub fn refuse_overwriting(outputs: &[(&str, Option<&Path>)], inputs: &[Input]) -> Result<(), Stop> {
    let given = || outputs.iter().filter_map(|(flag, path)| Some((*flag, (*path)?)));
    for (i, (flag, path)) in given().enumerate() {
        let read = inputs.iter().any(|input| matches!(input, Input::Path(input) if same_file(input, path)));
        let what = match given().take(i).find(|(_, other)| same_file(other, path) || *other == path) {
            _ if read => "which is also read".to_string(),
            Some((other, _)) => format!("as does {other}"),
            None => continue,
        };
        let message = format!("{flag} writes to {}, {what}; name another file", path.display());
        return Err(Error::Config(message).into());
    }
    Ok(())
}

/// Whether two paths lead to the same regular file; devices may well be read and written.
fn same_file(a: &Path, b: &Path) -> bool {
    let file = |path: &Path| path.canonicalize().ok().filter(|path| path.is_file());
    file(a).is_some_and(|a| Some(a) == file(b))
}
