//! From the client to the server: each message is understood, judged, and
//! passed, changed, answered or refused.

use super::answering::Turn;
use super::awaited::{Awaited, Parsed};
use super::ledger::{Hold, Ledger, Pinned};
use super::relay::SLOW_CLIENT;
use super::statements::Statement;
use super::{Judged, Session};
use crate::binding::Condition;
use crate::guard::{self, Effects, Parameter, Permission, Returned, TouchedSettings, Verdict};
use crate::server::{Connection, Prepared, PreparedId, StatementName};
use crate::settings::Pin;
use crate::wire::ClientError;
use crate::wire::backend::{self, TransactionStatus};
use crate::wire::frontend::{
    self, BindValues, FrameError, HEADER, Header, Kind, LayoutError, Target,
};
use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend as write;
use std::io::ErrorKind;
use std::sync::Arc;

/// Longest Query or Parse that is taken, in bytes.
pub const MAX_STATEMENT: usize = 8 << 20;
/// Longest front of a Bind (its two names) that is taken, in bytes.
const MAX_NAMES: usize = 16 << 10;
/// Longest Bind that is taken where its values are judged, in bytes.
const MAX_JUDGED_BIND: usize = 64 << 10;
/// Statements from this length on are judged on another thread, in bytes.
const LONG_STATEMENT: usize = 32 << 10;
/// Once this much is staged for the server, it is sent before more is taken.
const STAGED_ENOUGH: usize = 256 << 10;
/// Once so many answers are owed, some must come before more is taken. A server
/// keeps back no more than its output buffer holds: 8 KB.
const MOST_AWAITED: usize = 16 << 10;
/// Prepared statements that one server connection keeps.
const MOST_PREPARED: usize = 200;
/// Most session settings of one client's own.
const MOST_SETTINGS: usize = 256;
/// What the server is sent in place of a refused statement: it is no SQL, so
/// that the server's own state (a failed transaction, a skipped pipeline)
/// becomes what a refusal by the server would have made of it.
const NO_SQL: &str = "pgtenant_refused_this_statement";

/// What became of the next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is dealt with.
    Done,
    /// More bytes must come first.
    Incomplete,
    /// It must wait.
    Held,
    /// It can only be dealt with once there is a server connection.
    NeedsServer,
    /// Its text is so long that it is to be judged elsewhere first.
    Judge,
    /// The client says goodbye.
    Terminate,
}

/// One whole message, or the front of a long one, at the head of the buffer.
enum Next {
    Message(Header),
    TooLong(Header),
    Incomplete,
}

impl Session {
    /// Deals with the client's messages that need no server connection, up to
    /// the first that does.
    pub(super) fn answer_locally(&mut self) -> Result<Step, FrameError> {
        loop {
            let header = match self.next_message()? {
                Next::Incomplete => return Ok(Step::Incomplete),
                Next::TooLong(header) if !self.skipping => {
                    let error = self.too_long(header);
                    self.refuse_locally(header, &error);
                    continue;
                }
                Next::Message(header) | Next::TooLong(header) => header,
            };
            match self.answer_one_locally(header) {
                Step::Done => {}
                other => return Ok(other),
            }
        }
    }

    fn answer_one_locally(&mut self, header: Header) -> Step {
        if self.skipping && !matches!(header.kind, Kind::Sync | Kind::Terminate) {
            self.drop_local(header);
            return Step::Done;
        }
        if self.is_about_answered(header) {
            match self.answer(header) {
                Ok(reply) => {
                    self.reply(reply);
                    self.drop_local(header);
                }
                Err(Unbound::Incomplete) => return Step::Incomplete,
                Err(Unbound::Refused(error)) => self.refuse_locally(header, &error),
            }
            return Step::Done;
        }
        match header.kind {
            Kind::Terminate => return Step::Terminate,
            Kind::Sync => {
                self.skipping = false;
                self.portals.clear();
                self.client
                    .send(|out| backend::ready_for_query(out, TransactionStatus::Idle));
                self.drop_local(header);
            }
            // Outside of COPY the server ignores these, too.
            Kind::Flush | Kind::CopyData | Kind::CopyDone | Kind::CopyFail => {
                self.drop_local(header);
            }
            Kind::FunctionCall => {
                let error = self.refusal(&guard::function_call());
                self.refuse_locally(header, &error);
            }
            Kind::Query => {
                let verdict = match self.judge(header) {
                    Ok(verdict) => verdict,
                    Err(Unjudged::Long) => return Step::Judge,
                    Err(Unjudged::Refused(error)) => {
                        self.refuse_locally(header, &error);
                        return Step::Done;
                    }
                };
                match self.answer_alone(&verdict, TransactionStatus::Idle) {
                    None => {}
                    Some(Ok(reply)) => {
                        self.judged = None;
                        self.reply(reply);
                        self.drop_local(header);
                        return Step::Done;
                    }
                    Some(Err(error)) => {
                        self.refuse_locally(header, &error);
                        return Step::Done;
                    }
                }
                self.judged = Some(Judged::Admitted(verdict));
                return Step::NeedsServer;
            }
            Kind::Parse => match self.judge(header) {
                Ok(verdict) if verdict.answer.is_some() => {
                    match self.answer_parse(header, &verdict) {
                        Ok(reply) => {
                            self.reply(reply);
                            self.drop_local(header);
                        }
                        Err(error) => self.refuse_locally(header, &error),
                    }
                }
                Ok(verdict) => {
                    self.judged = Some(Judged::Admitted(verdict));
                    return Step::NeedsServer;
                }
                Err(Unjudged::Long) => return Step::Judge,
                Err(Unjudged::Refused(error)) => self.refuse_locally(header, &error),
            },
            Kind::Bind | Kind::Describe => match self.check_statement(header) {
                Ok(()) => return Step::NeedsServer,
                Err(error) => self.refuse_locally(header, &error),
            },
            Kind::Execute => match frontend::execute(self.body(header)) {
                Ok(()) => return Step::NeedsServer,
                Err(error) => self.refuse_locally(header, &layout(error)),
            },
            Kind::Close => match frontend::target(self.body(header)) {
                Ok(Target::Statement(name)) => {
                    let name = name.to_vec();
                    self.statements.remove(&name);
                    self.client
                        .output
                        .extend_from_slice(backend::CLOSE_COMPLETE);
                    self.drop_local(header);
                }
                Ok(Target::Portal(name)) => {
                    let name = name.to_vec();
                    self.forget_portal(&name);
                    self.client
                        .output
                        .extend_from_slice(backend::CLOSE_COMPLETE);
                    self.drop_local(header);
                }
                Err(error) => self.refuse_locally(header, &layout(error)),
            },
        }
        Step::Done
    }

