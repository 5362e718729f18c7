//! `SHOW` in PgBouncer's words, with the columns of its version 1.23: the database is
//! what clients ask for, the user is their login.

use super::table::{Table, Value};
use super::{Memory, Setting, Steered, own, sockets, stats};
use crate::config::Server;
use crate::pool::{ConnectionState, PoolView, Scope};
use crate::session::{SessionState, SessionView};
use crate::tenant::{Endpoint, Tenant, TenantId};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

/// What `SHOW HELP` tells.
pub(super) const HELP: &str = "Console usage
\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION
\tSHOW PEERS|PEER_POOLS
\tSHOW SOCKETS|ACTIVE_SOCKETS|LISTS|MEM|STATE
\tSHOW DNS_HOSTS|DNS_ZONES
\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS
\tSHOW TENANTS|LOGINS|REFUSALS|PINS|DIRECTORY|CERTIFICATES|AUDIT|WORKERS
\tPAUSE [<db> | TENANT <id>]
\tRESUME [<db> | TENANT <id>]
\tDISABLE <db> | TENANT <id>
\tENABLE <db> | TENANT <id>
\tSUSPEND
\tRECONNECT [<db>]
\tWAIT_CLOSE [<db>]
\tKILL [<db> | TENANT <id>]
\tKILL_TENANT <id>
\tKILL_CLIENT <ptr>
\tRELOAD
\tSET key = value
\tSHUTDOWN [WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS]
";

const POOLS: &str = "database:t user:t cl_active:i cl_waiting:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active:i sv_active_cancel:i sv_being_canceled:i sv_idle:i sv_used:i sv_tested:i sv_login:i maxwait:i maxwait_us:i pool_mode:t";
const DATABASES: &str = "name:t host:t port:i database:t force_user:t pool_size:i min_pool_size:i reserve_pool:i server_lifetime:i pool_mode:t max_connections:i current_connections:i paused:i disabled:i";

/// What `SHOW what` shows; `None` if there is no such word.
pub(super) fn table(what: &str, steered: &impl Steered) -> Option<Table> {
    let table = match what {
        "pools" => pools(steered),
        "databases" => databases(steered),
        "clients" => sockets::clients(steered),
        "servers" => sockets::servers(steered),
        "sockets" | "active_sockets" => sockets::all(steered),
        "lists" => lists(steered),
        "users" => users(steered),
        "config" => config(steered),
        "version" => one("version:t", "PgBouncer 1.23.1 (pgtenant)".into()),
        "state" => state(steered),
        "mem" => memory(steered),
        "help" => Table::new("help:t"),
        "peers" => peers(steered),
        "peer_pools" => peer_pools(steered),
        "dns_hosts" => Table::new("hostname:t ttl:q addrs:t"),
        "dns_zones" => Table::new("zonename:t serial:q count:i"),
        "client_encoding" => one("client_encoding:t", "UTF8".into()),
        "standard_conforming_strings" => one("standard_conforming_strings:t", "on".into()),
        "datestyle" => one("datestyle:t", "ISO, MDY".into()),
        "timezone" => one("timezone:t", "GMT".into()),
        "default_transaction_isolation" => {
            one("default_transaction_isolation:t", "read committed".into())
        }
        _ => return stats::table(what, steered).or_else(|| own::table(what, steered)),
    };
    Some(table)
}

fn one(column: &'static str, value: Value) -> Table {
    let mut table = Table::new(column);
    table.row([value]);
    table
}

/// The databases that clients ask for now, and those of pools: by name and, since logins
/// of one tenant may be for several servers, by server; each with what it stands for.
fn names<'v>(
    sessions: &'v [SessionView],
    pools: &'v [PoolView],
) -> BTreeMap<(&'v str, &'v str), &'v Endpoint> {
    let key = |name: &'v str, endpoint: &'v Endpoint| ((name, endpoint.server.as_str()), endpoint);
    let of_pools = pools.iter().map(|pool| &pool.endpoint);
    let of_pools = of_pools.map(|endpoint| key(&endpoint.database, endpoint));
    let asked = sessions.iter();
    let asked = asked.map(|session| key(&session.database, &session.endpoint));
    of_pools.chain(asked).collect()
}

