//! What a shared library says of itself, read without loading it.
//!
//! The dynamic loader maps a library and touches its pages later. If the file is shorter than its headers say, the
//! system ends the process then (SIGBUS): a half-copied library must be refused before it is loaded. The loader also
//! reports a library for another machine as a file that is missing.
//!
//! Only headers and the tables of symbols, strings and versions are read, of each at most [`MAX_TABLE_BYTES`].

mod kind;

use kind::check_kind;
use object::NativeEndian;
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader, SectionTable, Sym};
use object::read::{ReadCache, ReadCacheOps, ReadRef, StringTable};
use std::fs::File;
use std::path::Path;

/// The most bytes that are read of one table. ONNX Runtime's have some kilobytes, or a few megabytes if it was built so
/// that it exports all that is in it.
const MAX_TABLE_BYTES: u64 = 32 << 20;

/// The most versions that are read: ONNX Runtime defines one.
const MAX_VERSIONS: usize = 64;

/// The byte order of this program, which is the file's: that is checked first.
const E: NativeEndian = NativeEndian;

/// What a whole shared library for this machine says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SharedObject {
    /// Whether it exports the symbol asked for; `None` if it was stripped of the section table, so that nothing tells.
    pub exports: Option<bool>,
    /// The versions that it defines, such as `VERS_1.32.0`, without the base one; at most 64.
    pub versions: Vec<String>,
    /// Its own name, such as `libonnxruntime.so.1`.
    pub soname: Option<String>,
}

/// Why a file cannot be loaded as a shared library. Each text completes a sentence that begins with the file.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElfError {
    /// The system does not let it be read. Holds the system's reason.
    #[error("cannot be read because the system says '{0}'; check the file and its permissions")]
    Unreadable(String),
    /// A directory, a pipe, a device.
    #[error("is not a regular file; name the file of the library")]
    NotAFile,
    /// It has no bytes.
    #[error("is empty; copy or install it again")]
    Empty,
    /// Another kind of file. Holds what it is.
    #[error("is {0}, not a shared library; name the file libonnxruntime.so.1.x.y of an installed ONNX Runtime")]
    NotElf(&'static str),
    /// An ELF file, but no shared library. Holds what it is.
    #[error("is {0}, not a shared library; name the file libonnxruntime.so.1.x.y of an installed ONNX Runtime")]
    NotShared(&'static str),
    /// It was built for another processor, word length or byte order.
    #[error("is for {found}, but this program is for {program}; install the library that is built for {program}")]
    Machine {
        /// What the library is for, such as `x86-64`.
        found: String,
        /// What this program is for.
        program: String,
    },
    /// It ends before the end of a part that its headers name.
    #[error("is cut off: it has {bytes} of at least {needs} bytes; copy or install it again")]
    Truncated {
        /// Length of the file.
        bytes: u64,
        /// The least length that its headers ask for.
        needs: u64,
    },
    /// Its headers contradict each other. Holds the reason.
    #[error("is damaged ({0}); copy or install it again")]
    Damaged(String),
}

impl From<object::read::Error> for ElfError {
    fn from(error: object::read::Error) -> Self {
        ElfError::Damaged(error.to_string())
    }
}

/// Reads the file at `path` and checks that it is a whole shared library for this program's machine. `symbol` is the
/// one to look for among those that it exports.
///
/// # Errors
/// All of [`ElfError`].
pub fn inspect(path: &Path, symbol: &str) -> Result<SharedObject, ElfError> {
    let unreadable = |error: std::io::Error| ElfError::Unreadable(error.to_string());
    // Before it is opened: opening a pipe waits for a writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(ElfError::NotAFile);
    }
    inspect_bytes(File::open(path).map_err(unreadable)?, symbol)
}

fn inspect_bytes(bytes: impl ReadCacheOps, symbol: &str) -> Result<SharedObject, ElfError> {
    let cache = ReadCache::new(bytes);
    let length = (&cache).len().map_err(|()| ElfError::Unreadable("its length is unknown".into()))?;
    check_kind(&cache, length)?;
    // The addresses in the file are as long as this program's: that is checked.
    if cfg!(target_pointer_width = "64") {
        read::<FileHeader64<NativeEndian>, _>(&cache, length, symbol)
    } else {
        read::<FileHeader32<NativeEndian>, _>(&cache, length, symbol)
    }
}

