//! TLS of a client that takes any certificate.

use crate::{Raw, SSL_REQUEST, packet};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::io;
use std::sync::Arc;

/// What TLS a client offers.
#[derive(Debug, Clone, Copy)]
pub enum Tls {
    /// 1.2 alone.
    V1_2,
    /// 1.3 alone.
    V1_3,
    /// 1.3, with this protocol named by ALPN.
    Alpn(&'static str),
}

impl Raw {
    /// Connects and secures the connection by an SSLRequest.
    pub fn secured(port: u16, tls: Tls) -> Self {
        let mut raw = Self::open(port);
        raw.send(&packet(SSL_REQUEST, b""));
        assert_eq!(raw.byte(), Some(b'S'));
        raw.start_tls(tls).unwrap()
    }

    /// Begins TLS here and now.
    pub fn start_tls(mut self, tls: Tls) -> io::Result<Self> {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let session = ClientConnection::new(Arc::new(config(tls)), name).unwrap();
        let mut tls = StreamOwned::new(session, self.stream.try_clone()?);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        let chain = tls.conn.peer_certificates().unwrap();
        self.certificate = Some(chain[0].to_vec());
        self.io = Box::new(tls);
        Ok(self)
    }
}

fn config(tls: Tls) -> ClientConfig {
    let versions = match tls {
        Tls::V1_2 => [&TLS12],
        Tls::V1_3 | Tls::Alpn(_) => [&TLS13],
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    if let Tls::Alpn(protocol) = tls {
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    }
    config
}

/// What is tested here is the protocol; libpq tests the certificate.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
