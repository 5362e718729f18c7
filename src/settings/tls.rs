//! `[tls]`

use super::pem;
use super::reader::Section;
use super::{ClientCertificates, ClientTls};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
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
    section.refuse(
        "client_ca",
        "logging in with client certificates is not available yet: remove the key",
    );
    let tls = match mode {
        None | Some(Mode::Off) => {
            // The files may stay named while TLS is off.
            let _ = (section.optional("certificate"), section.optional("key"));
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
    let (certificate, key, chain) = (certificate?, key?, chain?);

    let config = match config(chain.clone(), private?) {
        Ok(config) => config,
        Err(rustls::Error::InconsistentKeys(_)) => {
            key.refuse("is not the private key of the certificate in tls.certificate");
            return None;
        }
        Err(e) => {
            certificate.refuse(format!("cannot be used together with tls.key: {e}"));
            return None;
        }
    };
    Some(ClientCertificates {
        certificate: certificate.path()?,
        key: key.path()?,
        config: Arc::new(config),
        chain_pem: Arc::from(pem::encode(&chain).into_bytes()),
    })
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}
