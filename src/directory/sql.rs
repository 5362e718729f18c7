//! Keeping up with the database of `[directory.sql]`.

use super::fetch::{LoadError, load_from};
use crate::config::{Blueprint, Snapshot, SqlSource};
use crate::ops::sql_client::Database;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// The time between two tries to reach the database: the first, and the most.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// For how long notifications are gathered, at least; and the time between two
/// loads, at most. In between, as long as the last load took: a flood of
/// notifications must not keep the database busy.
const LEAST_GATHERING: Duration = Duration::from_millis(50);
const MOST_PAUSE: Duration = Duration::from_millis(500);

/// What is asked, and what the answers must fit.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) source: Arc<SqlSource>,
    pub(super) blueprint: Arc<Blueprint>,
}

impl Plan {
    /// Whether the rows of the one are those of the other.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        self.source.is_alike(&other.source)
    }
}

/// What is known of the database.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// The last rows that could be used.
    pub(super) rows: Option<Arc<Snapshot>>,
    /// Whether an answer, or none, has come.
    pub(super) has_tried: bool,
    /// When the database answered last, if it cannot be reached now.
    unreachable_since: Option<Instant>,
    answered: Option<Instant>,
}

impl State {
    /// When the rows no longer hold, as things are.
    pub(super) fn expires(&self, stale: Duration) -> Option<Instant> {
        self.unreachable_since?.checked_add(stale)
    }
}

/// Asks the database now and whenever something may have changed, for ever.
pub(super) async fn follow(plan: watch::Receiver<Plan>, state: watch::Sender<State>) {
    let mut following = Following {
        plan,
        state,
        failure: None,
        pause: FIRST_PAUSE,
    };
    loop {
        let error = following.connect_and_stay().await;
        following.fail(&error);
        following.state.send_modify(|state| {
            state.has_tried = true;
            state.unreachable_since = state.answered;
        });
        let pause = following.pause;
        following.pause = LONGEST_PAUSE.min(pause * 2);
        tokio::select! {
            () = sleep(pause) => {}
            // Perhaps there is a new password.
            _ = following.plan.changed() => {}
        }
    }
}

struct Following {
    plan: watch::Receiver<Plan>,
    state: watch::Sender<State>,
    /// What was said of the last failure; none after a success.
    failure: Option<String>,
    pause: Duration,
}

impl Following {
    /// Connects and keeps up until the connection is of no more use.
    async fn connect_and_stay(&mut self) -> LoadError {
        let source = self.plan.borrow_and_update().source.clone();
        let (mut database, mut notifications) = match connect(&source).await {
            Ok(connected) => connected,
            Err(error) => return error,
        };
        loop {
            let plan = self.plan.borrow_and_update().clone();
            let started = Instant::now();
            match load_from(&mut database, &plan.source, &plan.blueprint).await {
                Ok(rows) => self.succeed(rows),
                Err(error) if error.is_of_connection() => return error,
                Err(error) => {
                    self.fail(&error);
                    self.state.send_modify(State::answer);
                }
            }
            let ended = Instant::now();
            let next = ended + MOST_PAUSE.min(ended - started);
            tokio::select! {
                () = sleep(plan.source.refresh) => {}
                // The sender is dropped with the settings' Follower, and then
                // this task ends.
                _ = self.plan.changed() => {}
                changed = notifications.changed() => {
                    if changed.is_err() {
                        return LoadError::Closed;
                    }
                    sleep_until(next.max(Instant::now() + LEAST_GATHERING)).await;
                    notifications.mark_unchanged();
                }
            }
        }
    }

    fn succeed(&mut self, rows: Snapshot) {
        self.pause = FIRST_PAUSE;
        if self.failure.take().is_some() {
            tracing::info!(target: "pgtenant::directory", "the queries of the directory work again");
        }
        self.state.send_if_modified(|state| {
            let waited_for = !state.has_tried || state.unreachable_since.is_some();
            state.answer();
            let same = state.rows.as_ref().is_some_and(|known| **known == rows);
            if !same {
                state.rows = Some(Arc::new(rows));
            }
            !same || waited_for
        });
    }

    fn fail(&mut self, error: &LoadError) {
        let text = error.to_string();
        if self.failure.as_ref() != Some(&text) {
            tracing::error!(
                target: "pgtenant::directory",
                error = %text,
                "the tenant directory cannot be brought up to date",
            );
            self.failure = Some(text);
        }
    }
}

impl State {
    fn answer(&mut self) {
        self.has_tried = true;
        self.answered = Some(Instant::now());
        self.unreachable_since = None;
    }
}

async fn connect(source: &SqlSource) -> Result<(Database, watch::Receiver<u64>), LoadError> {
    let (database, notifications) = Database::connect_to_follow(
        &source.server,
        &source.database,
        &source.user,
        source.password.as_ref(),
    )
    .await?;
    if let Some(channel) = &source.channel {
        // Before the first load: nothing that changes after it is missed.
        let listen = format!("LISTEN \"{}\"", channel.replace('"', "\"\""));
        let limit = source.server.connect_timeout;
        let listening = tokio::time::timeout(limit, database.client.batch_execute(&listen)).await;
        let listening = listening
            .map_err(|_| LoadError::Timeout(limit))?
            .map_err(LoadError::Failed);
        match listening {
            Err(error) if error.is_of_connection() => return Err(error),
            // A standby, for instance.
            Err(error) => tracing::warn!(
                target: "pgtenant::directory",
                %error,
                "no notifications: the directory is refreshed by time alone",
            ),
            Ok(()) => {}
        }
    }
    Ok((database, notifications))
}
