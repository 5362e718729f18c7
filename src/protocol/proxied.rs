//! The PROXY protocol's header, versions 1 and 2: a balancer says in it whose
//! connection it passes on (the protocol's specification is HAProxy's
//! `proxy-protocol.txt`).
//!
//! Where a header ends is decided here, and [`ppp`] gets exactly those bytes: it is
//! lenient about headers that are not complete.

use ppp::{v1, v2};
use std::net::{IpAddr, SocketAddr};

/// The longest header of version 1, its end of line included.
const MOST_V1: usize = 107;
/// The longest header of version 2 that is taken. Those that balancers send have some
/// hundred bytes, the names of certificates included.
const MOST_V2: usize = 4096;
/// The longest header.
pub const MOST: usize = MOST_V2;

/// The bytes of a header of version 2 that say how long it is.
const FIXED: usize = 16;
/// Version 2, command LOCAL.
const LOCAL: u8 = 0x20;

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The balancer's own, or that of somebody whom it does not know: the address is
    /// that of the connection.
    Connection,
    /// A client's, with this address.
    Client(SocketAddr),
}

/// Why a header is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// These are no first bytes of a header.
    #[error("the PROXY protocol's header is missing")]
    Missing,
    /// It goes on for longer than headers may.
    #[error("the PROXY protocol's header is too long")]
    TooLong,
    /// It does not have the form of its version.
    #[error("the PROXY protocol's header is malformed: {0}")]
    Malformed(String),
    /// It is of something that is no TCP connection.
    #[error("the PROXY protocol's header is not of a TCP connection")]
    NotTcp,
}

/// The length of the header that begins with `bytes`; `None` while more of it must come:
/// then all of `bytes` belong to it.
///
/// # Errors
/// If no header begins so, whatever comes.
pub fn header_len(bytes: &[u8]) -> Result<Option<usize>, HeaderError> {
    if begins(bytes, v2::PROTOCOL_PREFIX) {
        return len_of_v2(bytes);
    }
    if begins(bytes, v1::PROTOCOL_PREFIX.as_bytes()) {
        return len_of_v1(bytes);
    }
    Err(HeaderError::Missing)
}

/// Whether `bytes` begin with `prefix`, as far as they go.
fn begins(bytes: &[u8], prefix: &[u8]) -> bool {
    let len = bytes.len().min(prefix.len());
    bytes.get(..len) == prefix.get(..len)
}

fn len_of_v1(bytes: &[u8]) -> Result<Option<usize>, HeaderError> {
    match memchr::memchr(b'\n', bytes) {
        Some(end) if end < MOST_V1 => Ok(Some(end + 1)),
        None if bytes.len() < MOST_V1 => Ok(None),
        _ => Err(HeaderError::TooLong),
    }
}

fn len_of_v2(bytes: &[u8]) -> Result<Option<usize>, HeaderError> {
    let fixed = bytes.first_chunk::<FIXED>();
    let Some([.., high, low]) = fixed else {
        return Ok(None);
    };
    let len = FIXED + usize::from(u16::from_be_bytes([*high, *low]));
    match len {
        _ if len > MOST_V2 => Err(HeaderError::TooLong),
        _ if len > bytes.len() => Ok(None),
        _ => Ok(Some(len)),
    }
}

/// Decodes one whole header, and nothing behind it.
///
/// # Errors
/// If it is not one, or of no TCP connection.
pub fn decode(header: &[u8]) -> Result<Source, HeaderError> {
    if header_len(header)? != Some(header.len()) {
        return Err(malformed("it is not complete"));
    }
    match header.starts_with(v2::PROTOCOL_PREFIX) {
        true => decode_v2(header),
        false => decode_v1(header),
    }
}

