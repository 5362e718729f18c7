//! One throwaway server: from `initdb` to the end.

mod standby;

use super::account::Account;
use super::directory::{Directory, write_private};
use super::options::{ClusterOptions, PasswordEncryption};
use super::programs::Programs;
use super::watcher::Watcher;
use super::{ClusterError, process, random_hex};
use std::fmt;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The superuser's name.
const SUPERUSER: &str = "postgres";

/// Most time for starting or stopping the server.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a state that only a file tells is looked at.
const POLL: Duration = Duration::from_millis(10);

/// How many ports are tried before giving up.
const PORT_TRIES: usize = 20;

/// The longest path of a socket that every system takes (`sun_path` has 104
/// bytes on macOS and the BSDs, 108 on Linux, the final NUL included).
const SOCKET_PATH_MAX: usize = 103;

/// A PostgreSQL server of our own. Dropping it stops it and removes its files.
pub struct Cluster {
    programs: Programs,
    account: Account,
    port: u16,
    password: String,
    server: Option<Child>,
    watcher: Watcher,
    // Last, so that it is removed when all that uses it is gone.
    directory: Directory,
}

impl Cluster {
    /// Makes a data directory, starts a server on it and waits until it takes
    /// connections. Blocks for about a second.
    ///
    /// # Errors
    /// When the programs are not found, the directory cannot be used, or the
    /// server does not start; what it wrote to its log is in the message.
    pub fn start(options: &ClusterOptions) -> Result<Self, ClusterError> {
        let programs = Programs::find(options.bin_dir.as_deref())?;
        let directory = Directory::create(options.directory.as_deref(), options.keep)?;
        let account = Account::choose(directory.path())?;
        account.check_reach(directory.path())?;
        let removed = (!directory.is_kept()).then(|| directory.path());
        let mut cluster = Self {
            programs,
            account,
            port: 0,
            password: random_hex(16)?,
            server: None,
            watcher: Watcher::start(removed)?,
            directory,
        };
        cluster.initialize()?;
        cluster.configure(options)?;
        cluster.launch_on_a_free_port()?;
        Ok(cluster)
    }

    /// The TCP port, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The password of the superuser `postgres`.
    #[must_use]
    pub fn superuser_password(&self) -> &str {
        &self.password
    }

    /// A connection string for the superuser. `database` is taken as it is.
    #[must_use]
    pub fn superuser_url(&self, database: &str) -> String {
        format!(
            "postgresql://{SUPERUSER}:{}@127.0.0.1:{}/{database}",
            self.password, self.port
        )
    }

