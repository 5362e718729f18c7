//! The demo's configuration file, written for people to learn from.

use super::Ports;
use super::site::{Site, Tenant};
use pgtenant::throwaway::wellness::{APP_ROLE, Layout, SCHEMA_DATABASE, SETTING, SETTING_DATABASE};
use std::fmt::Write as _;

/// The text of `pgtenant.toml` for a proxy that listens on these ports.
pub(super) fn text(site: &Site, ports: Ports) -> String {
    let path = |name| quote(&site.file(name).to_string_lossy());
    let mut text = format!(
        r#"# Written by `pgtenant demo`. A configuration of your own looks the same: check
# it with `pgtenant check --config FILE`, run it with `pgtenant run --config FILE`.
# Each key can be set from the environment too: PGTENANT__POOL__SIZE=40.

# Where clients connect, and how many may.
[listen]
address = "127.0.0.1:{clients}"    # or a list of addresses
max_clients = 1000
login_timeout = "10s"
drain_timeout = "2s"            # for running transactions, when told to stop

# The certificate that clients see. With "require" nobody gets in without TLS.
[tls]
mode = "require"
certificate = {certificate}
key = {key}

# A PostgreSQL server. `user` is the role that tenants share; it must not be a
# superuser, own the tables or have BYPASSRLS, or row-level security is void.
[servers.main]
host = "127.0.0.1"
port = {server_port}
tls = "verify-full"
ca = {ca}
user = "{APP_ROLE}"
password_file = {password_file}

# Server connections. In "transaction" mode a client holds one for the length of
# a transaction. "scrubbed": tenants share them, with DISCARD ALL in between.
[pool]
mode = "transaction"
size = 20
# size_per_tenant = 10          # by default three quarters of them
share = "scrubbed"
wait_timeout = "10s"
idle_timeout = "60s"

# Layout 1, one set of tables for all: row-level-security policies compare each
# row with a setting of the session. pgtenant sets it; clients cannot change it.
[isolation.shared_tables]
kind = "setting"
server = "main"
database = "{SETTING_DATABASE}"
setting = "{SETTING}"
masked_user = "wellness_bi"      # of logins that may see masked data alone
masked_password_file = {masked_password}

# Layout 2, a schema a tenant: search_path leads to the tenant's schema, and the
# server connection logs in as a role that may use no other. The passwords of
# these roles are derived from one key.
[isolation.own_schema]
kind = "schema"
server = "main"
database = "{SCHEMA_DATABASE}"
search_path = ["{{schema}}"]
role = "{{schema}}_app"
role_key_file = {role_key}

# Layout 3, a database a tenant.
[isolation.own_database]
kind = "database"
server = "main"
database = "{{database}}"

# What the logins with this profile may: see masked data alone. The role and the views
# are made by `pgtenant mask`.
[profiles.bi]
masked = true

# What they see in place of the values of these columns. A hash hides a value, and still
# joins one row with another.
[[mask]]
table = "users"
column = "id"
with = "hash"

[[mask]]
table = "wellness_entries"
column = "user_id"
with = "hash"

[[mask]]
table = "organizations"
column = "name"
with = "partial(1)"

[[mask]]
table = "users"
column = "email"
with = "email"

[[mask]]
table = "users"
column = "password_hash"
with = "null"

# What a client may not send. "opaque" is code that pgtenant cannot see into (DO,
# CREATE FUNCTION, …), "channels" are ways from one tenant to another (LISTEN,
# advisory locks, …).
[guard]
mode = "enforce"
opaque = "own"
channels = "own"

# Metrics, health, and a page for people. In clear text on the loopback interface
# alone: elsewhere it is served with the certificate of [tls].
[admin]
address = "127.0.0.1:{page}"
tls = "off"

# Who may look at it, and at the console: psql to the database "pgtenant".
[[admins]]
user = "admin"
scram = {admin}
role = "operator"               # or "viewer"

# A record of who did what, which shows when it was tampered with. With
# statements = "all" it has every statement, too.
[audit]
file = {audit_file}
key_file = {audit_key}

[log]
format = "text"                 # or "json"
filter = "info"
"#,
        certificate = path("proxy.crt"),
        key = path("proxy.key"),
        server_port = site.cluster.port(),
        ca = path("ca.crt"),
        password_file = path("wellness_app.password"),
        masked_password = path("wellness_bi.password"),
        role_key = path("role.key"),
        clients = ports.clients,
        page = ports.page,
        admin = quote(&site.admin.verifier),
        audit_file = path("audit.jsonl"),
        audit_key = path("audit.key"),
    );
    text.push_str("\n# The tenants. The keys after `isolation` fill its {…}.\n");
    for tenant in &site.tenants {
        push_tenant(&mut text, tenant);
    }
    text.push_str(
        "# Who may log in, and whose data they reach. Make `scram` from a password with\n\
         # `pgtenant verifier`.\n",
    );
    for tenant in &site.tenants {
        push_login(&mut text, tenant);
    }
    let analyst = &site.analyst;
    let _ = writeln!(text, "[[logins]]");
    let _ = writeln!(text, "user = {}", quote(&analyst.login));
    let _ = writeln!(text, "tenant = {}", quote(analyst.tenant));
    let _ = writeln!(text, "profile = \"bi\"");
    let _ = writeln!(text, "scram = {}", quote(&analyst.verifier));
    text
}

fn push_tenant(text: &mut String, tenant: &Tenant) {
    let company = tenant.company;
    let (isolation, own) = match company.layout {
        Layout::Setting => ("shared_tables", None),
        Layout::Schema(schema) => ("own_schema", Some(("schema", schema))),
        Layout::Database(database) => ("own_database", Some(("database", database))),
    };
    let _ = writeln!(text, "[[tenants]]");
    let _ = writeln!(text, "id = {}", quote(company.id));
    let _ = writeln!(text, "name = {}", quote(company.name));
    let _ = writeln!(text, "isolation = {}", quote(isolation));
    if let Some((key, value)) = own {
        let _ = writeln!(text, "{key} = {}", quote(value));
    }
    text.push('\n');
}

fn push_login(text: &mut String, tenant: &Tenant) {
    let company = tenant.company;
    let _ = writeln!(text, "[[logins]]");
    let _ = writeln!(text, "user = {}", quote(company.login));
    let _ = writeln!(text, "tenant = {}", quote(company.id));
    let _ = writeln!(text, "scram = {}", quote(&tenant.verifier));
    text.push('\n');
}

/// `text` as a TOML basic string.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
