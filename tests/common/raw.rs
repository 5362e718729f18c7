//! A client that speaks the protocol message by message, in clear text.
//! Everything that does not come within [`PATIENCE`] is a failure.

use super::{PATIENCE, Pipeline};
use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::message::frontend;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// One message of a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its type.
    pub tag: u8,
    /// What follows its length.
    pub body: Vec<u8>,
}

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

/// The answer to one or several messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// All messages.
    pub messages: Vec<Message>,
}

impl Answer {
    /// The types of the messages, such as `TDCZ`; without notices and reports
    /// of parameters, which may come at any time.
    pub fn tags(&self) -> String {
        let tags = self.messages.iter().map(|message| char::from(message.tag));
        tags.filter(|tag| !matches!(tag, 'N' | 'S')).collect()
    }

    /// The messages of one type.
    pub fn of(&self, tag: u8) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(move |m| m.tag == tag)
    }

    /// All rows, as text.
    pub fn rows(&self) -> Vec<Vec<Option<String>>> {
        self.of(b'D').map(Message::row).collect()
    }

    /// The values of the first column.
    pub fn column(&self) -> Vec<String> {
        let rows = self.rows().into_iter();
        rows.map(|row| row[0].clone().unwrap_or_default()).collect()
    }

    /// The value of the only row.
    pub fn value(&self) -> String {
        match &self.column()[..] {
            [value] => value.clone(),
            _ => panic!("one row was expected: {self:?}"),
        }
    }

    /// The tags of the completed commands.
    pub fn commands(&self) -> Vec<String> {
        self.of(b'C').map(|m| texts(&m.body).remove(0)).collect()
    }

    /// The errors, in their order.
    pub fn errors(&self) -> Vec<Fields> {
        self.of(b'E').map(Message::fields).collect()
    }

    /// The only error.
    #[track_caller]
    pub fn error(&self) -> Fields {
        match &self.errors()[..] {
            [error] => error.clone(),
            _ => panic!("one error was expected: {self:?}"),
        }
    }

    /// Asserts that there is no error.
    #[track_caller]
    pub fn ok(&self) -> &Self {
        assert!(self.errors().is_empty(), "{:?}", self.errors());
        self
    }

    /// The state of the transaction as of the last ReadyForQuery: `I`, `T`, `E`.
    pub fn status(&self) -> char {
        let last = self.of(b'Z').last();
        char::from(
            last.unwrap_or_else(|| panic!("no ReadyForQuery: {self:?}"))
                .body[0],
        )
    }
}

impl Message {
    /// The values of a DataRow.
    pub fn row(&self) -> Vec<Option<String>> {
        assert_eq!(self.tag, b'D', "{self:?}");
        let mut rest = &self.body[2..];
        let mut row = Vec::new();
        while !rest.is_empty() {
            let len = i32::from_be_bytes(rest[..4].try_into().unwrap());
            rest = &rest[4..];
            row.push(usize::try_from(len).ok().map(|len| {
                let value = String::from_utf8_lossy(&rest[..len]).into_owned();
                rest = &rest[len..];
                value
            }));
        }
        row
    }

    /// The fields of an ErrorResponse or NoticeResponse.
    pub fn fields(&self) -> Fields {
        assert!(matches!(self.tag, b'E' | b'N'), "{self:?}");
        let mut fields = Fields::default();
        for text in texts(&self.body) {
            if let Some((kind, value)) = text.split_at_checked(1) {
                fields.all.insert(kind.to_owned(), value.to_owned());
            }
        }
        fields
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.body[..self.body.len().min(200)];
        let text = String::from_utf8_lossy(shown);
        write!(f, "{}({:?})", char::from(self.tag), text)
    }
}

/// The fields of an error or notice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// By their one-letter types.
    pub all: BTreeMap<String, String>,
}

impl Fields {
    fn get(&self, kind: &str) -> &str {
        self.all.get(kind).map_or("", String::as_str)
    }

    /// `ERROR`, `FATAL`, …; the form that is never translated.
    pub fn severity(&self) -> &str {
        self.get("V")
    }

    /// The SQLSTATE.
    pub fn code(&self) -> &str {
        self.get("C")
    }

    /// The message.
    pub fn message(&self) -> &str {
        self.get("M")
    }

    /// The hint; empty if there is none.
    pub fn hint(&self) -> &str {
        self.get("H")
    }
}

/// The texts of a body, each with a NUL behind it.
pub fn texts(body: &[u8]) -> Vec<String> {
    let body = body.strip_suffix(b"\0").unwrap_or(body);
    body.split(|byte| *byte == 0)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}