    /// A statement that Bind or Describe names must exist, or the error is told
    /// without a server.
    fn check_statement(&self, header: Header) -> Result<(), ClientError> {
        let body = self.body(header);
        let name = match header.kind {
            Kind::Bind => {
                frontend::bind_head(body)
                    .ok_or_else(|| layout(LayoutError))?
                    .statement
            }
            _ => match frontend::target(body).map_err(layout)? {
                Target::Statement(name) => name,
                Target::Portal(_) => return Ok(()),
            },
        };
        match self.statements.get(name) {
            Some(_) => Ok(()),
            None => Err(no_statement(name)),
        }
    }

    /// Passes on the client's messages as far as they go.
    pub(super) fn forward<S>(
        &mut self,
        connection: &mut Connection<S>,
        ledger: &mut Ledger,
    ) -> Result<Step, FrameError> {
        loop {
            let too_much = connection.output().len() > STAGED_ENOUGH
                || ledger.awaited.len() > MOST_AWAITED
                || self.client.output.len() > SLOW_CLIENT;
            if too_much {
                return Ok(Step::Held);
            }
            match ledger.hold {
                Hold::UntilAnswered if ledger.is_answered() => ledger.hold = Hold::No,
                // The copied data are part of what is waited for; whatever else
                // comes, the server does not run it.
                Hold::UntilAnswered | Hold::UntilReattached | Hold::UntilReturned
                    if ledger.copy_in => {}
                Hold::UntilAnswered | Hold::UntilReattached | Hold::UntilReturned => {
                    return Ok(Step::Held);
                }
                Hold::No | Hold::Resetting => {}
            }
            let mut upstream = Upstream { connection, ledger };
            let skips = upstream.ledger.skips();
            let step = match self.next_message_to(&mut upstream, skips)? {
                Next::Incomplete => return Ok(Step::Incomplete),
                Next::Message(header) | Next::TooLong(header)
                    if skips && !matches!(header.kind, Kind::Sync | Kind::Terminate) =>
                {
                    self.judged = None;
                    self.drop_next(header, &mut upstream);
                    Step::Done
                }
                Next::TooLong(header) => {
                    let error = self.too_long(header);
                    self.refuse(header, &error, &mut upstream);
                    Step::Done
                }
                Next::Message(header) => self.forward_one(header, &mut upstream),
            };
            if step != Step::Done {
                return Ok(step);
            }
        }
    }

    fn forward_one<S>(&mut self, header: Header, up: &mut Upstream<'_, S>) -> Step {
        let in_pipeline = up.ledger.in_pipeline;
        match header.kind {
            Kind::Parse | Kind::Bind | Kind::Describe | Kind::Close | Kind::Execute => {
                up.ledger.in_pipeline = true;
            }
            Kind::Query => up.ledger.in_pipeline = false,
            // Within copied data it is ignored.
            Kind::Sync if !up.ledger.copy_in => up.ledger.in_pipeline = false,
            _ => {}
        }
        if self.is_about_answered(header) {
            let reply = match self.turn(up) {
                Turn::Later => return Step::Held,
                Turn::Refused(error) => Err(error),
                Turn::Now => match self.answer(header) {
                    Ok(reply) => Ok(reply),
                    Err(Unbound::Incomplete) => return Step::Incomplete,
                    Err(Unbound::Refused(error)) => Err(error),
                },
            };
            return self.answer_in_turn(header, reply, up);
        }
        match header.kind {
            Kind::Terminate => Step::Terminate,
            Kind::Query => self.forward_query(header, in_pipeline, up),
            Kind::Parse => self.forward_parse(header, up),
            Kind::Bind => self.forward_bind(header, up),
            Kind::Describe => self.forward_describe(header, up),
            Kind::Close => self.forward_close(header, up),
            Kind::Execute => self.forward_execute(header, up),
            Kind::Sync => {
                self.portals.clear();
                if up.ledger.copy_in {
                    up.ledger.uncertain = true;
                } else {
                    up.ledger.awaited.push_back(Awaited::Sync);
                    if up.ledger.hold == Hold::Resetting {
                        up.ledger.hold = Hold::UntilReattached;
                    } else if up.ledger.doubted || !up.ledger.portals.is_empty() {
                        up.ledger.hold_until_answered();
                    }
                }
                self.pass(header);
                Step::Done
            }
            Kind::Flush | Kind::CopyData => {
                let is_early = !up.ledger.copy_in && !up.ledger.awaited.is_empty();
                up.ledger.early_data |= is_early && header.kind == Kind::CopyData;
                self.pass(header);
                Step::Done
            }
            Kind::CopyDone | Kind::CopyFail => {
                if !std::mem::take(&mut up.ledger.copy_in) {
                    up.ledger.awaited.push_back(Awaited::CopyEnd);
                }
                self.pass(header);
                Step::Done
            }
            Kind::FunctionCall => {
                let error = self.refusal(&guard::function_call());
                self.refuse(header, &error, up);
                Step::Done
            }
        }
    }

