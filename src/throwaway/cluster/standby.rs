//! A second server that follows the first.

use super::super::account::Account;
use super::super::directory::{Directory, write_private};
use super::super::watcher::Watcher;
use super::super::{ClusterError, process};
use super::{Cluster, SUPERUSER};
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;

impl Cluster {
    /// Starts a standby of this server, on a copy of its data, and waits until it takes
    /// connections. It has the same passwords.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn standby(&self) -> Result<Self, ClusterError> {
        let directory = Directory::create(None, false)?;
        let account = Account::choose(directory.path())?;
        let mut standby = Self {
            programs: self.programs.clone(),
            account,
            port: 0,
            password: self.password.clone(),
            server: None,
            watcher: Watcher::start(Some(directory.path()))?,
            directory,
        };
        standby.copy(self)?;
        standby.launch_on_a_free_port()?;
        Ok(standby)
    }

    fn copy(&self, primary: &Self) -> Result<(), ClusterError> {
        // A file, since the environment of a process can be read by others; the copy
        // remembers it for the connection that follows the primary.
        let file = self.directory().join("pgpass");
        let line = format!("127.0.0.1:*:*:{SUPERUSER}:{}\n", self.password);
        write_private(&file, &line)?;
        self.account.own(&file)?;
        let data = self.data_dir();
        let made = DirBuilder::new().mode(0o700).create(&data);
        made.map_err(ClusterError::io("create", &data))?;
        self.account.own(&data)?;
        let mut command = process::command(&self.client_program("pg_basebackup"), self.directory());
        command
            .args(["-h", "127.0.0.1", "-p", &primary.port.to_string()])
            .args(["-U", SUPERUSER, "-w", "-X", "stream", "-c", "fast"])
            .args(["--write-recovery-conf", "--no-sync", "--pgdata"])
            .arg(&data)
            .env("PGPASSFILE", &file);
        self.account.apply(&mut command);
        process::run("pg_basebackup", &mut command, "")?;
        let conf = data.join("postgresql.auto.conf");
        OpenOptions::new()
            .append(true)
            .open(&conf)
            .and_then(|mut text| text.write_all(b"unix_socket_directories = ''\n"))
            .map_err(ClusterError::io("write", &conf))
    }

    /// Makes the standby a primary, and waits until it is one.
    ///
    /// # Errors
    /// If it does not become one.
    pub fn promote(&self) -> Result<(), ClusterError> {
        self.psql("postgres", "SELECT pg_promote()").map(drop)
    }
}
