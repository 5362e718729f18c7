//! One connection, logged in.

use super::answer::{Answer, Failed};
use super::message::{Message, write};
use crate::config::{Secret, Server, ServerTls};
use crate::ops::sql_client::Url;
use crate::protocol::backend;
use crate::server::{
    Address, Attempt, ConnectError, Secured, Target, addresses, ask_to_cancel, dial_at, first_of,
    log_in, secure,
};
use crate::tenant::Vetting;
use crate::transport::{Buffer, Transport};
use bytes::BytesMut;
use postgres_protocol::message::frontend;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// The most time for an answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// The longest message that is taken.
const MOST_BYTES: usize = 64 << 20;

/// Who logs in, and where.
#[derive(Debug, Clone)]
pub(in crate::ops::prove) struct Login {
    pub(in crate::ops::prove) server: Server,
    pub(in crate::ops::prove) database: String,
}

impl Login {
    pub(in crate::ops::prove) fn new(url: &Url) -> Self {
        Self {
            server: url.server().clone(),
            database: url.database().to_owned(),
        }
    }

    pub(in crate::ops::prove) fn user(&self) -> &str {
        &self.server.user
    }

    pub(in crate::ops::prove) fn password(&self) -> Option<&Secret> {
        self.server.password.as_ref()
    }

    /// The same over a connection that is secured otherwise.
    pub(in crate::ops::prove) fn secured(&self, tls: ServerTls) -> Self {
        let mut login = self.clone();
        login.server.tls = tls;
        login
    }

    /// Reaches the server and secures the connection; nobody is logged in.
    pub(in crate::ops::prove) async fn reach(&self) -> Result<(Secured, Address), ConnectError> {
        let server = &self.server;
        let attempt = |address: Address| -> Attempt<'_, _, _> {
            Box::pin(async move {
                let stream = dial_at(server, address).await?;
                let secured = secure(stream, server, address.host).await?;
                Ok::<_, ConnectError>((secured, address))
            })
        };
        let opened = async {
            let found = addresses(server).await?;
            first_of(found, server.connect_timeout, attempt, |error| {
                !error.is_passing()
            })
            .await
        };
        let limit = server.connect_timeout;
        let reached = timeout(limit, opened).await;
        reached.unwrap_or(Err(ConnectError::Timeout(limit)))
    }

    /// Logs in.
    pub(in crate::ops::prove) async fn open(&self) -> Result<Session, ConnectError> {
        self.open_as(self.user(), &self.database, &[]).await
    }

    /// Logs in under another name, with other parameters of the startup packet.
    pub(in crate::ops::prove) async fn open_as(
        &self,
        user: &str,
        database: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Session, ConnectError> {
        let (secured, address) = self.reach().await?;
        let vetting = Vetting::none();
        let target = Target {
            server: &self.server,
            database,
            user,
            password: self.password().map(Secret::reveal),
            base: parameters,
            vetting: &vetting,
        };
        let limit = self.server.connect_timeout;
        let entered = async {
            let (transport, input) = log_in(secured, &target, address).await?;
            let mut session = Session {
                transport,
                input,
                pid: 0,
                secret: [0; 4],
                notified: Vec::new(),
            };
            let greeting = session.answers(1).await;
            match greeting.failed {
                Some(failed) => Err(ConnectError::Refused(backend::Report {
                    severity: "FATAL".to_owned(),
                    sqlstate: failed.sqlstate,
                    message: failed.message,
                })),
                None => Ok(session),
            }
        };
        let entered = timeout(limit, entered).await;
        entered.unwrap_or(Err(ConnectError::Timeout(limit)))
    }

    /// Asks to cancel what the session of this number and secret runs.
    pub(in crate::ops::prove) async fn cancel(
        &self,
        pid: u32,
        secret: [u8; 4],
    ) -> Result<(), ConnectError> {
        let (secured, _) = self.reach().await?;
        let limit = self.server.connect_timeout;
        match timeout(limit, ask_to_cancel(secured.transport, pid, secret)).await {
            Ok(asked) => Ok(asked?),
            Err(_) => Err(ConnectError::Timeout(limit)),
        }
    }
}

/// A connection that is logged in. Dropping it breaks it off.
pub(in crate::ops::prove) struct Session {
    transport: Transport,
    input: Buffer,
    /// What its requests to cancel are made with.
    pub(in crate::ops::prove) pid: u32,
    pub(in crate::ops::prove) secret: [u8; 4],
    /// Payloads of notifications that came.
    pub(in crate::ops::prove) notified: Vec<String>,
}

