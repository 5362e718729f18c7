//! What happens on a server connection while a client uses it.

use super::awaited::{Awaited, Parsed, begin_copy_in};
use super::scan::Scan;
use super::statements::Statements;
use crate::binding::Condition;
use crate::guard::{Returned, Verdict};
use crate::server::{Connection, Parameters, PreparedId, Shape};
use crate::transport::Buffer;
use crate::wire::backend::{self, FrameError, Report, TransactionStatus};
use bytes::BytesMut;
use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

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
    /// Whether the connection stays with the client.
    pub(super) pinned: Pinned,
    /// Temporary relations that the client has made on this connection.
    pub(super) temporary: BTreeSet<Box<str>>,
    /// What is left in the session for the next user, at worst.
    pub(super) condition: Condition,
    /// Code may have run since the tenant was attached that has changed it.
    pub(super) doubted: bool,
    /// Whether what the client sends must wait.
    pub(super) hold: Hold,
    /// Portals whose execution changes more than data.
    pub(super) portals: Vec<(Box<[u8]>, Arc<Verdict>)>,
    /// The statement that was described to us last.
    pub(super) described: Option<PreparedId>,
    /// The parameters that the client knows, while others are in force until the
    /// tenant is attached again.
    pub(super) told: Option<Parameters>,
    /// Settings that a query string, now over, has returned to their default.
    pub(super) defaults: Vec<Returned>,
    /// The transaction may have changed settings for itself (`SET LOCAL`).
    pub(super) local: bool,
    /// The setting that makes the server read statements otherwise than the
    /// guard, once code in the database has changed it.
    pub(super) misread: Option<&'static str>,
    /// The server's last error ended its session.
    pub(super) server_ended: bool,
    /// The client has begun a pipeline, and its Sync has not been sent: the
    /// server keeps a transaction for it, whatever the status says.
    pub(super) in_pipeline: bool,
    /// CopyData went out before the server had begun the COPY.
    pub(super) early_data: bool,
    /// Whether the server ignores a Sync that was sent within copied data or
    /// answers it is known only if nothing fails.
    pub(super) uncertain: bool,
    /// The running query, or pipeline up to its Sync, has failed.
    failed: bool,
}

/// Whether a connection stays with its client for what it has left there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pinned {
    /// Nothing keeps it.
    No,
    /// Objects: in need, the client can do without.
    ByObjects,
    /// Locks: the client cannot go on without.
    ByLocks,
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
    /// Some settings have returned to their default once everything owed has
    /// arrived; then the client's startup values are set again.
    UntilReturned,
}

impl Hold {
    /// Whether the client is told that the server is ready only when settings
    /// have been set again.
    fn ends_in_reset(self) -> bool {
        matches!(self, Self::UntilReattached | Self::UntilReturned)
    }
}

/// How many ledgers a thread keeps for the next user.
const KEPT: usize = 64;
/// Owed answers that a ledger that is kept has room for, at most.
const MOST_ROOM: usize = 64;

thread_local! {
    /// Ledgers at rest, so that an idle client holds none and a transaction does
    /// not allocate.
    #[expect(clippy::vec_box, reason = "they are handed out in their boxes")]
    static AT_REST: RefCell<Vec<Box<Ledger>>> = const { RefCell::new(Vec::new()) };
}

impl Ledger {
    /// An empty one.
    pub(super) fn new() -> Box<Self> {
        let at_rest = AT_REST.with_borrow_mut(Vec::pop);
        // What most transactions need, at one stroke.
        at_rest.unwrap_or_else(|| Box::new(Self::with(VecDeque::with_capacity(8))))
    }

    /// Keeps the memory, and nothing else, for another use.
    pub(super) fn put_away(mut self: Box<Self>) {
        let mut awaited = std::mem::take(&mut self.awaited);
        if awaited.capacity() > MOST_ROOM {
            return;
        }
        awaited.clear();
        *self = Self::with(awaited);
        AT_REST.with_borrow_mut(|kept| {
            if kept.len() < KEPT {
                kept.push(self);
            }
        });
    }

