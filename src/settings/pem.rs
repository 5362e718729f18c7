//! Certificates and keys in PEM files (RFC 7468).

use super::reader::Entry;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{Error, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;

/// The certificates of the file that the value names; at least one.
pub(super) fn certificates(entry: &Entry<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let (path, bytes) = entry.file()?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Some(certificates),
        Ok(_) => {
            entry.refuse(format!(
                "{} has no certificate: it must have a PEM section BEGIN CERTIFICATE",
                path.display()
            ));
            None
        }
        Err(e) => {
            entry.refuse(damaged(&path, &e));
            None
        }
    }
}

/// The private key of the file that the value names.
pub(super) fn private_key(entry: &Entry<'_>) -> Option<PrivateKeyDer<'static>> {
    let (path, bytes) = entry.file()?;
    if readable_by_all(&path) {
        entry.refuse(format!(
            "every user of this machine can read the private key: chmod 600 {}",
            path.display()
        ));
    }
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Some(key),
        Err(Error::NoItemsFound) => {
            entry.refuse(format!(
                "{} has no private key: it must have a PEM section BEGIN PRIVATE KEY (a key that \
                 is encrypted with a passphrase cannot be used)",
                path.display()
            ));
            None
        }
        Err(e) => {
            entry.refuse(damaged(&path, &e));
            None
        }
    }
}

/// The chain as PEM text.
pub(super) fn encode(chain: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for certificate in chain {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let mut rest = STANDARD.encode(certificate);
        while !rest.is_empty() {
            let line: String = rest.drain(..rest.len().min(64)).collect();
            text.push_str(&line);
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

/// Says what is wrong without a byte of the file.
fn damaged(path: &Path, error: &Error) -> String {
    let what = match error {
        Error::MissingSectionEnd { .. } => "a PEM section has no end",
        Error::IllegalSectionStart { .. } => "the first line of a PEM section is malformed",
        Error::Base64Decode(_) => "a PEM section is not base64",
        _ => "the PEM text is malformed",
    };
    format!("{} is damaged: {what}", path.display())
}

#[cfg(unix)]
pub(super) fn readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
pub(super) fn readable_by_all(_path: &Path) -> bool {
    false
}
