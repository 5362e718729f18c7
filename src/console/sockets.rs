//! `SHOW CLIENTS`, `SERVERS` and `SOCKETS`: each connection.

use super::Steered;
use super::show::{seconds, since};
use super::table::{Table, Value};
use crate::pool::{ConnectionState, ConnectionView};
use crate::session::SessionState;
use crate::tenant::LoginName;
use crate::transport::ClientAddress;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

const SOCKET: &str = "type:t user:t database:t replication:t state:t addr:t port:i local_addr:t local_port:i connect_time:t request_time:t wait:i wait_us:i close_needed:i ptr:t link:t remote_pid:i tls:t application_name:t prepared_statements:i";
const SOCKETS: &str = "type:t user:t database:t replication:t state:t addr:t port:i local_addr:t local_port:i connect_time:t request_time:t wait:i wait_us:i close_needed:i ptr:t link:t remote_pid:i tls:t application_name:t prepared_statements:i recv_pos:i pkt_pos:i pkt_remain:i send_pos:i send_remain:i pkt_avail:i send_avail:i";
/// How many columns `SOCKETS` has more, which are of PgBouncer's buffers.
const MORE: usize = 7;

pub(super) fn clients(steered: &impl Steered) -> Table {
    of_clients(SOCKET, steered, 0)
}

pub(super) fn servers(steered: &impl Steered) -> Table {
    of_servers(SOCKET, steered, 0)
}

pub(super) fn all(steered: &impl Steered) -> Table {
    let mut table = of_clients(SOCKETS, steered, MORE);
    table.rows.extend(of_servers(SOCKETS, steered, MORE).rows);
    table
}

/// PgBouncer's word for a Unix-domain socket.
fn client(address: &ClientAddress) -> [Value; 2] {
    match address {
        ClientAddress::Tcp(address) => ip(Some(*address)),
        ClientAddress::Local => ["unix".into(), 0_u16.into()],
    }
}

fn ip(address: Option<SocketAddr>) -> [Value; 2] {
    match address {
        Some(address) => [address.ip().to_string().into(), address.port().into()],
        None => ["".into(), Value::Number(0)],
    }
}

/// A client or an administrator, as a row.
struct Client<'a> {
    user: &'a LoginName,
    database: &'a str,
    state: &'static str,
    address: &'a ClientAddress,
    local: Option<SocketAddr>,
    connected: SystemTime,
    asked: SystemTime,
    wait: Duration,
    ptr: String,
    /// The server's process that serves it.
    backend: Option<u32>,
    tls: Option<&'a str>,
    application: &'a str,
    prepared: u32,
}

impl Client<'_> {
    fn row(self, more: usize) -> impl Iterator<Item = Value> {
        let link = self.backend.map_or(String::new(), |pid| pid.to_string());
        let [addr, port] = client(self.address);
        let [local_addr, local_port] = ip(self.local);
        let row = [
            "C".into(),
            self.user.as_str().into(),
            self.database.into(),
            "none".into(),
            self.state.into(),
            addr,
            port,
            local_addr,
            local_port,
            self.connected.into(),
            self.asked.into(),
            seconds(self.wait),
            self.wait.subsec_micros().into(),
            Value::Number(0),
            self.ptr.into(),
            link.into(),
            self.backend.unwrap_or_default().into(),
            self.tls.unwrap_or_default().into(),
            self.application.into(),
            self.prepared.into(),
        ];
        row.into_iter()
            .chain(std::iter::repeat_n(Value::Number(0), more))
    }
}

fn of_clients(columns: &'static str, steered: &impl Steered, more: usize) -> Table {
    let mut table = Table::new(columns);
    let mut sessions = steered.sessions();
    sessions.sort_by_key(|session| session.id);
    for session in &sessions {
        let row = Client {
            user: &session.login,
            database: &session.database,
            state: match session.state {
                SessionState::Waiting => "waiting",
                SessionState::Idle => "idle",
                SessionState::Attaching | SessionState::Active => "active",
            },
            address: &session.address,
            local: session.local,
            connected: session.connected,
            asked: session.since,
            wait: match session.state {
                SessionState::Waiting => since(session.since),
                _ => Duration::ZERO,
            },
            ptr: session.id.to_string(),
            backend: session.backend.map(|key| key.pid),
            tls: session.tls.as_deref(),
            application: &session.application,
            prepared: session.prepared,
        };
        table.row(row.row(more));
    }
    for (number, administrator) in &steered.administrators() {
        let row = Client {
            user: &administrator.user,
            database: &administrator.database,
            state: "active",
            address: &administrator.address,
            local: administrator.local,
            connected: administrator.connected,
            asked: administrator.asked,
            wait: Duration::ZERO,
            ptr: format!("admin-{number}"),
            backend: None,
            tls: administrator.tls.as_deref(),
            application: &administrator.application,
            prepared: 0,
        };
        table.row(row.row(more));
    }
    table
}

fn of_servers(columns: &'static str, steered: &impl Steered, more: usize) -> Table {
    let sessions = steered.sessions();
    let linked: HashMap<_, _> = sessions
        .iter()
        .filter_map(|session| {
            let key = session.backend?;
            Some((
                (key.address.map(|address| address.socket), key.pid),
                session,
            ))
        })
        .collect();
    let mut table = Table::new(columns);
    for pool in steered.pools() {
        for ConnectionView {
            card, state, idle, ..
        } in &pool.connections
        {
            let session = linked.get(&(card.address, card.pid));
            let shown = match state {
                ConnectionState::Active => "active",
                ConnectionState::Idle => "idle",
                ConnectionState::Scrubbing => "tested",
                ConnectionState::Closing => "used",
            };
            let now = SystemTime::now();
            let used = match (session, idle) {
                (Some(session), _) => session.since,
                (None, Some(idle)) => now.checked_sub(*idle).unwrap_or(now),
                (None, None) => card.connected,
            };
            let link = session.map_or(String::new(), |session| session.id.to_string());
            let [addr, port] = ip(card.address);
            let row = [
                "S".into(),
                (&*card.role).into(),
                (&*pool.endpoint.database).into(),
                "none".into(),
                shown.into(),
                addr,
                port,
                "".into(),
                Value::Number(0),
                card.connected.into(),
                used.into(),
                Value::Number(0),
                Value::Number(0),
                Value::Number((*state == ConnectionState::Closing).into()),
                card.pid.to_string().into(),
                link.into(),
                card.pid.into(),
                card.tls.as_deref().unwrap_or_default().into(),
                "".into(),
                Value::Number(0),
            ];
            table.row(
                row.into_iter()
                    .chain(std::iter::repeat_n(Value::Number(0), more)),
            );
        }
    }
    table
}
