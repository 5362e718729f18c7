//! The client's certificate, which TLS has verified: the names in it.

use crate::directory::{CertificateName, NameKind, Vouched};
use crate::transport::Transport;
use rustls::pki_types::CertificateDer;
use std::time::{Duration, SystemTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// A certificate that is valid: made by an authority that is trusted, for a
/// client, neither expired nor revoked, and the client has its private key.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// The names that it was made for and that can be compared safely.
    pub(super) names: Vec<CertificateName>,
    /// When it expires.
    pub(super) expires: SystemTime,
}

impl Certificate {
    /// The one that the client has shown, if any. One that cannot be read has no
    /// names.
    pub(super) fn of(transport: &Transport) -> Option<Self> {
        let Transport::Tls(stream) = transport else {
            return None;
        };
        Self::of_chain(stream.get_ref().1.peer_certificates()?)
    }

    /// The first of a chain that TLS has verified.
    pub(crate) fn of_chain(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let shown = chain.first()?;
        Some(Self::read(shown).unwrap_or(Self {
            names: Vec::new(),
            expires: SystemTime::UNIX_EPOCH,
        }))
    }

    /// Reads the DER of a certificate.
    fn read(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let not_after = certificate.validity().not_after.timestamp();
        // It is valid to the end of that second.
        let not_after = u64::try_from(not_after).ok()?.checked_add(1)?;
        let not_after = Duration::from_secs(not_after);
        Some(Self {
            names: names(&certificate)?,
            expires: SystemTime::UNIX_EPOCH.checked_add(not_after)?,
        })
    }

    /// Whether it was made for this name.
    pub(crate) fn is_for(&self, name: &CertificateName) -> bool {
        self.names.contains(name)
    }

    /// What it says of the profile of a client that asks to be this user.
    pub(super) fn vouches_for(&self, user: &str) -> Vouched {
        Vouched::Certificate {
            names: self.names.as_slice().into(),
            user: user.into(),
        }
    }

    /// Whether it has expired since the connection began.
    pub(crate) fn has_expired(&self) -> bool {
        self.expires <= SystemTime::now()
    }

    /// Its names, for the log.
    pub(super) fn shown(&self) -> String {
        if self.names.is_empty() {
            return "without a usable name".to_owned();
        }
        format!("for {}", spelled(&self.names))
    }
}

/// The names as the configuration spells them, in quotes.
pub(super) fn spelled<'n>(names: impl IntoIterator<Item = &'n CertificateName>) -> String {
    let names = names
        .into_iter()
        .map(|name| format!("{:?}", name.to_string()));
    names.collect::<Vec<_>>().join(", ")
}

/// The subject alternative names, then the common name. `None` if there are
/// two such extensions, or one that is malformed.
fn names(certificate: &X509Certificate<'_>) -> Option<Vec<CertificateName>> {
    let mut names = Vec::new();
    let alternative = certificate.subject_alternative_name().ok()?;
    for name in alternative.iter().flat_map(|san| &san.value.general_names) {
        let (kind, text) = match name {
            GeneralName::URI(text) => (NameKind::Uri, text),
            GeneralName::DNSName(text) => (NameKind::Dns, text),
            GeneralName::RFC822Name(text) => (NameKind::Email, text),
            _ => continue,
        };
        // IA5String is ASCII (RFC 5280, section 4.2.1.6).
        if text.is_ascii() && is_plain(text) {
            names.push(CertificateName::new(kind, text));
        }
    }
    // Of several nobody could say which one counts.
    let mut common = certificate.subject().iter_common_name();
    if let (Some(name), None) = (common.next(), common.next())
        && let Ok(text) = name.as_str()
        && is_plain(text)
    {
        names.push(CertificateName::new(NameKind::CommonName, text));
    }
    Some(names)
}

