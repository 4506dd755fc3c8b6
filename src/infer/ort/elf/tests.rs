use super::writer::Writer;
use super::*;
use proptest::prelude::*;
use std::io::Cursor;

const SYMBOL: &str = "OrtGetApiBase";

fn read_bytes(bytes: &[u8]) -> Result<SharedObject, ElfError> {
    inspect_bytes(Cursor::new(bytes), SYMBOL)
}

fn whole() -> Vec<u8> {
    Writer::onnxruntime("VERS_1.23.0").bytes()
}

#[test]
fn tables_are_read() {
    let object = SharedObject {
        exports: Some(true),
        versions: vec!["VERS_1.23.0".into()],
        soname: Some("libonnxruntime.so.1".into()),
    };
    assert_eq!(read_bytes(&whole()), Ok(object.clone()));
    let other = Writer { exports: vec!["OrtGetApiBaseX", "xOrtGetApiBase"], ..Writer::onnxruntime("VERS_1.23.0") };
    assert_eq!(read_bytes(&other.bytes()), Ok(SharedObject { exports: Some(false), ..object }));
    let bare = Writer { exports: vec![SYMBOL], ..Writer::default() };
    let object = SharedObject { exports: Some(true), ..SharedObject::default() };
    assert_eq!(read_bytes(&bare.bytes()), Ok(object));
}

#[test]
fn a_symbol_that_is_only_used_is_not_exported() {
    let user = Writer { exports: vec![], imports: vec![SYMBOL], ..Writer::onnxruntime("VERS_1.23.0") };
    assert_eq!(read_bytes(&user.bytes()).map(|object| object.exports), Ok(Some(false)));
}

#[test]
fn without_sections_nothing_is_said_of_symbols() {
    let stripped = Writer { sections: false, ..Writer::onnxruntime("VERS_1.23.0") };
    assert_eq!(read_bytes(&stripped.bytes()), Ok(SharedObject::default()));
}

#[test]
fn every_length_but_the_whole_is_refused() {
    let bytes = whole();
    assert_eq!(read_bytes(&[]), Err(ElfError::Empty));
    for length in 1..bytes.len() {
        let error = read_bytes(&bytes[..length]).expect_err("cut off");
        assert!(matches!(error, ElfError::Truncated { .. }), "{length}: {error}");
    }
    let error = read_bytes(&bytes[..bytes.len() - 1]).expect_err("cut off").to_string();
    let needs = bytes.len();
    assert_eq!(error, format!("is cut off: it has {} of at least {needs} bytes; copy or install it again", needs - 1));
}

#[test]
fn a_segment_beyond_the_end_is_refused() {
    let stripped = Writer { sections: false, ..Writer::onnxruntime("VERS_1.23.0") }.bytes();
    for length in 1..stripped.len() {
        let error = read_bytes(&stripped[..length]).expect_err("cut off");
        assert!(matches!(error, ElfError::Truncated { .. }), "{length}: {error}");
    }
}

#[test]
fn a_section_beyond_the_end_is_refused() {
    let mut bytes = whole();
    let (header, size_at) = if size_of::<usize>() == 8 { (64, 32) } else { (40, 20) };
    let at = bytes.len() - header + size_at;
    let size = bytes.len();
    bytes[at..at + size_of::<usize>()].copy_from_slice(&size.to_ne_bytes());
    assert!(matches!(read_bytes(&bytes), Err(ElfError::Truncated { .. })));
}

#[test]
fn both_lengths_of_addresses_are_read() {
    for (bits, machine) in [(32, elf::EM_ARM), (64, elf::EM_AARCH64)] {
        let bytes = Writer { bits, machine, ..Writer::onnxruntime("VERS_1.23.0") }.bytes();
        let cache = ReadCache::new(Cursor::new(&bytes));
        let length = bytes.len() as u64;
        let object = match bits {
            32 => read::<FileHeader32<NativeEndian>, _>(&cache, length, SYMBOL),
            _ => read::<FileHeader64<NativeEndian>, _>(&cache, length, SYMBOL),
        };
        assert_eq!(object, read_bytes(&whole()), "{bits}");
    }
}

