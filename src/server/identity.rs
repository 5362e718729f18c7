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

const QUERY: &str = "SELECT system_identifier FROM pg_catalog.pg_control_system()";

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
        let row = self.row(QUERY, parameters).await?;
        let own = system(&row.map_err(ConnectError::Refused)?)?;
        let reached = &target.server.reached;
        if reached.system(&primary.hosts) == Some(own) {
            return Ok(());
        }
        let asked = system_of(primary, target.database).await;
        let asked = asked.map_err(|error| ConnectError::Unverified(Box::new(error)))?;
        reached.set_system(&primary.hosts, asked);
        match asked == own {
            true => Ok(()),
            false => Err(ConnectError::Target(FOREIGN)),
        }
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
            system(&ask(secured, target, address, QUERY).await?)
        })
    };
    let found = addresses(server).await?;
    first_of(found, server.connect_timeout, attempt, |_| false).await
}

fn system(row: &[Option<String>]) -> Result<u64, ConnectError> {
    let text = row.first().and_then(Option::as_deref);
    // PostgreSQL shows it as a signed number.
    let number = text.and_then(|text| text.parse::<i64>().ok());
    Ok(number.ok_or(FrameError)?.cast_unsigned())
}
