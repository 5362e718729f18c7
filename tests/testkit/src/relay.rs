//! What stands between the proxy and PostgreSQL, in clear text, and can hold
//! requests to cancel back.

use crate::{PATIENCE, Site};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

const CANCEL_REQUEST: [u8; 8] = [0, 0, 0, 16, 4, 210, 22, 46];

/// A relay. Its threads end with the connections that they serve.
pub struct Relay {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct State {
    holds: bool,
    /// So many of those that are held are passed on all the same.
    excepted: usize,
    came: usize,
    passed: usize,
    gone: usize,
}

impl Relay {
    /// A relay before the site's server, which is told to take clients in clear
    /// text.
    pub fn start(site: &Site) -> Self {
        let hba = site.sql("postgres", "SHOW hba_file");
        let line = "host all all 127.0.0.1/32 scram-sha-256\n";
        let text = std::fs::read_to_string(&hba).unwrap();
        if !text.contains(line) {
            std::fs::write(&hba, format!("{text}\n{line}")).unwrap();
        }
        site.sql("postgres", "SELECT pg_reload_conf()");
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = site.cluster.port();
        let shared = Arc::new(Shared::default());
        let of_connections = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), shared) = (client, of_connections.clone()) else {
                    break;
                };
                thread::spawn(move || serve(client, server, &shared));
            }
        });
        Self { port, shared }
    }

    /// Keeps the requests to cancel that come from now on.
    pub fn hold(&self) {
        self.shared.change(|state| state.holds = true);
    }

    /// Passes on what was held.
    pub fn release(&self) {
        self.shared.change(|state| state.holds = false);
    }

    /// Passes on the first of those that have come since the beginning, and next
    /// time the second.
    pub fn release_one(&self) {
        self.shared.change(|state| state.excepted += 1);
    }

    /// How many requests have come so far.
    pub fn came(&self) -> usize {
        self.shared.lock().came
    }

    /// Waits until so many have come.
    pub fn wait_for(&self, requests: usize) {
        self.shared
            .wait("they come", |state| state.came >= requests);
    }

    /// Waits until the server has dealt with so many.
    pub fn wait_until_passed(&self, requests: usize) {
        self.shared
            .wait("they are passed on", |state| state.passed >= requests);
    }

    /// Waits until the proxy waits for none any more.
    pub fn wait_until_gone(&self) {
        self.shared
            .wait("the proxy leaves", |state| state.gone == state.came);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait(&self, what: &str, done: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.lock();
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain until {what}: {state:?}");
            let woken = self.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn serve(mut client: TcpStream, server: u16, shared: &Arc<Shared>) {
    let mut first = [0; 8];
    if client.read_exact(&mut first).is_err() {
        return;
    }
    if first == CANCEL_REQUEST {
        pass(client, server, shared);
        return;
    }
    let mut server = TcpStream::connect(("127.0.0.1", server)).unwrap();
    server.set_nodelay(true).unwrap();
    client.set_nodelay(true).unwrap();
    server.write_all(&first).unwrap();
    let up = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || copy(up.0, up.1));
    copy(server, client);
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// Passes a request on, once none is held.
fn pass(mut client: TcpStream, server: u16, shared: &Arc<Shared>) {
    let mut rest = [0; 8];
    if client.read_exact(&mut rest).is_err() {
        return;
    }
    let number = {
        let mut state = shared.lock();
        state.came += 1;
        state.came
    };
    shared.changed.notify_all();
    let (mut proxy, of_proxy) = (client.try_clone().unwrap(), shared.clone());
    thread::spawn(move || {
        let _ = proxy.read(&mut [0]);
        of_proxy.change(|state| state.gone += 1);
    });
    shared.wait("they are released", |state| {
        !state.holds || number <= state.excepted
    });
    let mut server = TcpStream::connect(("127.0.0.1", server)).unwrap();
    server.write_all(&CANCEL_REQUEST).unwrap();
    server.write_all(&rest).unwrap();
    let _ = server.read(&mut [0]);
    shared.change(|state| state.passed += 1);
    let _ = client.shutdown(Shutdown::Both);
}
