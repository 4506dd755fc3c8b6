//! The cache with a builder that writes what ONNX Runtime would.

mod damage;
mod together;

use super::*;

const MODEL: &str = "ppocrv6-small-det";
const ENGINE: &str = "TensorrtExecutionProvider_TRTKernel_graph_0_0_fp16_sm87.engine";
const PROFILE: &str = "TensorrtExecutionProvider_TRTKernel_graph_0_0_fp16_sm87.profile";

fn key() -> Key<'static> {
    Key {
        onnx: b"network",
        precision: "fp16",
        profile: "pixels:1x48x320x3|pixels:1x48x320x3|pixels:8x48x960x3",
        builder_level: None,
        workspace_bytes: Some(1 << 30),
        onnxruntime: "1.23.0",
        tensorrt: "10.3.0",
        gpu: "Orin sm_87",
        driver: "R36.4.3",
    }
}

fn marker() -> Marker {
    Marker { nodes: crate::infer::Nodes { tensorrt: 1, ..Default::default() }, fp16: true, build_ms: 61_000 }
}

/// Writes an engine of more than one block.
fn write_engine(folder: &Path) {
    fs::write(folder.join(ENGINE), [7; 100_000]).unwrap();
    fs::write(folder.join(PROFILE), b"profile").unwrap();
}

fn builder(folder: &Path) -> Result<Marker, CacheError> {
    write_engine(folder);
    Ok(marker())
}

fn unwanted(_: &Path) -> Result<Marker, CacheError> {
    panic!("built though the engine is there");
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Whether files can be made there. The modes of folders do not stop everybody.
fn writable(folder: &Path) -> bool {
    let probe = folder.join("probe");
    File::create(&probe).is_ok() && fs::remove_file(probe).is_ok()
}

#[test]
fn a_built_engine_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().join("a/b"));
    let entry = cache.entry(&key(), MODEL);
    assert_eq!(entry.find(), Ok(None));
    assert!(!cache.root().exists());
    let built = entry.build(builder).unwrap();
    assert_eq!((built.folder.as_path(), &built.marker), (entry.folder(), &marker()));
    assert_eq!(names(&built.folder), [ENGINE, PROFILE, marker::FILE]);
    assert_eq!(entry.find(), Ok(Some(built.clone())));
    assert_eq!(entry.build(unwanted), Ok(built.clone()));
    // Another process, another name of the model, the same key.
    let again = Cache::new(cache.root());
    assert_eq!(again.entry(&key(), MODEL).find(), Ok(Some(built)));
    assert_eq!(again.entry(&Key { onnx: b"fine-tuned", ..key() }, MODEL).find(), Ok(None));
    let name = format!("{MODEL}-{}", &key().digest()[..16]);
    assert_eq!(names(cache.root()), [".lock".to_string(), name]);
}

#[test]
fn the_marker_is_readable_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path());
    let built = cache.entry(&key(), MODEL).build(builder).unwrap();
    let text = fs::read_to_string(built.folder.join(marker::FILE)).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (path, value) in [
        ("/schema", 1.into()),
        ("/model", MODEL.into()),
        ("/digest", key().digest().into()),
        ("/key/gpu", "Orin sm_87".into()),
        ("/key/onnx_bytes", 7.into()),
        ("/built/nodes/tensorrt", 1.into()),
        ("/built/build_ms", 61_000.into()),
        (&format!("/files/{ENGINE}/bytes"), serde_json::Value::from(100_000)),
    ] {
        assert_eq!(stored.pointer(path), Some(&value), "{path} in {text}");
    }
}

#[test]
fn a_failed_build_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path());
    let entry = cache.entry(&key(), MODEL);
    let refused = || CacheError::NoEngine { model: "x".into(), path: "y".into() };
    let failed = entry.build(|folder| {
        write_engine(folder);
        Err(refused())
    });
    assert_eq!(failed, Err(refused()));
    let panicked = std::panic::catch_unwind(|| entry.build::<CacheError>(|_| panic!("the builder panics")));
    assert!(panicked.is_err());
    // Without an engine, with an empty one, with what is no file.
    let nothing = entry.build::<CacheError>(|_| Ok(marker()));
    assert!(matches!(nothing, Err(CacheError::NoEngine { .. })), "{nothing:?}");
    let empty = entry.build::<CacheError>(|folder| {
        fs::write(folder.join(ENGINE), b"").unwrap();
        Ok(marker())
    });
    assert!(matches!(empty, Err(CacheError::NoEngine { .. })), "{empty:?}");
    let nested = entry.build::<CacheError>(|folder| {
        fs::create_dir(folder.join("nested.engine")).unwrap();
        Ok(marker())
    });
    assert!(nested.unwrap_err().to_string().contains("\"nested.engine\" does not belong there"));
    assert_eq!(names(folder.path()), [".lock"]);
    entry.build(builder).unwrap();
}

