//! Messages of a server, as read from PostgreSQL and as sent to clients.

use super::{split_cstr, u32_at};

/// Bytes of a message's type and length word.
pub const HEADER: usize = 5;

/// The type byte of a message and the length of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The type byte.
    pub tag: u8,
    /// Bytes after the header.
    pub body: usize,
}

/// The server broke the protocol; the connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server sent a message that does not fit the protocol")]
pub struct FrameError;

/// Reads the header at the front of `bytes`; `None` while it is not complete.
///
/// # Errors
/// On a length below the length word's own.
#[inline]
pub fn header(bytes: &[u8]) -> Result<Option<Header>, FrameError> {
    let [tag, len @ ..] = bytes else {
        return Ok(None);
    };
    let Some(len) = len.first_chunk() else {
        return Ok(None);
    };
    let body = u32::from_be_bytes(*len).checked_sub(4).ok_or(FrameError)?;
    let body = usize::try_from(body).map_err(|_| FrameError)?;
    Ok(Some(Header { tag: *tag, body }))
}

/// The state of the transaction, from ReadyForQuery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// No transaction is open.
    Idle,
    /// One is open.
    Open,
    /// One is open and failed: only its end is accepted.
    Failed,
}

impl TransactionStatus {
    /// Reads the status byte.
    ///
    /// # Errors
    /// On any other byte.
    pub fn decode(body: &[u8]) -> Result<Self, FrameError> {
        match body {
            b"I" => Ok(Self::Idle),
            b"T" => Ok(Self::Open),
            b"E" => Ok(Self::Failed),
            _ => Err(FrameError),
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Open => b'T',
            Self::Failed => b'E',
        }
    }
}

/// The name and value of a ParameterStatus.
#[must_use]
pub fn parameter_status(body: &[u8]) -> Option<(&str, &str)> {
    let (name, rest) = split_cstr(body)?;
    let (value, _) = split_cstr(rest)?;
    Some((
        std::str::from_utf8(name).ok()?,
        std::str::from_utf8(value).ok()?,
    ))
}

/// The process id and secret key of a BackendKeyData.
#[must_use]
pub fn backend_key_data(body: &[u8]) -> Option<(u32, &[u8])> {
    Some((u32_at(body, 0)?, body.get(4..)?))
}

/// The values of a DataRow, each `None` when NULL.
#[must_use]
pub fn data_row(body: &[u8]) -> Option<Vec<Option<&[u8]>>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (len, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        match i32::from_be_bytes(*len) {
            -1 => values.push(None),
            len => {
                let (value, after) = rest.split_at_checked(usize::try_from(len).ok()?)?;
                values.push(Some(value));
                rest = after;
            }
        }
    }
    rest.is_empty().then_some(values)
}

/// The value of a FunctionCallResponse, `None` when NULL.
#[must_use]
pub fn function_result(body: &[u8]) -> Option<Option<&[u8]>> {
    let (len, value) = body.split_first_chunk::<4>()?;
    match i32::from_be_bytes(*len) {
        -1 => value.is_empty().then_some(None),
        len => (usize::try_from(len).ok()? == value.len()).then_some(Some(value)),
    }
}

/// What an ErrorResponse or NoticeResponse says, as far as it is acted upon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// ERROR, FATAL, PANIC, … in English where the server says so.
    pub severity: String,
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
}

impl Report {
    /// Whether a statement was cancelled, by request or by a timeout
    /// (SQLSTATE 57014), and the session goes on.
    #[must_use]
    pub fn is_cancel(&self) -> bool {
        self.sqlstate == "57014" && self.severity == "ERROR"
    }

    /// Whether the server ends the session with it.
    #[must_use]
    pub fn ends_session(&self) -> bool {
        self.severity == "FATAL" || self.severity == "PANIC"
    }
}

/// Decodes the fields of an ErrorResponse or NoticeResponse.
#[must_use]
pub fn report(body: &[u8]) -> Report {
    let mut report = Report::default();
    let mut rest = body;
    while let Some((field, after)) = rest.split_first() {
        let Some((value, after)) = split_cstr(after) else {
            break;
        };
        let text = || String::from_utf8_lossy(value).into_owned();
        match field {
            b'S' if report.severity.is_empty() => report.severity = text(),
            b'V' => report.severity = text(),
            b'C' => report.sqlstate = text(),
            b'M' => report.message = text(),
            _ => {}
        }
        rest = after;
    }
    report
}

/// Appends a message: type, length, body.
pub fn message(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.push(tag);
    // A body of ours is far below 4 GiB; a longer one would be cut, not wrong.
    let len = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(body);
}

/// ParseComplete.
pub const PARSE_COMPLETE: &[u8] = b"1\0\0\0\x04";
/// BindComplete.
pub const BIND_COMPLETE: &[u8] = b"2\0\0\0\x04";
/// NoData.
pub const NO_DATA: &[u8] = b"n\0\0\0\x04";
/// PortalSuspended.
pub const PORTAL_SUSPENDED: &[u8] = b"s\0\0\0\x04";
/// CloseComplete.
pub const CLOSE_COMPLETE: &[u8] = b"3\0\0\0\x04";

/// Appends a ReadyForQuery.
pub fn ready_for_query(out: &mut Vec<u8>, status: TransactionStatus) {
    message(out, b'Z', &[status.byte()]);
}

/// Appends a CommandComplete.
pub fn command_complete(out: &mut Vec<u8>, tag: &str) {
    message(out, b'C', &[tag.as_bytes(), b"\0"].concat());
}

