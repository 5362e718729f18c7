//! One record: a line of JSON that is bound to the line before it.
//!
//! ```text
//! {"seq":7,"time":"2026-01-31T08:00:00.000001Z","event":"login",…,"prev":"…","hash":"…"}
//! ```
//!
//! `hash` is SHA-256 over the line's bytes in front of `,"hash":`, `prev` the `hash` of
//! the record before. So the form of a line is fixed to the byte: it is read without a
//! JSON parser, and no two lines say the same.

use super::hash::{HEX, Hash};
use super::json::write_number;
use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

const SEQ: &[u8] = b"{\"seq\":";
const TIME: &[u8] = b",\"time\":\"";
const PREV: &[u8] = b",\"prev\":\"";
const HASH: &[u8] = b",\"hash\":\"";
const END: &[u8] = b"\"}";
/// The length of `2026-01-31T08:00:00.000001Z`.
const TIME_LEN: usize = 27;
/// No time is later: the year 9999 ends.
const LAST_MICROS: u64 = 253_402_300_799_999_999;

/// Where the chain is: what the next record is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// The next record's number.
    pub next: u64,
    /// The hash of the record before it.
    pub last: Hash,
}

impl Chain {
    /// Before the first record.
    pub const START: Self = Self {
        next: 0,
        last: Hash::NONE,
    };

    /// Writes a record with its line end and returns its hash. `micros`: microseconds
    /// since 1970; `body`: its own fields, `"event":"…"` first.
    pub fn seal(&mut self, micros: u64, body: &[u8], out: &mut Vec<u8>) -> Hash {
        let start = out.len();
        let time = UNIX_EPOCH + Duration::from_micros(micros.min(LAST_MICROS));
        let time = humantime::format_rfc3339_micros(time);
        out.extend_from_slice(SEQ);
        write_number(self.next, out);
        // Writing to memory does not fail.
        let _ = write!(out, ",\"time\":\"{time}\",");
        out.extend_from_slice(body);
        out.extend_from_slice(PREV);
        self.last.write_hex(out);
        out.push(b'"');
        let hash = Hash::of(out.get(start..).unwrap_or_default());
        out.extend_from_slice(HASH);
        hash.write_hex(out);
        out.extend_from_slice(END);
        out.push(b'\n');
        self.next += 1;
        self.last = hash;
        hash
    }
}

/// A record as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The whole line.
    pub line: &'a [u8],
    /// Its number.
    pub seq: u64,
    /// Its own fields, `"event":"…"` first, as JSON without braces.
    pub body: &'a [u8],
    /// The hash of the record before it.
    pub prev: Hash,
    /// Its hash.
    pub hash: Hash,
}

/// Why a line is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It does not have a record's form.
    Form,
    /// It has, with this number, and its hash is that of another line.
    Changed(u64),
}

impl<'a> Record<'a> {
    /// Reads a line without its line end.
    ///
    /// # Errors
    /// If it is not one as [`Chain::seal`] writes them.
    pub fn read(line: &'a [u8]) -> Result<Self, Unread> {
        let record = Self::split(line).ok_or(Unread::Form)?;
        let hashed = line.len() - HASH.len() - HEX - END.len();
        let hash = Hash::of(line.get(..hashed).unwrap_or_default());
        match hash == record.hash {
            true => Ok(record),
            false => Err(Unread::Changed(record.seq)),
        }
    }

    fn split(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(SEQ)?;
        let digits = rest.iter().take_while(|c| c.is_ascii_digit()).count();
        let (number, rest) = rest.split_at(digits);
        let seq = std::str::from_utf8(number).ok()?.parse().ok()?;
        let rest = rest.strip_prefix(TIME)?.get(TIME_LEN..)?;
        let rest = rest.strip_prefix(b"\",")?;
        let (rest, hash) = cut_hash(rest.strip_suffix(END)?, HASH)?;
        let (body, prev) = cut_hash(rest.strip_suffix(b"\"")?, PREV)?;
        Some(Self {
            line,
            seq,
            body,
            prev,
            hash,
        })
    }

    /// What kind of record it is: its `event`.
    #[must_use]
    pub fn event(&self) -> &'a str {
        let name = self.body.strip_prefix(b"\"event\":\"").unwrap_or_default();
        let name = name.split(|c| *c == b'"').next().unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// All its fields.
    #[must_use]
    pub fn fields(&self) -> Option<serde_json::Map<String, serde_json::Value>> {
        serde_json::from_slice(self.line).ok()
    }
}

fn cut_hash<'a>(text: &'a [u8], key: &[u8]) -> Option<(&'a [u8], Hash)> {
    let (rest, hash) = text.split_at_checked(text.len().checked_sub(HEX)?)?;
    Some((rest.strip_suffix(key)?, Hash::from_hex(hash)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut chain = Chain::START;
        let mut out = Vec::new();
        let first = chain.seal(
            1_700_000_000_000_001,
            b"\"event\":\"login\",\"n\":1",
            &mut out,
        );
        let end = out.len() - 1;
        let record = Record::read(&out[..end]).expect("is one");
        assert_eq!(
            (record.seq, record.prev, record.hash),
            (0, Hash::NONE, first)
        );
        assert_eq!(record.event(), "login");
        let fields = record.fields().expect("is JSON");
        assert_eq!(fields["time"], "2023-11-14T22:13:20.000001Z");
        assert_eq!(fields["n"], 1);
        out.clear();
        chain.seal(u64::MAX, b"\"event\":\"logout\"", &mut out);
        let record = Record::read(&out[..out.len() - 1]).expect("is one");
        assert_eq!((record.seq, record.prev), (1, first));
        assert!(
            record
                .line
                .starts_with(b"{\"seq\":1,\"time\":\"9999-12-31T23:59:59.999999Z\",")
        );
    }

    #[test]
    fn a_change_of_any_byte_is_seen() {
        let mut out = Vec::new();
        let mut chain = Chain::START;
        chain.seal(0, b"\"event\":\"login\",\"login\":\"o1\"", &mut out);
        out.pop();
        for at in 0..out.len() {
            for bit in 0..8 {
                let mut line = out.clone();
                line[at] ^= 1 << bit;
                assert!(Record::read(&line).is_err(), "byte {at}, bit {bit}");
            }
            assert!(Record::read(&out[..at]).is_err());
        }
    }
}
