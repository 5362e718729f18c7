//! A client of the admin address, byte by byte.

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use testkit::{PATIENCE, Proxy, site};

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The head, in small letters.
    pub(crate) head: String,
    /// The head as it came.
    pub(crate) whole: String,
    pub(crate) body: String,
}

impl Reply {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The names of the checks with this status.
    pub(crate) fn checks(&self, status: &str) -> Vec<String> {
        let all = self.json()["checks"].as_array().unwrap().clone();
        let those = all.iter().filter(|check| check["status"] == status);
        those
            .map(|check| check["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

pub(crate) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// Where a proxy serves HTTP, and how.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) port: u16,
    tls: bool,
    /// Certificate and key, in PEM.
    identity: Option<(String, String)>,
}

impl Door {
    /// The one that the proxy's log tells of.
    pub(crate) fn of(proxy: &Proxy) -> Self {
        let line = proxy.wait_for_log("serving HTTP");
        let (scheme, rest) = line.split_once("://127.0.0.1:").unwrap();
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
        Self {
            port: digits.parse().unwrap(),
            tls: scheme.ends_with("https"),
            identity: None,
        }
    }

    /// The same for a client that shows a certificate of this common name.
    pub(crate) fn showing(&self, name: &str) -> Self {
        let made = site().authority.client(name).unwrap();
        Self {
            identity: Some((made.certificate_pem, made.key_pem)),
            ..self.clone()
        }
    }

    /// Opens a connection and secures it, where that is asked for.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        if !self.tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::new(self.config()), name).unwrap();
        let mut tls = StreamOwned::new(connection, stream);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        Ok(Box::new(tls))
    }

    /// Verifies what the authority of the site has made.
    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(site().ca_file()).unwrap();
        roots.add(ca).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                config.with_client_auth_cert(vec![chain], key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }

    /// Gets a path, with these lines in the head.
    pub(crate) fn get(&self, path: &str, lines: &[&str]) -> Reply {
        self.ask("GET", path, lines)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, lines: &[&str]) -> Reply {
        let mut stream = self.open().unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n");
        for line in lines {
            head.push_str(line);
            head.push_str("\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        last_reply(&mut *stream)
    }
}

/// Reads an answer up to the end of the connection.
pub(crate) fn last_reply(stream: &mut dyn Stream) -> Reply {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        Err(error) => panic!("{error}"),
    }
    parse(&String::from_utf8(bytes).unwrap())
}

/// Reads one answer of a connection that goes on.
pub(crate) fn reply(stream: &mut dyn Stream) -> Reply {
    let mut text = until(stream, "\r\n\r\n");
    let length = text.to_ascii_lowercase();
    let length = length
        .split_once("content-length: ")
        .and_then(|(_, rest)| rest.split("\r\n").next());
    match length {
        None => text += &until(stream, "\r\n0\r\n\r\n"),
        Some(length) => {
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            text += std::str::from_utf8(&body).unwrap();
        }
    }
    parse(&text)
}

/// Reads up to the first time that this comes, and it.
fn until(stream: &mut dyn Stream, end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).unwrap()
}

fn parse(text: &str) -> Reply {
    let whole = text.split_once("\r\n\r\n");
    let (head, body) = whole.unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.strip_prefix("HTTP/1.1 ").unwrap();
    let whole = head.to_owned();
    let head = head.to_ascii_lowercase();
    Reply {
        status: status[..3].parse().unwrap(),
        body: match head.contains("transfer-encoding: chunked") {
            true => joined(body),
            false => body.to_owned(),
        },
        head,
        whole,
    }
}

/// A body that came in chunks. It must have an end: else it was cut off.
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    loop {
        let (length, rest) = chunks.split_once("\r\n").unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return body;
        }
        body.push_str(&rest[..length]);
        chunks = rest[length..].strip_prefix("\r\n").unwrap();
    }
}