impl Session {
    /// Runs a query string.
    pub(in crate::ops::prove) async fn query(&mut self, sql: &str) -> Answer {
        self.send(&[Message::Query(sql.to_owned())]).await
    }

    /// Sends messages in one write, and reads what they are answered with.
    pub(in crate::ops::prove) async fn send(&mut self, messages: &[Message]) -> Answer {
        match self.start(messages).await {
            Ok(()) => self.finish(messages).await,
            Err(error) => lost(&error),
        }
    }

    /// Sends messages and does not wait.
    pub(in crate::ops::prove) async fn start(&mut self, messages: &[Message]) -> io::Result<()> {
        let mut packet = BytesMut::new();
        for message in messages {
            write(message, &mut packet)?;
        }
        self.transport.write_all(&packet).await
    }

    /// Reads what these messages are answered with.
    pub(in crate::ops::prove) async fn finish(&mut self, messages: &[Message]) -> Answer {
        let ready = messages.iter().filter(|one| one.is_answered_by_ready());
        // What is no message is answered with the end of the connection.
        self.answers(ready.count().max(1)).await
    }

    /// Says goodbye.
    pub(in crate::ops::prove) async fn close(mut self) {
        let mut packet = BytesMut::new();
        frontend::terminate(&mut packet);
        let goodbye = async {
            let _ = self.transport.write_all(&packet).await;
            self.transport.close().await;
        };
        let _ = timeout(Duration::from_secs(1), goodbye).await;
    }

    /// Reads up to the last of so many ReadyForQuery.
    async fn answers(&mut self, ready: usize) -> Answer {
        let mut answer = Answer::default();
        let read = timeout(PATIENCE, self.read(ready, &mut answer)).await;
        let error = match read {
            Ok(Ok(())) => return answer,
            Ok(Err(error)) => error,
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, "no answer came in time"),
        };
        let broken = lost(&error);
        // An error that came before says more.
        answer.failed = answer.failed.or(broken.failed);
        answer.is_lost = true;
        answer
    }

    async fn read(&mut self, mut ready: usize, answer: &mut Answer) -> io::Result<()> {
        while ready > 0 {
            let (tag, body) = self.message().await?;
            match tag {
                b'D' => {
                    let values = backend::data_row(&body).ok_or_else(invalid)?;
                    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                    answer.row(values.into_iter().map(|value| value.map(text)).collect());
                }
                b'd' => answer.row(vec![Some(String::from_utf8_lossy(&body).into_owned())]),
                b'V' => {
                    let value = backend::function_result(&body).ok_or_else(invalid)?;
                    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                    answer.row(vec![value.map(text)]);
                }
                b'C' => {
                    let tag = body.strip_suffix(b"\0").unwrap_or(&body);
                    answer.tags.push(String::from_utf8_lossy(tag).into_owned());
                }
                b'E' => {
                    answer.failed.get_or_insert(Failed::read(&body));
                }
                b'G' => {
                    // Nothing is copied in.
                    let mut packet = BytesMut::new();
                    frontend::copy_fail("not now", &mut packet)?;
                    self.transport.write_all(&packet).await?;
                }
                b'A' => {
                    let rest = body.get(4..).unwrap_or_default();
                    let payload = rest.split(|byte| *byte == 0).nth(1).unwrap_or_default();
                    self.notified
                        .push(String::from_utf8_lossy(payload).into_owned());
                }
                b'K' => {
                    let (pid, secret) = backend::backend_key_data(&body).ok_or_else(invalid)?;
                    // As protocol 3.0 has it.
                    let secret = secret.try_into().map_err(|_| invalid())?;
                    (self.pid, self.secret) = (pid, secret);
                }
                b'Z' => ready -= 1,
                // Notices, parameters, completions.
                _ => {}
            }
        }
        Ok(())
    }

    async fn message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        loop {
            let header = backend::header(self.input.bytes()).map_err(|_| invalid())?;
            if let Some(header) = header {
                if header.body > MOST_BYTES {
                    return Err(invalid());
                }
                let end = backend::HEADER + header.body;
                if let Some(body) = self.input.bytes().get(backend::HEADER..end) {
                    let body = body.to_vec();
                    self.input.consume(end);
                    return Ok((header.tag, body));
                }
            }
            self.transport.read_some(&mut self.input).await?;
        }
    }
}

fn lost(error: &io::Error) -> Answer {
    let ended = error.kind() == io::ErrorKind::UnexpectedEof;
    let message = match ended {
        true => "the connection was closed without an answer".to_owned(),
        false => error.to_string(),
    };
    Answer {
        failed: Some(Failed::broken(message)),
        is_lost: true,
        ..Answer::default()
    }
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer breaks the protocol")
}
