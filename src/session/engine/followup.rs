//! What the proxy sends by itself behind a client's reset: the tenant and the
//! client's startup values again.

use super::link::{Link, Phase};
use super::outstanding::Reply;
use super::upstream::{put_text, written};
use super::{Engine, Up};
use crate::attach::{Expected, Reattach};
use crate::guard::{DATE_STYLE, Effects, Returned};
use crate::protocol::backend::{self, TransactionStatus};
use crate::server::Pipe;
use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend as write;
use std::io::ErrorKind;

/// What is to be sent before anything else of the client's.
#[derive(Debug, Default)]
pub(super) struct Followup {
    /// Whether the tenant is attached again.
    pub(super) again: Again,
    /// What has reset them has ended its transaction, in the midst of a pipeline.
    pub(super) committed: bool,
    /// Settings that have returned to their default.
    pub(super) returned: Vec<Returned>,
    /// The part of `DateStyle` that was set since; the other is the client's own.
    pub(super) date_style: Option<&'static str>,
    /// The client is to be told that the server is ready once it is all done.
    pub(super) owes_ready: bool,
}

/// Whether and how the tenant is attached again.
#[derive(Debug, Default)]
pub(super) enum Again {
    /// It is not.
    #[default]
    No,
    /// A reset may have been undone: the client's own settings stay as they are.
    TenantAlone,
    /// All settings have been reset: the client's startup values come with the
    /// tenant, but for those that were set since.
    AfterReset { set: Vec<Box<str>> },
}

impl Followup {
    /// A query string, or a statement, has run that resets all settings, if it
    /// does so.
    pub(super) fn has_reset(&mut self, effects: &Effects) {
        if effects.resets {
            let set = effects.set_again.clone();
            self.again = Again::AfterReset { set };
        }
    }

    /// The same, where it has failed.
    pub(super) fn has_failed(&mut self, effects: &Effects) {
        if effects.resets && matches!(self.again, Again::No) {
            self.again = Again::TenantAlone;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.is_due() && !self.owes_ready
    }

    /// Whether something is to be sent.
    pub(super) fn is_due(&self) -> bool {
        self.attaches() || !self.returned.is_empty() || self.date_style.is_some()
    }

    fn attaches(&self) -> bool {
        !matches!(self.again, Again::No)
    }
}

/// No name that a client would choose.
const NAME: &str = "pgtenant: startup values";

impl Engine {
    /// Sends what must come before anything else of the client's, once everything
    /// is answered. In an open pipeline it becomes a part of it: nothing of the
    /// client's runs between a reset and what follows it, and if one of them is
    /// undone with the transaction, so is the other.
    pub(in crate::session) fn follow_up(
        &mut self,
        link: &mut Link,
        pipe: &mut Pipe,
        tenant: &mut dyn Reattach,
    ) -> bool {
        if !link.is_answered() || !link.must_follow_up() {
            return false;
        }
        if !link.followup.is_due() {
            // It is all answered.
            link.followup.owes_ready = false;
            self.end_reset(link, pipe);
            return true;
        }
        if link.status == TransactionStatus::Failed {
            // What was reset is undone with the transaction, or its savepoint: it
            // is seen to once the transaction can run something again.
            link.followup.returned.clear();
            link.followup.date_style = None;
            link.followup.owes_ready = false;
            self.end_reset(link, pipe);
            return true;
        }
        self.client.stage(&mut pipe.output);
        self.attach_again(link, pipe, tenant);
        let returned = std::mem::take(&mut link.followup.returned);
        let date_style = link.followup.date_style.take();
        let mut up = Up { pipe, link };
        self.add_startup_values(&returned, date_style, &mut up);
        let committed = std::mem::take(&mut up.link.followup.committed);
        if up.link.phase == Phase::Between || committed {
            write::sync(&mut up.pipe.output);
            up.link.outstanding.push(Reply::OurSync);
        }
        up.link.hold(up.pipe);
        true
    }

    fn attach_again(&mut self, link: &mut Link, pipe: &mut Pipe, tenant: &mut dyn Reattach) {
        let expected = match std::mem::take(&mut link.followup.again) {
            Again::No => return,
            Again::TenantAlone => tenant.reattach(pipe, None),
            Again::AfterReset { set } => {
                link.followup.returned.clear();
                self.settings.reset();
                let mut own = self.settings.own.clone();
                for name in &set {
                    own.set(name, None);
                }
                tenant.reattach(pipe, Some(&own))
            }
        };
        for expected in expected {
            link.outstanding.push(match expected {
                Expected::Tenant(value, columns) => Reply::OurTenant(value, columns),
                Expected::Row => Reply::OurRow,
                Expected::Message(tag) => Reply::Ours(tag),
            });
        }
    }

    /// Ends the responses to what has reset settings: the client is told of
    /// the parameters that differ from those that it knows, and that the server
    /// is ready.
    fn end_reset(&mut self, link: &mut Link, pipe: &mut Pipe) {
        link.scan.stage(&mut pipe.input, &mut self.client.output);
        self.tell_parameters(&mut pipe.parameters);
        let status = link.status;
        self.client
            .send(|out| backend::ready_for_query(out, status));
    }

    /// Adds to a pipeline what gives settings their startup values, and then
    /// `DateStyle` the part that was set since.
    fn add_startup_values(
        &mut self,
        defaults: &[Returned],
        date_style: Option<&str>,
        up: &mut Up<'_>,
    ) {
        let mut sets: Vec<(&str, &str, bool)> = Vec::new();
        for setting in defaults {
            let value = self.settings.default_of(&setting.name);
            sets.extend(value.map(|value| (&*setting.name, value, setting.local)));
        }
        if let (Some(part), Some(own)) = (date_style, self.settings.default_of(DATE_STYLE)) {
            sets.extend([(DATE_STYLE, own, false), (DATE_STYLE, part, false)]);
        }
        if sets.is_empty() {
            return;
        }
        let (mut conditions, mut values) = (Vec::new(), Vec::new());
        for (name, value, local) in sets {
            let n = values.len();
            conditions.push(format!(
                "pg_catalog.set_config(${}, ${}, ${}) IS NULL",
                n + 1,
                n + 2,
                n + 3
            ));
            values.extend([name, value, if local { "true" } else { "false" }]);
        }
        // A query without rows.
        let sql = format!("SELECT WHERE {}", conditions.join(" OR "));
        let output = &mut up.pipe.output;
        let serialize = |value: &str, out: &mut BytesMut| {
            put_text(out, value);
            Ok(IsNull::No)
        };
        // Left over, if a pipeline failed in the midst of it.
        written(&write::close(b'P', NAME, output));
        written(&write::close(b'S', NAME, output));
        written(&write::parse(NAME, &sql, [], output));
        let bound = write::bind(NAME, NAME, [], values, serialize, [], output);
        written(&bound.map_err(|_| ErrorKind::InvalidInput.into()));
        written(&write::execute(NAME, 0, output));
        written(&write::close(b'P', NAME, output));
        written(&write::close(b'S', NAME, output));
        for tag in *b"3312C33" {
            up.link.outstanding.push(Reply::Ours(tag));
        }
    }
}
