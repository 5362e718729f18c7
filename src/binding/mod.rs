//! How a tenant is attached to a server connection.
//!
//! [`attach`] queues what makes a connection the tenant's, ahead of the
//! client's first message and in the same write; [`Connection::confirm`] reads
//! the answers and only then yields a [`Connection<Bound>`]. The states
//! [`Attaching`] and [`Bound`] can be made nowhere else, so that a connection
//! of another tenant, or of none, cannot reach the relay.

mod answer;
mod everyones;
mod own;
mod prelude;

pub use everyones::is_everyones;
pub use own::OwnSettings;

use crate::server::{Connection, Unbound};
use crate::tenant::{Attachment, SharedTenant};
use crate::wire::backend::{FrameError, Report, TransactionStatus};
use answer::Answer;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// A connection that is the tenant's: attached, answered and checked.
#[derive(Debug)]
pub struct Bound {
    tenant: SharedTenant,
    own: OwnSettings,
    condition: Condition,
    /// When the attachment must be made anew, if it does not hold forever.
    renewal: Option<Instant>,
}

/// A connection whose attachment is queued or under way.
#[derive(Debug)]
pub struct Attaching {
    bound: Bound,
    answers: VecDeque<Answer>,
    hasty: bool,
}

/// What may be left in a connection's session, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Nothing but the tenant and the client's known settings.
    Clean,
    /// Rows were written, and triggers may have changed the tenant.
    Unproven,
    /// Settings may have been changed by code that was not seen.
    Doubtful,
    /// Objects may be left: temporary tables, cursors, locks.
    Littered,
}

/// A connection as the pool hands it out.
#[derive(Debug)]
pub enum Taken {
    /// Just opened.
    Fresh(Connection<Unbound>),
    /// Used before, by this tenant or another.
    Used(Connection<Bound>),
}

