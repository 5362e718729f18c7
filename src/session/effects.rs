//! What a statement leaves in the session.

use super::Session;
use super::ledger::Pinned;
use super::own;
use super::upstream::Upstream;
use crate::binding::Condition;
use crate::guard::Effects;
use crate::guard::Permission;
use crate::guard::TouchedSettings;
use crate::guard::Verdict;
use crate::settings::Pin;
use crate::wire::ClientError;

/// Most session settings of one client's own.
pub(super) const MOST_SETTINGS: usize = 256;

/// Most temporary relations that a client may make while it keeps its server
/// connection.
const MOST_TEMPORARY: usize = 10_000;

impl Session {
    /// Takes note of what a statement does to the session.
    pub(super) fn take_effects<S>(
        &mut self,
        verdict: &Verdict,
        up: &mut Upstream<'_, S>,
    ) -> Result<(), ClientError> {
        let effects = &verdict.effects;
        up.ledger.local |= effects.sets_local;
        if effects.drops_temporary {
            self.lost.clear();
        }
        if verdict.refusal.is_some() {
            // It passes because refusals are only reported: it can have done
            // anything to the session.
            up.ledger.worsen(Condition::Littered);
            return Ok(());
        }
        match &effects.settings {
            TouchedSettings::None => {}
            TouchedSettings::Named(names) => {
                let of_names: usize = self.touched.iter().chain(names).map(|n| n.len()).sum();
                if self.own.len() + self.touched.len() + names.len() > MOST_SETTINGS
                    || of_names > own::MOST_BYTES
                {
                    return Err(ClientError::error("54000", "too many session settings")
                        .hint("A client can have 256 session settings of its own."));
                }
                for name in names {
                    if !self.touched.contains(name) {
                        self.touched.push(name.clone());
                    }
                }
            }
            TouchedSettings::Any => {
                up.ledger.worsen(Condition::Doubtful);
            }
        }
        let condition = match effects {
            Effects { residue: true, .. }
            | Effects { locks: true, .. }
            | Effects { seeds: true, .. } => Condition::Littered,
            Effects { doubtful: true, .. } => Condition::Doubtful,
            Effects { writes: true, .. } => Condition::Unproven,
            // Code of the client's own may stand behind a view or a cast, too.
            _ if self.guard.options().opaque == Permission::Allow => Condition::Unproven,
            _ => Condition::Clean,
        };
        up.ledger.worsen(condition);
        let rejects = self.pool.settings().pin == Pin::Reject;
        let pinned = match effects {
            Effects { locks: true, .. } => Pinned::ByLocks,
            Effects { residue: true, .. } => Pinned::ByObjects,
            // The next numbers of random() are expected to follow.
            Effects { seeds: true, .. } if !rejects => Pinned::ByObjects,
            _ => Pinned::No,
        };
        if pinned > Pinned::No && self.maps_names {
            if rejects {
                return Err(ClientError::error(
                    "0A000",
                    "the statement would leave an object in the session, which transaction pooling does not keep",
                )
                .hint("Use a transaction-scoped form (ON COMMIT DROP, a cursor without HOLD, pg_advisory_xact_lock), or ask the administrator for pool.pin = \"allow\"."));
            }
            if up.ledger.temporary.len() + effects.temporary.len() > MOST_TEMPORARY {
                return Err(ClientError::error(
                    "54000",
                    format!("more than {MOST_TEMPORARY} temporary relations in one session"),
                )
                .hint("DISCARD ALL drops all of them."));
            }
            if up.ledger.pinned == Pinned::No {
                self.note_pin(pinned);
            }
            up.ledger.pinned = up.ledger.pinned.max(pinned);
            up.ledger
                .temporary
                .extend(effects.temporary.iter().cloned());
            self.lost.retain(|lost| !effects.temporary.contains(lost));
        }
        Ok(())
    }

    /// Tells the log of a client that keeps its server connection from now on,
    /// and how often it has done so.
    pub(super) fn note_pin(&mut self, pinned: Pinned) {
        self.pins += 1;
        let by = match pinned {
            Pinned::ByLocks => "locks",
            _ => "objects",
        };
        tracing::info!(target: "pgtenant::pool", parent: self.span.get(), event = "pinned", by, pins = self.pins);
    }
}
