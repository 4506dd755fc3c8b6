//! Certificates for TLS to brokers and cameras, from PEM files. rustls with ring does the rest; certificates are
//! always checked.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Longest file of certificates: several times the largest bundle in use.
const MAX_PEM_BYTES: u64 = 4 << 20;

/// The authorities in `file`, or else those that the system trusts. `key` is the configuration's key for the file.
///
/// # Errors
/// One sentence that names the key and the file; also if none of them can be used.
pub(crate) fn authorities(key: &str, file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = match file {
        Some(path) => certificates(key, path)?,
        // Those that cannot be read are as good as not there.
        None => rustls_native_certs::load_native_certs().certs,
    };
    let (good, _) = RootCertStore::empty().add_parsable_certificates(found.iter().cloned());
    match (good, file) {
        (0, Some(path)) => Err(format!(
            "{key}: {} has no usable certificate in it; give a PEM file of the server's authority",
            path.display()
        )),
        (0, None) => Err(format!(
            "{key} is not given and this system has no list of authorities in a known place; give the server's authority, or install \
             ca-certificates"
        )),
        _ => Ok(found),
    }
}

/// The certificates of a PEM file, at least one.
///
/// # Errors
/// One sentence that names the key and the file.
pub(crate) fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(key, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!("{key}: {} is no PEM file with certificates; give one", path.display())),
    }
}

/// The bytes of a PEM file.
///
/// # Errors
/// One sentence that names the key and the file.
pub(crate) fn read(key: &str, path: &Path) -> Result<Vec<u8>, String> {
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

/// That a file cannot be read.
pub(crate) fn unreadable(key: &str, path: &Path, error: &io::Error) -> String {
    format!(
        "{key}: {} cannot be read because the system says '{error}'; check the path and its permissions",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let junk = folder.path().join("junk.pem");
        fs::write(&junk, "not PEM").unwrap();
        for path in [junk.as_path(), &folder.path().join("none"), folder.path()] {
            let said = authorities("source.ca_file", Some(path)).unwrap_err();
            assert!(said.starts_with(&format!("source.ca_file: {}", path.display())), "{said}");
        }
        // PEM of a certificate that is none.
        fs::write(&junk, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(authorities("ca_file", Some(&junk)).unwrap_err().contains("no usable certificate"));
    }
}
