//! How the broker is reached, as the user writes it.

use crate::util::secret::{Secret, SecretSource};
use serde::{Deserialize, Serialize};
use std::net::Ipv6Addr;
use std::path::PathBuf;

/// The table `[mqtt]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MqttConfig {
    /// Name or address of the broker, without a scheme or a port.
    pub host: String,
    /// Its port; if not given 1883, or 8883 with TLS.
    pub port: Option<u16>,
    /// Name of this client at the broker, 1 to 128 bytes; from the node's name if not given. Two clients of one name
    /// throw each other out.
    pub client_id: Option<String>,
    /// Version of MQTT.
    pub protocol: Protocol,
    /// User name, if the broker asks for one.
    pub username: Option<String>,
    /// File that holds the password and nothing else. On Unix not one that every user may read.
    pub password_file: Option<PathBuf>,
    /// Environment variable that holds the password. Children inherit it; a file or a credential is better.
    pub password_env: Option<String>,
    /// Name of a systemd credential (`LoadCredential=`) that holds the password.
    pub password_credential: Option<String>,
    /// The password itself, for trying things out.
    #[serde(skip_serializing)]
    pub password_in_clear: Option<Secret>,
    /// Seconds after which the broker is asked whether it is there, 15 to 60. It takes the client for dead after one
    /// and a half times that; the client gives the connection up after twice that.
    pub keep_alive_s: u16,
    /// How long making a connection may take, 1,000 to 60,000 ms.
    pub connect_timeout_ms: u32,
    /// Largest packet that is taken from the broker, header included, 1,024 to 16,777,216 bytes. Up to some twenty of
    /// them are in memory at a time.
    pub max_packet_in_bytes: u32,
    /// Largest packet that is sent, header included, 1,024 to 16,777,216 bytes.
    pub max_packet_out_bytes: u32,
    /// Wait after the first failed connection, 100 ms to `backoff_max_ms`; doubled after each further one. What is
    /// really waited is between half of it and all of it, by chance, so that a fleet does not come back in one
    /// instant.
    pub backoff_min_ms: u32,
    /// Longest wait between two attempts, at most 600,000 ms.
    pub backoff_max_ms: u32,
    /// TLS; none if the table is absent.
    pub tls: Option<TlsConfig>,
}

/// The table `[mqtt.tls]`, which may be empty. Names in certificates are always checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificates that are trusted; if not given, the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file with this client's certificate and those between it and the authority.
    pub client_cert_file: Option<PathBuf>,
    /// PEM file with the key of that certificate. On Unix not one that every user may read.
    pub client_key_file: Option<PathBuf>,
}

/// Version of MQTT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// What every broker speaks.
    #[default]
    #[serde(rename = "3.1.1")]
    V311,
    /// With reasons for refusals, content types, expiry and answers to a topic of the asker's choice.
    #[serde(rename = "5")]
    V5,
}

impl Default for MqttConfig {
    fn default() -> Self {
        MqttConfig {
            host: "localhost".into(),
            port: None,
            client_id: None,
            protocol: Protocol::default(),
            username: None,
            password_file: None,
            password_env: None,
            password_credential: None,
            password_in_clear: None,
            keep_alive_s: 30,
            connect_timeout_ms: 10_000,
            max_packet_in_bytes: 256 << 10,
            max_packet_out_bytes: 256 << 10,
            backoff_min_ms: 1_000,
            backoff_max_ms: 60_000,
            tls: None,
        }
    }
}

/// Longest user name or password: its length is sent in two bytes.
const MAX_LOGIN_BYTES: usize = u16::MAX as usize;

/// Bounds of the packet limits: room for a topic, and no more than a board can hold several times.
const PACKET_BYTES: std::ops::RangeInclusive<u32> = 1024..=16 << 20;

