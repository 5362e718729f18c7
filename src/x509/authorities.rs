//! The certificates of a `ca` file.

use super::{is_authority, is_version_1, parse};
use rustls::pki_types::CertificateDer;
use rustls::{Error, RootCertStore};
use std::sync::Arc;

/// The certificates that others are verified against: as authorities, or because
/// they are the very ones that are shown.
#[derive(Debug, Clone)]
pub struct Authorities {
    roots: Arc<RootCertStore>,
    certificates: Arc<[CertificateDer<'static>]>,
}

/// A certificate is no authority's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a certificate in the file is not an authority's (basicConstraints CA:TRUE is missing), and \
     whoever has its key could make certificates for everybody: list the authority that issued it"
)]
pub struct NoAuthority;

impl Authorities {
    /// Authorities with these certificates.
    ///
    /// # Errors
    /// If one cannot be used.
    pub fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone())?;
        }
        Ok(Self {
            roots: Arc::new(roots),
            certificates: certificates.into(),
        })
    }

    /// The same for webpki, which takes every certificate for an authority's.
    #[must_use]
    pub fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }

    /// The certificates.
    #[must_use]
    pub fn certificates(&self) -> &Arc<[CertificateDer<'static>]> {
        &self.certificates
    }

    /// Whether this very certificate is among them.
    pub(super) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.certificates.iter().any(|known| known == certificate)
    }

    /// Checks that each may issue certificates. One of version 1 may if it is
    /// self-issued, as OpenSSL has it.
    ///
    /// # Errors
    /// If one says that it is not an authority's.
    pub fn are_authorities(&self) -> Result<(), NoAuthority> {
        let issues = |der: &CertificateDer<'_>| {
            let certificate = parse(der).map_err(|_| NoAuthority)?;
            let issues = match is_version_1(&certificate) {
                true => certificate.subject().as_raw() == certificate.issuer().as_raw(),
                false => is_authority(&certificate) == Ok(true),
            };
            issues.then_some(()).ok_or(NoAuthority)
        };
        self.certificates.iter().try_for_each(issues)
    }
}
