//! What binds a login to the certificate of its TLS connection.

use aws_lc_rs::digest::{self, Algorithm};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::AlgorithmIdentifier;

/// The `tls-server-end-point` channel binding data (RFC 5929, section 4.1): the
/// certificate's hash by the hash function of its signature, or SHA-256 where
/// that is MD5 or SHA-1. `None` where the signature names no hash function, as
/// that of Ed25519: such a certificate has no channel binding in libpq either.
#[must_use]
pub fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = hash_of(&parsed.signature_algorithm)?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

/// The hash function for the data, by the signature's algorithm.
fn hash_of(signature: &AlgorithmIdentifier<'_>) -> Option<&'static Algorithm> {
    match &*signature.algorithm.to_id_string() {
        // md5, sha1, sha224, sha256, sha384, sha512 with RSA.
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" => Some(&digest::SHA256),
        "1.2.840.113549.1.1.14" => Some(&digest::SHA224),
        "1.2.840.113549.1.1.11" => Some(&digest::SHA256),
        "1.2.840.113549.1.1.12" => Some(&digest::SHA384),
        "1.2.840.113549.1.1.13" => Some(&digest::SHA512),
        // ecdsa with SHA1, SHA224, SHA256, SHA384, SHA512.
        "1.2.840.10045.4.1" => Some(&digest::SHA256),
        "1.2.840.10045.4.3.1" => Some(&digest::SHA224),
        "1.2.840.10045.4.3.2" => Some(&digest::SHA256),
        "1.2.840.10045.4.3.3" => Some(&digest::SHA384),
        "1.2.840.10045.4.3.4" => Some(&digest::SHA512),
        "1.2.840.113549.1.1.10" => match SignatureAlgorithm::try_from(signature).ok()? {
            SignatureAlgorithm::RSASSA_PSS(parameters) => {
                hash_named(&parameters.hash_algorithm_oid().to_id_string())
            }
            _ => None,
        },
        _ => None,
    }
}

fn hash_named(oid: &str) -> Option<&'static Algorithm> {
    match oid {
        // SHA-1, MD5.
        "1.3.14.3.2.26" | "1.2.840.113549.2.5" => Some(&digest::SHA256),
        "2.16.840.1.101.3.4.2.4" => Some(&digest::SHA224),
        "2.16.840.1.101.3.4.2.1" => Some(&digest::SHA256),
        "2.16.840.1.101.3.4.2.2" => Some(&digest::SHA384),
        "2.16.840.1.101.3.4.2.3" => Some(&digest::SHA512),
        _ => None,
    }
}
