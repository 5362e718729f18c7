//! What happens on a server connection while a client uses it.

use super::awaited::{Awaited, Parsed, begin_copy_in};
use super::scan::Scan;
use super::statements::Statements;
use crate::binding::Condition;
use crate::guard::Verdict;
use crate::server::Connection;
use crate::wire::backend::{self, FrameError, Report, TransactionStatus};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::sync::Arc;

/// Longest message of a server that is gathered whole.
const MAX_WHOLE: usize = 1 << 20;

/// The state of a client's use of a server connection: what is owed, and what
/// is left behind.
#[derive(Debug)]
pub(super) struct Ledger {
    /// How far the server's bytes have been looked at.
    pub(super) scan: Scan,
    /// What the server owes.
    pub(super) awaited: VecDeque<Awaited>,
    /// As of the last ReadyForQuery.
    pub(super) status: TransactionStatus,
    /// The server's unnamed statement is the client's.
    pub(super) has_unnamed: bool,
    /// A COPY from the client runs, and its end has not been sent.
    pub(super) copy_in: bool,
    /// The client has left objects in the session, so the connection stays.
    pub(super) pinned: bool,
    /// What is left in the session for the next user, at worst.
    pub(super) condition: Condition,
    /// Whether what the client sends must wait.
    pub(super) hold: Hold,
    /// Portals whose execution changes more than data.
    pub(super) portals: Vec<(Box<[u8]>, Arc<Verdict>)>,
    /// The server's last error ended its session.
    pub(super) server_ended: bool,
    /// Messages of the extended protocol have been sent, and no Sync behind them.
    pub(super) in_pipeline: bool,
    /// The running query, or pipeline up to its Sync, has failed.
    failed: bool,
}

