//! The client's own settings.

use crate::attach::{SessionSettings, is_userset};
use crate::guard::{Guard, is_same_path};
use crate::protocol::ClientError;
use crate::protocol::backend::{self, FrameError};
use crate::server::Connection;
use crate::tenant::Restrictions;
use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;
use std::io;
use std::sync::Arc;

/// Longest answer that is taken, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Most bytes of a client's own settings, names and values: the proxy keeps
/// them, and sends them along when the client changes its server connection.
pub(super) const MOST_BYTES: usize = 64 << 10;
/// Most session settings of one client's own.
const MOST_SETTINGS: usize = 256;

/// So often the client's settings are asked for, where a `statement_timeout`
/// strikes: of a millisecond, it does so at most when the machine is busy.
const MOST_TRIES: u32 = 20;

/// The settings that a client has made for itself.
#[derive(Debug)]
pub(super) struct Settings {
    /// What it asked for at startup.
    asked: SessionSettings,
    /// What a reset goes back to: the same, restricted as its tenant is.
    pub(super) startup: SessionSettings,
    /// What is in force.
    pub(super) own: SessionSettings,
    /// What the client had chosen where a restriction of its tenant came to be in
    /// force instead. It returns with the restriction's end.
    replaced: SessionSettings,
    /// Names of those that the running transaction may have changed.
    touched: Vec<Box<str>>,
    /// The search path that the tenant is attached by, where it is.
    path: Option<Arc<str>>,
}

const SEARCH_PATH: &str = "search_path";

impl Settings {
    pub(super) fn new(
        asked: SessionSettings,
        startup: SessionSettings,
        path: Option<Arc<str>>,
    ) -> Self {
        Self {
            asked,
            own: startup.clone(),
            startup,
            replaced: SessionSettings::default(),
            touched: Vec::new(),
            path,
        }
    }

    /// What `name` is to be after a reset, where the server may have another value
    /// for it.
    pub(super) fn default_of(&self, name: &str) -> Option<&str> {
        let path = self.path.as_deref().filter(|_| name == SEARCH_PATH);
        self.startup.get(name).or(path)
    }

    /// Goes on with a tenant that is attached by the search path `path`, if it is. A
    /// list that `guard` does not let the client set is forgotten.
    pub(super) fn follow(&mut self, path: Option<Arc<str>>, guard: &Guard) {
        self.path = path;
        let path = self.path.as_deref();
        for settings in [&mut self.asked, &mut self.startup, &mut self.own] {
            if let Some(list) = settings.get(SEARCH_PATH)
                && guard.startup_setting(SEARCH_PATH, list, path).is_some()
            {
                settings.set(SEARCH_PATH, None);
            }
        }
    }

    /// Whether all are known, in the midst of a transaction.
    pub(super) fn are_known(&self) -> bool {
        self.touched.is_empty()
    }

    /// Notes that the transaction may change some. `false` if there are too many.
    pub(super) fn touch(&mut self, names: &[Box<str>]) -> bool {
        let of_names: usize = self
            .touched
            .iter()
            .chain(names)
            .map(|name| name.len())
            .sum();
        if self.own.len() + self.touched.len() + names.len() > MOST_SETTINGS
            || of_names > MOST_BYTES
        {
            return false;
        }
        for name in names {
            if !self.touched.contains(name) {
                self.touched.push(name.clone());
            }
        }
        true
    }

    /// Notes that all go back to what they were at startup. A rollback may undo it
    /// yet: what they are is read from the server at the end of the transaction.
    pub(super) fn reset(&mut self) {
        for name in self.own.names().chain(self.startup.names()) {
            if !self.touched.iter().any(|known| **known == *name) {
                self.touched.push(name.into());
            }
        }
        self.own = self.startup.clone();
        self.replaced = SessionSettings::default();
    }

    /// Forgets what the transaction may have changed. Says whether that was any.
    pub(super) fn forget_touched(&mut self) -> bool {
        !std::mem::take(&mut self.touched).is_empty()
    }

    /// Makes them those that the tenant's restrictions leave, where they were
    /// others `before`.
    pub(super) fn restrict(&mut self, before: &Restrictions, now: &Restrictions, guard: &Guard) {
        let startup = restricted(&self.asked, now, guard);
        for (name, _) in before.settings() {
            // What the client has not chosen itself, or not since.
            if self.own.get(name) == self.startup.get(name) {
                let chosen = self.replaced.get(name).or(startup.get(name));
                self.own.set(name, chosen);
            }
        }
        self.replaced = SessionSettings::default();
        let own = restricted(&self.own, now, guard);
        for (name, _) in now.settings() {
            let chosen = self.own.get(name);
            if chosen != own.get(name) && chosen != self.asked.get(name) {
                self.replaced.set(name, chosen);
            }
        }
        self.own = own;
        self.startup = startup;
    }

    /// Asks the server for those that the transaction may have changed: its answer
    /// alone knows of rollbacks, savepoints and canonical values.
    pub(super) async fn read_back<S>(&mut self, connection: &mut Connection<S>) -> io::Result<()> {
        let names = std::mem::take(&mut self.touched);
        let mut tries = 0;
        let values = loop {
            ask(connection.output(), &names)?;
            tries += 1;
            match row(connection).await {
                // The client's own statement_timeout, which is not for this.
                Err(Failure::Canceled) if tries < MOST_TRIES => {}
                row => break row?,
            }
        };
        for (name, value) in names.iter().zip(values) {
            let value = value.filter(|value| {
                let path = self.path.as_deref().filter(|_| **name == *SEARCH_PATH);
                path.is_none_or(|path| !is_same_path(value, path))
            });
            if self.own.get(name) != value.as_deref() {
                self.replaced.set(name, None);
            }
            self.own.set(name, value.as_deref());
        }
        Ok(())
    }
}

