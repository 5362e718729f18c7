//! What is known of the server session that a client uses.

use super::super::scan::Scan;
use super::audited::Audited;
use super::followup::Followup;
use super::outstanding::Outstanding;
use super::portals::{Portals, UnnamedPortal};
use super::sql_prepared::SqlPrepared;
use super::tally::Tally;
use crate::attach::{Cleanup, Random};
use crate::guard::{Unsettled, Verdict};
use crate::protocol::backend::TransactionStatus;
use crate::server::{Customs, Pipe, PreparedId};
use postgres_protocol::message::frontend as write;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A client's use of a server connection: what is owed, and what is left behind.
#[derive(Debug)]
pub(in crate::session) struct Link {
    /// How far the server's bytes have been looked at.
    pub(in crate::session) scan: Scan,
    /// What the server owes.
    pub(super) outstanding: Outstanding,
    /// As of the last ReadyForQuery.
    pub(in crate::session) status: TransactionStatus,
    /// Where the client is in its pipeline.
    pub(super) phase: Phase,
    /// What runs since the server was idle leaves nothing in the session, and no
    /// transaction open.
    pub(super) passes: bool,
    /// What scrubs the session has been sent: nothing of the client's may follow.
    pub(in crate::session) parted: bool,
    /// A Query has been sent within a pipeline: PostgreSQL 18 keeps a transaction
    /// open behind it, of which its answers do not always tell.
    pub(super) unsure: bool,
    /// A COPY from the client runs, and its end has not been sent.
    pub(super) copy_in: bool,
    pub(super) gate: Gate,
    /// What is to be sent before anything else of the client's.
    pub(super) followup: Followup,
    /// The server's unnamed statement will be the client's, unless something
    /// fails.
    pub(super) has_unnamed: bool,
    /// Portals whose execution changes more than data.
    pub(super) portals: Portals,
    pub(super) unnamed_portal: UnnamedPortal,
    /// What the statement that runs has answered, where that is limited.
    pub(super) tally: Tally,
    /// What the audit log is still to be told of.
    pub(super) audited: Audited,
    /// Whether the connection stays with the client.
    pub(in crate::session) pinned: Pinned,
    /// Temporary relations that the client has made on this connection.
    pub(super) temporary: BTreeSet<Box<str>>,
    /// What is left in the session for the next user, at worst.
    pub(in crate::session) cleanup: Cleanup,
    /// What the client may know of the state of `random()`, where the guard sees it.
    pub(in crate::session) random: Random,
    /// Code may have run since the tenant was attached that has changed it.
    pub(super) doubted: bool,
    /// The transaction may give the names of plain tables to other relations.
    pub(super) unsettled: Option<Unsettled>,
    pub(super) sql_prepared: SqlPrepared,
    /// The statement that was described to us last.
    pub(super) described: Option<PreparedId>,
    /// The transaction may have changed settings for itself (`SET LOCAL`).
    pub(super) local: bool,
    /// Custom settings that the session may have come to know.
    pub(in crate::session) customs: Customs,
    /// The setting that makes the server read statements otherwise than the
    /// guard, once code in the database has changed it.
    pub(in crate::session) misread: Option<&'static str>,
    /// The server's last error ended its session.
    pub(in crate::session) server_ended: bool,
    /// Queries of the client's that the server has answered, and transactions that
    /// have ended, since they were counted last.
    pub(in crate::session) queries: u32,
    pub(in crate::session) transactions: u32,
}

/// Where the client is in its pipeline: which of its messages the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Behind a Sync or a Query.
    Between,
    /// It has begun a pipeline, and its Sync has not been sent: the server keeps
    /// a transaction for it, whatever the status says.
    Open,
    /// The same, and it has failed: the server ignores everything up to the Sync.
    Failed,
}

/// Whether the client's next message may be dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// It may.
    Open,
    /// Everything owed must have arrived.
    UntilAnswered,
}

/// Whether a connection stays with its client for what it has left there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::session) enum Pinned {
    /// Nothing keeps it.
    No,
    /// Objects: in need, the client can do without.
    ByObjects,
    /// Locks: the client cannot go on without.
    ByLocks,
}

/// How many links a thread keeps for the next user.
const KEPT: usize = 64;

thread_local! {
    /// Links at rest, so that an idle client holds none and a transaction does
    /// not allocate.
    #[expect(clippy::vec_box, reason = "they are handed out in their boxes")]
    static AT_REST: RefCell<Vec<Box<Link>>> = const { RefCell::new(Vec::new()) };
}

impl Link {
    /// That of a session which nothing has been sent to.
    pub(in crate::session) fn new() -> Box<Self> {
        let at_rest = AT_REST.with_borrow_mut(Vec::pop);
        at_rest.unwrap_or_else(|| Box::new(Self::with(Outstanding::with_room())))
    }

    /// Keeps the memory, and nothing else, for another use.
    pub(in crate::session) fn put_away(mut self: Box<Self>) {
        let mut outstanding = std::mem::take(&mut self.outstanding);
        if !outstanding.clear() {
            return;
        }
        *self = Self::with(outstanding);
        AT_REST.with_borrow_mut(|kept| {
            if kept.len() < KEPT {
                kept.push(self);
            }
        });
    }

