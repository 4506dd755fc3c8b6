//! TLS by rustls with ring; certificates are always checked.

use super::config::TlsConfig;
use crate::util::secret::private;
use crate::util::tls::{authorities, certificates, read, unreadable};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::path::Path;
use std::sync::Arc;

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
    roots.add_parsable_certificates(authorities("mqtt.tls.ca_file", tls.ca_file.as_deref())?);
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

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let key = "mqtt.tls.client_key_file";
    let about = fs::metadata(path).map_err(|e| unreadable(key, path, &e))?;
    private(&about, path).map_err(|e| format!("{key}: {e}"))?;
    PrivateKeyDer::from_pem_slice(&read(key, path)?)
        .map_err(|_| format!("{key}: {} is no PEM file with an unencrypted key; give one", path.display()))
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
