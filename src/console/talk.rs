//! The protocol with an administrator, simple and extended.

use super::grammar::{Command, Statement, parse};
use super::table::{Formats, Table};
use super::{Presence, Steered, room, show, tell};
use crate::config::AdminRole;
use crate::protocol::ClientError;
use crate::protocol::backend::{self, TransactionStatus, message};
use crate::protocol::frontend::{self, Kind, Target};
use crate::tenant::LoginName;
use crate::transport::ClientAddress;
use crate::transport::{Buffer, Transport};
use std::collections::HashMap;
use std::io;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The longest message that is read, in bytes.
const MOST: usize = 16 << 10;
/// Statements and portals that one administrator keeps.
const MOST_KEPT: usize = 64;
/// Most time for an answer to be taken: who does not read is cut off.
const SEND_LIMIT: Duration = Duration::from_secs(30);
/// How often it is looked whether something is done.
const LOOK: Duration = Duration::from_millis(20);

/// What is told at login. Drivers need these.
const PARAMETERS: [(&str, &str); 8] = [
    ("server_version", "1.23.1/pgtenant"),
    ("client_encoding", "UTF8"),
    ("server_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("TimeZone", "GMT"),
    ("standard_conforming_strings", "on"),
    ("integer_datetimes", "on"),
    ("is_superuser", "on"),
];

/// An administrator who has logged in.
#[derive(Debug)]
pub struct Guest {
    /// Its connection.
    pub transport: Transport,
    /// What it has sent already.
    pub input: Buffer,
    /// The end of the authentication, to be sent.
    pub answer: Vec<u8>,
    /// Its name.
    pub user: LoginName,
    /// Where it comes from.
    pub address: ClientAddress,
    /// That it is there.
    pub presence: Presence,
}

/// Serves an administrator until it leaves.
///
/// # Errors
/// If the connection breaks, or the administrator does not take what it has asked for.
pub async fn serve(mut guest: Guest, steered: &impl Steered) -> io::Result<()> {
    let mut out = std::mem::take(&mut guest.answer);
    for (name, value) in PARAMETERS {
        backend::write_parameter_status(&mut out, name, value);
    }
    backend::write_backend_key_data(&mut out, 0, &[0; 4]);
    backend::ready_for_query(&mut out, TransactionStatus::Idle);
    let mut talk = Talk {
        guest,
        steered,
        out,
        statements: HashMap::new(),
        portals: HashMap::new(),
        skips: false,
    };
    talk.run().await
}

struct Talk<'s, S> {
    guest: Guest,
    steered: &'s S,
    out: Vec<u8>,
    statements: HashMap<Vec<u8>, String>,
    portals: HashMap<Vec<u8>, (String, Formats)>,
    /// After an error in the extended protocol: everything up to the Sync.
    skips: bool,
}

/// Whether the connection goes on.
#[derive(PartialEq, Eq)]
enum Next {
    GoesOn,
    Ends,
}