/// Whether what the client sends must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// It need not.
    No,
    /// Everything owed must have arrived.
    UntilAnswered,
    /// A pipeline resets all settings: until its Sync nothing may be added to
    /// it that would run without the tenant.
    Resetting,
    /// All settings are reset once everything owed has arrived; then the tenant
    /// is attached again.
    UntilReattached,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            scan: Scan::default(),
            awaited: VecDeque::new(),
            status: TransactionStatus::Idle,
            has_unnamed: false,
            copy_in: false,
            pinned: false,
            condition: Condition::Clean,
            hold: Hold::No,
            portals: Vec::new(),
            server_ended: false,
            in_pipeline: false,
            failed: false,
        }
    }

    /// Whether the server owes nothing.
    pub(super) fn is_answered(&self) -> bool {
        self.awaited.is_empty() && !self.scan.is_within()
    }

    /// Whether nothing is owed and no transaction is open.
    pub(super) fn is_idle(&self) -> bool {
        self.is_answered() && self.status == TransactionStatus::Idle
    }

    /// Whether one transaction is over and no next one has begun.
    pub(super) fn is_between(&self) -> bool {
        self.is_idle() && !self.in_pipeline && self.hold == Hold::No
    }

    /// Looks at what the server has sent, as far as it can be understood.
    /// Messages that are not for the client are taken out, ours put in between
    /// them through `staged`.
    pub(super) fn take_answers<S>(
        &mut self,
        connection: &mut Connection<S>,
        statements: &mut Statements,
        staged: &mut BytesMut,
    ) -> Result<(), FrameError> {
        loop {
            if !self.scan.advance(connection.input_mut(), staged) {
                return Ok(());
            }
            if self.put_in_ours(connection, staged) {
                continue;
            }
            let rest = self.scan.unseen(connection.input());
            let Some(header) = backend::header(rest)? else {
                return Ok(());
            };
            let len = backend::HEADER + header.body;
            let whole = rest.get(backend::HEADER..len);
            if whole.is_none() && must_be_whole(header.tag) {
                return if len > MAX_WHOLE {
                    Err(FrameError)
                } else {
                    Ok(())
                };
            }
            let fate = match header.tag {
                b'D' | b'd' | b't' | b'c' | b'V' | b'N' | b'A' | b'H' => Fate::Pass,
                b'E' => {
                    let Report { severity, .. } = backend::report(whole.unwrap_or_default());
                    self.server_ended = severity == "FATAL" || severity == "PANIC";
                    self.take_error(connection, statements)
                }
                b'S' => {
                    let body = whole.unwrap_or_default().to_vec();
                    connection.parameters_mut().update(&body)?;
                    Fate::Pass
                }
                b'Z' => {
                    let status = TransactionStatus::decode(whole.unwrap_or_default())?;
                    self.take_ready(status, connection, statements)?
                }
                tag => self.take_step(tag, connection, statements)?,
            };
            match fate {
                Fate::Pass => self.scan.pass(connection.input(), len),
                Fate::Drop => self.scan.drop_next(connection.input_mut(), staged, len),
                Fate::Replace(ours) => {
                    self.scan.drop_next(connection.input_mut(), staged, len);
                    staged.extend_from_slice(&ours);
                }
            }
        }
    }

    /// Puts in an answer of ours whose turn it is.
    fn put_in_ours<S>(&mut self, connection: &mut Connection<S>, staged: &mut BytesMut) -> bool {
        let Some(ours) = self.awaited.front().and_then(Awaited::ours) else {
            return false;
        };
        self.awaited.pop_front();
        if !ours.is_empty() {
            self.scan.stage(connection.input_mut(), staged);
            staged.extend_from_slice(ours);
        }
        true
    }

    /// An answer, or a step of one, that is owed to the message in front.
    fn take_step<S>(
        &mut self,
        tag: u8,
        connection: &mut Connection<S>,
        statements: &mut Statements,
    ) -> Result<Fate, FrameError> {
        let front = self.awaited.front().ok_or(FrameError)?;
        let (over, fate) = match (tag, front) {
            (b'1', Awaited::Parse(_)) | (b'2', Awaited::Bind) | (b'3', Awaited::Close) => {
                (true, Fate::Pass)
            }
            (b'1', Awaited::OurParse(_) | Awaited::OurUnnamedParse) | (b'3', Awaited::OurClose) => {
                (true, Fate::Drop)
            }
            (b'T' | b'n', Awaited::Describe) => (true, Fate::Pass),
            (b'T' | b'C' | b'I', Awaited::Query(_)) => (false, Fate::Pass),
            (b'G', Awaited::Query(_) | Awaited::Execute(_)) => {
                self.copy_in = begin_copy_in(&mut self.awaited);
                (false, Fate::Pass)
            }
            (b'C' | b'I' | b's', Awaited::Execute(_)) => {
                self.copy_in = false;
                (true, Fate::Pass)
            }
            _ => return Err(FrameError),
        };
        if over && let Some(Awaited::Execute(Some(verdict))) = self.awaited.pop_front() {
            self.succeeded(&verdict, connection, statements);
        }
        Ok(fate)
    }

    /// An error: of the pipeline, everything up to its Sync is skipped by the
    /// server (protocol section "Extended Query").
    fn take_error<S>(
        &mut self,
        connection: &mut Connection<S>,
        statements: &mut Statements,
    ) -> Fate {
        self.failed = true;
        self.copy_in = false;
        let mut fate = Fate::Pass;
        match self.awaited.front_mut() {
            Some(Awaited::RefusedQuery(ours) | Awaited::Refused(ours)) if !self.server_ended => {
                fate = Fate::Replace(std::mem::take(ours));
            }
            _ => {}
        }
        while self.awaited.front().is_some_and(|next| !next.is_cycle()) {
            match self.awaited.pop_front() {
                Some(Awaited::Parse(Parsed::Named(name, id))) => {
                    statements.remove(&name);
                    if let Some(id) = id {
                        connection.prepared().remove(id);
                    }
                }
                Some(Awaited::ParsedBefore(name)) => statements.remove(&name),
                Some(Awaited::Parse(Parsed::Unnamed)) => {
                    statements.set_unnamed(None);
                    self.has_unnamed = false;
                }
                Some(Awaited::OurParse(id)) => connection.prepared().remove(id),
                Some(Awaited::OurUnnamedParse) => self.has_unnamed = false,
                _ => {}
            }
        }
        fate
    }

    fn take_ready<S>(
        &mut self,
        status: TransactionStatus,
        connection: &mut Connection<S>,
        statements: &mut Statements,
    ) -> Result<Fate, FrameError> {
        let front = self.awaited.pop_front().ok_or(FrameError)?;
        match front {
            Awaited::Query(verdict) => {
                if !self.failed {
                    self.succeeded(&verdict, connection, statements);
                }
            }
            Awaited::RefusedQuery(_) | Awaited::Sync => {}
            _ => return Err(FrameError),
        }
        self.status = status;
        self.failed = false;
        self.copy_in = false;
        if status == TransactionStatus::Idle {
            self.portals.clear();
        }
        Ok(Fate::Pass)
    }

    /// What takes effect once a statement has run.
    fn succeeded<S>(
        &mut self,
        verdict: &Verdict,
        connection: &mut Connection<S>,
        statements: &mut Statements,
    ) {
        let effects = &verdict.effects;
        if effects.drops_prepared {
            connection.prepared().clear();
            statements.clear();
            self.has_unnamed = false;
        }
        if effects.clears_residue {
            self.pinned = false;
            self.condition = Condition::Clean;
        }
    }
}

/// What becomes of a server's message.
enum Fate {
    /// The client gets it.
    Pass,
    /// It was an answer to us.
    Drop,
    /// The client gets this instead.
    Replace(Box<[u8]>),
}

/// Messages whose content is acted upon.
fn must_be_whole(tag: u8) -> bool {
    matches!(tag, b'Z' | b'S' | b'E')
}
