//! How a tenant is attached to a server connection.
//!
//! A connection comes out of the pool as [`Parked`]. There are two ways on:
//! [`resume`](Connection::resume), when it is this tenant's as it stands, and
//! [`attach`](Connection::attach), which queues the attachment and yields
//! [`Attaching`]. Both refuse a connection that holds, or may hold, something of
//! another client: it must be cleaned first ([`clean_for`](Connection::clean_for))
//! and the server must have answered ([`settle`](Connection::settle)). The states
//! can be made nowhere else, and a connection in another state cannot be relayed
//! ([`Relayed`]).
//!
//! # Why the client's first messages may travel with the attachment
//!
//! They are sent behind the attachment in one write, before its answer is known.
//! What if the attachment fails? Whatever the server had to confirm before is
//! confirmed: the session is either in its base state, or attached to the same
//! tenant with nothing of its code unaccounted for.
//!
//! - In the *base state* nothing is seen: the tenant's setting holds a value that
//!   is no tenant's ([`NO_TENANT`]), so that policies that read an empty setting as
//!   "all" show nothing either, and `search_path` names a schema that cannot
//!   exist. What makes a tenant read-only is set in the same statement as the
//!   tenant: both hold or neither.
//! - *Attached to the same tenant*, what is queued are the client's own settings
//!   alone, and the tenant stays attached if they fail.
//!
//! In both cases no byte of an answer reaches the client before the attachment is
//! confirmed.

mod answer;
mod cleanup;
mod parting;
mod reattach;
mod reuse;
mod script;
mod session_settings;
mod userset;

pub use cleanup::{Cleanup, Parked, Random};
pub use reattach::{Expected, Reattach};
pub use reuse::Reuse;
pub use session_settings::SessionSettings;
pub use userset::is_userset;

use crate::protocol::ClientError;
use crate::protocol::backend::{FrameError, Report, TransactionStatus};
use crate::server::{Connection, Pipe};
use crate::tenant::{Attachment, SharedTenant};
use answer::Answer;
use cleanup::Holds;
use parting::Parting;
use reattach::AttachedAgain;
use script::{SEARCH_PATH, Script, left_by_attachment};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// A connection that is the tenant's: attached, answered and checked.
#[derive(Debug)]
pub struct Bound(Attached);

/// A connection whose attachment is queued or under way.
#[derive(Debug)]
pub struct Attaching {
    attached: Attached,
    answers: VecDeque<Answer>,
}

/// What is attached to a session.
#[derive(Debug)]
struct Attached {
    tenant: SharedTenant,
    /// The client's settings that are in force.
    settings: SessionSettings,
    /// When the attachment must be made anew, if it does not hold forever.
    renewal: Option<Instant>,
    /// What must be done before another client uses the session.
    cleanup: Cleanup,
    /// What its users may know of the state of `random()`.
    random: Random,
    /// What takes everything away, once it is sent behind its client's last messages.
    parting: Option<Box<Parting>>,
}

impl Attached {
    fn is_stale(&self) -> bool {
        self.renewal
            .is_some_and(|renewal| renewal <= Instant::now())
    }
}

/// A state in which client bytes may be sent over a connection. Sealed: only
/// [`Attaching`] and [`Bound`] are so.
///
/// ```
/// # use pgtenant::{attach::{Attaching, Bound}, server::Connection};
/// fn relay(attaching: &mut Connection<Attaching>, bound: &mut Connection<Bound>) {
///     attaching.pipe_mut();
///     bound.pipe_mut();
/// }
/// ```
///
/// A connection of the pool's, which may be another tenant's, cannot be relayed:
///
/// ```compile_fail,E0599
/// # use pgtenant::{attach::Parked, server::Connection};
/// fn relay(parked: &mut Connection<Parked>) {
///     parked.pipe_mut();
/// }
/// ```
///
/// Nor one that is nobody's:
///
/// ```compile_fail,E0599
/// # use pgtenant::server::{Connection, Unbound};
/// fn relay(unbound: &mut Connection<Unbound>) {
///     unbound.pipe_mut();
/// }
/// ```
///
/// Nor can one be made the tenant's but by what the server has confirmed:
///
/// ```compile_fail,E0624
/// # use pgtenant::{attach::{Bound, Parked}, server::Connection};
/// fn forge(parked: Connection<Parked>, bound: Bound) -> Connection<Bound> {
///     parked.with_state(bound)
/// }
/// ```
pub trait Relayed: sealed::Sealed {}