fn decode_v1(header: &[u8]) -> Result<Source, HeaderError> {
    // Rust's numbers may have a sign, those of a header may not.
    if header.contains(&b'+') {
        return Err(malformed("it has a sign"));
    }
    let decoded = v1::Header::try_from(header).map_err(|error| malformed(&error.to_string()))?;
    if decoded.header.len() != header.len() {
        return Err(malformed("its line ends twice"));
    }
    Ok(match decoded.addresses {
        v1::Addresses::Unknown => Source::Connection,
        v1::Addresses::Tcp4(of) => client(of.source_address, of.source_port),
        v1::Addresses::Tcp6(of) => client(of.source_address, of.source_port),
    })
}

fn decode_v2(header: &[u8]) -> Result<Source, HeaderError> {
    // All that follows is to be ignored, whatever it is.
    if header.get(v2::PROTOCOL_PREFIX.len()) == Some(&LOCAL) {
        return Ok(Source::Connection);
    }
    let decoded = v2::Header::try_from(header).map_err(|error| malformed(&error.to_string()))?;
    match (decoded.addresses, decoded.protocol) {
        (v2::Addresses::Unspecified, _) => Ok(Source::Connection),
        (v2::Addresses::IPv4(of), v2::Protocol::Stream) => {
            Ok(client(of.source_address, of.source_port))
        }
        (v2::Addresses::IPv6(of), v2::Protocol::Stream) => {
            Ok(client(of.source_address, of.source_port))
        }
        _ => Err(HeaderError::NotTcp),
    }
}

fn client(address: impl Into<IpAddr>, port: u16) -> Source {
    Source::Client(SocketAddr::new(address.into(), port))
}

