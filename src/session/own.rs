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
        ask(connection.output(), &names)?;
        let mut values = None;
        exchange(&mut connection, |tag, body| {
            if tag == b'D' {
                let row = backend::data_row(body).ok_or(FrameError)?;
                let text = |value: &Option<&[u8]>| {
                    value.map(|value| String::from_utf8_lossy(value).into_owned())
                };
                values = Some(row.iter().map(text).collect::<Vec<_>>());
            }
            Ok(())
        })
        .await?;
        let values = values.ok_or_else(|| io::Error::other(FrameError))?;
        for (name, value) in names.iter().zip(values) {
            self.own.set(name, value.as_deref());
        }
        connection.set_own(self.own.clone());
        Ok(connection)
    }
}

/// One row with the settings' values, NULL for one that does not exist, or that
/// the session has not set: a failed SET of a superuser's setting must not make
/// it the client's own. The settings that every user may change are not asked
/// so: the view makes a row of each setting that there is.
fn ask(output: &mut BytesMut, names: &[Box<str>]) -> io::Result<()> {
    let call = |(n, name): (usize, &str)| {
        let value = format!("pg_catalog.current_setting(${}, true)", n + 1);
        if is_everyones(name) {
            return value;
        }
        format!(
            "CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_settings AS s \
             WHERE pg_catalog.lower(s.name) = ${} AND s.source <> 'session') THEN NULL ELSE {value} END",
            n + 1
        )
    };
    let calls: Vec<_> = names
        .iter()
        .map(|name| &**name)
        .enumerate()
        .map(call)
        .collect();
    frontend::parse("", &format!("SELECT {}", calls.join(", ")), [], output)?;
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

/// Waits until the server has answered to a Sync.
pub(super) async fn round_trip(mut connection: Connection<Bound>) -> io::Result<Connection<Bound>> {
    frontend::sync(connection.output());
    exchange(&mut connection, |_, _| Ok(())).await?;
    Ok(connection)
}

/// Sends what is queued and reads up to the ReadyForQuery of an idle session.
async fn exchange(
    connection: &mut Connection<Bound>,
    mut take: impl FnMut(u8, &[u8]) -> Result<(), FrameError>,
) -> io::Result<()> {
    loop {
        let bytes = connection.input().bytes();
        if let Some(header) = backend::header(bytes).map_err(io::Error::other)? {
            let end = backend::HEADER + header.body;
            if end > MAX_ANSWER {
                return Err(io::Error::other(FrameError));
            }
            if let Some(body) = bytes.get(backend::HEADER..end) {
                let over = header.tag == b'Z';
                match header.tag {
                    b'E' => return Err(io::Error::other(backend::report(body).message)),
                    b'Z' if body != b"I" => return Err(io::Error::other(FrameError)),
                    tag => take(tag, body).map_err(io::Error::other)?,
                }
                connection.input_mut().consume(end);
                if over {
                    return Ok(());
                }
                continue;
            }
        }
        connection.exchange().await?;
    }
}