impl Relayed for Attaching {}
impl Relayed for Bound {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Attaching {}
    impl Sealed for super::Bound {}
}

impl<S: Relayed> Connection<S> {
    /// What goes over the connection: the only way for a client's bytes.
    #[must_use]
    pub fn pipe_mut(&mut self) -> &mut Pipe {
        self.raw_pipe_mut()
    }
}

/// Why a connection could not be made the tenant's.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The connection broke, or the server ended the session.
    #[error("the server connection broke: {0}")]
    Broken(#[from] io::Error),
    /// The server broke the protocol.
    #[error(transparent)]
    Protocol(#[from] FrameError),
    /// The server refused the attachment, or a cleanup before it.
    #[error("the server refused to attach the tenant: {} ({})", .0.message, .0.sqlstate)]
    Refused(Report),
    /// The server's answer is not the one that the attachment must have.
    #[error("the server did not confirm the tenant")]
    Unconfirmed,
    /// One of the client's own settings is not valid. The tenant is attached
    /// nevertheless.
    #[error("{} ({})", .0.message, .0.sqlstate)]
    OwnSetting(Report),
}

/// What a client is told whose tenant could not be attached.
#[must_use]
pub fn not_attached() -> ClientError {
    ClientError::fatal(
        "08006",
        "the tenant could not be attached to the server connection",
    )
    .hint("The log of pgtenant has the reason.")
}

impl Connection<Parked> {
    /// The connection as `tenant`'s with these settings, if it is that as it
    /// stands and nothing has to be sent.
    ///
    /// # Errors
    /// The connection itself, if anything has to be sent or answered first.
    pub fn resume(
        self,
        tenant: &SharedTenant,
        settings: &SessionSettings,
    ) -> Result<Connection<Bound>, Self> {
        if !self.state().is_ready_for(tenant, settings) {
            return Err(self);
        }
        self.attached()
            .map(|(connection, attached)| connection.with_state(Bound(attached)))
    }

    /// Queues what makes the connection `tenant`'s, with the client's `settings`.
    /// Nothing is queued where it is so already.
    ///
    /// # Errors
    /// The connection itself, if it is not [settled](Connection::settle), or holds
    /// something of another tenant or client that must be cleaned away first.
    pub fn attach(
        mut self,
        tenant: &SharedTenant,
        settings: &SessionSettings,
    ) -> Result<Connection<Attaching>, Self> {
        let state = self.state();
        if !state.is_settled() || state.cleanup_for(tenant, settings) != Cleanup::None {
            return Err(self);
        }
        if let Holds::Base(random) = *state.holds() {
            let mut script = Script::new(&mut self);
            script.attach(tenant);
            script.settings(tenant, &SessionSettings::default(), settings);
            let (answers, renewal) = script.finish();
            let attached = Attached {
                tenant: tenant.clone(),
                settings: settings.clone(),
                renewal,
                cleanup: Cleanup::None,
                random,
                parting: None,
            };
            let (connection, _) = self.split();
            return Ok(connection.with_state(Attaching { attached, answers }));
        }
        let (mut connection, mut attached) = self.attached()?;
        let mut script = Script::new(&mut connection);
        script.settings(tenant, &attached.settings, settings);
        let (answers, _) = script.finish();
        attached.settings = settings.clone();
        Ok(connection.with_state(Attaching { attached, answers }))
    }
}

impl Connection<Bound> {
    /// What goes over the connection, and what attaches its tenant again.
    #[must_use]
    pub fn parts_mut(&mut self) -> (&mut Pipe, impl Reattach) {
        let pid = self.key().pid;
        let serial = self.next_serial();
        let (pipe, Bound(attached)) = self.raw_parts_mut();
        let again = AttachedAgain {
            attached,
            pid,
            serial,
        };
        (pipe, again)
    }

    /// Queues the attachment alone again, between two transactions of a client that
    /// keeps it: the one in force [is stale](Self::is_stale), or may have changed.
    #[must_use]
    pub fn renew(mut self) -> Connection<Attaching> {
        let Attached {
            tenant, settings, ..
        } = &self.state().0;
        let (tenant, settings) = (tenant.clone(), settings.clone());
        let mut script = Script::new(&mut self);
        script.attach(&tenant);
        script.settings(&tenant, &left_by_attachment(&tenant, &settings), &settings);
        let (answers, renewal) = script.finish();
        let (connection, Bound(mut attached)) = self.split();
        attached.renewal = renewal;
        connection.with_state(Attaching { attached, answers })
    }

    /// Whose connection it is.
    #[must_use]
    pub fn tenant(&self) -> &SharedTenant {
        &self.state().0.tenant
    }

    /// Whether the attachment will not hold for much longer.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.state().0.is_stale()
    }

    /// Says which settings of the client's are in force now.
    pub fn set_settings(&mut self, settings: SessionSettings) {
        self.state_mut().0.settings = settings;
    }

    /// The connection as the pool keeps it: idle, every answer seen, with what the
    /// client has left in the session and may know, at worst.
    #[must_use]
    pub fn park(mut self, cleanup: Cleanup, random: Random) -> Connection<Parked> {
        let parting = self.state_mut().0.parting.take();
        if let Some(parting) = parting {
            return self.parted(*parting);
        }
        let (connection, Bound(mut attached)) = self.split();
        attached.cleanup = attached.cleanup.max(cleanup);
        attached.random = attached.random.max(random);
        connection.with_state(Parked::tenants(attached))
    }
}

