//! A database that is asked directly, its copy that is asked through the proxy, and
//! how a session runs on both.

use crate::answers::{Answers, Ending, Reader};
use crate::generate::{End, Sequence, Session, Step};
use socket2::SockRef;
use std::io::Write as _;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use testkit::{Pipeline, Plain, Proxy, Raw, answers_soon, wait_until};

/// Most time for the answers to a sequence.
const BOUND: Duration = Duration::from_secs(8);

/// The tenant whose sessions are compared, and its login.
const TENANT: &str = "11111111-1111-1111-1111-111111111111";
const LOGIN: &str = "innovate";
/// The tenant that gets the connection afterwards.
const NEXT: &str = "synergy";

/// What the next tenant sees of the session: its settings, statements, cursors,
/// temporary objects, whether the transaction is new, and that it is this tenant.
const LOOK: &str = "SELECT concat_ws(' / ', \
    (SELECT string_agg(name || '=' || setting, ', ' ORDER BY name) FROM pg_settings \
     WHERE source = 'session' AND name <> 'session.current_organization_id'), \
    (SELECT string_agg(statement, ', ') FROM pg_prepared_statements), \
    (SELECT string_agg(name, ', ') FROM pg_cursors WHERE name <> ''), \
    (SELECT string_agg(relname, ', ') FROM pg_class WHERE relnamespace = pg_my_temp_schema()), \
    CASE WHEN now() <> statement_timestamp() THEN 'an old transaction' END, \
    pg_current_xact_id_if_assigned()::text, \
    (SELECT string_agg(email, ', ') FROM users))";

/// Which sessions are compared.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// So many clients take turns.
    pub clients: usize,
    /// The keys of the profile that their login has; none: it has no profile.
    pub profile: &'static str,
    /// Somebody of another tenant waits for the connection all the time, and messages
    /// come one by one.
    pub crowded: bool,
}

pub struct Pair<'a> {
    plain: &'a Plain,
    /// The databases: direct, proxied.
    databases: [String; 2],
    admins: [Raw; 2],
    proxy: Proxy,
    kind: Kind,
    next: Raw,
    /// What [`LOOK`] gives to the first who looks.
    fresh: String,
    count: usize,
}

/// How a session went that shows no fault.
pub struct Outcome {
    /// Whether it was not compared to its end: the proxy has refused something
    /// that PostgreSQL does not, or PostgreSQL has closed the connection for what
    /// it does not expect during a COPY, or was itself left in no good state.
    pub refused: bool,
}

/// What is wrong.
pub type Fault = String;

impl<'a> Pair<'a> {
    pub fn start(plain: &'a Plain, number: usize, kind: Kind) -> Self {
        let databases = ["direct", "proxied"].map(|name| format!("{name}_{number}"));
        let admins = [0, 1].map(|side| {
            plain.copy_database(&databases[side]);
            let mut admin = plain.superuser_of(&databases[side]);
            admin.run_ok(
                "CREATE TABLE t (n int); GRANT ALL ON t TO wellness_app; \
                 SET lock_timeout = '8s'",
            );
            admin
        });
        let proxy = start_proxy(plain, &databases[1], kind.profile);
        let mut next = plain.client_of(&databases[1], &proxy, NEXT);
        let fresh = next.value(LOOK);
        Self {
            plain,
            databases,
            admins,
            proxy,
            kind,
            next,
            fresh,
            count: 0,
        }
    }

    /// A new proxy, whatever the last one was left in.
    pub fn renew(&mut self) {
        // The last one ends here, and then what it has left on the server.
        self.proxy = start_proxy(self.plain, &self.databases[1], self.kind.profile);
        wait_until("no session is left", || {
            let stop = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                        WHERE datname = current_database() AND usename = 'wellness_app' AND application_name <> 'pgtenant'";
            self.admins[1].value(stop) == "0"
        });
        self.next = self.plain.client_of(&self.databases[1], &self.proxy, NEXT);
    }

