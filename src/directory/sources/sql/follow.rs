//! Keeping up with the database of `[directory.sql]`.

use super::load::load_from;
use super::{Connected, LoadError, SqlSource, connect};
use crate::directory::{DirectoryBuilder, Snapshot};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// The time between two tries to reach the database: the first, and the most.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// For how long notifications are gathered, at least.
const LEAST_GATHERING: Duration = Duration::from_millis(50);
/// The time between two loads, at most, unless they take long.
const MOST_PAUSE: Duration = Duration::from_millis(500);

/// The time between two loads: as long as the last one took, or half as long where that
/// is long. A flood of notifications must not keep the database busy.
fn pause_after(load: Duration) -> Duration {
    load.min(MOST_PAUSE.max(load / 2))
}

/// What is asked, and what the answers must fit.
#[derive(Debug, Clone)]
pub(in crate::directory) struct Assignment {
    pub(in crate::directory) source: Arc<SqlSource>,
    pub(in crate::directory) builder: Arc<DirectoryBuilder>,
}

impl Assignment {
    /// Whether the rows of the one are those of the other.
    pub(in crate::directory) fn is_alike(&self, other: &Self) -> bool {
        self.source.is_alike(&other.source)
    }
}

/// What is known of the database.
#[derive(Debug, Clone, Default)]
pub(in crate::directory) struct Answers {
    /// The last rows that could be used.
    pub(in crate::directory) rows: Option<Arc<Snapshot>>,
    /// Whether an answer, or none, has come.
    pub(in crate::directory) has_tried: bool,
    /// When the database answered last, if it cannot be reached now.
    unreachable_since: Option<Instant>,
    answered: Option<Instant>,
}

/// How long ago the database answered, now and later.
#[derive(Debug, Clone)]
pub(in crate::directory) struct Freshness(pub(in crate::directory) watch::Receiver<Answers>);

impl Freshness {
    /// `None` if it never has.
    pub(in crate::directory) fn age(&self) -> Option<Duration> {
        let answered = self.0.borrow().answered;
        answered.map(|answered| answered.elapsed())
    }
}

impl Answers {
    /// When the rows no longer hold, as things are.
    pub(in crate::directory) fn expires(&self, stale: Duration) -> Option<Instant> {
        self.unreachable_since?.checked_add(stale)
    }
}

/// Asks the database now and whenever something may have changed, for ever.
pub(in crate::directory) async fn follow(
    assignment: watch::Receiver<Assignment>,
    answers: watch::Sender<Answers>,
) {
    let mut following = Following {
        assignment,
        answers,
        failure: None,
        pause: FIRST_PAUSE,
    };
    loop {
        let error = following.connect_and_stay().await;
        following.fail(&error);
        following.answers.send_modify(|answers| {
            answers.has_tried = true;
            answers.unreachable_since = answers.answered;
        });
        let pause = following.pause;
        following.pause = LONGEST_PAUSE.min(pause * 2);
        tokio::select! {
            () = sleep(pause) => {}
            // Perhaps there is a new password.
            _ = following.assignment.changed() => {}
        }
    }
}

struct Following {
    assignment: watch::Receiver<Assignment>,
    answers: watch::Sender<Answers>,
    /// What was said of the last failure; none after a success.
    failure: Option<String>,
    pause: Duration,
}

impl Following {
    /// Connects and keeps up until the connection is of no more use.
    async fn connect_and_stay(&mut self) -> LoadError {
        let source = self.assignment.borrow_and_update().source.clone();
        let Connected {
            mut client,
            mut notifications,
        } = match connect_and_listen(&source).await {
            Ok(connected) => connected,
            Err(error) => return error,
        };
        loop {
            let Assignment { source, builder } = self.assignment.borrow_and_update().clone();
            let started = Instant::now();
            match load_from(&mut client, &source.queries, &builder).await {
                Ok(rows) => self.succeed(rows),
                Err(error) if error.is_of_connection() => return error,
                Err(error) => {
                    self.fail(&error);
                    self.answers.send_modify(Answers::answer);
                }
            }
            let ended = Instant::now();
            let next = ended + pause_after(ended - started);
            tokio::select! {
                () = sleep(source.queries.refresh) => {}
                // The sender is dropped with the settings' Follower, and then
                // this task ends.
                _ = self.assignment.changed() => {}
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
        self.answers.send_if_modified(|answers| {
            let waited_for = !answers.has_tried || answers.unreachable_since.is_some();
            answers.answer();
            let same = answers.rows.as_ref().is_some_and(|known| **known == rows);
            if !same {
                answers.rows = Some(Arc::new(rows));
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

impl Answers {
    fn answer(&mut self) {
        self.has_tried = true;
        self.answered = Some(Instant::now());
        self.unreachable_since = None;
    }
}

async fn connect_and_listen(source: &SqlSource) -> Result<Connected, LoadError> {
    let connected = connect(source).await?;
    if let Some(channel) = &source.queries.channel {
        // Before the first load: nothing that changes after it is missed.
        let listen = format!("LISTEN \"{}\"", channel.replace('"', "\"\""));
        let limit = source.database.connect_timeout();
        let listening = tokio::time::timeout(limit, connected.client.batch_execute(&listen)).await;
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
    Ok(connected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_take_two_thirds_of_the_time_at_most() {
        let pause = |millis| pause_after(Duration::from_millis(millis)).as_millis();
        assert_eq!((pause(0), pause(80)), (0, 80));
        assert_eq!((pause(600), pause(1_000)), (500, 500));
        assert_eq!((pause(1_200), pause(18_000)), (600, 9_000));
    }
}