impl<S: Steered> Talk<'_, S> {
    async fn run(&mut self) -> io::Result<()> {
        loop {
            self.flush().await?;
            let (kind, body) = match self.read().await? {
                Ok(message) => message,
                Err(error) => {
                    error.encode(&mut self.out);
                    return self.flush().await;
                }
            };
            if self.steered.role(&self.guest.user).is_none() {
                let gone = "terminating connection: the administrator has been removed";
                ClientError::fatal("57P01", gone).encode(&mut self.out);
                return self.flush().await;
            }
            self.guest.presence.asks();
            if self.take(kind, &body).await? == Next::Ends {
                return self.flush().await;
            }
        }
    }

    /// The next message, or what the administrator is told of one that is none.
    async fn read(&mut self) -> io::Result<Result<(Kind, Vec<u8>), ClientError>> {
        loop {
            let input = &mut self.guest.input;
            match frontend::header(input.bytes()) {
                Err(error) => return Ok(Err(ClientError::protocol(error.to_string()))),
                Ok(Some(header)) if header.body > MOST => {
                    return Ok(Err(ClientError::protocol("the message is too long")));
                }
                Ok(Some(header)) => {
                    let end = frontend::HEADER + header.body;
                    if let Some(body) = input.bytes().get(frontend::HEADER..end) {
                        let body = body.to_vec();
                        input.consume(end);
                        return Ok(Ok((header.kind, body)));
                    }
                }
                Ok(None) => {}
            }
            self.guest
                .transport
                .read_some(&mut self.guest.input)
                .await?;
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let sent = self.guest.transport.write_all(&self.out);
        timeout(SEND_LIMIT, sent).await??;
        self.out.clear();
        Ok(())
    }

    async fn take(&mut self, kind: Kind, body: &[u8]) -> io::Result<Next> {
        match kind {
            Kind::Terminate => return Ok(Next::Ends),
            Kind::Sync => {
                self.skips = false;
                backend::ready_for_query(&mut self.out, TransactionStatus::Idle);
            }
            Kind::Query => {
                let text = frontend::query(body).map(String::from_utf8_lossy);
                match text {
                    Ok(text) => {
                        let formats = Formats::default();
                        if let Err(error) = self.answer(&text, &formats, true).await {
                            error.encode(&mut self.out);
                        }
                    }
                    Err(error) => {
                        ClientError::error("08P01", error.to_string()).encode(&mut self.out);
                    }
                }
                backend::ready_for_query(&mut self.out, TransactionStatus::Idle);
            }
            _ if self.skips => {}
            Kind::Flush => {}
            _ => {
                if let Err(error) = self.extended(kind, body).await {
                    error.encode(&mut self.out);
                    self.skips = true;
                }
            }
        }
        Ok(Next::GoesOn)
    }

    async fn extended(&mut self, kind: Kind, body: &[u8]) -> Result<(), ClientError> {
        let malformed =
            |error: frontend::LayoutError| ClientError::error("08P01", error.to_string());
        match kind {
            Kind::Parse => {
                let asked = frontend::parse(body).map_err(malformed)?;
                let text = String::from_utf8_lossy(asked.sql).into_owned();
                parse(&text).map_err(refused)?;
                keep(&mut self.statements, asked.name, text)?;
                self.out.extend_from_slice(backend::PARSE_COMPLETE);
            }
            Kind::Bind => {
                let head = frontend::bind_head(body).ok_or(frontend::LayoutError);
                let head = head.map_err(malformed)?;
                let rest = body.get(head.len..).unwrap_or_default();
                let values = frontend::bind_values(rest).map_err(malformed)?;
                let text = self.statements.get(head.statement).ok_or_else(unknown)?;
                let formats = Formats::new(values.results.iter().map(|format| *format == 1));
                let portal = (text.clone(), formats);
                keep(&mut self.portals, head.portal, portal)?;
                self.out.extend_from_slice(backend::BIND_COMPLETE);
            }
            Kind::Describe => {
                let (text, formats) = match frontend::target(body).map_err(malformed)? {
                    Target::Statement(name) => {
                        let text = self.statements.get(name).ok_or_else(unknown)?;
                        backend::parameter_description(&mut self.out, &[]);
                        (text.clone(), Formats::default())
                    }
                    Target::Portal(name) => self.portals.get(name).ok_or_else(unknown)?.clone(),
                };
                match self.described(&text).await {
                    Some(table) => table.describe(&mut self.out, &formats),
                    None => self.out.extend_from_slice(backend::NO_DATA),
                }
            }
            Kind::Execute => {
                frontend::execute(body).map_err(malformed)?;
                let name = body.split(|byte| *byte == 0).next().unwrap_or_default();
                let (text, formats) = self.portals.get(name).ok_or_else(unknown)?.clone();
                self.answer(&text, &formats, false).await?;
            }
            Kind::Close => {
                match frontend::target(body).map_err(malformed)? {
                    Target::Statement(name) => drop(self.statements.remove(name)),
                    Target::Portal(name) => drop(self.portals.remove(name)),
                }
                self.out.extend_from_slice(backend::CLOSE_COMPLETE);
            }
            _ => return Err(ClientError::error("0A000", "the console does not do that")),
        }
        Ok(())
    }

    /// What a SHOW of something that can be shown answers.
    async fn described(&self, text: &str) -> Option<Table> {
        match parse(text) {
            Ok(Statement::Show(what)) => self.table(what).await,
            _ => None,
        }
    }

    /// What `SHOW what` shows. It is put together apart: with many sessions it takes a
    /// while, and the clients of this thread need not wait for it.
    async fn table(&self, what: String) -> Option<Table> {
        let steered = self.steered.clone();
        let made = tokio::task::spawn_blocking(move || show::table(&what, &steered));
        made.await.ok().flatten()
    }

    async fn answer(
        &mut self,
        text: &str,
        formats: &Formats,
        describes: bool,
    ) -> Result<(), ClientError> {
        match parse(text).map_err(refused)? {
            Statement::Empty => message(&mut self.out, b'I', b""),
            Statement::Ignored => {
                notice(&mut self.out, "SET ignored");
                backend::command_complete(&mut self.out, "SET");
            }
            Statement::Show(what) if what == "help" => {
                notice(&mut self.out, show::HELP);
                backend::command_complete(&mut self.out, "SHOW");
            }
            Statement::Show(what) => {
                let Some(table) = self.table(what.clone()).await else {
                    let text = format!("invalid command 'SHOW {what}', use SHOW HELP;");
                    return Err(refused(text));
                };
                if describes {
                    table.describe(&mut self.out, formats);
                }
                table.write(&mut self.out, formats);
                backend::command_complete(&mut self.out, "SHOW");
            }
            Statement::Command(command) => {
                let (user, address) = (self.guest.user.as_str(), self.guest.address);
                let room = room(self.steered, user, address, text);
                let room = room.map_err(|text| ClientError::error("53100", text))?;
                let done = self.carry_out(&command).await;
                let user = self.guest.user.as_str();
                tell(self.steered, user, address, text, &done, room);
                done.map_err(|text| ClientError::error(command.failure(), text))?;
                backend::command_complete(&mut self.out, command.tag());
            }
        }
        Ok(())
    }

    /// Carries a command out and waits until it is done, or the administrator has left.
    async fn carry_out(&mut self, command: &Command) -> Result<(), String> {
        if self.steered.role(&self.guest.user) < Some(AdminRole::Operator) {
            return Err("admin access needed".to_owned());
        }
        let Some(mut awaited) = self.steered.command(command)? else {
            return Ok(());
        };
        loop {
            if let Some(outcome) = self.steered.has_come(&mut awaited) {
                return outcome;
            }
            // Else it would not be seen that the administrator leaves.
            if self.guest.input.len() >= MOST {
                return Err("too much was sent while the command was carried out".to_owned());
            }
            let left = std::future::poll_fn(|cx| self.guest.transport.poll_read_ready(cx));
            tokio::select! {
                () = sleep(LOOK) => {}
                _ = left => {
                    let read = self.guest.transport.read_some(&mut self.guest.input).await;
                    read.map_err(|_| "the administrator has left".to_owned())?;
                }
            }
        }
    }
}

fn keep<T>(kept: &mut HashMap<Vec<u8>, T>, name: &[u8], value: T) -> Result<(), ClientError> {
    if kept.len() >= MOST_KEPT && !kept.contains_key(name) {
        return Err(ClientError::error(
            "54000",
            "too many statements or portals",
        ));
    }
    kept.insert(name.to_vec(), value);
    Ok(())
}

fn unknown() -> ClientError {
    ClientError::error("26000", "the prepared statement or portal does not exist")
}

fn refused(text: String) -> ClientError {
    ClientError::error("08P01", text)
}

/// A NoticeResponse of severity NOTICE.
fn notice(out: &mut Vec<u8>, text: &str) {
    let mut body = b"SNOTICE\0VNOTICE\0C00000\0M".to_vec();
    body.extend_from_slice(text.as_bytes());
    body.extend_from_slice(b"\0\0");
    message(out, b'N', &body);
}
