//! One tenant's records, with proofs that they are part of the log.
//!
//! An export is lines of JSON. The first has the checkpoint that the rest is proven by;
//! each other one a record, as it stands in the log, and its audit path (RFC 6962). So
//! whoever trusts the checkpoint's key can trust the records without seeing any other.

use super::checkpoint::{Checkpoint, Signed};
use super::hash::Hash;
use super::json;
use super::key::VerifyingKey;
use super::merkle::{Tree, root_by_proof};
use super::record::Record;
use serde_json::Value;

const START: &[u8] = b"{\"export\":";
const VERSION: u64 = 1;

/// Writes an export's first line: what it is of, and what it is proven by.
pub fn write_head(tenant: &str, checkpoint: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(START);
    out.extend_from_slice(VERSION.to_string().as_bytes());
    out.extend_from_slice(b",\"tenant\":");
    json::write_text(tenant, out);
    out.extend_from_slice(b",\"checkpoint\":");
    json::write_text(&String::from_utf8_lossy(checkpoint), out);
    out.extend_from_slice(b"}\n");
}

/// Writes a record with its proof. Returns whether there is one: not for what came
/// behind the checkpoint.
pub fn write_record(record: &Record<'_>, tree: &Tree, size: u64, out: &mut Vec<u8>) -> bool {
    let proof = tree.proof(record.seq, size);
    out.extend_from_slice(b"{\"record\":");
    json::write_text(&String::from_utf8_lossy(record.line), out);
    if let Some(proof) = &proof {
        json::Fields::behind(out).list("proof", proof.iter().map(Hash::to_string));
    }
    out.extend_from_slice(b"}\n");
    proof.is_some()
}

/// Whether a record is of this tenant.
#[must_use]
pub fn is_of(record: &Record<'_>, tenant: &str) -> bool {
    let fields = record.fields();
    fields.is_some_and(|fields| fields.get("tenant").and_then(Value::as_str) == Some(tenant))
}

/// What is wrong with a line of an export.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportFinding {
    /// It is none that an export has.
    #[error("this is no line of an export")]
    NoLine,
    /// There is no checkpoint in the first line.
    #[error("the checkpoint is no record, or was changed")]
    NoCheckpoint,
    /// The checkpoint is not signed with the key.
    #[error("the checkpoint is not signed by the key given")]
    Unsigned,
    /// The record is no record, or was changed.
    #[error("the record was changed")]
    Changed,
    /// Another tenant's.
    #[error("record {0} is not of the export's tenant")]
    OtherTenant(u64),
    /// The proof does not lead to the checkpoint.
    #[error("record {0} is not part of the log: its proof does not lead to the checkpoint")]
    NotInLog(u64),
    /// There is no proof.
    #[error("record {0} has no proof: it came behind the checkpoint")]
    Unproven(u64),
    /// It stands behind a later one.
    #[error("record {0} stands behind a later one, or twice")]
    OutOfOrder(u64),
}

/// Verifies an export, line by line.
#[derive(Debug)]
pub struct ExportVerifier<'k> {
    key: Option<&'k VerifyingKey>,
    head: Option<Head>,
    next: u64,
    proven: u64,
}

#[derive(Debug)]
struct Head {
    tenant: String,
    checkpoint: Checkpoint,
}

impl<'k> ExportVerifier<'k> {
    /// One that asks for a signature by `key`, if there is one.
    #[must_use]
    pub fn new(key: Option<&'k VerifyingKey>) -> Self {
        Self {
            key,
            head: None,
            next: 0,
            proven: 0,
        }
    }

    /// Whether this is an export's first line.
    #[must_use]
    pub fn is_export(line: &[u8]) -> bool {
        line.starts_with(START)
    }

    /// How many records are proven, and by whom the checkpoint is signed.
    #[must_use]
    pub fn proven(&self) -> (u64, Option<&Signed>) {
        let head = self.head.as_ref();
        (self.proven, head.map(|head| &head.checkpoint.signed))
    }

    /// Takes a line with its end.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn line(&mut self, line: &[u8]) -> Result<(), ExportFinding> {
        let line = line.strip_suffix(b"\n").ok_or(ExportFinding::NoLine)?;
        let fields: Value = serde_json::from_slice(line).map_err(|_| ExportFinding::NoLine)?;
        match &self.head {
            None => {
                self.head = Some(self.head(&fields)?);
                Ok(())
            }
            Some(head) => {
                let seq = head.record(&fields, self.next)?;
                self.next = seq.saturating_add(1);
                self.proven += 1;
                Ok(())
            }
        }
    }

    fn head(&self, fields: &Value) -> Result<Head, ExportFinding> {
        if fields.get("export").and_then(Value::as_u64) != Some(VERSION) {
            return Err(ExportFinding::NoLine);
        }
        let text = |key| fields.get(key).and_then(Value::as_str);
        let tenant = text("tenant").ok_or(ExportFinding::NoLine)?;
        let record = text("checkpoint").map(|line| Record::read(line.as_bytes()));
        let record = record.and_then(Result::ok);
        let checkpoint = record.and_then(|record| Checkpoint::read(&record, self.key));
        let checkpoint = checkpoint.ok_or(ExportFinding::NoCheckpoint)?;
        if self.key.is_some() && checkpoint.signed != Signed::ByKey {
            return Err(ExportFinding::Unsigned);
        }
        Ok(Head {
            tenant: tenant.to_owned(),
            checkpoint,
        })
    }
}

impl Head {
    fn record(&self, fields: &Value, least: u64) -> Result<u64, ExportFinding> {
        let line = fields.get("record").and_then(Value::as_str);
        let line = line.ok_or(ExportFinding::NoLine)?;
        let record = Record::read(line.as_bytes()).map_err(|_| ExportFinding::Changed)?;
        let seq = record.seq;
        if !is_of(&record, &self.tenant) {
            return Err(ExportFinding::OtherTenant(seq));
        }
        let proof = fields.get("proof").and_then(Value::as_array);
        let proof = proof.ok_or(ExportFinding::Unproven(seq))?;
        let hash = |value: &Value| Hash::from_hex(value.as_str()?.as_bytes());
        let proof: Option<Vec<Hash>> = proof.iter().map(hash).collect();
        let size = self.checkpoint.records;
        let root = proof.and_then(|proof| root_by_proof(&record.hash, seq, size, &proof));
        if root != Some(self.checkpoint.root) {
            return Err(ExportFinding::NotInLog(seq));
        }
        match seq >= least {
            true => Ok(seq),
            false => Err(ExportFinding::OutOfOrder(seq)),
        }
    }
}
