//! What the board says of its clock, heat and power, from Linux's `/sys`.

use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// A reading of the sensors that are there.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Reading {
    /// How the clock is chosen: `performance`, `ondemand`, …
    pub governor: Option<String>,
    /// Clock of the first core now, MHz.
    pub mhz: Option<f64>,
    /// The most it can be, MHz.
    pub max_mhz: Option<f64>,
    /// The hottest zone, degrees Celsius.
    pub temperature_c: Option<f64>,
    /// The Raspberry Pi firmware's flags: bits 0 to 3 are under-voltage, capped clock, throttled, soft limit of
    /// temperature now; bits 16 to 19 the same since start.
    pub throttled: Option<u32>,
}

/// Where Linux tells of clock, heat and power.
pub const SYS: &str = "/sys";

/// The first core that this process may see.
const CLOCK: &str = "devices/system/cpu/cpu0/cpufreq";
const THROTTLED: &str = "devices/platform/soc/soc:firmware/get_throttled";
/// Below this share of the greatest clock the end of a measurement is slower than its start.
const SLOWED: f64 = 0.9;
/// Pis reduce the clock from 80 degrees on (60 for the Zero 2 W's soft limit).
const HOT_C: f64 = 80.0;

impl Reading {
    /// Reads them, with `/sys` at `sys`.
    pub fn of(sys: &Path) -> Reading {
        let clock = |name: &str| text(&sys.join(CLOCK).join(name));
        let mhz = |name: &str| clock(name)?.parse::<f64>().ok().map(|khz| khz / 1e3);
        let zones = list(&sys.join("class/thermal")).into_iter().filter(|path| named(path, "thermal_zone"));
        let degrees = |path: PathBuf| number(&path.join("temp")).map(|milli| milli / 1e3);
        Reading {
            governor: clock("scaling_governor"),
            mhz: mhz("scaling_cur_freq"),
            max_mhz: mhz("cpuinfo_max_freq"),
            temperature_c: zones.filter_map(degrees).max_by(f64::total_cmp),
            throttled: text(&sys.join(THROTTLED)).and_then(|flags| u32::from_str_radix(&flags, 16).ok()),
        }
    }

    /// What may make the times invalid, given the reading after them.
    pub fn warnings(&self, after: &Reading) -> Vec<String> {
        let mut said = Vec::new();
        if let Some(governor) = self.governor.as_deref().filter(|governor| *governor != "performance") {
            said.push(format!(
                "the clock is chosen by {governor}: for steady times, as root, echo performance > /sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
            ));
        }
        let flags = after.throttled.unwrap_or(0);
        if flags & 0b1111 != 0 {
            said.push(format!(
                "the firmware holds the board back now (get_throttled {flags:#x}): heat or a weak supply"
            ));
        } else if flags >> 16 != 0 {
            said.push(format!("the firmware has held the board back since it started (get_throttled {flags:#x})"));
        }
        if let Some(degrees) = after.temperature_c.filter(|degrees| *degrees >= HOT_C) {
            said.push(format!("the processor is at {degrees:.0} degrees: boards slow down there"));
        }
        if let (Some(mhz), Some(max)) = (after.mhz, after.max_mhz)
            && self.governor.as_deref() == Some("performance")
            && mhz < SLOWED * max
        {
            said.push(format!("the clock is at {mhz:.0} of {max:.0} MHz"));
        }
        said
    }
}

/// Counts the energy of a measurement, where the board can.
pub enum Meter {
    /// A counter of microjoules, its value at the start, and where it begins again (RAPL).
    Counter {
        /// The counter's file.
        path: PathBuf,
        /// Its value at the start.
        start: f64,
        /// The value after which it begins again at 0.
        range: f64,
    },
    /// Power in microwatts, read again and again (INA sensors of Jetsons).
    Power {
        /// The sensor's file.
        path: PathBuf,
        /// What it said so far.
        samples: Vec<f64>,
    },
    /// No such sensor, or not for this user.
    None,
}

