//! The log as it grows: chain, tree and checkpoints, without I/O and without a clock.

use super::checkpoint::{self, Header};
use super::json::Fields;
use super::key::SigningKey;
use super::merkle::Frontier;
use super::record::Chain;
use std::sync::Arc;

/// The state of a log at its end, which the next record follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// What tells this log from others.
    pub log: Box<str>,
    /// The chain.
    pub chain: Chain,
    /// The tree.
    pub frontier: Frontier,
}

impl Tip {
    /// That of a log without a record.
    #[must_use]
    pub fn new(log: &str) -> Self {
        Self {
            log: log.into(),
            chain: Chain::START,
            frontier: Frontier::default(),
        }
    }
}

/// A log that grows.
#[derive(Debug)]
pub struct Ledger {
    tip: Tip,
    key: Option<Arc<SigningKey>>,
    /// Most records between two checkpoints.
    every: u64,
    /// Records since the last one.
    since: u64,
}

impl Ledger {
    /// One that goes on behind `tip`, with a checkpoint after `every` records at the
    /// latest.
    #[must_use]
    pub fn new(tip: Tip, key: Option<Arc<SigningKey>>, every: u64) -> Self {
        Self {
            tip,
            key,
            every: every.max(1),
            since: 0,
        }
    }

    /// The number of the next record.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.tip.chain.next
    }

    /// Whether there is a record behind the last checkpoint.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.since > 0
    }

    /// Goes on with another key or another distance of checkpoints.
    pub fn go_by(&mut self, key: Option<Arc<SigningKey>>, every: u64) {
        self.key = key;
        self.every = every.max(1);
    }

    /// Writes the record that a file begins with.
    pub fn begin_file(&mut self, micros: u64, out: &mut Vec<u8>) {
        let header = Header {
            log: &self.tip.log,
            frontier: &self.tip.frontier,
            every: self.every,
        };
        let mut body = Vec::new();
        header.write(&mut body);
        self.seal(micros, &body, out);
    }

    /// Writes a record, and a checkpoint behind it where one is due. Says whether
    /// there is one.
    pub fn append(&mut self, micros: u64, body: &[u8], out: &mut Vec<u8>) -> bool {
        self.seal(micros, body, out);
        let due = self.since >= self.every;
        if due {
            self.checkpoint(micros, out);
        }
        due
    }

    /// Writes a checkpoint: the root of the tree of all records so far, signed if
    /// there is a key.
    pub fn checkpoint(&mut self, micros: u64, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        let root = self.tip.frontier.root();
        let records = self.tip.frontier.leaves();
        checkpoint::write(
            &self.tip.log,
            records,
            &root,
            self.key.as_deref(),
            &mut body,
        );
        self.seal(micros, &body, out);
        self.since = 0;
    }

    fn seal(&mut self, micros: u64, body: &[u8], out: &mut Vec<u8>) {
        let hash = self.tip.chain.seal(micros, body, out);
        self.tip.frontier.push(&hash);
        self.since += 1;
    }
}

/// Writes the record of records that were not written.
pub(super) fn lost(records: u64, out: &mut Vec<u8>) {
    Fields::new("records_lost", out).number("records", records);
}