    /// Runs a session on both.
    pub fn run(&mut self, session: &Session) -> Result<Outcome, Fault> {
        for admin in &mut self.admins {
            let answer = admin.query("DELETE FROM t");
            if !answer.errors().is_empty() {
                return Err(format!("the table is locked: {:?}", answer.errors()));
            }
        }
        let mut direct = Vec::new();
        let mut proxied = Vec::new();
        for _ in 0..self.kind.clients {
            direct.push(reader(self.plain.direct(&self.databases[0], TENANT)));
            let client = self.plain.client_of(&self.databases[1], &self.proxy, LOGIN);
            proxied.push(reader(client));
        }
        let crowd = self.kind.crowded.then(|| {
            let client = self.plain.client_of(&self.databases[1], &self.proxy, NEXT);
            Crowd::start(client, self.fresh.clone())
        });
        let mut outcome = Outcome { refused: false };
        for sequence in &session.sequences {
            self.count += 1;
            let marker = format!("end of {}", self.count);
            let step_by_step = self.kind.crowded;
            let of = |readers: &mut [Reader]| {
                ask(
                    &mut readers[sequence.client],
                    sequence,
                    &marker,
                    step_by_step,
                )
            };
            let (expected, got) = (of(&mut direct), of(&mut proxied));
            if expected.end == got.end
                && same(&expected, &got) == expected.messages.len().max(got.messages.len())
            {
                continue;
            }
            let is_refused = got.end == Ending::Whole && is_refusal(&expected, &got);
            if is_refused || is_lost(&expected) || is_broken(&expected, &got) {
                outcome.refused = true;
                break;
            }
            return Err(format!("{}", Difference(sequence, &expected, &got)));
        }
        if let Some(crowd) = crowd {
            crowd.leave()?;
        }
        // A client that has to do with objects may keep its connection to be safe.
        let stays = session.end == End::Stay
            && self.kind.clients > 1
            && keeps_nothing(&mut direct[0], session);
        for readers in [&direct, &proxied] {
            leave(readers, session, stays);
        }
        drop(direct);
        if stays {
            self.look()?;
        }
        drop(proxied);
        // What was sent last may still run there.
        wait_until("PostgreSQL's own clients are gone", || {
            let sql = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND usename = 'wellness_app' AND application_name <> 'pgtenant'";
            self.admins[0].value(sql) == "0"
        });
        self.look()?;
        Ok(outcome)
    }

    /// The next tenant gets the connection, as new.
    fn look(&mut self) -> Result<(), Fault> {
        self.next.send_query(LOOK);
        if !answers_soon(&self.next) {
            return Err("the next tenant gets no connection".to_owned());
        }
        let Some(answer) = self.next.try_ready() else {
            return Err("the next tenant's session was ended".to_owned());
        };
        if !answer.errors().is_empty() {
            return Err(format!("the next tenant: {:?}", answer.errors()));
        }
        let seen = answer.value();
        if seen != self.fresh || answer.status() != 'I' {
            let fresh = &self.fresh;
            return Err(format!("the next tenant sees {seen:?}, not {fresh:?}"));
        }
        // The superuser sees the rest.
        let sql = "SELECT concat_ws(', ', \
             (SELECT 'advisory lock' FROM pg_locks WHERE locktype = 'advisory' AND database = \
              (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1), \
             (SELECT string_agg(state || ': ' || query, ', ') FROM pg_stat_activity \
              WHERE datname = current_database() AND usename = 'wellness_app' AND application_name <> 'pgtenant' \
              AND (state <> 'idle' OR xact_start IS NOT NULL)), \
             (SELECT count(*) || ' connections' FROM pg_stat_activity \
              WHERE datname = current_database() AND usename = 'wellness_app' AND application_name <> 'pgtenant' \
              HAVING count(*) > 1))";
        let deadline = Instant::now() + BOUND;
        loop {
            let left = self.admins[1].value(sql);
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("on the server: {left}"));
            }
        }
    }
}

