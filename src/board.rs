//! Whether this machine is the board that the program was built for.

use crate::target::{self, Described};
use edge_ocr_engine::Isa;
use std::fs;

/// Processors of Arm that Linux names by their number only, by LLVM's names.
const ARM_PARTS: [(&str, &str); 14] = [
    // With its floating-point unit, without which this program does not start.
    ("0xb76", "arm1176jzf-s"),
    ("0xc07", "cortex-a7"),
    ("0xd03", "cortex-a53"),
    ("0xd04", "cortex-a35"),
    ("0xd05", "cortex-a55"),
    ("0xd07", "cortex-a57"),
    ("0xd08", "cortex-a72"),
    ("0xd09", "cortex-a73"),
    ("0xd0a", "cortex-a75"),
    ("0xd0b", "cortex-a76"),
    ("0xd0c", "neoverse-n1"),
    ("0xd40", "neoverse-v1"),
    ("0xd41", "cortex-a78"),
    ("0xd42", "cortex-a78ae"),
];

/// What decides whether a program can run here.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// As `target_arch`.
    pub arch: &'static str,
    /// Model of the processor, as the system says it, or LLVM's name of an Arm core.
    pub cpu: Option<String>,
    /// Instruction sets whose kernels can run.
    pub kernels: Vec<&'static str>,
    /// Memory in bytes.
    pub ram_bytes: Option<u64>,
}

impl Machine {
    /// This one, as far as the system says.
    pub fn here() -> Machine {
        Machine {
            arch: std::env::consts::ARCH,
            cpu: fs::read_to_string("/proc/cpuinfo").ok().and_then(|info| cpu(&info)),
            kernels: Isa::ALL.into_iter().filter(|isa| isa.available()).map(Isa::name).collect(),
            ram_bytes: fs::read_to_string("/proc/meminfo").ok().and_then(|info| ram_bytes(&info)),
        }
    }

    /// Whether the target's kernels run here and the board it describes has no more memory.
    fn suits(&self, other: &Described) -> bool {
        // Firmware and kernel keep some of it: a Pi with 512 MiB has 416 left, one with 256 some 180.
        let needs = (other.ram_mib as u64) << 20;
        other.arch == Some(self.arch)
            && other.kernels.is_some_and(|kernels| self.kernels.contains(&kernels))
            && self.ram_bytes.is_none_or(|ram| needs - needs / 3 <= ram)
    }

    /// The target to build for instead: of this core if there is one, of the most memory that is here.
    fn better(&self, all: &'static [Described], not: &str) -> &'static str {
        let same_core = |other: &Described| other.cpu.is_some() && other.cpu == self.cpu.as_deref();
        // What is for one 32-bit core runs on all later ones, but there `generic` runs better: it is built for ARMv7.
        let meant = |other: &Described| other.arch != Some("arm") || same_core(other);
        let suitable = all.iter().filter(|other| other.name != not && self.suits(other) && meant(other));
        suitable.max_by_key(|other| (same_core(other), other.ram_mib)).map_or("generic", |other| other.name)
    }
}

/// Refuses a program that was built for another board. With `EDGE_OCR_ISA` set, its kernels are not asked for.
///
/// # Errors
/// One sentence that names the target to build for.
pub fn check() -> Result<(), String> {
    let chosen = std::env::var_os("EDGE_OCR_ISA").is_some_and(|name| !name.is_empty());
    let kernels = if chosen { None } else { target::KERNELS };
    refusal(&Machine::here(), kernels).map_or(Ok(()), Err)
}

fn refusal(machine: &Machine, kernels: Option<&str>) -> Option<String> {
    let build_for = || format!("build for this machine: EDGE_OCR_TARGET={}", machine.better(target::ALL, target::NAME));
    if let Some(kernels) = kernels.filter(|kernels| !machine.kernels.contains(kernels)) {
        let name = target::NAME;
        return Some(format!(
            "this program is for {name}, and this processor lacks its {kernels} instructions; {}",
            build_for()
        ));
    }
    let ram = machine.ram_bytes.filter(|ram| ram / 2 < target::ARENA_BYTES as u64)?;
    Some(format!(
        "this program is for {}, whose arena of {:.1} MB is more than half of this machine's memory of {:.1} MB; {}",
        target::NAME,
        target::ARENA_BYTES as f64 / 1e6,
        ram as f64 / 1e6,
        build_for()
    ))
}

/// The processor's model of `/proc/cpuinfo`. Linux for 32-bit Arm has a model name too, but it is that of the
/// architecture.
fn cpu(info: &str) -> Option<String> {
    let Some(part) = value(info, "CPU part") else {
        return value(info, "model name").map(String::from);
    };
    let name = ARM_PARTS.iter().find(|(number, _)| *number == part).map(|(_, name)| name.to_string());
    Some(name.unwrap_or_else(|| format!("Arm part {part}")))
}

/// The memory of `/proc/meminfo`.
fn ram_bytes(info: &str) -> Option<u64> {
    let kilobytes: u64 = value(info, "MemTotal")?.trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes * 1024)
}

