//! The proxy as a process of its own: the program that users run.

use super::site::{Site, company};
use super::{PATIENCE, Raw, wait_until};
use pgtenant::throwaway::wellness::{APP_ROLE, COMPANIES, Layout, SCHEMA_DATABASE, SETTING};
use std::fmt::Write as _;
use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// What differs from one test's proxy to another's. Texts stand in the
/// configuration file as they are.
#[derive(Debug, Clone)]
pub struct Options {
    /// The database of the setting kind.
    pub database: String,
    /// A [`Relay`](super::Relay) before the server.
    pub relay: Option<u16>,
    /// `tls.mode`; without `"off"` there is a certificate.
    pub tls: &'static str,
    /// `listen.max_clients`
    pub max_clients: usize,
    /// `listen.clients_per_tenant`
    pub clients_per_tenant: Option<usize>,
    /// `listen.login_timeout`
    pub login_timeout: &'static str,
    /// `listen.drain_timeout`
    pub drain_timeout: &'static str,
    /// `listen.workers`
    pub workers: usize,
    /// `pool.mode`
    pub mode: &'static str,
    /// `pool.size`
    pub size: usize,
    /// `pool.size_per_tenant`
    pub size_per_tenant: Option<usize>,
    /// `pool.waiting_per_tenant`
    pub waiting_per_tenant: Option<usize>,
    /// `pool.share`
    pub share: &'static str,
    /// `pool.pin`
    pub pin: &'static str,
    /// `pool.wait_timeout`
    pub wait_timeout: &'static str,
    /// `pool.reclaim_after`
    pub reclaim_after: &'static str,
    /// `pool.idle_timeout`
    pub idle_timeout: &'static str,
    /// `servers.main.connect_timeout`
    pub connect_timeout: &'static str,
    /// `guard.mode`
    pub guard: &'static str,
    /// `guard.opaque`
    pub opaque: &'static str,
    /// `guard.channels`
    pub channels: &'static str,
    /// `log.filter`; must let the event through that tells the address.
    pub log: &'static str,
    /// More lines of `[listen]`.
    pub listen: String,
    /// More lines of `[tls]`.
    pub tls_keys: String,
    /// Lines of `[throttle]`; by default it is off, since tests fail to log in
    /// as often as they like.
    pub throttle: String,
    /// More lines of `[isolation.setting]`.
    pub isolation: String,
    /// More text at the end of the file, such as `[[logins]]`.
    pub more: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            database: pgtenant::throwaway::wellness::SETTING_DATABASE.to_owned(),
            relay: None,
            tls: "allow",
            max_clients: 1000,
            clients_per_tenant: None,
            login_timeout: "10s",
            drain_timeout: "30s",
            workers: 1,
            mode: "transaction",
            size: 10,
            size_per_tenant: None,
            waiting_per_tenant: None,
            share: "scrubbed",
            pin: "allow",
            wait_timeout: "30s",
            reclaim_after: "30s",
            idle_timeout: "10min",
            connect_timeout: "5s",
            guard: "enforce",
            opaque: "reject",
            channels: "reject",
            log: "info",
            listen: String::new(),
            tls_keys: String::new(),
            throttle: "mode = \"off\"".to_owned(),
            isolation: String::new(),
            more: String::new(),
        }
    }
}

/// A running proxy. Dropping it kills it; if its test failed, its log is shown.
pub struct Proxy {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// The password of every login.
    pub password: String,
    /// Its configuration file.
    pub config: PathBuf,
    database: String,
    psql: PathBuf,
    process: Child,
    log: Arc<Log>,
}

impl Proxy {
    /// Starts a proxy in front of the server that all tests share.
    pub fn start(options: &Options) -> Self {
        Self::start_before(super::site(), options)
    }

    /// Starts a proxy in front of `site` and waits until it listens.
    pub fn start_before(site: &Site, options: &Options) -> Self {
        let config = site.write_new(".toml", &configuration(site, options));
        let mut proxy = Self::run(&config);
        proxy.password.clone_from(&site.login_password);
        proxy.psql = site.cluster.client_program("psql");
        proxy.database.clone_from(&options.database);
        proxy
    }

    /// Starts a proxy whose log goes elsewhere, and waits until it listens.
    pub fn start_logging_to(options: &Options, log: Stdio) -> Self {
        let site = super::site();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let text = configuration(site, options).replace("127.0.0.1:0", &address.to_string());
        let config = site.write_new(".toml", &text);
        let mut proxy = Self::of(&config, spawn(&config, log));
        proxy.port = address.port();
        proxy.password.clone_from(&site.login_password);
        wait_until("it listens", || TcpStream::connect(address).is_ok());
        proxy
    }

