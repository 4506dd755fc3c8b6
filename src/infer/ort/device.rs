//! The GPU, its driver and TensorRT as far as files of Linux tell: what an engine of TensorRT depends on.
//!
//! NVIDIA's own functions would tell more, and would need `unsafe`. What cannot be learnt is [`UNKNOWN`]: an engine is
//! then told apart by what else is known.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Stands for what the system does not tell.
pub const UNKNOWN: &str = "unknown";

/// A GPU with its driver, each in a few printable words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// On a Jetson its processor, compute capability and module: `Orin sm_87 (nvidia,p3767-0005)`; in a container,
    /// which may not see the module, the board's name. Elsewhere the models of all GPUs, and which is used if they
    /// differ: `NVIDIA A2 + Tesla T4, device 0`.
    pub gpu: String,
    /// On a Jetson the release of its system: `R36.4.3`. Elsewhere the version of the driver: `580.95.05`.
    pub driver: String,
}

/// Processors of Jetsons: name of the device tree, number of the chip, name and compute capability of the GPU.
const JETSONS: [(&str, &str, &str); 5] = [
    ("nvidia,tegra264", "38", "Thor sm_110"),
    ("nvidia,tegra234", "35", "Orin sm_87"),
    ("nvidia,tegra194", "25", "Xavier sm_72"),
    ("nvidia,tegra186", "24", "TX2 sm_62"),
    ("nvidia,tegra210", "33", "Nano sm_53"),
];

/// More of a file is not read.
const MAX_FILE_BYTES: u64 = 16 << 10;
/// A process with CUDA and TensorRT has some thousand maps of about 100 bytes.
const MAX_MAPS_BYTES: u64 = 16 << 20;
/// The longest description, characters.
const MAX_CHARS: usize = 120;
/// More GPUs are not looked at.
const MAX_GPUS: usize = 64;

/// The GPU number `device_id` of the machine whose files are in `root` (`/`, if not in a test).
pub fn describe(root: &Path, device_id: u32) -> Device {
    let unknown = || UNKNOWN.to_string();
    Device {
        gpu: jetson(root).or_else(|| cards(root, device_id)).unwrap_or_else(unknown),
        driver: release(root).or_else(|| driver(root)).unwrap_or_else(unknown),
    }
}

/// The processor of a Jetson and its module, or else the board.
fn jetson(root: &Path) -> Option<String> {
    if let Some(compatible) = text(&root.join("proc/device-tree/compatible")) {
        let names: Vec<&str> = compatible.split('\0').collect();
        let chip = names.iter().position(|name| name.starts_with("nvidia,tegra"))?;
        let name = names.get(chip).copied().unwrap_or_default();
        let known = JETSONS.iter().find(|jetson| jetson.0 == name);
        // The entry before it is the module, which decides how many cores and how much memory the GPU has; those
        // before that name the carrier board and its power modes as well.
        let module = chip.checked_sub(1).and_then(|before| names.get(before)).copied();
        return described(known.map_or(name, |jetson| jetson.2), module);
    }
    // Docker hides the device tree, and the chip's number not.
    let soc = |name: &str| text(&root.join("sys/devices/soc0").join(name)).and_then(|text| printable(&text));
    soc("family").filter(|family| family == "Tegra")?;
    let number = soc("soc_id")?;
    let known = JETSONS.iter().find(|jetson| jetson.1 == number);
    described(known.map_or(&format!("Tegra chip {number}"), |jetson| jetson.2), soc("machine").as_deref())
}

fn described(chip: &str, module: Option<&str>) -> Option<String> {
    let chip = printable(chip)?;
    Some(match module.and_then(printable) {
        Some(module) => format!("{chip} ({module})"),
        None => chip,
    })
}

/// The models of graphics cards. CUDA numbers them by its own rule, so with several models all are named, and the
/// number.
fn cards(root: &Path, device_id: u32) -> Option<String> {
    let folders = fs::read_dir(root.join("proc/driver/nvidia/gpus")).ok()?;
    let of = |folder: PathBuf| printable(after(&text(&folder.join("information"))?, "Model:")?);
    let mut models: Vec<String> = folders.take(MAX_GPUS).filter_map(|entry| of(entry.ok()?.path())).collect();
    models.sort();
    models.dedup();
    match models.as_slice() {
        [] => None,
        [model] => Some(model.clone()),
        models => Some(format!("{}, device {device_id}", models.join(" + "))),
    }
}