/// Appends a ParameterDescription: the types of a statement's parameters.
pub fn parameter_description(out: &mut Vec<u8>, types: &[u32]) {
    let mut body = u16::try_from(types.len())
        .unwrap_or(0)
        .to_be_bytes()
        .to_vec();
    for oid in types {
        body.extend_from_slice(&oid.to_be_bytes());
    }
    message(out, b't', &body);
}

/// Appends a RowDescription of one column that is of no table: its name, its
/// type's OID and length in bytes, its format (0 text, 1 binary).
pub fn row_description(out: &mut Vec<u8>, name: &str, oid: u32, len: u16, format: u16) {
    let mut body = 1_u16.to_be_bytes().to_vec();
    body.extend_from_slice(name.as_bytes());
    body.push(0);
    // Table and column: none.
    body.extend_from_slice(&[0; 6]);
    body.extend_from_slice(&oid.to_be_bytes());
    body.extend_from_slice(&len.to_be_bytes());
    // The type's modifier: none.
    body.extend_from_slice(&(-1_i32).to_be_bytes());
    body.extend_from_slice(&format.to_be_bytes());
    message(out, b'T', &body);
}

/// Appends a DataRow of one value, `None` for NULL.
pub fn write_data_row(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let mut body = 1_u16.to_be_bytes().to_vec();
    // A value of ours is short.
    let len = value.map_or(-1, |value| i32::try_from(value.len()).unwrap_or(0));
    body.extend_from_slice(&len.to_be_bytes());
    body.extend_from_slice(value.unwrap_or_default());
    message(out, b'D', &body);
}

/// Appends a ParameterStatus.
pub fn write_parameter_status(out: &mut Vec<u8>, name: &str, value: &str) {
    message(
        out,
        b'S',
        &[name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat(),
    );
}

/// Appends a BackendKeyData.
pub fn write_backend_key_data(out: &mut Vec<u8>, pid: u32, secret: &[u8]) {
    message(out, b'K', &[&pid.to_be_bytes(), secret].concat());
}

/// Appends a NegotiateProtocolVersion: the newest minor version that is
/// supported, and the `_pq_.` options that are not.
pub fn negotiate_protocol_version(out: &mut Vec<u8>, minor: u16, unknown: &[&str]) {
    let mut body = ((3_u32 << 16) | u32::from(minor)).to_be_bytes().to_vec();
    body.extend(u32::try_from(unknown.len()).unwrap_or(0).to_be_bytes());
    for name in unknown {
        body.extend_from_slice(name.as_bytes());
        body.push(0);
    }
    message(out, b'v', &body);
}

/// Requests and results of authentication (protocol section "Start-up").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// The client is in.
    Ok,
    /// The password is to be sent as it is.
    CleartextPassword,
    /// SASL begins; these mechanisms are offered.
    Sasl(&'a [&'a str]),
    /// The mechanism's next step.
    SaslContinue(&'a [u8]),
    /// The mechanism's last word.
    SaslFinal(&'a [u8]),
}

impl Authentication<'_> {
    /// Appends the message.
    pub fn encode(self, out: &mut Vec<u8>) {
        let body = match self {
            Self::Ok => 0_u32.to_be_bytes().to_vec(),
            Self::CleartextPassword => 3_u32.to_be_bytes().to_vec(),
            Self::Sasl(mechanisms) => {
                let mut body = 10_u32.to_be_bytes().to_vec();
                for mechanism in mechanisms {
                    body.extend_from_slice(mechanism.as_bytes());
                    body.push(0);
                }
                body.push(0);
                body
            }
            Self::SaslContinue(data) => [&11_u32.to_be_bytes()[..], data].concat(),
            Self::SaslFinal(data) => [&12_u32.to_be_bytes()[..], data].concat(),
        };
        message(out, b'R', &body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_error_is_read_by_its_fields() {
        let body = b"SFEHLER\0VERROR\0C42P01\0Mno such table\0Hx\0\0";
        let report = report(body);
        assert_eq!(report.severity, "ERROR");
        assert_eq!(report.sqlstate, "42P01");
        assert_eq!(report.message, "no such table");
    }

    #[test]
    fn a_row_is_read_exactly() {
        assert_eq!(
            data_row(b"\0\x02\0\0\0\x01a\xff\xff\xff\xff"),
            Some(vec![Some(&b"a"[..]), None])
        );
        assert_eq!(data_row(b"\0\x01\0\0\0\x02a"), None);
        assert_eq!(data_row(b"\0\x00x"), None);
    }

    #[test]
    fn a_functions_result_is_read_exactly() {
        assert_eq!(function_result(b"\0\0\0\x02ab"), Some(Some(&b"ab"[..])));
        assert_eq!(function_result(b"\0\0\0\0"), Some(Some(&b""[..])));
        assert_eq!(function_result(b"\xff\xff\xff\xff"), Some(None));
        assert_eq!(function_result(b"\0\0\0\x02abc"), None);
        assert_eq!(function_result(b"\0\0\0\x02a"), None);
        assert_eq!(function_result(b"\0\0\0"), None);
    }

    #[test]
    fn a_row_that_is_written_is_read_back() {
        for value in [Some(&b"t"[..]), None] {
            let mut out = Vec::new();
            write_data_row(&mut out, value);
            assert_eq!(data_row(&out[HEADER..]), Some(vec![value]));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = header(&bytes);
            let _ = parameter_status(&bytes);
            let _ = backend_key_data(&bytes);
            let _ = data_row(&bytes);
            let _ = function_result(&bytes);
            let _ = report(&bytes);
            let _ = TransactionStatus::decode(&bytes);
        }
    }
}
