//! Reading the plain tables of one database, again and again.

use super::fitness::Fitness;
use crate::config::{Server, TargetRole};
use crate::guard::PlainRelations;
use crate::ops::sql_client::{Database, SqlClientError};
use crate::tenant::Found;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{SimpleQueryMessage, Statement};

/// The time between the beginnings of two readings: so many times what the last
/// one took, within these limits. So a usual catalog, which is read in a few
/// milliseconds, is read each second, and a large one costs its server one part in
/// a hundred of a core.
const TIMES: u32 = 100;
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often it is looked whether the names are wanted sooner, after a change
/// through the proxy; and the pause then, as above.
const LOOK: Duration = Duration::from_millis(100);
const TIMES_IF_WANTED: u32 = 10;

/// The time between two tries to reach the database, which doubles: the first, and
/// the most.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// The same where the server refuses the login: it logs each try, and another one is
/// of no use before somebody changes something.
const REFUSED: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

/// Most time for one reading.
const LIMIT: Duration = Duration::from_secs(60);
/// The rows that are in memory twice at a time.
const BATCH: i32 = 5_000;

/// Most memory for the names of one database, in bytes.
const MOST_BYTES: usize = 32 << 20;
/// What a name takes beside its letters: its slot in the set, and what the
/// allocator takes.
const OVERHEAD: usize = 64;

/// The names that plain tables alone bear, outside of PostgreSQL's own schemas.
/// Not plain are all relations that run code when they are read, or that are of a
/// kind which is not known here: `relhasrules` is true of views and of tables that
/// have a rule, or had one. Rows of a parent can come from a foreign table.
/// Indexes and types cannot be named in a query, nor relations of schemas that the role
/// may not use, such as that of masked views; but temporary ones of other sessions, which
/// seem to be such.
const PLAIN: &str = "\
WITH RECURSIVE fed AS (
    SELECT oid FROM pg_catalog.pg_class WHERE relkind = 'f'
    UNION
    SELECT i.inhparent FROM fed JOIN pg_catalog.pg_inherits i ON i.inhrelid = fed.oid
)
SELECT c.relname
FROM pg_catalog.pg_class c JOIN (SELECT oid FROM pg_catalog.pg_namespace
    WHERE nspname NOT IN ('pg_catalog', 'information_schema')
        AND (nspname ~ '^pg_' OR pg_catalog.has_schema_privilege(oid, 'USAGE'))
    OFFSET 0) n ON n.oid = c.relnamespace
WHERE c.relkind NOT IN ('i', 'I', 'c', 't')
GROUP BY c.relname
HAVING pg_catalog.bool_and(c.relkind IN ('r', 'p') AND NOT c.relhasrules
    AND c.oid NOT IN (SELECT oid FROM fed))
LIMIT $1";

/// Why a catalog could not be read.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Database(#[from] SqlClientError),
    #[error("the database did not answer within {LIMIT:?}")]
    Timeout,
}

impl LoadError {
    /// The first and the longest time until the next try.
    fn retry(&self) -> (Duration, Duration) {
        match self {
            Self::Database(SqlClientError::Login { source, .. }) if refuses(source) => REFUSED,
            _ => RETRY,
        }
    }
}

/// Whether the server said so: who it is that asks, or what for. It may also be
/// starting, or full.
fn refuses(error: &tokio_postgres::Error) -> bool {
    let code = error.code().map(SqlState::code);
    code.is_some_and(|code| code.starts_with("28") || code.starts_with("3D") || code == "42501")
}

impl From<tokio_postgres::Error> for LoadError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Where what is read is put.
pub(super) struct News {
    pub(super) relations: Arc<PlainRelations>,
    pub(super) fitness: Arc<Fitness>,
    /// Notified when the fitness changes.
    pub(super) changed: Arc<Notify>,
}

/// Reads now and again, for ever.
pub(super) async fn follow(server: Server, database: Arc<str>, news: News) {
    let mut reader = Reader {
        server,
        database,
        relations: news.relations.clone(),
        news,
        told: Told::Nothing,
        retry: Duration::ZERO,
    };
    loop {
        let error = match reader.connect_and_stay().await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        // It may be another server that answers next.
        reader.relations.forget();
        reader.tell_failure(&error);
        let (first, longest) = error.retry();
        reader.retry = (reader.retry * 2).clamp(first, longest);
        sleep(reader.retry).await;
    }
}

struct Reader {
    server: Server,
    database: Arc<str>,
    relations: Arc<PlainRelations>,
    news: News,
    told: Told,
    /// The pause before the last try; none where it succeeded.
    retry: Duration,
}

/// What the log says last.
#[derive(PartialEq)]
enum Told {
    Nothing,
    Known,
    TooMany,
    Failed(String),
}

impl Reader {
    async fn connect_and_stay(&mut self) -> Result<std::convert::Infallible, LoadError> {
        let Server { user, password, .. } = &self.server;
        let (server, password) = (&self.server, password.as_ref());
        let mut database = Database::connect(server, &self.database, user, password).await?;
        let statement = in_time(prepare(&database)).await?;
        loop {
            let begun = Instant::now();
            self.vet(&database).await?;
            if may_know(&self.server) {
                // Before anything is read.
                let mark = self.relations.mark();
                let names = in_time(read(&mut database, &statement)).await?;
                let (known, too_many) = (names.as_ref().map(HashSet::len), names.is_none());
                if self.relations.publish(mark, names.unwrap_or_default()) {
                    self.tell(known, too_many);
                }
            }
            self.retry = Duration::ZERO;
            self.pause(begun, begun.elapsed()).await;
        }
    }

