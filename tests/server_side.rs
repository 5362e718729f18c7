//! From the proxy to PostgreSQL: TLS and every way to log in, the good ones and
//! those that must fail without telling the client why.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pgtenant::throwaway::{Authority, Cluster, ClusterOptions, TlsOptions};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use testkit::{Options, Proxy, Raw};

/// A server whose certificate names `localhost` alone, with a role for each way
/// to log in.
struct Server {
    cluster: Cluster,
    ca: String,
    other_ca: String,
}

const PASSWORD: &str = "s3cret-0f-the-server";

fn server() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
    &SERVER
}

impl Server {
    fn start() -> Self {
        let authority = Authority::new("server CA").unwrap();
        let hba = [
            "host all with_scram all scram-sha-256",
            "host all with_md5 all md5",
            "host all with_password all password",
            "host all with_trust all trust",
            "hostssl all only_tls all scram-sha-256",
            "host all limited all scram-sha-256",
            "host all rejected all reject",
        ];
        let cluster = Cluster::start(&ClusterOptions {
            tls: Some(TlsOptions {
                server: authority.server(&["localhost"]).unwrap(),
                client_ca_pem: None,
            }),
            hba: Some(hba.map(str::to_owned).to_vec()),
            ..ClusterOptions::default()
        })
        .unwrap();
        let mut sql = String::new();
        for role in [
            "with_scram",
            "with_password",
            "with_trust",
            "only_tls",
            "rejected",
        ] {
            let _ = writeln!(sql, "CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}';");
        }
        let _ = writeln!(
            sql,
            "CREATE ROLE limited LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 0;"
        );
        let _ = writeln!(
            sql,
            "SET password_encryption = md5; CREATE ROLE with_md5 LOGIN PASSWORD '{PASSWORD}';"
        );
        cluster.psql("postgres", &sql).unwrap();
        cluster.psql("postgres", "CREATE DATABASE app").unwrap();
        let site = testkit::site();
        let path = |name: &str, text: &str| site.write_new(name, text).display().to_string();
        Self {
            ca: path(".crt", &authority.certificate_pem()),
            other_ca: path(
                ".crt",
                &Authority::new("another CA").unwrap().certificate_pem(),
            ),
            cluster,
        }
    }
}

/// How a proxy reaches the server, with a tenant and a login of its own.
struct Way {
    name: &'static str,
    host: &'static str,
    port: u16,
    tls: &'static str,
    ca: Option<String>,
    user: &'static str,
    password: Option<&'static str>,
    database: &'static str,
}

fn way(name: &'static str, tls: &'static str, user: &'static str) -> Way {
    Way {
        name,
        host: "localhost",
        port: server().cluster.port(),
        tls,
        ca: tls.starts_with("verify").then(|| server().ca.clone()),
        user,
        password: Some(PASSWORD),
        database: "app",
    }
}

/// A proxy that knows these ways.
fn proxy(ways: &[Way]) -> Proxy {
    let verifier = &testkit::site().login_verifier;
    let mut more = String::new();
    for (n, way) in ways.iter().enumerate() {
        let Way {
            name,
            host,
            port,
            tls,
            user,
            database,
            ..
        } = way;
        let ca = way
            .ca
            .as_ref()
            .map(|ca| format!("ca = {ca:?}\n"))
            .unwrap_or_default();
        let password = way
            .password
            .map(|p| format!("password = {p:?}\n"))
            .unwrap_or_default();
        let _ = write!(
            more,
            "[servers.{name}]\nhost = {host:?}\nport = {port}\ntls = {tls:?}\nuser = {user:?}\n\
             connect_timeout = \"2s\"\n{ca}{password}\
             [isolation.{name}]\nkind = \"setting\"\nserver = {name:?}\ndatabase = {database:?}\nsetting = \"app.tenant\"\n"
        );
        let _ = write!(
            more,
            "[[tenants]]\nid = \"tenant-{n}\"\nname = {name:?}\nisolation = {name:?}\n\
             [[logins]]\nuser = {name:?}\ntenant = \"tenant-{n}\"\nscram = {verifier:?}\n"
        );
    }
    Proxy::start(&Options {
        // So long a server that is away is waited for.
        wait_timeout: "8s",
        more,
        ..Options::default()
    })
}

fn log_in(proxy: &Proxy, name: &str) -> Result<Raw, testkit::Fields> {
    Raw::log_in(proxy.port, &proxy.password, &[("user", name)])
}

