//! The attacks, as data: what is sent, what it is about, and what must hold.
//!
//! In the texts `{…}` stands for what belongs to the deployment; see `Filling`.

mod code;
mod messages;
mod reach;
mod resets;
mod roles;
mod setting;
mod shared;
mod startup;

use super::scene::Kind;

pub(super) use startup::{Entry, STARTUP};

/// One way to get at another tenant's rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attack {
    /// Its name, which stays.
    pub(super) id: &'static str,
    /// The promise that it is about.
    pub(super) promise: &'static str,
    /// Where it means something.
    pub(super) kinds: &'static [Kind],
    /// How it is tried.
    pub(super) way: Way,
    /// What is sent.
    pub(super) steps: &'static [Step],
    /// What must hold.
    pub(super) must: Must,
}

/// How an attack is tried. Data is never committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// In a transaction that is rolled back.
    Within,
    /// Without one: what it changes is the session's alone.
    Alone,
    /// Both, one after the other.
    Both,
}

/// What is sent, and answered before the next is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A query string.
    Sql(&'static str),
    /// A statement of the extended protocol, with its parameters.
    Bound(&'static str, &'static [&'static str]),
    /// Messages in one write.
    Pipeline(&'static [Piece]),
    /// A function called by its number, with its name and arguments.
    Call(&'static str, &'static [&'static str]),
    /// Bytes that are no message, behind each other.
    Bytes(&'static [u8]),
}

/// A message of a pipeline.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece {
    Query(&'static str),
    Parse(&'static str, &'static str),
    Bind(&'static str, &'static str),
    Execute(&'static str),
    Flush,
    Sync,
}

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Must {
    /// Whether it is refused or runs: no row of the other tenant shows, in its answer or
    /// behind it, and the setting does not become the other tenant's.
    Hold,
    /// The same, and these errors are what it leads to where the promise holds.
    HoldOr(&'static [&'static str]),
    /// The same of rows alone where the tables are sealed: code of the client's own may
    /// change a setting that nothing rests on.
    HoldRows,
    /// The proxy refuses it: it does not reach PostgreSQL.
    Refuse,
    /// It fails with one of these, whoever says so.
    Fail(&'static [&'static str]),
}

/// Every layout.
const ANY: &[Kind] = &[Kind::Setting, Kind::Schema, Kind::Database];
const SETTING: &[Kind] = &[Kind::Setting];
const SCHEMA: &[Kind] = &[Kind::Schema];
/// Where tenants share a database.
const SHARED: &[Kind] = &[Kind::Setting, Kind::Schema];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Attack> {
    [
        setting::ATTACKS,
        resets::ATTACKS,
        roles::ATTACKS,
        code::ATTACKS,
        reach::ATTACKS,
        messages::ATTACKS,
        shared::ATTACKS,
    ]
    .into_iter()
    .flatten()
}

const fn attack(
    id: &'static str,
    promise: &'static str,
    kinds: &'static [Kind],
    way: Way,
    must: Must,
    steps: &'static [Step],
) -> Attack {
    Attack {
        id,
        promise,
        kinds,
        way,
        steps,
        must,
    }
}
