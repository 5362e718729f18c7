//! Which client certificates are valid.

use super::pem;
use super::reader::Section;
use crate::x509::{self, Authorities, Unusual, Usage};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// What `client_ca` and `client_crl` ask for.
pub(super) enum Verification {
    /// Clients are not asked for a certificate.
    None,
    /// They are asked, and may have none.
    Optional(Arc<dyn ClientCertVerifier>),
}

/// Reads the keys; `None` after a problem.
pub(super) fn read(
    section: &mut Section<'_>,
    provider: &Arc<CryptoProvider>,
) -> Option<Verification> {
    let Some(authorities) = section.optional("client_ca") else {
        section.refuse("client_crl", "has no meaning without tls.client_ca");
        section.refuse("end_expired", "has no meaning without tls.client_ca");
        return Some(Verification::None);
    };
    let trusted = pem::authorities(&authorities);
    if let Some(Err(e)) = trusted.as_ref().map(Authorities::are_authorities) {
        authorities.refuse(e.to_string());
    }
    let lists = match section.optional("client_crl") {
        Some(entry) => pem::revocation_lists(&entry).map(|lists| (Some(entry), lists)),
        None => Some((None, Vec::new())),
    };
    let (trusted, (lists_entry, lists)) = (trusted?, lists?);
    let has_lists = lists_entry.is_some();
    // Of every certificate up to the authority it must be known that it was not
    // revoked, and from a list that is not out of date.
    let roots = trusted.roots().clone();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
        .with_crls(lists)
        .enforce_revocation_expiration()
        .allow_unauthenticated()
        .build();
    match verifier {
        Ok(usual) => Some(Verification::Optional(Arc::new(Verifier {
            usual,
            authorities: trusted,
            has_lists,
            algorithms: provider.signature_verification_algorithms,
        }))),
        Err(e) => {
            let culprit = lists_entry.as_ref().unwrap_or(&authorities);
            culprit.refuse_hidden(format!("cannot be used: {e}"));
            None
        }
    }
}

/// Verifies certificates of version 1 too, and tells the log whose certificate it
/// was that is not valid. TLS ends before anybody has said who they are.
#[derive(Debug)]
struct Verifier {
    /// webpki, for all other certificates.
    usual: Arc<dyn ClientCertVerifier>,
    authorities: Authorities,
    /// There are revocation lists, which webpki alone reads.
    has_lists: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

/// What cannot be told of a certificate of version 1.
const REVOCATION: &str = "it is of X.509 version 1, of which it is not known whether it was \
     revoked (tls.client_crl): issue it with extensions (openssl x509 -req -extfile)";

/// Who has the key of an authority makes certificates for all tenants.
const AUTHORITY: &str = "it is an authority's own certificate (CaUsedAsEndEntity), and who has its \
     key could make others for every tenant: issue a client's with basicConstraints CA:FALSE, by \
     an authority of yours";

impl Verifier {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match Unusual::of(end_entity, &self.authorities) {
            None => self
                .usual
                .verify_client_cert(end_entity, intermediates, now),
            Some(Unusual::Trusted | Unusual::Authority) => {
                // The reason may be another: that it is of somebody else's making.
                self.verify_path(end_entity, intermediates, now)?;
                Err(x509::refusal(AUTHORITY))
            }
            Some(Unusual::Version1) if self.has_lists => Err(x509::refusal(REVOCATION)),
            Some(Unusual::Version1) => {
                self.verify_path(end_entity, intermediates, now)?;
                Ok(ClientCertVerified::assertion())
            }
        }
    }

    fn verify_path(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        x509::verify_path(
            end_entity,
            intermediates,
            &self.authorities,
            now,
            Usage::Client,
            self.algorithms.all,
        )
    }
}

impl ClientCertVerifier for Verifier {
    fn offer_client_auth(&self) -> bool {
        self.usual.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.usual.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.usual.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verify(end_entity, intermediates, now);
        if let Err(error) = &verified {
            tell(end_entity, error);
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        x509::verify_tls12(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        x509::verify_tls13(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// What is in the certificate is the client's word, as far as it is not verified:
/// quoted, and cut.
fn tell(certificate: &CertificateDer<'_>, error: &Error) {
    const MOST: usize = 200;
    let cut = |text: String| text.chars().take(MOST).collect::<String>();
    let read = X509Certificate::from_der(certificate).ok();
    let (subject, issuer, serial) = match &read {
        Some((_, read)) => (
            cut(read.subject().to_string()),
            cut(read.issuer().to_string()),
            cut(read.raw_serial_as_string()),
        ),
        None => Default::default(),
    };
    tracing::warn!(
        target: "pgtenant::audit",
        event = "client_certificate_refused",
        ?subject,
        ?issuer,
        ?serial,
        reason = %error,
    );
}