    /// The directory of everything that belongs to the server. Files that are
    /// put there are removed with it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.directory().join("data")
    }

    /// The server's log.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.directory().join("postgresql.log")
    }

    /// The directory of the server's Unix-domain socket; `None` where the path
    /// would be too long for one.
    #[must_use]
    pub fn socket_dir(&self) -> Option<PathBuf> {
        let folder = self.directory().join("socket");
        let longest = folder.as_os_str().len() + "/.s.PGSQL.65535.lock".len();
        (longest <= SOCKET_PATH_MAX).then_some(folder)
    }

    /// The folder of the server's programs.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        self.programs.folder()
    }

    /// The path of a client program of the same installation, such as `psql`;
    /// only the name, to be found on PATH, where it is packaged elsewhere.
    #[must_use]
    pub fn client_program(&self, name: &str) -> PathBuf {
        self.programs.client(name)
    }

    /// Runs SQL as the superuser through `psql`, which stops at the first error,
    /// and returns the rows, unaligned and without headers.
    ///
    /// # Errors
    /// When `psql` is missing or a statement fails; its message is in the error.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, ClusterError> {
        self.psql_with(database, sql, &[])
    }

    /// Like [`Cluster::psql`], with `psql` variables (`:'name'` in the SQL).
    /// They are not visible to other processes.
    ///
    /// # Errors
    /// As [`Cluster::psql`].
    pub fn psql_with(
        &self,
        database: &str,
        sql: &str,
        variables: &[(&str, &str)],
    ) -> Result<String, ClusterError> {
        let mut input = String::new();
        for (name, value) in variables {
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            let _ = writeln!(input, "\\set {name} '{value}'");
        }
        input.push_str(sql);
        let port = self.port.to_string();
        let mut command = process::command(&self.client_program("psql"), self.directory());
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
            .args(["-h", "127.0.0.1", "-p", &port, "-U", SUPERUSER])
            .args(["-d", database, "-f", "-"])
            .env("PGPASSWORD", &self.password)
            .env("PGCLIENTENCODING", "UTF8");
        process::run("psql", &mut command, &input)
    }

    /// Stops the server: running transactions are rolled back, clients are told
    /// (`pg_ctl stop -m fast`). Does nothing when it is stopped already.
    ///
    /// # Errors
    /// When the server does not stop in time; it is killed then.
    pub fn stop_fast(&mut self) -> Result<(), ClusterError> {
        self.stop("fast")
    }

    /// Stops the server as a crash would: connections break without a word
    /// (`pg_ctl stop -m immediate`). Does nothing when it is stopped already.
    ///
    /// # Errors
    /// When the server does not stop in time; it is killed then.
    pub fn stop_immediate(&mut self) -> Result<(), ClusterError> {
        self.stop("immediate")
    }

    /// Starts the server again after a stop, on the same port and data. Does
    /// nothing when it is running.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&mut self) -> Result<(), ClusterError> {
        if self.server.is_some() {
            return Ok(());
        }
        match self.launch()? {
            Launched::Ready => Ok(()),
            Launched::PortTaken => Err(self.failed("its port was taken by another program")),
        }
    }

    fn initialize(&self) -> Result<(), ClusterError> {
        let folders = [Some(self.data_dir()), self.socket_dir()];
        for folder in folders.into_iter().flatten() {
            DirBuilder::new()
                .mode(0o700)
                .create(&folder)
                .map_err(ClusterError::io("create", &folder))?;
            self.account.own(&folder)?;
        }
        let password_file = self.directory().join("initdb-password");
        write_private(&password_file, &self.password)?;
        self.account.own(&password_file)?;
        let mut command = process::command(&self.programs.server("initdb"), self.directory());
        command
            .args(["--no-sync", "--no-locale", "--encoding=UTF8"])
            .args(["--auth=scram-sha-256", "--username", SUPERUSER])
            .arg("--pwfile")
            .arg(&password_file)
            .arg("--pgdata")
            .arg(self.data_dir());
        self.account.apply(&mut command);
        let result = process::run("initdb", &mut command, "");
        fs::remove_file(&password_file).map_err(ClusterError::io("remove", &password_file))?;
        result.map(drop)
    }

    fn configure(&self, options: &ClusterOptions) -> Result<(), ClusterError> {
        let data = self.data_dir();
        let mut settings = base_settings(options);
        let sockets = self.socket_dir().unwrap_or_default();
        settings.push((
            "unix_socket_directories".to_owned(),
            sockets.to_string_lossy().into_owned(),
        ));
        if let Some(tls) = &options.tls {
            let files = [
                ("ssl_cert_file", Some(&tls.server.certificate_pem)),
                ("ssl_key_file", Some(&tls.server.key_pem)),
                ("ssl_ca_file", tls.client_ca_pem.as_ref()),
            ];
            for (setting, pem) in files {
                let Some(pem) = pem else { continue };
                let name = format!("{setting}.pem");
                let path = data.join(&name);
                write_private(&path, pem)?;
                self.account.own(&path)?;
                settings.push((setting.to_owned(), name));
            }
            settings.push(("ssl".to_owned(), "on".to_owned()));
        }
        settings.extend(options.settings.iter().cloned());

        let mut text = String::from("\n# Set by pgtenant:\n");
        for (name, value) in &settings {
            let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
        }
        let conf = data.join("postgresql.conf");
        OpenOptions::new()
            .append(true)
            .open(&conf)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(ClusterError::io("write", &conf))?;
        let hba = data.join("pg_hba.conf");
        fs::write(&hba, hba_text(options)).map_err(ClusterError::io("write", &hba))
    }

    fn launch_on_a_free_port(&mut self) -> Result<(), ClusterError> {
        for _ in 0..PORT_TRIES {
            self.port = free_port()?;
            if matches!(self.launch()?, Launched::Ready) {
                return Ok(());
            }
        }
        Err(self.failed("no free port was found"))
    }

    /// Starts the server process and waits until it takes connections.
    fn launch(&mut self) -> Result<Launched, ClusterError> {
        let log_path = self.log_path();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .map_err(ClusterError::io("open", &log_path))?;
        let log_start = log
            .metadata()
            .map_err(ClusterError::io("read", &log_path))?
            .len();
        let log_too = log
            .try_clone()
            .map_err(ClusterError::io("open", &log_path))?;
        let program = self.programs.server("postgres");
        let mut command = process::command(&program, self.directory());
        command
            .arg("-D")
            .arg(self.data_dir())
            .args(["-p", &self.port.to_string()])
            .stdout(Stdio::from(log))
            .stderr(Stdio::from(log_too))
            // Ctrl-C is for us alone: we stop the server when we are done.
            .process_group(0);
        self.account.apply(&mut command);
        let child = command
            .spawn()
            .map_err(ClusterError::io("start", &program))?;
        self.watcher.watch(child.id());
        self.wait_until_ready(child, log_start)
    }

    fn wait_until_ready(
        &mut self,
        mut child: Child,
        log_start: u64,
    ) -> Result<Launched, ClusterError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = child
                .try_wait()
                .map_err(ClusterError::io("wait for", Path::new("postgres")))?;
            if ended.is_some() {
                self.watcher.forget();
                let log = self.log_since(log_start);
                return if log.contains("Address already in use") {
                    Ok(Launched::PortTaken)
                } else {
                    Err(self.failed(&log))
                };
            }
            if self.is_ready(child.id()) {
                self.server = Some(child);
                return Ok(Launched::Ready);
            }
            if Instant::now() > deadline {
                self.server = Some(child);
                self.stop("immediate")?;
                return Err(self.failed(&self.log_since(log_start)));
            }
            thread::sleep(POLL);
        }
    }

    /// Whether the server says in `postmaster.pid` that it takes connections:
    /// the first line is its process id, the eighth its state.
    fn is_ready(&self, pid: u32) -> bool {
        let file = self.data_dir().join("postmaster.pid");
        let Ok(text) = fs::read_to_string(file) else {
            return false;
        };
        let mut lines = text.lines().map(str::trim);
        let same = lines.next() == Some(&pid.to_string());
        // A standby that takes connections says so in its own word.
        same && matches!(lines.nth(6), Some("ready" | "standby"))
    }

    fn stop(&mut self, mode: &str) -> Result<(), ClusterError> {
        let Some(mut child) = self.server.take() else {
            return Ok(());
        };
        let pg_ctl = self.programs.server("pg_ctl");
        let mut command = process::command(&pg_ctl, self.directory());
        command
            .args(["stop", "--no-wait", "--silent", "--mode", mode])
            .arg("--pgdata")
            .arg(self.data_dir());
        self.account.apply(&mut command);
        // It also fails when the server has ended by itself, which is fine.
        let told = process::run("pg_ctl", &mut command, "");
        let ended = wait_for_end(&mut child);
        self.watcher.forget();
        if ended { Ok(()) } else { told.map(drop) }
    }

    fn failed(&self, why: &str) -> ClusterError {
        ClusterError::Program {
            program: "postgres",
            output: why.trim_end().to_owned(),
        }
    }

    fn log_since(&self, start: u64) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        let start = usize::try_from(start).unwrap_or(0);
        String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.stop(if self.directory.is_kept() {
            "fast"
        } else {
            "immediate"
        });
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("port", &self.port)
            .field("directory", &self.directory.path())
            .finish_non_exhaustive()
    }
}