    /// The verdict that lets the message pass, or what became of it instead.
    fn verdict<S>(
        &mut self,
        header: Header,
        up: &mut Upstream<'_, S>,
    ) -> Result<Arc<Verdict>, Step> {
        self.judge(header).map_err(|unjudged| match unjudged {
            Unjudged::Long => Step::Judge,
            Unjudged::Refused(error) => {
                self.refuse(header, &error, up);
                Step::Done
            }
        })
    }

    fn forward_query<S>(
        &mut self,
        header: Header,
        in_pipeline: bool,
        up: &mut Upstream<'_, S>,
    ) -> Step {
        let verdict = match self.verdict(header, up) {
            Ok(verdict) => verdict,
            Err(step) => return step,
        };
        if self.is_answered_here(&verdict) {
            let answered = match self.turn(up) {
                Turn::Later => {
                    self.judged = Some(Judged::Admitted(verdict));
                    up.ledger.in_pipeline = in_pipeline;
                    return Step::Held;
                }
                Turn::Refused(error) => Some(Err(error)),
                Turn::Now => self.answer_alone(&verdict, up.ledger.status),
            };
            match answered {
                Some(Ok(reply)) => {
                    // The server is not told of it: for the server a pipeline
                    // goes on.
                    up.ledger.in_pipeline = in_pipeline;
                    self.reply_between(reply, up);
                    self.drop_next(header, up);
                    return Step::Done;
                }
                Some(Err(error)) => {
                    self.refuse(header, &error, up);
                    return Step::Done;
                }
                None => {}
            }
        }
        if up.ledger.hold == Hold::Resetting {
            self.refuse(header, &after_reset(), up);
            return Step::Done;
        }
        if let Err(error) = self.take_effects(&verdict, up) {
            self.refuse(header, &error, up);
            return Step::Done;
        }
        // A simple query ends the unnamed statement.
        self.statements.set_unnamed(None);
        up.ledger.has_unnamed = false;
        if verdict.effects.resets {
            up.ledger.hold = Hold::UntilReattached;
        } else if self.returns_to_startup(&verdict) {
            if up.ledger.is_answered()
                && up.ledger.status != TransactionStatus::Failed
                && let [Returned { alone: true, .. }] = &*verdict.effects.defaults
            {
                self.forward_reset(header, &verdict, up);
                return Step::Done;
            }
            up.ledger.hold = Hold::UntilReturned;
        } else if verdict.effects.drops_prepared || up.ledger.doubted {
            // What is still prepared is known once it has run; and whether its
            // transaction is over, so that the tenant is to be attached anew.
            up.ledger.hold_until_answered();
        }
        up.ledger.awaited.push_back(Awaited::Query(verdict));
        self.pass(header);
        Step::Done
    }

    /// A `RESET name` of a setting that the client made at startup: in one
    /// pipeline with what sets the startup value again, so that the client is
    /// told of no value in between.
    fn forward_reset<S>(&mut self, header: Header, verdict: &Verdict, up: &mut Upstream<'_, S>) {
        self.stage(up);
        let sql = frontend::query(self.body(header)).unwrap_or_default();
        let tail = [sql, b"\0\0\0"].concat();
        self.drop_next(header, up);
        let output = up.connection.output();
        output.extend_from_slice(b"P");
        put_len(output, 1 + tail.len());
        output.extend_from_slice(b"\0");
        output.extend_from_slice(&tail);
        let no_values: [&str; 0] = [];
        let serialize = |_: &str, _: &mut BytesMut| Ok(IsNull::Yes);
        let bound = write::bind("", "", [], no_values, serialize, [], output);
        written(&bound.map_err(|_| ErrorKind::InvalidInput.into()));
        written(&write::execute("", 0, output));
        let awaited = &mut up.ledger.awaited;
        awaited.extend([Awaited::Ours(b'1'), Awaited::Ours(b'2')]);
        awaited.push_back(Awaited::Execute(None));
        self.add_startup_values(&verdict.effects.defaults, up);
        write::sync(up.connection.output());
        up.ledger.awaited.push_back(Awaited::Sync);
    }

    /// Whether a statement returns settings to their default that the client
    /// made at startup: for it, that is their default.
    fn returns_to_startup(&self, verdict: &Verdict) -> bool {
        let mut defaults = verdict.effects.defaults.iter();
        defaults.any(|setting| self.startup.get(&setting.name).is_some())
    }

    /// Sets the startup values of settings that a query string has returned to
    /// their default. Says whether there is anything to wait for.
    pub(super) fn set_startup_values<S>(
        &mut self,
        connection: &mut Connection<S>,
        ledger: &mut Ledger,
    ) -> bool {
        let defaults = &std::mem::take(&mut ledger.defaults);
        if defaults.is_empty() || ledger.status == TransactionStatus::Failed {
            return false;
        }
        let mut up = Upstream { connection, ledger };
        self.add_startup_values(defaults, &mut up);
        write::sync(up.connection.output());
        up.ledger.awaited.push_back(Awaited::OurSync);
        true
    }

    /// Adds to a pipeline what gives settings their startup values.
    fn add_startup_values<S>(&mut self, defaults: &[Returned], up: &mut Upstream<'_, S>) {
        /// No name that a client would choose.
        const NAME: &str = "pgtenant: startup values";
        self.stage(up);
        let (mut conditions, mut values) = (Vec::new(), Vec::new());
        for setting in defaults {
            if let Some(value) = self.startup.get(&setting.name) {
                let n = values.len();
                conditions.push(format!(
                    "pg_catalog.set_config(${}, ${}, ${}) IS NULL",
                    n + 1,
                    n + 2,
                    n + 3
                ));
                let local = if setting.local { "true" } else { "false" };
                values.extend([&*setting.name, value, local]);
            }
        }
        // A query without rows.
        let sql = format!("SELECT WHERE {}", conditions.join(" OR "));
        let output = up.connection.output();
        let serialize = |value: &str, out: &mut BytesMut| {
            out.extend_from_slice(value.as_bytes());
            Ok(IsNull::No)
        };
        // Left over, if a pipeline failed in the midst of it.
        written(&write::close(b'S', NAME, output));
        written(&write::parse(NAME, &sql, [], output));
        let bound = write::bind(NAME, NAME, [], values, serialize, [], output);
        written(&bound.map_err(|_| ErrorKind::InvalidInput.into()));
        written(&write::execute(NAME, 0, output));
        written(&write::close(b'S', NAME, output));
        let answers = [b'3', b'1', b'2', b'C', b'3'];
        up.ledger.awaited.extend(answers.map(Awaited::Ours));
    }

