//! The issuer's server: answers each request for the keys, and counts them.

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use testkit::site;

/// A server of HTTP, on a free port of 127.0.0.1. It answers until the tests end.
pub(crate) struct Publisher {
    /// Its port.
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    status: &'static str,
    body: String,
    requests: usize,
    /// While set, requests are read and not answered.
    held: bool,
    /// What the last one said.
    last: String,
}

impl Publisher {
    /// Without TLS.
    pub(crate) fn plain(body: &str) -> Self {
        Self::start(body, None)
    }

    /// With a certificate of the authority of the tests, for `localhost`.
    pub(crate) fn secured(body: &str) -> Self {
        let own = site().authority.server(&["localhost"]).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(own.certificate_pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(own.key_pem.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self::start(body, Some(Arc::new(config)))
    }

    fn start(body: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                status: "200 OK",
                body: body.to_owned(),
                requests: 0,
                held: false,
                last: String::new(),
            }),
            changed: Condvar::new(),
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (serving, tls) = (serving.clone(), tls.clone());
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    match tls {
                        None => serving.answer(stream),
                        Some(tls) => {
                            let session = ServerConnection::new(tls).unwrap();
                            let mut stream = StreamOwned::new(session, stream);
                            serving.answer(&mut stream);
                            stream.conn.send_close_notify();
                            let _ = stream.flush();
                        }
                    }
                });
            }
        });
        Self { port, shared }
    }

    /// Where the keys are.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/keys?of=issuer", self.port)
    }

    /// Publishes something else from now on.
    pub(crate) fn publish(&self, body: &str) {
        self.shared.state.lock().unwrap().body = body.to_owned();
    }

    /// Answers with this status from now on.
    pub(crate) fn answer_with(&self, status: &'static str) {
        self.shared.state.lock().unwrap().status = status;
    }

    /// Lets requests wait, or go on.
    pub(crate) fn hold(&self, held: bool) {
        self.shared.state.lock().unwrap().held = held;
        self.shared.changed.notify_all();
    }

    /// How many requests there have been.
    pub(crate) fn requests(&self) -> usize {
        self.shared.state.lock().unwrap().requests
    }

    /// The last request.
    pub(crate) fn last(&self) -> String {
        self.shared.state.lock().unwrap().last.clone()
    }

    /// Waits for so many requests.
    pub(crate) fn wait_for_requests(&self, count: usize) {
        let state = self.shared.state.lock().unwrap();
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, testkit::PATIENCE, |state| state.requests < count)
            .unwrap();
        assert!(state.requests >= count, "{} requests", state.requests);
    }
}

impl Shared {
    fn answer(&self, mut stream: impl Read + Write) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1) => request.push(byte[0]),
                _ => return,
            }
        }
        let mut state = self.state.lock().unwrap();
        state.requests += 1;
        state.last = String::from_utf8(request).unwrap();
        self.changed.notify_all();
        let state = self.changed.wait_while(state, |state| state.held).unwrap();
        let head = format!(
            "HTTP/1.1 {}\r\nContent-Length: {}\r\nContent-Type: application/json\r\n\
             Location: /elsewhere\r\nConnection: close\r\n\r\n",
            state.status,
            state.body.len()
        );
        let answer = [head.as_bytes(), state.body.as_bytes()].concat();
        drop(state);
        let _ = stream.write_all(&answer);
        let _ = stream.flush();
    }
}

/// A port of 127.0.0.1 where nobody listens.
pub(crate) fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    port
}