#[derive(Default)]
struct Row {
    active: usize,
    waiting: usize,
    used: usize,
    idle: usize,
    login: usize,
    longest: Duration,
}

fn pools(steered: &impl Steered) -> Table {
    let (sessions, pools) = (steered.sessions(), steered.pools());
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    // Connections that nobody uses are the tenant's, not one login's: they stand with
    // the first login of its that is there for the same server.
    let mut first: HashMap<(TenantId, Endpoint), (String, String)> = HashMap::new();
    for session in &sessions {
        let key = (session.database.to_string(), session.login.to_string());
        let known = first
            .entry((session.tenant.id.clone(), session.endpoint.clone()))
            .or_insert_with(|| key.clone());
        if key < *known {
            known.clone_from(&key);
        }
        let row = rows.entry(key).or_default();
        match session.state {
            SessionState::Waiting => {
                row.waiting += 1;
                row.longest = row.longest.max(since(session.since));
            }
            SessionState::Idle | SessionState::Attaching => row.active += 1,
            SessionState::Active => {
                row.active += 1;
                row.used += 1;
            }
        }
    }
    for pool in &pools {
        let database = pool.endpoint.database.to_string();
        let nobodys = || (database.clone(), pool.server.user.to_string());
        for connection in &pool.connections {
            let tenant = connection.tenant.as_ref();
            if let ConnectionState::Idle | ConnectionState::Scrubbing = connection.state {
                let of = tenant.map(|id| (id.clone(), pool.endpoint.clone()));
                let key = of.and_then(|of| first.get(&of)).cloned();
                rows.entry(key.unwrap_or_else(nobodys)).or_default().idle += 1;
            }
        }
        if pool.opening > 0 {
            rows.entry(nobodys()).or_default().login += pool.opening;
        }
    }
    let mode = mode(steered);
    let mut table = Table::new(POOLS);
    for ((database, user), row) in rows {
        let zero = || Value::Number(0);
        table.row([
            database.into(),
            user.into(),
            row.active.into(),
            row.waiting.into(),
            zero(),
            zero(),
            row.used.into(),
            zero(),
            zero(),
            row.idle.into(),
            zero(),
            zero(),
            row.login.into(),
            seconds(row.longest),
            row.longest.subsec_micros().into(),
            mode.clone(),
        ]);
    }
    table
}

fn mode(steered: &impl Steered) -> Value {
    let mut configured = steered.configured().into_iter();
    let mode = configured.find(|one| one.key == "pool_mode");
    mode.map_or(Value::Null, |mode| mode.value.into())
}

/// The database that a client's name of it stands for: its scopes.
fn stands(scopes: &std::collections::HashSet<Scope>, database: &str) -> Value {
    let is_in = scopes.iter().any(|scope| scope.has_database(database));
    Value::Number(is_in.into())
}

fn databases(steered: &impl Steered) -> Table {
    let (sessions, pools) = (steered.sessions(), steered.pools());
    let (paused, disabled) = (steered.paused(), steered.disabled());
    let mode = mode(steered);
    let mut table = Table::new(DATABASES);
    for ((name, _), endpoint) in names(&sessions, &pools) {
        let Some(pool) = pools.iter().find(|pool| pool.endpoint == *endpoint) else {
            continue;
        };
        // Isolations can have pools of their own in one database.
        let all = pools.iter().filter(|other| other.endpoint == pool.endpoint);
        let all: Vec<_> = all.collect();
        let sum = |of: fn(&PoolView) -> usize| all.iter().map(|pool| of(pool)).sum::<usize>();
        let (host, port) = place(&pool.server);
        table.row([
            name.into(),
            host.into(),
            port.into(),
            (&*pool.endpoint.database).into(),
            (&*pool.server.user).into(),
            sum(|pool| pool.size).into(),
            sum(|pool| pool.min_idle).into(),
            Value::Number(0),
            Value::Number(0),
            mode.clone(),
            sum(|pool| pool.size).into(),
            sum(|pool| pool.connections.len()).into(),
            stands(&paused, &pool.endpoint.database),
            stands(&disabled, name),
        ]);
    }
    table
}

/// Where the server is: of several hosts, where it was reached last.
fn place(server: &Server) -> (String, u16) {
    let reached = server.reached.get().filter(|_| server.hosts.are_several());
    match reached {
        Some(address) => (address.ip().to_string(), address.port()),
        None => {
            let host = server.hosts.first();
            (host.name.to_string(), host.port)
        }
    }
}

