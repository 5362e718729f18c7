//! A server connection goes from one tenant to the next: nothing of the next
//! reaches the server before the server has confirmed that nothing of the last is
//! left, whatever the last one did, and however long the confirmation takes.

#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(missing_docs, unreachable_pub)]

mod behind;
mod held;
mod locks;
mod other_setting;
mod race;
mod silent;
mod unanswered;

use testkit::{Between, Plain, Programs, Proxy, Raw};

/// A server, the relay, and a proxy that has one server connection.
struct Place {
    // Stopped first.
    proxy: Proxy,
    relay: Between,
    plain: Plain,
}

impl Place {
    /// `None` where this version of PostgreSQL is not there.
    fn start(major: u32, pool: &str, guard: &str) -> Option<Self> {
        Self::start_with(major, &format!("size = 1\n{pool}"), guard)
    }

    /// The same with as many server connections as `pool` says.
    fn start_with(major: u32, pool: &str, guard: &str) -> Option<Self> {
        let programs = Programs::find(major)?;
        // Few locks, so that they can be used up.
        let plain = Plain::start(&programs, &[("max_locks_per_transaction", "10")]);
        let relay = Between::start(plain.cluster.port());
        let proxy = plain.proxy(relay.port, pool, guard);
        Some(Self {
            proxy,
            relay,
            plain,
        })
    }

    fn client(&self, login: &str) -> Raw {
        self.plain.client(&self.proxy, login)
    }

    /// Waits until no session of tenants has a transaction open.
    fn wait_for_no_transaction(&self) {
        let mut admin = self.plain.superuser();
        testkit::wait_until("no transaction is open", || {
            let sql = "SELECT count(*) FROM pg_stat_activity \
                       WHERE usename = 'wellness_app' AND xact_start IS NOT NULL";
            admin.value(sql) == "0"
        });
    }
}

/// Where the next tenant looks for what the last one has left.
const LOOK: &str = "SELECT concat_ws(' ', email, \
    (SELECT string_agg(name || '=' || setting, ',' ORDER BY name) FROM pg_settings \
     WHERE source = 'session' AND name IN ('DateStyle', 'TimeZone', 'work_mem')), \
    (SELECT string_agg(name, ',') FROM pg_cursors WHERE statement LIKE '%of_' || 'a%'), \
    (SELECT string_agg(relname, ',') FROM pg_class WHERE relnamespace = pg_my_temp_schema()), \
    nullif(current_setting('app.secret', true), '')) /* of_b */ FROM users";

/// What the tenant `synergy` sees there: its own row, and nothing else.
const NOTHING: &str = "bob@synergy.example";
