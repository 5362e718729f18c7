//! Whether a server takes the connections that the pools can open.

use super::catalogue::surroundings::CONNECTIONS;
use super::database::Looker;
use super::scope::Wanted;
use tokio_postgres::Error;

/// The server's limit, without what it keeps for others; then the limits of the
/// database and of the role that all tenants share, -1 for none.
const LIMITS: &str = "SELECT current_setting('max_connections')::int \
     - current_setting('superuser_reserved_connections')::int \
     - coalesce(current_setting('reserved_connections', true)::int, 0), \
     (SELECT datconnlimit FROM pg_database WHERE datname = current_database()), \
     coalesce((SELECT rolconnlimit FROM pg_roles WHERE rolname = $1), -1)";

/// Adds what is over a limit.
pub(super) async fn check(looker: &mut Looker<'_>, wanted: &Wanted) -> Result<(), Error> {
    let client = &looker.database.client;
    let row = client.query_one(LIMITS, &[&wanted.shared_role]).await?;
    let (server, database, role): (i32, i32, i32) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let Wanted {
        all,
        of_database,
        of_role,
        shared_role,
    } = wanted;
    let name = looker.database.name.clone();
    let own = match of_database.size {
        Some(size) if of_database.pools == 1 => format!("its pool.size is {size}"),
        _ => format!(
            "its {} make {}",
            of_database.shown(),
            of_database.connections
        ),
    };
    for (object, pools, detail, limit) in [
        (
            "max_connections".to_owned(),
            all,
            format!("{} make {}", all.shown(), all.connections),
            server,
        ),
        (format!("database {name}"), of_database, own, database),
        (
            format!("role {shared_role}"),
            of_role,
            format!("{} are used as it", of_role.shown()),
            role,
        ),
    ] {
        // Negative is none at all.
        let Ok(limit) = usize::try_from(limit) else {
            continue;
        };
        if pools.connections > limit {
            let most = limit.checked_div(pools.pools).filter(|most| *most > 0);
            let most = most.filter(|_| pools.size.is_some());
            let fix = most.map(|most| format!("-- in the configuration, [pool]: size = {most}"));
            let detail = format!("{detail}; its limit for all but superusers is {limit}");
            looker.of_server(&CONNECTIONS, object, detail, fix);
        }
    }
    Ok(())
}
