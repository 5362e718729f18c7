//! How much of a server's certificate is verified.

use crate::x509::{self, Authorities, Unusual, Usage};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;

/// `verify-full`: the chain and the host name.
pub(super) fn full(
    authorities: Authorities,
    provider: &Arc<CryptoProvider>,
) -> Arc<dyn ServerCertVerifier> {
    verifier(Check::Full(authorities), provider)
}

/// `verify-ca`: the chain.
pub(super) fn chain(
    authorities: Authorities,
    provider: &Arc<CryptoProvider>,
) -> Arc<dyn ServerCertVerifier> {
    verifier(Check::Chain(authorities), provider)
}

/// `require`: nothing but that the server has the key of the certificate that
/// it shows.
pub(super) fn none(provider: &Arc<CryptoProvider>) -> Arc<dyn ServerCertVerifier> {
    verifier(Check::Nothing, provider)
}

fn verifier(check: Check, provider: &Arc<CryptoProvider>) -> Arc<dyn ServerCertVerifier> {
    Arc::new(Verifier {
        check,
        algorithms: provider.signature_verification_algorithms,
    })
}

/// Verifies what libpq verifies, of every certificate that libpq takes.
#[derive(Debug)]
struct Verifier {
    check: Check,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Check {
    Nothing,
    Chain(Authorities),
    Full(Authorities),
}

impl Verifier {
    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        authorities: &Authorities,
        now: UnixTime,
    ) -> Result<(), Error> {
        let algorithms = self.algorithms.all;
        if Unusual::of(end_entity, authorities).is_some() {
            let usage = Usage::Server;
            return x509::verify_path(
                end_entity,
                intermediates,
                authorities,
                now,
                usage,
                algorithms,
            );
        }
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            authorities.roots(),
            intermediates,
            now,
            algorithms,
        )
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.check {
            Check::Nothing => {}
            Check::Chain(authorities) => {
                self.verify_chain(end_entity, intermediates, authorities, now)?;
            }
            Check::Full(authorities) => {
                self.verify_chain(end_entity, intermediates, authorities, now)?;
                x509::verify_host(end_entity, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
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
        self.algorithms.supported_schemes()
    }
}
