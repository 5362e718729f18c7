//! `[tls]`

use super::client_certificates::{self, Verification};
use super::pem;
use super::reader::Section;
use super::{ClientCertificates, ClientTls, MockKey};
use crate::x509;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use std::sync::Arc;

/// The protocol's name in TLS (ALPN), which PostgreSQL 17 registered.
const ALPN: &[u8] = b"postgresql";

#[derive(Clone, Copy)]
enum Mode {
    Off,
    Allow,
    Require,
}

/// The configuration towards clients; `None` after a problem.
pub(super) fn read(mut section: Section<'_>) -> Option<ClientTls> {
    let mode = match section.optional("mode") {
        Some(entry) => entry.choice(&[
            ("require", Mode::Require),
            ("allow", Mode::Allow),
            ("off", Mode::Off),
        ]),
        None => Some(Mode::Require),
    };
    let tls = match mode {
        None | Some(Mode::Off) => {
            // The files may stay named while TLS is off.
            for key in [
                "certificate",
                "key",
                "client_ca",
                "client_crl",
                "end_expired",
            ] {
                let _ = section.optional(key);
            }
            mode.map(|_| ClientTls::Off)
        }
        Some(Mode::Allow) => certificates(&mut section).map(ClientTls::Allow),
        Some(Mode::Require) => certificates(&mut section).map(ClientTls::Require),
    };
    section.finish();
    tls
}

fn certificates(section: &mut Section<'_>) -> Option<ClientCertificates> {
    let certificate = section.required(
        "certificate",
        "the PEM file with the certificate that clients see; or mode = \"off\" for clear text",
    );
    let key = section.required(
        "key",
        "the PEM file with the private key of the certificate",
    );
    let chain = certificate.as_ref().and_then(pem::certificates);
    let private = key.as_ref().and_then(pem::private_key);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = client_certificates::read(section, &provider);
    let end_expired = match section.optional("end_expired") {
        Some(entry) => entry.boolean(),
        None => Some(false),
    };
    let (certificate, key, chain, private) = (certificate?, key?, chain?, private?);
    let mock_key = MockKey::derive(private.secret_der());
    let clients = clients?;
    let verifies_clients = matches!(clients, Verification::Optional(_));

    let config = match config(&provider, clients, chain.clone(), private) {
        Ok(config) => config,
        Err(rustls::Error::InconsistentKeys(_)) => {
            key.refuse("is not the private key of the certificate in tls.certificate");
            return None;
        }
        Err(e) => {
            certificate.refuse(format!(
                "cannot be used together with tls.key: {e}; the key must be of RSA (not \
                 RSASSA-PSS), ECDSA or Ed25519"
            ));
            return None;
        }
    };
    Some(ClientCertificates {
        certificate: certificate.path()?,
        key: key.path()?,
        config: Arc::new(config),
        chain: chain.into(),
        verifies_clients,
        end_expired: end_expired?,
        mock_key,
    })
}

fn config(
    provider: &Arc<CryptoProvider>,
    clients: Verification,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13, &TLS12])?;
    let own = certified(provider, chain, key)?;
    let mut config = match clients {
        Verification::None => builder.with_no_client_auth().with_cert_resolver(own),
        Verification::Optional(verifier) => {
            let mut config = builder
                .with_client_cert_verifier(verifier)
                .with_cert_resolver(own);
            // A resumed session would bring a certificate along that was
            // verified a while ago.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            config
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// The certificate and its key, proved to belong together. rustls does not parse a
/// certificate of version 1, and needs not to.
fn certified(
    provider: &CryptoProvider,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<dyn ResolvesServerCert>, rustls::Error> {
    let own = chain
        .first()
        .ok_or(rustls::Error::NoCertificatesPresented)?;
    let certified = if x509::has_version_1(own) {
        let signing = provider.key_provider.load_private_key(key)?;
        let public = signing.public_key().ok_or(InconsistentKeys::Unknown)?;
        if x509::public_key(own).is_none_or(|key| key != public.as_ref()) {
            return Err(InconsistentKeys::KeyMismatch.into());
        }
        CertifiedKey::new(chain, signing)
    } else {
        CertifiedKey::from_der(chain, key, provider)?
    };
    Ok(Arc::new(SingleCertAndKey::from(certified)))
}