impl Meter {
    /// Starts, with `/sys` at `sys`.
    pub fn start(sys: &Path) -> Meter {
        let counter = sys.join("class/powercap/intel-rapl:0");
        if let Some(start) = number(&counter.join("energy_uj")) {
            let range = number(&counter.join("max_energy_range_uj")).unwrap_or(0.0);
            return Meter::Counter { path: counter.join("energy_uj"), start, range };
        }
        let monitors = list(&sys.join("class/hwmon")).into_iter().map(|path| path.join("power1_input"));
        match monitors.into_iter().find(|path| number(path).is_some()) {
            Some(path) => Meter::Power { path, samples: Vec::new() },
            None => Meter::None,
        }
    }

    /// To be called between repetitions.
    pub fn sample(&mut self) {
        if let Meter::Power { path, samples } = self {
            samples.extend(number(path));
        }
    }

    /// Joules since the start, which was `seconds` ago.
    pub fn joules(&self, seconds: f64) -> Option<f64> {
        match self {
            Meter::Counter { path, start, range } => {
                let spent = number(path)? - start;
                Some((if spent < 0.0 { spent + range } else { spent }) / 1e6)
            }
            Meter::Power { samples, .. } if !samples.is_empty() => {
                Some(samples.iter().sum::<f64>() / samples.len() as f64 / 1e6 * seconds)
            }
            _ => None,
        }
    }
}

/// Memory of this process that is resident now, bytes; `None` where Linux's `/proc` is not there.
pub fn resident_bytes() -> Option<u64> {
    let status = text(Path::new("/proc/self/status"))?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.map(|kib: u64| 1024 * kib)
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_string()).filter(|text| !text.is_empty())
}

fn number(path: &Path) -> Option<f64> {
    text(path)?.parse().ok()
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn named(path: &Path, start: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `/sys` with these files.
    fn sys(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, value) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, value).expect("written");
        }
        folder
    }

    #[test]
    fn a_hot_pi_says_so() {
        let clock = "devices/system/cpu/cpu0/cpufreq";
        let governor = format!("{clock}/scaling_governor");
        let (now, most) = (format!("{clock}/scaling_cur_freq"), format!("{clock}/cpuinfo_max_freq"));
        let cool = sys(&[(&governor, "ondemand\n"), (&now, "600000\n"), (&most, "1500000\n")]);
        let before = Reading::of(cool.path());
        assert_eq!((before.mhz, before.max_mhz), (Some(600.0), Some(1500.0)));
        assert_eq!((before.temperature_c, before.throttled), (None, None));
        assert!(before.warnings(&before).iter().any(|said| said.contains("ondemand")));
        let hot = sys(&[
            (&governor, "performance\n"),
            (&now, "1000000\n"),
            (&most, "1500000\n"),
            ("class/thermal/thermal_zone0/temp", "83200\n"),
            ("class/thermal/cooling_device0/temp", "99000\n"),
            (THROTTLED, "80008\n"),
        ]);
        let after = Reading::of(hot.path());
        assert_eq!((after.temperature_c, after.throttled), (Some(83.2), Some(0x80008)));
        let said = after.warnings(&after).join("\n");
        assert!(said.contains("0x80008") && said.contains("83 degrees") && said.contains("1000 of 1500"), "{said}");
        assert_eq!(Reading::default().warnings(&Reading::default()), Vec::<String>::new());
    }

    #[test]
    fn energy_is_counted_or_averaged() {
        let folder = sys(&[("class/hwmon/hwmon1/power1_input", "5000000\n")]);
        let mut meter = Meter::start(folder.path());
        meter.sample();
        fs::write(folder.path().join("class/hwmon/hwmon1/power1_input"), "7000000\n").expect("written");
        meter.sample();
        assert_eq!(meter.joules(2.0), Some(12.0));
        let counter = "class/powercap/intel-rapl:0/energy_uj";
        let folder = sys(&[(counter, "9000000\n"), ("class/powercap/intel-rapl:0/max_energy_range_uj", "10000000\n")]);
        let meter = Meter::start(folder.path());
        fs::write(folder.path().join(counter), "2000000\n").expect("written");
        assert_eq!(meter.joules(1.0), Some(3.0));
        assert_eq!(Meter::start(Path::new("/nowhere")).joules(1.0), None);
    }
}
