//! A database of a test's own with masks, and the program that is run on it.

use pgtenant::directory::Verifier;
use pgtenant::throwaway::{Cluster, ClusterOptions, wellness};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use testkit::{Fields, Programs, Proxy, Raw, clear_text, stderr, stdout, write_private};

/// The password of the application's role and of every login.
pub(crate) const PASSWORD: &str = "a password";
/// The key of tenants' roles.
pub(crate) const ROLE_KEY: &str = "0123456789abcdef0123456789abcdef";

/// A server with WellnessCorp in all kinds.
pub(crate) struct Server {
    pub(crate) cluster: Cluster,
    _programs: Programs,
}

/// Servers of the two versions that tests run on; one that is not installed is left out.
pub(crate) fn servers() -> impl Iterator<Item = &'static Server> {
    static OLD: LazyLock<Option<Server>> = LazyLock::new(|| Server::start(15));
    static NEW: LazyLock<Option<Server>> = LazyLock::new(|| Server::start(18));
    [OLD.as_ref(), NEW.as_ref()].into_iter().flatten()
}

/// Any of them.
pub(crate) fn server() -> &'static Server {
    servers().next().unwrap()
}

impl Server {
    pub(crate) fn start(major: u32) -> Option<Self> {
        let programs = Programs::find(major)?;
        let cluster = Cluster::start(&ClusterOptions {
            bin_dir: Some(programs.folder.clone()),
            ..ClusterOptions::default()
        })
        .unwrap();
        wellness::load(&cluster, PASSWORD, ROLE_KEY.as_bytes()).unwrap();
        Some(Self {
            cluster,
            _programs: programs,
        })
    }

    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        self.cluster.psql(database, sql).unwrap().trim().to_owned()
    }
}

/// A number that no other test has.
pub(crate) fn number() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Tables of tenants `a` and `b` behind row-level security, of which the application's
/// role may read all; their columns are the test's.
pub(crate) struct Lab {
    pub(crate) server: &'static Server,
    pub(crate) database: String,
    /// The role of masked logins.
    pub(crate) role: String,
    /// The lines that differ from test to test.
    pub(crate) masks: String,
    pub(crate) isolation: String,
    pub(crate) more: String,
}

/// A table of this name and with these columns, which tenants share.
pub(crate) fn table(name: &str, columns: &str) -> String {
    format!(
        "CREATE TABLE {name} (tenant text NOT NULL, {columns});
         ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON {name} TO wellness_app
             USING (tenant = current_setting('app.tenant'));
         GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO wellness_app;"
    )
}

/// A `[[mask]]` of these lines.
pub(crate) fn mask(table: &str, column: &str, how: &str) -> String {
    format!("[[mask]]\ntable = {table:?}\ncolumn = {column:?}\n{how}\n")
}

impl Lab {
    pub(crate) fn new(server: &'static Server, tables: &str) -> Self {
        let number = number();
        let database = format!("masked_{number}");
        server.sql("postgres", &format!("CREATE DATABASE {database}"));
        let lab = Self {
            server,
            database,
            role: format!("bi_{number}"),
            masks: String::new(),
            isolation: String::new(),
            more: String::new(),
        };
        lab.sql(tables);
        lab
    }

    pub(crate) fn with(mut self, masks: &[String]) -> Self {
        self.masks = masks.concat();
        self
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.database, sql)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let name = format!("{}_{name}", self.database);
        let path = self.server.cluster.directory().join(name);
        write_private(&path, text);
        path
    }

    /// The configuration: logins `app_a`, `app_b`, `bi_a` and `bi_b`, of which the last two are masked.
    pub(crate) fn configuration(&self) -> String {
        let verifier = Verifier::derive(PASSWORD);
        let mut text = format!(
            "{head}[isolation.lab]\nkind = \"setting\"\nserver = \"main\"\ndatabase = {:?}\n\
             setting = \"app.tenant\"\nmasked_user = {:?}\nmasked_password_file = {:?}\n{}\n{}\n{}\n\
             [profiles.bi]\nmasked = true\n",
            self.database,
            self.role,
            self.write("bi.password", PASSWORD),
            self.isolation,
            self.masks,
            self.more,
            head = clear_text(self.server.cluster.port(), "wellness_app", PASSWORD),
        );
        for tenant in ["a", "b"] {
            text.push_str(&format!(
                "[[tenants]]\nid = {tenant:?}\n\
                 [[logins]]\nuser = \"app_{tenant}\"\ntenant = {tenant:?}\nscram = {verifier:?}\n\
                 [[logins]]\nuser = \"bi_{tenant}\"\ntenant = {tenant:?}\nscram = {verifier:?}\nprofile = \"bi\"\n"
            ));
        }
        text
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.write("pgtenant.toml", &self.configuration())
    }

    /// Runs `mask` with the arguments, and whatever URL is due behind them.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        run(&self.server.cluster, &self.config(), arguments)
    }

    /// Makes the views: what it prints.
    #[track_caller]
    pub(crate) fn apply(&self) -> String {
        succeeded(&self.run(&["--apply"]))
    }

    /// The same, which must fail.
    #[track_caller]
    pub(crate) fn fails(&self) -> String {
        let output = self.run(&["--apply"]);
        let text = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        text
    }

    pub(crate) fn proxy(&self) -> Proxy {
        Proxy::run(&self.config())
    }

    /// A client of this login.
    pub(crate) fn client(&self, proxy: &Proxy, login: &str) -> Raw {
        self.try_client(proxy, login).unwrap()
    }

    pub(crate) fn try_client(&self, proxy: &Proxy, login: &str) -> Result<Raw, Fields> {
        let parameters = [("user", login), ("database", &*self.database)];
        Raw::log_in(proxy.port, PASSWORD, &parameters)
    }

    /// The role of masked logins itself, past the proxy, as tenant `a`.
    pub(crate) fn direct(&self) -> Raw {
        let parameters = [("user", &*self.role), ("database", &*self.database)];
        let mut raw = Raw::log_in(self.server.cluster.port(), PASSWORD, &parameters).unwrap();
        raw.run_ok("SET app.tenant = 'a'");
        raw
    }
}

/// Runs `mask`; a URL is put behind `--apply` and `--undo`.
pub(crate) fn run(cluster: &Cluster, config: &std::path::Path, arguments: &[&str]) -> Output {
    let url = cluster.superuser_url("postgres");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgtenant"));
    command
        .arg("mask")
        .arg("--config")
        .arg(config)
        .args(arguments);
    if matches!(arguments.last(), Some(&"--apply" | &"--undo")) {
        command.arg(url);
    }
    let output = command.output().unwrap();
    let text = stdout(&output) + &stderr(&output);
    assert!(
        !text.contains(PASSWORD) && !text.contains(ROLE_KEY),
        "{text}"
    );
    output
}

#[track_caller]
pub(crate) fn succeeded(output: &Output) -> String {
    let (out, err) = (stdout(output), stderr(output));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    out
}

/// The rows, a line each.
pub(crate) fn rows(client: &mut Raw, sql: &str) -> Vec<String> {
    let answer = client.query(sql);
    let rows = answer.ok().rows();
    let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    let line = |row: Vec<Option<String>>| row.into_iter().map(text).collect::<Vec<_>>().join("|");
    rows.into_iter().map(line).collect()
}

/// The SQLSTATE that the statement is refused with.
#[track_caller]
pub(crate) fn refused(client: &mut Raw, sql: &str) -> String {
    let answer = client.query(sql);
    assert!(!answer.errors().is_empty(), "{sql}: {}", answer.tags());
    answer.error().code().to_owned()
}
