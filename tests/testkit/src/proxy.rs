//! The proxy as a process of its own: the program that users run.

use crate::log::Log;
use crate::options::{Options, configuration};
use crate::programs::program;
use crate::site::{Site, company, site};
use crate::{Raw, wait_until};
use pgtenant::throwaway::wellness::Layout;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::thread;

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
        Self::start_before(site(), options)
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
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let text = configuration(site(), options).replace("127.0.0.1:0", &address.to_string());
        let config = site().write_new(".toml", &text);
        let mut proxy = Self::of(&config, spawn(&config, log), Arc::default());
        proxy.port = address.port();
        proxy.password.clone_from(&site().login_password);
        wait_until("it listens", || TcpStream::connect(address).is_ok());
        proxy
    }

    fn of(config: &Path, process: Child, log: Arc<Log>) -> Self {
        Self {
            port: 0,
            password: String::new(),
            config: config.to_owned(),
            psql: PathBuf::from("psql"),
            database: String::new(),
            process,
            log,
        }
    }

    /// Starts a proxy with a configuration file that listens on a free port of
    /// 127.0.0.1, and waits until it does. Its logins are the caller's affair.
    pub fn run(config: &Path) -> Self {
        Self::listening(config, spawn(config, Stdio::piped()))
    }

    /// The same, by a command that runs what follows its arguments.
    pub fn run_by(mut command: Command, config: &Path) -> Self {
        command.arg(program());
        Self::listening(config, run(command, config, Stdio::piped()))
    }

    fn listening(config: &Path, mut process: Child) -> Self {
        let log = Log::keep(process.stderr.take().unwrap());
        let mut proxy = Self::of(config, process, log);
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
        self.log.text()
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
        self.log.wait_for(text)
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

fn spawn(config: &Path, log: Stdio) -> Child {
    let mut command = Command::new(program());
    command.stdin(Stdio::null());
    run(command, config, log)
}

fn run(mut program: Command, config: &Path, log: Stdio) -> Child {
    program
        .arg("run")
        .arg("--config")
        .arg(config)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
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
