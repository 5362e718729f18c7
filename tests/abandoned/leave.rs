//! Clients that leave in the midst of a pipeline or a COPY.

use crate::{WAYS_TO_LEAVE, with_bulk};
use testkit::{
    Message, Options, Pipeline, Proxy, Raw, Tls, V3_0, assert_whole, missing, pool, site,
};

/// `pool.size`; as many clients leave before the pool is asked for.
const SIZE: usize = 2;

/// What a client sends before it leaves, and what it waits for.
struct Prefix {
    name: &'static str,
    messages: Pipeline,
    seen: Option<u8>,
}

fn prefix(name: &'static str, messages: Pipeline, seen: Option<u8>) -> Prefix {
    Prefix {
        name,
        messages,
        seen,
    }
}

fn prefixes(copy: &str) -> Vec<Prefix> {
    let p = Pipeline::new;
    let raw = Pipeline::from_bytes;
    let one = || p().parse("", "SELECT 1");
    let bound = || one().bind("", "", &[]);
    let executed = || bound().execute("", 0);
    let half_a_bind = {
        let whole = p().bind("", "", &["some parameter"]);
        let (half, _) = whole.bytes().split_at(whole.bytes().len() - 8);
        [one().bytes(), half].concat()
    };
    vec![
        prefix("COPY", p().query(copy), Some(b'G')),
        prefix("COPY d", p().query(copy).copy_data(b"1\tx\n"), Some(b'G')),
        prefix("P B E (COPY) S", p().statement(copy).sync(), Some(b'G')),
        prefix(
            "P B E (COPY) S d",
            p().statement(copy).sync().copy_data(b"1\tx\n"),
            Some(b'G'),
        ),
        prefix("P B E (COPY) H", p().statement(copy).flush(), Some(b'G')),
        prefix(
            "P B E (COPY) H d c",
            p().statement(copy).flush().copy_data(b"1\tx\n").copy_done(),
            Some(b'G'),
        ),
        prefix("P", one(), None),
        prefix("P H", one().flush(), Some(b'1')),
        prefix("P B", bound(), None),
        prefix("P B H", bound().flush(), Some(b'2')),
        prefix("P B E", executed(), None),
        prefix("P B E H", executed().flush(), Some(b'C')),
        prefix(
            "P B E S P",
            executed().sync().parse("", "SELECT 2"),
            Some(b'Z'),
        ),
        prefix(
            "P B E Q P",
            executed().query("SELECT 1").parse("", "SELECT 2"),
            None,
        ),
        prefix("P (refused)", p().parse("", "SET ROLE postgres"), None),
        prefix(
            "P (refused) H",
            p().parse("", "SET ROLE postgres").flush(),
            Some(b'E'),
        ),
        prefix(
            "P B E (1/0) H",
            p().statement("SELECT 1/0").flush(),
            Some(b'E'),
        ),
        prefix(
            "P B E (INSERT) H",
            p().statement("INSERT INTO bulk VALUES (1, 'x')").flush(),
            None,
        ),
        Prefix {
            name: "half a Bind",
            messages: raw(&half_a_bind),
            seen: None,
        },
        Prefix {
            name: "half a Query",
            messages: raw(b"Q\0\0\0\x40SELECT"),
            seen: None,
        },
        Prefix {
            name: "COPY and half of its data",
            messages: raw(&[p().query(copy).bytes(), b"d\0\0\x10\0one"].concat()),
            seen: Some(b'G'),
        },
    ]
}

fn options(mode: &'static str) -> Options {
    Options {
        mode,
        size: SIZE,
        wait_timeout: pool::WAIT_TIMEOUT,
        ..Options::default()
    }
}

