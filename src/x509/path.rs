//! From a certificate to an authority, for certificates that webpki does not take.

use super::signature::verify_issued;
use super::{Authorities, is_authority, is_version_1, parse, refusal};
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use rustls::{CertificateError, Error};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;

/// Most authorities between a certificate and a root.
const MOST_BETWEEN: usize = 5;
/// Most signatures that are verified for one certificate.
const MOST_SIGNATURES: usize = 32;

/// What a certificate is shown for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// By a server.
    Server,
    /// By a client.
    Client,
}

/// What webpki does not take about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusual {
    /// It is of version 1.
    Version1,
    /// It is an authority's, and shown as a server's or client's.
    Authority,
    /// It is the very one that is trusted.
    Trusted,
}

impl Unusual {
    /// What is unusual about the certificate, if something is.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>, authorities: &Authorities) -> Option<Self> {
        let parsed = parse(certificate).ok()?;
        if authorities.contains(certificate) {
            Some(Self::Trusted)
        } else if is_version_1(&parsed) {
            Some(Self::Version1)
        } else if is_authority(&parsed) == Ok(true) {
            Some(Self::Authority)
        } else {
            None
        }
    }
}

/// Verifies an [unusual](Unusual) certificate: that it is trusted itself, or was
/// issued by an authority that is, directly or through `intermediates`. Stricter
/// than webpki where they differ: an authority must be valid now, and one with
/// name constraints is refused.
///
/// # Errors
/// If that is not so.
pub fn verify_path(
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    authorities: &Authorities,
    now: UnixTime,
    usage: Usage,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<(), Error> {
    let leaf = parse(certificate)?;
    verify_validity(&leaf, now)?;
    verify_extensions(&leaf, usage)?;
    if authorities.contains(certificate) {
        return Ok(());
    }
    let mut search = Search {
        intermediates: intermediates.iter().flat_map(|der| parse(der)).collect(),
        roots: authorities
            .certificates()
            .iter()
            .flat_map(|der| parse(der))
            .collect(),
        now,
        usage,
        algorithms,
        signatures: 0,
    };
    search.issued(&leaf, 0)
}

/// The search for a path; a failure of the whole is the last one found.
struct Search<'a> {
    intermediates: Vec<X509Certificate<'a>>,
    roots: Vec<X509Certificate<'a>>,
    now: UnixTime,
    usage: Usage,
    algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
    signatures: usize,
}

impl Search<'_> {
    /// Verifies that an authority has issued the certificate, below which are
    /// `below` authorities.
    fn issued(&mut self, certificate: &X509Certificate<'_>, below: usize) -> Result<(), Error> {
        let mut failure = CertificateError::UnknownIssuer.into();
        for n in 0..self.roots.len() {
            match self.issued_by_root(certificate, n, below) {
                Ok(()) => return Ok(()),
                Err(error) if error == CertificateError::UnknownIssuer.into() => {}
                Err(error) => failure = error,
            }
        }
        if below == MOST_BETWEEN {
            return Err(failure);
        }
        for n in 0..self.intermediates.len() {
            match self.issued_by_intermediate(certificate, n, below) {
                Ok(()) => return Ok(()),
                Err(error) if error == CertificateError::UnknownIssuer.into() => {}
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn issued_by_root(
        &mut self,
        certificate: &X509Certificate<'_>,
        n: usize,
        below: usize,
    ) -> Result<(), Error> {
        let root = self.roots.get(n).cloned();
        let root = root.ok_or(CertificateError::UnknownIssuer)?;
        self.verify_signature(certificate, &root)?;
        // A root of version 1 cannot say that it is one.
        if !is_version_1(&root) {
            verify_authority(&root, below, self.usage)?;
        }
        verify_validity(&root, self.now)
    }

    fn issued_by_intermediate(
        &mut self,
        certificate: &X509Certificate<'_>,
        n: usize,
        below: usize,
    ) -> Result<(), Error> {
        let issuer = self.intermediates.get(n).cloned();
        let issuer = issuer.ok_or(CertificateError::UnknownIssuer)?;
        self.verify_signature(certificate, &issuer)?;
        verify_authority(&issuer, below, self.usage)?;
        verify_validity(&issuer, self.now)?;
        self.issued(&issuer, below + 1)
    }

    /// Verifies that the issuer has the name and the key that it must have.
    fn verify_signature(
        &mut self,
        certificate: &X509Certificate<'_>,
        issuer: &X509Certificate<'_>,
    ) -> Result<(), Error> {
        if issuer.subject().as_raw() != certificate.issuer().as_raw() {
            return Err(CertificateError::UnknownIssuer.into());
        }
        self.signatures += 1;
        if self.signatures > MOST_SIGNATURES {
            return Err(refusal("too many certificates could have issued it"));
        }
        verify_issued(certificate, issuer.public_key().raw, self.algorithms)
    }
}

/// Verifies that the certificate may issue others, with `below` authorities
/// between it and the last.
fn verify_authority(
    certificate: &X509Certificate<'_>,
    below: usize,
    usage: Usage,
) -> Result<(), Error> {
    let bad = |_| Error::from(CertificateError::BadEncoding);
    verify_extensions(certificate, usage)?;
    let constraints = certificate.basic_constraints().map_err(bad)?;
    let constraints = constraints.map(|found| found.value);
    let may_issue = constraints.is_some_and(|found| {
        let most = found.path_len_constraint;
        found.ca && most.is_none_or(|most| usize::try_from(most).is_ok_and(|most| below <= most))
    });
    let signs = certificate.key_usage().map_err(bad)?;
    let signs = signs.is_none_or(|usage| usage.value.key_cert_sign());
    if !may_issue || !signs {
        return Err(refusal("the certificate of its issuer may not issue it"));
    }
    Ok(())
}

fn verify_validity(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    let validity = certificate.validity();
    let Ok(seconds) = i64::try_from(now.as_secs()) else {
        return Err(Error::FailedToGetCurrentTime);
    };
    if seconds < validity.not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if seconds > validity.not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// Verifies that all that the certificate requires to be understood is, and that
/// it may be used for that. One of version 1 says nothing.
fn verify_extensions(certificate: &X509Certificate<'_>, usage: Usage) -> Result<(), Error> {
    if is_version_1(certificate) && !certificate.extensions().is_empty() {
        return Err(CertificateError::BadEncoding.into());
    }
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(_)
            | ParsedExtension::KeyUsage(_)
            | ParsedExtension::SubjectAlternativeName(_) => {}
            ParsedExtension::ExtendedKeyUsage(allowed) => {
                let serves = match usage {
                    Usage::Server => allowed.server_auth,
                    Usage::Client => allowed.client_auth,
                };
                if !serves && !allowed.any {
                    return Err(CertificateError::InvalidPurpose.into());
                }
            }
            ParsedExtension::NameConstraints(_) => {
                return Err(refusal(
                    "an authority with name constraints has issued it, and it is of version 1 or \
                     an authority's itself: make it with the extensions of a server or client",
                ));
            }
            ParsedExtension::ParseError { .. } => {
                return Err(CertificateError::BadEncoding.into());
            }
            _ if extension.critical => {
                return Err(CertificateError::UnhandledCriticalExtension.into());
            }
            _ => {}
        }
    }
    // None may stand there twice.
    certificate
        .extensions_map()
        .map(|_| ())
        .map_err(|_| CertificateError::BadEncoding.into())
}
