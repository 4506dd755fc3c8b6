//! Folders that are not what was built.

use super::*;
use proptest::prelude::*;

type Damage = fn(&Path);

/// What can happen to a finished folder.
const DAMAGES: [(&str, Damage); 17] = [
    ("the engine is cut off", |f| set_length(&f.join(ENGINE), 99_999)),
    ("the engine is empty", |f| set_length(&f.join(ENGINE), 0)),
    ("the engine is longer", |f| set_length(&f.join(ENGINE), 100_001)),
    ("the engine has another byte", |f| {
        let mut bytes = vec![7; 100_000];
        bytes[70_000] = 8;
        fs::write(f.join(ENGINE), bytes).unwrap();
    }),
    ("the engine is missing", |f| fs::remove_file(f.join(ENGINE)).unwrap()),
    ("the engine is a folder", |f| {
        fs::remove_file(f.join(ENGINE)).unwrap();
        fs::create_dir(f.join(ENGINE)).unwrap();
    }),
    ("the profile is missing", |f| fs::remove_file(f.join(PROFILE)).unwrap()),
    ("there is another file", |f| fs::write(f.join("other.engine"), b"").unwrap()),
    ("the marker is missing", |f| fs::remove_file(f.join(marker::FILE)).unwrap()),
    ("the marker is cut off", |f| set_length(&f.join(marker::FILE), 100)),
    ("the marker is empty", |f| set_length(&f.join(marker::FILE), 0)),
    ("the marker is of zeros", |f| fs::write(f.join(marker::FILE), [0; 500]).unwrap()),
    ("the marker is a list", |f| fs::write(f.join(marker::FILE), b"[]").unwrap()),
    ("the marker is deep", |f| fs::write(f.join(marker::FILE), "[".repeat(60_000)).unwrap()),
    ("the marker is endless", |f| set_length(&f.join(marker::FILE), 1 << 40)),
    ("the folder is empty", |f| {
        fs::remove_dir_all(f).unwrap();
        fs::create_dir(f).unwrap();
    }),
    ("the folder is a file", |f| {
        fs::remove_dir_all(f).unwrap();
        fs::write(f, b"").unwrap();
    }),
];

fn set_length(path: &Path, bytes: u64) {
    File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

#[test]
fn a_damaged_engine_is_not_used_and_is_healed() {
    for (what, damage) in DAMAGES {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let entry = cache.entry(&key(), MODEL);
        let built = entry.build(builder).unwrap();
        damage(&built.folder);
        assert_eq!(entry.find(), Ok(None), "{what}");
        assert_eq!(entry.build(builder), Ok(built.clone()), "{what}");
        assert_eq!(entry.find(), Ok(Some(built)), "{what}");
        assert_eq!(names(folder.path()).len(), 2, "{what}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let cache = Cache::new(folder.path().join("cache"));
    let entry = cache.entry(&key(), MODEL);
    let built = entry.build(builder).unwrap();
    // The engine itself, and then its folder.
    fs::rename(built.folder.join(ENGINE), elsewhere.join(ENGINE)).unwrap();
    std::os::unix::fs::symlink(elsewhere.join(ENGINE), built.folder.join(ENGINE)).unwrap();
    assert_eq!(entry.find(), Ok(None));
    entry.build(builder).unwrap();
    fs::remove_dir_all(&built.folder).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &built.folder).unwrap();
    assert_eq!(entry.find(), Ok(None));
    entry.build(builder).unwrap();
    assert_eq!(names(&elsewhere), [ENGINE]);
}

#[test]
fn a_marker_of_a_newer_schema_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path());
    let entry = cache.entry(&key(), MODEL);
    let built = entry.build(builder).unwrap();
    let path = built.folder.join(marker::FILE);
    let text = fs::read_to_string(&path).unwrap();
    for schema in ["2", "4294967295", "4294967296", "-1", "\"1\"", "null"] {
        fs::write(&path, text.replacen("\"schema\": 1", &format!("\"schema\": {schema}"), 1)).unwrap();
        assert_eq!(entry.find(), Ok(None), "{schema}");
    }
    // Of a newer one only the number is read.
    fs::write(&path, r#"{"schema": 2, "files": [1, 2]}"#).unwrap();
    assert_eq!(entry.find(), Ok(None));
    fs::write(&path, text).unwrap();
    assert_eq!(entry.find(), Ok(Some(built)));
}

#[test]
fn an_engine_of_another_key_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path());
    let built = cache.entry(&key(), MODEL).build(builder).unwrap();
    let other = cache.entry(&Key { driver: "R36.4.4", ..key() }, MODEL);
    fs::rename(&built.folder, other.folder()).unwrap();
    assert_eq!(other.find(), Ok(None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_marker_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let entry = cache.entry(&key(), MODEL);
        let built = entry.build(builder).unwrap();
        fs::write(built.folder.join(marker::FILE), bytes).unwrap();
        prop_assert_eq!(entry.find(), Ok(None));
    }

    #[test]
    fn an_altered_marker_never_admits_other_files(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let entry = cache.entry(&key(), MODEL);
        let built = entry.build(builder).unwrap();
        fs::write(built.folder.join(ENGINE), [8; 100_000]).unwrap();
        let path = built.folder.join(marker::FILE);
        let mut text = fs::read(&path).unwrap();
        let index = at.index(text.len());
        text[index] = byte;
        fs::write(&path, text).unwrap();
        prop_assert_eq!(entry.find(), Ok(None));
    }

    #[test]
    fn names_in_a_marker_lead_nowhere(name in "(\\.\\./|/)?[a-z./]{1,20}") {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let entry = cache.entry(&key(), MODEL);
        let built = entry.build(builder).unwrap();
        let path = built.folder.join(marker::FILE);
        let text = fs::read_to_string(&path).unwrap().replace(ENGINE, &name);
        fs::write(&path, text).unwrap();
        prop_assert_eq!(entry.find(), Ok(None));
    }
}