/// The release of a Jetson's system, of the line `# R36 (release), REVISION: 4.3, GCID: …`.
fn release(root: &Path) -> Option<String> {
    let text = text(&root.join("etc/nv_tegra_release"))?;
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    let major = line.trim_start_matches(['#', ' ']).split([' ', ',']).next().and_then(printable);
    let revision = line.split_once("REVISION:").and_then(|(_, rest)| printable(rest.split(',').next()?));
    match major.zip(revision) {
        Some((major, revision)) => printable(&format!("{major}.{revision}")),
        // In words unknown here it tells two releases apart all the same.
        None => printable(line),
    }
}

/// The version in `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build …`.
fn driver(root: &Path) -> Option<String> {
    let text = text(&root.join("proc/driver/nvidia/version"))?;
    let line = after(&text, "NVRM version:")?;
    let version = line.split_whitespace().find(|word| word.contains('.') && numbers(word).is_some());
    printable(version.unwrap_or(line))
}

/// A TensorRT that is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorRt {
    /// As far as the library's name tells: `10.3.0` of a package of the system, `10` of one of Python.
    pub version: String,
    /// The first number of the version.
    pub major: u32,
    /// The library.
    pub file: PathBuf,
    /// Its length, where it can be asked for: builds of one version differ in it, and take no engine of each other.
    pub bytes: Option<u64>,
}

impl fmt::Display for TensorRt {
    /// What tells it from other versions and builds: `10.3.0 (235711112 bytes)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes {
            Some(bytes) => write!(f, "{} ({bytes} bytes)", self.version),
            None => f.write_str(&self.version),
        }
    }
}

impl TensorRt {
    /// The one in this process. It is there once ONNX Runtime has registered its provider.
    pub fn loaded() -> Option<TensorRt> {
        let maps = read(Path::new("/proc/self/maps"), MAX_MAPS_BYTES)?;
        let found = TensorRt::in_maps(&maps)?;
        let bytes = fs::metadata(&found.file).ok().map(|about| about.len());
        Some(TensorRt { bytes, ..found })
    }

    /// The first `libnvinfer.so.10.3.0` in the text of a `/proc/…/maps`, in which links are resolved.
    pub fn in_maps(maps: &str) -> Option<TensorRt> {
        maps.lines().find_map(|line| {
            // Only the last column has a slash.
            let path = line.get(line.find('/')?..)?;
            let path = path.strip_suffix(" (deleted)").unwrap_or(path);
            let (_, name) = path.rsplit_once('/')?;
            let version = name.strip_prefix("libnvinfer.so.")?;
            let major = numbers(version)?;
            Some(TensorRt { version: version.into(), major, file: path.into(), bytes: None })
        })
    }
}

/// The first of one to four numbers with points between them; `None` for anything else.
fn numbers(text: &str) -> Option<u32> {
    let mut first = None;
    for (index, part) in text.split('.').enumerate() {
        // `parse` alone takes a sign.
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let number = part.parse::<u32>().ok().filter(|_| digits && index < 4)?;
        first = first.or(Some(number));
    }
    first
}

/// What stands behind `key` in the first line that starts with it.
fn after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim_start().strip_prefix(key)).map(str::trim)
}

/// A text on one line, without control characters, cut to [`MAX_CHARS`]; `None` if nothing is left.
fn printable(text: &str) -> Option<String> {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().take(MAX_CHARS).collect();
    Some(line).filter(|line| !line.is_empty())
}

fn text(path: &Path) -> Option<String> {
    read(path, MAX_FILE_BYTES)
}

