//! A client that speaks byte by byte, in clear text or TLS, and may say what no
//! driver would.

use crate::tls::{Tls, config};
use crate::{Fields, Message, PATIENCE, PLAIN, SSL_REQUEST};
use crate::{initial_response, message, packet, startup, texts};
use aws_lc_rs::digest;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection.
pub struct Conn {
    stream: Box<dyn Stream>,
    /// The socket below.
    pub tcp: TcpStream,
    input: Vec<u8>,
    /// Over TLS, the certificate that the proxy showed.
    pub certificate: Option<Vec<u8>>,
    /// Parameters as reported at login.
    pub parameters: BTreeMap<String, String>,
    /// The process id of its cancellation key.
    pub pid: u32,
    /// The secret of its cancellation key.
    pub secret: Vec<u8>,
}

impl Conn {
    /// Connects, and says nothing.
    pub fn open(port: u16) -> Self {
        Self::open_from("127.0.0.1", port)
    }

    /// The same from another address of this machine.
    pub fn open_from(address: &str, port: u16) -> Self {
        let from = format!("{address}:0").parse::<SocketAddr>().unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&from.into()).unwrap();
        socket.connect(&to.into()).unwrap();
        let tcp = TcpStream::from(socket);
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream: Box::new(tcp.try_clone().unwrap()),
            tcp,
            input: Vec::new(),
            certificate: None,
            parameters: BTreeMap::new(),
            pid: 0,
            secret: Vec::new(),
        }
    }

    /// Connects and secures the connection by an SSLRequest.
    pub fn secured(port: u16, tls: Tls) -> Self {
        let mut conn = Self::open(port);
        conn.send(&packet(SSL_REQUEST, b""));
        assert_eq!(conn.byte(), Some(b'S'));
        conn.start_tls(tls).unwrap()
    }

    /// Begins TLS here and now.
    pub fn start_tls(self, tls: Tls) -> io::Result<Self> {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let session = ClientConnection::new(Arc::new(config(tls)), name).unwrap();
        let mut stream = StreamOwned::new(session, self.tcp.try_clone()?);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        let chain = stream.conn.peer_certificates().unwrap();
        let certificate = Some(chain[0].to_vec());
        Ok(Self {
            stream: Box::new(stream),
            certificate,
            ..self
        })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    /// The same where the other side may have closed already.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends no more, and still reads.
    pub fn finish_sending(&self) {
        self.tcp.shutdown(Shutdown::Write).unwrap();
    }

    /// One byte outside of any message; `None` at the end of the stream.
    pub fn byte(&mut self) -> Option<u8> {
        assert!(self.input.is_empty(), "{:?}", self.input);
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(1) => Some(byte[0]),
            Ok(_) => None,
            Err(error) if is_end(&error) => None,
            Err(error) => panic!("no byte came: {error}"),
        }
    }

    /// The next message; `None` at the end of the stream.
    pub fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.take() {
                return Some(message);
            }
            let mut chunk = [0; 16 << 10];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(n) => self.input.extend_from_slice(&chunk[..n]),
                Err(error) if is_end(&error) => return None,
                Err(error) => panic!("no message came: {error}; so far {:?}", self.input),
            }
        }
    }

    fn take(&mut self) -> Option<Message> {
        let tag = *self.input.first()?;
        let len: [u8; 4] = self.input.get(1..5)?.try_into().unwrap();
        let end = 1 + u32::from_be_bytes(len) as usize;
        let body = self.input.get(5..end)?.to_vec();
        self.input.drain(..end);
        Some(Message { tag, body })
    }

    /// All messages up to the end of the stream.
    pub fn until_closed(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// All messages up to ReadyForQuery, or to the end of the stream.
    pub fn until_ready(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.next() {
            let over = message.tag == b'Z';
            messages.push(message);
            if over {
                break;
            }
        }
        messages
    }

    /// The error that the connection is closed with.
    #[track_caller]
    pub fn refusal(&mut self) -> Fields {
        let messages = self.until_closed();
        match messages.last() {
            Some(last) if last.tag == b'E' => last.fields(),
            _ => panic!("an error was expected at the end: {messages:?}"),
        }
    }

    /// The mechanisms that the proxy offers, and the messages before the offer.
    pub fn offer(&mut self) -> Result<(Vec<String>, Vec<Message>), Fields> {
        let mut before = Vec::new();
        loop {
            let message = self.next().expect("the connection was closed");
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

    /// The channel binding data of this connection.
    pub fn end_point(&self) -> Vec<u8> {
        let certificate = self.certificate.as_deref().unwrap();
        digest::digest(&digest::SHA256, certificate)
            .as_ref()
            .to_vec()
    }

    /// Goes through SCRAM, from the offer to the end of the login.
    pub fn authenticate(
        &mut self,
        password: &str,
        mechanism: &str,
        binding: ChannelBinding,
    ) -> Result<(), Fields> {
        self.offer()?;
        let mut scram = ScramSha256::new(password.as_bytes(), binding);
        self.send(&initial_response(mechanism, scram.message()));
        let challenge = self.sasl(11)?;
        scram.update(&challenge).unwrap();
        self.send(&message(b'p', scram.message()));
        let outcome = self.sasl(12)?;
        scram.finish(&outcome).unwrap();
        self.finish_login()
    }

    /// The data of the SASL message with this code.
    pub fn sasl(&mut self, code: u8) -> Result<Vec<u8>, Fields> {
        let message = self.next().expect("the connection was closed");
        match (message.tag, message.body.split_at_checked(4)) {
            (b'E', _) => Err(message.fields()),
            (b'R', Some(([0, 0, 0, got], data))) if *got == code => Ok(data.to_vec()),
            _ => panic!("SASL message {code} was expected: {message:?}"),
        }
    }

    /// Reads what follows the authentication, up to ReadyForQuery.
    pub fn finish_login(&mut self) -> Result<(), Fields> {
        loop {
            let message = self.next().expect("the connection was closed");
            match message.tag {
                b'E' => return Err(message.fields()),
                b'K' => {
                    let (pid, secret) = message.body.split_at(4);
                    self.pid = u32::from_be_bytes(pid.try_into().unwrap());
                    self.secret = secret.to_vec();
                }
                b'S' => {
                    let texts = texts(&message.body);
                    self.parameters.insert(texts[0].clone(), texts[1].clone());
                }
                b'Z' => return Ok(()),
                _ => {}
            }
        }
    }

    /// Startup and SCRAM without channel binding.
    pub fn log_in(
        &mut self,
        version: u32,
        password: &str,
        parameters: &[(&str, &str)],
    ) -> Result<(), Fields> {
        self.send(&startup(version, parameters));
        self.authenticate(password, PLAIN, ChannelBinding::unsupported())
    }

    /// The single value that a query gives.
    pub fn value(&mut self, sql: &str) -> String {
        self.send(&message(b'Q', format!("{sql}\0").as_bytes()));
        let messages = self.until_ready();
        let row = messages.iter().find(|m| m.tag == b'D');
        let row = row.unwrap_or_else(|| panic!("{sql}: {messages:?}"));
        row.row()[0].clone().unwrap_or_default()
    }

    /// Whether nothing more comes and the connection is closed properly: over TLS
    /// with close_notify, and not by a reset.
    pub fn ends_well(&mut self) -> bool {
        self.input.is_empty() && matches!(self.stream.read(&mut [0]), Ok(0))
    }

    /// Whether the connection is there after a moment, without a word. Unlike
    /// [`is_quiet`](Self::is_quiet) it takes what belongs to TLS alone.
    pub fn stays_open(&mut self) -> bool {
        let moment = Some(Duration::from_millis(50));
        self.tcp.set_read_timeout(moment).unwrap();
        let read = self.stream.read(&mut [0]);
        self.tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Whether nothing comes within a moment, and the connection stays. To be
    /// used only where a wrong answer would be there already.
    pub fn is_quiet(&self) -> bool {
        self.tcp
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let peeked = self.tcp.peek(&mut [0]);
        self.tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
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
