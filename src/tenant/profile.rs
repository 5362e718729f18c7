//! What a login may, as a `[profiles.NAME]` says it for all logins that have it.

use super::{Limits, ProfileName, ServerName};
use std::sync::Arc;

/// `[profiles.NAME]`: what the clients of a login may. It never gives more than the
/// tenant has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The section's name.
    pub name: ProfileName,
    /// Transactions may only read.
    pub read_only: bool,
    /// Only masked data may be seen.
    pub masked: bool,
    /// Where statements run, if not on the tenant's server.
    pub server: Option<ServerName>,
    /// What a tenant has limits of, too; clients and connections are counted for each
    /// login.
    pub limits: Limits,
    /// Most that a statement may answer.
    pub most_result: MostResult,
}

/// A profile as everybody holds it: shared and immutable.
pub type SharedProfile = Arc<Profile>;

/// Most that a statement may answer; `None`: any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MostResult {
    /// In rows.
    pub rows: Option<u64>,
    /// In bytes of the messages with rows, as they go to the client.
    pub bytes: Option<u64>,
}