fn malformed(how: &str) -> HeaderError {
    // The library's texts are sentences.
    let how = how.trim_end_matches('.').escape_debug();
    HeaderError::Malformed(how.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v2(version_command: u8, family_protocol: u8, body: &[u8]) -> Vec<u8> {
        let mut header = v2::PROTOCOL_PREFIX.to_vec();
        header.extend([version_command, family_protocol]);
        header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        header.extend(body);
        header
    }

    const IPV4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0x19, 0x20];

    fn from(text: &str) -> Result<Source, HeaderError> {
        Ok(Source::Client(text.parse().unwrap()))
    }

    #[test]
    fn a_client_s_address_is_the_source_of_either_version() {
        let mut ipv6 = [0; 36];
        ipv6[..2].copy_from_slice(&[0x20, 1]);
        ipv6[15] = 9;
        ipv6[33] = 5;
        let mut with_more = IPV4.to_vec();
        with_more.extend([0x20, 0, 3, 1, 2, 3]);
        for (header, source) in [
            (
                b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 6432\r\n".to_vec(),
                "192.0.2.7:12345",
            ),
            (
                b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n".to_vec(),
                "[2001:db8::7]:1",
            ),
            (v2(0x21, 0x11, &IPV4), "192.0.2.7:12345"),
            (v2(0x21, 0x11, &with_more), "192.0.2.7:12345"),
            (v2(0x21, 0x21, &ipv6), "[2001::9]:5"),
        ] {
            assert_eq!(decode(&header), from(source), "{header:?}");
        }
    }

    #[test]
    fn a_connection_of_the_balancer_s_own_or_of_nobody_known_has_its_own_address() {
        for header in [
            b"PROXY UNKNOWN\r\n".to_vec(),
            b"PROXY UNKNOWN ffff:: ffff:: 65535 65535\r\n".to_vec(),
            v2(0x20, 0x00, b""),
            v2(0x20, 0x11, &IPV4),
            // Its family is to be ignored, although nothing of it is there.
            v2(0x20, 0x21, b""),
            v2(0x21, 0x00, b""),
            v2(0x21, 0x00, b"anything"),
        ] {
            assert_eq!(decode(&header), Ok(Source::Connection), "{header:?}");
        }
    }

    #[test]
    fn what_is_not_a_header_in_every_detail_is_refused() {
        for header in [
            &b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 +6432\r\n"[..],
            b"PROXY TCP4 192.0.2.7 10.0.0.1 012345 6432\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 65536\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345\r\n",
            b"PROXY TCP4 192.0.2.07 10.0.0.1 12345 6432\r\n",
            b"PROXY TCP4 2001:db8::7 ::1 12345 6432\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 6432 \r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 6432\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 6432\r\r\n",
            b"PROXY  TCP4 192.0.2.7 10.0.0.1 12345 6432\r\n",
            b"PROXY tcp4 192.0.2.7 10.0.0.1 12345 6432\r\n",
            b"PROXY\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 \xff 6432\r\n",
            &v2(0x11, 0x11, &IPV4),
            &v2(0x22, 0x11, &IPV4),
            &v2(0x21, 0x11, &IPV4[..11]),
            &v2(0x21, 0x41, &IPV4),
            &v2(0x21, 0x13, &IPV4),
        ] {
            let refused = decode(header);
            let malformed = matches!(refused, Err(HeaderError::Malformed(_)));
            assert!(malformed, "{refused:?} {header:?}");
        }
        for header in [v2(0x21, 0x12, &IPV4), v2(0x21, 0x31, &[0; 216])] {
            assert_eq!(decode(&header), Err(HeaderError::NotTcp), "{header:?}");
        }
    }

    #[test]
    fn a_header_has_a_bound() {
        let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat();
        assert_eq!(header_len(&endless[..106]), Ok(None));
        assert_eq!(header_len(&endless[..107]), Err(HeaderError::TooLong));
        let long = v2(0x21, 0x11, &vec![0; MOST_V2]);
        assert_eq!(header_len(&long[..15]), Ok(None));
        assert_eq!(header_len(&long[..16]), Err(HeaderError::TooLong));
    }

    #[test]
    fn what_begins_otherwise_is_no_header_from_its_first_byte_on() {
        let startup = [0, 0, 0, 8, 4, 210, 22, 47];
        for bytes in [&startup[..1], &startup, b"\x16\x03\x01", b"PROXX", b"GET /"] {
            assert_eq!(header_len(bytes), Err(HeaderError::Missing), "{bytes:?}");
        }
    }

    fn headers() -> impl Strategy<Value = Vec<u8>> {
        let v1 = prop_oneof![
            Just("PROXY UNKNOWN\r\n".to_owned()),
            any::<[u8; 4]>().prop_map(|ip| {
                let ip = IpAddr::from(ip);
                format!("PROXY TCP4 {ip} 10.0.0.1 1 2\r\n")
            }),
            any::<[u8; 16]>().prop_map(|ip| {
                let ip = IpAddr::from(ip);
                format!("PROXY TCP6 {ip} ::1 0 65535\r\n")
            }),
        ];
        let more = proptest::collection::vec(any::<u8>(), 0..300);
        let of_v2 = (any::<bool>(), more).prop_map(|(local, more)| {
            let body = [&IPV4[..], &more].concat();
            v2(if local { 0x20 } else { 0x21 }, 0x11, &body)
        });
        prop_oneof![v1.prop_map(String::into_bytes), of_v2]
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            v2 in any::<bool>(),
        ) {
            let prefix = match v2 {
                true => v2::PROTOCOL_PREFIX,
                false => b"PROXY ",
            };
            for bytes in [&bytes, &[prefix, &bytes].concat()] {
                let _ = decode(bytes);
                if let Ok(Some(len)) = header_len(bytes) {
                    let _ = decode(&bytes[..len]);
                }
            }
        }

        #[test]
        fn a_header_ends_where_it_ends_however_it_arrives(
            header in headers(),
            behind in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            let whole = [&header[..], &behind].concat();
            for seen in 0..header.len() {
                prop_assert_eq!(header_len(&whole[..seen]), Ok(None));
                prop_assert!(decode(&whole[..seen]).is_err());
            }
            for seen in header.len()..=whole.len() {
                prop_assert_eq!(header_len(&whole[..seen]), Ok(Some(header.len())));
            }
            prop_assert!(decode(&header).is_ok());
        }
    }
}
