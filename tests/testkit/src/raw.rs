//! A client that speaks the protocol message by message, in clear text or TLS, and
//! may say what no driver would. Everything that does not come within [`PATIENCE`]
//! is a failure.

use crate::{Answer, CANCEL_REQUEST, Fields, Message, PATIENCE, Pipeline, packet, texts};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// What bytes go through: the socket, or TLS over it.
pub(crate) trait Stream: Read + Write + Send + fmt::Debug {}
impl<T: Read + Write + Send + fmt::Debug> Stream for T {}

/// A client.
#[derive(Debug)]
pub struct Raw {
    /// The socket; for what the methods here do not offer.
    pub stream: TcpStream,
    pub(crate) io: Box<dyn Stream>,
    /// Over TLS, the certificate that the proxy showed.
    pub certificate: Option<Vec<u8>>,
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
        Self::over(TcpStream::connect(("127.0.0.1", port)).unwrap(), port)
    }

    /// The same from another address of this machine.
    pub fn open_from(address: &str, port: u16) -> Self {
        let from = format!("{address}:0").parse::<SocketAddr>().unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&from.into()).unwrap();
        socket.connect(&to.into()).unwrap();
        Self::over(socket.into(), port)
    }

    fn over(stream: TcpStream, port: u16) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            io: Box::new(stream.try_clone().unwrap()),
            stream,
            certificate: None,
            parameters: BTreeMap::new(),
            pid: 0,
            secret: Vec::new(),
            port,
            input: Vec::new(),
            start: 0,
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    /// The same where the other side may have closed already.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes)?;
        self.io.flush()
    }

    /// Sends no more, and still reads.
    pub fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// One byte outside of any message; `None` at the end of the stream.
    pub fn byte(&mut self) -> Option<u8> {
        let unread = &self.input[self.start..];
        assert!(unread.is_empty(), "{unread:?}");
        let mut byte = [0];
        match self.io.read(&mut byte) {
            Ok(1) => Some(byte[0]),
            Ok(_) => None,
            Err(error) if is_end(&error) => None,
            Err(error) => panic!("no byte came: {error}"),
        }
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
            match self.io.read(&mut chunk) {
                Ok(0) => return None,
                Ok(n) => self.input.extend_from_slice(&chunk[..n]),
                Err(error) if is_end(&error) => return None,
                Err(error) => {
                    let so_far = &self.input[self.start..];
                    panic!("no message came: {error}; so far {so_far:?}");
                }
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

    /// Whether nothing more comes and the connection is closed properly: over TLS
    /// with close_notify, and not by a reset.
    pub fn ends_well(&mut self) -> bool {
        self.start == self.input.len() && matches!(self.io.read(&mut [0]), Ok(0))
    }

    /// Whether the connection is there after a moment, without a word. Unlike
    /// [`is_quiet`](Self::is_quiet) it takes what belongs to TLS alone.
    pub fn stays_open(&mut self) -> bool {
        let moment = Some(Duration::from_millis(50));
        self.stream.set_read_timeout(moment).unwrap();
        let read = self.io.read(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Whether nothing comes within a moment, and the connection stays. To be
    /// used only where a wrong answer would be there already.
    pub fn is_quiet(&self) -> bool {
        self.stream
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
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

    /// The error that the connection is closed with.
    #[track_caller]
    pub fn refusal(&mut self) -> Fields {
        let Answer { messages } = self.until_closed();
        match messages.last() {
            Some(last) if last.tag == b'E' => last.fields(),
            _ => panic!("an error was expected at the end: {messages:?}"),
        }
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
    let key = [&pid.to_be_bytes()[..], secret].concat();
    raw.send(&packet(CANCEL_REQUEST, &key));
    assert_eq!(raw.try_read(), None, "a cancel request has no answer");
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset
            | ErrorKind::UnexpectedEof
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
    )
}
