//! Several workers: clients of all of them share the server connections, and each
//! connection goes to whoever is next, wherever that client is served.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use testkit::{Options, Pipeline, Proxy, Raw, site, wait_until};

const MAIL: &str = "SELECT email FROM users ORDER BY email LIMIT 1";
const MAILS: [(&str, &str); 2] = [
    ("innovate", "alice@innovate.example"),
    ("synergy", "bob@synergy.example"),
];

fn workers(workers: usize, size: usize) -> Options {
    Options {
        workers,
        size,
        ..Options::default()
    }
}

/// How often the thread of this worker has gone to sleep since it was started. The
/// first has the thread of the program itself.
fn sleeps(proxy: &Proxy, worker: usize) -> u64 {
    let name = match worker {
        0 => "pgtenant".to_owned(),
        n => format!("worker-{n}"),
    };
    let threads = fs::read_dir(format!("/proc/{}/task", proxy.pid())).unwrap();
    let threads = threads.map(|thread| thread.unwrap().path());
    let mut named = threads.filter(|thread| {
        let comm = fs::read_to_string(thread.join("comm")).unwrap();
        let is_main = thread.ends_with(proxy.pid().to_string());
        comm.trim() == name && (is_main || worker > 0)
    });
    let status = fs::read_to_string(named.next().unwrap().join("status")).unwrap();
    let lines = status.lines();
    let mut switches = lines.filter_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    switches.next().unwrap().trim().parse().unwrap()
}

/// Whether what the client does is done by this worker's thread: it sleeps between most
/// of so many queries. (Without clients it sleeps a few times a second.)
fn is_served_by(proxy: &Proxy, client: &mut Raw, worker: usize) -> bool {
    const QUERIES: u64 = 100;
    let before = sleeps(proxy, worker);
    for _ in 0..QUERIES {
        client.run_ok("SELECT 1");
    }
    sleeps(proxy, worker) - before >= QUERIES / 4
}

#[test]
fn one_connection_serves_the_clients_of_all_workers_by_turns() {
    let proxy = Proxy::start(&workers(3, 1));
    let mut clients: Vec<_> = (0..3).map(|n| proxy.raw(MAILS[n % 2].0)).collect();
    for (worker, client) in clients.iter_mut().enumerate() {
        assert!(is_served_by(&proxy, client, worker), "worker {worker}");
    }
    let backend = clients[0].backend();
    for round in 0..200 {
        for (n, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.value(MAIL), MAILS[n % 2].1, "round {round}");
            assert_eq!(client.backend(), backend);
        }
    }
    // What is long in coming is told of by the reactor that has the connection now.
    for client in &mut clients {
        assert_eq!(client.value("SELECT 1 FROM pg_sleep(0.1)"), "1");
        let large = client.value("SELECT repeat('x', 3000000)");
        assert_eq!(large.len(), 3_000_000);
    }
}

#[test]
fn a_connection_is_handed_to_a_client_of_another_worker_who_waits() {
    let proxy = Proxy::start(&workers(2, 1));
    let mut a = proxy.raw("innovate");
    let mut b = proxy.raw("synergy");
    assert!(is_served_by(&proxy, &mut b, 1));
    for _ in 0..20 {
        a.run_ok("BEGIN");
        b.send_query(MAIL);
        assert_eq!(a.value(MAIL), MAILS[0].1);
        assert!(!b.has_answer());
        a.run_ok("COMMIT");
        assert_eq!(b.until_ready().ok().value(), MAILS[1].1);
    }
    // A client that gives up waiting leaves what others get.
    a.run_ok("BEGIN");
    b.send_query(MAIL);
    drop(b);
    a.run_ok("COMMIT");
    assert_eq!(a.value(MAIL), MAILS[0].1);
}

#[test]
fn a_tenant_holds_at_most_its_share_over_all_workers() {
    let proxy = Proxy::start(&Options {
        size_per_tenant: Some(2),
        ..workers(4, 6)
    });
    let mut clients: Vec<_> = (0..8).map(|_| proxy.raw("innovate")).collect();
    for client in &mut clients {
        client.send_query("BEGIN; SELECT pg_backend_pid()");
    }
    let has = |clients: &[Raw]| clients.iter().filter(|c| c.has_answer()).count();
    wait_until("two have a connection", || has(&clients) == 2);
    // Another tenant is not kept waiting.
    assert_eq!(proxy.raw("synergy").value(MAIL), MAILS[1].1);
    assert_eq!(has(&clients), 2);
    while !clients.is_empty() {
        let at = clients.iter().position(Raw::has_answer).unwrap();
        let mut client = clients.remove(at);
        client.until_ready().ok();
        client.run_ok("COMMIT");
        wait_until("the next has it", || has(&clients) == 2.min(clients.len()));
    }
}

