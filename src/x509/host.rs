//! Whether a certificate is for a host.

use super::{is_version_1, parse, refusal};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// Verifies that the certificate is for the host: by its subject alternative
/// names, and by its common name where it has none for a host or an address, as
/// libpq does.
///
/// # Errors
/// If it is for another, or it is not clear for which.
pub fn verify_host(certificate: &CertificateDer<'_>, host: &ServerName<'_>) -> Result<(), Error> {
    let parsed = parse(certificate)?;
    if names_hosts(&parsed)? {
        return verify_server_name(&ParsedCertificate::try_from(certificate)?, host);
    }
    let host = host.to_str();
    let common = common_name(&parsed).ok_or_else(|| {
        refusal(format!(
            "it has neither a subjectAltName with the host {host:?} nor one common name"
        ))
    })?;
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    if common.eq_ignore_ascii_case(&host) || !is_address && fits_wildcard(common, &host) {
        return Ok(());
    }
    let shown: String = common.chars().take(200).collect();
    Err(refusal(format!(
        "it is for the common name {shown:?}, and not for the host {host:?}"
    )))
}

/// Whether subject alternative names say which hosts it is for.
fn names_hosts(certificate: &X509Certificate<'_>) -> Result<bool, Error> {
    if is_version_1(certificate) {
        return Ok(false);
    }
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| Error::from(CertificateError::BadEncoding))?;
    let mut names = names.iter().flat_map(|names| &names.value.general_names);
    Ok(names.any(|name| {
        // One that cannot be read may be the one that counts.
        matches!(
            name,
            GeneralName::DNSName(_) | GeneralName::IPAddress(_) | GeneralName::Invalid(..)
        )
    }))
}

/// The one common name, if it is a plain text.
fn common_name<'c>(certificate: &'c X509Certificate<'_>) -> Option<&'c str> {
    let mut names = certificate.subject().iter_common_name();
    let (Some(name), None) = (names.next(), names.next()) else {
        return None;
    };
    let name = name.as_str().ok()?;
    (!name.is_empty() && !name.contains(char::is_control)).then_some(name)
}

/// Whether `*.example.com` stands for the host: for one label, and the first.
fn fits_wildcard(pattern: &str, host: &str) -> bool {
    let Some(domain) = pattern.strip_prefix("*.") else {
        return false;
    };
    let Some((label, rest)) = host.split_once('.') else {
        return false;
    };
    !label.is_empty() && !domain.is_empty() && rest.eq_ignore_ascii_case(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        assert!(fits_wildcard("*.example.com", "db.example.com"));
        assert!(fits_wildcard("*.example.com", "DB.EXAMPLE.COM"));
        for (pattern, host) in [
            ("*.example.com", "example.com"),
            ("*.example.com", "a.db.example.com"),
            ("*.example.com", ".example.com"),
            ("*.example.com", "db.example.com.evil"),
            ("*", "db"),
            ("*.", "db."),
            ("d*.example.com", "db.example.com"),
            ("db.*.com", "db.example.com"),
        ] {
            assert!(!fits_wildcard(pattern, host), "{pattern} {host}");
        }
    }
}