/// The start of a file. A pipe, which would block, is not opened.
fn read(path: &Path, max_bytes: u64) -> Option<String> {
    fs::metadata(path).ok().filter(|about| about.is_file())?;
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(max_bytes).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const R36: &str = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n\
                       # KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n";
    const OPEN: &str = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\n\
         GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04.2)\n";
    const CLOSED: &str = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n";
    const ORIN: &str = "nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234\0";

    /// A machine with these files.
    fn machine<T: AsRef<[u8]>>(files: &[(&str, T)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn described(files: &[(&str, &str)], device_id: u32) -> [String; 2] {
        let Device { gpu, driver } = describe(machine(files).path(), device_id);
        [gpu, driver]
    }

    #[test]
    fn jetsons_are_named_by_chip_and_module() {
        for (compatible, gpu) in [
            (ORIN, "Orin sm_87 (nvidia,p3767-0005)"),
            ("nvidia,p3737-0000+p3701-0005\0nvidia,p3701-0005\0nvidia,tegra234\0", "Orin sm_87 (nvidia,p3701-0005)"),
            ("nvidia,p2972-0000\0nvidia,tegra194\0", "Xavier sm_72 (nvidia,p2972-0000)"),
            ("nvidia,p4071-0000+p3834-0008\0nvidia,p3834-0008\0nvidia,tegra264\0", "Thor sm_110 (nvidia,p3834-0008)"),
            ("nvidia,jetson-nano\0nvidia,tegra210\0", "Nano sm_53 (nvidia,jetson-nano)"),
            ("nvidia,tegra234", "Orin sm_87"),
            ("x\0nvidia,tegra999\0", "nvidia,tegra999 (x)"),
            ("raspberrypi,4-model-b\0brcm,bcm2711\0", UNKNOWN),
            ("", UNKNOWN),
        ] {
            let [found, driver] = described(&[("proc/device-tree/compatible", compatible)], 0);
            assert_eq!((found.as_str(), driver.as_str()), (gpu, UNKNOWN), "{compatible:?}");
        }
    }

    #[test]
    fn a_container_names_the_chip_and_the_board() {
        let soc = |family, number, machine| {
            let files = ["family", "soc_id", "machine"].map(|name| format!("sys/devices/soc0/{name}"));
            let files: Vec<(&str, &str)> = files.iter().map(String::as_str).zip([family, number, machine]).collect();
            described(&files, 0)[0].clone()
        };
        assert_eq!(soc("Tegra\n", "35\n", "NVIDIA Jetson AGX Orin\n"), "Orin sm_87 (NVIDIA Jetson AGX Orin)");
        assert_eq!(soc("Tegra\n", "99\n", "\n"), "Tegra chip 99");
        assert_eq!(soc("Snapdragon\n", "35\n", "x\n"), UNKNOWN);
    }

    #[test]
    fn releases_of_jetsons_are_read() {
        for (release, driver) in [
            (R36, "R36.4.3"),
            ("# R32 (release), REVISION: 7.1, GCID: 29818004\n", "R32.7.1"),
            ("# R38 (release), REVISION: 2.0, GCID: 1", "R38.2.0"),
            ("something else\n", "something else"),
            ("\n", UNKNOWN),
        ] {
            assert_eq!(described(&[("etc/nv_tegra_release", release)], 0)[1], driver);
        }
        let both = [("etc/nv_tegra_release", R36), ("proc/driver/nvidia/version", OPEN)];
        assert_eq!(described(&both, 0)[1], "R36.4.3");
    }

    #[test]
    fn graphics_cards_are_named_by_model() {
        let card = |n: u32| format!("proc/driver/nvidia/gpus/0000:0{n}:00.0/information");
        let [first, second, third] = [card(1), card(2), card(3)];
        let [t4, a2] = ["Model: \t\t Tesla T4\nIRQ:   \t\t 1\n", "Model: \t\t NVIDIA A2\n"];
        assert_eq!(
            described(&[(&first, t4), (&second, t4), ("proc/driver/nvidia/version", OPEN)], 1),
            ["Tesla T4", "580.95.05"]
        );
        assert_eq!(
            described(&[(&first, t4), (&second, a2), (&third, t4), ("proc/driver/nvidia/version", CLOSED)], 1),
            ["NVIDIA A2 + Tesla T4, device 1", "535.104.05"]
        );
        assert_eq!(described(&[(&first, "IRQ: 1\n"), ("proc/driver/nvidia/version", "?")], 0), [UNKNOWN, UNKNOWN]);
        assert_eq!(described(&[("proc/driver/nvidia/version", "NVRM version: new words\n")], 0)[1], "new words");
    }

    #[test]
    fn a_machine_that_tells_nothing_is_unknown() {
        assert_eq!(described(&[], 0), [UNKNOWN, UNKNOWN]);
        let unknown = Device { gpu: UNKNOWN.into(), driver: UNKNOWN.into() };
        assert_eq!(describe(Path::new("/nowhere/at/all"), 0), unknown);
        // Folders in the places of files.
        let root = machine(&[("proc/device-tree/compatible/x", ""), ("etc/nv_tegra_release/x", "")]);
        assert_eq!(describe(root.path(), 0), unknown);
    }

    #[test]
    fn long_and_unprintable_texts_are_cut() {
        let hostile = format!("Model: \u{1b}[2J{}\r\n", "ä".repeat(1 << 20));
        let [gpu, _] = described(&[("proc/driver/nvidia/gpus/0/information", &hostile)], 0);
        assert!(gpu.chars().count() <= MAX_CHARS && !gpu.chars().any(char::is_control), "{gpu}");
    }

    #[test]
    fn tensorrt_is_found_among_the_maps() {
        let line = |path: &str| format!("7f0000000000-7f0000001000 r-xp 00000000 103:01 1234   {path}\n");
        let found = |paths: &[&str]| {
            let maps: String = paths.iter().map(|path| line(path)).collect();
            TensorRt::in_maps(&maps).map(|t| (t.version, t.major, t.file))
        };
        let usual = "/usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0";
        let others =
            ["/usr/lib/libnvinfer_plugin.so.10.3.0", "/usr/lib/libnvinfer_builder_resource.so.9.9.9", "[heap]"];
        let expected = Some(("10.3.0".into(), 10, usual.into()));
        assert_eq!(found(&[others[0], others[1], others[2], "", usual, "/other/libnvinfer.so.8.5.2"]), expected);
        assert_eq!(found(&[&format!("{usual} (deleted)")]), expected);
        let wheel = "/home/x y/site-packages/tensorrt_libs/libnvinfer.so.10";
        assert_eq!(found(&[wheel]), Some(("10".into(), 10, wheel.into())));
        assert_eq!(found(&others), None);
        for name in ["", ".", "1.", ".1", "+1", "10.3.0.26.5", "10.x", "99999999999"] {
            assert_eq!(found(&[&format!("/lib/libnvinfer.so.{name}")]), None, "{name}");
        }
        assert_eq!(TensorRt::in_maps(""), None);
    }

    #[test]
    fn tensorrt_shows_version_and_length() {
        let found = TensorRt { version: "10.3.0".into(), major: 10, file: "/x".into(), bytes: Some(7) };
        assert_eq!(found.to_string(), "10.3.0 (7 bytes)");
        assert_eq!(TensorRt { bytes: None, ..found }.to_string(), "10.3.0");
        // No test loads it.
        assert_eq!(TensorRt::loaded(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn hostile_files_give_printable_texts(bytes in prop::collection::vec(any::<u8>(), 0..300), start in 0..5usize) {
            let start = ["", "nvidia,tegra234", "# R36 (release), REVISION:", "Model: ", "NVRM version: "][start];
            let text = [start.as_bytes(), &bytes].concat();
            let files = ["device-tree/compatible", "driver/nvidia/gpus/0/information", "driver/nvidia/version"];
            let mut files: Vec<String> = files.iter().map(|file| format!("proc/{file}")).collect();
            files.push("etc/nv_tegra_release".into());
            let files: Vec<(&str, &[u8])> = files.iter().map(|file| (file.as_str(), text.as_slice())).collect();
            let Device { gpu, driver } = describe(machine(&files).path(), 0);
            for text in [gpu, driver] {
                prop_assert!(!text.is_empty() && text.chars().count() <= 2 * MAX_CHARS + 3);
                prop_assert!(!text.chars().any(char::is_control));
            }
        }

        #[test]
        fn hostile_maps_never_panic(text in any::<String>(), version in "[0-9./ ]{0,12}") {
            let _ = TensorRt::in_maps(&text);
            let _ = TensorRt::in_maps(&format!("{text}/libnvinfer.so.{version}\n"));
        }
    }
}