impl MqttConfig {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        let host = self.host.as_str();
        let address = host.parse::<Ipv6Addr>().is_ok();
        let odd = |c: char| c.is_whitespace() || c.is_control() || "/@[]".contains(c) || (c == ':' && !address);
        let passwords = [
            self.password_file.is_some(),
            self.password_env.is_some(),
            self.password_credential.is_some(),
            self.password_in_clear.is_some(),
        ];
        let passwords = passwords.iter().filter(|given| **given).count();
        let named = |name: &str| !name.is_empty() && !name.contains(['/', '=', '\0']) && name != "." && name != "..";
        let backoff = self.backoff_min_ms..=self.backoff_max_ms;
        let facts = [
            (!host.is_empty(), "mqtt.host is empty; give the name or the address of the broker"),
            (
                !host.contains(odd),
                "mqtt.host must be a name or an address alone; leave out 'mqtt://' and brackets, and give the port as mqtt.port",
            ),
            (self.port != Some(0), "mqtt.port must be 1 to 65535"),
            (
                self.client_id.as_ref().is_none_or(|id| usable_client_id(id)),
                "mqtt.client_id must be 1 to 128 bytes without control characters; choose one or leave the key out",
            ),
            (
                passwords <= 1,
                "mqtt.password_file, password_env, password_credential and password_in_clear exclude each other; keep one of them",
            ),
            (
                passwords == 0 || self.username.is_some(),
                "mqtt.username is missing though there is a password, which MQTT 3.1.1 does not allow; give it",
            ),
            (self.username.as_deref() != Some(""), "mqtt.username is empty; give it or leave the key out"),
            (
                self.username.as_ref().is_none_or(|name| name.len() <= MAX_LOGIN_BYTES && !name.contains('\0')),
                "mqtt.username must be at most 65535 bytes without a zero byte, which is all that MQTT can carry; give another",
            ),
            (
                self.password_env.as_deref().is_none_or(named),
                "mqtt.password_env must be the name of an environment variable, not the password",
            ),
            (
                self.password_credential.as_deref().is_none_or(named),
                "mqtt.password_credential must be the name of a systemd credential, without slashes",
            ),
            (
                self.password_in_clear.as_ref().is_none_or(|s| !s.reveal().is_empty()),
                "mqtt.password_in_clear is empty; give the password or leave the key out",
            ),
            ((15..=60).contains(&self.keep_alive_s), "mqtt.keep_alive_s must be 15 to 60"),
            ((1_000..=60_000).contains(&self.connect_timeout_ms), "mqtt.connect_timeout_ms must be 1000 to 60000"),
            (PACKET_BYTES.contains(&self.max_packet_in_bytes), "mqtt.max_packet_in_bytes must be 1024 to 16777216"),
            (PACKET_BYTES.contains(&self.max_packet_out_bytes), "mqtt.max_packet_out_bytes must be 1024 to 16777216"),
            (
                self.backoff_min_ms >= 100 && !backoff.is_empty(),
                "mqtt.backoff_min_ms must be 100 to mqtt.backoff_max_ms",
            ),
            (self.backoff_max_ms <= 600_000, "mqtt.backoff_max_ms must be at most 600000"),
        ];
        if let Some((_, sentence)) = facts.into_iter().find(|(holds, _)| !holds) {
            return Err(sentence.into());
        }
        self.tls.as_ref().map_or(Ok(()), |tls| tls.validate(address))
    }

    /// The port in force.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.tls.is_some() { 8883 } else { 1883 })
    }

    /// The broker for messages: host and port.
    pub fn broker(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port()),
            false => format!("{}:{}", self.host, self.port()),
        }
    }

    /// User name and password, read from where they are.
    ///
    /// # Errors
    /// One sentence without the secret.
    pub(super) fn login(&self) -> Result<Option<(String, Secret)>, String> {
        let Some(username) = self.username.clone() else { return Ok(None) };
        let source = SecretSource::from_keys(
            "mqtt.password",
            self.password_file.as_deref(),
            self.password_env.as_deref(),
            self.password_credential.as_deref(),
            self.password_in_clear.as_ref(),
        )?;
        let read =
            |source: SecretSource| source.resolve().map_err(|e| format!("mqtt.password_{}: {e}", source.key_end()));
        let key_end = source.as_ref().map_or("", SecretSource::key_end);
        let password = source.map(read).transpose()?;
        if password.as_ref().is_some_and(|password| password.reveal().len() > MAX_LOGIN_BYTES) {
            return Err(format!(
                "mqtt.password_{key_end} gives a password of more than {MAX_LOGIN_BYTES} bytes, which is all that MQTT can carry; \
                 give a shorter one"
            ));
        }
        Ok(Some((username, password.unwrap_or_else(|| Secret::new("")))))
    }
}