/// Whether the server connection is encrypted, and who uses it.
const WHO: &str =
    "SELECT (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) || ' ' || current_user";

#[test]
fn every_way_to_log_in_works_with_and_without_tls() {
    let ways = [
        way("verify-full", "verify-full", "with_scram"),
        way("verify-ca", "verify-ca", "with_scram"),
        Way {
            host: "127.0.0.1",
            ..way("verify-ca-other-host", "verify-ca", "with_scram")
        },
        way("require", "require", "with_scram"),
        way("off", "off", "with_scram"),
        way("only-tls", "verify-full", "only_tls"),
        way("md5", "verify-full", "with_md5"),
        way("md5-off", "off", "with_md5"),
        way("password", "verify-full", "with_password"),
        way("trust", "verify-full", "with_trust"),
        Way {
            password: None,
            ..way("trust-off", "off", "with_trust")
        },
    ];
    let proxy = proxy(&ways);
    for way in &ways {
        let mut raw =
            log_in(&proxy, way.name).unwrap_or_else(|error| panic!("{}: {error:?}", way.name));
        let encrypted = way.tls != "off";
        assert_eq!(
            raw.value(WHO),
            format!("{encrypted} {}", way.user),
            "{}",
            way.name
        );
    }
    assert!(!proxy.log().contains(PASSWORD));
}

#[test]
fn a_server_that_cannot_be_trusted_or_does_not_let_in_is_the_logs_business() {
    let other_ca = Some(server().other_ca.clone());
    let cases = [
        (
            Way {
                ca: other_ca.clone(),
                ..way("full-wrong-ca", "verify-full", "with_scram")
            },
            "TLS: ",
        ),
        (
            Way {
                ca: other_ca,
                ..way("ca-wrong-ca", "verify-ca", "with_scram")
            },
            "TLS: ",
        ),
        (
            Way {
                host: "127.0.0.1",
                ..way("wrong-host", "verify-full", "with_scram")
            },
            "TLS: ",
        ),
        (way("no-tls", "off", "only_tls"), "28000"),
        (way("rejected", "verify-full", "rejected"), "28000"),
        (way("unknown-role", "verify-full", "with_nothing"), "28000"),
        (
            Way {
                password: Some("wrong"),
                ..way("wrong-scram", "verify-full", "with_scram")
            },
            "28P01",
        ),
        (
            Way {
                password: Some("wrong"),
                ..way("wrong-md5", "verify-full", "with_md5")
            },
            "28P01",
        ),
        (
            Way {
                password: Some("wrong"),
                ..way("wrong-clear", "verify-full", "with_password")
            },
            "28P01",
        ),
        (
            Way {
                password: None,
                ..way("no-password", "verify-full", "with_scram")
            },
            "a password, and none is configured",
        ),
        (
            Way {
                database: "nowhere",
                ..way("no-database", "verify-full", "with_scram")
            },
            "3D000",
        ),
    ];
    let (ways, reasons): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let proxy = proxy(&ways);
    for (way, reason) in ways.iter().zip(reasons) {
        let error = log_in(&proxy, way.name)
            .err()
            .unwrap_or_else(|| panic!("{} gets in", way.name));
        assert_eq!(
            (error.severity(), error.code()),
            ("FATAL", "08001"),
            "{}: {error:?}",
            way.name
        );
        let told = format!("{} {}", error.message(), error.hint());
        for detail in [
            way.host,
            way.user,
            PASSWORD,
            "certificate",
            &way.port.to_string(),
        ] {
            assert!(!told.contains(detail), "{}: {told}", way.name);
        }
        let line = proxy.wait_for_log(&format!(
            "cannot open a server connection server={} ",
            way.name
        ));
        assert!(line.contains(reason), "{}: {line}", way.name);
        assert!(!line.contains(PASSWORD), "{line}");
    }
    // None of it keeps the others from being served.
    assert_eq!(proxy.raw("innovate").value("SELECT 1"), "1");
}