    fn of(config: &Path, process: Child) -> Self {
        Self {
            port: 0,
            password: String::new(),
            config: config.to_owned(),
            psql: PathBuf::from("psql"),
            database: String::new(),
            process,
            log: Arc::default(),
        }
    }

    /// Starts a proxy with a configuration file that listens on a free port of
    /// 127.0.0.1, and waits until it does. Its logins are the caller's affair.
    pub fn run(config: &Path) -> Self {
        let mut proxy = Self::of(config, spawn(config, Stdio::piped()));
        let stderr = proxy.process.stderr.take().unwrap();
        let keeper = proxy.log.clone();
        thread::spawn(move || keeper.keep(BufReader::new(stderr)));
        // It listens before it says so: no need to try.
        let line = proxy.wait_for_log("listening address=127.0.0.1:");
        let (_, rest) = line.split_once("address=127.0.0.1:").unwrap();
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
        proxy.port = digits.parse().unwrap();
        proxy
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal: `"TERM"`, `"INT"`, …
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Tells it to stop, as service managers do.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the proxy has ended", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.state().lines.join("\n")
    }

    /// Changes the configuration file, and waits until the proxy goes by it.
    pub fn reload(&self, edit: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        std::fs::write(&self.config, edit(text)).unwrap();
        // The first line may be of a reload that had read the files before they
        // changed, as an earlier change of them has asked for.
        self.hang_up("logins=");
        self.hang_up("logins=");
    }