    /// Looks at the role, and tells what has changed.
    async fn vet(&self, database: &Database) -> Result<(), LoadError> {
        let (query, change) = self.news.fitness.mark();
        let found = in_time(ask(database, &query)).await?;
        let Some(found) = found else {
            return Ok(());
        };
        let judged = self.news.fitness.judge(change, &found);
        for (isolation, unfit) in &judged.news {
            let (server, database) = (&self.server.name, &self.database);
            match unfit {
                Some(unfit) => tracing::error!(
                    target: "pgtenant::catalog",
                    isolation = %isolation,
                    %server,
                    %database,
                    role = %self.server.user,
                    reason = %unfit,
                    cure = unfit.cure(),
                    "the tenants of the isolation are not served",
                ),
                None => tracing::info!(
                    target: "pgtenant::catalog",
                    isolation = %isolation,
                    %server,
                    %database,
                    "the tenants of the isolation are served again",
                ),
            }
        }
        if judged.changed {
            self.news.changed.notify_one();
        }
        Ok(())
    }

    /// Waits until it is time to read again.
    async fn pause(&self, begun: Instant, took: Duration) {
        let pause = (took * TIMES).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let if_wanted = took * TIMES_IF_WANTED;
        loop {
            sleep(LOOK).await;
            let passed = begun.elapsed();
            let is_wanted = || may_know(&self.server) && self.relations.are_wanted();
            if passed >= pause || (passed >= if_wanted && is_wanted()) {
                return;
            }
        }
    }

    fn tell(&mut self, known: Option<usize>, too_many: bool) {
        let (server, database) = (&self.server.name, &self.database);
        let told = if too_many { Told::TooMany } else { Told::Known };
        if self.told == told {
            return;
        }
        match known {
            Some(tables) => tracing::info!(
                target: "pgtenant::catalog",
                %server,
                %database,
                tables,
                "the plain tables of the database are known",
            ),
            None => tracing::warn!(
                target: "pgtenant::catalog",
                %server,
                %database,
                "the names of the database's tables take more than {} MiB: the tenant is attached anew after each statement that names one",
                MOST_BYTES >> 20,
            ),
        }
        self.told = told;
    }

    fn tell_failure(&mut self, error: &LoadError) {
        let told = Told::Failed(error.to_string());
        if self.told == told {
            return;
        }
        tracing::warn!(
            target: "pgtenant::catalog",
            server = %self.server.name,
            database = %self.database,
            %error,
            "the plain tables of the database cannot be read: the tenant is attached anew after each statement that names a relation",
        );
        self.told = told;
    }
}

/// Whether what is read of the names holds until the next reading. On a replica it does
/// not: a definition made on the primary arrives there at any time, from a transaction
/// that nobody here has seen.
fn may_know(server: &Server) -> bool {
    server.target != TargetRole::Replica
}

/// What the server says of the role.
async fn ask(database: &Database, query: &str) -> Result<Option<Found>, LoadError> {
    let messages = database.client.simple_query(query).await?;
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok(row.and_then(|row| {
        let columns: Option<Vec<_>> = (0..row.len()).map(|n| row.try_get(n).ok()).collect();
        Found::parse(&columns?)
    }))
}

async fn in_time<T>(work: impl Future<Output = Result<T, LoadError>>) -> Result<T, LoadError> {
    timeout(LIMIT, work)
        .await
        .unwrap_or(Err(LoadError::Timeout))
}

async fn prepare(database: &Database) -> Result<Statement, LoadError> {
    // The server ends what this end does not wait for any more.
    let limit = format!("SET statement_timeout = {}", LIMIT.as_millis());
    database.client.batch_execute(&limit).await?;
    Ok(database.client.prepare(PLAIN).await?)
}

/// The names; `None`: they take too much memory.
async fn read(
    database: &mut Database,
    statement: &Statement,
) -> Result<Option<HashSet<Box<str>>>, LoadError> {
    let most = i64::try_from(MOST_BYTES / OVERHEAD).unwrap_or(i64::MAX);
    let transaction = database.client.build_transaction().read_only(true);
    let transaction = transaction.start().await?;
    let portal = transaction.bind(statement, &[&most]).await?;
    let mut gathered = Gathered::default();
    loop {
        let batch = transaction.query_portal(&portal, BATCH).await?;
        // What is not UTF-8 stays doubtful.
        let names = batch.iter().filter_map(|row| row.try_get(0).ok());
        names.for_each(|name| gathered.add(name));
        if gathered.bytes > MOST_BYTES || batch.len() < BATCH.unsigned_abs() as usize {
            break;
        }
    }
    transaction.commit().await?;
    Ok(gathered.finish())
}

/// Names, and what they take.
#[derive(Default)]
struct Gathered {
    names: HashSet<Box<str>>,
    bytes: usize,
}

impl Gathered {
    fn add(&mut self, name: &str) {
        self.bytes += name.len() + OVERHEAD;
        if self.bytes <= MOST_BYTES {
            self.names.insert(name.into());
        }
    }

    /// All names, if there is room for them.
    fn finish(mut self) -> Option<HashSet<Box<str>>> {
        self.names.shrink_to_fit();
        (self.bytes <= MOST_BYTES).then_some(self.names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_has_all_its_names_or_none() {
        let gathered = |count: usize| {
            let mut gathered = Gathered::default();
            (0..count).for_each(|n| gathered.add(&format!("table_{n:030}")));
            (gathered.names.len(), gathered.finish().map(|all| all.len()))
        };
        assert_eq!(gathered(300_000), (300_000, Some(300_000)));
        let (kept, all) = gathered(1_000_000);
        assert!(all.is_none() && kept * OVERHEAD < MOST_BYTES);
    }
}
