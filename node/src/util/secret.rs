//! Passwords: where they come from, and how they never get into a log.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest secret in bytes; a longer file is something else.
pub const MAX_SECRET_BYTES: u64 = 4096;

/// A password or token. Neither `Debug` nor `Serialize` shows it; only [`reveal`](Self::reveal) does.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself: for the header or packet that it belongs in, nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// By hand, because serde shows what it found where it expected text: a password of digits without quotes is a number.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret in quotes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::new(text))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
                Err(E::custom(NO_TEXT))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
                Err(E::custom(NO_TEXT))
            }

            fn visit_i128<E: Error>(self, _: i128) -> Result<Secret, E> {
                Err(E::custom(NO_TEXT))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
                Err(E::custom(NO_TEXT))
            }

            fn visit_u128<E: Error>(self, _: u128) -> Result<Secret, E> {
                Err(E::custom(NO_TEXT))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
                Err(E::custom(NO_TEXT))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// What is said of a secret that is a number.
const NO_TEXT: &str = "the secret is not text; put it into quotes";

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that only its owner (and group) may read.
    File(PathBuf),
    /// An environment variable. Child processes inherit it and `/proc` shows it, so this is the last choice.
    Env(String),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY` (`LoadCredential=`).
    Credential(String),
    /// Written in the configuration itself.
    InClear(Secret),
}

impl SecretSource {
    /// The one source that is given of `<name>_file`, `<name>_env`, `<name>_credential` and `<name>_in_clear`, or
    /// `None` if none is.
    ///
    /// # Errors
    /// One sentence naming the keys if more than one is given, or if one is empty.
    pub fn from_keys(
        name: &str,
        file: Option<&Path>,
        env: Option<&str>,
        credential: Option<&str>,
        in_clear: Option<&Secret>,
    ) -> Result<Option<SecretSource>, String> {
        let given = [
            file.map(|v| ("file", v.as_os_str().is_empty(), SecretSource::File(v.to_owned()))),
            env.map(|v| ("env", v.is_empty(), SecretSource::Env(v.to_owned()))),
            credential.map(|v| ("credential", v.is_empty(), SecretSource::Credential(v.to_owned()))),
            in_clear.map(|v| ("in_clear", false, SecretSource::InClear(v.clone()))),
        ];
        let mut given = given.into_iter().flatten();
        let Some((key, empty, source)) = given.next() else { return Ok(None) };
        if let Some((other, ..)) = given.next() {
            return Err(format!("{name}_{key} and {name}_{other} are both given; keep one of them"));
        }
        if empty {
            return Err(format!("{name}_{key} is empty; name where the secret is, or leave the key out"));
        }
        Ok(Some(source))
    }

    /// What the configuration's key for it ends in.
    pub fn key_end(&self) -> &'static str {
        match self {
            SecretSource::File(_) => "file",
            SecretSource::Env(_) => "env",
            SecretSource::Credential(_) => "credential",
            SecretSource::InClear(_) => "in_clear",
        }
    }

    /// Reads the secret. One line end after it does not belong to it.
    ///
    /// # Errors
    /// One sentence: missing, unreadable, readable by everybody, empty, not UTF-8, or longer than [`MAX_SECRET_BYTES`].
    pub fn resolve(&self) -> Result<Secret, String> {
        match self {
            SecretSource::InClear(secret) => Ok(secret.clone()),
            SecretSource::Env(variable) => match std::env::var(variable) {
                Ok(text) => checked(text, &format!("environment variable {variable}")),
                Err(std::env::VarError::NotPresent) => {
                    Err(format!("environment variable {variable} is not set; set it to the secret or use a file"))
                }
                Err(_) => Err(format!("environment variable {variable} is not UTF-8; set it to text")),
            },
            SecretSource::Credential(name) => {
                // The name is a file name, as systemd demands: nothing that leads out of the directory.
                if name.contains(['/', '\\']) || name == ".." || name == "." {
                    return Err(format!(
                        "credential {name} is not a plain name; give the name used with LoadCredential="
                    ));
                }
                let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
                    return Err(format!(
                        "credential {name} cannot be read because CREDENTIALS_DIRECTORY is not set; run the program by systemd with LoadCredential={name}:FILE"
                    ));
                };
                let path = Path::new(&directory).join(name);
                // What the shipped unit hands over where the file is missing.
                if fs::read(&path).is_ok_and(|bytes| bytes == b"\n") {
                    return Err(format!(
                        "credential {name} is empty; put the secret into the file that LoadCredential= of the unit names for it, and \
                         start the service again"
                    ));
                }
                read(&path)
            }
            SecretSource::File(path) => read(path),
        }
    }
}

/// The content of a secret's file.
fn read(path: &Path) -> Result<Secret, String> {
    let name = path.display();
    let unreadable = |e: std::io::Error| format!("secret file {name} cannot be read ({e}); check its path and owner");
    // Before opening: a pipe would block there.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(format!("secret file {name} is not a regular file; give one that holds the secret"));
    }
    let file = fs::File::open(path).map_err(unreadable)?;
    private(&file.metadata().map_err(unreadable)?, path)?;
    let mut bytes = Vec::new();
    file.take(MAX_SECRET_BYTES + 3).read_to_end(&mut bytes).map_err(unreadable)?;
    let text =
        String::from_utf8(bytes).map_err(|_| format!("secret file {name} is not UTF-8; write the secret as text"))?;
    checked(text, &format!("secret file {name}"))
}

/// Refuses files that everybody may read.
#[cfg(unix)]
pub(crate) fn private(about: &fs::Metadata, path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    if about.permissions().mode() & 0o004 != 0 {
        let name = path.display();
        return Err(format!(
            "secret file {name} can be read by everybody; run chmod o-rwx on it, or have it mounted with mode 0440"
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn private(_: &fs::Metadata, _: &Path) -> Result<(), String> {
    Ok(())
}

/// Without one line end, and of a usable length.
fn checked(mut text: String, what: &str) -> Result<Secret, String> {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(format!("{what} is empty; put the secret into it"));
    }
    if text.len() as u64 > MAX_SECRET_BYTES {
        return Err(format!("{what} is longer than {MAX_SECRET_BYTES} bytes; it must hold the secret only"));
    }
    Ok(Secret(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with these bytes and this mode.
    fn file(directory: &Path, bytes: &[u8], mode: u32) -> SecretSource {
        let path = directory.join("secret");
        fs::write(&path, bytes).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        SecretSource::File(path)
    }

    #[test]
    fn one_line_end_is_trimmed_and_no_more() {
        let root = tempfile::tempdir().unwrap();
        for (bytes, text) in
            [(&b"pass"[..], "pass"), (b"pass\n", "pass"), (b"pass\r\n", "pass"), (b" pa ss \n\n", " pa ss \n")]
        {
            assert_eq!(file(root.path(), bytes, 0o640).resolve().unwrap().reveal(), text);
        }
    }

    #[test]
    fn unusable_files_are_refused_without_their_content() {
        let root = tempfile::tempdir().unwrap();
        let long = vec![b'q'; MAX_SECRET_BYTES as usize + 1];
        for (bytes, mode, word) in [
            (&b"hunter2"[..], 0o644, "everybody"),
            (b"", 0o600, "empty"),
            (b"\n", 0o600, "empty"),
            (b"hunter2\xff", 0o600, "UTF-8"),
            (&long, 0o600, "longer"),
        ] {
            if cfg!(not(unix)) && word == "everybody" {
                continue;
            }
            let said = file(root.path(), bytes, mode).resolve().unwrap_err();
            assert!(said.contains(word) && !said.contains("hunter2") && !said.contains("qqq"), "{said}");
        }
        assert!(SecretSource::File(root.path().join("none")).resolve().unwrap_err().contains("cannot be read"));
        assert!(SecretSource::File(root.path().to_owned()).resolve().unwrap_err().contains("regular"));
        let longest = &long[1..];
        assert_eq!(file(root.path(), longest, 0o600).resolve().unwrap().reveal().len(), longest.len());
    }

    #[test]
    fn a_credential_stays_in_its_directory() {
        for name in ["../x", "a/b", ".."] {
            assert!(SecretSource::Credential(name.into()).resolve().unwrap_err().contains("plain name"));
        }
    }

    #[test]
    fn nothing_shows_it() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
        assert!(!format!("{:?}", SecretSource::InClear(secret)).contains("hunter2"));
    }

    #[test]
    fn one_that_is_no_text_is_not_shown_either() {
        #[derive(Deserialize, Debug)]
        struct Config {
            #[expect(dead_code)]
            password: Secret,
        }
        for value in ["82917364", "-82917364", "82917364.5", "true", "['82917364']", "1979-05-27"] {
            let said = toml::from_str::<Config>(&format!("password = {value}")).unwrap_err();
            assert!(said.message().contains("quotes") && !said.message().contains("82917364"), "{}", said.message());
        }
        assert_eq!(serde_json::from_str::<Secret>("\"x\"").unwrap().reveal(), "x");
    }

    #[test]
    fn exactly_one_key() {
        let clear = Secret::new("x");
        let of =
            |file: Option<&str>, env, clear| SecretSource::from_keys("password", file.map(Path::new), env, None, clear);
        assert_eq!(of(None, None, None), Ok(None));
        assert_eq!(of(Some("/p"), None, None), Ok(Some(SecretSource::File("/p".into()))));
        let said = of(Some("/p"), None, Some(&clear)).unwrap_err();
        assert!(said.contains("password_file and password_in_clear"), "{said}");
        assert!(of(None, Some(""), None).unwrap_err().contains("password_env is empty"));
    }
}
