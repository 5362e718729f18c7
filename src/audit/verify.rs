//! Finding what was done to a log.
//!
//! A [`Verifier`] is fed with the lines of a log's files in their order and says what
//! is wrong with each. After something is wrong it goes on behind it, as far as that
//! can be judged.

use super::checkpoint::{Checkpoint, ReadHeader, Signed};
use super::hash::Hash;
use super::key::VerifyingKey;
use super::ledger::Tip;
use super::merkle::Frontier;
use super::record::{Chain, Record, Unread};

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// It is no record.
    #[error("this is no record: the line was changed or put in")]
    NotARecord,
    /// Its hash is that of another line.
    #[error("record {0} was changed: its hash is that of another line")]
    Changed(u64),
    /// The last line has no end.
    #[error("the last record is cut off: the process was killed, or the file was cut")]
    Torn,
    /// Records before it are not there.
    #[error("records {0} to {1} are missing before this one")]
    Missing(u64, u64),
    /// A record stands where another one belongs.
    #[error(
        "record {found} stands where record {expected} belongs: it was moved, repeated or put in"
    )]
    OutOfOrder {
        /// Its number.
        found: u64,
        /// The number that belongs here.
        expected: u64,
    },
    /// It follows another record than the one before it.
    #[error("record {0} does not follow the one before it: one of both was replaced")]
    Unlinked(u64),
    /// A file begins with something else than its first record.
    #[error(
        "the file does not begin with its log_file record: its beginning was cut off or replaced"
    )]
    NoHeader,
    /// A file holds nothing.
    #[error(
        "the file is empty: its records were removed, or the process ended as it began the file"
    )]
    Empty,
    /// The record that the file begins with contradicts the records before.
    #[error("the file's first record contradicts the records before it: records were replaced")]
    HeaderContradicts,
    /// Another log.
    #[error(
        "the log {found} follows the log {expected}: files of both were mixed, or the log was begun anew"
    )]
    OtherLog {
        /// Its id.
        found: Box<str>,
        /// The id of the log so far.
        expected: Box<str>,
    },
    /// The records before a checkpoint are not those that it was made of.
    #[error("the checkpoint contradicts the records before it: they were replaced")]
    Contradicts,
    /// A checkpoint is not signed with the key.
    #[error("the checkpoint is not signed: it was replaced, or written without audit.key_file")]
    Unsigned,
    /// A checkpoint has another signature.
    #[error(
        "the checkpoint's signature is not by the key given: it was replaced, or another key was used ({0})"
    )]
    WrongSignature(Box<str>),
    /// There should have been a checkpoint.
    #[error("more than {0} records have no checkpoint behind them: checkpoints were taken out")]
    NoCheckpoint(u64),
    /// The log is shorter than a checkpoint of it says.
    #[error(
        "the log ends with {found} records, and a checkpoint of it says that there were {expected}: its end was cut off"
    )]
    Cut {
        /// How many there are.
        found: u64,
        /// How many there were.
        expected: u64,
    },
}

/// What was seen of a log, beside what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The number of the first record.
    pub first: Option<u64>,
    /// How many records there are.
    pub records: u64,
    /// How many checkpoints.
    pub checkpoints: u64,
    /// How many of them are signed by the key given.
    pub signed: u64,
    /// How many records are behind the last checkpoint.
    pub behind: u64,
}

/// Follows a log.
#[derive(Debug)]
pub struct Verifier<'k> {
    key: Option<&'k VerifyingKey>,
    /// What the log is shorter than, if its end was cut off.
    expected: Vec<Checkpoint>,
    trail: Option<Trail>,
    /// The tree before the first record.
    begun: Option<Frontier>,
    /// The next line is the first of a file.
    begins: bool,
    seen: Seen,
}

/// Where in a log it is.
#[derive(Debug)]
struct Trail {
    log: Box<str>,
    /// `None`: the record before is not known.
    last: Option<Hash>,
    next: u64,
    /// `None`: a record before is not known.
    frontier: Option<Frontier>,
    every: u64,
    since: u64,
}