    fn forward_parse<S>(&mut self, header: Header, up: &mut Upstream<'_, S>) -> Step {
        let verdict = match self.verdict(header, up) {
            Ok(verdict) => verdict,
            Err(step) => return step,
        };
        if up.ledger.hold == Hold::Resetting {
            self.refuse(header, &after_reset(), up);
            return Step::Done;
        }
        if verdict.answer.is_some() {
            let reply = match self.turn(up) {
                Turn::Later => {
                    self.judged = Some(Judged::Admitted(verdict));
                    return Step::Held;
                }
                Turn::Refused(error) => Err(error),
                Turn::Now => self.answer_parse(header, &verdict),
            };
            return self.answer_in_turn(header, reply, up);
        }
        match self.add_statement(header, verdict, up) {
            Ok(()) => {}
            Err(error) => self.refuse(header, &error, up),
        }
        Step::Done
    }

    /// Enters the statement into the client's, and prepares it on the server
    /// where it is not prepared already.
    fn add_statement<S>(
        &mut self,
        header: Header,
        verdict: Arc<Verdict>,
        up: &mut Upstream<'_, S>,
    ) -> Result<(), ClientError> {
        let parse = frontend::parse(self.body(header)).map_err(layout)?;
        let name: Box<[u8]> = parse.name.into();
        if !name.is_empty() && self.statements.get(&name).is_some() {
            return Err(name_taken(&name));
        }
        if name.is_empty()
            && let Some(victim) = self.deallocated(&verdict)
        {
            self.add_deallocation(&victim, verdict, up);
            self.drop_next(header, up);
            return Ok(());
        }
        if name.is_empty() {
            self.add_unnamed(header, verdict, up);
            return Ok(());
        }
        let prepared = if self.touched.is_empty() && !up.ledger.local {
            self.interner.intern(parse.tail, &self.own)
        } else {
            // Under settings that are not known before the transaction's end.
            Prepared::new(parse.tail)
        };
        let statement = Arc::new(Statement::new(prepared.clone(), verdict, &self.own));
        if !self.statements.insert(&name, statement.clone()) {
            return Err(too_many_statements());
        }
        if statement.is_nameless() {
            self.stage(up);
            up.parse_for_once(&statement, Awaited::Parse(Parsed::Named(name, None)));
            self.drop_next(header, up);
            return Ok(());
        }
        if !self.maps_names {
            up.ledger
                .awaited
                .push_back(Awaited::Parse(Parsed::Named(name, None)));
            self.pass(header);
            return Ok(());
        }
        self.stage(up);
        let id = prepared.id();
        up.prepare(&prepared, Awaited::Parse(Parsed::Named(name, Some(id))));
        self.drop_next(header, up);
        Ok(())
    }

    /// Enters the unnamed statement; the server's becomes the same.
    fn add_unnamed<S>(&mut self, header: Header, verdict: Arc<Verdict>, up: &mut Upstream<'_, S>) {
        let tail = self.body(header).get(1..).unwrap_or_default();
        // Many clients send one text over and over.
        let is_same = |last: &Arc<Statement>| {
            last.prepared.tail() == tail
                && Arc::ptr_eq(&last.verdict, &verdict)
                && last.own == self.own
        };
        if !self.statements.get(b"").is_some_and(is_same) {
            let statement = Statement::new(Prepared::new(tail), verdict, &self.own);
            self.statements.set_unnamed(Some(Arc::new(statement)));
        }
        up.ledger.has_unnamed = true;
        up.ledger.awaited.push_back(Awaited::Parse(Parsed::Unnamed));
        self.pass(header);
    }

    /// The prepared statement of the client's that a DEALLOCATE names, if the
    /// server knows it by another name.
    fn deallocated(&self, verdict: &Verdict) -> Option<Arc<Statement>> {
        let name = verdict.effects.deallocates.as_deref()?;
        let statement = self.statements.get(name.as_bytes())?;
        if name.is_empty() || !(self.maps_names || statement.is_nameless()) {
            return None;
        }
        if !statement.is_nameless() {
            return Some(statement.clone());
        }
        // Another takes its place: it must not get a name.
        Some(Arc::new(Statement {
            prepared: Prepared::new(b"\0\0\0"),
            ..Statement::clone(statement)
        }))
    }

    /// Makes the unnamed statement a DEALLOCATE of the server's name.
    fn add_deallocation<S>(
        &mut self,
        victim: &Statement,
        verdict: Arc<Verdict>,
        up: &mut Upstream<'_, S>,
    ) {
        self.stage(up);
        let name = up.name_of(victim);
        let statement = Statement::new(
            Prepared::new(format!("DEALLOCATE {name}\0\0\0").as_bytes()),
            verdict,
            &self.own,
        );
        up.parse_unnamed(&statement, Awaited::Parse(Parsed::Unnamed));
        self.statements.set_unnamed(Some(Arc::new(statement)));
    }

