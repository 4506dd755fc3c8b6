//! TLS by rustls with ring; certificates are always checked.

use super::config::TlsConfig;
use crate::secret::private;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where systems keep the authorities they trust: Debian and Alpine, Fedora, openSUSE, BSD.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Longest file of certificates: several times the largest bundle in use.
const MAX_PEM_BYTES: u64 = 4 << 20;

/// What rumqttc is given.
///
/// # Errors
/// One sentence that names the key and the file.
pub(super) fn transport(tls: &TlsConfig) -> Result<rumqttc::Transport, String> {
    let config = client_config(tls)?;
    Ok(rumqttc::Transport::tls_with_config(rumqttc::TlsConfiguration::Rustls(Arc::new(config))))
}

fn client_config(tls: &TlsConfig) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let bundle = match &tls.ca_file {
        Some(path) => path.clone(),
        None => SYSTEM_BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or(
            "mqtt.tls.ca_file is not given and this system has no list of authorities in a known place; give the broker's \
             authority, or install ca-certificates",
        )?,
    };
    let (good, _) = roots.add_parsable_certificates(certificates("mqtt.tls.ca_file", &bundle)?);
    if good == 0 {
        return Err(format!(
            "mqtt.tls.ca_file: {} has no usable certificate in it; give a PEM file of the broker's authority",
            bundle.display()
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable =
        |e: rustls::Error| format!("mqtt.tls cannot be used because rustls says '{e}'; check the certificates");
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots);
    match (&tls.client_cert_file, &tls.client_key_file) {
        (Some(cert), Some(key)) => {
            let chain = certificates("mqtt.tls.client_cert_file", cert)?;
            builder.with_client_auth_cert(chain, private_key(key)?).map_err(|e| {
                format!(
                    "mqtt.tls.client_cert_file and mqtt.tls.client_key_file cannot be used because rustls says '{e}'; check that \
                     they belong together"
                )
            })
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(key, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!("{key}: {} is no PEM file with certificates; give one", path.display())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let key = "mqtt.tls.client_key_file";
    let about = fs::metadata(path).map_err(|e| unreadable(key, path, &e))?;
    private(&about, path).map_err(|e| format!("{key}: {e}"))?;
    PrivateKeyDer::from_pem_slice(&read(key, path)?)
        .map_err(|_| format!("{key}: {} is no PEM file with an unencrypted key; give one", path.display()))
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, String> {
    let about = fs::metadata(path).map_err(|e| unreadable(key, path, &e))?;
    if !about.is_file() || about.len() > MAX_PEM_BYTES {
        return Err(format!(
            "{key}: {} is not a regular file of at most {MAX_PEM_BYTES} bytes; give a PEM file",
            path.display()
        ));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|e| unreadable(key, path, &e))?;
    file.take(MAX_PEM_BYTES).read_to_end(&mut bytes).map_err(|e| unreadable(key, path, &e))?;
    Ok(bytes)
}

fn unreadable(key: &str, path: &Path, error: &std::io::Error) -> String {
    format!(
        "{key}: {} cannot be read because the system says '{error}'; check the path and its permissions",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_none_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let junk = folder.path().join("junk.pem");
        fs::write(&junk, "not PEM").unwrap();
        let ca =
            |path: &Path| client_config(&TlsConfig { ca_file: Some(path.into()), ..TlsConfig::default() }).unwrap_err();
        for path in [junk.as_path(), &folder.path().join("none"), folder.path()] {
            assert!(ca(path).starts_with("mqtt.tls.ca_file"), "{}", ca(path));
        }
    }
}
