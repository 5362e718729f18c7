//! The first packet of a connection: it has a length but no type byte
//! (protocol section "Message Formats": StartupMessage, SSLRequest,
//! GSSENCRequest, CancelRequest).

use super::{split_cstr, u32_at};

/// The largest first packet that is taken, its length word included. PostgreSQL
/// has the same limit (`MAX_STARTUP_PACKET_LENGTH`).
pub const MAX_PACKET: usize = 10_000;

const SSL_REQUEST: u32 = (1234 << 16) | 5679;
const GSSENC_REQUEST: u32 = (1234 << 16) | 5680;
const CANCEL_REQUEST: u32 = (1234 << 16) | 5678;

/// What a client opens a connection with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// It asks for TLS.
    SslRequest,
    /// It asks for GSSAPI encryption.
    GssEncRequest,
    /// It asks to cancel what another connection runs.
    Cancel(CancelRequest),
    /// It begins a session.
    Startup(Startup),
}

/// A request to cancel: the key data that the session was given.
#[derive(Clone, PartialEq, Eq)]
pub struct CancelRequest {
    /// The process id from BackendKeyData.
    pub pid: u32,
    /// The secret key from BackendKeyData, 4 to 256 bytes.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for CancelRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelRequest")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// A StartupMessage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// The minor version that was asked for; the major one is 3.
    pub minor: u16,
    /// Names and values in the client's order, each name once.
    pub parameters: Vec<(String, String)>,
}

/// Why a first packet is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// The length word is out of bounds.
    #[error("invalid length of startup packet")]
    Length,
    /// The protocol is not version 3.
    #[error("unsupported frontend protocol {0}.{1}: server supports 3.0 to 3.2")]
    Version(u16, u16),
    /// The names and values are not NUL-terminated pairs up to the end.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    Layout,
    /// A name or value is not UTF-8.
    #[error("startup parameter {0:?} is not valid UTF-8")]
    Encoding(String),
    /// A name occurs twice.
    #[error("startup parameter {0:?} is given twice")]
    Duplicate(String),
}

/// The length of the packet that begins with `bytes`, its own length word
/// included; `None` while the word is not complete.
///
/// # Errors
/// [`StartupError::Length`] if no first packet has that length.
pub fn packet_len(bytes: &[u8]) -> Result<Option<usize>, StartupError> {
    let Some(len) = u32_at(bytes, 0) else {
        return Ok(None);
    };
    match usize::try_from(len) {
        Ok(len) if (8..=MAX_PACKET).contains(&len) => Ok(Some(len)),
        _ => Err(StartupError::Length),
    }
}

/// Decodes one whole packet, its length word included.
///
/// # Errors
/// Says what does not fit; nothing is guessed.
pub fn decode(packet: &[u8]) -> Result<Packet, StartupError> {
    if packet_len(packet)? != Some(packet.len()) {
        return Err(StartupError::Length);
    }
    let code = u32_at(packet, 4).ok_or(StartupError::Length)?;
    let body = packet.get(8..).ok_or(StartupError::Length)?;
    match code {
        SSL_REQUEST if body.is_empty() => Ok(Packet::SslRequest),
        GSSENC_REQUEST if body.is_empty() => Ok(Packet::GssEncRequest),
        SSL_REQUEST | GSSENC_REQUEST => Err(StartupError::Length),
        CANCEL_REQUEST => cancel(body).map(Packet::Cancel),
        _ => startup(code, body).map(Packet::Startup),
    }
}

fn cancel(body: &[u8]) -> Result<CancelRequest, StartupError> {
    let pid = u32_at(body, 0).ok_or(StartupError::Length)?;
    match body.get(4..) {
        Some(secret) if (4..=256).contains(&secret.len()) => Ok(CancelRequest {
            pid,
            secret: secret.to_vec(),
        }),
        _ => Err(StartupError::Length),
    }
}