fn start_proxy(plain: &Plain, database: &str, profile: &str) -> Proxy {
    let pool = "size = 1\nwait_timeout = \"6s\"\nreclaim_after = \"1min\"";
    let port = plain.cluster.port();
    let text = plain.configuration(database, port, pool, "channels = \"allow\"");
    let login = format!("[[logins]]\nuser = {LOGIN:?}\n");
    let text = match profile {
        "" => text,
        keys => {
            let named = format!("{login}profile = \"counted\"\n");
            format!(
                "{}[profiles.counted]\n{keys}\n",
                text.replace(&login, &named)
            )
        }
    };
    plain.proxy_by(&text)
}

fn reader(raw: Raw) -> Reader {
    Reader::new(raw.stream, raw.parameters)
}

/// Sends a sequence, and what leads back to a known state from wherever it is: the
/// end of a COPY, of a pipeline, of a transaction.
/// `step_by_step`: each Query or pipeline once the one before is answered.
fn ask(reader: &mut Reader, sequence: &Sequence, marker: &str, step_by_step: bool) -> Answers {
    let mut messages = Pipeline::new();
    let send = |reader: &mut Reader, messages: Pipeline| {
        if !step_by_step {
            return messages;
        }
        // One that is closed already says so when it is read.
        let _ = reader.stream().write_all(messages.bytes());
        reader.until_ready();
        Pipeline::new()
    };
    for step in &sequence.steps {
        messages = step.append(messages);
        if matches!(step, Step::Query(_) | Step::Sync) {
            messages = send(reader, messages);
        }
    }
    messages = send(reader, messages.copy_fail("the end").sync());
    messages = send(reader, messages.query("ROLLBACK"));
    messages = messages.query(&format!("SELECT '{marker}'"));
    let _ = reader.stream().write_all(messages.bytes());
    let mut answers = reader.read(marker, BOUND);
    // It counts up, and a failure is to be told the same each time.
    for message in &mut answers.messages {
        *message = message.replace(marker, "end");
    }
    answers
}

/// How many messages are the same at the beginning.
fn same(expected: &Answers, got: &Answers) -> usize {
    let both = expected.messages.iter().zip(&got.messages);
    both.take_while(|(expected, got)| expected == got || is_other_fault(expected, got))
        .count()
}

/// Whether both tell of a fault, where there is more than one: a name that is taken
/// is told by the proxy before PostgreSQL has looked at the statement, and a failed
/// transaction before it has looked for a portal, or at the values for a statement
/// that it does not have yet.
fn is_other_fault(expected: &str, got: &str) -> bool {
    let is = |message: &str, codes: &[&str]| {
        let code = |code: &&str| message.contains(&format!("\"C\": \"{code}\""));
        message.starts_with('E') && codes.iter().any(code)
    };
    (expected.starts_with('E') && is(got, &["42P05"]))
        || (is(expected, &["34000", "08P01"]) && is(got, &["25P02"]))
}

/// Whether PostgreSQL gives up the connection.
fn is_lost(expected: &Answers) -> bool {
    let last = expected.messages.last();
    expected.end == Ending::Closed
        && last.is_some_and(|message| message.contains("protocol synchronization was lost"))
}

/// Whether they part behind a transaction that PostgreSQL 18 has left open behind
/// Execute, Query, Sync: the next command ends it, or trips over it.
fn is_broken(expected: &Answers, got: &Answers) -> bool {
    let alike = same(expected, got);
    let mut before = expected.messages[..alike].windows(2);
    let mut behind = expected.messages[alike..].iter();
    behind.any(|message| message.contains("unexpected state STARTED"))
        || before.any(|pair| pair[0].starts_with("Z(T") && pair[1].starts_with("Z(I"))
}

/// Whether they part at a refusal of the proxy's.
fn is_refusal(expected: &Answers, got: &Answers) -> bool {
    got.messages
        .get(same(expected, got))
        .is_some_and(|message| {
            message.starts_with('E')
                && ["0A000", "42501"]
                    .iter()
                    .any(|code| message.contains(&format!("\"C\": \"{code}\"")))
        })
}

