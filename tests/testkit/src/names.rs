//! Host names of a test's own, and ports that lead elsewhere.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

/// A command that runs others with a file of host names of its own, in the form of
/// `/etc/hosts`. It is read again when it changes.
pub fn with_names(file: &Path) -> Command {
    let mut command = Command::new("env");
    command
        .arg(format!("LD_PRELOAD={}", wrapper().display()))
        .arg(format!("NSS_WRAPPER_HOSTS={}", file.display()));
    command
}

/// The library that answers for the system's.
fn wrapper() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap();
    let folders = folders.map(|folder| folder.unwrap().path());
    let mut files = folders
        .chain([PathBuf::from("/usr/lib64"), PathBuf::from("/usr/lib")])
        .map(|folder| folder.join("libnss_wrapper.so"));
    let found = files.find(|file| file.is_file());
    found.expect("libnss-wrapper is missing: run `deploy/setup --tests` to install it")
}

/// Makes the names in the file others, so that whoever has read it sees that.
pub fn change_names(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    // The time of its change is looked at, to the second.
    let later = SystemTime::now() + Duration::from_secs(10);
    File::options()
        .write(true)
        .open(file)
        .unwrap()
        .set_modified(later)
        .unwrap();
}

/// Passes connections at this address on to a port of 127.0.0.1.
pub fn pass_on(from: SocketAddr, to: u16) {
    let listener = TcpListener::bind(from).unwrap();
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { break };
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else {
                break;
            };
            let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || copy(client, server));
            thread::spawn(move || copy(forth, back));
        }
    });
}