    fn forward_bind<S>(&mut self, header: Header, up: &mut Upstream<'_, S>) -> Step {
        let Some(head) = frontend::bind_head(self.body(header)) else {
            self.refuse(header, &layout(LayoutError), up);
            return Step::Done;
        };
        let len = head.len;
        let portal: Box<[u8]> = head.portal.into();
        let Some(statement) = self.statements.get(head.statement).cloned() else {
            let error = no_statement(head.statement);
            self.refuse(header, &error, up);
            return Step::Done;
        };
        let unnamed = head.statement.is_empty();
        let nameless = statement.is_nameless();
        let statement = match self.with_values(header, statement) {
            Ok(statement) => statement,
            Err(Unbound::Incomplete) => return Step::Incomplete,
            Err(Unbound::Refused(error)) => {
                self.refuse(header, &error, up);
                return Step::Done;
            }
        };
        if unnamed && !up.ledger.has_unnamed && statement.verdict.effects.deallocates.is_some() {
            // The name in it is one of another server connection.
            self.refuse(header, &no_statement(b""), up);
            return Step::Done;
        }
        let statement = match self.changes_meaning(head.statement, &statement, up) {
            false => statement,
            true => {
                let name = head.statement.to_vec();
                self.unshare(&name, &statement)
            }
        };
        if up.ledger.hold == Hold::Resetting {
            self.refuse(header, &after_reset(), up);
            return Step::Done;
        }
        if !unnamed && let Some(step) = self.check_shape(header, &statement, up) {
            return step;
        }
        let lost = self.lost_in(statement.prepared.tail(), &statement.verdict);
        if let Err(error) = lost.and_then(|()| self.take_effects(&statement.verdict, up)) {
            self.refuse(header, &error, up);
            return Step::Done;
        }
        self.forget_portal(&portal);
        let effects = &statement.verdict.effects;
        if effects.resets {
            up.ledger.hold = Hold::Resetting;
        }
        let changes_more = effects.resets
            || effects.drops_prepared
            || effects.clears_residue
            || effects.deallocates.is_some()
            || self.returns_to_startup(&statement.verdict);
        if changes_more {
            up.ledger.portals.retain(|(name, _)| *name != portal);
            up.ledger
                .portals
                .push((portal.clone(), statement.verdict.clone()));
        } else if !up.ledger.portals.is_empty() {
            up.ledger.portals.retain(|(name, _)| *name != portal);
        }
        if nameless && !unnamed {
            self.stage(up);
            up.parse_for_once(&statement, Awaited::OurUnnamedParse);
            self.bind_to(header, len, &portal, "", up);
            return Step::Done;
        }
        if unnamed || !self.maps_names {
            if unnamed && !up.ledger.has_unnamed {
                self.stage(up);
                up.parse_unnamed(&statement, Awaited::OurUnnamedParse);
            }
            up.ledger.awaited.push_back(Awaited::Bind);
            self.pass(header);
            return Step::Done;
        }
        self.stage(up);
        let name = up.name_of(&statement);
        self.bind_to(header, len, &portal, &name, up);
        Step::Done
    }

    /// Passes a Bind on with another statement's name. `front` is the length of
    /// its names.
    fn bind_to<S>(
        &mut self,
        header: Header,
        front: usize,
        portal: &[u8],
        statement: &str,
        up: &mut Upstream<'_, S>,
    ) {
        let output = up.connection.output();
        output.extend_from_slice(b"B");
        let names = portal.len() + statement.len() + 2;
        put_len(output, header.body - front + names);
        for text in [portal, statement.as_bytes()] {
            output.extend_from_slice(text);
            output.extend_from_slice(b"\0");
        }
        up.ledger.awaited.push_back(Awaited::Bind);
        self.client.input.consume(HEADER + front);
        self.client
            .scan
            .pass(&self.client.input, header.body - front);
    }

    /// The statement with the verdict on the values that are bound, where these
    /// decide.
    fn with_values(
        &self,
        header: Header,
        statement: Arc<Statement>,
    ) -> Result<Arc<Statement>, Unbound> {
        if statement.verdict.at_bind.is_empty() {
            return Ok(statement);
        }
        let values = self.bound_values(header)?;
        let mut types = frontend::parameter_types(statement.prepared.tail());
        let parameters: Vec<_> = values
            .parameters
            .into_iter()
            .map(|(format, value)| Parameter {
                declared: types.next().unwrap_or(0),
                format,
                value,
            })
            .collect();
        let verdict = self.guard.bound(&statement.verdict, &parameters);
        let verdict = self
            .admit_to_server(Arc::new(verdict))
            .map_err(Unbound::Refused)?;
        Ok(Arc::new(Statement {
            verdict,
            ..Statement::clone(&statement)
        }))
    }