    /// Sends SIGHUP, and waits until it has led to one more line of the log about
    /// reloading that contains `text`.
    pub fn hang_up(&self, text: &str) -> String {
        let lines = || {
            let log = self.log();
            let about = log.lines().filter(|line| line.contains("pgtenant::reload"));
            about
                .filter(|line| line.contains(text))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let before = lines().len();
        self.signal("HUP");
        wait_until("the configuration is loaded again", || {
            lines().len() > before
        });
        lines().pop().unwrap()
    }

    /// Waits for a line of the log that contains `text`, and returns it.
    pub fn wait_for_log(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.log.state();
        loop {
            if let Some(line) = state.lines.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.over || left.is_zero() {
                let (over, all) = (state.over, state.lines.join("\n"));
                // Others read the log while this test fails.
                drop(state);
                panic!("no {text:?} in the log (the proxy has ended: {over}):\n{all}");
            }
            let woken = self.log.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The most memory that it has ever had, in kB.
    pub fn peak_memory(&self) -> usize {
        self.memory_status("VmHWM:")
    }

    /// The memory that it has, in kB.
    pub fn memory(&self) -> usize {
        self.memory_status("VmRSS:")
    }

    fn memory_status(&self, key: &str) -> usize {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let number = line.unwrap().trim().trim_end_matches(" kB");
        number.parse().unwrap()
    }

    /// The database that a login belongs to.
    pub fn database(&self, login: &str) -> String {
        match company(login).layout {
            Layout::Setting => self.database.clone(),
            other => other.database().to_owned(),
        }
    }

    /// A connection string, in clear text.
    pub fn url(&self, login: &str) -> String {
        format!(
            "postgresql://{login}:{}@127.0.0.1:{}/{}?sslmode=disable",
            self.password,
            self.port,
            self.database(login),
        )
    }

    /// Connects a driver, in clear text.
    pub async fn connect(&self, login: &str) -> tokio_postgres::Client {
        self.try_connect(login).await.unwrap()
    }

    /// The same, where it may fail.
    pub async fn try_connect(
        &self,
        login: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let url = self.url(login);
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Logs in a client that speaks message by message.
    pub fn raw(&self, login: &str) -> Raw {
        self.raw_with(login, &[])
    }

    /// The same, with more parameters in the startup packet.
    pub fn raw_with(&self, login: &str, parameters: &[(&str, &str)]) -> Raw {
        let password = &self.password;
        let database = self.database(login);
        let mut all = vec![("user", login), ("database", &database)];
        all.extend_from_slice(parameters);
        match Raw::log_in(self.port, password, &all) {
            Ok(raw) => raw,
            Err(error) => panic!("{login} cannot log in: {error:?}"),
        }
    }

    /// Runs statements through `psql`, one after another.
    pub fn psql(&self, login: &str, sql: &[&str]) -> Output {
        let mut command = Command::new(&self.psql);
        command.env("PGCONNECT_TIMEOUT", "10");
        command.args(["-X", "-A", "-t", "-v", "VERBOSITY=verbose"]);
        command.args(["-d", &self.url(login)]);
        for statement in sql {
            command.args(["-c", statement]);
        }
        command.output().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            eprintln!("log of the proxy:\n{}", self.log());
        }
    }
}

/// What the proxy writes to its standard error.
#[derive(Default)]
struct Log {
    state: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    over: bool,
}

impl Log {
    /// Whatever a test that failed was doing with it.
    fn state(&self) -> MutexGuard<'_, Lines> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, input: impl std::io::BufRead) {
        for line in input.lines() {
            let Ok(line) = line else { break };
            self.state().lines.push(line);
            self.changed.notify_all();
        }
        self.state().over = true;
        self.changed.notify_all();
    }
}

fn spawn(config: &Path, log: Stdio) -> Child {
    Command::new(env!("CARGO_BIN_EXE_pgtenant"))
        .arg("run")
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// The text of the configuration file.
pub fn configuration(site: &Site, options: &Options) -> String {
    let path = |name| format!("{:?}", site.file(name));
    let certificate = match options.tls {
        "off" => String::new(),
        _ => format!(
            "certificate = {}\nkey = {}\n",
            path("proxy.crt"),
            path("proxy.key")
        ),
    };
    let line = |key: &str, value: Option<usize>| match value {
        Some(value) => format!("{key} = {value}\n"),
        None => String::new(),
    };
    let clients_per_tenant = line("clients_per_tenant", options.clients_per_tenant);
    let size_per_tenant = line("size_per_tenant", options.size_per_tenant);
    let waiting_per_tenant = line("waiting_per_tenant", options.waiting_per_tenant);
    let Options {
        database,
        tls,
        max_clients,
        login_timeout,
        drain_timeout,
        workers,
        mode,
        size,
        share,
        pin,
        wait_timeout,
        reclaim_after,
        idle_timeout,
        connect_timeout,
        guard,
        opaque,
        channels,
        log,
        listen,
        tls_keys,
        throttle,
        isolation,
        ..
    } = options;
    let mut text = format!(
        r#"[listen]
address = "127.0.0.1:0"
max_clients = {max_clients}
{clients_per_tenant}login_timeout = "{login_timeout}"
drain_timeout = "{drain_timeout}"
workers = {workers}
{listen}
[tls]
mode = "{tls}"
{certificate}{tls_keys}
[throttle]
{throttle}
[servers.main]
host = "127.0.0.1"
port = {port}
{server_tls}
user = "{APP_ROLE}"
password_file = {password}
connect_timeout = "{connect_timeout}"
[pool]
mode = "{mode}"
size = {size}
{size_per_tenant}{waiting_per_tenant}share = "{share}"
pin = "{pin}"
wait_timeout = "{wait_timeout}"
reclaim_after = "{reclaim_after}"
idle_timeout = "{idle_timeout}"
[isolation.setting]
kind = "setting"
server = "main"
database = "{database}"
setting = "{SETTING}"
{isolation}
[isolation.schema]
kind = "schema"
server = "main"
database = "{SCHEMA_DATABASE}"
search_path = ["{{schema}}"]
role = "{{schema}}_app"
role_key_file = {role_key}
[isolation.database]
kind = "database"
server = "main"
database = "{{database}}"
[guard]
mode = "{guard}"
opaque = "{opaque}"
channels = "{channels}"
[log]
filter = "{log}"
"#,
        port = options.relay.unwrap_or_else(|| site.cluster.port()),
        server_tls = match options.relay {
            Some(_) => "tls = \"off\"".to_owned(),
            None => format!("tls = \"verify-full\"\nca = {}", path("ca.crt")),
        },
        password = path("app.password"),
        role_key = path("role.key"),
    );
    for company in COMPANIES {
        let values = match company.layout {
            Layout::Setting => String::new(),
            Layout::Schema(schema) => format!("schema = {schema:?}\n"),
            Layout::Database(database) => format!("database = {database:?}\n"),
        };
        let _ = write!(
            text,
            "[[tenants]]\nid = {:?}\nname = {:?}\nisolation = {:?}\n{values}\
             [[logins]]\nuser = {:?}\ntenant = {:?}\nscram = {:?}\n",
            company.id,
            company.name,
            company.layout.kind(),
            company.login,
            company.id,
            site.login_verifier,
        );
    }
    text.push_str(&options.more);
    text
}