/// How an attempt to start the server went.
enum Launched {
    Ready,
    PortTaken,
}

/// Waits for a server that was told to stop; kills it when it does not. Says
/// whether it ended by itself.
fn wait_for_end(child: &mut Child) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(None) => thread::sleep(POLL),
            Ok(Some(_)) => return true,
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

fn base_settings(options: &ClusterOptions) -> Vec<(String, String)> {
    let max_connections = options.max_connections.to_string();
    [
        ("listen_addresses", "127.0.0.1"),
        ("max_connections", &max_connections),
        ("shared_buffers", "128MB"),
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("synchronous_commit", "off"),
        (
            "password_encryption",
            match options.password_encryption {
                PasswordEncryption::ScramSha256 => "scram-sha-256",
                PasswordEncryption::Md5 => "md5",
            },
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn hba_text(options: &ClusterOptions) -> String {
    let mut text = format!(
        "# TYPE DATABASE USER ADDRESS METHOD\n\
         local all {SUPERUSER} scram-sha-256\n\
         host all {SUPERUSER} 127.0.0.1/32 scram-sha-256\n\
         host replication {SUPERUSER} 127.0.0.1/32 scram-sha-256\n"
    );
    match &options.hba {
        Some(lines) => {
            for line in lines {
                let _ = writeln!(text, "{line}");
            }
        }
        None => text.push_str(
            "local all all scram-sha-256\n\
             host all all 127.0.0.1/32 scram-sha-256\n",
        ),
    }
    text
}

/// A port of 127.0.0.1 that is free now. It lies below the ports that systems
/// give to outgoing connections (from 32768 on Linux): while the server is
/// stopped, no client, not even one that tries to reach it, can be given it.
fn free_port() -> Result<u16, ClusterError> {
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 17_000;
    for _ in 0..PORT_TRIES {
        let mut random = [0; 2];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| ClusterError::Crypto("a random port"))?;
        let port = FIRST + u16::from_ne_bytes(random) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(ClusterError::io("listen on", Path::new("127.0.0.1")))
}
