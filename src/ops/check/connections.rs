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
    let size = wanted.pool_size;
    let sum = format!(
        "{} databases with a pool.size of {size} make {}",
        wanted.databases,
        wanted.databases.saturating_mul(size)
    );
    let name = looker.database.name.clone();
    for (object, pools, detail, limit) in [
        ("max_connections".to_owned(), wanted.databases, sum, server),
        (
            format!("database {name}"),
            1,
            format!("its pool.size is {size}"),
            database,
        ),
        (
            format!("role {}", wanted.shared_role),
            wanted.databases_of_role,
            format!(
                "{} databases with a pool.size of {size} are used as it",
                wanted.databases_of_role
            ),
            role,
        ),
    ] {
        // Negative is none at all.
        let Ok(limit) = usize::try_from(limit) else {
            continue;
        };
        if pools.saturating_mul(size) > limit {
            let most = limit.checked_div(pools).filter(|most| *most > 0);
            let fix = most.map(|most| format!("-- in the configuration, [pool]: size = {most}"));
            let detail = format!("{detail}; its limit for all but superusers is {limit}");
            looker.of_server(&CONNECTIONS, object, detail, fix);
        }
    }
    Ok(())
}