fn startup(code: u32, body: &[u8]) -> Result<Startup, StartupError> {
    let [high, low] = [(code >> 16) as u16, (code & 0xffff) as u16];
    if high != 3 {
        return Err(StartupError::Version(high, low));
    }
    let mut parameters: Vec<(String, String)> = Vec::new();
    let mut rest = body;
    loop {
        let (name, after) = split_cstr(rest).ok_or(StartupError::Layout)?;
        if name.is_empty() {
            return if after.is_empty() {
                Ok(Startup {
                    minor: low,
                    parameters,
                })
            } else {
                Err(StartupError::Layout)
            };
        }
        let (value, after) = split_cstr(after).ok_or(StartupError::Layout)?;
        let name = text(name, name)?;
        if parameters.iter().any(|(known, _)| *known == name) {
            return Err(StartupError::Duplicate(name));
        }
        let value = text(value, name.as_bytes())?;
        parameters.push((name, value));
        rest = after;
    }
}

fn text(bytes: &[u8], name: &[u8]) -> Result<String, StartupError> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| StartupError::Encoding(String::from_utf8_lossy(name).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(code: u32, body: &[u8]) -> Vec<u8> {
        let mut out = u32::try_from(body.len() + 8)
            .unwrap()
            .to_be_bytes()
            .to_vec();
        out.extend(code.to_be_bytes());
        out.extend(body);
        out
    }

    #[test]
    fn a_startup_message_keeps_order_and_values() {
        let decoded = decode(&packet(3 << 16, b"user\0a\0database\0d\0\0")).unwrap();
        let Packet::Startup(startup) = decoded else {
            panic!("{decoded:?}")
        };
        assert_eq!(startup.minor, 0);
        assert_eq!(
            startup.parameters,
            [("user".into(), "a".into()), ("database".into(), "d".into())]
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        use StartupError as E;
        for (bytes, error) in [
            (packet(3 << 16, b"user\0a\0"), E::Layout),
            (packet(3 << 16, b"user\0a\0\0x"), E::Layout),
            (packet(3 << 16, b"user\0a"), E::Layout),
            (packet(3 << 16, b""), E::Layout),
            (
                packet(3 << 16, b"user\0a\0user\0b\0\0"),
                E::Duplicate("user".into()),
            ),
            (
                packet(3 << 16, b"user\0\xff\0\0"),
                E::Encoding("user".into()),
            ),
            (packet(2 << 16, b"\0"), E::Version(2, 0)),
            (packet(SSL_REQUEST, b"x"), E::Length),
            (packet(CANCEL_REQUEST, b"1234567"), E::Length),
            (packet(CANCEL_REQUEST, &[0; 261]), E::Length),
            (vec![0, 0, 0, 7, 0, 0, 0, 0], E::Length),
            (vec![0, 0, 0, 9, 0, 3, 0, 0], E::Length),
        ] {
            assert_eq!(decode(&bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn the_three_requests_are_told_apart() {
        assert_eq!(decode(&packet(SSL_REQUEST, b"")), Ok(Packet::SslRequest));
        assert_eq!(
            decode(&packet(GSSENC_REQUEST, b"")),
            Ok(Packet::GssEncRequest)
        );
        let cancel = CancelRequest {
            pid: 7,
            secret: b"four".to_vec(),
        };
        assert_eq!(
            decode(&packet(CANCEL_REQUEST, b"\0\0\0\x07four")),
            Ok(Packet::Cancel(cancel))
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = packet_len(&bytes);
            let _ = decode(&bytes);
        }

        #[test]
        fn every_well_formed_message_comes_back(
            pairs in proptest::collection::btree_map("[a-z_.]{1,12}", "[^\0]{0,20}", 0..8)
        ) {
            let mut body = Vec::new();
            for (name, value) in &pairs {
                body.extend(name.as_bytes());
                body.push(0);
                body.extend(value.as_bytes());
                body.push(0);
            }
            body.push(0);
            let expected: Vec<_> = pairs.into_iter().collect();
            prop_assert_eq!(
                decode(&packet((3 << 16) | 2, &body)),
                Ok(Packet::Startup(Startup { minor: 2, parameters: expected }))
            );
        }
    }
}
