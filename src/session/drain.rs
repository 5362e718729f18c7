//! Ending sessions, not all at once.

use crate::protocol::frontend::{self, Kind};
use std::sync::atomic::{AtomicU16, Ordering};

/// The parts that sessions are divided into.
pub(crate) const PARTS: u16 = 1000;

/// All of them, also those that have just been used.
const FORCED: u16 = PARTS + 1;

/// All of them at once, in the midst of whatever they do.
const OVER: u16 = PARTS + 2;

/// How many of the parts are to leave. Whoever changes it wakes the sessions.
#[derive(Debug, Default)]
pub struct DrainLevel(AtomicU16);

impl DrainLevel {
    /// So many of [`PARTS`] are to leave; never fewer than before.
    pub(crate) fn raise(&self, parts: u16) {
        self.0.fetch_max(parts, Ordering::Relaxed);
    }

    /// All are to leave, also those that have just been used.
    pub(crate) fn force(&self) {
        self.raise(FORCED);
    }

    /// All are to leave, in the midst of whatever they do.
    pub(crate) fn end(&self) {
        self.raise(OVER);
    }

    /// Whether they are to leave though they have just been used.
    pub(super) fn is_forced(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= FORCED
    }

    /// Whether nothing that they do is waited for any more.
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= OVER
    }

    /// Whether the session with this number is to leave.
    pub(super) fn has_reached(&self, session: u32) -> bool {
        let level = self.0.load(Ordering::Relaxed);
        level > 0 && session % u32::from(PARTS) < u32::from(level)
    }
}

/// Whether the message at the front does nothing but ask whether the server is there, as
/// pools of drivers do before they use a connection: an empty statement, or `SELECT 1`.
/// Who is told then that the connection ends opens another one.
pub(super) fn is_health_check(input: &[u8]) -> bool {
    let Ok(Some(header)) = frontend::header(input) else {
        return false;
    };
    let body = input.get(frontend::HEADER..frontend::HEADER + header.body);
    let sql = body.and_then(|body| match header.kind {
        Kind::Query => frontend::query(body).ok(),
        Kind::Parse => frontend::parse(body).ok().map(|parse| parse.sql),
        _ => None,
    });
    let Some(sql) = sql.and_then(|sql| std::str::from_utf8(sql).ok()) else {
        return false;
    };
    let sql = sql.trim_matches(|c: char| c.is_whitespace() || c == ';');
    sql.is_empty() || sql.eq_ignore_ascii_case("select 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_health_check_is_told_from_a_statement() {
        let message = |kind: u8, body: &[u8]| {
            let len = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
            [&[kind][..], &len, body].concat()
        };
        for (kind, body, expected) in [
            (b'Q', &b"\0"[..], true),
            (b'Q', b" ;\0", true),
            (b'Q', b"select 1;\0", true),
            (b'P', b"\0\0\0\0", true),
            (b'P', b"s1\0SELECT 1\0\0\0", true),
            (b'Q', b"SELECT 12\0", false),
            (b'Q', b"BEGIN\0", false),
            (b'S', b"", false),
            (b'Q', b"", false),
        ] {
            assert_eq!(is_health_check(&message(kind, body)), expected, "{body:?}");
        }
        assert!(!is_health_check(b"Q\0\0\0\x20"));
        assert!(!is_health_check(b""));
    }

    #[test]
    fn each_session_is_reached_once_all_are() {
        let level = DrainLevel::default();
        let reached = |level: &DrainLevel| (0..5000).filter(|n| level.has_reached(*n)).count();
        assert_eq!(reached(&level), 0);
        level.raise(PARTS / 4);
        assert_eq!(reached(&level), 1250);
        level.raise(1);
        assert_eq!(reached(&level), 1250);
        level.raise(PARTS);
        assert_eq!(reached(&level), 5000);
        assert!(!level.is_forced());
        level.force();
        assert!(level.is_forced() && !level.is_over());
        assert_eq!(reached(&level), 5000);
        level.end();
        assert!(level.is_forced() && level.is_over());
        assert_eq!(reached(&level), 5000);
    }
}
