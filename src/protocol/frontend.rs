//! Messages that a client sends once it is logged in.

use super::{split_cstr, u32_at};
use bytes::{BufMut as _, BytesMut};
use std::num::TryFromIntError;

/// Bytes of a message's type and length word.
pub const HEADER: usize = 5;

/// The longest message that may be large (PostgreSQL: `PQ_LARGE_MESSAGE_LIMIT`).
const LARGE: u32 = 0x3fff_ffff;
/// The longest of the others (PostgreSQL: `PQ_SMALL_MESSAGE_LIMIT`).
const SMALL: u32 = 10_000;

/// The type of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the protocol's documentation")]
pub enum Kind {
    Bind,
    Close,
    CopyData,
    CopyDone,
    CopyFail,
    Describe,
    Execute,
    Flush,
    FunctionCall,
    Parse,
    Query,
    Sync,
    Terminate,
}

/// A message's type and the length of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The type.
    pub kind: Kind,
    /// Bytes after the header.
    pub body: usize,
}

/// Why bytes are not a message. The place of the next message is unknown from
/// here on, so the connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No message has this type, or not now.
    #[error("invalid frontend message type {0}")]
    Kind(u8),
    /// The type does not allow this length.
    #[error("invalid message length")]
    Length,
}

/// Reads the header at the front of `bytes`; `None` while it is not complete.
///
/// # Errors
/// On a type or length that the protocol does not know.
#[inline]
pub fn header(bytes: &[u8]) -> Result<Option<Header>, FrameError> {
    let Some(tag) = bytes.first() else {
        return Ok(None);
    };
    let (kind, bounds) = match tag {
        b'B' => (Kind::Bind, 4..=LARGE),
        b'C' => (Kind::Close, 6..=SMALL),
        b'd' => (Kind::CopyData, 4..=LARGE),
        b'c' => (Kind::CopyDone, 4..=4),
        b'f' => (Kind::CopyFail, 5..=SMALL),
        b'D' => (Kind::Describe, 6..=SMALL),
        b'E' => (Kind::Execute, 9..=SMALL),
        b'H' => (Kind::Flush, 4..=4),
        b'F' => (Kind::FunctionCall, 4..=LARGE),
        b'P' => (Kind::Parse, 8..=LARGE),
        b'Q' => (Kind::Query, 5..=LARGE),
        b'S' => (Kind::Sync, 4..=4),
        b'X' => (Kind::Terminate, 4..=4),
        other => return Err(FrameError::Kind(*other)),
    };
    let Some(len) = u32_at(bytes, 1) else {
        return Ok(None);
    };
    if !bounds.contains(&len) {
        return Err(FrameError::Length);
    }
    let body = usize::try_from(len - 4).map_err(|_| FrameError::Length)?;
    Ok(Some(Header { kind, body }))
}

/// The body does not have the layout of its message type. The next message
/// can be found, so the session survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid message format")]
pub struct LayoutError;

/// The text of a Query, without its NUL.
///
/// # Errors
/// If the body is not one NUL-terminated text.
pub fn query(body: &[u8]) -> Result<&[u8], LayoutError> {
    whole_cstr(body)
}

/// A Parse message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    /// The prepared statement's name; empty for the unnamed one.
    pub name: &'a [u8],
    /// The statement's text, without its NUL.
    pub sql: &'a [u8],
    /// All that follows the name: text, NUL, parameter types.
    pub tail: &'a [u8],
}

/// The parameter types (OIDs) in a [`Parse::tail`].
pub fn parameter_types(tail: &[u8]) -> impl Iterator<Item = u32> {
    let types = split_cstr(tail).and_then(|(_, types)| types.get(2..));
    let (oids, _) = types.unwrap_or_default().as_chunks::<4>();
    oids.iter().map(|oid| u32::from_be_bytes(*oid))
}

/// Decodes the body of a Parse.
///
/// # Errors
/// If the layout is not exact.
pub fn parse(body: &[u8]) -> Result<Parse<'_>, LayoutError> {
    let (name, tail) = split_cstr(body).ok_or(LayoutError)?;
    let (sql, types) = split_cstr(tail).ok_or(LayoutError)?;
    let [high, low, oids @ ..] = types else {
        return Err(LayoutError);
    };
    let count = usize::from(u16::from_be_bytes([*high, *low]));
    if oids.len() != count * 4 {
        return Err(LayoutError);
    }
    Ok(Parse { name, sql, tail })
}

/// The front of a Bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindHead<'a> {
    /// The portal's name.
    pub portal: &'a [u8],
    /// The prepared statement's name.
    pub statement: &'a [u8],
    /// Bytes of the body that both names take, with their NULs.
    pub len: usize,
}

