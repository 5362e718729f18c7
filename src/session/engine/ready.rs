//! ReadyForQuery: the end of a Query or a pipeline, and what is so from then on.

use super::link::{Gate, Link, Phase};
use super::outstanding::Reply;
use super::response::{Fate, UNEXPECTED};
use super::{Engine, Fault};
use crate::attach::Cleanup;
use crate::protocol::backend::TransactionStatus;

impl Engine {
    pub(super) fn take_ready(
        &mut self,
        link: &mut Link,
        status: TransactionStatus,
    ) -> Result<Fate, Fault> {
        let mut fate = Fate::Pass;
        let front = link.outstanding.front();
        let is_query = !matches!(front, Some(Reply::Sync | Reply::OurSync));
        link.unnamed_portal.is_left |= is_query;
        if matches!(front, Some(Reply::Query(_) | Reply::FailedQuery(_))) {
            Self::audit_query_end(link);
        }
        match link.outstanding.pop() {
            Some(Reply::Query(verdict)) => {
                self.statements.remove(b"");
                link.followup.has_reset(&verdict.effects);
                if self.returns_to_startup(&verdict) {
                    let defaults = &verdict.effects.defaults;
                    link.followup.returned.extend_from_slice(defaults);
                    link.followup.date_style = verdict.effects.date_style;
                }
            }
            Some(Reply::FailedQuery(verdict)) => {
                self.statements.remove(b"");
                // What a part of it has done stays done, where it is not undone
                // with the transaction.
                link.followup.has_failed(&verdict.effects);
                if verdict.effects.take_away() {
                    link.cleanup = Cleanup::DiscardAll;
                }
            }
            Some(Reply::RefusedQuery(_)) => self.statements.remove(b""),
            Some(Reply::Sync | Reply::FunctionCall) => {}
            Some(Reply::OurSync) => {
                become_ready(link, status);
                return Ok(Fate::Drop);
            }
            _ => return Err(UNEXPECTED),
        }
        link.count(status);
        if status == TransactionStatus::Idle && !(link.unsure && is_query) {
            self.registration.ends_transaction();
        }
        if is_query
            && link.unsure
            && status == TransactionStatus::Open
            && link.outstanding.is_empty()
        {
            // It goes on up to the client's Sync, which has not been sent.
            link.phase = Phase::Open;
        }
        become_ready(link, status);
        if !link.followup.is_empty() {
            if link.outstanding.is_empty() {
                // It comes once the settings are set again.
                link.followup.owes_ready = true;
                fate = Fate::Drop;
            }
            link.gate = Gate::UntilAnswered;
        }
        Ok(fate)
    }
}

/// The server is ready for the next query, in this state.
pub(super) fn become_ready(link: &mut Link, status: TransactionStatus) {
    link.status = status;
    link.copy_in = false;
    link.sql_prepared.begin();
    link.unnamed_portal.is_left &= status == TransactionStatus::Failed;
    if status == TransactionStatus::Idle {
        link.passes |= link.outstanding.is_empty();
        link.audited.end_portals();
        link.tally.end_portals();
        link.portals.clear();
        link.local &= !link.outstanding.is_empty();
        if link.outstanding.is_empty() && !link.unsure {
            link.unsettled = None;
        }
    }
}
