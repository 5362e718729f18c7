//! Messages of a client byte by byte, whole ones and such as no driver sends.

use bytes::BytesMut;
use postgres_protocol::message::frontend;

/// The code of an SSLRequest.
pub const SSL_REQUEST: u32 = 80_877_103;
/// The code of a GSSENCRequest.
pub const GSSENC_REQUEST: u32 = 80_877_104;
/// The code of a CancelRequest.
pub const CANCEL_REQUEST: u32 = 80_877_102;
/// The protocol that all drivers speak.
pub const V3_0: u32 = 3 << 16;
/// The protocol of PostgreSQL 18.
pub const V3_2: u32 = (3 << 16) | 2;
/// SCRAM without channel binding.
pub const PLAIN: &str = "SCRAM-SHA-256";
/// SCRAM with channel binding.
pub const PLUS: &str = "SCRAM-SHA-256-PLUS";

/// A first packet: length, code, body.
pub fn packet(code: u32, body: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(body.len() + 8)
        .unwrap()
        .to_be_bytes()
        .to_vec();
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// A StartupMessage.
pub fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in parameters {
        for text in [name, value] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    packet(version, &body)
}

/// Any message.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    announced(tag, u32::try_from(body.len() + 4).unwrap(), body)
}

/// A message whose length word says what it likes.
pub fn announced(tag: u8, len: u32, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// A SASLInitialResponse.
pub fn initial_response(mechanism: &str, data: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    frontend::sasl_initial_response(mechanism, data, &mut out).unwrap();
    out.to_vec()
}
