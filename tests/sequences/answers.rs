//! What a session answers, made comparable.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use testkit::{Message, texts};

/// The answers to one sequence.
#[derive(Debug, PartialEq, Eq)]
pub struct Answers {
    /// In their order; a report of a parameter becomes part of the next
    /// ReadyForQuery.
    pub messages: Vec<String>,
    pub end: Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All of it came.
    Whole,
    /// The connection was closed.
    Closed,
    /// No more came within the bound.
    Hangs,
}

/// What is to come is there by then, most often.
const SOON: Duration = Duration::from_millis(50);

/// The client's end of a connection.
pub struct Reader {
    stream: TcpStream,
    input: Vec<u8>,
    parameters: BTreeMap<String, String>,
}

impl Reader {
    pub fn new(stream: TcpStream, parameters: BTreeMap<String, String>) -> Self {
        Self {
            stream,
            input: Vec::new(),
            parameters,
        }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads until a row has `marker` for its value, and its ReadyForQuery.
    pub fn read(&mut self, marker: &str, bound: Duration) -> Answers {
        let deadline = Instant::now() + bound;
        let mut answers = Answers {
            messages: Vec::new(),
            end: Ending::Whole,
        };
        let mut marked = false;
        loop {
            let message = match self.next(deadline) {
                Ok(message) => message,
                Err(end) => {
                    answers.end = end;
                    return answers;
                }
            };
            match message.tag {
                b'S' => {
                    let texts = texts(&message.body);
                    self.parameters.insert(texts[0].clone(), texts[1].clone());
                    continue;
                }
                b'D' => marked |= message.row() == [Some(marker.to_owned())],
                _ => {}
            }
            answers.messages.push(self.told(&message));
            if marked && message.tag == b'Z' {
                return answers;
            }
        }
    }

    /// Waits until the last that has come is a ReadyForQuery, or no more comes soon.
    pub fn until_ready(&mut self) {
        let is_ready = |input: &[u8]| matches!(input, [.., b'Z', 0, 0, 0, 5, _]);
        let mut chunk = [0; 16 << 10];
        self.stream.set_read_timeout(Some(SOON)).unwrap();
        loop {
            match self.stream.read(&mut chunk) {
                Ok(n) if n > 0 => self.input.extend_from_slice(&chunk[..n]),
                // Whether it is closed is seen by who reads on.
                _ => return,
            }
            if is_ready(&self.input) {
                return;
            }
        }
    }

    fn next(&mut self, deadline: Instant) -> Result<Message, Ending> {
        loop {
            if let Some(message) = self.take() {
                return Ok(message);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Ending::Hangs);
            }
            self.stream.set_read_timeout(Some(left)).unwrap();
            let mut chunk = [0; 16 << 10];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Ending::Closed),
                Ok(n) => self.input.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Err(Ending::Closed),
            }
        }
    }

    fn take(&mut self) -> Option<Message> {
        let tag = *self.input.first()?;
        let len = self.input.get(1..5)?.try_into().unwrap();
        let end = 1 + u32::from_be_bytes(len) as usize;
        let body = self.input.get(5..end)?.to_vec();
        self.input.drain(..end);
        Some(Message { tag, body })
    }

    /// Without what may differ: table OIDs, places in PostgreSQL's source, and
    /// what the proxy adds to a syntax error.
    fn told(&self, message: &Message) -> String {
        match message.tag {
            b'E' | b'N' => {
                let mut fields = message.fields().all;
                let is_syntax = message.fields().code() == "42601";
                let more: &[_] = if is_syntax { &["P", "D", "H"] } else { &[] };
                for place in ["F", "L", "R"].iter().chain(more) {
                    fields.remove(*place);
                }
                format!("{}{fields:?}", char::from(message.tag))
            }
            b'T' => {
                let mut body = message.body.clone();
                mask_tables(&mut body);
                format!("T({:?})", String::from_utf8_lossy(&body))
            }
            b'Z' => {
                let status = char::from(message.body[0]);
                let told = ["DateStyle", "TimeZone"].map(|name| self.parameters.get(name));
                format!("Z({status} {told:?})")
            }
            _ => format!("{message:?}"),
        }
    }
}

/// Sets the OIDs of tables in a RowDescription to 0.
fn mask_tables(body: &mut [u8]) {
    let count = u16::from_be_bytes([body[0], body[1]]);
    let mut at = 2;
    for _ in 0..count {
        at += body[at..].iter().position(|byte| *byte == 0).unwrap() + 1;
        body[at..at + 4].fill(0);
        at += 18;
    }
}
