//! Several builders at once.

use super::*;
use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn threads_build_once() {
    let folder = tempfile::tempdir().unwrap();
    let (builds, together) = (AtomicUsize::new(0), Barrier::new(8));
    let engines: Vec<Engine> = std::thread::scope(|scope| {
        let run = || {
            let cache = Cache::new(folder.path());
            let entry = cache.entry(&key(), MODEL);
            together.wait();
            entry.build(|folder| {
                builds.fetch_add(1, Ordering::SeqCst);
                builder(folder)
            })
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
    });
    assert_eq!(builds.load(Ordering::SeqCst), 1);
    assert!(engines.windows(2).all(|two| two[0] == two[1]));
}

/// Another process that runs the test `name` with the folder `root`. What it says comes on its standard error, what it
/// waits for goes to its standard input.
fn process(name: &str, root: &Path) -> (Child, impl FnMut(&str)) {
    // Without the crate's name.
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::{name}"), "--nocapture", "--test-threads=1"])
        .env(ROOT, root)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let wait_for = move |what: &str| {
        let line = lines.next().expect("it says something").unwrap();
        assert_eq!(line, what);
    };
    (child, wait_for)
}

const ROOT: &str = "EDGE_OCR_TEST_CACHE_ROOT";

/// Builds, if it must, in a process of [`process`]; half an engine is written while it waits.
fn build_in_this_process(root: OsString) {
    eprintln!("started");
    let cache = Cache::new(root);
    let built = Cell::new(false);
    let entry = cache.entry(&key(), MODEL);
    let engine = entry.build(|folder| {
        fs::write(folder.join(ENGINE), [7; 50_000]).unwrap();
        eprintln!("building");
        std::io::stdin().read_line(&mut String::new()).unwrap();
        built.set(true);
        builder(folder)
    });
    assert_eq!(engine.unwrap().marker, marker());
    eprintln!("{}", if built.get() { "built" } else { "found" });
}

#[test]
fn two_processes_build_once() {
    if let Some(root) = std::env::var_os(ROOT) {
        return build_in_this_process(root);
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut first, mut first_says) = process("two_processes_build_once", folder.path());
    first_says("started");
    first_says("building");
    let lock = File::open(folder.path().join(LOCK)).unwrap();
    assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    assert_eq!(Cache::new(folder.path()).entry(&key(), MODEL).find(), Ok(None));
    let (mut second, mut second_says) = process("two_processes_build_once", folder.path());
    second_says("started");
    first.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    first_says("built");
    // It would wait for ever for permission to build.
    second_says("found");
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    assert_eq!(names(folder.path()).len(), 2);
}

#[test]
fn a_killed_builder_leaves_nothing_for_long() {
    if let Some(root) = std::env::var_os(ROOT) {
        return build_in_this_process(root);
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut child, mut says) = process("a_killed_builder_leaves_nothing_for_long", folder.path());
    says("started");
    says("building");
    child.kill().unwrap();
    child.wait().unwrap();
    let cache = Cache::new(folder.path());
    let leftover = |names: Vec<String>| names.iter().filter(|name| names::is_leftover(name)).count();
    assert_eq!(leftover(names(folder.path())), 1);
    let entry = cache.entry(&key(), MODEL);
    assert_eq!(entry.find(), Ok(None));
    // Whatever is built next.
    cache.entry(&Key { driver: "R36.4.4", ..key() }, "other").build(builder).unwrap();
    assert_eq!(leftover(names(folder.path())), 0);
    entry.build(builder).unwrap();
}
