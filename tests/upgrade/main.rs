//! A process takes another one's place, and clients do not notice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use testkit::{Options, Proxy, Raw, configuration, python, root, site, wait_until};

const LOGIN: [(&str, &str); 2] = [("user", "innovate"), ("database", "wellness_corp_db")];

/// A configuration with an address that several processes can have.
fn shared_address(options: &Options) -> PathBuf {
    // Bound once, so that nobody else is given it meanwhile.
    let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    with_address(options, socket.local_addr().unwrap())
}

fn with_address(options: &Options, address: SocketAddr) -> PathBuf {
    let text = configuration(site(), options);
    let before = "address = \"127.0.0.1:0\"\n";
    assert!(text.contains(before));
    let after = format!("address = \"{address}\"\n");
    site().write_new(".toml", &text.replacen(before, &after, 1))
}

fn run(config: &Path) -> Proxy {
    let mut proxy = Proxy::run(config);
    proxy.password.clone_from(&site().login_password);
    proxy
}

/// Connects anew for each transaction until it is told to stop; what went wrong.
fn reconnect(port: u16, done: &AtomicUsize, stop: &AtomicBool) -> Vec<String> {
    let mut failures = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if let Err(error) = TcpStream::connect(("127.0.0.1", port)) {
            failures.push(error.to_string());
            continue;
        }
        match Raw::log_in(port, &site().login_password, &LOGIN) {
            Ok(mut client) => {
                client.send_query("SELECT 1");
                match client.try_ready() {
                    Some(answer) if answer.errors().is_empty() => {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    other => failures.push(format!("{other:?}")),
                }
            }
            Err(error) => failures.push(format!("{error:?}")),
        }
    }
    failures
}

#[test]
fn the_next_process_takes_the_clients_before_the_last_one_lets_go() {
    let config = shared_address(&Options {
        listen: "reuse_port = true\ndrain_spread = \"1s\"\n".to_owned(),
        ..Options::default()
    });
    let mut first = run(&config);
    let port = first.port;
    let (done, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut pools = [Pool::of_python(port), Pool::of_node(port)];
    let failures: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| reconnect(port, &done, &stop)))
            .collect();
        let more = |n: usize| {
            let before = done.load(Ordering::Relaxed);
            wait_until("clients are served", || {
                done.load(Ordering::Relaxed) > before + n
            });
        };
        more(50);
        pools.iter_mut().for_each(Pool::works);
        for _ in 0..3 {
            let second = run(&config);
            first.terminate();
            assert_eq!(first.wait().code(), Some(0));
            first = second;
            more(50);
            pools.iter_mut().for_each(Pool::works);
        }
        stop.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });
    assert!(failures.is_empty(), "{failures:?}");
    pools.into_iter().for_each(Pool::has_failed_never);
}

/// A pool of connections of a driver's own, in a program that works on and on.
struct Pool {
    program: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Pool {
    fn of_python(port: u16) -> Self {
        let mut command = Command::new(python("import psycopg_pool"));
        command.arg(root().join("tests/upgrade/pool.py"));
        Self::start(command, port)
    }

    fn of_node(port: u16) -> Self {
        let mut command = Command::new("node");
        command
            .env(
                "NODE_PATH",
                root().join("target/test-clients/node/node_modules"),
            )
            .arg(root().join("tests/upgrade/pool.js"));
        Self::start(command, port)
    }

    fn start(mut command: Command, port: u16) -> Self {
        let password = &site().login_password;
        let url = format!("postgresql://innovate:{password}@127.0.0.1:{port}/wellness_corp_db");
        let mut program = command
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(program.stdout.take().unwrap());
        Self { program, lines }
    }

    /// Waits until some more transactions are done.
    fn works(&mut self) {
        let stdin = self.program.stdin.as_mut().unwrap();
        writeln!(stdin, "more").unwrap();
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }

    fn has_failed_never(mut self) {
        drop(self.program.stdin.take());
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert_eq!(line, "failures: 0\n");
        assert!(self.program.wait().unwrap().success());
    }
}

/// A command that runs others with this socket, as a service manager does.
fn with_socket(socket: &TcpListener) -> Command {
    let passed: OwnedFd = socket.try_clone().unwrap().into();
    let mut command = Command::new("sh");
    let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
    command
        .args(["-c", script, "sh"])
        .stdin(Stdio::from(passed));
    command
}

#[test]
fn a_socket_that_a_service_manager_holds_keeps_clients_while_nobody_is_there() {
    let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let (port, config) = (address.port(), with_address(&Options::default(), address));
    let log_in = || Raw::log_in(port, &site().login_password, &LOGIN).unwrap();
    let mut first = Proxy::run_by(with_socket(&socket), &config);
    assert_eq!(first.port, port);
    log_in().run_ok("SELECT 1");
    first.terminate();
    assert_eq!(first.wait().code(), Some(0));
    thread::scope(|scope| {
        // It is not refused: it waits in the socket.
        let early = scope.spawn(log_in);
        let _second = Proxy::run_by(with_socket(&socket), &config);
        early.join().unwrap().run_ok("SELECT 1");
    });
}

#[test]
fn a_socket_that_nobody_would_serve_is_refused() {
    let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let config = site().write_new(".toml", &configuration(site(), &Options::default()));
    let output = with_socket(&socket)
        .arg(testkit::program())
        .args(["run", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = testkit::stderr(&output);
    assert!(told.contains("which is none of listen.address"), "{told}");
}

#[test]
fn clients_leave_one_after_another() {
    let config = shared_address(&Options {
        listen: "drain_spread = \"10s\"\n".to_owned(),
        drain_timeout: "60s",
        ..Options::default()
    });
    let mut proxy = run(&config);
    let mut clients: Vec<_> = (0..40)
        .map(|_| Raw::log_in(proxy.port, &site().login_password, &LOGIN).unwrap())
        .collect();
    proxy.terminate();
    let mut gone = 0;
    wait_until("the first has left", || {
        clients.retain(|client| {
            let left = client.has_answer();
            gone += usize::from(left);
            !left
        });
        gone > 0
    });
    assert!(gone < 20, "{gone} have left");
    clients.last_mut().unwrap().run_ok("SELECT 1");
    // A second signal ends what is left.
    proxy.terminate();
    proxy.wait();
}