/// Checks and reads an ELF file of `length` bytes.
fn read<'data, H, R>(data: R, length: u64, symbol: &str) -> Result<SharedObject, ElfError>
where
    H: FileHeader<Endian = NativeEndian>,
    R: ReadRef<'data>,
{
    let must_have = |needs| if needs > length { Err(ElfError::Truncated { bytes: length, needs }) } else { Ok(()) };
    must_have(size_of::<H>() as u64)?;
    let header = H::parse(data)?;
    match header.e_type(E) {
        elf::ET_DYN => {}
        elf::ET_EXEC => return Err(ElfError::NotShared("a program")),
        elf::ET_REL => return Err(ElfError::NotShared("an object file")),
        elf::ET_CORE => return Err(ElfError::NotShared("a memory dump")),
        _ => return Err(ElfError::NotShared("an ELF file of an unknown type")),
    }

    let (segments_at, sections_at) = (header.e_phoff(E).into(), header.e_shoff(E).into());
    if sections_at != 0 {
        // The first section header may hold the lengths of both tables.
        must_have(end_of::<H::SectionHeader>(sections_at, 1)?)?;
    }
    must_have(end_of::<H::SectionHeader>(sections_at, header.shnum(E, data)?)?)?;
    must_have(end_of::<H::ProgramHeader>(segments_at, header.phnum(E, data)?)?)?;
    let segments = header.program_headers(E, data)?;
    let sections = header.section_headers(E, data)?;
    let segment_end = |kind| {
        let of_kind = segments.iter().filter(move |segment| segment.p_type(E) == kind);
        of_kind.map(|segment| segment.p_offset(E).into().saturating_add(segment.p_filesz(E).into())).max()
    };
    let (Some(load), Some(dynamic)) = (segment_end(elf::PT_LOAD), segment_end(elf::PT_DYNAMIC)) else {
        return Err(ElfError::NotShared("an ELF file that cannot be loaded"));
    };
    // The first header belongs to no section.
    let ranges = sections.iter().skip(1).filter_map(|section| section.file_range(E));
    let section = ranges.map(|(offset, size)| offset.saturating_add(size)).max().unwrap_or(0);
    must_have(load.max(dynamic).max(section))?;
    read_tables(data, &SectionTable::<H, R>::new(sections, StringTable::default()), symbol)
}

/// The end in the file of a table of headers.
fn end_of<T>(offset: u64, count: usize) -> Result<u64, ElfError> {
    let bytes = (count as u64).saturating_mul(size_of::<T>() as u64);
    check_table_size(bytes)?;
    Ok(offset.saturating_add(bytes))
}

/// Reads the tables of symbols, versions and the library's own name.
fn read_tables<'data, H, R>(
    data: R,
    sections: &SectionTable<'data, H, R>,
    symbol: &str,
) -> Result<SharedObject, ElfError>
where
    H: FileHeader<Endian = NativeEndian>,
    R: ReadRef<'data>,
{
    // The first of a kind only: the loader knows no second one.
    let table = |kind| {
        let Some(section) = sections.iter().find(|section| section.sh_type(E) == kind) else { return Ok(None) };
        let strings = sections.section(section.link(E))?;
        check_table_size(section.sh_size(E).into())?;
        check_table_size(strings.sh_size(E).into())?;
        Ok::<_, ElfError>(Some((section, strings.data(E, data)?)))
    };
    let mut object = SharedObject { exports: (!sections.is_empty()).then_some(false), ..SharedObject::default() };
    if let Some((section, strings)) = table(elf::SHT_DYNSYM)? {
        let mut symbols = section.data_as_array::<H::Sym, _>(E, data)?.iter();
        object.exports = Some(symbols.any(|entry| {
            let global = matches!(entry.st_bind(), elf::STB_GLOBAL | elf::STB_WEAK | elf::STB_GNU_UNIQUE);
            global && !entry.is_undefined(E) && is_string_at(strings, entry.st_name(E).into(), symbol)
        }));
    }
    if let Some((section, strings)) = table(elf::SHT_GNU_VERDEF)?
        && let Some((definitions, _)) = section.gnu_verdef(E, data)?
    {
        for definition in definitions.take(MAX_VERSIONS) {
            let (definition, mut parts) = definition?;
            let base = definition.vd_flags.get(E) & elf::VER_FLG_BASE != 0;
            let part = parts.next()?.filter(|_| !base);
            let name = part.and_then(|part| string_at(strings, part.vda_name.get(E).into()));
            object.versions.extend(name.map(String::from));
        }
    }
    if let Some((section, strings)) = table(elf::SHT_DYNAMIC)?
        && let Some((entries, _)) = section.dynamic(E, data)?
    {
        let mut entries = entries.iter().take_while(|entry| entry.d_tag(E).into() != elf::DT_NULL);
        let soname = entries.find(|entry| entry.d_tag(E).into() == elf::DT_SONAME);
        let name = soname.and_then(|entry| string_at(strings, entry.d_val(E).into()));
        object.soname = name.map(String::from);
    }
    Ok(object)
}

fn check_table_size(bytes: u64) -> Result<(), ElfError> {
    if bytes > MAX_TABLE_BYTES {
        return Err(ElfError::Damaged(format!("a table in it has {bytes} bytes")));
    }
    Ok(())
}

/// Whether a string of a table is `text`. Strings may overlap, so that to find the ends of all might take for ever.
fn is_string_at(strings: &[u8], offset: u64, text: &str) -> bool {
    let rest = usize::try_from(offset).ok().and_then(|offset| strings.get(offset..));
    rest.and_then(|rest| rest.strip_prefix(text.as_bytes())).is_some_and(|rest| rest.starts_with(&[0]))
}

/// A string of a table, up to its zero; `None` outside and where it is not UTF-8.
fn string_at(strings: &[u8], offset: u64) -> Option<&str> {
    let rest = strings.get(usize::try_from(offset).ok()?..)?;
    std::str::from_utf8(rest.split(|byte| *byte == 0).next()?).ok()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod writer;
