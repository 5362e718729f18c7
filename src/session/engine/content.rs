//! What an Execute or Query brings besides its completion: rows, copied data and the
//! steps on the way.

use super::Fault;
use super::link::{Link, is_exclusive};
use super::outstanding::Reply;
use super::response::{Fate, UNEXPECTED};
use crate::protocol::backend;

/// How many bytes of a message's body are acted upon, at most.
pub(super) fn acted_upon(link: &Link, tag: u8) -> usize {
    match tag {
        // Name and value: a longer one does not decode.
        b'Z' | b'S' => 64 << 10,
        // The severity comes first, and errors that name a prepared statement
        // are short; others can quote a value of megabytes.
        b'E' => 1 << 10,
        b'C' => 64,
        b'T' => match link.outstanding.front() {
            Some(Reply::DescribeStatement(..) | Reply::OurDescribe(_)) => 64 << 10,
            _ => 0,
        },
        b'D' => match link.outstanding.front() {
            Some(Reply::OurTenant(..)) => 64 << 10,
            _ => 0,
        },
        _ => 0,
    }
}

/// Rows, copied data and what is said besides.
pub(super) fn content(link: &mut Link, tag: u8, body: &[u8]) -> Result<Fate, Fault> {
    match (tag, link.outstanding.front()) {
        (b'N' | b'A', _) => Ok(Fate::Pass),
        // Data that nobody asked for would be another's.
        (_, None) => Err(UNEXPECTED),
        (b't', Some(Reply::OurDescribe(_))) => Ok(Fate::Drop),
        (b'D', Some(Reply::OurTenant(value, columns))) => {
            let row = backend::data_row(body).unwrap_or_default();
            let is_value = |column: &Option<&[u8]>| *column == Some(value.as_bytes());
            if row.len() != *columns || !row.iter().all(is_value) {
                return Err(Fault::Server(
                    "another tenant than the one that was attached",
                ));
            }
            link.outstanding.pop();
            Ok(Fate::Drop)
        }
        (b'D', Some(Reply::OurRow)) => {
            link.outstanding.pop();
            Ok(Fate::Drop)
        }
        (b'D' | b'd' | b'c' | b'H', Some(Reply::Query(_) | Reply::Execute(_)))
        | (b't', Some(Reply::DescribeStatement(..) | Reply::Describe)) => Ok(Fate::Pass),
        _ => Err(UNEXPECTED),
    }
}

/// What an Execute or Query is answered with, step by step.
pub(super) fn take_step(link: &mut Link, tag: u8) -> Result<Fate, Fault> {
    match (tag, link.outstanding.front()) {
        (b'G', Some(Reply::Query(verdict) | Reply::Execute(Some(verdict))))
            if is_exclusive(verdict) =>
        {
            link.copy_in = true;
            Ok(Fate::Pass)
        }
        (b'I', Some(Reply::Query(_))) => Ok(Fate::Pass),
        (b'I' | b's', Some(Reply::Execute(_))) => {
            link.outstanding.pop();
            Ok(Fate::Pass)
        }
        _ => Err(UNEXPECTED),
    }
}
