//! URLs of servers mean the same in `check`, `harden` and `provision`.

#![allow(clippy::unwrap_used)]

use pgtenant::ops::sql_client::Url;
use pgtenant::throwaway::{Authority, Cluster, ClusterOptions, TlsOptions, random_hex};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use testkit::{fed, stderr, stdout};

/// A configuration with a tenant for each of the three commands.
struct Place {
    _folder: tempfile::TempDir,
    config: PathBuf,
}

/// The commands: what stands before the URL.
const COMMANDS: [(&str, &[&str]); 3] = [
    ("check", &["--json", "--url"]),
    ("harden", &["--without-policies", "--apply"]),
    ("provision", &["--all", "--url"]),
];

impl Place {
    /// With servers, each with its name and the rest of its section.
    fn new(servers: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for key in ["seal.key", "role.key"] {
            fs::write(folder.path().join(key), random_hex(32).unwrap()).unwrap();
        }
        let sections = servers
            .iter()
            .map(|(name, rest)| format!("[servers.{name}]\nuser = \"app\"\n{rest}\n"));
        let text = sections.collect::<String>()
            + "[tls]\nmode = \"off\"\n\
               [isolation.rows]\nkind = \"setting\"\nserver = \"main\"\ndatabase = \"shop\"\n\
               setting = \"app.tenant\"\nseal = \"token\"\nseal_key_file = \"seal.key\"\n\
               [isolation.schemas]\nkind = \"schema\"\nserver = \"main\"\ndatabase = \"shop\"\n\
               search_path = [\"{schema}\"]\nrole = \"{schema}_app\"\nrole_key_file = \"role.key\"\n\
               [[tenants]]\nid = \"a\"\nisolation = \"rows\"\n\
               [[tenants]]\nid = \"b\"\nisolation = \"schemas\"\nschema = \"b\"\n";
        let config = folder.path().join("pgtenant.toml");
        fs::write(&config, text).unwrap();
        Self {
            _folder: folder,
            config,
        }
    }

    fn run(&self, command: &str, arguments: &[&str], url: &str, input: &str) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_pgtenant"));
        program
            .args([command, "--config"])
            .arg(&self.config)
            .args(arguments)
            .arg(url)
            .env_remove("PGPASSWORD");
        fed(&mut program, input)
    }

    /// What every command says of a URL with which it cannot work.
    #[track_caller]
    fn refused(&self, url: &str, said: &[&str]) {
        for (command, arguments) in COMMANDS {
            let output = self.run(command, arguments, url, "");
            let text = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{command}: {text}");
            assert!(text.contains(arguments.last().unwrap()), "{text}");
            for word in said {
                assert!(text.contains(word), "{command}: {word}: {text}");
            }
            assert!(!text.contains("hunter2"), "{command}: {text}");
        }
    }

    /// Asserts that every command works as the user of the URL.
    #[track_caller]
    fn works(&self, url: &str, input: &str) {
        for (command, arguments) in COMMANDS {
            let output = self.run(command, arguments, url, input);
            let text = stdout(&output) + &stderr(&output);
            let worked = match command {
                "check" => text.contains("\"user\": \"postgres\""),
                _ => output.status.success(),
            };
            assert!(worked, "{command} {url}: {text}");
            assert!(
                !text.contains("cannot connect to"),
                "{command} {url}: {text}"
            );
        }
    }
}

fn section(host: &str, port: u16, rest: &str) -> String {
    format!("host = \"{host}\"\nport = {port}\n{rest}")
}

/// A server with the database and the role of the configurations.
fn cluster(authority: Option<&Authority>) -> Cluster {
    let tls = authority.map(|authority| TlsOptions {
        server: authority.server(&["localhost"]).unwrap(),
        client_ca_pem: None,
    });
    let options = ClusterOptions {
        tls,
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(&options).unwrap();
    let url = Url::parse(&cluster.superuser_url("postgres")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = url.connect().await.unwrap().client;
        for sql in ["CREATE ROLE app LOGIN", "CREATE DATABASE shop"] {
            client.batch_execute(sql).await.unwrap();
        }
    });
    cluster
}

fn ca(folder: &Path, authority: &Authority) -> PathBuf {
    let path = folder.join("ca.crt");
    fs::write(&path, authority.certificate_pem()).unwrap();
    path
}

#[test]
fn of_several_servers_the_url_says_which() {
    let main = section("db1.example.com", 5433, "tls = \"off\"");
    let other = section("db2.example.com", 5432, "tls = \"off\"");
    let place = Place::new(&[("main", main), ("other", other)]);
    let names = [
        "\"main\" (db1.example.com:5433)",
        "\"other\" (db2.example.com:5432)",
    ];
    for url in [
        "postgres://owner:hunter2@localhost/shop",
        // Another port of the same host.
        "postgres://owner:hunter2@db1.example.com",
        "postgres://owner:hunter2@db1.example.com:5432/shop?sslmode=require",
    ] {
        place.refused(url, &names);
    }
    place.refused("postgres://o:pass@hunter2/@h/d", &["not a PostgreSQL URL"]);
    // `check` looks at the others as the proxy logs in.
    for (command, arguments) in &COMMANDS[1..] {
        let url = "postgres://owner:hunter2@DB2.example.com/shop";
        let output = place.run(command, arguments, url, "");
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        for name in names {
            assert!(text.contains(name), "{text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn every_command_reads_the_url_from_standard_input() {
    let cluster = cluster(None);
    let here = section("127.0.0.1", cluster.port(), "tls = \"off\"");
    // Two sections of one server are one server.
    let place = Place::new(&[("again", here.clone()), ("main", here)]);
    place.works("-", &format!("{}\n", cluster.superuser_url("postgres")));
    place.works(&cluster.superuser_url("nowhere"), "");
    place.refused("-", &["not a PostgreSQL URL"]);
    // The only server may be reached by another name.
    let away = section("db.example.com", 5432, "tls = \"off\"");
    Place::new(&[("main", away)]).works(&cluster.superuser_url("postgres"), "");
}

#[test]
fn where_the_url_says_nothing_of_tls_the_section_does() {
    let authority = Authority::new("test CA").unwrap();
    let cluster = cluster(Some(&authority));
    let folder = tempfile::tempdir().unwrap();
    let (port, password) = (cluster.port(), cluster.superuser_password());
    let url = format!("postgres://postgres:{password}@localhost:{port}/postgres");
    let verified = |ca: &Path| section("localhost", port, &format!("ca = {ca:?}"));
    let place = Place::new(&[("main", verified(&ca(folder.path(), &authority)))]);
    place.works(&url, "");
    // Another authority's: nothing is sent to that server, until the URL says so.
    let stranger = Authority::new("other CA").unwrap();
    let place = Place::new(&[("main", verified(&ca(folder.path(), &stranger)))]);
    for (command, arguments) in COMMANDS {
        let output = place.run(command, arguments, &url, "");
        let text = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{command}: {text}");
        let hint = "servers.main.ca must have the authority of the server's certificate";
        assert!(text.contains(hint), "{command}: {text}");
        let own = ca(folder.path(), &stranger);
        let url = format!("{url}?sslrootcert={}", own.display());
        let output = place.run(command, arguments, &url, "");
        let text = stdout(&output) + &stderr(&output);
        let hint = "the file of sslrootcert must have the authority";
        assert!(text.contains(hint), "{command}: {text}");
    }
    place.works(&format!("{url}?sslmode=require"), "");
}
