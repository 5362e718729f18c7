//! One message of the protocol, and the fields of an error.

use crate::packets::message;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

/// One message of a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its type.
    pub tag: u8,
    /// What follows its length.
    pub body: Vec<u8>,
}

impl Message {
    /// Reads one that has a type, which all have but a client's first.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; 5];
        from.read_exact(&mut head)?;
        let [tag, len @ ..] = head;
        let mut body = vec![0; (u32::from_be_bytes(len) as usize).saturating_sub(4)];
        from.read_exact(&mut body)?;
        Ok(Self { tag, body })
    }

    /// As it goes over the wire.
    pub fn encode(&self) -> Vec<u8> {
        message(self.tag, &self.body)
    }

    /// The values of a DataRow.
    pub fn row(&self) -> Vec<Option<String>> {
        assert_eq!(self.tag, b'D', "{self:?}");
        let mut rest = &self.body[2..];
        let mut row = Vec::new();
        while !rest.is_empty() {
            let len = i32::from_be_bytes(rest[..4].try_into().unwrap());
            rest = &rest[4..];
            row.push(usize::try_from(len).ok().map(|len| {
                let value = String::from_utf8_lossy(&rest[..len]).into_owned();
                rest = &rest[len..];
                value
            }));
        }
        row
    }

    /// The fields of an ErrorResponse or NoticeResponse.
    pub fn fields(&self) -> Fields {
        assert!(matches!(self.tag, b'E' | b'N'), "{self:?}");
        let mut fields = Fields::default();
        for text in texts(&self.body) {
            if let Some((kind, value)) = text.split_at_checked(1) {
                fields.all.insert(kind.to_owned(), value.to_owned());
            }
        }
        fields
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.body[..self.body.len().min(200)];
        let text = String::from_utf8_lossy(shown);
        write!(f, "{}({:?})", char::from(self.tag), text)
    }
}

/// The fields of an error or notice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// By their one-letter types.
    pub all: BTreeMap<String, String>,
}

impl Fields {
    fn get(&self, kind: &str) -> &str {
        self.all.get(kind).map_or("", String::as_str)
    }

    /// `ERROR`, `FATAL`, …; the form that is never translated.
    pub fn severity(&self) -> &str {
        self.get("V")
    }

    /// The SQLSTATE.
    pub fn code(&self) -> &str {
        self.get("C")
    }

    /// The message.
    pub fn message(&self) -> &str {
        self.get("M")
    }

    /// The hint; empty if there is none.
    pub fn hint(&self) -> &str {
        self.get("H")
    }
}

/// The texts of a body, each with a NUL behind it.
pub fn texts(body: &[u8]) -> Vec<String> {
    let body = body.strip_suffix(b"\0").unwrap_or(body);
    body.split(|byte| *byte == 0)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}