#[test]
fn a_server_that_is_full_or_away_is_said_to_be_so() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let ways = [
        way("full", "verify-full", "limited"),
        Way {
            port: closed,
            ..way("away", "verify-full", "with_scram")
        },
    ];
    let proxy = proxy(&ways);
    for (name, code) in [("full", "53300"), ("away", "57P03")] {
        let error = log_in(&proxy, name).err().unwrap();
        assert_eq!(
            (error.severity(), error.code()),
            ("FATAL", code),
            "{error:?}"
        );
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn a_client_waits_for_a_place_and_for_its_connection_within_one_wait_timeout() {
    // Takes connections and closes them.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = attempts.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream);
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let verifier = &testkit::site().login_verifier;
    let more = format!(
        "[servers.away]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"off\"\nuser = \"app\"\n\
         [isolation.away]\nkind = \"database\"\nserver = \"away\"\ndatabase = \"app\"\n\
         [isolation.away.pool]\nsize = 1\nwait_timeout = \"6s\"\n\
         [[tenants]]\nid = \"away\"\nname = \"Away\"\nisolation = \"away\"\n\
         [[logins]]\nuser = \"away\"\ntenant = \"away\"\nscram = {verifier:?}\n"
    );
    let proxy = Proxy::start(&Options {
        more,
        ..Options::default()
    });
    // One of them tries to open a connection all the time, and the other gets its place
    // when it has waited for as long itself.
    let refused = thread::scope(|scope| {
        let clients = [(); 2].map(|()| {
            scope.spawn(|| {
                assert!(log_in(&proxy, "away").is_err());
                attempts.load(Ordering::SeqCst)
            })
        });
        clients.map(|client| client.join().unwrap())
    });
    let (first, last) = (refused.iter().min().unwrap(), refused.iter().max().unwrap());
    assert!(*first > 4, "it is tried again: {refused:?}");
    assert!(last - first <= 2, "the time begins anew: {refused:?}");
}

#[test]
fn a_server_that_answers_something_else_is_not_believed() {
    // What is read first, and what is answered.
    let answers: [(&str, &'static [u8], &str); 7] = [
        ("no-tls-offered", b"N", "require"),
        ("tls-unknown", b"E", "require"),
        (
            "clear-text-behind",
            b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I",
            "require",
        ),
        ("short-frame", b"R\0\0\0\x03", "off"),
        ("long-frame", b"R\x7f\xff\xff\xff", "off"),
        ("unknown-method", b"R\0\0\0\x08\0\0\0\x63", "off"),
        (
            "unasked",
            b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05ID\0\0\0\x06\0\0",
            "off",
        ),
    ];
    assert_told(&answers, "08001");
}

#[test]
fn a_server_that_ends_a_session_with_its_login_is_away_and_not_wrong() {
    let answers: [(&str, &'static [u8], &str); 4] = [
        (
            "stops-before",
            b"E\0\0\0\x20SFATAL\0VFATAL\0C57P01\0Mends\0\0",
            "off",
        ),
        (
            "stops-behind",
            b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05IE\0\0\0\x20SFATAL\0VFATAL\0C57P01\0Mends\0\0",
            "off",
        ),
        (
            "warns-behind",
            b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05IN\0\0\0\x24SWARNING\0VWARNING\0C57P02\0Mends\0\0E\0\0",
            "off",
        ),
        ("breaks-in-tls", b"S", "require"),
    ];
    assert_told(&answers, "57P03");
}

/// Asserts that clients of a server with this answer to the first bytes that it
/// gets are told this.
#[track_caller]
fn assert_told(answers: &[(&'static str, &'static [u8], &'static str)], code: &str) {
    let ways: Vec<_> = answers
        .iter()
        .map(|&(name, answer, tls)| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let _ = stream.read(&mut [0; 1024]);
                    let _ = stream.write_all(answer);
                    let _ = stream.shutdown(Shutdown::Write);
                    // Until the proxy has had enough.
                    let _ = stream.read_to_end(&mut Vec::new());
                }
            });
            Way {
                port,
                host: "127.0.0.1",
                ..way(name, tls, "with_scram")
            }
        })
        .collect();
    let proxy = proxy(&ways);
    // Each waits for its server, which may come back, for `wait_timeout`.
    thread::scope(|scope| {
        for way in &ways {
            let proxy = &proxy;
            scope.spawn(move || {
                let error = log_in(proxy, way.name)
                    .err()
                    .unwrap_or_else(|| panic!("{} gets in", way.name));
                assert_eq!(error.code(), code, "{}: {error:?}", way.name);
            });
        }
    });
    assert_eq!(proxy.raw("innovate").value("SELECT 1"), "1");
}
