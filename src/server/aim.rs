//! Asking a new connection whether its host is what `servers.NAME.target` asks for.

use super::Parameters;
use super::authenticate::Login;
use super::connect::{ConnectError, Target};
use crate::config::TargetRole;

const STANDBY: &str = "a standby";
const PRIMARY: &str = "a primary";
const SUPERSEDED: &str = "a primary of before: another host was promoted after it";

/// Whether it is a standby and, of a primary, a file name that begins with the timeline.
const QUERY: &str = "SELECT pg_catalog.pg_is_in_recovery(), CASE WHEN NOT \
    pg_catalog.pg_is_in_recovery() THEN \
    pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END";

impl Login {
    /// Refuses a host that is not meant, before anybody is given the connection. Returns
    /// its timeline; 0: it was not asked for it.
    pub(super) async fn aim(
        &mut self,
        target: &Target<'_>,
        parameters: &mut Parameters,
    ) -> Result<u32, ConnectError> {
        let server = target.server;
        let timeline = self.take_role(target, parameters).await?;
        if let Some(primary) = &server.replica_of {
            self.identify(primary, target, parameters).await?;
        }
        if let Some(limit) = server.lag_limit {
            let seen = server.reached.seen_at(self.address.socket);
            let seen = self.keeps_up(limit, seen, parameters).await?;
            server.reached.see_at(self.address.socket, seen);
        }
        Ok(timeline)
    }

    /// Refuses a host that does not have the role that is asked for. Of several that say
    /// that they are the primary, the one is meant that was promoted last.
    async fn take_role(
        &mut self,
        target: &Target<'_>,
        parameters: &mut Parameters,
    ) -> Result<u32, ConnectError> {
        let server = target.server;
        let wanted = server.target;
        if wanted == TargetRole::Any {
            return Ok(0);
        }
        // Since PostgreSQL 14, unless something is between.
        let reported = parameters.get("in_hot_standby").map(|value| value == "on");
        if let Some(is_standby) = reported {
            judge(wanted, is_standby)?;
        }
        let has_rivals = wanted == TargetRole::Primary && server.hosts.are_several();
        if reported.is_some() && !has_rivals {
            return Ok(0);
        }
        let mut row = match self.row(QUERY, parameters).await? {
            Ok(row) => row.into_iter(),
            // Somebody has taken the right to these functions away.
            Err(report) if reported.is_none() => return Err(ConnectError::Refused(report)),
            Err(_) => return Ok(0),
        };
        judge(wanted, row.next().flatten().as_deref() == Some("t"))?;
        match row.next().flatten().as_deref().and_then(timeline) {
            Some(timeline) if has_rivals => match server.reached.leads(timeline) {
                true => Ok(timeline),
                false => Err(ConnectError::Target(SUPERSEDED)),
            },
            _ => Ok(0),
        }
    }
}

fn judge(wanted: TargetRole, is_standby: bool) -> Result<(), ConnectError> {
    match (wanted, is_standby) {
        (TargetRole::Primary, true) => Err(ConnectError::Target(STANDBY)),
        (TargetRole::Replica, false) => Err(ConnectError::Target(PRIMARY)),
        _ => Ok(()),
    }
}

/// The first eight digits of a WAL file's name.
fn timeline(file: &str) -> Option<u32> {
    u32::from_str_radix(file.get(..8)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_is_read_from_the_name_of_a_file() {
        assert_eq!(timeline("000000030000000000000004"), Some(3));
        assert_eq!(timeline("0000001F00000000"), Some(31));
        assert_eq!(timeline("0000"), None);
        assert_eq!(timeline("zzzzzzzz"), None);
    }
}
