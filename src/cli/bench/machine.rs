//! What the program runs on, as far as the system says.

use serde::Serialize;
use std::fs;

/// A line of a table of boards.
#[derive(Serialize)]
pub struct Machine {
    pub arch: &'static str,
    pub os: &'static str,
    /// Model of the processor.
    pub cpu: Option<String>,
    /// Model of the board, where it has a device tree.
    pub board: Option<String>,
    /// Processors that this program may use.
    pub cores: usize,
}

/// Processors of Arm that Linux names by their number only.
const ARM_PARTS: [(&str, &str); 12] = [
    ("0xd03", "Cortex-A53"),
    ("0xd04", "Cortex-A35"),
    ("0xd05", "Cortex-A55"),
    ("0xd07", "Cortex-A57"),
    ("0xd08", "Cortex-A72"),
    ("0xd09", "Cortex-A73"),
    ("0xd0a", "Cortex-A75"),
    ("0xd0b", "Cortex-A76"),
    ("0xd0c", "Neoverse-N1"),
    ("0xd40", "Neoverse-V1"),
    ("0xd41", "Cortex-A78"),
    ("0xd42", "Cortex-A78AE"),
];

impl Machine {
    /// This one.
    pub fn here() -> Machine {
        let board = fs::read_to_string("/proc/device-tree/model").ok();
        Machine {
            arch: std::env::consts::ARCH,
            os: std::env::consts::OS,
            cpu: fs::read_to_string("/proc/cpuinfo").ok().and_then(|info| cpu(&info)),
            board: board.map(|name| name.trim_matches(['\0', ' ', '\n']).to_string()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// The most memory that this process has had, where the system counts it.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes: u64 = value(&status, "VmHWM")?.trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes * 1024)
}

/// The processor's model of `/proc/cpuinfo`.
fn cpu(info: &str) -> Option<String> {
    if let Some(name) = value(info, "model name") {
        return Some(name.into());
    }
    let part = value(info, "CPU part")?;
    let name = ARM_PARTS.iter().find(|(number, _)| *number == part).map(|(_, name)| name.to_string());
    Some(name.unwrap_or_else(|| format!("Arm part {part}")))
}

/// What stands behind `key:` in its first line.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_have_names() {
        let x86 = "processor\t: 0\nmodel\t\t: 2\nmodel name\t: Some CPU @ 2 GHz\n";
        assert_eq!(cpu(x86).as_deref(), Some("Some CPU @ 2 GHz"));
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n";
        assert_eq!(cpu(arm).as_deref(), Some("Cortex-A72"));
        assert_eq!(cpu("CPU part: 0xfff\n").as_deref(), Some("Arm part 0xfff"));
        assert_eq!(cpu(""), None);
    }
}