/// Says that the session is in no transaction and keeps nothing for which a
/// server connection stays with its client.
const NOTHING_KEPT: &str = "nothing is kept";

/// Whether nothing entitles a client of PostgreSQL's own to its connection once it
/// has sent what it sends last, and a Sync.
fn keeps_nothing(reader: &mut Reader, session: &Session) -> bool {
    let look = format!(
        "SELECT '{NOTHING_KEPT}' WHERE now() = statement_timestamp() \
         AND NOT EXISTS (SELECT FROM pg_prepared_statements WHERE from_sql) \
         AND NOT EXISTS (SELECT FROM pg_cursors WHERE is_holdable) \
         AND NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_my_temp_schema()) \
         AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' \
                         AND pid = pg_backend_pid())"
    );
    let marker = "end of the session";
    let mut steps = session.last.clone();
    steps.push(Step::Sync);
    let messages = steps.iter().fold(Pipeline::new(), |all, s| s.append(all));
    // The first query may meet a transaction that PostgreSQL 18 has left open.
    let messages = messages
        .query("")
        .query(&look)
        .copy_fail("the end")
        .sync()
        .query("ROLLBACK")
        .query(&format!("SELECT '{marker}'"));
    let _ = reader.stream().write_all(messages.bytes());
    let answers = reader.read(marker, BOUND).messages;
    let said = answers.iter().position(|m| m.contains(NOTHING_KEPT));
    // In a failed pipeline or transaction it is not answered so.
    said.and_then(|at| answers[at..].iter().find(|m| m.starts_with('Z')))
        .is_some_and(|ready| ready.starts_with("Z(I"))
}

/// The first client breaks off or stays, the others say goodbye.
fn leave(readers: &[Reader], session: &Session, stays: bool) {
    for (number, reader) in readers.iter().enumerate() {
        let mut stream = reader.stream();
        if number > 0 {
            let _ = stream.write_all(Pipeline::new().terminate().bytes());
            let _ = stream.shutdown(Shutdown::Both);
            continue;
        }
        let steps = session.last.iter();
        let last = steps.fold(Pipeline::new(), |all, step| step.append(all));
        let _ = stream.write_all(last.bytes());
        let _ = match session.end {
            End::Stay if stays => stream.write_all(Pipeline::new().sync().bytes()),
            End::Terminate | End::Stay => stream.write_all(Pipeline::new().terminate().bytes()),
            End::Close => stream.shutdown(Shutdown::Write),
            End::Reset => SockRef::from(stream).set_linger(Some(Duration::ZERO)),
        };
    }
}

/// Where the answers part.
struct Difference<'a>(&'a Sequence, &'a Answers, &'a Answers);

impl std::fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(sequence, expected, got) = self;
        writeln!(f, "  at {:?}", sequence.steps)?;
        let same = same(expected, got);
        writeln!(f, "  behind {:?}", &expected.messages[..same])?;
        for (name, answers) in [("direct", expected), ("proxied", got)] {
            writeln!(f, "  {name}, {:?}:", answers.end)?;
            for message in &answers.messages[same..] {
                writeln!(f, "    {message}")?;
            }
        }
        Ok(())
    }
}

/// A client of another tenant that wants the connection all the time.
struct Crowd {
    over: Arc<AtomicBool>,
    client: JoinHandle<Result<(), Fault>>,
}

impl Crowd {
    fn start(mut client: Raw, fresh: String) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        let client = thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                client.send_query(LOOK);
                let Some(answer) = client.try_ready() else {
                    return Err("the session of the one who waits was ended".to_owned());
                };
                let errors = answer.errors();
                // The one before may keep the connection for longer than it waits.
                let is_late = errors.iter().all(|error| error.code() == "53300");
                if !is_late || (errors.is_empty() && answer.value() != fresh) {
                    return Err(format!("the one who waits: {answer:?}, not {fresh:?}"));
                }
            }
            Ok(())
        });
        Self { over, client }
    }

    fn leave(self) -> Result<(), Fault> {
        self.over.store(true, Ordering::Relaxed);
        self.client.join().unwrap()
    }
}