    /// The values of the Bind at the buffer's head, once they are there.
    pub(super) fn bound_values(&self, header: Header) -> Result<BindValues<'_>, Unbound> {
        if header.body > MAX_JUDGED_BIND {
            let refusal = guard::values_too_long(MAX_JUDGED_BIND);
            return Err(Unbound::Refused(self.refusal(&refusal)));
        }
        let body = self.body(header);
        if body.len() < header.body {
            return Err(Unbound::Incomplete);
        }
        let values = frontend::bind_head(body).and_then(|head| body.get(head.len..));
        let values = values.ok_or_else(|| Unbound::Refused(layout(LayoutError)))?;
        frontend::bind_values(values).map_err(|error| Unbound::Refused(layout(error)))
    }

    /// Makes sure that a named statement gives the rows that the client was told:
    /// its tables may have changed before it was prepared on this connection.
    /// `None` if it does, or if the client was told nothing.
    fn check_shape<S>(
        &mut self,
        header: Header,
        statement: &Statement,
        up: &mut Upstream<'_, S>,
    ) -> Option<Step> {
        let told = statement.shape.filter(|_| self.maps_names)?;
        let id = statement.prepared.id();
        let prepared = up.connection.prepared();
        let name = prepared.find(id, statement.since);
        let shape = prepared.shape(id).filter(|_| name.is_some());
        let looked = up.ledger.described.take() == Some(id);
        match shape {
            Some(shape) if shape == told => return None,
            Some(_) if looked => {
                // As PostgreSQL has it (plancache.c).
                let message = "cached plan must not change result type";
                self.refuse(header, &ClientError::error("0A000", message), up);
                return Some(Step::Done);
            }
            _ => {}
        }
        self.stage(up);
        let name = match shape {
            // It may have changed again.
            Some(_) => up.prepare(&statement.prepared, Awaited::OurParse(id)),
            None => up.name_of(statement),
        };
        let output = up.connection.output();
        written(&write::describe(b'S', &name, output));
        write::flush(output);
        up.ledger.awaited.push_back(Awaited::OurDescribe(id));
        up.ledger.hold = Hold::UntilAnswered;
        Some(Step::Held)
    }

    /// Whether a named statement would be prepared now, under other settings
    /// than those with which the client prepared it.
    fn changes_meaning<S>(
        &self,
        name: &[u8],
        statement: &Statement,
        up: &mut Upstream<'_, S>,
    ) -> bool {
        let unchanged = self.touched.is_empty() && !up.ledger.local;
        let same = unchanged && statement.own == self.own;
        let matters = !same && !name.is_empty() && self.maps_names;
        let id = statement.prepared.id();
        matters && up.connection.prepared().find(id, statement.since).is_none()
    }

    /// Makes a statement the client's alone: no other client must get what its
    /// constants have become.
    fn unshare(&mut self, name: &[u8], statement: &Statement) -> Arc<Statement> {
        let prepared = Prepared::new(statement.prepared.tail());
        // The verdict that is kept may be another: one that waits for values.
        self.statements.replace(name, prepared.clone());
        Arc::new(Statement {
            prepared,
            ..statement.clone()
        })
    }

    fn forward_describe<S>(&mut self, header: Header, up: &mut Upstream<'_, S>) -> Step {
        let statement = match frontend::target(self.body(header)) {
            Ok(Target::Portal(_)) => None,
            Ok(Target::Statement(name)) => match self.statements.get(name) {
                Some(statement) if self.changes_meaning(name, statement, up) => {
                    let (name, statement) = (name.to_vec(), statement.clone());
                    Some((self.unshare(&name, &statement), name.is_empty()))
                }
                Some(statement) => Some((statement.clone(), name.is_empty())),
                None => {
                    let error = no_statement(name);
                    self.refuse(header, &error, up);
                    return Step::Done;
                }
            },
            Err(error) => {
                self.refuse(header, &layout(error), up);
                return Step::Done;
            }
        };
        match statement {
            Some((statement, false)) if statement.is_nameless() => {
                self.stage(up);
                up.parse_for_once(&statement, Awaited::OurUnnamedParse);
                written(&write::describe(b'S', "", up.connection.output()));
                up.ledger.awaited.push_back(Awaited::Describe);
                self.drop_next(header, up);
                return Step::Done;
            }
            Some((statement, true)) if !up.ledger.has_unnamed => {
                self.stage(up);
                up.parse_unnamed(&statement, Awaited::OurUnnamedParse);
            }
            Some((statement, false)) if self.maps_names => {
                if let Some(step) = self.check_shape(header, &statement, up) {
                    return step;
                }
                self.stage(up);
                let clients = self.body(header).get(1..).unwrap_or_default();
                let clients = clients.strip_suffix(b"\0").unwrap_or_default().into();
                let name = up.name_of(&statement);
                written(&write::describe(b'S', &name, up.connection.output()));
                let id = statement.prepared.id();
                let awaited = Awaited::DescribeStatement(clients, id);
                up.ledger.awaited.push_back(awaited);
                self.drop_next(header, up);
                return Step::Done;
            }
            _ => {}
        }
        up.ledger.awaited.push_back(Awaited::Describe);
        self.pass(header);
        Step::Done
    }

    fn forward_close<S>(&mut self, header: Header, up: &mut Upstream<'_, S>) -> Step {
        let name = match frontend::target(self.body(header)) {
            Ok(Target::Statement(name)) => Some(name.to_vec()),
            Ok(Target::Portal(name)) => {
                let name = name.to_vec();
                self.forget_portal(&name);
                None
            }
            Err(error) => {
                self.refuse(header, &layout(error), up);
                return Step::Done;
            }
        };
        if let Some(name) = name {
            self.statements.remove(&name);
            if name.is_empty() {
                up.ledger.has_unnamed = false;
            }
            if self.maps_names {
                up.ledger.awaited.push_back(Awaited::ClosedHere);
                self.drop_next(header, up);
                return Step::Done;
            }
        }
        up.ledger.awaited.push_back(Awaited::Close);
        self.pass(header);
        Step::Done
    }

    fn forward_execute<S>(&mut self, header: Header, up: &mut Upstream<'_, S>) -> Step {
        let body = self.body(header);
        if let Err(error) = frontend::execute(body) {
            self.refuse(header, &layout(error), up);
            return Step::Done;
        }
        let portal = body.split(|b| *b == 0).next().unwrap_or_default();
        let of_portal = up.ledger.portals.iter().find(|(name, _)| **name == *portal);
        let verdict = of_portal.map(|(_, verdict)| verdict.clone());
        if up.ledger.hold == Hold::No && verdict.as_ref().is_some_and(|v| v.effects.resets) {
            // It was bound before an earlier Sync.
            up.ledger.hold = Hold::Resetting;
        }
        up.ledger
            .awaited
            .push_back(Awaited::Execute(verdict.clone()));
        self.pass(header);
        if let Some(verdict) = verdict.filter(|verdict| self.returns_to_startup(verdict)) {
            self.add_startup_values(&verdict.effects.defaults, up);
        }
        Step::Done
    }

    /// Takes note of what a statement does to the session.
    fn take_effects<S>(
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
                if self.own.len() + self.touched.len() + names.len() > MOST_SETTINGS {
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
    fn note_pin(&mut self, pinned: Pinned) {
        self.pins += 1;
        let by = match pinned {
            Pinned::ByLocks => "locks",
            _ => "objects",
        };
        tracing::info!(target: "pgtenant::pool", parent: &self.span, event = "pinned", by, pins = self.pins);
    }

    /// Refuses a message while there is no server connection.
    pub(super) fn refuse_locally(&mut self, header: Header, error: &ClientError) {
        self.client.send_error(error);
        if matches!(header.kind, Kind::Query | Kind::FunctionCall) {
            self.client
                .send(|out| backend::ready_for_query(out, TransactionStatus::Idle));
        } else {
            self.skipping = true;
        }
        self.judged = None;
        self.drop_local(header);
    }

    /// Refuses the message at the buffer's head, of whatever kind, while there
    /// is no server connection.
    pub(super) fn refuse_next(&mut self, error: &ClientError) -> Result<(), FrameError> {
        if let Next::Message(header) | Next::TooLong(header) = self.next_message()? {
            self.refuse_locally(header, error);
        }
        Ok(())
    }

    /// Refuses a message in the midst of others: the server is made to fail in
    /// its place, and its error replaced.
    pub(super) fn refuse<S>(
        &mut self,
        header: Header,
        error: &ClientError,
        up: &mut Upstream<'_, S>,
    ) {
        self.judged = None;
        self.drop_next(header, up);
        let mut ours = Vec::new();
        error.encode(&mut ours);
        let ours = ours.into_boxed_slice();
        let output = up.connection.output();
        if matches!(header.kind, Kind::Query | Kind::FunctionCall) {
            written(&write::query(NO_SQL, output));
            up.ledger.awaited.push_back(Awaited::RefusedQuery(ours));
        } else {
            written(&write::parse(NO_SQL, NO_SQL, [], output));
            up.ledger.awaited.push_back(Awaited::Refused(ours));
        }
    }

    /// What a message that is too long is refused with.
    fn too_long(&self, header: Header) -> ClientError {
        if header.kind == Kind::Bind {
            let message = format!("the names in a Bind message are longer than {MAX_NAMES} bytes");
            return ClientError::error("54000", message);
        }
        self.refusal(&guard::statement_too_long(header.body, MAX_STATEMENT))
    }

    /// The verdict on the statement of a Query or Parse at the buffer's head.
    fn judge(&mut self, header: Header) -> Result<Arc<Verdict>, Unjudged> {
        match self.judged.take() {
            Some(Judged::Admitted(verdict)) => return Ok(verdict),
            Some(Judged::Raw(verdict)) => {
                let sql = statement_text(header, self.body(header));
                return sql
                    .map_err(layout)
                    .and_then(|sql| self.lost_in(sql, &verdict))
                    .and_then(|()| self.admit_as(header, verdict))
                    .map_err(Unjudged::Refused);
            }
            None => {}
        }
        let sql = statement_text(header, self.body(header))
            .map_err(|error| Unjudged::Refused(layout(error)))?;
        if header.body > LONG_STATEMENT {
            return Err(Unjudged::Long);
        }
        let verdict = self.guard.inspect(sql);
        self.lost_in(sql, &verdict).map_err(Unjudged::Refused)?;
        self.admit_as(header, verdict).map_err(Unjudged::Refused)
    }

    /// A Parse passes where each Bind will decide.
    fn admit_as(&self, header: Header, verdict: Arc<Verdict>) -> Result<Arc<Verdict>, ClientError> {
        if header.kind == Kind::Parse && !verdict.at_bind.is_empty() {
            return Ok(verdict);
        }
        self.admit(verdict)
    }

    /// The statement at the buffer's head, to be judged elsewhere.
    pub(super) fn long_statement(&self) -> Option<Vec<u8>> {
        let bytes = self.client.scan.unseen(&self.client.input);
        let header = frontend::header(bytes).ok()??;
        let body = bytes.get(HEADER..HEADER + header.body)?;
        statement_text(header, body).ok().map(<[u8]>::to_vec)
    }

    /// The next message to be answered without a server connection.
    fn next_message(&mut self) -> Result<Next, FrameError> {
        let client = &mut self.client;
        if !client.scan.advance(&mut client.input, &mut BytesMut::new()) {
            return Ok(Next::Incomplete);
        }
        next(client.scan.unseen(&client.input), self.skipping)
    }

    fn next_message_to<S>(
        &mut self,
        up: &mut Upstream<'_, S>,
        skips: bool,
    ) -> Result<Next, FrameError> {
        let client = &mut self.client;
        if !client
            .scan
            .advance(&mut client.input, up.connection.output())
        {
            return Ok(Next::Incomplete);
        }
        next(client.scan.unseen(&client.input), skips)
    }

    /// What has arrived of the message's body.
    pub(super) fn body(&self, header: Header) -> &[u8] {
        let bytes = self.client.scan.unseen(&self.client.input);
        let end = bytes.len().min(HEADER + header.body);
        bytes.get(HEADER..end).unwrap_or_default()
    }

    fn pass(&mut self, header: Header) {
        self.client
            .scan
            .pass(&self.client.input, HEADER + header.body);
    }

    pub(super) fn drop_next<S>(&mut self, header: Header, up: &mut Upstream<'_, S>) {
        let output = up.connection.output();
        self.client
            .scan
            .drop_next(&mut self.client.input, output, HEADER + header.body);
    }

    fn drop_local(&mut self, header: Header) {
        let mut nothing = BytesMut::new();
        self.client
            .scan
            .drop_next(&mut self.client.input, &mut nothing, HEADER + header.body);
    }

    /// Moves what passes into the output, so that something of ours can follow.
    pub(super) fn stage<S>(&mut self, up: &mut Upstream<'_, S>) {
        self.client
            .scan
            .stage(&mut self.client.input, up.connection.output());
    }
}

/// A server connection and what is owed on it.
pub(super) struct Upstream<'a, S> {
    pub(super) connection: &'a mut Connection<S>,
    pub(super) ledger: &'a mut Ledger,
}

