//! HAProxy before one proxy or several.

use crate::{wait_until, write_private};
use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A balancer in TCP mode, which gives each connection to the next proxy. Dropping it
/// kills it.
pub struct Balancer {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    process: Child,
    _folder: TempDir,
}

impl Balancer {
    /// Starts one before the proxies at these ports. `options` stand behind each
    /// server's address, such as `send-proxy-v2`.
    pub fn start(ports: &[u16], options: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut text = format!(
            "global\n  maxconn 1000\n  nbthread 1\n\
             defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 120s\n  timeout server 120s\n\
             listen proxies\n  bind 127.0.0.1:{port}\n  balance roundrobin\n"
        );
        for (n, proxy) in ports.iter().enumerate() {
            writeln!(text, "  server s{n} 127.0.0.1:{proxy} {options}").unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("haproxy.cfg");
        write_private(&file, &text);
        let process = Command::new(program())
            .arg("-db")
            .arg("-f")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("haproxy is missing: run `deploy/setup --tests`");
        let balancer = Self {
            port,
            process,
            _folder: folder,
        };
        wait_until("haproxy listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        balancer
    }
}

/// Debian has it where only the administrator's PATH leads.
fn program() -> &'static str {
    match std::path::Path::new("/usr/sbin/haproxy").exists() {
        true => "/usr/sbin/haproxy",
        false => "haproxy",
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
