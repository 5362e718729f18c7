//! `replica_of` and `lag_limit` of `[servers.NAME]`: a server that follows another one.

use super::reader::{Entry, Section};
use super::servers::Servers;
use super::{Server, TargetRole};
use crate::directory::StandIns;
use crate::tenant::ServerName;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What a section says: this server is a replica of that one.
pub(super) struct Says<'a> {
    replica: ServerName,
    primary: ServerName,
    entry: Entry<'a>,
}

/// The key `replica_of`, which names another section.
pub(super) fn of<'a>(name: &str, section: &mut Section<'a>, servers: &Servers) -> Option<Says<'a>> {
    let entry = section.optional("replica_of")?;
    let primary = servers.find(&entry)?;
    if primary.as_str() == name {
        entry.refuse("is the section itself: name that of the primary");
        return None;
    }
    Some(Says {
        replica: ServerName::new(name),
        primary,
        entry,
    })
}

/// Brings the servers together.
pub(super) fn resolve(all: Vec<Says<'_>>, servers: &mut BTreeMap<ServerName, Server>) {
    let primaries: Vec<_> = all.iter().map(|says| says.primary.clone()).collect();
    for says in all {
        if primaries.contains(&says.replica) {
            says.entry.refuse(format!(
                "has no meaning in a section that is the replica_of of another: let that one name \
                 {:?}, too",
                says.primary.as_str()
            ));
            continue;
        }
        let Some(primary) = servers.get(&says.primary).cloned() else {
            // It has a problem of its own.
            continue;
        };
        let Some(replica) = servers.get_mut(&says.replica) else {
            continue;
        };
        if replica.target != TargetRole::Replica {
            says.entry
                .refuse("has no meaning without target = \"replica\", its default beside this key");
            continue;
        }
        replica.replica_of = Some(Arc::new(primary));
    }
}

/// The key `lag_limit`, beside a `target` that it has a meaning with.
pub(super) fn lag_limit(section: &mut Section<'_>, target: Option<TargetRole>) -> Option<Duration> {
    let entry = section.optional("lag_limit")?;
    if target.is_some_and(|target| target != TargetRole::Replica) {
        entry.refuse("has no meaning without target = \"replica\": a primary does not lag");
        return None;
    }
    entry.duration(SHORTEST..=LONGEST)
}

/// Which servers a login may name in place of its tenant's.
pub(super) fn stand_ins(servers: &BTreeMap<ServerName, Server>) -> StandIns {
    let mut all = StandIns::default();
    for (name, server) in servers {
        let stands_for = |other: &&Server| other.name != *name && stands_for(server, other);
        for other in servers.values().filter(stands_for) {
            all.add(name.clone(), other.name.clone());
        }
    }
    all
}

/// Whether `replica` follows `other`, as far as the configuration says: its hosts are
/// hosts of the other one, or it is the replica of a section with the same hosts.
fn stands_for(replica: &Server, other: &Server) -> bool {
    let follows = match &replica.replica_of {
        Some(primary) => primary.hosts.meet(&other.hosts),
        None => replica.hosts.are_among(&other.hosts),
    };
    replica.target == TargetRole::Replica && follows
}