impl<'k> Verifier<'k> {
    /// A verifier that asks checkpoints for the signature of `key`, if there is one,
    /// and knows these checkpoints from elsewhere.
    #[must_use]
    pub fn new(key: Option<&'k VerifyingKey>, expected: Vec<Checkpoint>) -> Self {
        Self {
            key,
            expected,
            trail: None,
            begun: None,
            begins: true,
            seen: Seen::default(),
        }
    }

    /// The next line is the first of a file.
    pub fn begin_file(&mut self) {
        self.begins = true;
    }

    /// What was seen.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The tree before the first record that was seen.
    #[must_use]
    pub fn begun(&self) -> Option<&Frontier> {
        self.begun.as_ref()
    }

    /// Where a log can go on that has been without findings; `None` before its first
    /// record.
    #[must_use]
    pub fn tip(&self) -> Option<Tip> {
        let trail = self.trail.as_ref()?;
        Some(Tip {
            log: trail.log.clone(),
            chain: Chain {
                next: trail.next,
                last: trail.last?,
            },
            frontier: trail.frontier.clone()?,
        })
    }

    /// Takes a line with its end.
    pub fn line(&mut self, line: &[u8]) -> Vec<Finding> {
        let begins = std::mem::take(&mut self.begins);
        let Some(line) = line.strip_suffix(b"\n") else {
            self.lose();
            return vec![Finding::Torn];
        };
        let mut findings = Vec::new();
        match Record::read(line) {
            Ok(record) => self.record(&record, begins, &mut findings),
            Err(unread) => {
                if begins {
                    findings.push(Finding::NoHeader);
                }
                findings.push(match unread {
                    Unread::Form => Finding::NotARecord,
                    Unread::Changed(seq) => Finding::Changed(seq),
                });
                self.lose();
                if let (Unread::Changed(seq), Some(trail)) = (unread, &mut self.trail)
                    && seq == trail.next
                {
                    trail.next += 1;
                }
            }
        }
        findings
    }

    /// The log is at its end.
    pub fn end(&mut self) -> Vec<Finding> {
        let found = self.trail.as_ref().map_or(0, |trail| trail.next);
        let log = self.trail.as_ref().map(|trail| trail.log.clone());
        let is_longer = |one: &&Checkpoint| Some(&one.log) == log.as_ref() && one.records >= found;
        let longest = self.expected.iter().filter(is_longer);
        let longest = longest.max_by_key(|checkpoint| checkpoint.records);
        let cut = longest.map(|checkpoint| Finding::Cut {
            found,
            // The checkpoint itself was one.
            expected: checkpoint.records + 1,
        });
        cut.into_iter().collect()
    }

    /// What comes next cannot be compared with what is before.
    fn lose(&mut self) {
        if let Some(trail) = &mut self.trail {
            trail.last = None;
            trail.frontier = None;
        }
    }

    fn record(&mut self, record: &Record<'_>, begins: bool, findings: &mut Vec<Finding>) {
        let header = ReadHeader::read(record);
        match (&header, begins) {
            (Some(header), true) => self.header(record, header, findings),
            (None, true) => findings.push(Finding::NoHeader),
            // A file's first record in its midst is a joint of two files, as `cat` makes.
            (Some(header), false) => self.header(record, header, findings),
            (None, false) => {}
        }
        let trail = self.trail.get_or_insert_with(|| Trail {
            log: Box::default(),
            last: None,
            next: record.seq,
            frontier: None,
            every: u64::MAX,
            since: 0,
        });
        trail.follow(record, findings);
        self.seen.first.get_or_insert(record.seq);
        self.seen.records += 1;
        self.seen.behind += 1;
        self.compare(findings);
        let checkpoint = Checkpoint::read(record, self.key);
        let Some(trail) = &mut self.trail else {
            return;
        };
        trail.since += 1;
        // The record that a file begins with comes on top.
        if checkpoint.is_none() && trail.since == trail.every.saturating_add(2) {
            findings.push(Finding::NoCheckpoint(trail.every));
        }
        if let Some(checkpoint) = checkpoint {
            self.checkpoint(&checkpoint, findings);
        }
        let Some(trail) = &mut self.trail else {
            return;
        };
        if let Some(frontier) = &mut trail.frontier {
            frontier.push(&record.hash);
        }
        trail.last = Some(record.hash);
        trail.next = record.seq.saturating_add(1);
    }

