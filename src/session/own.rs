//! The client's own settings, as its transactions leave them.

use super::Session;
use crate::binding::{Bound, is_everyones};
use crate::server::Connection;
use crate::wire::ClientError;
use crate::wire::backend::{self, FrameError};
use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;
use std::io;

/// Longest answer that is taken, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Most bytes of a client's own settings, names and values: the proxy keeps
/// them, and sends them along when the client changes its server connection.
pub(super) const MOST_BYTES: usize = 64 << 10;

/// So often the client's settings are asked for, where a `statement_timeout`
/// strikes: of a millisecond, it does so at most when the machine is busy.
const MOST_TRIES: u32 = 20;

pub(super) fn too_large() -> ClientError {
    let message = format!("the session's own settings are larger than {MOST_BYTES} bytes");
    ClientError::fatal("54000", message).hint("Use SET LOCAL for large values, or a table.")
}

impl Session {
    /// Asks the server for the settings that the transaction may have changed:
    /// its answer alone knows of rollbacks, savepoints and canonical values.
    pub(super) async fn read_own(
        &mut self,
        mut connection: Connection<Bound>,
    ) -> io::Result<Connection<Bound>> {
        let names = std::mem::take(&mut self.touched);
        let mut tries = 0;
        let values = loop {
            ask(connection.output(), &names)?;
            tries += 1;
            match row(&mut connection).await {
                // The client's own statement_timeout, which is not for this.
                Err(Failure::Canceled) if tries < MOST_TRIES => {}
                row => break row?,
            }
        };
        for (name, value) in names.iter().zip(values) {
            self.own.set(name, value.as_deref());
        }
        connection.set_own(self.own.clone());
        Ok(connection)
    }
}

/// One row with the settings' values, NULL for one that does not exist, or that
/// the session has not set: a failed SET of a superuser's setting must not make
/// it the client's own. For the settings that every user may change the view is
/// not asked, since it makes a row of each setting that there is.
fn ask(output: &mut BytesMut, names: &[Box<str>]) -> io::Result<()> {
    let view = if names.iter().all(|name| is_everyones(name)) {
        ""
    } else {
        "WITH others AS MATERIALIZED (SELECT pg_catalog.lower(s.name) AS name \
         FROM pg_catalog.pg_settings AS s WHERE s.source <> 'session') "
    };
    let call = |(n, name): (usize, &str)| {
        let n = n + 1;
        let value = format!("pg_catalog.current_setting(${n}, true)");
        if is_everyones(name) {
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
async fn row(connection: &mut Connection<Bound>) -> Result<Vec<Option<String>>, Failure> {
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
pub(super) async fn round_trip(mut connection: Connection<Bound>) -> io::Result<Connection<Bound>> {
    frontend::sync(connection.output());
    exchange(&mut connection, |_, _| Ok(())).await?;
    Ok(connection)
}

/// Why a request of ours was not answered as it should be.
enum Failure {
    /// It was cancelled; the session is idle again.
    Canceled,
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
            Failure::Broken(error) => error,
        }
    }
}

/// Sends what is queued and reads up to the ReadyForQuery of an idle session.
async fn exchange(
    connection: &mut Connection<Bound>,
    mut take: impl FnMut(u8, &[u8]) -> Result<(), FrameError>,
) -> Result<(), Failure> {
    let mut canceled = false;
    loop {
        let bytes = connection.input().bytes();
        if let Some(header) = backend::header(bytes)? {
            let end = backend::HEADER + header.body;
            if end > MAX_ANSWER {
                return Err(FrameError.into());
            }
            if let Some(body) = bytes.get(backend::HEADER..end) {
                match header.tag {
                    b'E' => {
                        let report = backend::report(body);
                        if !report.is_cancel() {
                            return Err(Failure::Broken(io::Error::other(report.message)));
                        }
                        canceled = true;
                    }
                    b'Z' if body != b"I" => return Err(FrameError.into()),
                    tag => take(tag, body)?,
                }
                connection.input_mut().consume(end);
                match header.tag {
                    b'Z' if canceled => return Err(Failure::Canceled),
                    b'Z' => return Ok(()),
                    _ => continue,
                }
            }
        }
        connection.exchange().await.map_err(Failure::Broken)?;
    }
}
