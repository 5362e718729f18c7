//! Which client certificates are valid.

use super::pem;
use super::reader::Section;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
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
    let roots = pem::roots(&authorities);
    let lists = match section.optional("client_crl") {
        Some(entry) => pem::revocation_lists(&entry).map(|lists| (Some(entry), lists)),
        None => Some((None, Vec::new())),
    };
    let (roots, (lists_entry, lists)) = (roots?, lists?);
    // Of every certificate up to the authority it must be known that it was not
    // revoked, and from a list that is not out of date.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .with_crls(lists)
        .enforce_revocation_expiration()
        .allow_unauthenticated()
        .build();
    match verifier {
        Ok(verifier) => Some(Verification::Optional(Arc::new(Telling(verifier)))),
        Err(e) => {
            let culprit = lists_entry.as_ref().unwrap_or(&authorities);
            culprit.refuse_hidden(format!("cannot be used: {e}"));
            None
        }
    }
}

/// Tells the log whose certificate it was that is not valid. TLS ends before
/// anybody has said who they are.
#[derive(Debug)]
struct Telling(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Telling {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now);
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
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
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
