//! X.509 certificates as PostgreSQL's manual makes them (section "Creating
//! Certificates") and libpq takes them: of version 1, self-signed as their own
//! authority, with the host in the common name. rustls (webpki) judges all others.

mod authorities;
mod end_point;
mod host;
mod lifetime;
mod path;
mod signature;

pub use authorities::{Authorities, NoAuthority};
pub use end_point::server_end_point;
pub use host::verify_host;
pub use lifetime::{Lifetime, WARNING};
pub use path::{Unusual, Usage, verify_path};
pub use signature::{verify_tls12, verify_tls13};

use rustls::{CertificateError, Error, OtherError};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Version;

/// The certificate, if the bytes are one and nothing else.
fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Error> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(CertificateError::BadEncoding.into()),
    }
}

/// Whether the certificate is of version 1, which has no extensions.
fn is_version_1(certificate: &X509Certificate<'_>) -> bool {
    certificate.version() == X509Version::V1
}

/// Whether the bytes are a certificate of version 1.
#[must_use]
pub fn has_version_1(der: &[u8]) -> bool {
    parse(der).is_ok_and(|certificate| is_version_1(&certificate))
}

/// The public key of a certificate, as DER (SubjectPublicKeyInfo).
#[must_use]
pub fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = parse(der).ok()?;
    Some(certificate.public_key().raw.to_vec())
}

/// Whether the certificate says that it is an authority's.
fn is_authority(certificate: &X509Certificate<'_>) -> Result<bool, Error> {
    match certificate.basic_constraints() {
        Ok(constraints) => Ok(constraints.is_some_and(|constraints| constraints.value.ca)),
        Err(_) => Err(CertificateError::BadEncoding.into()),
    }
}

/// Says why a certificate is refused.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Reason(String);

/// The refusal of a certificate for this reason.
#[must_use]
pub fn refusal(reason: impl Into<String>) -> Error {
    let reason = Arc::new(Reason(reason.into()));
    CertificateError::Other(OtherError(reason)).into()
}
