//! Writes small shared libraries for tests, also such as no compiler here makes.

/// A shared library with empty functions. Its parts, in this order: header, program headers, symbols, strings,
/// versions, dynamic section, section headers.
#[derive(Clone)]
pub struct Writer {
    /// Length of addresses, 32 or 64.
    pub bits: u8,
    /// Number of the machine.
    pub machine: u16,
    /// 3 for a shared library.
    pub kind: u16,
    /// Symbols that it exports.
    pub exports: Vec<&'static str>,
    /// Symbols that it takes from other libraries.
    pub imports: Vec<&'static str>,
    /// Versions that it defines.
    pub versions: Vec<&'static str>,
    /// Its own name; empty for none.
    pub soname: &'static str,
    /// Whether it has section headers.
    pub sections: bool,
}

impl Default for Writer {
    /// For the machine that the tests run on.
    fn default() -> Self {
        let machine = match std::env::consts::ARCH {
            "x86_64" => 62,
            "aarch64" => 183,
            "arm" => 40,
            "x86" => 3,
            "riscv64" => 243,
            other => panic!("no test library for {other}"),
        };
        Writer {
            bits: if cfg!(target_pointer_width = "64") { 64 } else { 32 },
            machine,
            kind: 3,
            exports: vec![],
            imports: vec!["malloc"],
            versions: vec![],
            soname: "",
            sections: true,
        }
    }
}

/// Bytes in the order of this machine.
struct Bytes {
    bytes: Vec<u8>,
    bits: u8,
}

impl Bytes {
    fn half(&mut self, value: u16) {
        self.bytes.extend(value.to_ne_bytes());
    }

    fn word(&mut self, value: u32) {
        self.bytes.extend(value.to_ne_bytes());
    }

    fn address(&mut self, value: usize) {
        match self.bits {
            32 => self.bytes.extend(u32::try_from(value).expect("a small file").to_ne_bytes()),
            _ => self.bytes.extend((value as u64).to_ne_bytes()),
        }
    }
}

/// A string at the end of a table, and its place there.
fn add(strings: &mut Vec<u8>, text: &str) -> u32 {
    let at = strings.len() as u32;
    strings.extend(text.as_bytes());
    strings.push(0);
    at
}

impl Writer {
    /// ONNX Runtime as it is built, of a version such as `VERS_1.23.0`.
    pub fn onnxruntime(version: &'static str) -> Writer {
        Writer {
            exports: vec!["OrtGetApiBase"],
            versions: vec![version],
            soname: "libonnxruntime.so.1",
            ..Writer::default()
        }
    }

    /// A provider of ONNX Runtime.
    pub fn provider() -> Writer {
        Writer { exports: vec!["GetProvider", "Provider_SetHost"], versions: vec!["VERS_1.0"], ..Writer::default() }
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let (header, segment, section) = if self.bits == 32 { (52, 32, 40) } else { (64, 56, 64) };
        let part = || Bytes { bytes: Vec::new(), bits: self.bits };
        let mut strings = vec![0];
        let (mut symbols, mut versions, mut dynamic) = (part(), part(), part());
        self.symbol(&mut symbols, 0, 0, 0);
        for (names, place) in [(&self.imports, 0), (&self.exports, 1)] {
            for name in names {
                let name = add(&mut strings, name);
                self.symbol(&mut symbols, name, 0x12, place); // global, function
            }
        }
        let defined = [self.soname].into_iter().chain(self.versions.iter().copied());
        for (i, name) in defined.enumerate().filter(|_| !self.versions.is_empty()) {
            for half in [1, u16::from(i == 0), i as u16 + 1, 1] {
                versions.half(half);
            }
            let next = if i == self.versions.len() { 0 } else { 28 };
            for word in [0, 20, next, add(&mut strings, name), 0] {
                versions.word(word);
            }
        }
        if !self.soname.is_empty() {
            dynamic.address(14);
            dynamic.address(add(&mut strings, self.soname) as usize);
        }
        dynamic.address(0);
        dynamic.address(0);

        let symbols_at = header + 2 * segment;
        let strings_at = symbols_at + symbols.bytes.len();
        let versions_at = (strings_at + strings.len()).next_multiple_of(8);
        let dynamic_at = (versions_at + versions.bytes.len()).next_multiple_of(8);
        let sections_at = dynamic_at + dynamic.bytes.len();
        let mut file = part();
        file.bytes.extend(b"\x7fELF");
        file.bytes.extend([self.bits / 32, if cfg!(target_endian = "big") { 2 } else { 1 }, 1]);
        file.bytes.resize(16, 0);
        file.half(self.kind);
        file.half(self.machine);
        file.word(1);
        for address in [0, header, if self.sections { sections_at } else { 0 }] {
            file.address(address);
        }
        file.word(0);
        let count = if self.sections { 5 } else { 0 };
        for half in [header as u16, segment as u16, 2, section as u16, count, 0] {
            file.half(half);
        }
        self.segment(&mut file, 1, 0, sections_at);
        self.segment(&mut file, 2, dynamic_at, dynamic.bytes.len());
        for (at, bytes) in [
            (symbols_at, symbols.bytes),
            (strings_at, strings),
            (versions_at, versions.bytes),
            (dynamic_at, dynamic.bytes),
        ] {
            file.bytes.resize(at, 0);
            file.bytes.extend(bytes);
        }
        // Type, place, end; the strings are section 2.
        let tables = [
            (0, 0, 0),
            (11, symbols_at, strings_at),
            (3, strings_at, versions_at),
            (0x6fff_fffd, versions_at, dynamic_at),
            (6, dynamic_at, sections_at),
        ];
        for (kind, at, end) in tables.into_iter().filter(|_| self.sections) {
            file.word(0);
            file.word(kind);
            for address in [0, at, at, end - at] {
                file.address(address);
            }
            file.word(if kind == 3 || kind == 0 { 0 } else { 2 });
            file.word(0);
            file.address(8);
            file.address(0);
        }
        file.bytes
    }

    fn segment(&self, file: &mut Bytes, kind: u32, at: usize, bytes: usize) {
        let flags = 7; // read, write, execute
        file.word(kind);
        if self.bits == 64 {
            file.word(flags);
        }
        for address in [at, at, at, bytes, bytes] {
            file.address(address);
        }
        if self.bits == 32 {
            file.word(flags);
        }
        file.address(8);
    }

    fn symbol(&self, table: &mut Bytes, name: u32, info: u8, section: u16) {
        table.word(name);
        if self.bits == 32 {
            table.word(0);
            table.word(0);
        }
        table.bytes.extend([info, 0]);
        table.half(section);
        if self.bits == 64 {
            table.address(0);
            table.address(0);
        }
    }
}
