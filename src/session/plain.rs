//! Messages that pass as they are, and of which there is nothing to note but
//! that they go: most of the extended protocol, behind its Parse.

use super::Session;
use super::awaited::Awaited;
use super::ledger::Hold;
use super::upstream::Upstream;

/// The shortest Bind: a length word, two empty names and three counts, in bytes.
const SHORTEST_BIND: u32 = 12;

impl Session {
    /// Passes such messages, as far as they are whole.
    pub(super) fn pass_plain<S>(&mut self, up: &mut Upstream<'_, S>) {
        if self.is_burdened(up) {
            return;
        }
        let unnamed = self.statements.get(b"").filter(|_| up.ledger.has_unnamed);
        let binds = unnamed.is_some_and(|unnamed| self.guard.is_harmless(&unnamed.verdict));
        let bytes = self.client.scan.unseen(&self.client.input);
        let mut passed = 0;
        while let Some((awaited, len)) = plain(bytes.get(passed..).unwrap_or_default()) {
            match awaited {
                Awaited::Bind if !binds => break,
                Awaited::Sync => up.ledger.in_pipeline = false,
                _ => up.ledger.in_pipeline = true,
            }
            up.ledger.awaited.push_back(awaited);
            passed += len;
        }
        self.client.scan.pass(&self.client.input, passed);
    }

    /// Whether a message may have to wait, or to be treated in a way of its own.
    fn is_burdened<S>(&self, up: &Upstream<'_, S>) -> bool {
        let ledger = &*up.ledger;
        self.client.scan.is_within()
            || ledger.hold != Hold::No
            || ledger.doubted
            || ledger.copy_in
            || ledger.skips()
            || !ledger.portals.is_empty()
            || !self.portals.is_empty()
            || !self.lost.is_empty()
    }
}

/// What is owed for the message at the front of `bytes`, and its length: if it is
/// a Bind, Describe or Execute of the unnamed portal or a Sync, and whole.
fn plain(bytes: &[u8]) -> Option<(Awaited, usize)> {
    match bytes {
        [b'S', 0, 0, 0, 4, ..] => Some((Awaited::Sync, 5)),
        [b'D', 0, 0, 0, 6, b'P', 0, ..] => Some((Awaited::Describe, 7)),
        [b'E', 0, 0, 0, 9, 0, _, _, _, _, ..] => Some((Awaited::Execute(None), 10)),
        // Of the unnamed statement.
        [b'B', a, b, c, d, 0, 0, ..] => {
            let len = u32::from_be_bytes([*a, *b, *c, *d]);
            let whole = usize::try_from(len).ok()?.checked_add(1)?;
            (len >= SHORTEST_BIND && bytes.len() >= whole).then_some((Awaited::Bind, whole))
        }
        _ => None,
    }
}
