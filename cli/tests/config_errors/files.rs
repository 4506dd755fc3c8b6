//! Files that are no configuration, and those that come with the program.

use super::support::config_errors::*;
use super::support::{self, finish, program, root};
use std::fs;
use std::path::Path;

#[test]
fn files_that_are_no_configuration() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name);
    fs::write(path("latin1.toml"), b"[topics]\nbase = '\xe4'\n").expect("written");
    fs::write(path("large.toml"), vec![b'#'; 2 << 20]).expect("written");
    fs::write(path("nul.toml"), [0; 64]).expect("written");
    fs::write(path("deep.toml"), "a = ".to_owned() + &"[".repeat(100_000)).expect("written");
    let mut wrong = Vec::new();
    for verb in ["node", "worker"] {
        for (name, said) in [
            ("none.toml", "--config"),
            (".", "must be a file"),
            ("latin1.toml", "UTF-8"),
            ("large.toml", "at most"),
            ("nul.toml", "line 1"),
            ("deep.toml", "line 1"),
        ] {
            let mut command = program();
            command.args([verb, "--check-config", "--config"]).arg(path(name));
            check(&mut command, &format!("{verb} {name}"), said, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Reads a configuration as a user would, with its secrets in a folder of ours.
fn examine(name: &str, text: &str, dir: &Path) {
    let text = text.replace("/etc/edge-ocr", dir.to_str().expect("UTF-8"));
    let path = dir.join(name);
    fs::write(&path, text).expect("written");
    let mut command = program();
    command.args(["node", "--check-config", "--config"]).arg(&path).env("CREDENTIALS_DIRECTORY", dir);
    let (code, out, err) = finish(command.output().expect("run"));
    assert_eq!((code, err.as_str()), (0, ""), "{name}: {out}");
}

#[cfg(unix)]
#[test]
fn examples_and_the_printed_default_are_right() {
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["mqtt-password", "camera-password"] {
        secret_file(dir.path(), name, b"a secret\n", 0o600);
    }
    let mut count = 0;
    for entry in fs::read_dir(root().join("examples/node")).expect("examples") {
        let path = entry.expect("an example").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        if name == "fuel-pump.toml" && cfg!(not(all(feature = "v4l2", target_os = "linux"))) {
            continue;
        }
        examine(&name, &fs::read_to_string(&path).expect("read"), dir.path());
        count += 1;
    }
    assert!(count >= 3, "{count} examples");
    let (code, default, err) = support::run(&["node", "--print-default-config"]);
    assert_eq!((code, err.as_str()), (0, ""));
    examine("default.toml", &default, dir.path());
}

/// What the shipped unit hands over where /etc/edge-ocr has no such file.
#[cfg(unix)]
#[test]
fn empty_credential_names_the_unit_setting() {
    let dir = tempfile::tempdir().expect("a folder");
    secret_file(dir.path(), "mqtt-password", b"\n", 0o400);
    let path = dir.path().join("node.toml");
    let text = |mqtt: &str| {
        format!(
            "[source]\nkind = 'directory'\npath = 'in'\n[[field]]\nname = 'a'\n[topics]\nnode_id = 'n'\n[mqtt]\n{mqtt}\n"
        )
    };
    let check = |mqtt: &str| {
        fs::write(&path, text(mqtt)).expect("written");
        let mut command = program();
        command.args(["node", "--check-config", "--config"]).arg(&path).env("CREDENTIALS_DIRECTORY", dir.path());
        finish(command.output().expect("run"))
    };
    let (code, _, err) = check("username = 'ocr'\npassword_credential = 'mqtt-password'");
    assert!(code == 2 && err.contains("mqtt-password is empty") && err.contains("LoadCredential="), "{err}");
    // A broker without a password does not ask for it.
    assert_eq!(check("").0, 0);
}