#[test]
fn an_engine_that_is_refused_is_discarded_once() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path());
    let entry = cache.entry(&key(), MODEL);
    let first = entry.build(builder).unwrap();
    entry.discard(&first).unwrap();
    assert_eq!(entry.find(), Ok(None));
    let second = entry.build(|folder| builder(folder).map(|marker| Marker { build_ms: 1, ..marker })).unwrap();
    // Another process that found the first one discards only that.
    entry.discard(&first).unwrap();
    assert_eq!(entry.find(), Ok(Some(second.clone())));
    fs::remove_file(second.folder.join(marker::FILE)).unwrap();
    entry.discard(&second).unwrap();
    entry.discard(&second).unwrap();
    assert_eq!(names(folder.path()), [".lock"]);
}

#[test]
fn a_place_that_cannot_be_used_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    for root in [file.clone(), file.join("below")] {
        let cache = Cache::new(root);
        let entry = cache.entry(&key(), MODEL);
        let said = entry.build(unwanted).unwrap_err().to_string();
        assert!(said.contains("cannot be made: ") && said.contains("; move away what is in its place, or "), "{said}");
        assert!(!said.contains('\n'), "{said}");
    }
    // A folder in the place of the lock.
    let cache = Cache::new(folder.path().join("cache"));
    fs::create_dir_all(cache.root().join(LOCK)).unwrap();
    let said = cache.entry(&key(), MODEL).build(unwanted).unwrap_err().to_string();
    assert!(said.contains("cannot be locked: ") && said.contains("; move away"), "{said}");
    // It is not asked for where nothing is to be built.
    fs::remove_dir(cache.root().join(LOCK)).unwrap();
    let built = cache.entry(&key(), MODEL).build(builder).unwrap();
    fs::remove_file(cache.root().join(LOCK)).unwrap();
    fs::create_dir(cache.root().join(LOCK)).unwrap();
    assert_eq!(cache.entry(&key(), MODEL).build(unwanted), Ok(built));
    for (kind, remedy) in [
        (ErrorKind::ReadOnlyFilesystem, "make it writable for this user"),
        (ErrorKind::PermissionDenied, "make it writable for this user"),
        (ErrorKind::StorageFull, "free space there"),
        (ErrorKind::QuotaExceeded, "free space there"),
        (ErrorKind::Unsupported, "use a disk of this machine"),
        (ErrorKind::Other, "check the disk"),
    ] {
        let said = CacheError::system(Path::new("/cache"), "written")(kind.into()).to_string();
        let expected = format!(
            "in the cache of engines /cache cannot be written: {kind}; {remedy}, or give another folder with {}",
            Param::OrtCache
        );
        assert_eq!(said, expected);
    }
}

#[cfg(unix)]
#[test]
fn a_read_only_cache_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().join("cache"));
    let entry = cache.entry(&key(), MODEL);
    let built = entry.build(builder).unwrap();
    let other = cache.entry(&Key { driver: "other", ..key() }, MODEL);
    for path in [&built.folder, cache.root()] {
        set_mode(path, 0o555);
    }
    assert_eq!(entry.find(), Ok(Some(built.clone())));
    assert_eq!(entry.build(unwanted), Ok(built.clone()));
    // Root may write all the same.
    if !writable(cache.root()) {
        for result in [other.build(unwanted).map(|_| ()), entry.discard(&built)] {
            let said = result.unwrap_err().to_string();
            assert!(said.contains("; make it writable for this user, or "), "{said}");
        }
        set_mode(&built.folder, 0);
        let said = entry.find().unwrap_err().to_string();
        assert!(said.contains("cannot be read: ") && said.contains("; let this user read it, or "), "{said}");
        set_mode(cache.root(), 0o755);
        let said = entry.build(unwanted).unwrap_err().to_string();
        assert!(said.contains("; let this user read it, or "), "{said}");
    }
    // So that the test's folder can be removed.
    for path in [cache.root(), &built.folder] {
        set_mode(path, 0o755);
    }
}

#[test]
fn the_usual_place_is_that_of_the_system() {
    let place = |set: &[(&str, &str)]| {
        let found = usual(|name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into()));
        found.map(|path| path.to_str().unwrap().to_string())
    };
    let [systemd, xdg, home] = [("CACHE_DIRECTORY", "/var/cache/a"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/home/u")];
    assert_eq!(place(&[systemd, xdg, home]).as_deref(), Some("/var/cache/a/tensorrt"));
    assert_eq!(place(&[("CACHE_DIRECTORY", "/var/cache/a:/b")]).as_deref(), Some("/var/cache/a/tensorrt"));
    assert_eq!(place(&[xdg, home]).as_deref(), Some("/x/edge-ocr/tensorrt"));
    assert_eq!(place(&[home]).as_deref(), Some("/home/u/.cache/edge-ocr/tensorrt"));
    let relative = [("CACHE_DIRECTORY", ""), ("XDG_CACHE_HOME", "x"), home];
    assert_eq!(place(&relative).as_deref(), Some("/home/u/.cache/edge-ocr/tensorrt"));
    assert_eq!(place(&[("HOME", "")]), None);
    assert_eq!(place(&[]), None);
}
