//! Certificates and keys in PEM files (RFC 7468).

use super::reader::Entry;
use crate::x509::Authorities;
use rustls::pki_types::pem::{Error, PemObject as _};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use std::path::Path;

/// A file of more is a collection of the system's, of which some have always expired.
const MOST_OF_OWN: usize = 8;

/// The certificates of the file that the value names; at least one.
pub(super) fn certificates(entry: &Entry<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let (path, bytes) = entry.file()?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => {
            if certificates.len() <= MOST_OF_OWN {
                entry.note_lifetime(&path, &certificates);
            }
            Some(certificates)
        }
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

/// The same as what other certificates are verified against.
pub(super) fn authorities(entry: &Entry<'_>) -> Option<Authorities> {
    Authorities::new(certificates(entry)?)
        .map_err(|e| entry.refuse(format!("a certificate in the file cannot be used: {e}")))
        .ok()
}

/// Lists of revoked certificates may be large.
const MOST_MIB_OF_LIST: u64 = 64;

/// The certificate revocation lists of the files that the value names, in PEM or
/// DER; at least one in each.
pub(super) fn revocation_lists(
    entry: &Entry<'_>,
) -> Option<Vec<CertificateRevocationListDer<'static>>> {
    let mut lists = Vec::new();
    for (path, bytes) in entry.files(MOST_MIB_OF_LIST)? {
        // The tag of a SEQUENCE; no PEM text begins with a zero.
        if bytes.first() == Some(&0x30) {
            lists.push(CertificateRevocationListDer::from(bytes));
            continue;
        }
        let read = CertificateRevocationListDer::pem_slice_iter(&bytes);
        match read.collect::<Result<Vec<_>, _>>() {
            Ok(read) if !read.is_empty() => lists.extend(read),
            Ok(_) => {
                entry.refuse_hidden(format!(
                    "{} has no list: it must have a PEM section BEGIN X509 CRL, or be DER",
                    path.display()
                ));
                return None;
            }
            Err(e) => {
                entry.refuse_hidden(damaged(&path, &e));
                return None;
            }
        }
    }
    Some(lists)
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