impl<S> Upstream<'_, S> {
    /// The statement's name on the server, where it is prepared now if it was
    /// not, or not since the client has prepared it.
    fn name_of(&mut self, statement: &Statement) -> String {
        let id = statement.prepared.id();
        match self.connection.prepared().find(id, statement.since) {
            Some(name) => name.to_string(),
            None => self.prepare(&statement.prepared, Awaited::OurParse(id)),
        }
    }

    /// Prepares a statement under a new name. Closes what another client has
    /// prepared of it before (its tables may have changed since), and the one
    /// that has been unused for the longest time if there are too many.
    fn prepare(&mut self, prepared: &Prepared, owed: Awaited) -> String {
        let id: PreparedId = prepared.id();
        let before = self.connection.prepared().find_any(id);
        let name = self.connection.prepared().add(id).to_string();
        let evicted = self.connection.prepared().evict(MOST_PREPARED);
        let output = self.connection.output();
        output.extend_from_slice(b"P");
        put_len(output, name.len() + 1 + prepared.tail().len());
        output.extend_from_slice(name.as_bytes());
        output.extend_from_slice(b"\0");
        output.extend_from_slice(prepared.tail());
        self.ledger.awaited.push_back(owed);
        for name in before.into_iter().chain(evicted) {
            self.close(name);
        }
        name
    }

    /// Parses a statement without a name, for the next message alone.
    fn parse_for_once(&mut self, statement: &Statement, owed: Awaited) {
        self.parse_unnamed(statement, owed);
        self.ledger.has_unnamed = false;
    }

    /// Closes a statement that is not entered any more.
    fn close(&mut self, name: StatementName) {
        let output = self.connection.output();
        written(&write::close(b'S', &name.to_string(), output));
        self.ledger.awaited.push_back(Awaited::OurClose);
    }

    /// Makes the server's unnamed statement the client's.
    fn parse_unnamed(&mut self, statement: &Statement, owed: Awaited) {
        let tail = statement.prepared.tail();
        let output = self.connection.output();
        output.extend_from_slice(b"P");
        put_len(output, 1 + tail.len());
        output.extend_from_slice(b"\0");
        output.extend_from_slice(tail);
        self.ledger.awaited.push_back(owed);
        self.ledger.has_unnamed = true;
    }
}

