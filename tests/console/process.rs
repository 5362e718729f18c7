//! What the console asks of the process: its end.

use super::{operator, proxy};
use testkit::{Options, wait_until};

#[test]
fn a_shutdown_after_the_clients_lets_them_stay_and_nobody_in() {
    let mut proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let mut client = proxy.raw("innovate");
    admin.run_ok("SHUTDOWN WAIT_FOR_CLIENTS");
    wait_until("nobody is let in", || {
        std::net::TcpStream::connect(("127.0.0.1", proxy.port)).is_err()
    });
    // Between transactions and idle, it stays.
    for _ in 0..3 {
        assert_eq!(client.value("SELECT 1"), "1");
    }
    assert_eq!(operator(&proxy).run_ok("SHOW CLIENTS").rows().len(), 1);
    assert!(proxy.is_running());
    drop(client);
    assert!(proxy.wait().success());
}

#[test]
fn a_shutdown_after_the_servers_ends_idle_clients_also_once_it_waits_for_clients() {
    let mut proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let mut client = proxy.raw("innovate");
    let mut idle = proxy.raw("synergy");
    client.run_ok("BEGIN");
    client.run_ok("SELECT 1");
    admin.run_ok("SHUTDOWN WAIT_FOR_CLIENTS");
    admin.run_ok("SHUTDOWN WAIT_FOR_SERVERS");
    assert_eq!(idle.until_closed().error().code(), "57P01");
    client.send_query("COMMIT");
    assert_eq!(client.until_closed().commands(), ["COMMIT"]);
    assert!(proxy.wait().success());
}

#[test]
fn a_shutdown_at_once_ends_everybody() {
    let mut proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    client.run_ok("SELECT 1");
    admin.send_query("SHUTDOWN");
    client.until_closed();
    assert!(proxy.wait().success());
}
