//! A server with tenants in all layouts, and the proxy before it.

use pgtenant::directory::Verifier;
use pgtenant::tenant::TenantRole;
use pgtenant::throwaway::wellness::APP_ROLE;
use std::fmt::Write as _;
use testkit::{Fields, Plain, Programs, Proxy, Raw, clear_text, write_private};

/// The key of the roles' passwords.
const KEY: &str = "the key of the roles that tenants of this test have for their own";
/// The password of every login, and of the shared role.
const PASSWORD: &str = "a password";

/// Tenants with a schema each, and one role for all.
pub const SHARED_ROLE: [&str; 2] = ["north", "south"];
/// Tenants with a schema and a role each.
pub const OWN_ROLE: [&str; 2] = ["east", "west"];
/// Tenants with a database each.
pub const OWN_DATABASE: [&str; 2] = ["mars", "venus"];

pub struct Place {
    // Stopped first.
    pub proxy: Proxy,
    pub plain: Plain,
}

impl Place {
    /// One server connection for the clients of each database, and these lines of
    /// `[guard]`. `None` where this version of PostgreSQL is not there.
    pub fn start(major: u32, guard: &str) -> Option<Self> {
        Self::start_with(major, guard, |text| text)
    }

    /// The same with a configuration that is changed.
    pub fn start_with(
        major: u32,
        guard: &str,
        edit: impl FnOnce(String) -> String,
    ) -> Option<Self> {
        let programs = Programs::find(major)?;
        let plain = Plain::start(&programs, &[]);
        let psql = |database: &str, sql: &str| plain.cluster.psql(database, sql).unwrap();
        psql("postgres", "CREATE DATABASE branches");
        for name in SHARED_ROLE {
            let sql = schema(name, APP_ROLE);
            psql("branches", &sql);
        }
        for name in OWN_ROLE {
            let role = format!("{name}_app");
            let password = TenantRole::derive(KEY.as_bytes(), &role).password;
            psql(
                "branches",
                &format!("CREATE ROLE {role} LOGIN PASSWORD '{password}'"),
            );
            psql("branches", &schema(name, &role));
        }
        for name in OWN_DATABASE {
            psql("postgres", &format!("CREATE DATABASE {name}"));
            psql(
                name,
                &format!(
                    "{}GRANT ALL ON SCHEMA public TO {APP_ROLE};",
                    table("public", name, APP_ROLE)
                ),
            );
        }
        psql(
            "branches",
            &format!("CREATE SCHEMA shared; {}", table("shared", "all", "PUBLIC")),
        );
        let directory = plain.cluster.directory();
        write_private(&directory.join("role.key"), KEY);
        let path = directory.join("proxy.toml");
        write_private(&path, &edit(configuration(&plain, guard)));
        let mut proxy = Proxy::run(&path);
        PASSWORD.clone_into(&mut proxy.password);
        Some(Self { proxy, plain })
    }

    /// A client of the tenant.
    pub fn client(&self, tenant: &str) -> Raw {
        self.enter(tenant, &[]).unwrap()
    }

    /// A client with these parameters in its startup packet.
    pub fn enter(&self, tenant: &str, more: &[(&str, &str)]) -> Result<Raw, Fields> {
        let mut parameters = vec![("user", tenant), ("database", database_of(tenant))];
        parameters.extend(more);
        Raw::log_in(self.proxy.port, PASSWORD, &parameters)
    }
}

fn database_of(tenant: &str) -> &str {
    match tenant {
        tenant if OWN_DATABASE.contains(&tenant) => tenant,
        _ => "branches",
    }
}

fn schema(name: &str, role: &str) -> String {
    format!(
        "CREATE SCHEMA {name}; {} GRANT CREATE ON SCHEMA {name} TO {role};",
        table(name, name, role)
    )
}

/// A table that says whose it is.
fn table(schema: &str, whose: &str, role: &str) -> String {
    format!(
        "CREATE TABLE {schema}.t AS SELECT '{whose}' AS whose; \
         GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT ALL ON {schema}.t TO {role}; "
    )
}

fn configuration(plain: &Plain, guard: &str) -> String {
    let verifier = Verifier::derive(PASSWORD);
    let head = clear_text(plain.cluster.port(), APP_ROLE, PASSWORD);
    let mut text = format!(
        r#"{head}[pool]
size = 1
[throttle]
mode = "off"
[guard]
{guard}
[isolation.shared]
kind = "schema"
server = "main"
database = "branches"
search_path = ["{{id}}"]
[isolation.own]
kind = "schema"
server = "main"
database = "branches"
search_path = ["{{id}}"]
role = "{{id}}_app"
role_key_file = "role.key"
[isolation.silo]
kind = "database"
server = "main"
database = "{{id}}"
"#
    );
    for (isolation, tenants) in [
        ("shared", SHARED_ROLE),
        ("own", OWN_ROLE),
        ("silo", OWN_DATABASE),
    ] {
        for tenant in tenants {
            let _ = write!(
                text,
                "[[tenants]]\nid = {tenant:?}\nisolation = {isolation:?}\n\
                 [[logins]]\nuser = {tenant:?}\ntenant = {tenant:?}\nscram = {verifier:?}\n",
            );
        }
    }
    text
}