impl TlsConfig {
    fn validate(&self, ipv6: bool) -> Result<(), String> {
        let facts = [
            (
                cfg!(feature = "tls"),
                "mqtt.tls is not in this program; build it with `--features tls` or remove the table",
            ),
            (
                self.client_cert_file.is_some() == self.client_key_file.is_some(),
                "mqtt.tls.client_cert_file and mqtt.tls.client_key_file need each other; give both or neither",
            ),
            (
                !ipv6,
                "mqtt.host must be a name or an IPv4 address with TLS; give the name that is in the broker's certificate",
            ),
        ];
        facts.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, sentence)| Err(sentence.into()))
    }
}

/// Whether a broker can be expected to take this name. An empty one would be replaced by one of the broker's choice,
/// and the node would be nobody in its log.
pub(super) fn usable_client_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && !id.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<MqttConfig, String> {
        let config: MqttConfig = toml::from_str(text).map_err(|e| e.to_string())?;
        config.validate().map(|()| config)
    }

    #[test]
    fn default_config_valid_and_equals_empty_table() {
        assert_eq!(parse("").unwrap(), MqttConfig::default());
        assert_eq!(parse("").unwrap().port(), 1883);
        assert_eq!(parse("host = '::1'").unwrap().broker(), "[::1]:1883");
        assert_eq!(parse("protocol = '5'").unwrap().protocol, Protocol::V5);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("hots = 'a'", "hots"),
            ("host = ''", "mqtt.host"),
            ("host = 'mqtt://a'", "mqtt.host"),
            ("host = 'a:1883'", "mqtt.port"),
            ("host = '[::1]'", "mqtt.host"),
            ("port = 0", "mqtt.port"),
            ("client_id = ''", "mqtt.client_id"),
            ("protocol = '4'", "protocol"),
            ("password_env = 'X'", "mqtt.username"),
            ("username = ''", "mqtt.username"),
            ("username = 'u'\npassword_env = 'X'\npassword_file = 'y'", "exclude"),
            ("username = 'u'\npassword_credential = '../x'", "mqtt.password_credential"),
            ("username = 'u'\npassword_env = ''", "mqtt.password_env"),
            ("username = 'u'\npassword_in_clear = ''", "mqtt.password_in_clear"),
            ("keep_alive_s = 14", "mqtt.keep_alive_s"),
            ("keep_alive_s = 61", "mqtt.keep_alive_s"),
            ("connect_timeout_ms = 0", "mqtt.connect_timeout_ms"),
            ("max_packet_in_bytes = 10", "mqtt.max_packet_in_bytes"),
            ("max_packet_out_bytes = 1000000000", "mqtt.max_packet_out_bytes"),
            ("backoff_min_ms = 0", "mqtt.backoff_min_ms"),
            ("backoff_min_ms = 2000\nbackoff_max_ms = 1000", "mqtt.backoff_max_ms"),
            ("backoff_max_ms = 600001", "mqtt.backoff_max_ms"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_login_that_mqtt_cannot_carry_is_refused() {
        let with = |username: &str, password: &str| {
            let password_in_clear = Some(Secret::new(password));
            let config = MqttConfig { username: Some(username.into()), password_in_clear, ..MqttConfig::default() };
            config.validate().and_then(|()| config.login().map(drop))
        };
        let long = |count| "hunter2".repeat(count)[..count].to_owned();
        assert_eq!(with(&long(65_535), &long(65_535)), Ok(()));
        assert_eq!(with("u", "hun\0ter2"), Ok(()), "a password is bytes");
        for (username, password, key) in [
            (long(65_536), "p".into(), "mqtt.username"),
            ("u\0v".into(), "p".into(), "mqtt.username"),
            ("u".into(), long(65_536), "mqtt.password_in_clear"),
        ] {
            let error = with(&username, &password).unwrap_err();
            assert!(error.contains(key) && error.len() < 300, "{error}");
        }
    }

    #[test]
    fn tls_needs_the_feature_and_pairs_of_files() {
        let error = parse("[tls]\nclient_cert_file = 'a'").unwrap_err();
        assert!(error.contains(if cfg!(feature = "tls") { "client_key_file" } else { "--features tls" }), "{error}");
        if cfg!(feature = "tls") {
            assert_eq!(parse("[tls]").unwrap().port(), 8883);
            assert!(parse("host = '::1'\n[tls]").unwrap_err().contains("mqtt.host"));
        }
    }

    #[test]
    fn no_password_in_what_is_shown() {
        let config = parse("username = 'u'\npassword_in_clear = 'hunter2'").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
        assert_eq!(config.login().unwrap().unwrap().1.reveal(), "hunter2");
    }
}
