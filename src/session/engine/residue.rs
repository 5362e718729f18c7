//! What a statement leaves in the session.

use super::Engine;
use super::link::{Link, Pinned};
use crate::attach::{Cleanup, Random};
use crate::config::Pin;
use crate::guard::{DATE_STYLE, Effects, Permission, PlainRelations, TouchedSettings, Verdict};
use crate::protocol::ClientError;

/// Most temporary relations that a client may make while it keeps its server
/// connection.
const MOST_TEMPORARY: usize = 10_000;

impl Engine {
    /// Takes note of what a statement does to the session.
    pub(super) fn take_effects(
        &mut self,
        verdict: &Verdict,
        link: &mut Link,
    ) -> Result<(), ClientError> {
        let effects = &verdict.effects;
        let attachment = &self.tenant.placement.attachment;
        if attachment.search_path().is_some()
            && effects
                .set_again
                .iter()
                .any(|name| **name == *"search_path")
        {
            // What attaches the tenant behind the string sets it, too.
            let message = "search_path must not be set behind a reset in its query string";
            return Err(ClientError::error("0A000", message).hint("Send it by itself."));
        }
        link.local |= effects.sets_local;
        note_customs(effects, link);
        if effects.redefines && link.unsettled.is_none() {
            // Before it is sent: others may use what it makes as soon as it is done.
            let relations = self.guard.relations();
            link.unsettled = relations.map(PlainRelations::unsettle);
        }
        if verdict.refusal.is_some() || may_draw(effects) {
            link.random = Random::Seen;
        }
        if verdict.refusal.is_some() {
            // It passes because refusals are only reported: it can have done
            // anything to the session.
            link.worsen(Cleanup::DiscardAll);
            return Ok(());
        }
        match &effects.settings {
            TouchedSettings::None => {}
            TouchedSettings::Named(names) => {
                if !self.settings.touch(names) {
                    return Err(ClientError::error("54000", "too many session settings")
                        .hint("A client can have 256 session settings of its own."));
                }
            }
            TouchedSettings::Any => {
                link.worsen(Cleanup::ResetAll);
            }
        }
        let cleanup = match effects {
            Effects { residue: true, .. }
            | Effects { locks: true, .. }
            | Effects { seeds: true, .. } => Cleanup::DiscardAll,
            Effects { doubtful: true, .. } => Cleanup::ResetAll,
            Effects { writes: true, .. } => Cleanup::Reattach,
            // Code of the client's own may stand behind a view or a cast, too.
            _ if self.guard.options().opaque == Permission::Allow => Cleanup::Reattach,
            _ => Cleanup::None,
        };
        link.worsen(cleanup);
        let rejects = self.pin == Pin::Reject;
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
            if link.temporary.len() + effects.temporary.len() > MOST_TEMPORARY {
                return Err(ClientError::error(
                    "54000",
                    format!("more than {MOST_TEMPORARY} temporary relations in one session"),
                )
                .hint("DISCARD ALL drops all of them."));
            }
            if link.pinned == Pinned::No {
                self.note_pin(pinned);
            }
            link.pinned = link.pinned.max(pinned);
            link.temporary.extend(effects.temporary.iter().cloned());
            if let Some(lost) = &mut self.lost {
                lost.remove(&effects.temporary);
            }
            self.lost.take_if(|lost| lost.is_empty());
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
        tracing::info!(target: "pgtenant::pool", parent: &self.span.span(), event = "pinned", by, pins = self.pins);
    }

    /// Whether a statement returns settings to their default that the client
    /// made at startup, or that its tenant is attached by: for it, that is their
    /// default. Of `DateStyle` it may be one part alone.
    pub(super) fn returns_to_startup(&self, verdict: &Verdict) -> bool {
        let is_own = |name: &str| self.settings.default_of(name).is_some();
        let mut defaults = verdict.effects.defaults.iter();
        defaults.any(|setting| is_own(&setting.name))
            || (verdict.effects.date_style.is_some() && is_own(DATE_STYLE))
    }

    /// Refuses a statement that may change what was a temporary relation before
    /// it was taken away.
    pub(super) fn lost_in(&self, sql: &[u8], verdict: &Verdict) -> Result<(), ClientError> {
        match &self.lost {
            Some(lost) if verdict.effects.writes || !only_reads(sql) => {
                lost.check(sql, &verdict.effects.temporary)
            }
            _ => Ok(()),
        }
    }
}

/// Takes note of the custom settings that the server's session knows from then on.
fn note_customs(effects: &Effects, link: &mut Link) {
    match &effects.settings {
        TouchedSettings::None => {}
        TouchedSettings::Named(names) => link.customs.note(names.iter().map(|name| &**name)),
        TouchedSettings::Any => link.customs.note_others(),
    }
    let local = effects.local_customs.iter();
    link.customs.note(local.map(|name| &**name));
}

/// Whether a statement can have read or set the state of `random()`, by itself or
/// by code that it runs unseen.
fn may_draw(effects: &Effects) -> bool {
    effects.draws
        || effects.seeds
        || effects.writes
        || effects.doubtful
        || effects.residue
        || effects.locks
        || effects.settings == TouchedSettings::Any
}

/// Whether a text is a single query, by its first word.
fn only_reads(sql: &[u8]) -> bool {
    let text = sql
        .split(|b| *b == 0)
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let text = text.strip_suffix(b";").unwrap_or(text);
    let word = text.split(|b| !b.is_ascii_alphabetic()).next();
    let queries: [&[u8]; 4] = [b"select", b"table", b"values", b"with"];
    let is_query = word.is_some_and(|word| queries.iter().any(|q| word.eq_ignore_ascii_case(q)));
    is_query && !text.contains(&b';')
}

#[cfg(test)]
mod tests {
    use super::only_reads;

    #[test]
    fn a_query_is_told_from_what_changes_things() {
        for sql in [
            "SELECT 1",
            " table t; ",
            "with a as (select 1) select 2\0\0\0",
        ] {
            assert!(only_reads(sql.as_bytes()), "{sql}");
        }
        for sql in [
            "",
            "DROP TABLE t",
            "SELECT 1; DROP TABLE t",
            "/* */ SELECT 1",
            "INSERT INTO t VALUES (1)",
        ] {
            assert!(!only_reads(sql.as_bytes()), "{sql}");
        }
    }
}
