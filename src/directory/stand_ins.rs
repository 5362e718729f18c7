//! The servers that logins may name in place of their tenant's.

use crate::tenant::{ServerName, Tenant};
use std::collections::{BTreeMap, BTreeSet};

/// Which servers have the data of which others: the replicas, and what they follow.
#[derive(Debug, Clone, Default)]
pub(crate) struct StandIns {
    replicas: BTreeMap<ServerName, BTreeSet<ServerName>>,
    /// Where clients of any tenant can be without a login that says so.
    of_profiles: BTreeSet<ServerName>,
}

impl StandIns {
    /// `replica` has the data of `server`.
    pub(crate) fn add(&mut self, replica: ServerName, server: ServerName) {
        self.replicas.entry(replica).or_default().insert(server);
    }

    /// Clients of whatever tenant may be for this server, by their credential.
    pub(crate) fn add_of_profile(&mut self, server: ServerName) {
        self.of_profiles.insert(server);
    }

    /// Where clients of the tenant can be without a login that says so.
    pub(super) fn of_profiles(&self, tenant: &Tenant) -> impl Iterator<Item = &ServerName> {
        let all = self.of_profiles.iter();
        all.filter(|server| self.admit(server, tenant).is_ok())
    }

    /// Whether a login of the tenant may be for this server, or why not: on any other
    /// its database, its role or its values could be somebody else's.
    pub(crate) fn admit(&self, server: &ServerName, tenant: &Tenant) -> Result<(), String> {
        let own = &tenant.placement.endpoint.server;
        if server == own
            || self
                .replicas
                .get(server)
                .is_some_and(|all| all.contains(own))
        {
            return Ok(());
        }
        Err(format!(
            "the server {:?} is not known to be a replica of {:?}, where the tenant's data is: its \
             section needs replica_of = {:?}, or target = \"replica\" and no host that is not one \
             of that server's",
            server.as_str(),
            own.as_str(),
            own.as_str(),
        ))
    }
}