    fn with(awaited: VecDeque<Awaited>) -> Self {
        Self {
            scan: Scan::default(),
            awaited,
            status: TransactionStatus::Idle,
            has_unnamed: false,
            copy_in: false,
            pinned: Pinned::No,
            temporary: BTreeSet::new(),
            condition: Condition::Clean,
            doubted: false,
            hold: Hold::No,
            portals: Vec::new(),
            described: None,
            told: None,
            defaults: Vec::new(),
            local: false,
            misread: None,
            server_ended: false,
            in_pipeline: false,
            early_data: false,
            uncertain: false,
            failed: false,
        }
    }

    /// Whether the server owes nothing.
    pub(super) fn is_answered(&self) -> bool {
        self.awaited.is_empty() && !self.scan.is_within()
    }

    /// Whether nothing is owed and no transaction is open.
    pub(super) fn is_idle(&self) -> bool {
        self.is_answered() && self.is_without_transaction()
    }

    fn is_without_transaction(&self) -> bool {
        self.status == TransactionStatus::Idle && !self.in_pipeline && !self.failed
    }

    /// Notes that something runs that may leave the session so.
    pub(super) fn worsen(&mut self, condition: Condition) {
        self.condition = self.condition.max(condition);
        self.doubted |= condition > Condition::Clean;
    }

    /// Lets nothing more be sent before all is answered, at least.
    pub(super) fn hold_until_answered(&mut self) {
        if self.hold == Hold::No {
            self.hold = Hold::UntilAnswered;
        }
    }

    /// Whether a pipeline has failed whose Sync is still to come: the server
    /// ignores everything before it.
    pub(super) fn skips(&self) -> bool {
        self.failed && self.awaited.is_empty()
    }

    /// Whether one transaction is over and no next one has begun, whatever else
    /// the server is saying.
    pub(super) fn is_between(&self) -> bool {
        let held = matches!(self.hold, Hold::Resetting | Hold::UntilReattached);
        self.awaited.is_empty() && self.is_without_transaction() && !held
    }

    /// Whether only the answers of a query string or pipeline are still to come
    /// behind which settings are set again.
    fn ends_in_reset(&self) -> bool {
        self.hold.ends_in_reset() && self.awaited.len() <= 1
    }

    /// Ends the answers to what has reset settings: the client is told of
    /// the parameters that differ from those that it knows, and that the server
    /// is ready.
    pub(super) fn end_reset(&mut self, now: &Parameters, output: &mut Vec<u8>) {
        if let Some(before) = self.told.take() {
            let changed = now
                .iter()
                .filter(|(name, value)| before.get(name) != Some(value));
            for (name, value) in changed {
                backend::write_parameter_status(output, name, value);
            }
        }
        backend::ready_for_query(output, self.status);
    }

    /// Looks at what the server has sent, as far as it can be understood.
    /// Messages that are not for the client are taken out, ours put in between
    /// them through `staged`.
    #[inline]
    pub(super) fn take_answers<S>(
        &mut self,
        connection: &mut Connection<S>,
        statements: &mut Statements,
        staged: &mut BytesMut,
    ) -> Result<(), FrameError> {
        if self.scan.unseen(connection.input()).is_empty() && !self.owes_ours() {
            return Ok(());
        }
        self.take_arrived(connection, statements, staged)
    }

