//! Names of the folders in a cache of engines.

const BUILDING: &str = ".building-";
/// Digits of the digest in a name; the marker holds all.
const DIGEST_DIGITS: usize = 16;
/// The longest part of a model's name in a name. File systems take 255 bytes.
const MAX_MODEL_CHARS: usize = 64;

/// The folder of an engine.
pub(super) fn folder(model: &str, digest: &str) -> String {
    format!("{}-{}", safe(model), digest.get(..DIGEST_DIGITS).unwrap_or(digest))
}

/// The folder that a process builds the engine of the folder `name` in.
pub(super) fn building(name: &str, pid: u32) -> String {
    format!(".{name}{BUILDING}{pid}")
}

/// Whether a name is one that [`building`] gives.
pub(super) fn is_leftover(name: &str) -> bool {
    let parts = name.strip_prefix('.').and_then(|name| name.rsplit_once(BUILDING));
    parts.is_some_and(|(name, pid)| model_of(name).is_some() && pid.parse::<u32>().is_ok())
}

/// The model's part of a name that [`folder`] gives; `None` for any other.
pub(super) fn model_of(name: &str) -> Option<&str> {
    let (model, digest) = name.rsplit_once('-')?;
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    let ours = digest.len() == DIGEST_DIGITS && digest.bytes().all(is_digit) && safe(model) == model;
    ours.then_some(model)
}

/// A model's name, or the end of its path, as the start of a name: ASCII, without separators, no hidden file.
pub(super) fn safe(model: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let ascii: String = model.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    let end = ascii.get(ascii.len().saturating_sub(MAX_MODEL_CHARS)..).unwrap_or_default();
    match end.trim_start_matches(['.', '-', '_']) {
        "" => "model".into(),
        end => end.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_hold_the_model_and_the_digest() {
        for (model, name) in [
            ("ppocrv6-small-det", "ppocrv6-small-det-0123456789abcdef"),
            ("./models/my net.onnx", "models_my_net.onnx-0123456789abcdef"),
            ("../../etc/passwd", "etc_passwd-0123456789abcdef"),
            ("", "model-0123456789abcdef"),
            ("..", "model-0123456789abcdef"),
            ("行", "model-0123456789abcdef"),
        ] {
            assert_eq!(folder(model, DIGEST), name);
        }
    }

    #[test]
    fn only_own_names_are_recognised() {
        for name in
            ["", "-", "a", "a-0123456789abcde", "a-0123456789abcdeF", "-0123456789abcdef", ".a-0123456789abcdef"]
        {
            assert_eq!(model_of(name), None, "{name}");
        }
        let name = folder("a", DIGEST);
        assert!(is_leftover(&building(&name, 77)));
        for other in [name.as_str(), ".lock", ".a.building-77", ".a-0123456789abcdef.building-x", ".building-1"] {
            assert!(!is_leftover(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_one_file_and_gives_its_model(model in any::<String>()) {
            let name = folder(&model, DIGEST);
            prop_assert!(name.len() < 100 && !name.starts_with('.') && !name.contains('/'));
            let safe = safe(&model);
            prop_assert_eq!(model_of(&name), Some(safe.as_str()));
        }

        #[test]
        fn any_text_is_taken(name in any::<String>()) {
            let _ = (model_of(&name), is_leftover(&name));
        }
    }
}
