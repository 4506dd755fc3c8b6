//! What kind of file it is, by its first bytes, and for what machine.

use super::ElfError;
use object::elf::{self, ELFCLASS32, ELFDATA2MSB, ELFMAG};
use object::read::ReadRef;

/// Whether the first bytes are those of an ELF file for this machine.
pub fn check_kind<'data>(data: impl ReadRef<'data>, length: u64) -> Result<(), ElfError> {
    /// Bytes at the start of the file up to and with the machine.
    const HEAD_BYTES: usize = 20;
    if length == 0 {
        return Err(ElfError::Empty);
    }
    let head = data
        .read_bytes_at(0, length.min(HEAD_BYTES as u64))
        .map_err(|()| ElfError::Unreadable("reading failed".into()))?;
    if !head.starts_with(&ELFMAG) && !ELFMAG.starts_with(head) {
        return Err(ElfError::NotElf(kind_of(head)));
    }
    let Some(&[_, _, _, _, class, order, .., m0, m1]) = head.first_chunk::<HEAD_BYTES>() else {
        return Err(ElfError::Truncated { bytes: length, needs: HEAD_BYTES as u64 });
    };
    let big_endian = order == ELFDATA2MSB;
    let machine = if big_endian { u16::from_be_bytes([m0, m1]) } else { u16::from_le_bytes([m0, m1]) };
    let found = Machine { bits: if class == ELFCLASS32 { 32 } else { 64 }, big_endian, number: Some(machine) };
    let program = Machine::of_this_program();
    // On a machine that is not in the list the loader has to find out.
    if found != (Machine { number: program.number.or(found.number), ..program }) {
        return Err(ElfError::Machine { found: found.to_string(), program: program.to_string() });
    }
    Ok(())
}

/// What a file is that is not ELF.
fn kind_of(head: &[u8]) -> &'static str {
    let kinds: [(&[u8], &'static str); 8] = [
        (b"PK\x03\x04", "a zip archive (a Python wheel is one: unpack it)"),
        (b"\x1f\x8b", "a compressed archive"),
        (b"\xfd7zXZ", "a compressed archive"),
        (b"\x28\xb5\x2f\xfd", "a compressed archive"),
        (b"!<arch>", "an archive (.a or .deb)"),
        (b"MZ", "a Windows file"),
        (b"\xcf\xfa\xed\xfe", "a macOS library"),
        (b"\xca\xfe\xba\xbe", "a macOS library"),
    ];
    let text = head.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let kind = kinds.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, kind)| *kind);
    kind.unwrap_or(if text { "a text file" } else { "another kind of file" })
}

/// What a library is built for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Machine {
    bits: u8,
    big_endian: bool,
    /// The number in the header; `None` for a program whose machine is not in [`MACHINES`].
    number: Option<u16>,
}

/// Number in the header, Rust's name, usual word length, what people call it.
const MACHINES: [(u16, &str, u8, &str); 5] = [
    (elf::EM_X86_64, "x86_64", 64, "x86-64"),
    (elf::EM_AARCH64, "aarch64", 64, "aarch64"),
    (elf::EM_ARM, "arm", 32, "32-bit ARM"),
    (elf::EM_386, "x86", 32, "32-bit x86"),
    (elf::EM_RISCV, "riscv64", 64, "RISC-V"),
];

impl Machine {
    fn of_this_program() -> Machine {
        let here = MACHINES.iter().find(|(_, rust, ..)| *rust == std::env::consts::ARCH);
        Machine {
            bits: if cfg!(target_pointer_width = "64") { 64 } else { 32 },
            big_endian: cfg!(target_endian = "big"),
            number: here.map(|(number, ..)| *number),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known = MACHINES.iter().find(|(number, ..)| Some(*number) == self.number);
        match (known, self.number) {
            (Some((.., name)), _) => f.write_str(name)?,
            (None, Some(number)) => write!(f, "the machine with the ELF number {number}")?,
            (None, None) => f.write_str(std::env::consts::ARCH)?,
        }
        match known {
            Some((_, _, usual, _)) if *usual == self.bits => {}
            _ => write!(f, " with {}-bit addresses", self.bits)?,
        }
        f.write_str(if self.big_endian { ", big-endian" } else { "" })
    }
}
