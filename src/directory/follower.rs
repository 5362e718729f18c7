//! The tenant directory while the proxy runs: what its sources say now.

use super::left_out::Reported;
use super::sources::sql::{Answers, Assignment, Freshness, follow};
use super::{Built, Directory, DirectoryBuilder, Incumbents, Snapshot, SqlSource};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long the first answer of a database is waited for, beside the time that
/// connecting to it may take.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// Follows the sources of the directory.
#[derive(Debug, Default)]
pub struct Follower {
    running: Option<Running>,
}

/// What there is with a `[directory.sql]`.
#[derive(Debug)]
struct Running {
    assignment: watch::Sender<Assignment>,
    answers: watch::Receiver<Answers>,
    task: JoinHandle<()>,
    /// What the last directory was built from; none before the first.
    built: Option<Basis>,
    incumbents: Arc<Incumbents>,
    reported: Reported,
    /// The last directory, of which the log says nothing yet.
    news: Option<News>,
}

/// What the log says of a directory.
#[derive(Debug)]
enum News {
    Changed {
        tenants: usize,
        logins: usize,
        left_out: usize,
        begun: Instant,
    },
    NotAvailable,
}

impl News {
    fn tell(self) {
        match self {
            Self::Changed {
                tenants,
                logins,
                left_out,
                begun,
            } => tracing::info!(
                target: "pgtenant::directory",
                tenants,
                logins,
                left_out,
                took = ?begun.elapsed(),
                "the tenant directory has changed",
            ),
            Self::NotAvailable => tracing::error!(
                target: "pgtenant::directory",
                "the tenant directory is not available: only tenants of files can log in",
            ),
        }
    }
}

/// What a directory is built from.
#[derive(Debug, Clone)]
struct Basis {
    builder: Arc<DirectoryBuilder>,
    rows: Option<Arc<Snapshot>>,
}

impl Basis {
    fn is(&self, other: &Self) -> bool {
        let rows = match (&self.rows, &other.rows) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        rows && Arc::ptr_eq(&self.builder, &other.builder)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follower {
    /// Follows no source yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Follows this database from now on, the first one or that of a reload, and
    /// returns the directory with what it says; `None` without a database, where
    /// that of the files is all. Needs a tokio runtime.
    ///
    /// Where the database and the queries are as before, the connection and the
    /// rows stay. Else the database is asked, and its first answer is waited for;
    /// when there is none, the directory is not complete, and [`Self::changed`]
    /// brings the rest later.
    pub(crate) async fn adopt(
        &mut self,
        source: Option<SqlSource>,
        builder: &Arc<DirectoryBuilder>,
    ) -> Option<Directory> {
        let Some(source) = source else {
            self.running = None;
            return None;
        };
        let patience = source.database.connect_timeout() + FIRST_ANSWER;
        let assignment = Assignment {
            source: Arc::new(source),
            builder: builder.clone(),
        };
        let running = match self.running.take() {
            Some(running) if running.assignment.borrow().is_alike(&assignment) => {
                running.assignment.send_replace(assignment);
                running
            }
            before => Running::start(assignment, before),
        };
        let running = self.running.insert(running);
        let answer = running.answers.wait_for(|answers| answers.has_tried);
        let answered = tokio::time::timeout(patience, answer).await.is_ok();
        if !answered {
            tracing::warn!(target: "pgtenant::directory", "the database of the directory does not answer");
        }
        let basis = running.basis();
        let directory = running.build(basis).await;
        self.in_force();
        Some(directory)
    }

    /// The next directory, once it differs from that before. Without
    /// `[directory.sql]` there is none. Nothing is lost when this is dropped and
    /// called again. Once the proxy goes by it, call [`Self::in_force`].
    pub async fn changed(&mut self) -> Directory {
        let Some(running) = &mut self.running else {
            return std::future::pending().await;
        };
        loop {
            // Before it is looked at: what changes after that wakes up.
            running.answers.mark_unchanged();
            let basis = running.basis();
            let is_new = !running.built.as_ref().is_some_and(|built| built.is(&basis));
            if is_new {
                return running.build(basis).await;
            }
            running.wait().await;
        }
    }

    /// Says in the log that the last directory is in force.
    pub fn in_force(&mut self) {
        if let Some(news) = self.running.as_mut().and_then(|r| r.news.take()) {
            news.tell();
        }
    }
}

impl Running {
    fn start(assignment: Assignment, before: Option<Self>) -> Self {
        let incumbents = before.map(|before| before.incumbents.clone());
        let (assignment, seen) = watch::channel(assignment);
        let (sender, answers) = watch::channel(Answers::default());
        Self {
            assignment,
            answers,
            task: tokio::spawn(follow(seen, sender)),
            built: None,
            incumbents: incumbents.unwrap_or_default(),
            reported: Reported::default(),
            news: None,
        }
    }

    /// What the directory is to be built from now.
    fn basis(&self) -> Basis {
        let assignment = self.assignment.borrow();
        let answers = self.answers.borrow();
        let holds = answers
            .expires(assignment.source.queries.stale)
            .is_none_or(|at| Instant::now() < at);
        Basis {
            builder: assignment.builder.clone(),
            rows: answers.rows.clone().filter(|_| holds),
        }
    }

    /// Waits until the basis may be another one.
    async fn wait(&mut self) {
        let stale = self.assignment.borrow().source.queries.stale;
        let has_rows = self
            .built
            .as_ref()
            .is_some_and(|built| built.rows.is_some());
        let expires = self.answers.borrow().expires(stale);
        let expiry = async {
            match expires.filter(|_| has_rows) {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.answers.changed() => if changed.is_err() {
                // The task has ended, which it does with the runtime alone.
                std::future::pending::<()>().await;
            },
            () = expiry => {}
        }
    }

    async fn build(&mut self, basis: Basis) -> Directory {
        let (begun, before) = (Instant::now(), self.incumbents.clone());
        let Basis { builder, rows } = basis.clone();
        // Apart: a hundred thousand rows would hold up what else this thread does.
        let work = move || builder.build(rows.as_deref(), &before);
        let Ok(built) = tokio::task::spawn_blocking(work).await else {
            // The runtime is being shut down.
            return std::future::pending().await;
        };
        let Built {
            mut directory,
            problems,
            incumbents,
        } = built;
        directory.left_out = problems.len();
        directory.freshness = Some(Freshness(self.answers.clone()));
        self.reported.report(&problems);
        let news = if basis.rows.is_some() {
            self.incumbents = Arc::new(incumbents);
            News::Changed {
                tenants: directory.tenants().count(),
                logins: directory.len(),
                left_out: problems.len(),
                begun,
            }
        } else {
            News::NotAvailable
        };
        self.news = Some(news);
        self.built = Some(basis);
        directory
    }
}
