//! Query messages, and the settings that they return to their defaults.

use super::Judged;
use super::Session;
use super::answering::Turn;
use super::awaited::Awaited;
use super::forward::Step;
use super::ledger::Hold;
use super::ledger::Ledger;
use super::refusal::after_reset;
use super::upstream::Upstream;
use super::upstream::put_len;
use super::upstream::written;
use crate::guard::Returned;
use crate::guard::Verdict;
use crate::server::Connection;
use crate::wire::backend::TransactionStatus;
use crate::wire::frontend;
use crate::wire::frontend::Header;
use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend as write;
use std::io::ErrorKind;
use std::sync::Arc;

impl Session {
    pub(super) fn forward_query<S>(
        &mut self,
        header: Header,
        in_pipeline: bool,
        up: &mut Upstream<'_, S>,
    ) -> Step {
        let verdict = match self.verdict(header, up) {
            Ok(verdict) => verdict,
            Err(step) => return step,
        };
        if self.guard.is_harmless(&verdict) && up.ledger.hold == Hold::No && !up.ledger.doubted {
            return self.pass_query(header, verdict, up);
        }
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
        if verdict.effects.resets {
            up.ledger.hold = Hold::UntilReattached;
        } else if self.returns_to_startup(&verdict) {
            if up.ledger.is_answered()
                && up.ledger.status != TransactionStatus::Failed
                && let [Returned { alone: true, .. }] = &*verdict.effects.defaults
            {
                self.end_unnamed(up);
                self.forward_reset(header, &verdict, up);
                return Step::Done;
            }
            up.ledger.hold = Hold::UntilReturned;
        } else if verdict.effects.drops_prepared || up.ledger.doubted {
            // What is still prepared is known once it has run; and whether its
            // transaction is over, so that the tenant is to be attached anew.
            up.ledger.hold_until_answered();
        }
        self.pass_query(header, verdict, up)
    }

    fn pass_query<S>(
        &mut self,
        header: Header,
        verdict: Arc<Verdict>,
        up: &mut Upstream<'_, S>,
    ) -> Step {
        self.end_unnamed(up);
        up.ledger.awaited.push_back(Awaited::Query(verdict));
        self.pass(header);
        Step::Done
    }

    /// A simple query ends the unnamed statement.
    fn end_unnamed<S>(&mut self, up: &mut Upstream<'_, S>) {
        self.statements.remove(b"");
        up.ledger.has_unnamed = false;
    }

    /// A `RESET name` of a setting that the client made at startup: in one
    /// pipeline with what sets the startup value again, so that the client is
    /// told of no value in between.
    pub(super) fn forward_reset<S>(
        &mut self,
        header: Header,
        verdict: &Verdict,
        up: &mut Upstream<'_, S>,
    ) {
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
    pub(super) fn returns_to_startup(&self, verdict: &Verdict) -> bool {
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
    pub(super) fn add_startup_values<S>(
        &mut self,
        defaults: &[Returned],
        up: &mut Upstream<'_, S>,
    ) {
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
}