/// The settings with those of the restrictions in place of what is missing, or
/// would lift them.
#[must_use]
pub fn restricted(
    own: &SessionSettings,
    restrictions: &Restrictions,
    guard: &Guard,
) -> SessionSettings {
    let mut own = own.clone();
    for (name, value) in restrictions.settings() {
        let mine = own.get(name);
        if mine.is_none_or(|mine| guard.startup_setting(name, mine, None).is_some()) {
            own.set(name, Some(&value));
        }
    }
    own
}

pub(super) fn too_large() -> ClientError {
    let message = format!("the session's own settings are larger than {MOST_BYTES} bytes");
    ClientError::fatal("54000", message).hint("Use SET LOCAL for large values, or a table.")
}

/// One row with the settings' values, NULL for one that does not exist, or that
/// the session has not set: a failed SET of a superuser's setting must not make
/// it the client's own. For the settings that every user may change the view is
/// not asked, since it makes a row of each setting that there is.
fn ask(output: &mut BytesMut, names: &[Box<str>]) -> io::Result<()> {
    let view = if names.iter().all(|name| is_userset(name)) {
        ""
    } else {
        "WITH others AS MATERIALIZED (SELECT pg_catalog.lower(s.name) AS name \
         FROM pg_catalog.pg_settings AS s WHERE s.source <> 'session') "
    };
    let call = |(n, name): (usize, &str)| {
        let n = n + 1;
        let value = format!("pg_catalog.current_setting(${n}, true)");
        if is_userset(name) {
            return value;
        }
        format!("CASE WHEN ${n} IN (SELECT name FROM others) THEN NULL ELSE {value} END")
    };
    let calls: Vec<_> = names
        .iter()
        .map(|name| &**name)
        .enumerate()
        .map(call)
        .collect();
    frontend::parse(
        "",
        &format!("{view}SELECT {}", calls.join(", ")),
        [],
        output,
    )?;
    let serialize = |name: &str, out: &mut BytesMut| {
        out.extend_from_slice(name.as_bytes());
        Ok(IsNull::No)
    };
    let values = names.iter().map(|name| &**name);
    frontend::bind("", "", [], values, serialize, [], output)
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    frontend::execute("", 0, output)?;
    frontend::sync(output);
    Ok(())
}

/// The one row of the answer.
async fn row<S>(connection: &mut Connection<S>) -> Result<Vec<Option<String>>, Failure> {
    let mut values = None;
    exchange(connection, |tag, body| {
        if tag == b'D' {
            let row = backend::data_row(body).ok_or(FrameError)?;
            let text = |value: &Option<&[u8]>| {
                value.map(|value| String::from_utf8_lossy(value).into_owned())
            };
            values = Some(row.iter().map(text).collect());
        }
        Ok(())
    })
    .await?;
    values.ok_or_else(|| FrameError.into())
}

/// Waits until the server has answered to a Sync.
pub(super) async fn round_trip<S>(connection: &mut Connection<S>) -> io::Result<()> {
    frontend::sync(connection.output());
    exchange(connection, |_, _| Ok(())).await?;
    Ok(())
}

/// Sends a command that does nothing, and waits until the server is idle, whatever
/// it says of the command.
pub(super) async fn empty_query<S>(connection: &mut Connection<S>) -> io::Result<()> {
    frontend::query("", connection.output())?;
    match exchange(connection, |_, _| Ok(())).await {
        Err(Failure::Refused(_)) => Ok(()),
        answered => Ok(answered?),
    }
}

/// Why a request of ours was not answered as it should be.
enum Failure {
    /// It was cancelled; the session is idle again.
    Canceled,
    /// It failed otherwise; the session is idle again.
    Refused(String),
    /// The connection cannot be used any more.
    Broken(io::Error),
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        Self::Broken(io::Error::other(error))
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Canceled => Self::other("canceled"),
            Failure::Refused(message) => Self::other(message),
            Failure::Broken(error) => error,
        }
    }
}

/// Sends what is queued and reads up to the ReadyForQuery of an idle session.
async fn exchange<S>(
    connection: &mut Connection<S>,
    mut take: impl FnMut(u8, &[u8]) -> Result<(), FrameError>,
) -> Result<(), Failure> {
    let mut failed = None;
    loop {
        let bytes = connection.input().bytes();
        if let Some(header) = backend::header(bytes)? {
            let end = backend::HEADER + header.body;
            if end > MAX_ANSWER {
                return Err(FrameError.into());
            }
            if let Some(body) = bytes.get(backend::HEADER..end) {
                let mut parameter = None;
                match header.tag {
                    b'S' => parameter = Some(body.to_vec()),
                    b'E' => {
                        let report = backend::report(body);
                        failed = Some(match report.is_cancel() {
                            true => Failure::Canceled,
                            false if report.severity == "ERROR" => Failure::Refused(report.message),
                            false => {
                                return Err(Failure::Broken(io::Error::other(report.message)));
                            }
                        });
                    }
                    b'Z' if body != b"I" => return Err(FrameError.into()),
                    tag => take(tag, body)?,
                }
                connection.input_mut().consume(end);
                if let Some(body) = parameter {
                    connection.parameters_mut().update(&body)?;
                }
                if header.tag == b'Z' {
                    return failed.map_or(Ok(()), Err);
                }
                continue;
            }
        }
        connection.exchange().await.map_err(Failure::Broken)?;
    }
}
