//! Asking a new connection whether its host is of the cluster that `replica_of` names: a
//! standby has the system identifier of its primary, and a cluster that was made
//! otherwise has another one.

use super::Parameters;
use super::addresses::{Address, Attempt, addresses, first_of};
use super::authenticate::{Login, ask};
use super::connect::{ConnectError, Target, dial_at};
use super::secure::secure;
use crate::config::{Secret, Server};
use crate::protocol::backend::FrameError;
use crate::tenant::Vetting;

/// Asks a host for its cluster's system identifier: one row, as [`confirm`] takes it.
pub(crate) const IDENTITY: &str = "SELECT system_identifier FROM pg_catalog.pg_control_system()";

const FOREIGN: &str = "of another cluster than the server that it is a replica_of";

impl Login {
    /// Refuses a host of another cluster than `primary`'s, before anybody is given the
    /// connection. What is known of the primary is enough while it is away.
    pub(super) async fn identify(
        &mut self,
        primary: &Server,
        target: &Target<'_>,
        parameters: &mut Parameters,
    ) -> Result<(), ConnectError> {
        let row = self.row(IDENTITY, parameters).await?;
        let row = row.map_err(ConnectError::Refused)?;
        let own = row.first().and_then(Option::as_deref);
        confirm(target.server, primary, target.database, own).await
    }
}

/// Whether a host of `server` that says this of itself is of the cluster of `primary`.
pub(crate) async fn confirm(
    server: &Server,
    primary: &Server,
    database: &str,
    own: Option<&str>,
) -> Result<(), ConnectError> {
    let own = system(own)?;
    let reached = &server.reached;
    if reached.system(&primary.hosts) == Some(own) {
        return Ok(());
    }
    let asked = system_of(primary, database).await;
    let asked = asked.map_err(|error| ConnectError::Unverified(Box::new(error)))?;
    reached.set_system(&primary.hosts, asked);
    match asked == own {
        true => Ok(()),
        false => Err(ConnectError::Target(FOREIGN)),
    }
}

/// The system identifier that the first of the server's hosts tells that answers.
async fn system_of(server: &Server, database: &str) -> Result<u64, ConnectError> {
    let target = Target {
        server,
        database,
        user: &server.user,
        password: server.password.as_ref().map(Secret::reveal),
        base: &[],
        vetting: &Vetting::none(),
    };
    let target = &target;
    let attempt = |address: Address| -> Attempt<'_, _, _> {
        Box::pin(async move {
            let stream = dial_at(server, address).await?;
            let secured = secure(stream, server, address.host).await?;
            let row = ask(secured, target, address, IDENTITY).await?;
            system(row.first().and_then(Option::as_deref))
        })
    };
    let found = addresses(server).await?;
    first_of(found, server.connect_timeout, attempt, |_| false).await
}

fn system(text: Option<&str>) -> Result<u64, ConnectError> {
    // PostgreSQL shows it as a signed number.
    let number = text.and_then(|text| text.parse::<i64>().ok());
    Ok(number.ok_or(FrameError)?.cast_unsigned())
}