impl Connection<Attaching> {
    /// Whether nothing is to be waited for.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.state().answers.is_empty()
    }

    /// Sends what is queued and reads the answers to the attachment, no byte
    /// further. `status` is the state of the transaction that it takes place
    /// in; `report` is given each ParameterStatus and
    /// NotificationResponse message, whole: they are for a client that has the
    /// connection already, and for no other.
    ///
    /// # Errors
    /// As [`AttachError`] names them.
    pub async fn confirm(
        &mut self,
        status: TransactionStatus,
        mut report: impl FnMut(&[u8]),
    ) -> Result<(), AttachError> {
        let mut own_failed = None;
        while !self.state().answers.is_empty() {
            let mut answers = std::mem::take(&mut self.state_mut().answers);
            let next = answer::next(self, &mut answers, status, &mut report);
            self.state_mut().answers = answers;
            match next? {
                Some(failure) => own_failed = Some(failure),
                None if self.is_confirmed() => {}
                None => self.exchange().await?,
            }
        }
        match own_failed {
            None => Ok(()),
            Some(failure) => {
                // Some of the settings may have been applied before the bad one.
                self.state_mut().attached.cleanup = Cleanup::ResetAll;
                Err(AttachError::OwnSetting(failure))
            }
        }
    }

    /// The connection as the tenant's, once all is [confirmed](Self::confirm).
    ///
    /// # Errors
    /// The connection itself while an answer is missing.
    pub fn bind(self) -> Result<Connection<Bound>, Self> {
        if !self.is_confirmed() {
            return Err(self);
        }
        let (connection, Attaching { attached, .. }) = self.split();
        Ok(connection.with_state(Bound(attached)))
    }
}

/// The session settings that a connection starts with, and falls back to at
/// every reset: closed for a connection that tenants share, the tenant's own
/// for one that belongs to a tenant for its life.
#[must_use]
pub fn base(attachment: &Attachment, dedicated: bool) -> Vec<(&str, &str)> {
    let mut base = vec![
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
    ];
    match attachment {
        Attachment::Setting { name, value, .. } => {
            base.push((name, if dedicated { value } else { NO_TENANT }));
        }
        Attachment::Schema { search_path } => {
            base.push((SEARCH_PATH, if dedicated { search_path } else { NO_SCHEMA }));
        }
        Attachment::Database => {}
    }
    base
}

/// The value of the tenant's setting while no tenant is attached: policies that
/// take an empty setting for "all tenants" must not do so then.
pub const NO_TENANT: &str = "pgtenant: no tenant";

/// A search path on which nothing is found.
const NO_SCHEMA: &str = "\"pgtenant: no tenant\"";

/// Whether two share one tenant, as the directory has it at one time: one that
/// the directory has changed is cleaned up after as another is.
fn is_same(a: &SharedTenant, b: &SharedTenant) -> bool {
    Arc::ptr_eq(a, b)
}