    fn take_arrived<S>(
        &mut self,
        connection: &mut Connection<S>,
        statements: &mut Statements,
        staged: &mut BytesMut,
    ) -> Result<(), FrameError> {
        loop {
            if !self.scan.advance(connection.input_mut(), staged) {
                return Ok(());
            }
            self.pass_plain(connection.input());
            if self.put_in_ours(connection, staged) {
                continue;
            }
            let rest = self.scan.unseen(connection.input());
            let Some(header) = backend::header(rest)? else {
                return Ok(());
            };
            let len = backend::HEADER + header.body;
            // As much of it as is acted upon must have arrived.
            let needed = backend::HEADER + header.body.min(self.acted_upon(header.tag));
            let Some(whole) = rest.get(backend::HEADER..needed) else {
                return Ok(());
            };
            let fate = match header.tag {
                // Data that nobody asked for would be another's.
                b'D' | b'd' | b't' | b'c' | b'H' if self.awaited.is_empty() => {
                    return Err(FrameError);
                }
                b't' if matches!(self.awaited.front(), Some(Awaited::OurDescribe(_))) => Fate::Drop,
                b'D' | b'd' | b't' | b'c' | b'H' | b'N' | b'A' => Fate::Pass,
                b'T' | b'n' if self.tells_shape() => {
                    let is_whole = whole.len() == header.body;
                    let shape = match header.tag {
                        b'T' if is_whole => Shape::of(Some(whole)),
                        b'T' => None,
                        _ => Shape::of(None),
                    };
                    self.take_shape(shape, connection, statements)
                }
                b'E' => {
                    let Report {
                        severity, sqlstate, ..
                    } = backend::report(whole);
                    self.server_ended = severity == "FATAL" || severity == "PANIC";
                    let mut renamed = None;
                    if sqlstate == "08P01" && whole.len() == header.body {
                        let body = whole.to_vec();
                        renamed = with_clients_name(&body, connection, statements);
                    } else if sqlstate == "0A000" {
                        self.forget_prepared(connection);
                    }
                    match (self.take_error(connection, statements)?, renamed) {
                        (Fate::Pass, Some(ours)) => Fate::Replace(ours),
                        (fate, _) => fate,
                    }
                }
                b'S' => {
                    let body = whole.to_vec();
                    let fate = match self.ends_in_reset() {
                        // The client is told once they are what it will find.
                        true => {
                            let before = || connection.parameters().clone();
                            self.told.get_or_insert_with(before);
                            Fate::Drop
                        }
                        false => Fate::Pass,
                    };
                    connection.parameters_mut().update(&body)?;
                    self.misread = misread(&body).or(self.misread);
                    fate
                }
                b'Z' => {
                    let status = TransactionStatus::decode(whole)?;
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

    /// Passes messages that are whole, and of which there is nothing to note but
    /// that they have come: most are so.
    fn pass_plain(&mut self, input: &Buffer) {
        let bytes = self.scan.unseen(input);
        let mut len = 0;
        while let Some(rest) = bytes.get(len..)
            && let Ok(Some(header)) = backend::header(rest)
            && rest.len() >= backend::HEADER + header.body
        {
            match (header.tag, self.awaited.front()) {
                (b'D' | b'd', Some(Awaited::Query(_) | Awaited::Execute(_)))
                | (b'T' | b'C', Some(Awaited::Query(_))) => {}
                (b'1', Some(Awaited::Parse(_)))
                | (b'2', Some(Awaited::Bind))
                | (b'3', Some(Awaited::Close))
                | (b'T' | b'n', Some(Awaited::Describe)) => {
                    self.awaited.pop_front();
                }
                (b'C', Some(Awaited::Execute(None))) => {
                    self.end_copy();
                    self.awaited.pop_front();
                }
                (b'Z', Some(front)) if self.hold == Hold::No && front.ends_plainly() => {
                    let body = rest.get(backend::HEADER..).unwrap_or_default();
                    let Ok(status) =
                        TransactionStatus::decode(body.get(..header.body).unwrap_or_default())
                    else {
                        break;
                    };
                    self.awaited.pop_front();
                    self.become_ready(status);
                }
                _ => break,
            }
            len += backend::HEADER + header.body;
        }
        self.scan.pass(input, len);
    }

    /// How many bytes of a message's body are acted upon, at most.
    fn acted_upon(&self, tag: u8) -> usize {
        match tag {
            // Name and value: a longer one does not decode.
            b'Z' | b'S' => 64 << 10,
            // The severity comes first, and errors that name a prepared statement
            // are short; others can quote a value of megabytes.
            b'E' => 1 << 10,
            b'T' if self.tells_shape() => 64 << 10,
            _ => 0,
        }
    }

    /// Whether the next description is that of a statement whose rows matter.
    fn tells_shape(&self) -> bool {
        matches!(
            self.awaited.front(),
            Some(Awaited::DescribeStatement(..) | Awaited::OurDescribe(_))
        )
    }

    /// Takes note of the rows of the statement that is described.
    fn take_shape<S>(
        &mut self,
        shape: Option<Shape>,
        connection: &mut Connection<S>,
        statements: &mut Statements,
    ) -> Fate {
        match self.awaited.pop_front() {
            Some(Awaited::DescribeStatement(name, id)) => {
                connection.prepared().set_shape(id, shape);
                statements.set_shape(&name, id, shape);
                Fate::Pass
            }
            Some(Awaited::OurDescribe(id)) => {
                let shape = shape.unwrap_or(Shape::UNKNOWN);
                connection.prepared().set_shape(id, Some(shape));
                self.described = Some(id);
                Fate::Drop
            }
            _ => Fate::Pass,
        }
    }

    /// Whether it is the turn of an answer of ours.
    fn owes_ours(&self) -> bool {
        self.awaited
            .front()
            .is_some_and(|next| next.ours().is_some())
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
            (tag, Awaited::Ours(expected)) if tag == *expected => (true, Fate::Drop),
            (b'T' | b'n', Awaited::Describe) => (true, Fate::Pass),
            (b'T' | b'C' | b'I', Awaited::Query(_)) => (false, Fate::Pass),
            (b'G', Awaited::Query(_) | Awaited::Execute(_)) => {
                let begun = begin_copy_in(&mut self.awaited);
                self.copy_in = begun.open;
                if begun.ignores_sync && self.hold == Hold::UntilAnswered {
                    // The pipeline goes on behind the copied data.
                    self.hold = Hold::No;
                }
                let awaits_ready =
                    |next: &Awaited| matches!(next, Awaited::Query(_) | Awaited::Sync);
                self.in_pipeline |= begun.ignores_sync && !self.awaited.iter().any(awaits_ready);
                self.uncertain |= begun.ignores_sync && self.early_data;
                (false, Fate::Pass)
            }
            (b'C' | b'I' | b's', Awaited::Execute(_)) => {
                self.end_copy();
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
    ) -> Result<Fate, FrameError> {
        if self.uncertain {
            // How many ReadyForQuery will come cannot be known.
            return Err(FrameError);
        }
        self.failed = true;
        self.end_copy();
        let mut fate = Fate::Pass;
        match self.awaited.front_mut() {
            Some(Awaited::RefusedQuery(ours) | Awaited::Refused(ours)) if !self.server_ended => {
                fate = Fate::Replace(std::mem::take(ours));
            }
            _ => {}
        }
        if let Some(Awaited::Query(_) | Awaited::RefusedQuery(_)) = self.awaited.front() {
            return Ok(fate);
        }
        while self
            .awaited
            .front()
            .is_some_and(|next| !matches!(next, Awaited::Sync | Awaited::OurSync))
        {
            match self.awaited.pop_front() {
                Some(Awaited::Parse(Parsed::Named(name, id))) => {
                    statements.remove(&name);
                    if let Some(id) = id {
                        connection.prepared().remove(id);
                    }
                }
                // The server keeps what nobody knows any more.
                Some(Awaited::OurClose) => self.condition = Condition::Littered,
                Some(Awaited::Parse(Parsed::Unnamed)) => {
                    statements.remove(b"");
                    self.has_unnamed = false;
                }
                Some(Awaited::OurParse(id)) => connection.prepared().remove(id),
                Some(Awaited::OurUnnamedParse) => self.has_unnamed = false,
                _ => {}
            }
        }
        Ok(fate)
    }

    /// After a change of its tables a prepared statement can fail for ever
    /// ("cached plan must not change result type"): who prepares it anew must
    /// not be given the old one.
    fn forget_prepared<S>(&mut self, connection: &mut Connection<S>) {
        connection.prepared().clear();
        self.condition = Condition::Littered;
    }

    fn end_copy(&mut self) {
        self.copy_in = false;
        self.early_data = false;
        self.uncertain = false;
    }

    fn take_ready<S>(
        &mut self,
        status: TransactionStatus,
        connection: &mut Connection<S>,
        statements: &mut Statements,
    ) -> Result<Fate, FrameError> {
        let front = self.awaited.pop_front().ok_or(FrameError)?;
        let mut fate = Fate::Pass;
        match front {
            Awaited::Query(verdict) => {
                if !self.failed {
                    if self.hold == Hold::UntilReturned {
                        self.defaults.extend_from_slice(&verdict.effects.defaults);
                    }
                    self.succeeded(&verdict, connection, statements);
                }
            }
            Awaited::OurSync => fate = Fate::Drop,
            Awaited::RefusedQuery(_) | Awaited::Sync => {}
            _ => return Err(FrameError),
        }
        if self.awaited.is_empty() && self.hold.ends_in_reset() {
            // It comes once the settings are set again.
            fate = Fate::Drop;
        }
        self.become_ready(status);
        Ok(fate)
    }

    /// The server is ready for the next query, in this state.
    fn become_ready(&mut self, status: TransactionStatus) {
        self.status = status;
        self.failed = false;
        self.end_copy();
        if status == TransactionStatus::Idle {
            self.portals.clear();
            self.local &= !self.awaited.is_empty();
        }
    }

    /// What takes effect once a statement has run.
    fn succeeded<S>(
        &mut self,
        verdict: &Verdict,
        connection: &mut Connection<S>,
        statements: &mut Statements,
    ) {
        let effects = &verdict.effects;
        if let Some(name) = &effects.deallocates
            && let Some(statement) = statements.get(name.as_bytes())
        {
            connection.prepared().remove(statement.prepared.id());
            statements.remove(name.as_bytes());
        }
        if effects.drops_prepared {
            connection.prepared().clear();
            statements.clear();
            self.has_unnamed = false;
        }
        if effects.clears_residue {
            self.pinned = Pinned::No;
            self.temporary.clear();
            self.condition = Condition::Clean;
        }
    }
}

/// An error that names a prepared statement ("bind message supplies …"), with
/// the client's name for it in place of the server's.
fn with_clients_name<S>(
    body: &[u8],
    connection: &mut Connection<S>,
    statements: &Statements,
) -> Option<Box<[u8]>> {
    let text = std::str::from_utf8(body).ok()?;
    let (before, rest) = text.split_once("\"pgtenant_")?;
    let (digits, after) = rest.split_once('"')?;
    let id = connection.prepared().id_of(&format!("pgtenant_{digits}"))?;
    let name = statements.name_of(id)?;
    let body = [before.as_bytes(), b"\"", name, b"\"", after.as_bytes()].concat();
    let mut message = Vec::new();
    backend::message(&mut message, b'E', &body);
    Some(message.into_boxed_slice())
}

/// The setting of which a ParameterStatus says that the server now splits texts
/// into tokens otherwise than the guard.
fn misread(body: &[u8]) -> Option<&'static str> {
    let (name, value) = backend::parameter_status(body)?;
    let pinned = [
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
    ];
    let setting = pinned.iter().find(|(setting, _)| *setting == name)?;
    (setting.1 != value).then_some(setting.0)
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