/// Lets clients leave in every way, and returns what did not come back.
fn leave_in_every_way(
    start: impl Fn() -> Proxy,
    [login, other]: [&str; 2],
    copy: &str,
    begins: &[bool],
) -> Vec<String> {
    let mut lost = Vec::new();
    let mut proxy = start();
    for leaving in WAYS_TO_LEAVE {
        for begin in begins {
            for prefix in prefixes(copy) {
                let what = format!("{login}: {}, {leaving:?}, BEGIN: {begin}", prefix.name);
                for _ in 0..SIZE {
                    let mut client = proxy.raw(login);
                    if *begin {
                        client.run_ok("BEGIN");
                    }
                    client.send(prefix.messages.bytes());
                    if let Some(tag) = prefix.seen {
                        wait_for(&mut client, tag, &what);
                    }
                    leaving.go(client);
                }
                if let Some(why) = missing(&proxy, other, SIZE) {
                    lost.push(format!("{what}: {why}"));
                    // More of them would say the same, a timeout each.
                    if lost.len() == 4 {
                        return lost;
                    }
                    proxy = start();
                }
            }
        }
    }
    lost
}

fn wait_for(client: &mut Raw, tag: u8, what: &str) {
    loop {
        let message: Option<Message> = client.try_read();
        match message {
            Some(message) if message.tag == tag => return,
            Some(message) if message.tag == b'E' && tag != b'E' => {
                panic!("{what}: {message:?}")
            }
            Some(_) => {}
            None => panic!("{what}: the connection was closed"),
        }
    }
}

#[test]
fn who_leaves_in_the_midst_gives_its_connection_back_in_transaction_mode() {
    let start = || with_bulk(options("transaction"));
    let logins = ["innovate", "synergy"];
    let lost = leave_in_every_way(start, logins, "COPY bulk FROM STDIN", &[false, true]);
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn who_leaves_in_the_midst_gives_its_connection_back_in_session_mode() {
    let start = || with_bulk(options("session"));
    let logins = ["innovate", "synergy"];
    let lost = leave_in_every_way(start, logins, "COPY bulk FROM STDIN", &[false, true]);
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn who_leaves_in_the_midst_gives_its_connection_back_in_the_other_kinds() {
    let start = || Proxy::start(&options("transaction"));
    for (logins, copy) in [
        (["acme", "globex"], "COPY employee_logs FROM STDIN"),
        (["initech", "initech"], "COPY users FROM STDIN"),
    ] {
        let lost = leave_in_every_way(start, logins, copy, &[false]);
        assert!(lost.is_empty(), "{}", lost.join("\n"));
    }
}

#[test]
fn what_was_not_finished_is_not_stored() {
    let proxy = with_bulk(options("transaction"));
    let copy = "COPY bulk FROM STDIN";
    for leaving in WAYS_TO_LEAVE {
        for messages in [
            Pipeline::new().query(copy).copy_data(b"1\tx\n"),
            Pipeline::new().statement(copy).sync().copy_data(b"1\tx\n"),
        ] {
            let mut client = proxy.raw("innovate");
            client.send(messages.bytes());
            client.until(b'G');
            leaving.go(client);
            assert_whole("COPY", &proxy, "synergy", SIZE);
        }
    }
    let count = site().sql(&proxy.database("innovate"), "SELECT count(*) FROM bulk");
    assert_eq!(count, "0");
}

/// Over TLS a client leaves with close_notify or without it.
#[test]
fn who_leaves_over_tls_in_the_midst_of_a_copy_gives_its_connection_back() {
    let proxy = with_bulk(options("transaction"));
    let database = proxy.database("innovate");
    for terminate in [true, false] {
        for _ in 0..SIZE {
            let mut client = Raw::secured(proxy.port, Tls::V1_3);
            let parameters = [("user", "innovate"), ("database", &*database)];
            client.enter(V3_0, &proxy.password, &parameters).unwrap();
            client.send(Pipeline::new().query("COPY bulk FROM STDIN").bytes());
            while client.try_read().unwrap().tag != b'G' {}
            if terminate {
                client.send(Pipeline::new().copy_data(b"1\tx\n").terminate().bytes());
            }
        }
        assert_whole("COPY over TLS", &proxy, "synergy", SIZE);
    }
}
