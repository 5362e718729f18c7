//! Stands between the proxy and PostgreSQL, in clear text: writes down what passes,
//! and delays or holds back what the server answers.

use crate::{Message, PATIENCE};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A message that has passed.
#[derive(Debug, Clone)]
pub struct Passed {
    /// The server connection, from 0.
    pub connection: usize,
    /// Whether it went to the server.
    pub up: bool,
    /// The message.
    pub message: Message,
}

impl Passed {
    /// Whether it went to the server and has this text in it.
    pub fn asks(&self, text: &str) -> bool {
        self.up && contains(&self.message, text)
    }
}

/// A relay. It passes everything until the test process ends.
pub struct Between {
    /// Where the proxy finds it.
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: u16,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    connections: usize,
    passed: Vec<Passed>,
    /// Before the first message of each answer.
    delay: Option<Duration>,
    /// The answer to what has this text in it is to be held back.
    armed: Option<String>,
    /// Since when an answer is held back, or is to be as soon as it comes.
    holding: bool,
    /// So many connections, the first, are lost without a word.
    lost: usize,
    /// What is held back is lost, and its connection breaks.
    loses: bool,
}

impl Between {
    /// Starts a relay before the server at this port.
    pub fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let here = shared.clone();
        thread::spawn(move || {
            for proxy in listener.incoming() {
                let (proxy, shared) = (proxy.unwrap(), shared.clone());
                thread::spawn(move || shared.serve(&proxy));
            }
        });
        Self { port, shared: here }
    }

    /// Delays each answer.
    pub fn delay(&self, delay: Duration) {
        self.shared.state().delay = Some(delay);
    }

    /// Holds back the answer to the next message with this text, and everything
    /// behind it on the same connection, until [`Between::release`].
    pub fn hold_answer_to(&self, text: &str) {
        let mut state = self.shared.state();
        assert!(!state.holding);
        state.armed = Some(text.to_owned());
    }

    /// Nothing passes any more over the connections that there are, and nobody is told.
    pub fn lose_all(&self) {
        let mut state = self.shared.state();
        state.lost = state.connections;
    }

    /// Waits until the message has gone to the server whose answer is held back.
    pub fn wait_until_held(&self) {
        self.wait("the message is sent", |state| state.holding);
    }

    /// Waits until what has passed is as wished.
    pub fn wait_for(&self, what: &str, done: impl Fn(&[Passed]) -> bool) {
        self.wait(what, |state| done(&state.passed));
    }

    /// Whether an answer is held back.
    pub fn is_holding(&self) -> bool {
        self.shared.state().holding
    }

    /// Passes what was held back.
    pub fn release(&self) {
        let mut state = self.shared.state();
        state.holding = false;
        state.armed = None;
        self.shared.changed.notify_all();
    }

    /// Breaks the connection whose answer is held back: it never comes.
    pub fn lose(&self) {
        self.shared.state().loses = true;
        self.shared.changed.notify_all();
    }

    /// Forgets what has passed.
    pub fn forget(&self) {
        self.shared.state().passed.clear();
    }

    /// What has passed, in its order.
    pub fn passed(&self) -> Vec<Passed> {
        self.shared.state().passed.clone()
    }

    fn wait(&self, what: &str, done: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.state();
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let passed = state.passed.clone();
                drop(state);
                panic!("waited in vain until {what}: {passed:#?}");
            }
            let woken = self.shared.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// One server connection, as both directions know it: how many ReadyForQuery
/// the server owes in all, and has sent.
#[derive(Default)]
struct Line {
    owed: usize,
    sent: usize,
    /// Nothing passes from this one on.
    hold_from: Option<usize>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, proxy: &TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.upstream)) else {
            return;
        };
        let _ = proxy.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let number = {
            let mut state = self.state();
            state.connections += 1;
            state.connections - 1
        };
        // A login has one ReadyForQuery.
        let line = Mutex::new(Line {
            owed: 1,
            ..Line::default()
        });
        thread::scope(|scope| {
            scope.spawn(|| {
                let _ = self.pass_down(number, &server, proxy, &line);
                let _ = proxy.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Both);
            });
            let _ = self.pass_up(number, proxy, &server, &line);
            let _ = server.shutdown(Shutdown::Write);
            // Who waits for nobody's sake goes.
            self.changed.notify_all();
        });
    }

    fn pass_up(
        &self,
        number: usize,
        mut proxy: &TcpStream,
        mut server: &TcpStream,
        line: &Mutex<Line>,
    ) -> io::Result<()> {
        let mut len = [0; 4];
        proxy.read_exact(&mut len)?;
        let mut first = vec![0; u32::from_be_bytes(len) as usize - 4];
        proxy.read_exact(&mut first)?;
        server.write_all(&[&len[..], &first].concat())?;
        loop {
            let message = Message::read(&mut proxy)?;
            {
                let mut state = self.state();
                let mut line = lock(line);
                let wanted = state.armed.as_deref();
                if wanted.is_some_and(|text| contains(&message, text)) {
                    line.hold_from = Some(line.owed);
                    state.armed = None;
                    state.holding = true;
                }
                if matches!(message.tag, b'Q' | b'S' | b'F') {
                    line.owed += 1;
                }
                state.passed.push(Passed {
                    connection: number,
                    up: true,
                    message: message.clone(),
                });
                self.changed.notify_all();
                if number < state.lost {
                    continue;
                }
            }
            server.write_all(&message.encode())?;
        }
    }

    fn pass_down(
        &self,
        number: usize,
        mut server: &TcpStream,
        mut proxy: &TcpStream,
        line: &Mutex<Line>,
    ) -> io::Result<()> {
        let mut is_first = false;
        loop {
            let message = Message::read(&mut server)?;
            let delay = self.state().delay;
            if let Some(delay) = delay.filter(|_| is_first) {
                thread::sleep(delay);
            }
            is_first = message.tag == b'Z';
            let mut state = self.state();
            loop {
                let mut line = lock(line);
                let held = line.hold_from.is_some_and(|from| line.sent >= from);
                if !held || !state.holding {
                    line.hold_from = line.hold_from.filter(|_| !held);
                    line.sent += usize::from(message.tag == b'Z');
                    break;
                }
                if std::mem::take(&mut state.loses) {
                    state.holding = false;
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                drop(line);
                let woken = self.changed.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
            }
            state.passed.push(Passed {
                connection: number,
                up: false,
                message: message.clone(),
            });
            drop(state);
            proxy.write_all(&message.encode())?;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn contains(message: &Message, text: &str) -> bool {
    let mut windows = message.body.windows(text.len());
    windows.any(|window| window == text.as_bytes())
}
