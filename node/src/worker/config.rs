//! The worker's configuration.

use crate::publish::mqtt::{MqttConfig, filter_fault};
use edge_ocr::Config;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;

/// Packets that are taken from the broker in any case, 16 MiB: as long as images are that anybody may send by mistake.
const LEAST_PACKET_BYTES: u32 = 16 << 20;

/// What `edge-ocr worker` reads from its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// The broker.
    pub mqtt: MqttConfig,
    /// Name of this worker, 1 to 64 of `A-Z a-z 0-9 _ -`; made from the machine's id if not given. No two workers may
    /// share one.
    pub id: Option<String>,
    /// Group of workers among which the broker spreads the jobs, 1 to 64 of the same characters.
    pub group: String,
    /// Topics begin with it: `<base>/jobs/<job>`, `<base>/results/<job>`, `<base>/workers/<id>/status`.
    pub base: String,
    /// Longest image of a job, 1,024 to 16,000,000 bytes. A longer one is answered and dropped at once if its packet has no more than
    /// four times as many bytes, or 16 MiB. With MQTT 5 the broker drops what is longer than that, and mosquitto sends no more
    /// jobs after [`receive_maximum`](Self::receive_maximum) of them; with 3.1.1 one ends the connection. So set the broker's own limit.
    pub max_job_bytes: u32,
    /// Jobs that the broker sends before the first is acknowledged, 1 to 16 (MQTT 5 only). 2 fetches the next one
    /// while one is read.
    pub receive_maximum: u16,
    /// Jobs that wait, 1 to 256.
    pub max_waiting: usize,
    /// Bytes of their images, at least `max_job_bytes`, at most 268,435,456.
    pub max_waiting_bytes: usize,
    /// Whether results go to the response topic that a job names (MQTT 5), instead of `<base>/results/<job>`. With it
    /// whoever may send jobs can have this worker publish anywhere the broker lets it, so it is off by default;
    /// restrict the worker at the broker first.
    pub response_topics: bool,
    /// Seconds after which the broker drops a result that nobody fetched (MQTT 5 only), 1 to 604,800.
    pub result_expiry_s: u32,
    /// Words and characters with score and box in the results.
    pub chars: bool,
    /// How long the job that is being read may take at the end, 0 to 60,000 ms.
    pub grace_ms: u32,
    /// How images are read.
    pub pipeline: Config,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        WorkerConfig {
            mqtt: MqttConfig::default(),
            id: None,
            group: "ocr".into(),
            base: "ocr".into(),
            max_job_bytes: 1 << 20,
            receive_maximum: 2,
            max_waiting: 32,
            max_waiting_bytes: 16 << 20,
            response_topics: false,
            result_expiry_s: 3600,
            chars: false,
            grace_ms: 10_000,
            pipeline: Config::default(),
        }
    }
}

impl WorkerConfig {
    /// Checks what the types cannot. The pipeline's part is checked when it is opened, too.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        let base = self.base.as_str();
        let base_fits = filter_fault(base).is_none()
            && base.len() <= 256
            && !base.contains(['+', '#', '$'])
            && base.split('/').all(|level| !level.is_empty());
        let facts = [
            (
                self.id.as_deref().is_none_or(is_name),
                "id must be 1 to 64 of A-Z, a-z, 0-9, _ and -; choose one or leave the key out",
            ),
            (is_name(&self.group), "group must be 1 to 64 of A-Z, a-z, 0-9, _ and -"),
            (
                base_fits,
                "base must be topic levels such as 'ocr' or 'plant/ocr', without wildcards, $ and empty levels",
            ),
            ((1024..=16_000_000).contains(&self.max_job_bytes), "max_job_bytes must be 1024 to 16000000"),
            ((1..=16).contains(&self.receive_maximum), "receive_maximum must be 1 to 16"),
            ((1..=256).contains(&self.max_waiting), "max_waiting must be 1 to 256"),
            (
                (self.max_job_bytes as usize..=256 << 20).contains(&self.max_waiting_bytes),
                "max_waiting_bytes must be max_job_bytes to 268435456",
            ),
            ((1..=604_800).contains(&self.result_expiry_s), "result_expiry_s must be 1 to 604800"),
            (self.grace_ms <= 60_000, "grace_ms must be at most 60000"),
        ];
        if let Some((_, sentence)) = facts.into_iter().find(|(holds, _)| !holds) {
            return Err(sentence.into());
        }
        self.mqtt.validate()?;
        self.pipeline.validate().map_err(|e| format!("pipeline.{e}"))
    }

    /// The longest packet that has to be taken from the broker: far more than a job may have, because the broker tells nobody of
    /// what it drops.
    pub(super) fn least_packet_bytes(&self) -> u32 {
        self.max_job_bytes.saturating_mul(4).max(LEAST_PACKET_BYTES)
    }

    /// The shared subscription.
    pub fn filter(&self) -> String {
        format!("$share/{}/{}/jobs/+", self.group, self.base)
    }

    /// The name in force.
    pub(super) fn worker_id(&self) -> Result<String, String> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        // machine-id(5) asks not to show it: its hash is shown.
        let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
        match machine.trim() {
            "" => Err("id is not given and this machine has no /etc/machine-id to make one from; give it".into()),
            machine => {
                let hash = Sha256::digest(format!("edge-ocr worker {machine}"));
                Ok(hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect())
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        assert_eq!(WorkerConfig::default().validate(), Ok(()));
        for (text, part) in [
            ("nmae = 1", "nmae"),
            ("id = 'a/b'", "id must"),
            ("group = ''", "group"),
            ("base = '/a'", "base"),
            ("base = 'a/+'", "base"),
            ("base = '$SYS'", "base"),
            ("max_job_bytes = 0", "max_job_bytes"),
            ("receive_maximum = 0", "receive_maximum"),
            ("max_waiting = 0", "max_waiting"),
            ("max_waiting_bytes = 1", "max_waiting_bytes"),
            ("result_expiry_s = 0", "result_expiry_s"),
            ("grace_ms = 60001", "grace_ms"),
            ("[mqtt]\nhost = ''", "mqtt.host"),
            ("[pipeline]\nthreads = 0", "threads"),
        ] {
            let error = toml::from_str::<WorkerConfig>(text)
                .map_err(|e| e.to_string())
                .and_then(|config| config.validate())
                .expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    /// The broker was told of a limit that a job could exceed: it dropped two such, and the worker got no further ones.
    #[test]
    fn jobs_far_too_large_are_let_in() {
        let of = |max_job_bytes| WorkerConfig { max_job_bytes, ..WorkerConfig::default() }.least_packet_bytes();
        assert_eq!([1024, 1 << 20, 16_000_000].map(of), [16 << 20, 16 << 20, 64_000_000]);
    }

    #[test]
    fn the_filter_is_shared() {
        let config = WorkerConfig { base: "plant/ocr".into(), group: "g1".into(), ..WorkerConfig::default() };
        assert_eq!(config.filter(), "$share/g1/plant/ocr/jobs/+");
    }
}