    fn with(outstanding: Outstanding) -> Self {
        Self {
            scan: Scan::default(),
            outstanding,
            status: TransactionStatus::Idle,
            phase: Phase::Between,
            passes: true,
            parted: false,
            unsure: false,
            copy_in: false,
            gate: Gate::Open,
            followup: Followup::default(),
            has_unnamed: false,
            portals: Portals::default(),
            unnamed_portal: UnnamedPortal::default(),
            tally: Tally::default(),
            audited: Audited::default(),
            pinned: Pinned::No,
            temporary: BTreeSet::new(),
            cleanup: Cleanup::None,
            random: Random::Unseen,
            doubted: false,
            unsettled: None,
            sql_prepared: SqlPrepared::default(),
            described: None,
            local: false,
            customs: Customs::default(),
            misread: None,
            server_ended: false,
            queries: 0,
            transactions: 0,
        }
    }

    /// The server is ready for the client's next query.
    pub(super) fn count(&mut self, status: TransactionStatus) {
        self.queries = self.queries.wrapping_add(1);
        if status == TransactionStatus::Idle {
            self.transactions = self.transactions.wrapping_add(1);
        }
    }

    /// Whether the server owes nothing.
    pub(in crate::session) fn is_answered(&self) -> bool {
        self.outstanding.is_empty() && !self.scan.is_within()
    }

    /// Whether nothing is owed, no transaction is open, and nothing is to be done.
    pub(in crate::session) fn is_idle(&self) -> bool {
        self.is_answered()
            && self.status == TransactionStatus::Idle
            && self.phase == Phase::Between
            && self.followup.is_empty()
    }

    /// Whether the server will send nothing more before the client has gone on.
    pub(in crate::session) fn is_clients_turn(&self) -> bool {
        self.copy_in || (!self.outstanding.is_due() && !self.scan.is_within())
    }

    /// Whether nothing is owed.
    pub(in crate::session) fn owes_nothing(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// Names of temporary relations that the client has made.
    pub(super) fn temporary(&self) -> &BTreeSet<Box<str>> {
        &self.temporary
    }

    /// The tenant is attached anew.
    pub(in crate::session) fn renewed(&mut self) {
        self.doubted = false;
        self.has_unnamed = false;
    }

    /// Whether a transaction may be open that the server does not tell of.
    pub(in crate::session) fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// It has been found out.
    pub(in crate::session) fn made_sure(&mut self) {
        self.unsure = false;
    }

    /// Whether the tenant must be attached anew before the client goes on.
    pub(in crate::session) fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// Notes that something runs that may leave the session so.
    pub(super) fn worsen(&mut self, cleanup: Cleanup) {
        self.cleanup = self.cleanup.max(cleanup);
        self.doubted |= cleanup > Cleanup::None;
    }

    /// Lets nothing more be sent before all is answered, and sees to it that the
    /// server answers.
    pub(super) fn hold(&mut self, pipe: &mut Pipe) {
        self.gate = Gate::UntilAnswered;
        if self.outstanding.is_unflushed() {
            write::flush(&mut pipe.output);
            self.outstanding.flush();
        }
    }

    /// Whether something of ours must be sent before anything of the client's.
    pub(super) fn must_follow_up(&self) -> bool {
        let followup = &self.followup;
        let waits = self.status == TransactionStatus::Failed && !followup.owes_ready;
        !followup.is_empty() && self.phase != Phase::Failed && !waits
    }

    /// A Sync or a Query is sent.
    pub(super) fn ends_pipeline(&mut self) {
        self.phase = Phase::Between;
        self.unnamed_portal.is_bound = false;
    }

    /// Whether a message that uses the portal `name` must not be passed before all is
    /// answered.
    pub(super) fn waits_for_portal(&self, name: &[u8]) -> bool {
        name.is_empty() && !self.unnamed_portal.is_bound && !self.is_answered()
    }

    /// Whether the server can fall over the portal `name`.
    pub(super) fn is_left_by_query(&self, name: &[u8]) -> bool {
        name.is_empty() && !self.unnamed_portal.is_bound && self.unnamed_portal.is_left
    }

    /// Whether what comes now are the answers to what scrubs the session.
    pub(super) fn is_parted(&self) -> bool {
        self.parted && self.is_answered()
    }

    /// Whether the exchange is over once what is owed has come, whatever that is.
    pub(super) fn is_last(&self) -> bool {
        let ends = match self.status {
            TransactionStatus::Idle => self.passes && self.outstanding.is_one_pipeline(),
            TransactionStatus::Open | TransactionStatus::Failed => {
                self.outstanding.is_end_of_transaction()
            }
        };
        ends && self.phase == Phase::Between
            && !self.parted
            && self.pinned == Pinned::No
            && !self.unsure
            && !self.copy_in
            && self.followup.is_empty()
            && self.portals.is_empty()
            && !self.tally.is_on()
            && !self.scan.is_within()
    }

    /// Whether the server ignores what is sent before a Sync.
    pub(super) fn skips(&self) -> bool {
        self.phase == Phase::Failed
    }
}

/// Whether what a query string does must be known before anything is sent behind
/// it, and what came before must be known before it is sent.
pub(super) fn is_exclusive(verdict: &Verdict) -> bool {
    let effects = &verdict.effects;
    // It passes because refusals are only reported: it can do anything.
    verdict.refusal.is_some()
        || effects.resets
        || effects.copies_in
        || effects.take_away()
        || effects.drops_temporary
        || !effects.sql_names.is_empty()
}
