//! How often commands may be carried out: whoever may send them must not keep the node from its schedule.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Most that an interval may be: a day.
const MAX_INTERVAL_MS: u64 = 86_400_000;

/// `[commands]`: the shortest time between two commands of a kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CommandsConfig {
    /// From the end of a `read` to the next, milliseconds, 0 to 86 400 000. Default 1000. If the reading itself took
    /// longer, as long as that: at least half of the time is left for the schedule.
    pub read_min_interval_ms: u64,
    /// From `image` to `image`, milliseconds, 0 to 86 400 000. Default 1000.
    pub image_min_interval_ms: u64,
    /// From `reload` to `reload`, milliseconds, 0 to 86 400 000. Default 60 000.
    pub reload_min_interval_ms: u64,
    /// From `set_value` to `set_value` of one field, milliseconds, 0 to 86 400 000. Default 1000. Each is written to
    /// disk at once.
    pub set_value_min_interval_ms: u64,
}

impl Default for CommandsConfig {
    fn default() -> Self {
        CommandsConfig {
            read_min_interval_ms: 1000,
            image_min_interval_ms: 1000,
            reload_min_interval_ms: 60_000,
            set_value_min_interval_ms: 1000,
        }
    }
}

impl CommandsConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        let keys = [
            ("read_min_interval_ms", self.read_min_interval_ms),
            ("image_min_interval_ms", self.image_min_interval_ms),
            ("reload_min_interval_ms", self.reload_min_interval_ms),
            ("set_value_min_interval_ms", self.set_value_min_interval_ms),
        ];
        match keys.iter().find(|(_, value)| *value > MAX_INTERVAL_MS) {
            Some((key, value)) => Err(format!("{key} is {value}; give a number from 0 to {MAX_INTERVAL_MS}")),
            None => Ok(()),
        }
    }
}

/// When commands of each kind may come again.
#[derive(Clone, Debug)]
pub struct CommandLimits {
    /// `read`.
    pub read: MinInterval,
    /// `image`.
    pub image: MinInterval,
    /// `reload`.
    pub reload: MinInterval,
    /// `set_value` of a field that was not set yet.
    unset: MinInterval,
    /// `set_value` of each field that was set.
    set_value: BTreeMap<String, MinInterval>,
}

impl CommandLimits {
    /// As configured; goes on where the ones before have ended, if there were any.
    pub fn new(config: &CommandsConfig, before: Option<CommandLimits>) -> CommandLimits {
        let mut read = MinInterval::from_ms(config.read_min_interval_ms);
        let mut image = MinInterval::from_ms(config.image_min_interval_ms);
        let mut reload = MinInterval::from_ms(config.reload_min_interval_ms);
        let unset = MinInterval::from_ms(config.set_value_min_interval_ms);
        let mut set_value = BTreeMap::new();
        if let Some(before) = before {
            read = read.after(&before.read);
            image = image.after(&before.image);
            reload = reload.after(&before.reload);
            set_value = before.set_value.into_iter().map(|(field, last)| (field, unset.after(&last))).collect();
        }
        CommandLimits { read, image, reload, unset, set_value }
    }

    /// `set_value` of a field, which exists.
    pub fn set_value(&mut self, field: &str) -> &mut MinInterval {
        self.set_value.entry(field.to_owned()).or_insert(self.unset)
    }
}

/// The shortest time between two commands of a kind.
#[derive(Clone, Copy, Debug)]
pub struct MinInterval {
    least: Duration,
    /// When the last one began and ended.
    last: Option<(Instant, Instant)>,
}

impl MinInterval {
    /// The first one may come at any time.
    pub fn from_ms(least_ms: u64) -> MinInterval {
        MinInterval { least: Duration::from_millis(least_ms), last: None }
    }

    /// Goes on where another one, with another interval, has ended.
    pub fn after(self, other: &MinInterval) -> MinInterval {
        MinInterval { last: other.last, ..self }
    }

    /// How long the next one has to wait at `now`; `None` if it may come.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let (began, ended) = self.last?;
        let pause = self.least.max(ended.saturating_duration_since(began));
        let left = pause.saturating_sub(now.saturating_duration_since(ended));
        (!left.is_zero()).then_some(left)
    }

    /// One was carried out.
    pub fn note(&mut self, began: Instant, ended: Instant) {
        self.last = Some((began, ended));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_command_waits_for_interval() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut limit = MinInterval::from_ms(10_000);
        assert_eq!(limit.left(now), None, "the first");
        limit.note(now, now + second);
        assert_eq!(limit.left(now + 2 * second), Some(9 * second));
        assert_eq!(limit.left(now + 11 * second), None);
        assert_eq!(MinInterval::from_ms(2000).after(&limit).left(now + 2 * second), Some(second), "another interval");
    }

    #[test]
    fn long_command_leaves_half_of_the_time() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        for least_ms in [0, 1000] {
            let mut limit = MinInterval::from_ms(least_ms);
            limit.note(now, now + 60 * second);
            assert_eq!(limit.left(now + 61 * second), Some(59 * second));
            assert_eq!(limit.left(now + 120 * second), None);
        }
    }

    #[test]
    fn limits_of_fields_outlive_reload() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let config = CommandsConfig { set_value_min_interval_ms: 10_000, ..CommandsConfig::default() };
        let mut limits = CommandLimits::new(&config, None);
        limits.set_value("a").note(now, now);
        let mut limits = CommandLimits::new(&config, Some(limits));
        assert_eq!(limits.set_value("a").left(now + second), Some(9 * second));
        assert_eq!(limits.set_value("b").left(now + second), None, "another field");
    }

    #[test]
    fn interval_out_of_range_is_refused() {
        assert_eq!(CommandsConfig::default().validate(), Ok(()));
        let config = CommandsConfig { reload_min_interval_ms: MAX_INTERVAL_MS + 1, ..CommandsConfig::default() };
        assert!(config.validate().unwrap_err().starts_with("reload_min_interval_ms is 86400001;"));
    }
}
