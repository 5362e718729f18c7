//! What a client leaves in a server session, and how it is taken away.

use super::answer::{self, Answer};
use super::script::{Script, left_by_attachment};
use super::{AttachError, Attached, SessionSettings, is_same};
use crate::protocol::backend::TransactionStatus;
use crate::server::{Connection, Unbound};
use crate::tenant::SharedTenant;
use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// What must be done before another client uses a session, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cleanup {
    /// Nothing: there is nothing in it but the tenant and the client's known
    /// settings.
    None,
    /// The tenant is attached again: rows were written, and triggers may have
    /// changed it.
    Reattach,
    /// All settings are reset: code that was not seen may have changed them.
    ResetAll,
    /// Everything is discarded: objects may be left (temporary tables, cursors,
    /// locks), or a transaction that the server does not report.
    DiscardAll,
}

/// What the users of a session may know of the state of `random()`, from which the
/// next numbers could be told. DISCARD ALL does not reset it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Random {
    /// Nothing: since it was seeded, no statement has run that could have read or
    /// set it.
    Unseen,
    /// It may be known. Another tenant gets the session with a new one.
    Seen,
}

/// A connection in the pool: its client has gone, and nothing that it asked for
/// is unanswered. A cleanup may be under way.
#[derive(Debug)]
pub struct Parked {
    holds: Holds,
    /// What the server must still answer to a cleanup.
    answers: VecDeque<Answer>,
    /// When the cleanup was asked for.
    asked: Option<Instant>,
}

/// What a parked session holds, once its cleanup is confirmed.
#[derive(Debug)]
pub(super) enum Holds {
    /// Nothing of any tenant: the settings of its start.
    Base(Random),
    /// A tenant.
    Tenant(Attached),
}

impl Parked {
    /// One that holds nothing of any tenant once the server has given these answers, which
    /// it has owed since then.
    pub(super) fn emptied(random: Random, answers: VecDeque<Answer>, asked: Instant) -> Self {
        Self {
            holds: Holds::Base(random),
            answers,
            asked: Some(asked),
        }
    }

    pub(super) fn tenants(attached: Attached) -> Self {
        Self {
            holds: Holds::Tenant(attached),
            answers: VecDeque::new(),
            asked: None,
        }
    }

    pub(super) fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Whether the server has answered to every cleanup.
    pub(super) fn is_settled(&self) -> bool {
        self.answers.is_empty()
    }

    pub(super) fn is_ready_for(&self, tenant: &SharedTenant, settings: &SessionSettings) -> bool {
        match &self.holds {
            Holds::Base(_) => false,
            Holds::Tenant(attached) => {
                self.is_settled()
                    && is_same(&attached.tenant, tenant)
                    && attached.cleanup == Cleanup::None
                    && attached.settings == *settings
                    && !attached.is_stale()
            }
        }
    }

    /// What must be done, and confirmed, before a client of `tenant` with these
    /// settings may use the session.
    pub(super) fn cleanup_for(&self, tenant: &SharedTenant, settings: &SessionSettings) -> Cleanup {
        let Holds::Tenant(attached) = &self.holds else {
            return Cleanup::None;
        };
        if !is_same(&attached.tenant, tenant) {
            return Cleanup::DiscardAll;
        }
        let mut cleanup = attached.cleanup;
        if attached.is_stale() {
            // Without a new token the database would not know it any more.
            cleanup = cleanup.max(Cleanup::Reattach);
        }
        // A setting that cannot be reset by its name, or a time limit under which
        // the client's first statements would run, must not stay.
        if attached.settings.leaves_unusual(settings)
            || attached.settings.limits_otherwise(settings)
        {
            cleanup = cleanup.max(Cleanup::ResetAll);
        }
        cleanup
    }
}

