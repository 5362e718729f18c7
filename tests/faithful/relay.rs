//! Stands between psql and what it speaks to. Two kinds:
//!
//! - [`Kind::Reference`], before PostgreSQL itself: passes every byte as it is,
//!   but a statement that the guard refuses becomes one that fails with the
//!   guard's error. So both ways refuse the same, and everything else must be
//!   equal.
//! - [`Kind::Turning`], before the proxy in transaction mode: passes every byte
//!   as it is, and between two transactions lets other clients take and give
//!   back server connections so that the next one is another.

use crate::place::Place;
use pgtenant::guard::{Guard, Mode, Options, Permission, Policy, Refusal};
use pgtenant::protocol::ClientError;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use testkit::{Message, Proxy, Raw};

/// What a relay does besides passing bytes.
pub enum Kind {
    Reference(Box<Guard>),
    Turning(Box<Mutex<Turns>>),
}

impl Kind {
    fn refuses(&self) -> bool {
        matches!(self, Self::Reference(_))
    }

    pub fn reference() -> Self {
        let options = Options {
            mode: Mode::Enforce,
            opaque: Permission::Allow,
            channels: Permission::Allow,
        };
        Self::Reference(Box::new(Guard::new(Policy::new(options, []))))
    }
}

/// What a relay has seen.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Queries.
    pub queries: usize,
    /// Those of them that were refused, by rule.
    pub refused: BTreeMap<&'static str, usize>,
    /// Server processes that have served the client.
    pub servers: BTreeSet<String>,
}

/// A relay. Ends with its clients.
pub struct Relay {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: u16,
    kind: Kind,
    seen: Mutex<Seen>,
    over: AtomicBool,
}

impl Relay {
    pub fn start(upstream: u16, kind: Kind) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            upstream,
            kind,
            seen: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let relay = Self {
            port,
            shared: shared.clone(),
        };
        thread::spawn(move || {
            for client in listener.incoming() {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                let (client, shared) = (client.unwrap(), shared.clone());
                thread::spawn(move || serve(&client, &shared));
            }
        });
        relay
    }

    pub fn seen(&self) -> Seen {
        lock(&self.shared.seen).clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One client's connection, as both directions know it.
#[derive(Default)]
struct Line {
    state: Mutex<LineState>,
    changed: Condvar,
}

#[derive(Default)]
struct LineState {
    /// As of the last ReadyForQuery; 0 while one is owed.
    status: u8,
    /// What becomes of the next error.
    replacement: Option<Vec<u8>>,
    /// The answers up to the next ReadyForQuery are the relay's own.
    ours: bool,
    /// Values in them.
    values: Vec<String>,
    over: bool,
}

fn serve(client: &TcpStream, shared: &Shared) {
    let server = TcpStream::connect(("127.0.0.1", shared.upstream)).unwrap();
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let line = Line::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = pass_down(&server, client, &line);
            lock(&line.state).over = true;
            line.changed.notify_all();
            let _ = client.shutdown(Shutdown::Both);
        });
        let passed = AssertUnwindSafe(|| pass_up(client, &server, &line, shared));
        let passed = catch_unwind(passed);
        let _ = server.shutdown(Shutdown::Write);
        if let Err(panic) = passed {
            // Or the client would wait, and hide what has failed.
            let _ = client.shutdown(Shutdown::Both);
            resume_unwind(panic);
        }
    });
}