/// The front of a Bind's body, of which `body` may be a part: `None` while the
/// names are not complete.
#[must_use]
pub fn bind_head(body: &[u8]) -> Option<BindHead<'_>> {
    let (portal, rest) = split_cstr(body)?;
    let (statement, _) = split_cstr(rest)?;
    Some(BindHead {
        portal,
        statement,
        len: portal.len() + statement.len() + 2,
    })
}

/// What a Bind has behind its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindValues<'a> {
    /// Each parameter's format (0 text, 1 binary) and value, `None` when NULL.
    pub parameters: Vec<(u16, Option<&'a [u8]>)>,
    /// Formats of the result's columns: none (all text), one for all, or one
    /// each.
    pub results: Vec<u16>,
}

/// Decodes what follows the names of a Bind.
///
/// # Errors
/// If the layout is not exact.
pub fn bind_values(body: &[u8]) -> Result<BindValues<'_>, LayoutError> {
    let (formats, rest) = u16_list(body).ok_or(LayoutError)?;
    let (count, mut rest) = rest.split_first_chunk::<2>().ok_or(LayoutError)?;
    let count = usize::from(u16::from_be_bytes(*count));
    if formats.len() > 1 && formats.len() != count {
        return Err(LayoutError);
    }
    let mut parameters = Vec::new();
    for at in 0..count {
        let (len, after) = rest.split_first_chunk::<4>().ok_or(LayoutError)?;
        let (value, after) = match i32::from_be_bytes(*len) {
            -1 => (None, after),
            len => {
                let len = usize::try_from(len).map_err(|_| LayoutError)?;
                let (value, after) = after.split_at_checked(len).ok_or(LayoutError)?;
                (Some(value), after)
            }
        };
        let format = match formats.as_slice() {
            [all] => *all,
            each => each.get(at).copied().unwrap_or(0),
        };
        parameters.push((format, value));
        rest = after;
    }
    match u16_list(rest) {
        Some((results, [])) => Ok(BindValues {
            parameters,
            results,
        }),
        _ => Err(LayoutError),
    }
}

/// A count and as many numbers, of 16 bits each.
fn u16_list(bytes: &[u8]) -> Option<(Vec<u16>, &[u8])> {
    let (count, rest) = bytes.split_first_chunk::<2>()?;
    let len = usize::from(u16::from_be_bytes(*count)) * 2;
    let (list, rest) = rest.split_at_checked(len)?;
    let (pairs, _) = list.as_chunks::<2>();
    Some((
        pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect(),
        rest,
    ))
}

/// What Describe and Close name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// A prepared statement.
    Statement(&'a [u8]),
    /// A portal.
    Portal(&'a [u8]),
}

/// Decodes the body of a Describe or Close.
///
/// # Errors
/// If the layout is not exact.
pub fn target(body: &[u8]) -> Result<Target<'_>, LayoutError> {
    match body.split_first() {
        Some((b'S', name)) => whole_cstr(name).map(Target::Statement),
        Some((b'P', name)) => whole_cstr(name).map(Target::Portal),
        _ => Err(LayoutError),
    }
}

/// Checks the body of an Execute: a portal's name and a row limit.
///
/// # Errors
/// If the layout is not exact.
pub fn execute(body: &[u8]) -> Result<(), LayoutError> {
    match split_cstr(body) {
        Some((_, rest)) if rest.len() == 4 => Ok(()),
        _ => Err(LayoutError),
    }
}

/// Appends a FunctionCall: the function's OID and its arguments, `None` when
/// NULL, as texts. The result is asked for as a text.
///
/// # Errors
/// If there are more arguments or bytes than a message can have; then nothing
/// is appended.
pub fn write_function_call(
    out: &mut BytesMut,
    function: u32,
    arguments: &[Option<&str>],
) -> Result<(), TryFromIntError> {
    let count = u16::try_from(arguments.len())?;
    let values = arguments.iter().map(|value| 4 + value.map_or(0, str::len));
    let len = i32::try_from(14 + values.sum::<usize>())?;
    out.put_u8(b'F');
    out.put_i32(len);
    out.put_u32(function);
    // No formats: all arguments are texts.
    out.put_u16(0);
    out.put_u16(count);
    for argument in arguments {
        match argument {
            Some(value) => {
                out.put_i32(i32::try_from(value.len())?);
                out.put_slice(value.as_bytes());
            }
            None => out.put_i32(-1),
        }
    }
    out.put_u16(0);
    Ok(())
}