/// Every connection is in use when clients of one tenant come, and then one of
/// another: the second tenant's turn is behind one of the first's. (The pauses make it
/// likely that all wait by then, and what must come out does not rest on that.)
#[test]
fn tenants_are_served_in_turn_whatever_the_worker_of_their_clients() {
    let database = site().fresh_database();
    site().sql(
        &database,
        "CREATE TABLE served (n bigserial, who text); GRANT ALL ON served TO wellness_app; \
         GRANT ALL ON SEQUENCE served_n_seq TO wellness_app",
    );
    let proxy = Proxy::start(&Options {
        database: database.clone(),
        ..workers(4, 1)
    });
    for round in 0..8 {
        site().sql(&database, "TRUNCATE served");
        let mut holder = proxy.raw("innovate");
        holder.run_ok("BEGIN");
        // The quiet tenant's client is another worker's each time.
        let idle: Vec<_> = (0..round % 4).map(|_| proxy.raw("synergy")).collect();
        let mut quiet = proxy.raw("synergy");
        let mut many: Vec<_> = (0..12).map(|_| proxy.raw("innovate")).collect();
        for client in &mut many {
            client.send_query("INSERT INTO served (who) VALUES ('innovate')");
        }
        // They wait.
        holder.run_ok("SELECT 1 FROM pg_sleep(0.05)");
        quiet.send_query("INSERT INTO served (who) VALUES ('synergy')");
        holder.run_ok("SELECT 1 FROM pg_sleep(0.05)");
        holder.run_ok("COMMIT");
        quiet.until_ready().ok();
        for client in &mut many {
            client.until_ready().ok();
        }
        drop(idle);
        let order = site().sql(
            &database,
            "SELECT string_agg(who, ',' ORDER BY n) FROM served",
        );
        let at = order.split(',').position(|who| who == "synergy").unwrap();
        assert!(at <= 1, "round {round}: {order}");
    }
}

#[test]
fn no_client_sees_another_tenants_rows_while_connections_go_from_worker_to_worker() {
    let proxy = Proxy::start(&workers(4, 3));
    thread::scope(|scope| {
        for n in 0..12 {
            let proxy = &proxy;
            scope.spawn(move || {
                let (login, mail) = MAILS[n % 2];
                let mut client = proxy.raw(login);
                for round in 0..150 {
                    assert_eq!(client.value(MAIL), mail);
                    if round % 10 == n % 10 {
                        let zone = format!("Etc/GMT+{n}");
                        client.run_ok(&format!("SET TimeZone = '{zone}'"));
                        assert_eq!(client.value("SHOW TimeZone"), zone);
                    }
                }
            });
        }
    });
}

/// All who work sit with one worker at first: a new client goes to the one that has the
/// fewest, and every second one does nothing.
#[test]
fn clients_move_from_a_busy_worker_to_one_that_has_time() {
    const ROUNDS_AFTERWARDS: usize = 20;
    let proxy = Proxy::start(&workers(2, 4));
    let moved = AtomicBool::new(false);
    let mut idle = Vec::new();
    let mut before = 0;
    thread::scope(|scope| {
        for n in 0..10 {
            let (login, mail) = MAILS[n % 2];
            let mut client = proxy.raw(login);
            idle.push(proxy.raw(login));
            let moved = &moved;
            scope.spawn(move || {
                let zone = format!("Etc/GMT+{n}");
                client.run_ok(&format!("SET TimeZone = '{zone}'"));
                let prepare = Pipeline::new().parse("s", MAIL).sync();
                client.run(&prepare).ok();
                let each = (0..50).fold(Pipeline::new(), |all, _| all.prepared("s", &[]));
                let each = each.sync();
                let mut left = ROUNDS_AFTERWARDS;
                while left > 0 {
                    let answer = client.run(&each);
                    assert_eq!(answer.ok().rows(), vec![vec![Some(mail.to_owned())]; 50]);
                    assert_eq!(client.value("SHOW TimeZone"), zone);
                    if moved.load(Ordering::Relaxed) {
                        left -= 1;
                    }
                }
            });
        }
        proxy.wait_for_log("clients go on with a worker that has more time");
        before = sleeps(&proxy, 1);
        moved.store(true, Ordering::Relaxed);
    });
    // It has had something to do since.
    assert!(sleeps(&proxy, 1) - before >= ROUNDS_AFTERWARDS as u64 / 2);
    // Those who have moved can be cancelled, told and drained as before.
    for client in &mut idle {
        client.run_ok("SELECT 1");
    }
}