fn pass_up(
    mut client: &TcpStream,
    mut server: &TcpStream,
    line: &Line,
    shared: &Shared,
) -> io::Result<()> {
    let mut len = [0; 4];
    client.read_exact(&mut len)?;
    let mut first = vec![0; u32::from_be_bytes(len) as usize - 4];
    client.read_exact(&mut first)?;
    server.write_all(&[&len[..], &first].concat())?;
    loop {
        let message = Message::read(&mut client)?;
        match message.tag {
            b'Q' => {}
            // psql's \gdesc prepares, its \lo_… call functions.
            b'P' | b'F' if shared.kind.refuses() => {}
            tag => {
                if tag == b'S' || tag == b'F' {
                    lock(&line.state).status = 0;
                }
                server.write_all(&message.encode())?;
                continue;
            }
        }
        let idle = line.ready()? == b'I';
        let number = {
            let mut seen = lock(&shared.seen);
            seen.queries += 1;
            seen.queries
        };
        match &shared.kind {
            Kind::Turning(turns) if idle => {
                lock(turns).turn();
                if number % 8 == 1 {
                    lock(&line.state).ours = true;
                    server.write_all(&query(b"SELECT pg_catalog.pg_backend_pid()"))?;
                    line.ready()?;
                    let values = std::mem::take(&mut lock(&line.state).values);
                    lock(&shared.seen).servers.extend(values);
                }
            }
            Kind::Turning(_) => {}
            Kind::Reference(guard) => {
                if let Some((rule, error)) = refusal(guard, &message) {
                    *lock(&shared.seen).refused.entry(rule).or_default() += 1;
                    let mut state = lock(&line.state);
                    let mut bytes = Vec::new();
                    error.encode(&mut bytes);
                    state.replacement = Some(bytes);
                    if message.tag == b'P' {
                        server.write_all(&testkit::message(b'P', b"\0this_is_refused\0\0\0"))?;
                    } else {
                        state.status = 0;
                        server.write_all(&query(b"this_is_refused"))?;
                    }
                    continue;
                }
            }
        }
        if message.tag != b'P' {
            lock(&line.state).status = 0;
        }
        server.write_all(&message.encode())?;
    }
}

/// What the proxy refuses of this, and its words.
fn refusal(guard: &Guard, message: &Message) -> Option<(&'static str, ClientError)> {
    if message.tag == b'F' {
        let oid = u32::from_be_bytes(*message.body.first_chunk().unwrap());
        return match guard.function_call(oid) {
            Ok(verdict) => verdict.refusal.as_ref().map(told),
            Err(refusal) => Some(told(&refusal)),
        };
    }
    let mut texts = message.body.split(|byte| *byte == 0);
    let sql = match message.tag {
        b'P' => texts.nth(1),
        _ => texts.next(),
    };
    let verdict = guard.inspect(sql.unwrap());
    verdict.refusal.as_ref().map(told)
}

fn told(refusal: &Refusal) -> (&'static str, ClientError) {
    let error = ClientError::error(refusal.sqlstate, refusal.message.clone())
        .detail(refusal.detail())
        .hint(refusal.hint);
    (refusal.rule, error)
}

fn pass_down(mut server: &TcpStream, mut client: &TcpStream, line: &Line) -> io::Result<()> {
    loop {
        let message = Message::read(&mut server)?;
        let mut state = lock(&line.state);
        let ours = state.ours;
        let mut bytes = message.encode();
        match message.tag {
            b'Z' => {
                state.status = message.body[0];
                state.ours = false;
                line.changed.notify_all();
            }
            b'D' if ours => state.values.push(message.row()[0].clone().unwrap()),
            b'E' => bytes = state.replacement.take().unwrap_or(bytes),
            _ => {}
        }
        drop(state);
        if !ours {
            client.write_all(&bytes)?;
        }
    }
}

impl Line {
    /// Waits for the ReadyForQuery that is owed, and is told the status.
    fn ready(&self) -> io::Result<u8> {
        let mut state = lock(&self.state);
        while (state.status == 0 || state.ours) && !state.over {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        match state.over {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => Ok(state.status),
        }
    }
}

fn query(sql: &[u8]) -> Vec<u8> {
    testkit::message(b'Q', &[sql, b"\0"].concat())
}

/// How many connections the turns keep busy.
const KEPT: usize = 2;
/// The pool that they need: one more for the client, and one for a client that
/// is given one for good while the others turn.
pub const POOL: usize = KEPT + 2;

/// Clients who hold server connections in turn: whatever the client has given
/// back is taken, and what was taken longest ago is given back.
pub struct Turns {
    holding: VecDeque<Raw>,
    free: Raw,
}

impl Turns {
    pub fn new(place: &Place, proxy: &Proxy) -> Self {
        let mut holding: VecDeque<_> = (0..KEPT).map(|_| place.raw(proxy.port, &[])).collect();
        for client in &mut holding {
            client.query("BEGIN").ok();
        }
        Self {
            holding,
            free: place.raw(proxy.port, &[]),
        }
    }

    pub fn turn(&mut self) {
        self.free.query("BEGIN").ok();
        let mut next = self.holding.pop_front().unwrap();
        next.query("COMMIT").ok();
        self.holding
            .push_back(std::mem::replace(&mut self.free, next));
    }
}