#[test]
fn other_machines_are_named() {
    let here = Writer::default();
    let machines = [
        (64, 62, "x86-64"),
        (64, 183, "aarch64"),
        (32, 40, "32-bit ARM"),
        (32, 3, "32-bit x86"),
        (64, 243, "RISC-V"),
        (32, 62, "x86-64 with 32-bit addresses"),
        (64, 2, "the machine with the ELF number 2 with 64-bit addresses"),
    ];
    for (bits, machine, name) in machines {
        let read = read_bytes(&Writer { bits, machine, ..Writer::onnxruntime("VERS_1.23.0") }.bytes());
        if (bits, machine) == (here.bits, here.machine) {
            assert!(read.is_ok());
        } else {
            assert!(matches!(read, Err(ElfError::Machine { found, .. }) if found == name), "{name}");
        }
    }
    let mut bytes = whole();
    bytes[5] = 3 - bytes[5]; // byte order
    bytes[18..20].reverse();
    assert!(matches!(read_bytes(&bytes), Err(ElfError::Machine { .. })));
}

#[test]
fn other_files_are_named() {
    let files: [(&[u8], &str); 5] = [
        (b"PK\x03\x04\x14\x00", "a zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a text file"),
        (b"INPUT(libonnxruntime.so.1)", "a text file"),
        (b"MZ\x90\x00", "a Windows file"),
        (&[0; 100], "another kind of file"),
    ];
    for (bytes, name) in files {
        let error = read_bytes(bytes).expect_err(name);
        assert!(matches!(error, ElfError::NotElf(found) if found.starts_with(name)), "{name}: {error}");
    }
    for (kind, name) in [(1, "an object file"), (2, "a program"), (4, "a memory dump")] {
        let bytes = Writer { kind, ..Writer::default() }.bytes();
        assert_eq!(read_bytes(&bytes), Err(ElfError::NotShared(name)));
    }
}

#[test]
fn huge_tables_are_not_read() {
    struct Endless(Cursor<Vec<u8>>);
    impl ReadCacheOps for Endless {
        fn len(&mut self) -> Result<u64, ()> {
            Ok(u64::MAX)
        }
        fn seek(&mut self, at: u64) -> Result<u64, ()> {
            self.0.set_position(at);
            Ok(at)
        }
        fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ()> {
            std::io::Read::read(&mut self.0, bytes).map_err(|_| ())
        }
        fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), ()> {
            std::io::Read::read_exact(&mut self.0, bytes).map_err(|_| ())
        }
    }
    let bytes = whole();
    let damaged = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at..at + size_of::<usize>()].copy_from_slice(&(usize::MAX / 2).to_ne_bytes());
        inspect_bytes(Endless(Cursor::new(bytes)), SYMBOL)
    };
    // The length in the section header of the symbols, of the strings, of the versions and of the dynamic section.
    let (section, size_at) = if size_of::<usize>() == 8 { (64, 32) } else { (40, 20) };
    for i in 1..5 {
        let header = bytes.len() - (5 - i) * section;
        assert!(matches!(damaged(header + size_at), Err(ElfError::Damaged(_))), "{i}");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_or_device_is_not_opened() {
    assert_eq!(inspect(Path::new("/"), SYMBOL), Err(ElfError::NotAFile));
    assert_eq!(inspect(Path::new("/dev/null"), SYMBOL), Err(ElfError::NotAFile));
    assert!(matches!(inspect(Path::new("/none/such"), SYMBOL), Err(ElfError::Unreadable(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_bytes_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = whole();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let length = if cut { length.index(bytes.len()) } else { bytes.len() };
        let _ = read_bytes(&bytes[..length]);
    }

    #[test]
    fn large_values_never_panic(at in any::<prop::sample::Index>(), width in 1usize..9, value in any::<u64>()) {
        let mut bytes = whole();
        let value = [value, u64::MAX, i64::MAX as u64, 0, 1][width % 5];
        let at = at.index(bytes.len() - 8);
        bytes[at..at + width].copy_from_slice(&value.to_ne_bytes()[..width]);
        let _ = read_bytes(&bytes);
    }
}
