//! The console: administrators look at the running proxy and steer it, in the words
//! of PgBouncer's.
//!
//! It speaks the protocol over a connection of its own (`talk`), reads one statement at
//! a time (`grammar`) and answers with a table (`show`, `table`) or carries out a
//! command. What it shows and changes is behind [`Steered`]: it knows nothing of
//! listeners and workers.

mod administrators;
mod grammar;
mod own;
mod setting;
mod show;
mod sockets;
mod stats;
mod table;
mod talk;
mod told;

pub use administrators::{Administrator, Administrators, Presence};
pub use grammar::{Command, Shutdown, Statement, Whom, parse};
pub use setting::Setting;
pub use stats::{ByDatabase, PERIOD, Periods, counted};
pub use table::{Formats, Table, Type, Value};
pub use talk::{Guest, serve};
pub use told::{room, tell};

use crate::audit::Log;
use crate::config::AdminRole;
use crate::directory::Directory;
use crate::metrics::Refused;
use crate::peers::PeerView;
use crate::pool::{PoolView, Scope};
use crate::session::SessionView;
use crate::tenant::LoginName;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The databases that lead to the console.
pub const DATABASES: [&str; 2] = ["pgtenant", "pgbouncer"];

/// What is shown and steered.
pub trait Steered: Clone + Send + Sync + 'static {
    /// What the administrator of this name may do now; `None`: nothing any more.
    fn role(&self, user: &LoginName) -> Option<AdminRole>;
    /// The sessions there are.
    fn sessions(&self) -> Vec<SessionView>;
    /// The administrators who are logged in, and what tells them apart.
    fn administrators(&self) -> Vec<(u64, Administrator)>;
    /// The pools there are.
    fn pools(&self) -> Vec<PoolView>;
    /// The directory in force.
    fn directory(&self) -> Arc<Directory>;
    /// What is counted for each database.
    fn counted(&self) -> ByDatabase;
    /// The same, as of the ends of the last periods.
    fn periods(&self) -> &Periods;
    /// The statements that were refused last, the latest first.
    fn refusals(&self) -> Vec<Refused>;
    /// The audit log.
    fn audit(&self) -> &Log;
    /// Who is paused.
    fn paused(&self) -> HashSet<Scope>;
    /// Whether the pause of everybody is called a suspension.
    fn is_suspended(&self) -> bool;
    /// Databases that nobody can log in to.
    fn disabled(&self) -> HashSet<Scope>;
    /// What is in force, as `SHOW CONFIG` names it.
    fn configured(&self) -> Vec<Configured>;
    /// What takes memory.
    fn memory(&self) -> Vec<Memory>;
    /// How many workers there are.
    fn workers(&self) -> usize;
    /// The other replicas.
    fn peers(&self) -> Vec<PeerView>;
    /// Files and lifetimes of the proxy's own certificates.
    fn certificates(&self) -> Vec<(String, String)>;
    /// Carries a command out, or begins to: what it is done with, if that takes time.
    ///
    /// # Errors
    /// What the administrator is told.
    fn command(&self, command: &Command) -> Result<Option<Awaited>, String>;
    /// What has come of it; `None`: it goes on.
    fn has_come(&self, awaited: &mut Awaited) -> Option<Result<(), String>>;
}

/// What a command is done with.
#[derive(Debug)]
pub enum Awaited {
    /// Nobody of these uses a server connection, unless they are not paused any more.
    Quiet(Vec<Scope>),
    /// All server connections of these are new.
    Renewed(Vec<Scope>),
    /// The clients that were ended have left.
    Gone(Vec<u32>),
    /// The process has done it, or has not.
    Outcome(oneshot::Receiver<Result<(), String>>),
}

/// A row of `SHOW CONFIG`.
#[derive(Debug, Clone)]
pub struct Configured {
    /// PgBouncer's name.
    pub key: &'static str,
    /// What holds.
    pub value: String,
    /// What holds where nothing is configured.
    pub default: &'static str,
}

/// A row of `SHOW MEM`: things of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// What they are.
    pub name: &'static str,
    /// How many there are.
    pub used: usize,
    /// What they take together, in bytes.
    pub total: usize,
}
