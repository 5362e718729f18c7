//! What a log says of itself: the record that a file begins with, and checkpoints.

use super::hash::Hash;
use super::json::Fields;
use super::key::{SigningKey, VerifyingKey};
use super::merkle::Frontier;
use super::record::Record;
use serde_json::{Map, Value};

/// The `event` of the record that a file begins with.
pub(super) const FILE: &str = "log_file";
/// The `event` of a checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// The format of the log.
const VERSION: u64 = 1;

/// What the record says that a file begins with.
pub(super) struct Header<'a> {
    pub(super) log: &'a str,
    /// The tree of all records in files before this one.
    pub(super) frontier: &'a Frontier,
    /// Most records between two checkpoints.
    pub(super) every: u64,
}

impl Header<'_> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let peaks = self.frontier.peaks().iter().map(Hash::to_string);
        Fields::new(FILE, out)
            .number("version", VERSION)
            .text("log", self.log)
            .number("records", self.frontier.leaves())
            .list("peaks", peaks)
            .number("checkpoint_records", self.every);
    }
}

/// The same as it was read.
pub(super) struct ReadHeader {
    pub(super) log: Box<str>,
    pub(super) frontier: Frontier,
    pub(super) every: u64,
}

impl ReadHeader {
    /// `None`: the record is none that a file begins with.
    pub(super) fn read(record: &Record<'_>) -> Option<Self> {
        if record.event() != FILE {
            return None;
        }
        let fields = record.fields()?;
        let number = |key| fields.get(key).and_then(Value::as_u64);
        let peaks = fields.get("peaks")?.as_array()?.iter();
        let peaks: Option<Vec<Hash>> = peaks.map(|peak| hash(Some(peak))).collect();
        (number("version")? == VERSION).then_some(())?;
        Some(Self {
            log: text(&fields, "log")?.into(),
            frontier: Frontier::new(number("records")?, peaks?)?,
            every: number("checkpoint_records")?,
        })
    }
}

/// Where the signature begins in a checkpoint: what is in front of it is signed.
const SIGNATURE: &[u8] = b",\"signature\":\"";

pub(super) fn write(
    log: &str,
    records: u64,
    root: &Hash,
    key: Option<&SigningKey>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let mut fields = Fields::new(CHECKPOINT, out);
    fields
        .text("log", log)
        .number("records", records)
        .plain("root", root);
    if let Some(key) = key {
        fields.text("key", &key.verifying().id());
        let signature = key.sign(out.get(start..).unwrap_or_default());
        out.extend_from_slice(SIGNATURE);
        out.extend_from_slice(signature.as_bytes());
        out.push(b'"');
    }
}

/// A checkpoint as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Of which log.
    pub log: Box<str>,
    /// How many records are in the tree.
    pub records: u64,
    /// The root of the tree.
    pub root: Hash,
    /// Who has signed it.
    pub signed: Signed,
}

/// Who has signed a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// Nobody.
    Not,
    /// Somebody: there was no key to verify it with.
    Unverified,
    /// The key that it was verified with.
    ByKey,
    /// The signature, or its key, is another one. The key that is named.
    Wrong(Box<str>),
}

impl Checkpoint {
    /// `None`: the record is no checkpoint.
    #[must_use]
    pub fn read(record: &Record<'_>, key: Option<&VerifyingKey>) -> Option<Self> {
        if record.event() != CHECKPOINT {
            return None;
        }
        let fields = record.fields()?;
        let signed = match (text(&fields, "signature"), key) {
            (None, _) => Signed::Not,
            (Some(_), None) => Signed::Unverified,
            (Some(signature), Some(key)) => {
                let end = memchr::memmem::find(record.body, SIGNATURE)?;
                let message = record.body.get(..end)?;
                match key.verifies(message, signature) {
                    true => Signed::ByKey,
                    false => Signed::Wrong(text(&fields, "key").unwrap_or_default().into()),
                }
            }
        };
        Some(Self {
            log: text(&fields, "log")?.into(),
            records: fields.get("records")?.as_u64()?,
            root: hash(fields.get("root"))?,
            signed,
        })
    }
}

fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    fields.get(key)?.as_str()
}

fn hash(value: Option<&Value>) -> Option<Hash> {
    Hash::from_hex(value?.as_str()?.as_bytes())
}
