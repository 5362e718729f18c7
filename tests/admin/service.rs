//! What a service manager is told: systemd's `Type=notify` and its watchdog.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use testkit::{Options, PATIENCE, Proxy, configuration, site};

/// The manager's end of the socket.
struct Manager(UnixDatagram);

impl Manager {
    fn start(watchdog: Option<&str>) -> (Self, Proxy) {
        let path = site().write_new(".notify", "");
        std::fs::remove_file(&path).unwrap();
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let config = site().write_new(".toml", &configuration(site(), &Options::default()));
        let mut command = Command::new("env");
        command.arg(format!("NOTIFY_SOCKET={}", path.display()));
        command.args(watchdog.map(|micros| format!("WATCHDOG_USEC={micros}")));
        let mut proxy = Proxy::run_by(command, &config);
        proxy.password.clone_from(&site().login_password);
        (Self(socket), proxy)
    }

    /// The next message, its lines.
    fn told(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).unwrap();
        let text = std::str::from_utf8(&bytes[..length]).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn the_manager_is_told_of_each_moment_in_order() {
    let (manager, mut proxy) = Manager::start(None);
    assert_eq!(manager.told(), ["READY=1"]);
    proxy.hang_up("logins=");
    let told = manager.told();
    assert_eq!(told[0], "RELOADING=1");
    let time = told[1].strip_prefix("MONOTONIC_USEC=").unwrap();
    assert!(time.parse::<u64>().unwrap() > 0);
    assert_eq!(manager.told(), ["READY=1"]);
    // Also where the new configuration is not taken.
    std::fs::write(&proxy.config, "[listen").unwrap();
    proxy.signal("HUP");
    assert_eq!(manager.told()[0], "RELOADING=1");
    assert_eq!(manager.told(), ["READY=1"]);
    proxy.terminate();
    assert_eq!(manager.told(), ["STOPPING=1"]);
    assert!(proxy.wait().success());
}

#[test]
fn the_watchdog_is_told_while_the_workers_get_on() {
    let (manager, proxy) = Manager::start(Some("300000"));
    assert_eq!(manager.told(), ["READY=1"]);
    for _ in 0..3 {
        assert_eq!(manager.told(), ["WATCHDOG=1"]);
    }
    // A process that does nothing tells nothing.
    proxy.signal("STOP");
    manager.0.set_nonblocking(true).unwrap();
    while manager.0.recv(&mut [0; 64]).is_ok() {}
    manager.0.set_nonblocking(false).unwrap();
    manager
        .0
        .set_read_timeout(Some(std::time::Duration::from_secs(1)))
        .unwrap();
    assert!(manager.0.recv(&mut [0; 64]).is_err());
    proxy.signal("CONT");
    assert_eq!(manager.told(), ["WATCHDOG=1"]);
}
