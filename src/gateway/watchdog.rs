//! Asks servers whether sessions wait for an answer that is not to come.
//!
//! No exchange should wait so: what the proxy believes that a server owes follows
//! from what was sent. If it is mistaken, the client would wait for ever and the
//! server connection be lost to others. So what has not moved for long is asked
//! about, over a connection of our own: a long statement goes on, and a session whose
//! server waits for its client is ended.

use super::Shared;
use crate::config::Secret;
use crate::ops::sql_client::{Database, SqlClientError};
use crate::pool::Pool;
use crate::session::Overdue;
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Servers that are asked at a time.
const MOST_ASKED: usize = 4;
/// An answer that was on its way when the server was asked arrives within this.
const UNDER_WAY: Duration = Duration::from_secs(1);

/// The server waits for its client. Where it does not track what its sessions do,
/// it does not say so.
const WAITING: &str = "SELECT pid FROM pg_catalog.pg_stat_activity \
    WHERE pid = ANY($1) AND (state LIKE 'idle%' \
    OR (state = 'active' AND wait_event_type = 'Client' AND wait_event = 'ClientRead'))";

/// Watches all sessions, without an end.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        sleep(shared.pools.check_after()).await;
        let mut inquiries = inquiries(shared.registry.overdue()).into_iter();
        let mut asked = JoinSet::new();
        loop {
            while asked.len() < MOST_ASKED
                && let Some(inquiry) = inquiries.next()
            {
                asked.spawn(inquiry.make(shared.clone()));
            }
            if asked.join_next().await.is_none() {
                break;
            }
        }
    }
}

/// What is asked over one connection.
struct Inquiry {
    pool: Arc<Pool>,
    user: Arc<str>,
    password: Option<Secret>,
    overdue: Vec<Overdue>,
}

fn inquiries(overdue: Vec<Overdue>) -> Vec<Inquiry> {
    let mut all: Vec<Inquiry> = Vec::new();
    for session in overdue {
        let pool = session.pool();
        let (user, password) = pool.account(&session.tenant().placement);
        let same = all
            .iter_mut()
            .find(|inquiry| Arc::ptr_eq(&inquiry.pool, &pool) && inquiry.user == user);
        match same {
            Some(inquiry) => inquiry.overdue.push(session),
            None => all.push(Inquiry {
                pool,
                user,
                password,
                overdue: vec![session],
            }),
        }
    }
    all
}

impl Inquiry {
    /// Asks, and ends the sessions whose server owes them nothing.
    async fn make(self, shared: Arc<Shared>) {
        let limit = self.pool.server().connect_timeout;
        let waiting = match timeout(limit, self.ask()).await {
            Ok(Ok(waiting)) => waiting,
            Ok(Err(error)) => return self.report(&error),
            Err(_) => return self.report(&io::Error::from(io::ErrorKind::TimedOut)),
        };
        if waiting.is_empty() {
            return;
        }
        sleep(UNDER_WAY).await;
        for session in &self.overdue {
            if waiting.contains(&session.pid()) && session.goes_on() {
                shared.registry.end_unanswered(session);
            }
        }
    }

    /// The process ids among them whose sessions wait for their client.
    async fn ask(&self) -> Result<HashSet<u32>, SqlClientError> {
        let database = Database::connect(
            self.pool.server(),
            self.pool.database(),
            &self.user,
            self.password.as_ref(),
        )
        .await?;
        let pids = self
            .overdue
            .iter()
            .map(|session| session.pid().cast_signed());
        let pids: Vec<i32> = pids.collect();
        let rows = database.client.query(WAITING, &[&pids]).await?;
        let waiting = rows.iter().map(|row| row.try_get::<_, i32>(0));
        let waiting = waiting.map(|pid| pid.map(i32::cast_unsigned));
        Ok(waiting.collect::<Result<_, _>>()?)
    }

    fn report(&self, error: &impl std::fmt::Display) {
        tracing::warn!(
            target: "pgtenant::server",
            database = self.pool.database(),
            user = %self.user,
            sessions = self.overdue.len(),
            %error,
            "cannot ask whether answers are to come for which sessions wait"
        );
    }
}
