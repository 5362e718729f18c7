//! What `SHOW CONFIG` shows: settings in force, by PgBouncer's names.

use super::Control;
use super::sockets::BACKLOG;
use crate::config::{AdminRole, ClientTls, PoolMode};
use crate::console::{Configured, PERIOD};
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

impl Control {
    /// What is in force where PgBouncer has the same thing.
    pub(super) fn configured(&self) -> Vec<Configured> {
        let mut rows = Vec::new();
        self.of_listeners(&mut rows);
        self.of_pools(&mut rows);
        self.of_administrators(&mut rows);
        rows
    }

    fn of_listeners(&self, rows: &mut Vec<Configured>) {
        let live = self.shared.live.load();
        let listen = &live.listen;
        let timeouts = listen.timeouts;
        let addresses = self.addresses_started();
        let hosts = list(addresses.iter().map(SocketAddr::ip));
        let port = addresses.first().map_or(0, SocketAddr::port);
        let sslmode = match live.tls {
            ClientTls::Off => "disable",
            ClientTls::Allow(_) => "allow",
            ClientTls::Require(_) => "require",
        };
        let own = live.tls.certificates();
        let certificate = own.map(|own| own.certificate.display());
        let key = own.map(|own| own.key.display());
        rows.extend([
            row("listen_addr", hosts, "127.0.0.1"),
            row("listen_port", port, "6432"),
            row("listen_backlog", BACKLOG, "1024"),
            row("max_client_conn", listen.max_clients, "10000"),
            row(
                "max_user_client_connections",
                listen.clients_per_tenant,
                "10000",
            ),
            row("client_login_timeout", seconds(listen.login_timeout), "10"),
            row("query_timeout", limit(timeouts.statement_timeout), "0"),
            row(
                "idle_transaction_timeout",
                limit(timeouts.idle_in_transaction_timeout),
                "0",
            ),
            row(
                "transaction_timeout",
                limit(timeouts.transaction_timeout),
                "0",
            ),
            row(
                "client_idle_timeout",
                limit(timeouts.client_idle_timeout),
                "0",
            ),
            row("max_packet_size", listen.max_statement, "1048576"),
            row("client_tls_sslmode", sslmode, "require"),
            row("client_tls_cert_file", list(certificate), ""),
            row("client_tls_key_file", list(key), ""),
        ]);
    }

    fn of_pools(&self, rows: &mut Vec<Configured>) {
        let pool = self.shared.pools.settings();
        let mode = match pool.mode {
            PoolMode::Transaction => "transaction",
            PoolMode::Session => "session",
        };
        rows.extend([
            row("pool_mode", mode, "transaction"),
            row("default_pool_size", pool.size, "20"),
            row("max_db_connections", pool.size, "20"),
            row("max_user_connections", pool.size_per_tenant, "20"),
            row("min_pool_size", pool.min_idle, "0"),
            row("reserve_pool_size", 0, "0"),
            row("query_wait_timeout", seconds(pool.wait_timeout), "30"),
            row("server_idle_timeout", seconds(pool.idle_timeout), "600"),
            row("server_lifetime", seconds(pool.connection_lifetime), "3600"),
            row("server_check_delay", seconds(pool.check_after), "30"),
        ]);
    }

    fn of_administrators(&self, rows: &mut Vec<Configured>) {
        let live = self.shared.live.load();
        let named = |role: AdminRole| {
            let admins = live.admins.iter().filter(|(_, admin)| admin.role == role);
            list(admins.map(|(name, _)| name.as_str()))
        };
        rows.extend([
            row("admin_users", named(AdminRole::Operator), ""),
            row("stats_users", named(AdminRole::Viewer), ""),
            row("stats_period", PERIOD.as_secs(), "60"),
        ]);
    }
}

fn row(key: &'static str, value: impl Display, default: &'static str) -> Configured {
    Configured {
        key,
        value: value.to_string(),
        default,
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// A limit; none is 0.
fn limit(time: Option<Duration>) -> f64 {
    seconds(time.unwrap_or_default())
}

fn list(all: impl IntoIterator<Item = impl Display>) -> String {
    let all: Vec<_> = all.into_iter().map(|one| one.to_string()).collect();
    all.join(",")
}
