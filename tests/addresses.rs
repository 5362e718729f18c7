//! A server whose name has several addresses, of which one is silent.

#![allow(clippy::unwrap_used, clippy::panic)]

use pgtenant::throwaway::wellness::SETTING_DATABASE;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;
use testkit::{
    INNOVATE, Options, Proxy, Raw, Relay, configuration, pass_on, site, stdout, with_names,
};

const NAME: &str = "db.test";

/// The addresses of the name, in the order in which they are tried.
fn addresses(file: &Path) -> Vec<IpAddr> {
    let output = with_names(file)
        .args(["getent", "ahosts", NAME])
        .output()
        .unwrap();
    let mut addresses = Vec::new();
    for line in stdout(&output).lines() {
        let address = line.split_whitespace().next().unwrap().parse().unwrap();
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// A socket at which connections are neither accepted nor refused: there is no place
/// left among those that wait to be accepted.
fn silent(ip: IpAddr) -> (Socket, Vec<TcpStream>) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(ip, 0).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    loop {
        match TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
            Ok(stream) => waiting.push(stream),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                return (socket, waiting);
            }
        }
    }
}

#[test]
fn a_login_succeeds_by_the_second_address_where_the_first_is_silent() {
    let names = site().write_new("", &format!("127.0.0.1 {NAME}\n127.0.0.2 {NAME}\n"));
    let [first, second] = addresses(&names)[..] else {
        panic!("the names are not those of the file");
    };
    let relay = Relay::start(site());
    let (socket, _waiting) = silent(first);
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    pass_on(SocketAddr::new(second, port), relay.port);
    let options = Options {
        relay: Some(port),
        connect_timeout: "3s",
        ..Options::default()
    };
    let text = configuration(site(), &options);
    let named = text.replace("host = \"127.0.0.1\"", &format!("host = \"{NAME}\""));
    assert_ne!(named, text);
    let config = site().write_new(".toml", &named);
    let proxy = Proxy::run_by(with_names(&names), &config);
    let own = [("user", "innovate"), ("database", SETTING_DATABASE)];
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Raw::log_in(proxy.port, &site().login_password, &own).unwrap();
        let whose = "SELECT current_setting('session.current_organization_id')";
        assert_eq!(client.value(whose), INNOVATE);
        // The next one needs a connection of its own.
        client.run_ok("CREATE TEMP TABLE keeps (a int)");
        clients.push(client);
    }
    let log = proxy.log();
    assert!(!log.contains("cannot open a server connection"), "{log}");
}
