//! How a client logs in: the startup packet, SCRAM, and what follows it.

use crate::{Fields, Message, PLAIN, Raw, V3_0, initial_response, message, startup};
use aws_lc_rs::digest;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

impl Raw {
    /// Connects and logs in with SCRAM; the error is the server's.
    pub fn log_in(port: u16, password: &str, parameters: &[(&str, &str)]) -> Result<Self, Fields> {
        let mut raw = Self::open(port);
        raw.send_startup(parameters);
        raw.authenticate(password)?;
        raw.finish_login()?;
        Ok(raw)
    }

    /// Startup and SCRAM without channel binding, on a connection that is open.
    pub fn enter(
        &mut self,
        version: u32,
        password: &str,
        parameters: &[(&str, &str)],
    ) -> Result<(), Fields> {
        self.send(&startup(version, parameters));
        self.log_in_by(password, PLAIN, ChannelBinding::unsupported())
    }

    /// Goes through SCRAM, from the offer to the end of the login.
    pub fn log_in_by(
        &mut self,
        password: &str,
        mechanism: &str,
        binding: ChannelBinding,
    ) -> Result<(), Fields> {
        self.scram(password, mechanism, binding)?;
        self.finish_login()
    }

    /// Sends a startup packet of protocol 3.0.
    pub fn send_startup(&mut self, parameters: &[(&str, &str)]) {
        self.send(&startup(V3_0, parameters));
    }

    /// The mechanisms that the proxy offers, and the messages before the offer.
    pub fn offer(&mut self) -> Result<(Vec<String>, Vec<Message>), Fields> {
        let mut before = Vec::new();
        loop {
            let message = self.read();
            match (message.tag, message.body.get(..4)) {
                (b'E', _) => return Err(message.fields()),
                (b'R', Some([0, 0, 0, 10])) => {
                    let names = message.body[4..].split(|b| *b == 0);
                    let names = names.filter(|name| !name.is_empty());
                    let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
                    return Ok((names.map(text).collect(), before));
                }
                _ => before.push(message),
            }
        }
    }

    /// Goes through SCRAM without channel binding, up to AuthenticationOk.
    pub fn authenticate(&mut self, password: &str) -> Result<(), Fields> {
        self.scram(password, PLAIN, ChannelBinding::unsupported())
    }

    fn scram(
        &mut self,
        password: &str,
        mechanism: &str,
        binding: ChannelBinding,
    ) -> Result<(), Fields> {
        let mut scram = ScramSha256::new(password.as_bytes(), binding);
        loop {
            let request = self.read();
            let answer = match (request.tag, request.body.split_at_checked(4)) {
                (b'E', _) => return Err(request.fields()),
                (b'v', _) => continue,
                (b'R', Some(([0, 0, 0, 0], _))) => return Ok(()),
                (b'R', Some(([0, 0, 0, 10], _))) => initial_response(mechanism, scram.message()),
                (b'R', Some(([0, 0, 0, 11], challenge))) => {
                    scram.update(challenge).unwrap();
                    message(b'p', scram.message())
                }
                (b'R', Some(([0, 0, 0, 12], outcome))) => {
                    scram.finish(outcome).unwrap();
                    continue;
                }
                _ => panic!("unknown request for authentication: {request:?}"),
            };
            self.send(&answer);
        }
    }

    /// The channel binding data of this connection.
    pub fn end_point(&self) -> Vec<u8> {
        let certificate = self.certificate.as_deref().unwrap();
        digest::digest(&digest::SHA256, certificate)
            .as_ref()
            .to_vec()
    }

    /// The data of the SASL message with this code.
    pub fn sasl(&mut self, code: u8) -> Result<Vec<u8>, Fields> {
        let message = self.read();
        match (message.tag, message.body.split_at_checked(4)) {
            (b'E', _) => Err(message.fields()),
            (b'R', Some(([0, 0, 0, got], data))) if *got == code => Ok(data.to_vec()),
            _ => panic!("SASL message {code} was expected: {message:?}"),
        }
    }

    /// Reads what follows the authentication, up to ReadyForQuery.
    pub fn finish_login(&mut self) -> Result<(), Fields> {
        loop {
            let message = self.read();
            match message.tag {
                b'E' => return Err(message.fields()),
                b'K' => {
                    let (pid, secret) = message.body.split_at(4);
                    self.pid = u32::from_be_bytes(pid.try_into().unwrap());
                    self.secret = secret.to_vec();
                }
                b'S' | b'N' => {}
                // AuthenticationOk, where it has not been read yet.
                b'R' if message.body == [0; 4] => {}
                b'Z' => return Ok(()),
                _ => panic!("unexpected at login: {message:?}"),
            }
        }
    }
}
