//! Configurations of a node or worker with one mistake each, and what is to be said of them.

use super::{finish, program};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What no message may show.
pub const SECRET: &str = "hunter2";

/// What is wrong, and a part of the sentence that is expected.
pub struct ConfigError {
    pub text: String,
    pub said: &'static str,
}

/// A table of the least configuration that there is, changed in one place.
pub fn node(source: &str, field: &str, more: &str, said: &'static str) -> ConfigError {
    let source = if source.is_empty() { "kind = 'directory'\npath = 'in'" } else { source };
    ConfigError { text: format!("[source]\n{source}\n[[field]]\nname = 'a'\n{field}\n{more}\n"), said }
}

pub fn source(text: &str, said: &'static str) -> ConfigError {
    node(text, "", "", said)
}

pub fn field(text: &str, said: &'static str) -> ConfigError {
    node("", text, "", said)
}

pub fn more(text: &str, said: &'static str) -> ConfigError {
    node("", "", text, said)
}

/// A field with a number, shown by Home Assistant.
pub fn shown(text: &str, said: &'static str) -> ConfigError {
    node("", text, "[discovery]\nenabled = true", said)
}

pub fn whole(text: &str, said: &'static str) -> ConfigError {
    ConfigError { text: text.to_owned(), said }
}

/// Runs the check and gives what it said; says in `wrong` what is not as it should be.
pub fn check(command: &mut Command, name: &str, said: &str, wrong: &mut Vec<String>) {
    let (code, out, err) = finish(command.output().expect("the program starts"));
    let mut complain = |what: &str| wrong.push(format!("{name}\n  {what}: exit code {code}, {err:?}, wanted {said:?}"));
    if code != 2 {
        complain("exit code");
    }
    if err.lines().count() != 1 || !err.starts_with("edge-ocr: ") {
        complain("not one line");
    }
    if err.contains("panicked") || out.contains("panicked") {
        complain("a panic");
    }
    if !err.contains(said) {
        complain("the wrong sentence");
    }
    if err.contains(SECRET) || out.contains(SECRET) {
        complain("the secret is shown");
    }
    if err.split('`').step_by(2).any(|part| part.contains("--")) && !said.contains("--") {
        complain("a flag where a key is meant");
    }
}

pub fn check_all(verb: &str, mistakes: &[ConfigError], dir: &Path) {
    let mut wrong = Vec::new();
    for ConfigError { text, said } in mistakes {
        let path = dir.join("config.toml");
        let text = text.replace("DIR", dir.to_str().expect("UTF-8"));
        fs::write(&path, &text).expect("written");
        let mut command = program();
        command.env_remove("CREDENTIALS_DIRECTORY").env_remove("STATE_DIRECTORY").env("EDGE_OCR_TEST_EMPTY", "");
        command.arg(verb).arg("--check-config").arg("--config").arg(&path);
        check(&mut command, &text, said, &mut wrong);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), mistakes.len(), wrong.join("\n"));
}

/// A file with this content that only its owner may read, or everybody.
#[cfg(unix)]
pub fn secret_file(dir: &Path, name: &str, content: &[u8], mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(dir.join(name), content).expect("written");
    fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).expect("its mode");
}
