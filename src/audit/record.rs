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
        out.extend_from_slice(SEQ);
        write_number(self.next, out);
        out.extend_from_slice(TIME);
        out.extend_from_slice(&time(micros.min(LAST_MICROS)));
        out.extend_from_slice(b"\",");
        out.extend_from_slice(body);
        out.extend_from_slice(PREV);
        out.extend_from_slice(&self.last.hex());
        out.push(b'"');
        let hash = Hash::of(out.get(start..).unwrap_or_default());
        out.extend_from_slice(HASH);
        out.extend_from_slice(&hash.hex());
        out.extend_from_slice(END);
        out.push(b'\n');
        self.next += 1;
        self.last = hash;
        hash
    }
}

/// A time as RFC 3339 has it: every record has one, and formatting takes its time.
fn time(micros: u64) -> [u8; TIME_LEN] {
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let parts = [
        (0..4, year),
        (5..7, month),
        (8..10, day),
        (11..13, second / 3600),
        (14..16, second / 60 % 60),
        (17..19, second % 60),
        (20..26, micros),
    ];
    for (place, mut number) in parts {
        for digit in text.get_mut(place).unwrap_or_default().iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    }
    text
}

/// Year, month and day so many days after 1 January 1970. It counts from a 1 March on,
/// so that the day that some years have is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let is_next = month >= 10;
    let month = if is_next { month - 9 } else { month + 3 };
    (year + 400 * era + u64::from(is_next), month, day)
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
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    proptest! {
        #[test]
        fn times_are_written_as_others_write_them(at in 0..=LAST_MICROS) {
            let theirs = UNIX_EPOCH + Duration::from_micros(at);
            let theirs = humantime::format_rfc3339_micros(theirs).to_string();
            let ours = time(at);
            prop_assert_eq!(std::str::from_utf8(&ours).expect("is ASCII"), theirs);
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_written_as_others_write_it() {
        for day in 0..150_000 {
            let at = day * 86_400_000_000;
            let theirs = UNIX_EPOCH + Duration::from_micros(at);
            let theirs = humantime::format_rfc3339_micros(theirs).to_string();
            assert_eq!(std::str::from_utf8(&time(at)).expect("is ASCII"), theirs);
        }
    }

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
