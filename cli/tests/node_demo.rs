//! The demo as a user of a machine that others use, too.
#![cfg(all(feature = "demo", unix))]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use support::{finish, root};

/// It took a folder that another user had put in its way, and deleted it with all that was in it.
#[test]
fn demo_makes_a_folder_of_its_own() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("set");
    // `exec` keeps the process number, which was the folder's name.
    let script = "mkdir \"$TMPDIR/edge-ocr-demo-$$\"; echo x >\"$TMPDIR/edge-ocr-demo-$$/planted\"; echo $$; exec \"$0\" node --demo --messages 1";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_edge-ocr")]).env("TMPDIR", dir.path()).current_dir(root());
    let (code, out, err) = finish(command.output().expect("run"));
    assert_eq!(code, 0, "{out} {err}");
    let pid = out.lines().next().expect("its number");
    let planted = dir.path().join(format!("edge-ocr-demo-{pid}"));
    assert!(planted.join("planted").exists() && !out.contains(&format!("{}; ", planted.display())), "{out}");
    assert_eq!(fs::read_dir(&planted).expect("listed").count(), 1, "nothing is written to it");
    assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1, "and its own is gone");
}
