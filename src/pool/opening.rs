//! Opening connections.

use super::backoff::{Advice, Failed};
use super::budget::Permit;
use super::welcome::Reported;
use super::{Flavor, Pool, lock, trial};
use crate::attach::{SessionSettings, base};
use crate::config::Secret;
use crate::server::{ConnectError, Connection, Held, Origin, Target, Unbound, connect};
use crate::tenant::{Placement, Vetting};
use std::sync::Arc;
use std::time::Instant;

impl Pool {
    /// Opens a connection; tries again until the deadline while the failure is a passing
    /// one: nothing of the client's has been sent yet.
    pub(super) async fn open(
        &self,
        placement: &Placement,
        deadline: Instant,
    ) -> Result<Connection<Unbound>, Arc<ConnectError>> {
        let flavor = self.flavor(placement);
        let left = deadline.saturating_duration_since(Instant::now());
        let Some(permit) = self.budget.take(left).await else {
            return Err(Arc::new(ConnectError::Full));
        };
        let mut permit = Some(permit);
        loop {
            let _turn = trial::turn(&self.trials, &flavor.user).await;
            let advice = lock(&self.backoff).advise(&flavor.user);
            match advice {
                Advice::Try(pause) => tokio::time::sleep(pause).await,
                Advice::Fail(error) => return Err(error),
            }
            match self.log_in(placement, &flavor, &mut permit).await {
                Ok(connection) => return Ok(connection),
                Err(failed) => {
                    let late = Instant::now() + failed.pause > deadline;
                    if late || !failed.error.is_passing() {
                        return Err(failed.error);
                    }
                }
            }
        }
    }

    /// Opens a connection before somebody needs it, where nothing has to make room for it;
    /// `None` where something has, or a failure is too fresh.
    pub(super) async fn open_ahead(
        &self,
        placement: &Placement,
    ) -> Result<Option<Connection<Unbound>>, Arc<ConnectError>> {
        let Some(permit) = self.budget.spare() else {
            return Ok(None);
        };
        let flavor = self.flavor(placement);
        let _turn = trial::turn(&self.trials, &flavor.user).await;
        if lock(&self.backoff).rests(&flavor.user) {
            return Ok(None);
        }
        let opened = self.log_in(placement, &flavor, &mut Some(permit)).await;
        opened.map(Some).map_err(|failed| failed.error)
    }

    /// Tries to open a connection, which takes the permit.
    async fn log_in(
        &self,
        placement: &Placement,
        flavor: &Flavor,
        permit: &mut Option<Permit>,
    ) -> Result<Connection<Unbound>, Failed> {
        let base = base(&placement.attachment, flavor.dedicated);
        let vetting = Vetting::of(placement);
        let target = Target {
            server: &self.server,
            database: &self.endpoint.database,
            user: &flavor.user,
            password: flavor.password.as_ref().map(Secret::reveal),
            base: &base,
            vetting: &vetting,
        };
        let failed = match connect(&target).await {
            Ok(mut connection) => {
                let held = permit.take().map(|permit| Arc::new(permit) as Held);
                connection.enrol(&self.roll, flavor.user.clone(), held);
                self.logged_in(&flavor.user);
                let parameters = connection.parameters();
                let new = Reported::new(placement, parameters, SessionSettings::default());
                lock(&self.welcomes).meet(&new);
                return Ok(connection);
            }
            // Its login has succeeded, and the next may be of another isolation.
            Err(error @ ConnectError::Unfit(_)) => {
                self.logged_in(&flavor.user);
                Failed::once(error)
            }
            Err(error) => lock(&self.backoff).failed(&flavor.user, error),
        };
        self.report(&flavor.user, &failed);
        Err(failed)
    }

    fn logged_in(&self, role: &Arc<str>) {
        lock(&self.trials).succeeded(role);
        lock(&self.backoff).succeeded(role);
    }

    fn report(&self, user: &str, failed: &Failed) {
        if failed.known {
            return;
        }
        tracing::warn!(
            target: "pgtenant::server",
            server = %self.endpoint.server,
            database = %self.endpoint.database,
            user,
            error = %failed.error,
            hint = failed.error.hint(&self.server, Origin::of(user, &self.server)),
            clients_told = failed.told,
            "cannot open a server connection"
        );
    }
}