impl<S> Connection<S> {
    /// What `random()` is to start from, if something may be known of its state, and what
    /// may be known of it then.
    pub(super) fn seed(&mut self, known: Random) -> (Option<[u8; 4]>, Random) {
        let seed = match known {
            Random::Seen => self.random(),
            Random::Unseen => None,
        };
        let known = if seed.is_some() {
            Random::Unseen
        } else {
            known
        };
        (seed, known)
    }
}

impl Connection<Unbound> {
    /// A connection that has just been opened, as the pool hands it out.
    #[must_use]
    pub fn parked(self) -> Connection<Parked> {
        self.with_state(Parked {
            // The server has seeded it with randomness of its own.
            holds: Holds::Base(Random::Unseen),
            answers: VecDeque::new(),
            asked: None,
        })
    }
}

impl Connection<Parked> {
    /// The tenant that it was used by last, unless it has been cleaned of it.
    #[must_use]
    pub fn last_tenant(&self) -> Option<&SharedTenant> {
        match &self.state().holds {
            Holds::Base(_) => None,
            Holds::Tenant(attached) => Some(&attached.tenant),
        }
    }

    /// What its last client has set, unless it has been cleaned of that.
    #[must_use]
    pub fn last_settings(&self) -> Option<&SessionSettings> {
        match &self.state().holds {
            Holds::Base(_) => None,
            Holds::Tenant(attached) => Some(&attached.settings),
        }
    }

    /// Queues what takes away what the last client has left and what should not
    /// wait for the next one: other sessions could wait for its locks.
    pub fn clean(&mut self) {
        if let Holds::Tenant(attached) = &self.state().holds {
            self.queue_cleanup(attached.cleanup, None);
        }
    }

    /// Queues what takes away everything of another tenant than this one, and
    /// attaches this one with its client's settings.
    pub fn clean_of_others(&mut self, tenant: &SharedTenant, settings: &SessionSettings) {
        if let Holds::Tenant(attached) = &self.state().holds
            && !is_same(&attached.tenant, tenant)
        {
            self.queue_cleanup(Cleanup::DiscardAll, Some((tenant, settings)));
        }
    }

    /// Sends what can be sent without waiting. An error shows when the answers are
    /// read.
    pub fn try_flush(&mut self) {
        let _ = self.poll_flush(&mut Context::from_waker(Waker::noop()));
    }

    /// Queues what must be done before a client of `tenant` with these settings
    /// uses it. [Settle](Self::settle) it then.
    pub fn clean_for(&mut self, tenant: &SharedTenant, settings: &SessionSettings) {
        let cleanup = self.state().cleanup_for(tenant, settings);
        self.queue_cleanup(cleanup, Some((tenant, settings)));
    }

    /// `next`: whom the connection is for, if that is known. The attachment is then
    /// a part of what is confirmed.
    fn queue_cleanup(&mut self, cleanup: Cleanup, next: Option<(&SharedTenant, &SessionSettings)>) {
        let Holds::Tenant(attached) = &self.state().holds else {
            return;
        };
        if cleanup == Cleanup::None {
            return;
        }
        let tenant = attached.tenant.clone();
        let has_timeout = attached.settings.has_timeout();
        let mut random = attached.random;
        let mut seed = None;
        if cleanup == Cleanup::DiscardAll {
            self.prepared().clear();
            (seed, random) = self.seed(random);
        }
        let mut script = Script::new(self);
        if has_timeout && cleanup > Cleanup::Reattach {
            script.lift_timeouts();
        }
        match cleanup {
            Cleanup::None => {}
            Cleanup::Reattach => script.attach(&tenant),
            Cleanup::ResetAll => {
                script.reset_all();
                if tenant.placement.has_member_role() {
                    script.reset_role();
                }
                script.attach(&tenant);
            }
            Cleanup::DiscardAll => {
                script.scrub(seed);
                if let Some((tenant, settings)) = next {
                    script.attach(tenant);
                    script.settings(tenant, &SessionSettings::default(), settings);
                }
            }
        }
        let (answers, renewal) = script.finish();
        let state = self.state_mut();
        if !answers.is_empty() {
            state.asked.get_or_insert_with(Instant::now);
        }
        state.answers.extend(answers);
        match (&mut state.holds, cleanup) {
            (_, Cleanup::None) => {}
            (holds, Cleanup::DiscardAll) => {
                *holds = next.map_or(Holds::Base(random), |(tenant, settings)| {
                    Holds::Tenant(Attached {
                        tenant: tenant.clone(),
                        settings: settings.clone(),
                        renewal,
                        cleanup: Cleanup::None,
                        random,
                        parting: None,
                    })
                });
            }
            (Holds::Tenant(attached), _) => {
                attached.cleanup = Cleanup::None;
                attached.renewal = renewal;
                attached.settings = match cleanup {
                    Cleanup::ResetAll => SessionSettings::default(),
                    _ => left_by_attachment(&tenant, &attached.settings),
                };
            }
            (Holds::Base(_), _) => {}
        }
    }

