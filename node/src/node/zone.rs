//! The local time zone: which one it is, or why there is none.

use jiff::tz::TimeZone;
use std::io;

/// What a system without `TZ` says.
const LOCALTIME: &str = "/etc/localtime";

/// A time zone and what it is called.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its rules.
    pub rules: TimeZone,
    /// Its name for people.
    pub name: String,
}

impl Zone {
    /// UTC, under another name where that says why.
    pub fn utc(name: &str) -> Zone {
        Zone { rules: TimeZone::UTC, name: name.into() }
    }
}

/// The zone that `TZ` names, otherwise that of `/etc/localtime`, otherwise UTC.
///
/// # Errors
/// One sentence, if a zone is named that cannot be found: a typing error, or no time zone database.
/// `TimeZone::system` takes UTC then and says nothing, so that a schedule is off by hours.
pub fn local() -> Result<Zone, String> {
    let variable = std::env::var_os("TZ");
    match TimeZone::try_system() {
        Ok(rules) => {
            let unnamed = || variable.map_or_else(|| LOCALTIME.into(), |text| text.to_string_lossy().into_owned());
            Ok(Zone { name: rules.iana_name().map_or_else(unnamed, str::to_owned), rules })
        }
        Err(_) => match variable {
            Some(text) => Err(missing(&format!("TZ={}", text.display()))),
            // Usual in containers. A link that leads nowhere is there.
            None if std::fs::symlink_metadata(LOCALTIME).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) => {
                Ok(Zone::utc("UTC, because neither TZ nor /etc/localtime is there"))
            }
            None => Err(missing(LOCALTIME)),
        },
    }
}

fn missing(what: &str) -> String {
    format!(
        "the time zone of {what} cannot be found; give a name of /usr/share/zoneinfo, such as TZ=Europe/Berlin, and install tzdata if that \
         folder is empty"
    )
}