fn peers(steered: &impl Steered) -> Table {
    let mut table = Table::new("peer_id:i host:t port:i pool_size:i");
    for peer in steered.peers() {
        table.row([
            u16::from(peer.id).into(),
            peer.host.name.to_string().into(),
            peer.host.port.into(),
            peer.lanes.into(),
        ]);
    }
    table
}

fn peer_pools(steered: &impl Steered) -> Table {
    let mut table = Table::new(
        "peer_id:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active_cancel:i sv_login:i",
    );
    for peer in steered.peers() {
        table.row([
            u16::from(peer.id).into(),
            peer.active.into(),
            peer.waiting.into(),
            peer.active.into(),
            0_u16.into(),
        ]);
    }
    table
}

/// How long ago.
pub(super) fn since(time: SystemTime) -> Duration {
    SystemTime::now().duration_since(time).unwrap_or_default()
}

pub(super) fn seconds(time: Duration) -> Value {
    Value::Number(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

fn lists(steered: &impl Steered) -> Table {
    let (sessions, pools) = (steered.sessions(), steered.pools());
    let connections = || pools.iter().flat_map(|pool| &pool.connections);
    let used = connections()
        .filter(|one| one.state == ConnectionState::Active)
        .count();
    let items = [
        ("databases", names(&sessions, &pools).len()),
        ("users", steered.directory().len()),
        ("peers", steered.peers().len()),
        ("pools", pools.len()),
        ("peer_pools", steered.peers().len()),
        ("free_clients", 0),
        (
            "used_clients",
            sessions.len() + steered.administrators().len(),
        ),
        ("login_clients", 0),
        ("free_servers", connections().count() - used),
        ("used_servers", used),
        ("dns_names", 0),
        ("dns_zones", 0),
        ("dns_queries", 0),
        ("dns_pending", 0),
    ];
    let mut table = Table::new("list:t items:i");
    for (list, items) in items {
        table.row([list.into(), items.into()]);
    }
    table
}

fn users(steered: &impl Steered) -> Table {
    let mut table =
        Table::new("name:t pool_size:t pool_mode:t max_user_connections:i current_connections:i");
    let mut users: BTreeMap<_, (usize, Option<usize>)> = BTreeMap::new();
    for session in steered.sessions() {
        let most = |tenant: &Tenant| tenant.limits.pool_size;
        let user = users
            .entry(session.login)
            .or_insert((0, most(&session.tenant)));
        user.0 += usize::from(session.backend.is_some());
    }
    for (name, (connections, most)) in users {
        let size = most.map_or(Value::Null, |most| most.to_string().into());
        table.row([
            name.as_str().into(),
            size,
            Value::Null,
            most.unwrap_or(0).into(),
            connections.into(),
        ]);
    }
    table
}

fn config(steered: &impl Steered) -> Table {
    let mut table = Table::new("key:t value:t default:t changeable:t");
    let mut configured = steered.configured();
    configured.sort_by_key(|one| one.key);
    for one in configured {
        let changeable = match Setting::named(one.key) {
            Some(_) => "yes",
            None => "no",
        };
        table.row([
            one.key.into(),
            one.value.into(),
            one.default.into(),
            changeable.into(),
        ]);
    }
    table
}

fn memory(steered: &impl Steered) -> Table {
    let mut table = Table::new("name:t size:i used:i free:i memtotal:i");
    for Memory { name, used, total } in steered.memory() {
        let each = total.checked_div(used).unwrap_or(0);
        table.row([
            name.into(),
            each.into(),
            used.into(),
            Value::Number(0),
            total.into(),
        ]);
    }
    table
}

fn state(steered: &impl Steered) -> Table {
    let stopped = steered.paused().contains(&Scope::All);
    let suspended = stopped && steered.is_suspended();
    let mut table = Table::new("key:t value:t");
    let states = [
        ("active", !stopped),
        ("paused", stopped && !suspended),
        ("suspended", suspended),
    ];
    for (key, is_so) in states {
        table.row([key.into(), if is_so { "yes" } else { "no" }.into()]);
    }
    table
}
