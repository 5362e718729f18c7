//! Logging in to a server (protocol sections "Start-up" and "SASL
//! Authentication").

use super::addresses::Address;
use super::connect::{ConnectError, Target};
use super::connection::BackendKey;
use super::secure::Secured;
use super::{Connection, Parameters, Unbound};
use crate::protocol::backend::{self, FrameError};
use crate::transport::{Buffer, Transport};
use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::frontend;
use std::io;

/// The longest message that is taken before the login is done.
const MAX_MESSAGE: usize = 1 << 20;

/// Logs in over a secured connection and reads up to the first ReadyForQuery.
pub(super) async fn authenticate(
    secured: Secured,
    target: &Target<'_>,
    address: Address,
) -> Result<Connection<Unbound>, ConnectError> {
    let login = Login::enter(secured, target, address).await?;
    login.finish(target).await
}

/// Logs in to run SQL that gives one row, and leaves: its values as texts. Of the host
/// nothing else is asked.
pub(super) async fn ask(
    secured: Secured,
    target: &Target<'_>,
    address: Address,
    sql: &str,
) -> Result<Vec<Option<String>>, ConnectError> {
    let mut login = Login::enter(secured, target, address).await?;
    let mut parameters = Parameters::default();
    loop {
        match login.message().await? {
            (b'S', body) => parameters.update(&body)?,
            (b'K', _) => {}
            (b'Z', _) => break,
            _ => return Err(FrameError.into()),
        }
    }
    let row = login.row(sql, &mut parameters).await?;
    let mut packet = BytesMut::new();
    frontend::terminate(&mut packet);
    login.transport.write_all(&packet).await?;
    row.map_err(ConnectError::Refused)
}

/// Logs in for somebody who speaks the protocol by themselves: what comes up to
/// ReadyForQuery is in the buffer, or still to be read.
pub(crate) async fn log_in(
    secured: Secured,
    target: &Target<'_>,
    address: Address,
) -> Result<(Transport, Buffer), ConnectError> {
    let login = Login::enter(secured, target, address).await?;
    Ok((login.transport, login.input))
}

pub(super) struct Login {
    pub(super) transport: Transport,
    input: Buffer,
    end_point: Option<Vec<u8>>,
    /// Where the server was reached.
    pub(super) address: Address,
}

impl Login {
    /// Logs in; what comes up to ReadyForQuery is not read yet.
    async fn enter(
        secured: Secured,
        target: &Target<'_>,
        address: Address,
    ) -> Result<Self, ConnectError> {
        let mut login = Self {
            transport: secured.transport,
            input: Buffer::new(),
            end_point: secured.end_point,
            address,
        };
        login.start(target).await?;
        login.prove(target).await?;
        Ok(login)
    }

    async fn start(&mut self, target: &Target<'_>) -> Result<(), ConnectError> {
        let names = [("user", target.user), ("database", target.database)];
        let mut packet = BytesMut::new();
        frontend::startup_message(
            names.into_iter().chain(target.base.iter().copied()),
            &mut packet,
        )?;
        Ok(self.transport.write_all(&packet).await?)
    }

    /// Answers what the server asks for until it says that the client is in.
    async fn prove(&mut self, target: &Target<'_>) -> Result<(), ConnectError> {
        loop {
            let (tag, body) = self.message().await?;
            match (tag, body.split_first_chunk::<4>()) {
                (b'R', Some((code, rest))) => match u32::from_be_bytes(*code) {
                    0 => return Ok(()),
                    3 => self.send_password(target, <[u8]>::to_vec).await?,
                    5 => {
                        let salt = rest.try_into().map_err(|_| FrameError)?;
                        let user = target.user.as_bytes();
                        self.send_password(target, |password| {
                            md5_hash(user, password, salt).into_bytes()
                        })
                        .await?;
                    }
                    10 => self.scram(target, rest).await?,
                    7 | 8 => {
                        return Err(ConnectError::Authentication(
                            "GSSAPI, which pgtenant does not speak",
                        ));
                    }
                    9 => {
                        return Err(ConnectError::Authentication(
                            "SSPI, which pgtenant does not speak",
                        ));
                    }
                    _ => {
                        return Err(ConnectError::Authentication(
                            "a method that pgtenant does not know",
                        ));
                    }
                },
                (b'v', _) => {}
                _ => return Err(FrameError.into()),
            }
        }
    }