/// Why a connection could not be made the tenant's.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The connection broke.
    #[error("the server connection broke: {0}")]
    Broken(#[from] io::Error),
    /// The server broke the protocol.
    #[error(transparent)]
    Protocol(#[from] FrameError),
    /// The server refused the attachment.
    #[error("the server refused to attach the tenant: {} ({})", .0.message, .0.sqlstate)]
    Refused(Report),
    /// The server's answer is not the one that the attachment must have.
    #[error("the server did not confirm the tenant")]
    Unconfirmed,
    /// One of the client's own settings is not valid. The connection is the
    /// tenant's nevertheless.
    #[error("{} ({})", .report.message, .report.sqlstate)]
    OwnSetting {
        /// What the server said of it.
        report: Report,
        /// Its ErrorResponse's body.
        body: Vec<u8>,
        /// The connection, to be given back.
        connection: Box<Connection<Bound>>,
    },
}

/// Queues what makes the connection `tenant`'s, with the client's `own`
/// settings. Nothing is queued when it is so already.
#[must_use]
pub fn attach(taken: Taken, tenant: &SharedTenant, own: &OwnSettings) -> Connection<Attaching> {
    match taken {
        Taken::Fresh(connection) => begin(connection, tenant, own, |queue| {
            queue.attach(tenant);
        }),
        Taken::Used(mut connection) => {
            let state = connection.state();
            // A tenant that the directory has changed is scrubbed as another is.
            let same = Arc::ptr_eq(&state.tenant, tenant);
            let applied = state.own.clone();
            let condition = match state.condition {
                // Without a new token the database would not know it any more.
                Condition::Clean if connection.is_stale() => Condition::Unproven,
                // A setting that cannot be reset by its name must not fail here.
                Condition::Clean | Condition::Unproven if applied.leaves_unusual(own) => {
                    Condition::Doubtful
                }
                condition => condition,
            };
            let mut attaching = match (same, condition) {
                (true, Condition::Clean) => {
                    let renewal = state.renewal;
                    let mut queue = prelude::Queue::new(&mut connection);
                    queue.own(&applied, own);
                    let (answers, _) = queue.finish();
                    queued(connection, tenant, own, answers, renewal)
                }
                (true, Condition::Unproven) => {
                    let mut queue = prelude::Queue::new(&mut connection);
                    queue.attach(tenant);
                    queue.own(&applied, own);
                    let (answers, renewal) = queue.finish();
                    queued(connection, tenant, own, answers, renewal)
                }
                (true, Condition::Doubtful) => begin(connection, tenant, own, |queue| {
                    queue.reset_all();
                    queue.attach(tenant);
                }),
                _ => {
                    connection.prepared().clear();
                    let random = connection.random();
                    begin(connection, tenant, own, |queue| {
                        queue.discard_all();
                        queue.attach(tenant);
                        queue.reseed(random);
                    })
                }
            };
            let hasty = applied.has_timeout() || (!same && condition >= Condition::Doubtful);
            attaching.state_mut().hasty = hasty && !attaching.is_confirmed();
            attaching
        }
    }
}

/// The same connection again, as one that needs nothing to be its tenant's.
#[must_use]
pub fn attach_same(connection: Connection<Bound>) -> Connection<Attaching> {
    let (connection, bound) = connection.split();
    connection.with_state(Attaching {
        bound,
        answers: VecDeque::new(),
        hasty: false,
    })
}

/// Queues the attachment again, in the midst of a client's session: after the
/// client has reset all settings, its tenant and its own among them.
#[must_use]
pub fn reattach(connection: Connection<Bound>, own: &OwnSettings) -> Connection<Attaching> {
    let tenant = connection.state().tenant.clone();
    begin(connection, &tenant, own, |queue| {
        queue.attach(&tenant);
    })
}

/// Queues the attachment alone again, between two transactions of a client that
/// keeps its connection: the one in force [is stale](Connection::is_stale).
#[must_use]
pub fn renew(mut connection: Connection<Bound>) -> Connection<Attaching> {
    let tenant = connection.state().tenant.clone();
    let mut queue = prelude::Queue::new(&mut connection);
    queue.attach(&tenant);
    let (answers, renewal) = queue.finish();
    let (connection, mut bound) = connection.split();
    bound.renewal = renewal;
    connection.with_state(Attaching {
        bound,
        answers,
        hasty: false,
    })
}

fn begin<S>(
    mut connection: Connection<S>,
    tenant: &SharedTenant,
    own: &OwnSettings,
    fill: impl FnOnce(&mut prelude::Queue<'_>),
) -> Connection<Attaching> {
    let mut queue = prelude::Queue::new(&mut connection);
    fill(&mut queue);
    queue.own(&OwnSettings::default(), own);
    let (answers, renewal) = queue.finish();
    queued(connection, tenant, own, answers, renewal)
}

fn queued<S>(
    connection: Connection<S>,
    tenant: &SharedTenant,
    own: &OwnSettings,
    answers: VecDeque<Answer>,
    renewal: Option<Instant>,
) -> Connection<Attaching> {
    let bound = Bound {
        tenant: tenant.clone(),
        own: own.clone(),
        condition: Condition::Clean,
        renewal,
    };
    connection.with_state(Attaching {
        bound,
        answers,
        hasty: false,
    })
}

impl Connection<Attaching> {
    /// Whether there is nothing to wait for: the connection was the tenant's
    /// already.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.state().answers.is_empty()
    }

    /// Whether what is queued may fail for what the last client has left, such
    /// as a `statement_timeout` of a millisecond: nothing of this client must
    /// be sent before it is answered, so that another connection can be used.
    #[must_use]
    pub fn is_hasty(&self) -> bool {
        self.state().hasty
    }

    /// Sends what is queued and reads the answers to the attachment, no byte
    /// further. `status` is the state of the transaction that it takes place
    /// in; `report` is given each ParameterStatus and
    /// NotificationResponse message, whole: they are for a client that has the
    /// connection already, and for no other.
    ///
    /// # Errors
    /// As [`AttachError`] names them. The connection is closed, except where
    /// the error carries it.
    pub async fn confirm(
        mut self,
        status: TransactionStatus,
        mut report: impl FnMut(&[u8]),
    ) -> Result<Connection<Bound>, AttachError> {
        let mut own_failed = None;
        while !self.state().answers.is_empty() {
            match answer::next(&mut self, status, &mut report)? {
                Some(failure) => own_failed = Some(failure),
                None if self.state().answers.is_empty() => {}
                None => self.exchange().await?,
            }
        }
        let (connection, mut state) = self.split();
        if let Some((report, body)) = own_failed {
            // Some of the settings may have been applied before the bad one.
            state.bound.condition = Condition::Doubtful;
            let connection = Box::new(connection.with_state(state.bound));
            return Err(AttachError::OwnSetting {
                report,
                body,
                connection,
            });
        }
        Ok(connection.with_state(state.bound))
    }
}

impl Connection<Bound> {
    /// Whose connection it is.
    #[must_use]
    pub fn tenant(&self) -> &SharedTenant {
        &self.state().tenant
    }

    /// Whether it is `tenant`'s with these settings as it stands: nothing has to
    /// be sent.
    #[must_use]
    pub fn is_ready_for(&self, tenant: &SharedTenant, own: &OwnSettings) -> bool {
        let state = self.state();
        Arc::ptr_eq(&state.tenant, tenant)
            && state.condition == Condition::Clean
            && state.own == *own
            && !self.is_stale()
    }

    /// Whether the attachment will not hold for much longer.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        let renewal = self.state().renewal;
        renewal.is_some_and(|renewal| renewal <= Instant::now())
    }

    /// Says what the client has left in the session, at worst.
    pub fn worsen(&mut self, condition: Condition) {
        let state = self.state_mut();
        state.condition = state.condition.max(condition);
    }

    /// Says that the client has discarded all that it had left.
    pub fn cleared(&mut self) {
        self.state_mut().condition = Condition::Clean;
    }

    /// Says which settings of the client's are in force now.
    pub fn set_own(&mut self, own: OwnSettings) {
        self.state_mut().own = own;
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
            base.push((name, if dedicated { value } else { "" }));
        }
        Attachment::Schema { search_path } => {
            base.push((
                "search_path",
                if dedicated { search_path } else { NO_SCHEMA },
            ));
        }
        Attachment::Database => {}
    }
    base
}

/// A search path on which nothing is found.
const NO_SCHEMA: &str = "\"pgtenant: no tenant\"";
