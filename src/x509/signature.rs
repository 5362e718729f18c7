//! Signatures by the keys of certificates that webpki does not parse.

use super::{has_version_1, parse};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerIncompatible};
use x509_parser::asn1_rs::{Any, FromDer};
use x509_parser::certificate::X509Certificate;

/// Verifies the signature of a TLS 1.2 handshake with the certificate's key.
///
/// # Errors
/// If it is not one of that key.
pub fn verify_tls12(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    if !has_version_1(certificate) {
        return verify_tls12_signature(message, certificate, signature, algorithms);
    }
    let parsed = parse(certificate)?;
    let (key_algorithm, key) = public_key(parsed.public_key().raw)?;
    let of_scheme = algorithms
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signature.scheme)
        .ok_or(PeerIncompatible::NoSignatureSchemesInCommon)?;
    for algorithm in of_scheme.1 {
        if algorithm.public_key_alg_id().as_ref() == key_algorithm {
            return algorithm
                .verify_signature(key, message, signature.signature())
                .map(|()| HandshakeSignatureValid::assertion())
                .map_err(|_| CertificateError::BadSignature.into());
        }
    }
    Err(CertificateError::BadSignature.into())
}

/// Verifies the signature of a TLS 1.3 handshake with the certificate's key.
///
/// # Errors
/// If it is not one of that key.
pub fn verify_tls13(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    if !has_version_1(certificate) {
        return verify_tls13_signature(message, certificate, signature, algorithms);
    }
    let parsed = parse(certificate)?;
    let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
    verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
}

/// Verifies that the key (SubjectPublicKeyInfo, DER) has signed the certificate.
pub(super) fn verify_issued(
    certificate: &X509Certificate<'_>,
    issuer_key: &[u8],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<(), Error> {
    let bad = || Error::from(CertificateError::BadSignature);
    // What the signature covers must say the same as what stands beside it.
    if certificate.tbs_certificate.signature != certificate.signature_algorithm {
        return Err(bad());
    }
    let encoding = |_| Error::from(CertificateError::BadEncoding);
    let (_, whole) = Any::from_der(certificate.as_raw()).map_err(encoding)?;
    let (rest, _tbs) = Any::from_der(whole.data).map_err(encoding)?;
    let (_, signature_algorithm) = Any::from_der(rest).map_err(encoding)?;
    let (key_algorithm, key) = public_key(issuer_key)?;
    if certificate.signature_value.unused_bits != 0 {
        return Err(bad());
    }
    let algorithm = algorithms.iter().find(|algorithm| {
        algorithm.signature_alg_id().as_ref() == signature_algorithm.data
            && algorithm.public_key_alg_id().as_ref() == key_algorithm
    });
    let algorithm = algorithm.ok_or_else(bad)?;
    let tbs = certificate.tbs_certificate.as_ref();
    algorithm
        .verify_signature(key, tbs, &certificate.signature_value.data)
        .map_err(|_| bad())
}

/// Algorithm (the content of its AlgorithmIdentifier) and key of a
/// SubjectPublicKeyInfo.
fn public_key(der: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let encoding = |_| Error::from(CertificateError::BadEncoding);
    let (_, info) = Any::from_der(der).map_err(encoding)?;
    let (rest, algorithm) = Any::from_der(info.data).map_err(encoding)?;
    match Any::from_der(rest).map_err(encoding)? {
        ([], bits) => match bits.data.split_first() {
            // No bit of the last byte is unused.
            Some((0, key)) if bits.header.tag() == x509_parser::asn1_rs::Tag::BitString => {
                Ok((algorithm.data, key))
            }
            _ => Err(CertificateError::BadEncoding.into()),
        },
        _ => Err(CertificateError::BadEncoding.into()),
    }
}