/// A name with a NUL (`innovate\0.evil.example`) or another control character
/// is not what it seems, and never matches.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair, SanType};
    use std::sync::LazyLock;

    fn made(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn names_of(change: impl FnOnce(&mut CertificateParams)) -> Vec<String> {
        let read = Certificate::read(&made(change)).unwrap();
        read.names.iter().map(ToString::to_string).collect()
    }

    fn ia5(text: &str) -> Ia5String {
        Ia5String::try_from(text).unwrap()
    }

    #[test]
    fn names_are_read_with_their_kinds() {
        let names = names_of(|params| {
            params
                .distinguished_name
                .push(DnType::CommonName, "innovate");
            params
                .distinguished_name
                .push(DnType::OrganizationName, "synergy");
            params.subject_alt_names = vec![
                SanType::URI(ia5("spiffe://example.com/a")),
                SanType::DnsName(ia5("a.example.com")),
                SanType::Rfc822Name(ia5("a@example.com")),
                SanType::IpAddress([127, 0, 0, 1].into()),
            ];
        });
        assert_eq!(
            names,
            [
                "URI:spiffe://example.com/a",
                "DNS:a.example.com",
                "email:a@example.com",
                "CN=innovate",
            ]
        );
    }

    #[test]
    fn the_end_of_its_validity_is_read() {
        let der = made(|params| params.not_after = rcgen::date_time_ymd(2031, 2, 3));
        let expires = Certificate::read(&der).unwrap().expires;
        let seconds = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(seconds.as_secs(), 1_927_843_201);
    }

    #[test]
    fn names_with_control_characters_are_left_out() {
        for text in [
            "innovate\0",
            "innovate\0.evil.example",
            "\0innovate",
            "a\nb",
            "a\u{85}b",
            "",
        ] {
            let names = names_of(|params| {
                params.distinguished_name.push(DnType::CommonName, text);
            });
            assert!(names.is_empty(), "{text:?}: {names:?}");
        }
        for text in ["a\0b", "a\u{7f}"] {
            let names = names_of(|params| {
                params.subject_alt_names = vec![
                    SanType::URI(ia5(text)),
                    SanType::DnsName(ia5(text)),
                    SanType::Rfc822Name(ia5(text)),
                ];
            });
            assert!(names.is_empty(), "{text:?}: {names:?}");
        }
    }

    #[test]
    fn a_certificate_whose_names_are_not_clear_has_none() {
        // A second subjectAltName: 2.5.29.17, with URI:x in it.
        let extension =
            || CustomExtension::from_oid_content(&[2, 5, 29, 17], vec![0x30, 3, 0x86, 1, b'x']);
        let one = names_of(|params| params.custom_extensions = vec![extension()]);
        assert_eq!(one, ["URI:x"]);
        let two = made(|params| {
            params.subject_alt_names = vec![SanType::URI(ia5("y"))];
            params.custom_extensions = vec![extension()];
        });
        assert!(Certificate::read(&two).is_none());
        let malformed = made(|params| {
            params.distinguished_name.push(DnType::CommonName, "cn");
            params.custom_extensions = vec![CustomExtension::from_oid_content(
                &[2, 5, 29, 17],
                vec![0x30, 9, 0x86, 1, b'x'],
            )];
        });
        assert!(
            Certificate::read(&malformed).is_none_or(|read| read.names.is_empty()),
            "{:?}",
            Certificate::read(&malformed)
        );
        // Bytes behind the certificate.
        let mut longer = made(|_| ());
        longer.push(0);
        assert!(Certificate::read(&longer).is_none());
        assert!(Certificate::read(b"").is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| made(|params| {
                params.distinguished_name.push(DnType::CommonName, "innovate");
                params.subject_alt_names = vec![SanType::URI(ia5("x")), SanType::DnsName(ia5("y"))];
            }));
            let mut der = WHOLE.clone();
            for (place, byte) in places {
                let at = place.index(der.len());
                der[at] = byte;
            }
            let _ = Certificate::read(&der);
            der.truncate(cut.index(der.len()));
            let _ = Certificate::read(&der);
            // What the log is told of one that is refused.
            if let Ok((_, read)) = X509Certificate::from_der(&der) {
                let _ = (read.subject().to_string(), read.issuer().to_string());
            }
        }
    }

    #[test]
    fn of_two_common_names_none_counts() {
        let names = names_of(|params| {
            let common = [2, 5, 4, 3];
            params.distinguished_name.push(DnType::CommonName, "a");
            params
                .distinguished_name
                .push(DnType::CustomDnType(common.to_vec()), "b");
        });
        assert!(names.is_empty(), "{names:?}");
    }
}
