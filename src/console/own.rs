//! `SHOW` in words of pgtenant's own.

use super::Steered;
use super::table::{Table, Value};
use crate::directory::Method;
use crate::session::{Hold, SessionState};
use crate::tenant::TenantId;
use std::collections::BTreeMap;

/// What `SHOW what` shows; `None` if there is no such word.
pub(super) fn table(what: &str, steered: &impl Steered) -> Option<Table> {
    Some(match what {
        "tenants" => tenants(steered),
        "logins" => logins(steered),
        "refusals" => refusals(steered),
        "audit" => audit(steered),
        "pins" => pins(steered),
        "directory" => directory(steered),
        "certificates" => certificates(steered),
        "workers" => workers(steered),
        _ => return None,
    })
}

#[derive(Default)]
struct Tenant {
    clients: usize,
    active: usize,
    waiting: usize,
    pinned: usize,
    connections: usize,
}

/// Those that have a client or a connection.
fn tenants(steered: &impl Steered) -> Table {
    let mut tenants: BTreeMap<TenantId, Tenant> = BTreeMap::new();
    for session in steered.sessions() {
        let tenant = tenants.entry(session.tenant.id.clone()).or_default();
        tenant.clients += 1;
        match session.state {
            SessionState::Waiting => tenant.waiting += 1,
            SessionState::Active | SessionState::Attaching => tenant.active += 1,
            SessionState::Idle => {}
        }
        tenant.pinned += usize::from(session.hold != Hold::No);
    }
    for one in steered.pools().into_iter().flat_map(|pool| pool.tenants) {
        tenants.entry(one.tenant).or_default().connections += one.connections;
    }
    let directory = steered.directory();
    let mut table = Table::new(
        "tenant:t name:t isolation:t state:t server:t database:t clients:i active:i waiting:i pinned:i server_connections:i",
    );
    for (id, one) in tenants {
        let known = directory.tenant(&id);
        let text = |look: fn(&crate::tenant::Tenant) -> String| {
            known.map_or(Value::Null, |tenant| look(tenant).into())
        };
        table.row([
            id.as_str().into(),
            text(|tenant| tenant.name.clone()),
            text(|tenant| tenant.isolation.to_string()),
            text(|tenant| tenant.standing.name().to_owned()),
            text(|tenant| tenant.placement.endpoint.server.to_string()),
            text(|tenant| tenant.placement.endpoint.database.to_string()),
            one.clients.into(),
            one.active.into(),
            one.waiting.into(),
            one.pinned.into(),
            one.connections.into(),
        ]);
    }
    table
}

/// Those that have a client.
fn logins(steered: &impl Steered) -> Table {
    let mut logins: BTreeMap<_, (usize, _)> = BTreeMap::new();
    for session in steered.sessions() {
        let endpoint = (session.endpoint, session.profile);
        let key = (session.login, session.tenant.id.clone());
        logins.entry(key).or_insert((0, endpoint)).0 += 1;
    }
    let directory = steered.directory();
    let mut table = Table::new("user:t tenant:t methods:t clients:i server:t profile:t");
    for ((login, tenant), (clients, (endpoint, profile))) in logins {
        let listed = directory.find(login.as_str());
        let methods = listed.map(|login| {
            let methods = login.methods.iter().map(|method| match method {
                Method::Scram(_) => "scram",
                Method::Jwt => "jwt",
                Method::OauthBearer => "oauthbearer",
                Method::Certificate(_) => "cert",
                Method::CertificateAndScram(..) => "cert+scram",
            });
            methods.collect::<Vec<_>>().join(",")
        });
        table.row([
            login.as_str().into(),
            tenant.as_str().into(),
            methods.map_or(Value::Null, Value::from),
            clients.into(),
            endpoint.server.to_string().into(),
            profile.map_or(Value::Null, |profile| profile.name.as_str().into()),
        ]);
    }
    table
}

/// Who keeps a server connection without using it, and why.
fn pins(steered: &impl Steered) -> Table {
    let mut table = Table::new(
        "id:i tenant:t user:t database:t reason:t since:t remote_pid:i application_name:t",
    );
    for session in steered.sessions() {
        let reason = match session.hold {
            Hold::No => continue,
            Hold::Transaction => "transaction",
            Hold::Objects => "objects",
            Hold::Locks => "locks",
            Hold::Session => "session mode",
        };
        table.row([
            session.id.into(),
            session.tenant.id.as_str().into(),
            session.login.as_str().into(),
            (&*session.database).into(),
            reason.into(),
            session.since.into(),
            session.backend.map_or(0, |key| key.pid).into(),
            (&*session.application).into(),
        ]);
    }
    table
}

/// The statements that were refused last, the latest first.
fn refusals(steered: &impl Steered) -> Table {
    let mut table =
        Table::new("time:t tenant:t user:t client:t rule:t message:t enforced:t shape:t");
    for refused in steered.refusals() {
        table.row([
            refused.time.into(),
            refused.tenant.as_str().into(),
            refused.login.as_str().into(),
            refused.client.to_string().into(),
            refused.rule.into(),
            refused.message.into(),
            yes(refused.enforced).into(),
            refused.shape.map_or(Value::Null, Value::from),
        ]);
    }
    table
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

/// How the audit log is; no row without one.
fn audit(steered: &impl Steered) -> Table {
    let mut table = Table::new("key:t value:t");
    let Some(status) = steered.audit().status() else {
        return table;
    };
    let rows = [
        ("taken", status.taken.to_string()),
        ("written", status.written.to_string()),
        ("lost", status.lost.to_string()),
        ("waiting_bytes", status.waiting_bytes.to_string()),
        ("failed", yes(status.failed).to_owned()),
    ];
    for (key, value) in rows {
        table.row([key.into(), value.into()]);
    }
    table
}

fn directory(steered: &impl Steered) -> Table {
    let directory = steered.directory();
    let mut table = Table::new("key:t value:t");
    let complete = yes(directory.is_complete());
    let rows = [
        ("tenants", directory.tenants().count().to_string()),
        ("logins", directory.len().to_string()),
        ("complete", complete.to_owned()),
    ];
    for (key, value) in rows {
        table.row([key.into(), value.into()]);
    }
    table
}

fn certificates(steered: &impl Steered) -> Table {
    let mut table = Table::new("file:t validity:t");
    for (file, validity) in steered.certificates() {
        table.row([file.into(), validity.into()]);
    }
    table
}

fn workers(steered: &impl Steered) -> Table {
    let sessions = steered.sessions();
    let mut table = Table::new("worker:i clients:i active:i");
    for worker in 0..steered.workers() {
        let of_worker = || sessions.iter().filter(|session| session.worker == worker);
        let active = of_worker().filter(|session| session.state == SessionState::Active);
        table.row([
            worker.into(),
            of_worker().count().into(),
            active.count().into(),
        ]);
    }
    table
}
