//! Local time: schedules in a time zone that is not there.
#![cfg(all(feature = "node", unix))]

mod support;

use std::fs;
use std::path::Path;
use support::{finish, program};

/// Checks a configuration with this `[trigger]` and this environment: exit code, standard output, standard error.
fn check(dir: &Path, trigger: &str, environment: &[(&str, &str)]) -> (i32, String, String) {
    let path = dir.join("node.toml");
    let text = format!(
        "[source]\nkind = 'http'\nurl = 'http://127.0.0.1:9/'\n[[field]]\nname = 'a'\n[topics]\nnode_id = 'n'\n[trigger]\n{trigger}\n"
    );
    fs::write(&path, text).expect("written");
    let mut command = program();
    command.env_remove("TZ").env_remove("TZDIR").envs(environment.iter().copied());
    finish(command.args(["node", "--check-config", "--config"]).arg(&path).output().expect("run"))
}

/// A time zone database with nothing but UTC in it.
fn nearly_empty_zoneinfo(dir: &Path) -> String {
    let zoneinfo = dir.join("zoneinfo");
    fs::create_dir_all(zoneinfo.join("Etc")).expect("a folder");
    // TZif, version 1, one type of local time: UTC.
    let mut utc = b"TZif".to_vec();
    utc.resize(20, 0);
    utc.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4]);
    utc.extend(*b"\0\0\0\0\0\0UTC\0");
    fs::write(zoneinfo.join("Etc/Other"), utc).expect("written");
    zoneinfo.to_str().expect("UTF-8").to_owned()
}

/// The schedule was in UTC, and nobody said so.
#[test]
fn cron_in_an_unknown_zone_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let zoneinfo = nearly_empty_zoneinfo(dir.path());
    for environment in [
        &[("TZ", "Europe/Berln")][..],
        &[("TZ", "Berlin")],
        &[("TZ", ":/usr/share/zoneinfo/Europe/Berln")],
        &[("TZ", "CEST-")],
        &[("TZ", "Europe/Berlin"), ("TZDIR", &zoneinfo)],
    ] {
        let (code, out, err) = check(dir.path(), "cron = '0 6 * * *'", environment);
        let said = format!("TZ={} cannot be found", environment[0].1);
        assert!(code == 2 && out.is_empty() && err.contains(&said), "{environment:?}: {code} {out} {err}");
        assert!(err.lines().count() == 1 && err.contains("[trigger] cron") && err.contains("tzdata"), "{err}");
        // Without a schedule only the times that people are told are wrong.
        let (code, _, err) = check(dir.path(), "", environment);
        assert!(code == 0 && err.contains(&said) && err.contains("UTC"), "{environment:?}: {code} {err}");
    }
}

#[test]
fn check_config_names_zone_and_next_round() {
    let dir = tempfile::tempdir().expect("a folder");
    for (zone, name, times) in [
        ("CET-1CEST,M3.5.0,M10.5.0/3", "CET-1CEST", ["T06:00:00+01:00", "T06:00:00+02:00"]),
        ("UTC", "UTC", ["T06:00:00+00:00"; 2]),
        ("", "UTC", ["T06:00:00+00:00"; 2]),
    ] {
        let (code, out, err) = check(dir.path(), "cron = '0 6 * * *'", &[("TZ", zone)]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        let named = out.contains(&format!("time zone {name}"));
        assert!(named && times.iter().any(|time| out.trim_end().ends_with(time)), "{zone}: {out}");
        let (code, out, err) = check(dir.path(), "interval_s = 30", &[("TZ", zone)]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert!(out.contains("every 30 s") && out.contains(name), "{zone}: {out}");
    }
}