/// What stands behind `key:` in its first line.
pub fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pi(cpu: &str, kernels: &[&'static str], ram_mib: u64) -> Machine {
        let ram_bytes = Some(ram_mib << 20);
        Machine { arch: "aarch64", cpu: Some(cpu.into()), kernels: kernels.to_vec(), ram_bytes }
    }

    #[test]
    fn the_right_board_is_named() {
        let old = ["scalar", "neon-sadalp"];
        let new = ["scalar", "neon-sadalp", "neon-dot"];
        let narrow = ["scalar", "arm-dsp"];
        for (machine, name) in [
            (pi("cortex-a53", &old, 416), "pi-zero2w"),
            (pi("cortex-a53", &old, 906), "pi3"),
            (pi("cortex-a72", &old, 3800), "pi4"),
            (pi("cortex-a57", &old, 3900), "jetson-nano"),
            (pi("cortex-a76", &new, 8000), "pi5"),
            (pi("cortex-a78ae", &new, 7600), "jetson-orin-nano"),
            (pi("cortex-a78ae", &new, 30_000), "jetson-agx-orin"),
            (Machine { arch: "arm", ..pi("arm1176jzf-s", &narrow, 180) }, "pi1"),
            (Machine { arch: "arm", ..pi("arm1176jzf-s", &narrow, 416) }, "pi1"),
            // A Pi 2, and a Pi 4 with a 32-bit system: not what the ARMv6 is given.
            (Machine { arch: "arm", ..pi("cortex-a7", &narrow, 920) }, "generic"),
            (Machine { arch: "arm", ..pi("cortex-a72", &narrow, 3800) }, "generic"),
            (Machine { arch: "riscv64", ..pi("", &["scalar"], 1000) }, "generic"),
        ] {
            assert_eq!(machine.better(target::ALL, "host"), name, "{machine:?}");
        }
    }

    #[test]
    fn another_board_is_refused_in_a_sentence() {
        let machine = pi("cortex-a72", &["scalar", "neon-sadalp"], 1800);
        assert_eq!(refusal(&machine, Some("neon-sadalp")), None);
        assert_eq!(refusal(&machine, None), None);
        let said = refusal(&machine, Some("neon-dot")).expect("refused");
        assert!(said.contains("neon-dot") && said.ends_with("EDGE_OCR_TARGET=pi4"), "{said}");
        let small = Machine { ram_bytes: Some(target::ARENA_BYTES as u64), ..machine };
        let said = refusal(&small, None).expect("refused");
        assert!(said.contains("more than half") && said.ends_with("EDGE_OCR_TARGET=generic"), "{said}");
    }

    #[test]
    fn the_system_says_it() {
        let x86 = "processor\t: 0\nmodel\t\t: 2\nmodel name\t: Some CPU @ 2 GHz\n";
        assert_eq!(cpu(x86).as_deref(), Some("Some CPU @ 2 GHz"));
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n";
        assert_eq!(cpu(arm).as_deref(), Some("cortex-a72"));
        // A Pi 1.
        let old = "processor\t: 0\nmodel name\t: ARMv6-compatible processor rev 7 (v6l)\nCPU part\t: 0xb76\n";
        assert_eq!(cpu(old).as_deref(), Some("arm1176jzf-s"));
        assert_eq!(cpu("CPU part: 0xfff\n").as_deref(), Some("Arm part 0xfff"));
        assert_eq!(cpu(""), None);
        assert_eq!(ram_bytes("MemTotal:         426332 kB\nMemFree: 1 kB\n"), Some(426_332 * 1024));
        assert_eq!(ram_bytes("MemTotal: many\n"), None);
        assert!(Machine::here().kernels.contains(&"scalar"));
    }
}