    /// Queues a question that the server must answer before the connection is used:
    /// it has been silent for long, and may be lost without a word.
    pub fn check(&mut self) {
        let mut script = Script::new(self);
        script.ask();
        let (answers, _) = script.finish();
        let state = self.state_mut();
        state.asked.get_or_insert_with(Instant::now);
        state.answers.extend(answers);
    }

    /// Whether the server has answered to every cleanup.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.state().is_settled()
    }

    /// When the cleanup that is under way was asked for.
    #[must_use]
    pub fn cleaning_since(&self) -> Option<Instant> {
        self.state().asked.filter(|_| !self.is_settled())
    }

    /// Sends what can be sent and takes the answers that have arrived, without
    /// waiting. Says whether the connection is settled.
    ///
    /// # Errors
    /// As [`AttachError`] names them.
    pub fn try_settle(&mut self) -> Result<bool, AttachError> {
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(sent) = self.poll_flush(&mut cx) {
            sent?;
        }
        loop {
            // Some may have come with what was read before.
            self.take_answers()?;
            if self.is_settled() {
                return Ok(true);
            }
            match self.poll_fill(&mut cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(0)) => {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                Poll::Ready(n) => n.map(|_| ())?,
            }
        }
    }

    /// Sends the cleanup that is queued and reads the server's answers. After an
    /// error the connection can be used for nothing any more.
    ///
    /// # Errors
    /// As [`AttachError`] names them.
    pub async fn settle(&mut self) -> Result<(), AttachError> {
        while !self.is_settled() {
            self.take_answers()?;
            if !self.is_settled() {
                self.exchange().await?;
            }
        }
        Ok(())
    }

    /// Takes the answers that have arrived.
    ///
    /// # Errors
    /// As [`AttachError`] names them.
    fn take_answers(&mut self) -> Result<(), AttachError> {
        let mut answers = std::mem::take(&mut self.state_mut().answers);
        let taken = answer::next(self, &mut answers, TransactionStatus::Idle, &mut |_| {});
        if taken.is_err() && answers.is_empty() {
            // What has failed once is never settled.
            answers.push_back(Answer::Done);
        }
        self.state_mut().answers = answers;
        if self.is_settled() {
            self.state_mut().asked = None;
        }
        if taken?.is_some()
            && let Holds::Tenant(attached) = &mut self.state_mut().holds
        {
            // One of the client's settings is not valid, and others may be in
            // force: it is told when they are applied by themselves.
            attached.settings = SessionSettings::default();
            attached.cleanup = Cleanup::ResetAll;
        }
        Ok(())
    }

    /// The connection, and what is attached to it; the connection as it was, if
    /// that is nothing.
    pub(super) fn attached(self) -> Result<(Connection<()>, Attached), Self> {
        let (connection, state) = self.split();
        match state.holds {
            Holds::Tenant(attached) => Ok((connection, attached)),
            holds @ Holds::Base(_) => Err(connection.with_state(Parked { holds, ..state })),
        }
    }
}
