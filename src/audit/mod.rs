//! The audit log: who did what, in records that show when they were tampered with.

mod checkpoint;
mod event;
mod examine;
mod export;
mod file;
mod gather;
mod hash;
mod json;
mod key;
mod ledger;
mod log;
mod merkle;
mod options;
mod reading;
mod record;
mod redact;
mod rules;
mod statement;
mod tail;
#[cfg(test)]
mod tampering;
mod verify;
mod writer;

pub use checkpoint::{Checkpoint, Signed};
pub use event::{Client, Event};
pub use examine::{Examination, examine};
pub use export::{ExportFinding, ExportVerifier, is_of, write_head, write_record};
pub use file::checkpoint_path;
pub use hash::Hash;
pub use key::{KeyError, NewKey, SigningKey, VerifyingKey};
pub use ledger::{Ledger, Tip};
pub use log::{Log, OnFailure, Room, RunningLog, Status, Unwritten};
pub use merkle::{Frontier, Tree, root_by_proof};
pub use options::{Fsync, Options};
pub use reading::{Unreadable, checkpoints, follow, in_order, lines};
pub use record::{Chain, Record, Unread};
pub use redact::{redact, redact_front};
pub use rules::Rules;
pub use statement::{Class, Described, Description, Outcome, Ran, Statements, Text};
pub use tail::tail;
pub use verify::{Finding, Seen, Verifier};
