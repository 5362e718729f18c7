//! How the log is written.

use super::key::SigningKey;
use super::log::OnFailure;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How the log is written.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file; `None`: standard output.
    pub path: Option<PathBuf>,
    /// From which length on the file is renamed and another begun, in bytes.
    pub rotate_size: u64,
    /// When records are made to outlast a loss of power.
    pub fsync: Fsync,
    /// Most bytes that wait to be written.
    pub buffer: usize,
    /// What happens while the log cannot be written.
    pub on_failure: OnFailure,
    /// What checkpoints are signed with.
    pub key: Option<Arc<SigningKey>>,
    /// Most records between two checkpoints.
    pub checkpoint_records: u64,
    /// Most time from a record to a checkpoint.
    pub checkpoint_interval: Duration,
}

/// When records are made to outlast a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Before anybody is told that they are written.
    Always,
    /// Once a second.
    Interval,
    /// When the operating system does it.
    Never,
}