/// Why bound values let nothing pass yet, or at all.
pub(super) enum Unbound {
    Incomplete,
    Refused(ClientError),
}

/// Why there is no verdict yet, or no passing one.
enum Unjudged {
    Long,
    Refused(ClientError),
}

fn next(rest: &[u8], skipping: bool) -> Result<Next, FrameError> {
    let Some(header) = frontend::header(rest)? else {
        return Ok(Next::Incomplete);
    };
    let here = rest.len() - HEADER;
    let needed = match header.kind {
        // Content that is not looked at.
        Kind::CopyData | Kind::FunctionCall => 0,
        Kind::CopyDone | Kind::CopyFail | Kind::Flush | Kind::Sync | Kind::Terminate => 0,
        _ if skipping => 0,
        Kind::Query | Kind::Parse if header.body > MAX_STATEMENT => {
            return Ok(Next::TooLong(header));
        }
        Kind::Bind => {
            let body = rest.get(HEADER..).unwrap_or_default();
            if header.body > here && frontend::bind_head(body).is_none() {
                if here > MAX_NAMES {
                    return Ok(Next::TooLong(header));
                }
                return Ok(Next::Incomplete);
            }
            0
        }
        _ => header.body,
    };
    if here < needed {
        return Ok(Next::Incomplete);
    }
    Ok(Next::Message(header))
}

fn statement_text(header: Header, body: &[u8]) -> Result<&[u8], LayoutError> {
    match header.kind {
        Kind::Parse => frontend::parse(body).map(|parse| parse.sql),
        _ => frontend::query(body),
    }
}

/// The length word of a message with a body of `body` bytes.
fn put_len(output: &mut BytesMut, body: usize) {
    let len = u32::try_from(body + 4).unwrap_or(u32::MAX);
    output.extend_from_slice(&len.to_be_bytes());
}

/// Our own messages into memory: the only failure is a NUL in a text, and ours
/// have none.
fn written(result: &std::io::Result<()>) {
    debug_assert!(result.is_ok());
}

pub(super) fn layout(error: LayoutError) -> ClientError {
    ClientError::error("08P01", error.to_string())
}

pub(super) fn no_statement(name: &[u8]) -> ClientError {
    if name.is_empty() {
        return ClientError::error("26000", "unnamed prepared statement does not exist");
    }
    let name = String::from_utf8_lossy(name);
    ClientError::error(
        "26000",
        format!("prepared statement \"{name}\" does not exist"),
    )
}

pub(super) fn name_taken(name: &[u8]) -> ClientError {
    let name = String::from_utf8_lossy(name);
    ClientError::error(
        "42P05",
        format!("prepared statement \"{name}\" already exists"),
    )
}

pub(super) fn too_many_statements() -> ClientError {
    ClientError::error("54000", "too many prepared statements")
        .hint("Close those that are no longer used (DEALLOCATE).")
}

pub(super) fn in_failed_transaction() -> ClientError {
    ClientError::error(
        "25P02",
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

pub(super) fn after_reset() -> ClientError {
    ClientError::error(
        "0A000",
        "no statement may follow RESET ALL or DISCARD ALL in one pipeline",
    )
    .hint("Send Sync after it, then go on.")
}
