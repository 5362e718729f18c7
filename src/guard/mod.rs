//! The guard: from a statement to a verdict. Pure: no I/O, no async.
//!
//! Each isolation has a [`Guard`] of its own, because what is protected differs
//! (the tenant's setting, or `search_path`). [`Guard::inspect`] parses the text
//! with PostgreSQL's own grammar, walks every statement of it and says whether
//! it may be forwarded, and what it does to the session if it is.

mod verdict;

pub use verdict::{Effects, Refusal, TouchedSettings, Verdict};

/// `[guard]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether a refused statement is stopped.
    pub mode: Mode,
    /// Code that the guard cannot see into (DO, CREATE FUNCTION, …).
    pub opaque: Permission,
    /// Channels between tenants (LISTEN/NOTIFY, advisory locks, …).
    pub channels: Permission,
}

/// Whether a refused statement is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is stopped.
    Enforce,
    /// It passes and is logged: isolation is not enforced.
    Report,
}

/// Whether a kind of statement passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It passes.
    Allow,
    /// It is refused.
    Reject,
}
