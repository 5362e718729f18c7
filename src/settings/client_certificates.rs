//! Which client certificates are valid.

use super::pem;
use super::reader::{Entry, Section};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::sync::Arc;

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
    let roots = roots(&authorities);
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
        Ok(verifier) => Some(Verification::Optional(verifier)),
        Err(e) => {
            let culprit = lists_entry.as_ref().unwrap_or(&authorities);
            culprit.refuse_hidden(format!("cannot be used: {e}"));
            None
        }
    }
}

fn roots(entry: &Entry<'_>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(entry)? {
        if let Err(e) = roots.add(certificate) {
            entry.refuse(format!("has a certificate that is of no use: {e}"));
            return None;
        }
    }
    Some(roots)
}
