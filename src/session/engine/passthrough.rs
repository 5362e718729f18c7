//! Messages that pass as they are, and of which there is nothing to note but
//! that they go: most of the extended protocol, behind its Parse.

use super::Engine;
use super::link::{Gate, Link, Phase};
use super::lookup::Known;
use super::outstanding::Reply;

/// The shortest Bind: a length word, two empty names and three counts, in bytes.
const SHORTEST_BIND: u32 = 12;

impl Engine {
    /// Passes such messages of an open pipeline, as far as they are whole.
    pub(super) fn pass_plain(&mut self, link: &mut Link) {
        if self.is_burdened(link) {
            return;
        }
        let mut binds = None;
        let mut passed = 0;
        loop {
            let bytes = self.client.scan.unseen(&self.client.input);
            let Some((reply, len)) = plain(bytes.get(passed..).unwrap_or_default()) else {
                break;
            };
            match reply {
                Reply::Bind { .. } => {
                    if !*binds.get_or_insert_with(|| self.binds_plainly(link)) {
                        break;
                    }
                    link.phase = Phase::Open;
                    link.unnamed_portal.is_bound = true;
                }
                Reply::Sync => link.ends_pipeline(),
                // What was bound before is seen to one by one.
                _ if !link.unnamed_portal.is_bound => break,
                _ => link.phase = Phase::Open,
            }
            if let Reply::Execute(_) = reply {
                self.execute_sent(None, None, link);
            }
            link.outstanding.push(reply);
            passed += len;
            if link.phase == Phase::Between {
                // What follows a Sync may be anything.
                break;
            }
        }
        self.client.scan.pass(&self.client.input, passed);
    }

    /// Whether the unnamed statement is there, and does nothing to be noted, as far
    /// as is known now.
    fn binds_plainly(&self, link: &Link) -> bool {
        link.has_unnamed
            && match self.known(b"", Some(link)) {
                Known::Statement(unnamed) => {
                    self.guard.is_harmless(&unnamed.verdict)
                        && self.passes(&unnamed.verdict)
                        && unnamed.as_of == self.guard.as_of()
                }
                Known::Missing | Known::Unsure => false,
            }
    }

    /// Whether a message may have to wait, or to be treated in a way of its own.
    fn is_burdened(&self, link: &Link) -> bool {
        self.client.scan.is_within()
            || link.gate != Gate::Open
            || link.doubted
            || link.copy_in
            || link.skips()
            || !link.followup.is_empty()
            || !link.portals.is_empty()
            || !self.portals.is_empty()
            || self.lost.is_some()
            || self.span.rules().follow()
            || link.tally.is_on()
            || self.login.most_result().is_some()
    }
}

/// What is owed for the message at the front of `bytes`, and its length: if it is
/// a Bind, Describe or Execute of the unnamed portal or a Sync, and whole.
fn plain(bytes: &[u8]) -> Option<(Reply, usize)> {
    match bytes {
        [b'S', 0, 0, 0, 4, ..] => Some((Reply::Sync, 5)),
        [b'D', 0, 0, 0, 6, b'P', 0, ..] => Some((Reply::Describe, 7)),
        [b'E', 0, 0, 0, 9, 0, _, _, _, _, ..] => Some((Reply::Execute(None), 10)),
        // Of the unnamed statement.
        [b'B', a, b, c, d, 0, 0, ..] => {
            let len = u32::from_be_bytes([*a, *b, *c, *d]);
            let whole = usize::try_from(len).ok()?.checked_add(1)?;
            (len >= SHORTEST_BIND && bytes.len() >= whole)
                .then_some((Reply::Bind { unnamed: true }, whole))
        }
        _ => None,
    }
}