    async fn send_password(
        &mut self,
        target: &Target<'_>,
        encode: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<(), ConnectError> {
        let mut packet = BytesMut::new();
        frontend::password_message(&encode(password(target)?), &mut packet)?;
        Ok(self.transport.write_all(&packet).await?)
    }

    async fn scram(&mut self, target: &Target<'_>, offered: &[u8]) -> Result<(), ConnectError> {
        let password = password(target)?;
        let offers = |name: &str| {
            offered
                .split(|b| *b == 0)
                .any(|offer| offer == name.as_bytes())
        };
        let (mechanism, binding) = match self.end_point.take() {
            Some(hash) if offers(SCRAM_SHA_256_PLUS) => (
                SCRAM_SHA_256_PLUS,
                ChannelBinding::tls_server_end_point(hash),
            ),
            Some(_) if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            None if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unsupported()),
            _ => {
                return Err(ConnectError::Authentication(
                    "a SASL mechanism that pgtenant does not know",
                ));
            }
        };
        let mut scram = ScramSha256::new(password, binding);
        let mut packet = BytesMut::new();
        frontend::sasl_initial_response(mechanism, scram.message(), &mut packet)?;
        self.transport.write_all(&packet).await?;

        let challenge = self.sasl(11).await?;
        // Deriving the key is thousands of hashes: not on the thread that
        // serves the other clients.
        let scram_of = move || scram.update(&challenge).map(|()| scram);
        let mut scram = tokio::task::spawn_blocking(scram_of)
            .await
            .map_err(io::Error::other)?
            .map_err(ConnectError::Scram)?;
        packet.clear();
        frontend::sasl_response(scram.message(), &mut packet)?;
        self.transport.write_all(&packet).await?;

        let outcome = self.sasl(12).await?;
        scram.finish(&outcome).map_err(ConnectError::Scram)
    }

    async fn sasl(&mut self, expected: u32) -> Result<Vec<u8>, ConnectError> {
        let (tag, body) = self.message().await?;
        match (tag, body.split_first_chunk::<4>()) {
            (b'R', Some((code, data))) if u32::from_be_bytes(*code) == expected => {
                Ok(data.to_vec())
            }
            _ => Err(FrameError.into()),
        }
    }

    /// Reads up to the first ReadyForQuery, and what has come with it: a server that
    /// stops or ends the session tells of it behind that.
    async fn finish(mut self, target: &Target<'_>) -> Result<Connection<Unbound>, ConnectError> {
        let (mut is_ready, mut is_vetted) = (false, false);
        let mut parameters = Parameters::default();
        let mut key = BackendKey {
            pid: 0,
            secret: [0; 4],
            address: None,
            timeline: 0,
        };
        loop {
            if is_ready && !is_vetted && self.input.is_empty() {
                key.timeline = self.aim(target, &mut parameters).await?;
                self.vet(target, &mut parameters).await?;
                is_vetted = true;
                continue;
            }
            if is_ready && self.input.is_empty() {
                let server = target.server.name.clone();
                return Ok(Connection::new(server, self.transport, key, parameters));
            }
            let (tag, body) = self.message().await?;
            match tag {
                b'S' => parameters.update(&body)?,
                b'K' if !is_ready => {
                    let (pid, secret) = backend::backend_key_data(&body).ok_or(FrameError)?;
                    key.pid = pid;
                    key.secret = secret.try_into().map_err(|_| FrameError)?;
                }
                b'Z' if body == b"I" && !is_ready => is_ready = true,
                _ => return Err(FrameError.into()),
            }
        }
    }

    /// The next message that is not a notice. An ErrorResponse is an error.
    pub(super) async fn message(&mut self) -> Result<(u8, Vec<u8>), ConnectError> {
        loop {
            let Some(header) = backend::header(self.input.bytes())? else {
                self.transport.read_some(&mut self.input).await?;
                continue;
            };
            if header.body > MAX_MESSAGE {
                return Err(FrameError.into());
            }
            let end = backend::HEADER + header.body;
            let Some(body) = self.input.bytes().get(backend::HEADER..end) else {
                self.transport.read_some(&mut self.input).await?;
                continue;
            };
            let body = body.to_vec();
            self.input.consume(end);
            match header.tag {
                b'E' => return Err(ConnectError::Refused(backend::report(&body))),
                b'N' => {}
                tag => return Ok((tag, body)),
            }
        }
    }
}

fn password<'a>(target: &Target<'a>) -> Result<&'a [u8], ConnectError> {
    target
        .password
        .map(str::as_bytes)
        .ok_or(ConnectError::Authentication(
            "a password, and none is configured",
        ))
}