    fn header(&mut self, record: &Record<'_>, header: &ReadHeader, findings: &mut Vec<Finding>) {
        if header.frontier.leaves() != record.seq {
            findings.push(Finding::HeaderContradicts);
        }
        let Some(trail) = &mut self.trail else {
            self.begun = Some(header.frontier.clone());
            self.trail = Some(Trail::begin(record, header));
            return;
        };
        if trail.log != header.log {
            // One that has ended in good order can be followed by another, as on
            // standard output.
            let is_new = record.seq == 0 && trail.since == 0;
            if !trail.log.is_empty() && !is_new {
                findings.push(Finding::OtherLog {
                    found: header.log.clone(),
                    expected: trail.log.clone(),
                });
            }
            self.trail = Some(Trail::begin(record, header));
            return;
        }
        trail.every = header.every;
        match &trail.frontier {
            Some(frontier) if record.seq == trail.next => {
                if *frontier != header.frontier {
                    findings.push(Finding::HeaderContradicts);
                }
            }
            _ => trail.frontier = Some(header.frontier.clone()),
        }
    }

    /// Compares the tree with checkpoints that are known from elsewhere.
    fn compare(&mut self, findings: &mut Vec<Finding>) {
        let Some(trail) = &self.trail else { return };
        let Some(frontier) = &trail.frontier else {
            return;
        };
        for known in &self.expected {
            if known.log == trail.log
                && known.records == frontier.leaves()
                && known.root != frontier.root()
            {
                findings.push(Finding::Contradicts);
            }
        }
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint, findings: &mut Vec<Finding>) {
        let Some(trail) = &mut self.trail else { return };
        trail.since = 0;
        self.seen.checkpoints += 1;
        self.seen.behind = 0;
        if let Some(frontier) = &trail.frontier {
            let same = frontier.leaves() == checkpoint.records
                && frontier.root() == checkpoint.root
                && trail.log == checkpoint.log;
            if !same {
                findings.push(Finding::Contradicts);
            }
        }
        match (&checkpoint.signed, self.key) {
            (Signed::ByKey, _) => self.seen.signed += 1,
            (Signed::Wrong(key), _) => findings.push(Finding::WrongSignature(key.clone())),
            (Signed::Not, Some(_)) => findings.push(Finding::Unsigned),
            (Signed::Not | Signed::Unverified, _) => {}
        }
    }
}

impl Trail {
    fn begin(record: &Record<'_>, header: &ReadHeader) -> Self {
        Self {
            log: header.log.clone(),
            last: (record.seq == 0).then_some(Hash::NONE),
            next: record.seq,
            frontier: Some(header.frontier.clone()),
            every: header.every,
            since: 0,
        }
    }

    /// Whether the record is the next one.
    fn follow(&mut self, record: &Record<'_>, findings: &mut Vec<Finding>) {
        let (found, expected) = (record.seq, self.next);
        if found != expected {
            findings.push(match found > expected {
                true => Finding::Missing(expected, found - 1),
                false => Finding::OutOfOrder { found, expected },
            });
            // The tree of a file's own header stands.
            if record.event() != super::checkpoint::FILE {
                self.frontier = None;
            }
        } else if self.last.is_some_and(|last| last != record.prev) {
            findings.push(Finding::Unlinked(found));
            self.frontier = None;
        }
    }
}
