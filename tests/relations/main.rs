//! Relations behind which code may stand: a query over a view can change the
//! tenant's setting, and no statement shows it. Nobody who uses the connection
//! next sees anything of it; and queries over plain tables cost nothing for it.

#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(missing_docs, unreachable_pub)]

mod changes;
mod known;
mod random;
mod unseen;

use testkit::Passed;
use testkit::{Between, Plain, Programs, Proxy, Raw};

/// Whose rows are seen.
const WHOSE: &str = "SELECT email FROM users";
const ALICE: &str = "alice@innovate.example";
const BOB: &str = "bob@synergy.example";

/// What stands in the database: each of these relations makes the reader's session
/// that of `synergy`, or could.
const TRAPS: &str = "
    CREATE FUNCTION become() RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('session.current_organization_id',
            '22222222-2222-2222-2222-222222222222', false);
        RETURN true;
    END $$;
    CREATE VIEW innocent AS SELECT become() AS done;
    CREATE VIEW over_innocent AS SELECT * FROM innocent;
    CREATE TABLE report (n int);
    CREATE TABLE part (n int) PARTITION BY LIST (n);
    CREATE TABLE part_one PARTITION OF part FOR VALUES IN (1);
    CREATE TABLE ruled (n int);
    CREATE RULE also AS ON INSERT TO ruled DO ALSO SELECT become();
    CREATE MATERIALIZED VIEW stored AS SELECT 1 AS n;
    CREATE SCHEMA other;
    CREATE TABLE twice (n int);
    CREATE VIEW other.twice AS SELECT become() AS n;
    GRANT USAGE, CREATE ON SCHEMA public, other TO wellness_app;
    GRANT ALL ON ALL TABLES IN SCHEMA public, other TO wellness_app;
    ALTER TABLE report OWNER TO wellness_app;";

/// A server, the relay, and a proxy that has one server connection for clients.
struct Place {
    // Stopped first.
    proxy: Proxy,
    relay: Between,
    plain: Plain,
}

impl Place {
    /// `None` where this version of PostgreSQL is not there.
    fn start(major: u32) -> Option<Self> {
        let place = Self::start_with(major, "", "", "")?;
        place.wait_until_known();
        Some(place)
    }

    /// The same with more SQL, and more lines of `[pool]` and `[guard]`; nothing
    /// may be known of the relations yet.
    fn start_with(major: u32, sql: &str, pool: &str, guard: &str) -> Option<Self> {
        let programs = Programs::find(major)?;
        let plain = Plain::start(&programs, &[]);
        plain.superuser().run_ok(TRAPS);
        plain.superuser().run_ok(sql);
        let relay = Between::start(plain.cluster.port());
        let proxy = plain.proxy(relay.port, &format!("size = 1\n{pool}"), guard);
        Some(Self {
            proxy,
            relay,
            plain,
        })
    }

    fn wait_until_known(&self) {
        self.proxy
            .wait_for_log("the plain tables of the database are known");
    }

    fn client(&self, login: &str) -> Raw {
        self.plain.client(&self.proxy, login)
    }

    /// Whether a statement of `client` leads to the tenant being attached again
    /// before the next one, of whatever client of the same tenant.
    fn doubts(&self, client: &mut Raw, run: impl FnOnce(&mut Raw)) -> bool {
        // What was before is done with.
        client.run_ok("SELECT 1");
        self.relay.forget();
        run(client);
        client.run_ok("SELECT 1");
        self.relay.passed().iter().any(attaches)
    }
}

/// Whether it is the proxy's own, on its way to attach a tenant.
fn attaches(passed: &Passed) -> bool {
    passed.up && (passed.message.tag == b'F' || passed.asks("RESET ALL"))
}

/// Runs a test with each version of PostgreSQL that is there.
fn on_each(test: impl Fn(u32)) {
    for major in [15, 18] {
        test(major);
    }
}
