//! A client that speaks the protocol message by message, in clear text.
//! Everything that does not come within [`PATIENCE`] is a failure.

use crate::{Answer, Fields, Message, PATIENCE, Pipeline, texts};
use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::message::frontend;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A client.
#[derive(Debug)]
pub struct Raw {
    /// The connection; for what the methods here do not offer.
    pub stream: TcpStream,
    /// Parameters as last reported (ParameterStatus), at login or later.
    pub parameters: BTreeMap<String, String>,
    /// The process id of its cancellation key.
    pub pid: u32,
    /// The secret of its cancellation key.
    pub secret: Vec<u8>,
    port: u16,
    input: Vec<u8>,
    /// Where in the input the next message begins.
    start: usize,
}

impl Raw {
    /// Connects, and says nothing yet.
    pub fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            parameters: BTreeMap::new(),
            pid: 0,
            secret: Vec::new(),
            port,
            input: Vec::new(),
            start: 0,
        }
    }

    /// Connects and logs in with SCRAM; the error is the server's.
    pub fn log_in(port: u16, password: &str, parameters: &[(&str, &str)]) -> Result<Self, Fields> {
        let mut raw = Self::open(port);
        raw.send_startup(parameters);
        raw.authenticate(password)?;
        raw.finish_login()?;
        Ok(raw)
    }

    /// Sends a startup packet of protocol 3.0.
    pub fn send_startup(&mut self, parameters: &[(&str, &str)]) {
        let mut out = BytesMut::new();
        frontend::startup_message(parameters.iter().copied(), &mut out).unwrap();
        self.send(&out);
    }

    /// Goes through SCRAM-SHA-256, up to AuthenticationOk.
    pub fn authenticate(&mut self, password: &str) -> Result<(), Fields> {
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        loop {
            let message = self.read();
            let body = &message.body;
            if message.tag == b'E' {
                return Err(message.fields());
            }
            assert_eq!(message.tag, b'R', "{message:?}");
            let mut out = BytesMut::new();
            match body[..4] {
                [0, 0, 0, 0] => return Ok(()),
                [0, 0, 0, 10] => {
                    frontend::sasl_initial_response("SCRAM-SHA-256", scram.message(), &mut out)
                        .unwrap();
                }
                [0, 0, 0, 11] => {
                    scram.update(&body[4..]).unwrap();
                    frontend::sasl_response(scram.message(), &mut out).unwrap();
                }
                [0, 0, 0, 12] => scram.finish(&body[4..]).unwrap(),
                _ => panic!("unknown request for authentication: {message:?}"),
            }
            self.send(&out);
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
                b'Z' => return Ok(()),
                _ => panic!("unexpected at login: {message:?}"),
            }
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next message.
    pub fn read(&mut self) -> Message {
        match self.try_read() {
            Some(message) => message,
            None => panic!("the connection was closed"),
        }
    }

    /// The next message; `None` at the end of the stream.
    pub fn try_read(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.take() {
                if message.tag == b'S' {
                    let texts = texts(&message.body);
                    self.parameters.insert(texts[0].clone(), texts[1].clone());
                }
                return Some(message);
            }
            self.input.drain(..std::mem::take(&mut self.start));
            let mut chunk = [0; 64 << 10];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(n) => self.input.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no message came: {error}"),
            }
        }
    }

    fn take(&mut self) -> Option<Message> {
        let rest = &self.input[self.start..];
        let tag = *rest.first()?;
        let len: [u8; 4] = rest.get(1..5)?.try_into().unwrap();
        let end = 1 + u32::from_be_bytes(len) as usize;
        let body = rest.get(5..end)?.to_vec();
        self.start += end;
        Some(Message { tag, body })
    }

    /// Whether bytes come within a moment. For asking again and again what
    /// nothing tells.
    pub fn has_answer(&self) -> bool {
        let moment = Some(Duration::from_millis(20));
        self.stream.set_read_timeout(moment).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        peeked.is_ok_and(|n| n > 0)
    }

    /// All messages up to the next ReadyForQuery.
    pub fn until_ready(&mut self) -> Answer {
        self.until(b'Z')
    }

    /// The same; `None` if the connection is closed before it.
    pub fn try_ready(&mut self) -> Option<Answer> {
        let mut messages = Vec::new();
        while messages
            .last()
            .is_none_or(|last: &Message| last.tag != b'Z')
        {
            messages.push(self.try_read()?);
        }
        Some(Answer { messages })
    }

    /// All messages up to the first of this type.
    pub fn until(&mut self, tag: u8) -> Answer {
        let mut messages = Vec::new();
        loop {
            match self.try_read() {
                Some(message) => {
                    let over = message.tag == tag;
                    messages.push(message);
                    if over {
                        return Answer { messages };
                    }
                }
                None => panic!("the connection was closed after {messages:?}"),
            }
        }
    }

    /// All messages up to the end of the stream.
    pub fn until_closed(&mut self) -> Answer {
        let messages = std::iter::from_fn(|| self.try_read()).collect();
        Answer { messages }
    }

    /// Sends a Query and waits for its whole answer.
    pub fn query(&mut self, sql: &str) -> Answer {
        self.send_query(sql);
        self.until_ready()
    }

    /// Sends a Query.
    pub fn send_query(&mut self, sql: &str) {
        let query = Pipeline::new().query(sql);
        self.send(query.bytes());
    }

    /// Sends messages that end in a Sync and waits for the whole answer.
    pub fn run(&mut self, pipeline: &Pipeline) -> Answer {
        self.send(pipeline.bytes());
        self.until_ready()
    }

    /// Runs SQL in the simple protocol, which must succeed: the single value.
    pub fn value(&mut self, sql: &str) -> String {
        let answer = self.query(sql);
        answer.ok();
        answer.value()
    }

    /// Runs SQL in the simple protocol, which must succeed.
    pub fn run_ok(&mut self, sql: &str) -> Answer {
        let answer = self.query(sql);
        answer.ok();
        answer
    }

    /// Runs SQL in the simple protocol, which must fail: the error.
    pub fn error(&mut self, sql: &str) -> Fields {
        self.query(sql).error()
    }

    /// Runs one statement in the extended protocol: Parse, Bind, Describe,
    /// Execute, Sync.
    pub fn extended(&mut self, sql: &str) -> Answer {
        self.run(&Pipeline::new().statement(sql).sync())
    }

    /// The process id of the server connection that runs the statement.
    pub fn backend(&mut self) -> String {
        // By itself the function is answered by the proxy.
        self.value("SELECT pg_backend_pid() + 0")
    }

    /// Asks, on a connection of its own, to cancel what this client runs.
    pub fn cancel(&self) {
        cancel(self.port, self.pid, &self.secret);
    }
}

/// Sends a cancel request and waits until it has been dealt with.
pub fn cancel(port: u16, pid: u32, secret: &[u8]) {
    let mut raw = Raw::open(port);
    let len = 12 + u32::try_from(secret.len()).unwrap();
    let mut packet = len.to_be_bytes().to_vec();
    packet.extend_from_slice(&80_877_102_u32.to_be_bytes());
    packet.extend_from_slice(&pid.to_be_bytes());
    packet.extend_from_slice(secret);
    raw.send(&packet);
    assert_eq!(raw.try_read(), None, "a cancel request has no answer");
}