fn whole_cstr(body: &[u8]) -> Result<&[u8], LayoutError> {
    match split_cstr(body) {
        Some((text, [])) => Ok(text),
        _ => Err(LayoutError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_length_word_is_taken_only_where_its_type_allows_it() {
        let frame = |tag: u8, len: u32| {
            let mut bytes = vec![tag];
            bytes.extend(len.to_be_bytes());
            header(&bytes)
        };
        assert_eq!(
            frame(b'S', 4),
            Ok(Some(Header {
                kind: Kind::Sync,
                body: 0
            }))
        );
        assert_eq!(
            frame(b'Q', 13),
            Ok(Some(Header {
                kind: Kind::Query,
                body: 9
            }))
        );
        for (tag, len) in [
            (b'S', 5),
            (b'Q', 4),
            (b'Q', 0),
            (b'Q', u32::MAX),
            (b'E', 10_001),
            (b'X', 3),
        ] {
            assert_eq!(frame(tag, len), Err(FrameError::Length), "{tag} {len}");
        }
        assert_eq!(frame(b'z', 4), Err(FrameError::Kind(b'z')));
        assert_eq!(header(b"Q\0\0\0"), Ok(None));
        assert_eq!(header(b""), Ok(None));
    }

    #[test]
    fn bodies_must_fit_exactly() {
        assert_eq!(query(b"SELECT 1\0"), Ok(&b"SELECT 1"[..]));
        assert_eq!(query(b"SELECT 1"), Err(LayoutError));
        assert_eq!(query(b"SELECT 1\0; DROP\0"), Err(LayoutError));
        let parsed = parse(b"s\0SELECT $1\0\0\x01\0\0\0\x17").unwrap();
        assert_eq!((parsed.name, parsed.sql), (&b"s"[..], &b"SELECT $1"[..]));
        assert_eq!(parse(b"s\0SELECT $1\0\0\x02\0\0\0\x17"), Err(LayoutError));
        assert_eq!(parse(b"s\0SELECT 1\0"), Err(LayoutError));
        assert_eq!(target(b"Sx\0"), Ok(Target::Statement(b"x")));
        assert_eq!(target(b"Px\0\0"), Err(LayoutError));
        assert_eq!(target(b"Qx\0"), Err(LayoutError));
        assert_eq!(execute(b"p\0\0\0\0\0"), Ok(()));
        assert_eq!(execute(b"p\0\0\0\0"), Err(LayoutError));
    }

    #[test]
    fn a_bind_is_known_by_its_front() {
        let head = bind_head(b"p\0stmt\0rest").unwrap();
        assert_eq!(
            (head.portal, head.statement, head.len),
            (&b"p"[..], &b"stmt"[..], 7)
        );
        assert_eq!(bind_head(b"p\0stm"), None);
    }

    #[test]
    fn a_function_call_has_the_layout_of_the_protocol() {
        let mut out = BytesMut::new();
        write_function_call(&mut out, 2078, &[Some("ab"), None]).unwrap();
        let body = b"\0\0\x08\x1e\0\0\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\0";
        assert_eq!(header(&out).unwrap().unwrap().kind, Kind::FunctionCall);
        assert_eq!(header(&out).unwrap().unwrap().body, body.len());
        assert_eq!(&out[HEADER..], body);
    }

    #[test]
    fn bound_values_must_fit_exactly() {
        let body = b"\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\x01\0\0";
        let values = bind_values(body).unwrap();
        assert_eq!(values.parameters, [(1, Some(&b"ab"[..])), (1, None)]);
        assert_eq!(values.results, [0]);
        assert_eq!(bind_values(&body[..body.len() - 1]), Err(LayoutError));
        assert_eq!(bind_values(b"\0\0\0\0\0\0x"), Err(LayoutError));
        // Two formats for one value.
        let formats = b"\0\x02\0\0\0\0\0\x01\0\0\0\x01a\0\0";
        assert_eq!(bind_values(formats), Err(LayoutError));
        assert_eq!(bind_values(b"\0\0\0\x01\0\0\0\x09a\0\0"), Err(LayoutError));
        let tail = b"SELECT $1\0\0\x01\0\0\0\x19";
        assert_eq!(parameter_types(tail).collect::<Vec<_>>(), [25]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = header(&bytes);
            let _ = query(&bytes);
            let _ = parse(&bytes);
            let _ = bind_head(&bytes);
            let _ = target(&bytes);
            let _ = execute(&bytes);
            let _ = bind_values(&bytes);
            let _ = parameter_types(&bytes).count();
        }
    }
}
