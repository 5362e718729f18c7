//! The configuration: what loads, and what is said about what does not.
#![allow(clippy::unwrap_used, clippy::panic)]

use pgtenant::audit::OnFailure;
use pgtenant::config::{
    AdminRole, Audit, ClientTls, IsolationKind, LogFormat, Origin, PerAddress, Pin, PoolMode,
    Problems, ServerTls, Settings, Share, TargetRole, Throttling, load_with,
};
use pgtenant::directory::{CertificateName, NameKind};
use pgtenant::guard;
use pgtenant::tenant::{
    Attachment, Identity, IsolationName, ProfileName, Seal, ServerName, Tenant, TenantRole,
};
use proptest::prelude::*;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tempfile::TempDir;
use testkit::{INNOVATE, SCRAM, SYNERGY};

/// The least that loads: everything else has its default.
const SMALL: &str = r#"
[tls]
mode = "off"

[servers.main]
host = "127.0.0.1"
tls = "off"
user = "wellness_app"

[isolation.wellness]
kind = "setting"
server = "main"
database = "wellness_corp_db"
setting = "session.current_organization_id"
"#;

/// Tenants and logins that go with `SMALL`.
fn people() -> String {
    format!(
        r#"
[[tenants]]
id = "{INNOVATE}"
name = "Innovate Inc."

[[tenants]]
id = "{SYNERGY}"

[[logins]]
user = "innovate"
tenant = "{INNOVATE}"
scram = "{SCRAM}"
"#
    )
}

/// A folder with certificates, keys and other files that a configuration may
/// name.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new([]).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        folder.put("server-ca.crt", ca.self_signed(&ca_key).unwrap().pem());
        folder.put("clients-ca.crt", ca.self_signed(&ca_key).unwrap().pem());
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2026, 1, 1),
            next_update: rcgen::date_time_ymd(2039, 1, 1),
            crl_number: rcgen::SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        folder.put(
            "clients.crl",
            list.signed_by(&issuer).unwrap().pem().unwrap(),
        );
        let key = rcgen::KeyPair::generate().unwrap();
        let server = rcgen::CertificateParams::new(["localhost".into()]).unwrap();
        folder.put("server.crt", server.signed_by(&key, &issuer).unwrap().pem());
        folder.put_secret("server.key", &key.serialize_pem());
        let other = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        folder.put("other.crt", other.cert.pem());
        folder.put_secret("other.key", &other.signing_key.serialize_pem());
        folder.put_secret("role.key", &format!("{}\n", "k".repeat(32)));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn put_secret(&self, name: &str, text: &str) {
        self.put(name, text);
        self.chmod(name, 0o600);
    }

    fn chmod(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.path(name), mode).unwrap();
    }

    fn load(&self, text: impl AsRef<[u8]>) -> Result<Settings, Problems> {
        self.load_with(text, &[])
    }

    fn load_with(
        &self,
        text: impl AsRef<[u8]>,
        environment: &[(&str, &str)],
    ) -> Result<Settings, Problems> {
        self.put("pgtenant.toml", text);
        let variables = environment.iter();
        let variables =
            variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        load_with(&self.path("pgtenant.toml"), variables)
    }

    /// What is said about it, without the folder's name.
    fn problems(&self, text: impl AsRef<[u8]>) -> Vec<String> {
        self.problems_with(text, &[])
    }

    fn problems_with(&self, text: impl AsRef<[u8]>, environment: &[(&str, &str)]) -> Vec<String> {
        let problems = self.load_with(text, environment).unwrap_err();
        let folder = format!("{}/", self.0.path().display());
        let text = problems.to_string().replace(&folder, "");
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), problems.len(), "one problem per line: {text}");
        lines
    }

    /// The one thing that is said about it.
    fn problem(&self, text: impl AsRef<[u8]>) -> String {
        let mut lines = self.problems(text);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        lines.remove(0)
    }
}

/// `text` with the line that begins with `key` in section `[name]` replaced or
/// added.
fn with(text: &str, section: &str, line: &str) -> String {
    let key = line.split('=').next().unwrap().trim();
    let header = format!("[{section}]");
    let mut inside = false;
    let mut lines = Vec::new();
    let mut found = false;
    for old in text.lines() {
        if old.starts_with('[') {
            inside = old == header;
        }
        if inside && old.split('=').next().unwrap().trim() == key {
            continue;
        }
        lines.push(old);
        if old == header {
            found = true;
            lines.push(line);
        }
    }
    if !found {
        lines.extend([header.as_str(), line]);
    }
    lines.join("\n") + "\n"
}

#[test]
fn what_is_not_written_has_its_default() {
    let settings = Folder::new().load(SMALL).unwrap();

    let listen = &settings.listen;
    assert_eq!(listen.addresses, ["127.0.0.1:6432".parse().unwrap()]);
    assert_eq!(listen.max_clients, 10_000);
    assert_eq!(listen.clients_per_tenant, 10_000);
    assert_eq!(listen.login_timeout, Duration::from_secs(10));
    assert_eq!(listen.drain_timeout, Duration::from_secs(30));
    let end = settings.sources.end_sessions_within;
    assert_eq!(end, Duration::from_secs(60));
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(listen.workers, cores.min(256));

    let throttle = Throttling {
        enabled: true,
        free: 5,
        delay: Duration::from_millis(250),
        longest_delay: Duration::from_secs(60),
        forget_after: Duration::from_secs(600),
        per_address: PerAddress::OfOthers(1000),
    };
    assert_eq!(settings.throttle, throttle);
    assert!(settings.certificates.is_empty());
    // Few clients leave half of the places to other addresses.
    let few = Folder::new().load(format!("{SMALL}[listen]\nmax_clients = 11\n"));
    assert_eq!(few.unwrap().throttle.per_address, PerAddress::OfOthers(6));

    let server = &settings.servers[&ServerName::new("main")];
    assert_eq!(server.hosts.first().port, 5432);
    assert_eq!(server.target, TargetRole::Any);
    assert_eq!(server.connect_timeout, Duration::from_secs(5));
    assert_eq!(server.tcp_user_timeout, Duration::from_secs(20));
    assert!(server.password.is_none());

    let pool = &settings.pool;
    assert_eq!(pool.mode, PoolMode::Transaction);
    assert_eq!((pool.size, pool.size_per_tenant), (20, 20));
    assert_eq!(pool.connection_lifetime, Duration::from_secs(3600));
    assert_eq!(pool.waiting_per_tenant, 10_000);
    assert_eq!(pool.share, Share::Scrubbed);
    assert_eq!(pool.pin, Pin::Allow);
    assert_eq!(pool.wait_timeout, Duration::from_secs(30));
    assert_eq!(pool.idle_timeout, Duration::from_secs(600));
    assert_eq!(pool.reclaim_after, Duration::from_secs(5));
    assert_eq!(pool.reclaim_own_after, Duration::from_secs(60));
    assert_eq!(pool.check_after, Duration::from_secs(30));

    assert_eq!(settings.guard.mode, guard::Mode::Enforce);
    assert_eq!(settings.guard.opaque, guard::Permission::Own);
    assert_eq!(settings.guard.channels, guard::Permission::Own);

    assert_eq!(settings.log.format, LogFormat::Text);
    assert_eq!(settings.log.filter, "info");
    assert!(settings.tenants.is_empty());
    assert!(settings.directory.is_empty());
}

/// A tenant leaves connections to the others of its database, unless it has none.
#[test]
fn tenants_of_one_database_leave_some_connections_to_each_other() {
    let tenants = |n: usize| {
        let tenant = |i| format!("[[tenants]]\nid = \"t{i}\"\nname = \"t{i}\"\n");
        (0..n).map(tenant).collect::<String>()
    };
    for (size, tenants_there, each) in [
        (20, 1, 20),
        (20, 2, 15),
        (5, 2, 4),
        (3, 2, 2),
        (2, 2, 1),
        (1, 2, 1),
    ] {
        let pool = format!("{SMALL}\n[pool]\nsize = {size}\n{}", tenants(tenants_there));
        let pool = load_case(pool.as_bytes(), &[]).unwrap().pool;
        assert_eq!(pool.size_per_tenant, each, "{size}, {tenants_there}");
        assert_eq!(pool.size_alone, size);
    }
    let given = format!(
        "{SMALL}\n[pool]\nsize = 20\nsize_per_tenant = 20\n{}",
        tenants(2)
    );
    let pool = load_case(given.as_bytes(), &[]).unwrap().pool;
    assert_eq!((pool.size_per_tenant, pool.size_alone), (20, 20));
}

#[test]
fn an_isolation_s_own_pools_have_what_it_does_not_say_from_those_of_all() {
    let load = |all: &str, own: &str| {
        let text = format!(
            "{SMALL}\n[pool]\n{all}\n[isolation.wellness.pool]\n{own}\n{}",
            people()
        );
        let settings = load_case(text.as_bytes(), &[]).unwrap();
        let mut isolations = settings.isolations.into_values();
        (isolations.next().unwrap().pool.unwrap(), settings.pool)
    };
    let (own, all) = load("size = 8\nmin_idle = 3", "wait_timeout = \"1s\"");
    assert_eq!(own.wait_timeout, Duration::from_secs(1));
    assert_eq!(all.size_per_tenant, 6);
    let wait_timeout = all.wait_timeout;
    assert_eq!(
        pgtenant::config::Pool {
            wait_timeout,
            ..own
        },
        all
    );
    // No more than its size, of which tenants leave some to each other.
    let (own, _) = load("size = 8\nmin_idle = 6", "size = 4\npin = \"reject\"");
    assert_eq!((own.size, own.size_per_tenant, own.size_alone), (4, 3, 4));
    assert_eq!((own.min_idle, own.pin), (4, Pin::Reject));
    let (own, _) = load("size_per_tenant = 5", "size = 4");
    assert_eq!((own.size_per_tenant, own.size_alone), (4, 4));
    let (own, _) = load("reclaim_after = \"1s\"", "reclaim_after = \"5min\"");
    assert_eq!(own.reclaim_own_after, Duration::from_secs(300));
    let text = format!("{SMALL}{}", people());
    let variable = ("PGTENANT__ISOLATION__WELLNESS__POOL__SIZE", "7");
    let settings = load_case(text.as_bytes(), &[variable]).unwrap();
    let own = settings.isolations.values().next().unwrap().pool.clone();
    assert_eq!(own.unwrap().size, 7);
}

#[test]
fn tls_is_required_and_the_server_verified_by_default() {
    let folder = Folder::new();
    let text = SMALL
        .replace("mode = \"off\"\n", "")
        .replace("tls = \"off\"\n", "");
    let lines = folder.problems(&text).join("\n");
    assert!(lines.contains("tls.certificate: is missing"), "{lines}");
    assert!(lines.contains("tls.key: is missing"), "{lines}");
    assert!(lines.contains("servers.main.ca: is missing"), "{lines}");

    let text = with(&text, "tls", "certificate = \"server.crt\"");
    let text = with(&text, "tls", "key = \"server.key\"");
    let text = with(&text, "servers.main", "ca = \"server-ca.crt\"");
    let settings = folder.load(&text).unwrap();
    let ClientTls::Require(shown) = &settings.tls else {
        panic!("{:?}", settings.tls)
    };
    assert_eq!(shown.config.alpn_protocols, [b"postgresql"]);
    assert_eq!(shown.key, folder.path("server.key"));
    let file = CertificateDer::pem_file_iter(folder.path("server.crt")).unwrap();
    let file: Vec<_> = file.map(Result::unwrap).collect();
    assert_eq!(*shown.chain, *file);
    let ServerTls::On { config, .. } = &settings.servers[&ServerName::new("main")].tls else {
        panic!("TLS is off")
    };
    assert!(config.alpn_protocols.is_empty());
}

#[test]
fn aliases_of_databases_are_names_or_templates() {
    let folder = Folder::new();
    let with_alias = |value: &str| {
        let line = format!("database_alias = {value}");
        with(SMALL, "isolation.wellness", &line) + &people()
    };
    let settings = folder.load(with_alias("[\"app\", \"t-{id}\"]")).unwrap();
    for tenant in settings.directory.tenants() {
        let own = format!("t-{}", tenant.id);
        assert!(tenant.has_database("app") && tenant.has_database(&own));
        assert!(!tenant.has_database("t-{id}") && !tenant.has_database("App"));
    }
    for (value, part) in [
        ("\"\"", "must not be empty"),
        ("\"a\\nb\"", "control characters"),
        ("\"{db\"", "not closed"),
        ("[]", "must not be an empty list"),
        ("5", "must be text in quotes"),
        ("[\"{isolation}\"]", "is not a value of the tenant's own"),
        ("\"{old_name}\"", "[isolation.wellness] fills {…} with it"),
    ] {
        let lines = folder.problems(with_alias(value)).join("\n");
        assert!(lines.contains(part), "{value}: {lines}");
    }
    let long = format!("\"{{id}}{}\"", "x".repeat(40));
    let lines = folder.problems(with_alias(&long)).join("\n");
    assert!(
        lines.contains("database_alias") && lines.contains("63 bytes"),
        "{lines}"
    );
}

#[test]
fn the_three_kinds_resolve_to_placements() {
    let text = format!(
        r#"{SMALL}
[isolation.bridge]
kind = "schema"
server = "main"
database = "bridge_db"
search_path = ["{{schema}}", "shared"]
role = "{{schema}}_app"
role_key_file = "role.key"

[isolation.plain]
kind = "schema"
server = "main"
database = "plain_db"
search_path = ["t_{{id}}"]

[isolation.silo]
kind = "database"
server = "main"
database = "db_{{db-name}}"

[[tenants]]
id = "{{11111111-1111-1111-1111-111111111111}}"
isolation = "wellness"

[[tenants]]
id = "north"
isolation = "bridge"
schema = 'nor"th'

[[tenants]]
id = "south"
isolation = "plain"

[[tenants]]
id = "west"
isolation = "silo"
db-name = "west"
"#
    );
    let settings = Folder::new().load(text).unwrap();
    let tenant = |id: &str| -> &Tenant {
        let found = settings.tenants.iter().find(|t| t.id.as_str() == id);
        found.unwrap()
    };

    let pool = tenant(INNOVATE);
    assert_eq!(pool.name, INNOVATE);
    let Attachment::Setting { name, value, seal } = &pool.placement.attachment else {
        panic!("{pool:?}")
    };
    assert_eq!(&**name, "session.current_organization_id");
    assert_eq!(&**value, INNOVATE);
    assert_eq!(*seal, Seal::Off);
    assert!(matches!(pool.placement.identity, Identity::Server));

    let bridge = tenant("north");
    let Attachment::Schema { search_path } = &bridge.placement.attachment else {
        panic!("{bridge:?}")
    };
    assert_eq!(&**search_path, r#""nor""th", "shared""#);
    let Identity::Tenant(role) = &bridge.placement.identity else {
        panic!("{bridge:?}")
    };
    assert_eq!(&*role.name, r#"nor"th_app"#);
    let derived = TenantRole::derive("k".repeat(32).as_bytes(), r#"nor"th_app"#);
    assert_eq!(role.password, derived.password);

    let plain = tenant("south");
    assert!(matches!(plain.placement.identity, Identity::Server));
    assert_eq!(&*tenant("west").placement.endpoint.database, "db_west");

    let kind = |name: &str| settings.isolations[&IsolationName::new(name)].kind.clone();
    let unsealed = IsolationKind::Setting {
        database: "wellness_corp_db".into(),
        setting: "session.current_organization_id".into(),
        seal: Seal::Off,
        seal_key: None,
        roles: None,
    };
    assert_eq!(kind("wellness"), unsealed);
    assert_eq!(
        kind("bridge"),
        IsolationKind::Schema {
            per_tenant_role: true
        }
    );
    assert_eq!(
        kind("plain"),
        IsolationKind::Schema {
            per_tenant_role: false
        }
    );
    assert_eq!(kind("silo"), IsolationKind::Database);
}

#[test]
fn the_password_of_a_role_is_the_hmac_of_its_name() {
    // RFC 4231, test case 2.
    let role = TenantRole::derive(b"Jefe", "what do ya want for nothing?");
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(&*role.password, expected);
}

#[test]
fn the_name_of_a_setting_becomes_lower_case() {
    let text = with(SMALL, "isolation.wellness", "setting = \"Session.Org_Id\"");
    let settings = Folder::new().load(text).unwrap();
    let kind = &settings.isolations[&IsolationName::new("wellness")].kind;
    let IsolationKind::Setting { setting, .. } = kind else {
        panic!("{kind:?}")
    };
    assert_eq!(&**setting, "session.org_id");
}

#[test]
fn a_login_leads_to_its_tenant_in_any_spelling_of_the_id() {
    let spelled = "11111111111111111111111111111111";
    let text = format!("{SMALL}{}", people());
    let text = text.replace(
        &format!("tenant = \"{INNOVATE}"),
        &format!("tenant = \"{spelled}"),
    );
    let settings = Folder::new().load(text).unwrap();
    let principal = &settings.directory.find("innovate").unwrap().principal;
    assert_eq!(principal.tenant.id.as_str(), INNOVATE);
    assert_eq!(principal.tenant.name, "Innovate Inc.");
}

/// One wrong line in an otherwise right file, and what must be said of it.
#[test]
fn hosts_stand_in_the_place_of_one_host() {
    let load = |lines: &str| {
        let before = "host = \"127.0.0.1\"\n";
        assert!(SMALL.contains(before));
        Folder::new().load(SMALL.replacen(before, &format!("{lines}\n"), 1))
    };
    let settings = load("hosts = [\"db1\", \"10.0.0.5:6000\"]").unwrap();
    let server = &settings.servers[&ServerName::new("main")];
    assert_eq!(server.hosts.to_string(), "db1:5432, 10.0.0.5:6000");
    assert_eq!(server.target, TargetRole::Primary);
    for (lines, expected) in [
        (
            "hosts = [\"a\"]\nhost = \"b\"",
            "servers.main.host: has no meaning beside `hosts`: keep one of them",
        ),
        (
            "hosts = []",
            "servers.main.hosts: must not be an empty list",
        ),
        (
            "hosts = [\"db:0\"]",
            "servers.main.hosts: has \"db:0\", which must be a host name or an address, with a port or without",
        ),
        (
            "hosts = [\"DB\", \"db:5432\"]",
            "servers.main.hosts: has \"db:5432\" twice",
        ),
    ] {
        let problems = load(lines).unwrap_err().to_string();
        assert!(problems.contains(expected), "{problems}");
        assert_eq!(problems.trim_end().lines().count(), 1, "{problems}");
    }
}

#[test]
fn every_wrong_value_is_named_with_what_would_be_right() {
    let folder = Folder::new();
    folder.put("empty.pem", "");
    folder.put(
        "garbage.crt",
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    );
    folder.put("short.key", "too short\n");
    for (section, line, said) in [
        (
            "listen",
            "address = \"nowhere\"",
            "listen.address = \"nowhere\": \"nowhere\" is not an address with a port, such as \"127.0.0.1:6432\"",
        ),
        (
            "listen",
            "address = []",
            "listen.address: must not be an empty list",
        ),
        (
            "listen",
            "address = [\"127.0.0.1:1\", 7]",
            "listen.address[1] = 7: must be text in quotes",
        ),
        (
            "listen",
            "max_clients = 0",
            "listen.max_clients = 0: must be a whole number from 1 to 1000000",
        ),
        (
            "listen",
            "max_clients = \"5\"",
            "listen.max_clients = \"5\": must be a whole number from 1 to 1000000",
        ),
        (
            "listen",
            "max_clients = 1.5",
            "listen.max_clients = 1.5: must be a whole number",
        ),
        (
            "listen",
            "login_timeout = 5",
            "listen.login_timeout = 5: must be a length of time with its unit, such as \"5s\", from 1s to 10m",
        ),
        (
            "listen",
            "login_timeout = \"5\"",
            "must be a length of time with its unit",
        ),
        (
            "listen",
            "login_timeout = \"11min\"",
            "listen.login_timeout = \"11min\": must be a length of time",
        ),
        (
            "listen",
            "workers = 257",
            "listen.workers = 257: must be \"auto\" or a whole number from 1 to 256",
        ),
        (
            "listen",
            "adress = \"x\"",
            "listen.adress: unknown key; did you mean `address`?",
        ),
        (
            "tls",
            "mode = \"requires\"",
            "tls.mode = \"requires\": must be one of \"require\", \"allow\", \"off\"; did you mean \"require\"?",
        ),
        (
            "throttle",
            "free = 0",
            "throttle.free = 0: must be a whole number from 1 to 1000000",
        ),
        (
            "throttle",
            "mode = \"enforce\"",
            "throttle.mode = \"enforce\": must be one of \"on\", \"off\"",
        ),
        (
            "throttle",
            "delay = \"2min\"\nlongest_delay = \"1min\"",
            "throttle.longest_delay: must be at least throttle.delay",
        ),
        (
            "throttle",
            "forget_after = \"30s\"",
            "throttle.forget_after: must be at least throttle.longest_delay",
        ),
        (
            "admin",
            "address = \"0.0.0.0:9632\"",
            "admin.address = \"0.0.0.0:9632\": would be in clear text, since tls.mode = \"off\"",
        ),
        (
            "admin",
            "address = \"127.0.0.1:9632\"\ntls = \"require\"",
            "admin.tls: needs tls.certificate and tls.key",
        ),
        (
            "admin",
            "public = [\"/metrics\"]",
            "admin.public: has no meaning without admin.address",
        ),
        (
            "admin",
            "address = \"127.0.0.1:9632\"\npublic = [\"/\"]",
            "can hold \"/livez\", \"/readyz\" and \"/metrics\"",
        ),
        (
            "admin",
            "address = \"127.0.0.1:9632\"\ntoken_file = \"short.key\"",
            "must hold one line of at least 16 visible ASCII characters",
        ),
        (
            "admin",
            "tenant_series = 0",
            "admin.tenant_series = 0: must be a whole number from 1 to 100000",
        ),
        (
            "servers.main",
            "host = \"db:5432\"",
            "servers.main.host = \"db:5432\": must be a host name or an address alone",
        ),
        (
            "servers.main",
            "host = \"\"",
            "servers.main.host = \"\": must not be empty",
        ),
        (
            "servers.main",
            "port = 65536",
            "servers.main.port = 65536: must be a whole number from 1 to 65535",
        ),
        (
            "servers.main",
            "user = 7",
            "servers.main.user = 7: must be text in quotes",
        ),
        (
            "servers.main",
            "tls = \"on\"",
            "servers.main.tls = \"on\": must be one of \"verify-full\", \"verify-ca\", \"require\", \"off\"",
        ),
        (
            "servers.main",
            "tls = \"verify-ca\"",
            "servers.main.ca: is missing",
        ),
        (
            "servers.main",
            "ca = \"server-ca.crt\"",
            "servers.main.ca = \"server-ca.crt\": has no meaning with tls = \"off\"",
        ),
        (
            "servers.main",
            "password_file = \"none\"",
            "servers.main.password_file = \"none\": cannot read none: No such file",
        ),
        (
            "servers.main",
            "password_file = \"empty.pem\"",
            "servers.main.password_file = \"empty.pem\": empty.pem is empty",
        ),
        (
            "servers.main",
            "password_env = \"NO_SUCH\"",
            "servers.main.password_env = \"NO_SUCH\": there is no such environment variable",
        ),
        (
            "servers.main",
            "target = \"leader\"",
            "servers.main.target = \"leader\": must be one of",
        ),
        (
            "servers.main",
            "connect_timeout = true",
            "servers.main.connect_timeout = true: must be a length of time",
        ),
        (
            "directory",
            "end_sessions_within = \"0s\"",
            "directory.end_sessions_within = \"0s\": must be a length of time with its unit, such as \"5s\", from 1ms to 1day",
        ),
        (
            "pool",
            "mode = \"statement\"",
            "pool.mode = \"statement\": statement pooling is not offered: it cannot keep transactions",
        ),
        ("pool", "mode = 5", "pool.mode = 5: must be one of"),
        (
            "pool",
            "size = -1",
            "pool.size = -1: must be a whole number from 1 to 10000",
        ),
        (
            "pool",
            "waiting_per_tenant = -1",
            "pool.waiting_per_tenant = -1: must be a whole number from 0 to 1000000",
        ),
        (
            "listen",
            "clients_per_tenant = 10001",
            "listen.clients_per_tenant = 10001: must be at most listen.max_clients, which is 10000",
        ),
        (
            "pool",
            "reclaim_own_after = \"4s\"",
            "pool.reclaim_own_after = \"4s\": must be at least pool.reclaim_after, which is 5s",
        ),
        (
            "pool",
            "check_after = \"1ms\"",
            "pool.check_after = \"1ms\": must be a length of time with its unit, such as \"5s\", from 100ms to 1day",
        ),
        (
            "pool",
            "size_per_tenant = 21",
            "pool.size_per_tenant = 21: must be at most pool.size, which is 20",
        ),
        (
            "pool",
            "min_idle = 21",
            "pool.min_idle = 21: must be at most pool.size, which is 20",
        ),
        (
            "isolation.wellness.pool",
            "size_per_tenant = 21",
            "isolation.wellness.pool.size_per_tenant = 21: must be at most isolation.wellness.pool.size, which is 20",
        ),
        (
            "isolation.wellness.pool",
            "mode = \"session\"",
            "isolation.wellness.pool.mode: is the same for all pools: it stands in [pool] alone",
        ),
        (
            "listen",
            "statement_timeout = \"50ms\"",
            "listen.statement_timeout = \"50ms\": must be \"0s\", which is no limit, or at least \"100ms\"",
        ),
        (
            "isolation.wellness",
            "transaction_timeout = \"0s\"",
            "isolation.wellness.transaction_timeout = \"0s\": must be a length of time with its unit, such as \"5s\", from 100ms to 1day",
        ),
        (
            "pool",
            "share = \"all\"",
            "pool.share = \"all\": must be one of \"scrubbed\", \"tenant\"",
        ),
        (
            "pool",
            "pin = \"no\"",
            "pool.pin = \"no\": must be one of \"allow\", \"reject\"",
        ),
        (
            "isolation.wellness",
            "kind = \"settings\"",
            "isolation.wellness.kind = \"settings\": must be one of \"setting\", \"schema\", \"database\"; did you mean \"setting\"?",
        ),
        (
            "isolation.wellness",
            "server = \"mian\"",
            "isolation.wellness.server = \"mian\": no section [servers.NAME] has this name; did you mean `main`?",
        ),
        (
            "isolation.wellness",
            "database = \"{x}\"",
            "isolation.wellness.database = \"{x}\": can have {…} in kind = \"database\" alone",
        ),
        (
            "isolation.wellness",
            "setting = \"organization\"",
            "isolation.wellness.setting = \"organization\": must be the name of a custom setting",
        ),
        (
            "isolation.wellness",
            "setting = \"a.1b\"",
            "must be the name of a custom setting",
        ),
        (
            "isolation.wellness",
            "setting = \"a.b c\"",
            "must be the name of a custom setting",
        ),
        (
            "isolation.wellness",
            "setting = \"a..b\"",
            "must be the name of a custom setting",
        ),
        (
            "isolation.wellness",
            "seal = \"token\"",
            "isolation.wellness.seal_key_file: is missing",
        ),
        (
            "isolation.wellness",
            "seal = \"sealed\"",
            "isolation.wellness.seal = \"sealed\": must be one of",
        ),
        (
            "isolation.wellness",
            "seal = \"carrier\"\nseal_key_file = \"bad.key\"",
            "isolation.wellness.seal_key_file",
        ),
        (
            "isolation.wellness",
            "seal_key_file = \"x\"",
            "isolation.wellness.seal_key_file",
        ),
        (
            "isolation.wellness",
            "search_path = [\"x\"]",
            "isolation.wellness.search_path: belongs to kind = \"schema\" alone",
        ),
        (
            "guard",
            "mode = \"off\"",
            "guard.mode = \"off\": must be one of \"enforce\", \"report\"",
        ),
        (
            "guard",
            "opaque = \"deny\"",
            "guard.opaque = \"deny\": must be one of \"reject\", \"own\", \"allow\"",
        ),
        (
            "isolation.wellness",
            "channels = \"some\"",
            "isolation.wellness.channels = \"some\": must be one of \"reject\", \"own\", \"allow\"",
        ),
        (
            "isolation.wellness",
            "opaque = \"allow\"",
            "isolation.wellness.opaque = \"allow\": must be \"reject\" or \"own\" without `seal`",
        ),
        (
            "log",
            "format = \"xml\"",
            "log.format = \"xml\": must be one of \"text\", \"json\"",
        ),
        (
            "log",
            "filter = \"a=b=c\"",
            "log.filter = \"a=b=c\": must be a filter such as",
        ),
        (
            "pools",
            "size = 3",
            "pools: unknown key; did you mean `pool`?",
        ),
    ] {
        let said_of_it = folder.problem(with(SMALL, section, line));
        assert!(said_of_it.starts_with("pgtenant.toml: "), "{said_of_it}");
        assert!(
            said_of_it.contains(said),
            "[{section}] {line}: {said_of_it}"
        );
    }
}

/// `SMALL` with a tenant and a login for the server `replica`, whose section has these lines.
fn reading(lines: &str) -> String {
    let scram = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2E=$\
                 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\
                 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    format!(
        "{SMALL}\n[servers.replica]\ntls = \"off\"\nuser = \"wellness_app\"\n{lines}\n\
         [[tenants]]\nid = \"a\"\n\
         [[logins]]\nuser = \"bi\"\ntenant = \"a\"\nserver = \"replica\"\nscram = {scram:?}\n"
    )
}

#[test]
fn a_login_is_for_its_tenant_s_server_or_a_replica_of_it() {
    let folder = Folder::new();
    for lines in [
        "host = \"db2\"\nreplica_of = \"main\"",
        "host = \"db2\"\nreplica_of = \"main\"\ntarget = \"replica\"",
        "host = \"127.0.0.1\"\ntarget = \"replica\"",
    ] {
        let settings = folder.load(reading(lines)).unwrap();
        let login = settings.directory.find("bi").unwrap();
        let endpoint = &login.principal.tenant.placement.endpoint;
        assert_eq!(endpoint.server, ServerName::new("replica"), "{lines}");
        // The tenant itself is where it was.
        let tenant = settings
            .directory
            .tenant(&login.principal.tenant.id)
            .unwrap();
        let endpoint = &tenant.placement.endpoint;
        assert_eq!(endpoint.server, ServerName::new("main"), "{lines}");
    }
    let not_known = "logins[0].server = \"replica\": the server \"replica\" is not known to be a \
                     replica of \"main\", where the tenant's data is";
    for (lines, said) in [
        ("host = \"db2\"", not_known),
        ("host = \"db2\"\ntarget = \"replica\"", not_known),
        ("host = \"127.0.0.1\"", not_known),
        (
            "hosts = [\"127.0.0.1\", \"db2\"]\ntarget = \"replica\"",
            not_known,
        ),
    ] {
        let problem = folder.problem(reading(lines));
        assert!(problem.contains(said), "{lines}: {problem}");
    }
    for (lines, said) in [
        (
            "replica_of = \"replica\"",
            "servers.replica.replica_of = \"replica\": is the section itself",
        ),
        (
            "replica_of = \"mian\"",
            "servers.replica.replica_of = \"mian\": no section [servers.NAME] has this name; did \
             you mean `main`?",
        ),
        (
            "replica_of = \"main\"\ntarget = \"any\"",
            "servers.replica.replica_of = \"main\": has no meaning without target = \"replica\"",
        ),
        (
            "lag_limit = \"1s\"",
            "servers.replica.lag_limit = \"1s\": has no meaning without target = \"replica\"",
        ),
        (
            "target = \"replica\"\nlag_limit = \"1ms\"",
            "servers.replica.lag_limit = \"1ms\": must be a length of time",
        ),
    ] {
        let problems = folder.problems(reading(&format!("host = \"db2\"\n{lines}")));
        let is_said = problems.iter().any(|problem| problem.contains(said));
        assert!(is_said, "{lines}: {problems:#?}");
    }
    let unknown = reading("host = \"db2\"\nreplica_of = \"main\"")
        .replace("server = \"replica\"", "server = \"replicas\"");
    let problem = folder.problem(unknown);
    let said = "logins[0].server = \"replicas\": no section [servers.NAME] has this name; did you \
                mean `replica`?";
    assert!(problem.contains(said), "{problem}");
    // One that follows a replica follows its primary.
    let chain = reading("host = \"db2\"\nreplica_of = \"main\"")
        + "[servers.third]\nhost = \"db3\"\ntls = \"off\"\nuser = \"wellness_app\"\n\
           replica_of = \"replica\"\n";
    let problems = folder.problems(chain);
    let said = "servers.replica.replica_of = \"main\": has no meaning in a section that is the";
    let is_said = problems.iter().any(|problem| problem.contains(said));
    assert!(is_said, "{problems:#?}");
}

/// Two tenants of kind `database` are one where a section is a replica of the other.
#[test]
fn a_replica_has_the_databases_of_its_primary() {
    let folder = Folder::new();
    let silo = "[isolation.silo]\nkind = \"database\"\nserver = \"main\"\n\
                database = \"{database}\"\n";
    let text = |lines: &str| {
        reading(lines).replace(
            "[[tenants]]\nid = \"a\"\n",
            "[[tenants]]\nid = \"a\"\nisolation = \"wellness\"\n",
        ) + silo
            + "[[tenants]]\nid = \"b\"\nisolation = \"silo\"\ndatabase = \"b\"\n\
               [[tenants]]\nid = \"c\"\nisolation = \"silo\"\ndatabase = \"b\"\n\
               server = \"replica\"\n"
    };
    let problem = folder.problem(text("host = \"db2\"\nreplica_of = \"main\""));
    assert!(problem.contains("it is the one of tenant"), "{problem}");
}

#[test]
fn a_server_on_this_machine_may_be_a_socket() {
    let folder = Folder::new();
    let local = with(SMALL, "servers.main", "host = \"/run/postgresql\"");
    let settings = folder.load(&local).unwrap();
    let server = &settings.servers[&ServerName::new("main")];
    let socket = server.hosts.first().socket().unwrap();
    assert_eq!(socket.to_str(), Some("/run/postgresql/.s.PGSQL.5432"));
    let silent = local.replace("tls = \"off\"\nuser", "user");
    let settings = folder.load(&silent).unwrap();
    let server = &settings.servers[&ServerName::new("main")];
    assert!(matches!(server.tls, ServerTls::Off));
    for (line, said) in [
        (
            "tls = \"require\"",
            "servers.main.tls = \"require\": must be one of \"off\"",
        ),
        (
            "ca = \"server-ca.crt\"",
            "servers.main.ca = \"server-ca.crt\": has no meaning on a Unix-domain socket",
        ),
    ] {
        let lines = folder.problem(with(&local, "servers.main", line));
        assert!(lines.contains(said), "{lines}");
    }
    let long = format!("host = \"/{}\"", "x".repeat(100));
    let said = folder.problem(with(SMALL, "servers.main", &long));
    assert!(
        said.contains("is too long for a Unix-domain socket"),
        "{said}"
    );
}

#[test]
fn balancers_are_networks_or_addresses() {
    let folder = Folder::new();
    let line = "proxy_protocol = [\"10.0.0.0/8\", \"2001:db8::7\"]";
    let settings = folder.load(with(SMALL, "listen", line)).unwrap();
    for (address, is_balancer) in [
        ("10.1.2.3", true),
        ("::ffff:10.1.2.3", true),
        ("2001:db8::7", true),
        ("2001:db8::8", false),
        ("11.0.0.1", false),
    ] {
        let address = address.parse().unwrap();
        assert_eq!(settings.listen.is_balancer(address), is_balancer);
    }
    let said = folder.problem(with(SMALL, "listen", "proxy_protocol = \"10.0.0.0/33\""));
    assert!(said.contains("is not a network"), "{said}");
}

#[test]
fn a_socket_for_clients_has_a_folder_its_rights_and_users_of_the_system() {
    let folder = Folder::new();
    let lines = "unix = \"/run/pgtenant\"\nunix_mode = \"0777\"\nunix_users = [\"root\", \"1001\"]";
    let settings = folder.load(format!("[listen]\n{lines}\n{SMALL}")).unwrap();
    let unix = settings.listen.unix.unwrap();
    assert_eq!(
        (unix.folder.to_str(), unix.mode),
        (Some("/run/pgtenant"), 0o777)
    );
    assert!(unix.admits(0) && unix.admits(1001) && !unix.admits(1002));
    let settings = folder
        .load(with(SMALL, "listen", "unix = \"/run\""))
        .unwrap();
    let unix = settings.listen.unix.unwrap();
    assert!(unix.mode == 0o770 && unix.admits(1002));
    for (lines, said) in [
        (
            "unix_mode = \"0777\"".to_owned(),
            "listen.unix_mode: has no meaning without listen.unix",
        ),
        (
            "unix = \"/run\"\nunix_mode = \"0888\"".to_owned(),
            "listen.unix_mode = \"0888\": must be the rights in octal digits",
        ),
        (
            "unix = \"/run\"\nunix_mode = \"1777\"".to_owned(),
            "listen.unix_mode = \"1777\": must be the rights in octal digits",
        ),
        (
            "unix = \"/run\"\nunix_users = [\"no such user\"]".to_owned(),
            "there is no user \"no such user\" on this machine",
        ),
        (
            "unix = \"/run\"\nreuse_port = true".to_owned(),
            "listen.unix: cannot be used with listen.reuse_port",
        ),
        (
            format!("unix = \"/{}\"", "x".repeat(100)),
            "is too long for a socket",
        ),
    ] {
        let said_of_it = folder.problem(format!("[listen]\n{lines}\n{SMALL}"));
        assert!(said_of_it.contains(said), "{said_of_it}");
    }
}

/// A replica with the number 2.
fn replica(peers: &str) -> String {
    let own = "peer_id = 2\npeer_address = \"127.0.0.1:6433\"\npeer_key_file = \"peers.key\"";
    format!("[listen]\n{own}\n{SMALL}{peers}")
}

#[test]
fn all_replicas_can_have_one_list_of_them() {
    let folder = Folder::new();
    folder.put("peers.key", "k".repeat(32));
    let list = "[[peers]]\nid = 1\naddress = \"one.example.com:6433\"\n\
                [[peers]]\nid = 2\naddress = \"127.0.0.1:6433\"\n\
                [[peers]]\nid = 127\naddress = \"[::1]:6433\"\n";
    let settings = folder.load(replica(list)).unwrap();
    let peers = settings.peers.iter();
    let peers: Vec<_> = peers.map(|(id, host)| format!("{id} {host}")).collect();
    assert_eq!(peers, ["1 one.example.com:6433", "127 [::1]:6433"]);
    assert_eq!(settings.listen.peer.unwrap().id, 2);
}

#[test]
fn wrong_entries_for_replicas_are_named_with_what_would_be_right() {
    let folder = Folder::new();
    folder.put("peers.key", "k".repeat(32));
    folder.put("short.key", "too short\n");
    let list = "[[peers]]\nid = 1\naddress = \"one:6433\"\n";
    let without = |key: &str| {
        let text = replica(list);
        let lines = text.lines().filter(|line| !line.starts_with(key));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    for (text, said) in [
        (without("peer_address"), "listen.peer_address: is missing"),
        (without("peer_key_file"), "listen.peer_key_file: is missing"),
        (
            format!("{SMALL}{list}"),
            "peers[0]: needs listen.peer_id, the number of this replica",
        ),
        (
            with(SMALL, "listen", "peer_key_file = \"peers.key\""),
            "listen.peer_key_file: has no meaning without listen.peer_id",
        ),
        (
            replica(list).replace("peers.key", "short.key"),
            "a key needs at least 32",
        ),
        (
            replica(list).replace("peer_id = 2", "peer_id = 128"),
            "listen.peer_id = 128: must be a whole number from 1 to 127",
        ),
        (
            replica(&list.replace("id = 1", "id = 0")),
            "peers[0].id = 0: must be a whole number from 1 to 127",
        ),
        (
            replica(&list.repeat(2)),
            "peers[1].id = 1: is the number of another of [[peers]] already",
        ),
        (
            replica(&list.replace("one:6433", "one")),
            "peers[0].address = \"one\": must be a host name or an address with a port",
        ),
        (
            replica(&list.replace("one:6433", "::1:6433")),
            "peers[0].address = \"::1:6433\": must be a host name or an address with a port",
        ),
        (
            replica(&list.replace("address", "host")),
            "peers[0].address: is missing: where it is reached",
        ),
    ] {
        let lines = folder.problems(&text).join("\n");
        assert!(lines.contains(said), "{said}: {lines}");
    }
}

#[test]
fn every_missing_key_is_named_and_odd_names_are_quoted() {
    let text = format!("{SMALL}[servers.\"a b\"]\n[isolation.x]\n");
    let lines = Folder::new().problems(text);
    let keys: Vec<_> = lines
        .iter()
        .map(|line| {
            let key = line.strip_prefix("pgtenant.toml: ").unwrap();
            key.split_once(": is missing: ").unwrap().0
        })
        .collect();
    let expected = [
        "servers.\"a b\".host",
        "servers.\"a b\".ca",
        "servers.\"a b\".user",
        "isolation.x.kind",
        "isolation.x.server",
        "isolation.x.database",
    ];
    assert_eq!(keys, expected);
}

/// Shakes hands as a client of `[servers.main]` with the proxy's own server
/// side, which has a certificate of `server-ca.crt` for `localhost`.
fn shake_hands(settings: &Settings, name: &'static str) -> Result<(), rustls::Error> {
    let ServerTls::On { config: client, .. } = &settings.servers[&ServerName::new("main")].tls
    else {
        panic!("TLS is off")
    };
    let ClientTls::Allow(shown) = &settings.tls else {
        panic!("TLS is not allowed")
    };
    let name = name.try_into().unwrap();
    let mut client = rustls::ClientConnection::new(client.clone(), name)?;
    let mut server = rustls::ServerConnection::new(shown.config.clone())?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        bytes.clear();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn each_word_for_the_server_s_tls_verifies_what_it_says() {
    let folder = Folder::new();
    for (tls, ca, right_name, other_name) in [
        ("verify-full", "server-ca.crt", true, false),
        ("verify-full", "other.crt", false, false),
        ("verify-ca", "server-ca.crt", true, true),
        ("verify-ca", "other.crt", false, false),
        ("require", "", true, true),
    ] {
        let mut text = with(SMALL, "tls", "mode = \"allow\"");
        text = with(&text, "tls", "certificate = \"server.crt\"");
        text = with(&text, "tls", "key = \"server.key\"");
        text = with(&text, "servers.main", &format!("tls = \"{tls}\""));
        if !ca.is_empty() {
            text = with(&text, "servers.main", &format!("ca = \"{ca}\""));
        }
        let settings = folder.load(text).unwrap();
        for (name, right) in [("localhost", right_name), ("example.com", other_name)] {
            let shaken = shake_hands(&settings, name);
            assert_eq!(shaken.is_ok(), right, "{tls} {ca} {name}: {shaken:?}");
        }
    }
}

#[test]
fn whoever_has_the_certificate_but_not_its_key_is_not_the_server() {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let folder = Folder::new();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certificate = CertificateDer::from_pem_file(folder.path("server.crt")).unwrap();
    let stolen = PrivateKeyDer::from_pem_file(folder.path("other.key")).unwrap();
    let signing = provider.key_provider.load_private_key(stolen).unwrap();
    let shown = rustls::sign::CertifiedKey::new(vec![certificate], signing);
    for tls in ["verify-ca", "require"] {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let mut text = with(SMALL, "tls", "mode = \"allow\"");
            text = with(&text, "tls", "certificate = \"server.crt\"");
            text = with(&text, "tls", "key = \"server.key\"");
            text = with(&text, "servers.main", &format!("tls = \"{tls}\""));
            if tls == "verify-ca" {
                text = with(&text, "servers.main", "ca = \"server-ca.crt\"");
            }
            let mut settings = folder.load(text).unwrap();
            let ClientTls::Allow(own) = &mut settings.tls else {
                panic!("TLS is not allowed")
            };
            let server = rustls::ServerConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(&[version])
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                    shown.clone(),
                )));
            own.config = Arc::new(server);
            let shaken = shake_hands(&settings, "localhost").unwrap_err();
            let signature = rustls::CertificateError::BadSignature;
            assert_eq!(shaken, rustls::Error::InvalidCertificate(signature));
        }
    }
}

#[test]
fn wrong_files_of_certificates_and_keys_are_named_by_their_key() {
    let folder = Folder::new();
    folder.put_secret("empty.pem", "");
    let garbage = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    folder.put_secret(
        "garbage.pem",
        &garbage.replace("CERTIFICATE", "PRIVATE KEY"),
    );
    folder.put("garbage.crt", garbage);
    folder.put(
        "text.crt",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    folder.put("cut.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    folder.put("large.crt", vec![b'x'; (1 << 20) + 1]);
    std::fs::copy(folder.path("server.key"), folder.path("open.key")).unwrap();
    folder.chmod("open.key", 0o644);

    for (certificate, key, said) in [
        (
            "none.crt",
            "server.key",
            "tls.certificate = \"none.crt\": cannot read none.crt: No such file",
        ),
        (
            "empty.pem",
            "server.key",
            "tls.certificate = \"empty.pem\": empty.pem has no certificate",
        ),
        ("server.key", "server.key", "server.key has no certificate"),
        (
            "garbage.crt",
            "server.key",
            "tls.certificate = \"garbage.crt\": garbage.crt is damaged: a PEM section is not base64",
        ),
        (
            "cut.crt",
            "server.key",
            "cut.crt is damaged: a PEM section has no end",
        ),
        (
            "text.crt",
            "server.key",
            "tls.certificate = \"text.crt\": cannot be used together with tls.key",
        ),
        ("large.crt", "server.key", "large.crt is larger than 1 MiB"),
        (".", "server.key", "tls.certificate = \".\": cannot read"),
        (
            "server.crt",
            "none.key",
            "tls.key = \"none.key\": cannot read none.key",
        ),
        (
            "server.crt",
            "empty.pem",
            "tls.key = \"empty.pem\": empty.pem has no private key",
        ),
        (
            "server.crt",
            "garbage.pem",
            "tls.key = \"garbage.pem\": garbage.pem is damaged",
        ),
        (
            "server.crt",
            "other.key",
            "tls.key = \"other.key\": is not the private key of the certificate",
        ),
        (
            "server.crt",
            "open.key",
            "tls.key = \"open.key\": every user of this machine can read the private key: chmod 600 open.key",
        ),
    ] {
        let text = with(SMALL, "tls", "mode = \"allow\"");
        let text = with(&text, "tls", &format!("certificate = \"{certificate}\""));
        let text = with(&text, "tls", &format!("key = \"{key}\""));
        let said_of_it = folder.problem(text);
        assert!(
            said_of_it.contains(said),
            "{certificate}, {key}: {said_of_it}"
        );
    }
    let text = with(SMALL, "servers.main", "tls = \"verify-full\"");
    let text = with(&text, "servers.main", "ca = \"garbage.crt\"");
    let said = folder.problem(text);
    assert!(
        said.contains("servers.main.ca = \"garbage.crt\": garbage.crt is damaged"),
        "{said}"
    );
}

#[test]
fn a_key_that_the_group_may_read_is_right() {
    let folder = Folder::new();
    folder.chmod("server.key", 0o640);
    let text = with(SMALL, "tls", "mode = \"allow\"");
    let text = with(&text, "tls", "certificate = \"server.crt\"");
    let text = with(&text, "tls", "key = \"server.key\"");
    let settings = folder.load(text).unwrap();
    assert!(matches!(settings.tls, ClientTls::Allow(_)));
}

/// `SMALL` with a schema isolation, tenants and logins after it.
fn schemas(rest: &str) -> String {
    format!(
        "{SMALL}\n[isolation.bridge]\nkind = \"schema\"\nserver = \"main\"\n\
         database = \"bridge_db\"\nsearch_path = [\"{{schema}}\", \"{{region}}\"]\n{rest}"
    )
}

fn tenant(keys: &str) -> String {
    format!("\n[[tenants]]\n{}\n", keys.replace("; ", "\n"))
}

#[test]
fn wrong_isolations_tenants_and_logins_are_named_with_what_would_be_right() {
    let folder = Folder::new();
    folder.put("short.key", "too short\n");
    let north = "id = \"north\"; isolation = \"bridge\"; schema = \"n\"; region = \"eu\"";
    let role = "role = \"{schema}_app\"\n";
    let key = "role_key_file = \"role.key\"\n";
    let first = format!("{SMALL}{}", tenant("id = \"first\""));
    let login = |keys: &str| format!("{first}[[logins]]\n{}\n", keys.replace("; ", "\n"));
    let setting = |text: &str| format!("{SMALL}{text}");
    for (text, said) in [
        (schemas(role), "isolation.bridge.role_key_file: is missing"),
        (
            schemas(key),
            "isolation.bridge.role_key_file = \"role.key\": has no meaning without `role`",
        ),
        (
            schemas(&format!("{role}role_key_file = \"short.key\"\n")),
            "short.key has 9 bytes; a key needs at least 32",
        ),
        (
            schemas("setting = \"a.b\"\n"),
            "isolation.bridge.setting: belongs to kind = \"setting\" alone",
        ),
        (
            schemas("seal_key_file = \"x\"\n"),
            "isolation.bridge.seal_key_file: belongs to kind = \"setting\" alone",
        ),
        (
            schemas("").replace("{region}", "{region"),
            "a brace `{` is not closed",
        ),
        (
            schemas("").replace("{region}", "region}"),
            "a brace `}` has no opening one",
        ),
        (
            schemas("").replace("{region}", "{re gion}"),
            "\"{re gion}\" is not the name of a tenant's key",
        ),
        (
            schemas("").replace("{region}", "{isolation}"),
            "{isolation} is not a value of the tenant's own",
        ),
        (
            schemas("").replace("{region}", "pg_catalog"),
            "\"pg_catalog\" is a schema of PostgreSQL itself",
        ),
        (
            schemas("").replace("{region}", "$user"),
            "\"$user\" means the role's own schema",
        ),
        (
            schemas(&tenant("id = \"x\"")),
            "tenants[0].isolation: is missing: there are several; name one of \"bridge\", \"wellness\"",
        ),
        (
            schemas(&tenant(&north.replace("\"bridge\"", "\"brigde\""))),
            "tenants[0].isolation = \"brigde\": no section [isolation.NAME] has this name; did you mean `bridge`?",
        ),
        (
            schemas(&tenant(&north.replace("; region = \"eu\"", ""))),
            "tenants[0].region: is missing: [isolation.bridge] fills {…} with it",
        ),
        (
            schemas(
                &tenant(&north.replace("region", "regoin"))
                    .replace("schema", "region = \"eu\"\nschema"),
            ),
            "tenants[0].regoin: unknown key; did you mean `region`?",
        ),
        (
            schemas(&tenant(&north.replace("\"n\"", "7"))),
            "tenants[0].schema = 7: must be text in quotes",
        ),
        (
            schemas(&tenant(&north.replace("\"n\"", "\"\""))),
            "tenants[0].schema = \"\": must not be empty",
        ),
        (
            schemas(&tenant(&north.replace("\"n\"", "\"a\\u0000b\""))),
            "must not have control characters",
        ),
        (
            schemas(&tenant(&north.replace("\"n\"", "\"pg_temp\""))),
            "tenants[0].schema = \"pg_temp\": schema \"pg_temp\" (from \"{schema}\" of [isolation.bridge]) is a schema of PostgreSQL itself",
        ),
        (
            schemas(&tenant(&north.replace("\"n\"", "\"information_schema\""))),
            "is a schema of PostgreSQL itself",
        ),
        (
            schemas(&tenant(
                &north.replace("\"n\"", &format!("\"{}\"", "é".repeat(32))),
            )),
            "is longer than PostgreSQL's limit for a name of 63 bytes",
        ),
        (
            setting(&tenant("name = \"x\"")),
            "tenants[0].id: is missing",
        ),
        (
            setting(&tenant("id = \"\"")),
            "tenants[0].id = \"\": must not be empty",
        ),
        (
            setting(&tenant("id = \"a\\u0000\"")),
            "tenants[0].id = \"a\\0\": must not have control characters",
        ),
        (
            setting(&tenant("id = \" a\"")),
            "must not begin or end with a space",
        ),
        (
            setting(&tenant(&format!("id = \"{}\"", "x".repeat(256)))),
            "must have at most 255 bytes",
        ),
        (
            setting(&tenant("id = \"x\"; schema = \"y\"")),
            "tenants[0].schema: unknown key; there are: `id`, `name`, `isolation`",
        ),
        (
            setting("[tenants]\nid = \"x\"\n"),
            "tenants: must be a list of tables: write [[tenants]]",
        ),
        (
            format!("tenants = [1]\n{SMALL}"),
            "tenants[0]: must be a section",
        ),
        (
            login(&format!("tenant = \"first\"; scram = \"{SCRAM}\"")),
            "logins[0].user: is missing",
        ),
        (
            login(&format!(
                "user = \"u\"; tenant = \"fist\"; scram = \"{SCRAM}\""
            )),
            "logins[0].tenant = \"fist\": no tenant has this id; did you mean `first`?",
        ),
        (
            login("user = \"u\"; tenant = \"first\""),
            "logins[0].scram: is missing: the SCRAM-SHA-256 verifier of the password; make one with `pgtenant verifier`",
        ),
        (
            login("user = \"u\"; tenant = \"first\"; scram = \"hunter2\""),
            "logins[0].scram: not a SCRAM-SHA-256 verifier: it does not begin with `SCRAM-SHA-256$`; make one with `pgtenant verifier`",
        ),
        (
            login(&format!(
                "user = \"u\"; tenant = \"first\"; password = \"x\"; scram = \"{SCRAM}\""
            )),
            "logins[0].password: unknown key; there are: `user`, `tenant`, `server`, `methods`, `scram`",
        ),
        (
            setting(
                "[[certificates]]\nmatch = \"CN=x\"\ntenant = \"first\"\n[[tenants]]\nid = \"first\"\n",
            ),
            "certificates[0]: logging in with a client certificate needs tls.client_ca",
        ),
        (
            "[tls]\nmode = \"off\"\n[[tenants]]\nid = \"x\"\n".into(),
            "tenants[0].isolation: is missing: add a section [isolation.NAME]",
        ),
        (
            format!("servers = 5\n{SMALL}")
                .replace("[servers.main]", "[listen]")
                .replace(
                    "host = \"127.0.0.1\"\ntls = \"off\"\nuser = \"wellness_app\"\n",
                    "",
                ),
            "servers: must be a section",
        ),
    ] {
        let problems = folder.problems(&text);
        assert!(
            problems.iter().any(|problem| problem.contains(said)),
            "{said}\n{problems:#?}"
        );
        // Only a missing section makes what refers to it wrong too.
        let most = if said.starts_with("servers:") { 2 } else { 1 };
        assert!(problems.len() <= most, "{said}\n{problems:#?}");
    }
}

#[test]
fn wrong_entries_for_client_certificates_are_named_with_what_would_be_right() {
    let folder = Folder::new();
    folder.put(
        "garbage.crl",
        "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
    );
    folder.put("none.crl", "no list\n");
    folder.put("broken.crl", b"\x30\x03ab");
    let ca = "client_ca = \"server-ca.crt\"\n";
    let files = "certificate = \"server.crt\"\nkey = \"server.key\"\n";
    let config = |tls: &str, more: &str| {
        let small = SMALL.replace("mode = \"off\"\n", &format!("{files}{tls}"));
        assert_ne!(small, SMALL);
        format!("{small}[[tenants]]\nid = \"first\"\n{more}")
    };
    let entry = |text: &str| config(ca, &format!("[[certificates]]\n{text}\n"));
    for (text, said) in [
        (
            config("client_ca = \"ca.crt\"\n", ""),
            "tls.client_ca = \"ca.crt\": cannot read ca.crt",
        ),
        (
            config("client_ca = \"server.key\"\n", ""),
            "tls.client_ca = \"server.key\": server.key has no certificate",
        ),
        (
            config("client_crl = \"a.crl\"\n", ""),
            "tls.client_crl: has no meaning without tls.client_ca",
        ),
        (
            config("end_expired = true\n", ""),
            "tls.end_expired: has no meaning without tls.client_ca",
        ),
        (
            config(&format!("{ca}end_expired = 1\n"), ""),
            "tls.end_expired = 1: must be true or false",
        ),
        (
            config(&format!("{ca}client_crl = \"absent.crl\"\n"), ""),
            "tls.client_crl = \"absent.crl\": cannot read absent.crl",
        ),
        (
            config(&format!("{ca}client_crl = [\"none.crl\"]\n"), ""),
            "tls.client_crl: none.crl has no list: it must have a PEM section BEGIN X509 CRL",
        ),
        (
            config(&format!("{ca}client_crl = \"garbage.crl\"\n"), ""),
            "tls.client_crl: cannot be used:",
        ),
        (
            config(&format!("{ca}client_crl = \"broken.crl\"\n"), ""),
            "tls.client_crl: cannot be used:",
        ),
        (
            entry("tenant = \"first\""),
            "certificates[0].match: is missing: the name in the certificate",
        ),
        (
            entry("match = \"x\"\ntenant = \"first\""),
            "certificates[0].match = \"x\": must be one of \"CN=…\", \"URI:…\", \"DNS:…\", \"email:…\"",
        ),
        (
            entry("match = \"CN=x\""),
            "certificates[0].tenant: is missing: the id of the tenant; or {tenant} in `match`",
        ),
        (
            entry("match = \"CN=x\"\ntenant = \"fist\""),
            "certificates[0].tenant = \"fist\": no tenant has this id; did you mean `first`?",
        ),
        (
            entry("match = \"CN={tenant}\"\ntenant = \"first\""),
            "certificates[0].tenant: has no meaning beside {tenant} in `match`",
        ),
        (
            entry("match = \"CN={id}\""),
            "certificates[0].match = \"CN={id}\": only {tenant} and {login} may stand in braces",
        ),
        (
            entry("match = \"CN={tenant}{login}\""),
            "something must stand between {tenant} and {login}, such as \"/\"",
        ),
        (
            entry("match = \"CN={tenant}\"\nuser = \"x\""),
            "certificates[0].user: unknown key; there are: `match`",
        ),
        (
            entry(
                "match = \"CN=x\"\ntenant = \"first\"\n[[certificates]]\nmatch = \"CN=x\"\ntenant = \"first\"",
            ),
            "certificates[1].match = \"CN=x\": is the name of another entry already",
        ),
        (
            config(
                "",
                "[[certificates]]\nmatch = \"CN=x\"\ntenant = \"first\"\n",
            ),
            "certificates[0]: logging in with a client certificate needs tls.client_ca",
        ),
        (
            config(
                "",
                "[[logins]]\nuser = \"u\"\ntenant = \"first\"\nmethods = \"cert\"\n",
            ),
            "logins[0]: logging in with a client certificate needs tls.client_ca",
        ),
    ] {
        let problem = folder.problem(&text);
        assert!(problem.contains(said), "{said}\n{problem}");
    }
    // Several forms of one thing, all of them right.
    let right = entry(
        "match = \"URI:x/{login}\"\ntenant = \"first\"\n\
         [[certificates]]\nmatch = \"DNS:{login}.{tenant}.example.com\"\n\
         [[certificates]]\nmatch = \"email:a@example.com\"\ntenant = \"first\"",
    );
    let settings = folder.load(right).unwrap();
    assert!(settings.tls.verifies_clients());
    assert!(!settings.certificates.is_empty());
}

#[test]
fn two_tenants_never_turn_out_to_be_one() {
    let folder = Folder::new();
    let two = |a: &str, b: &str| tenant(a) + &tenant(b);
    let bridge = |id: &str, schema: &str, region: &str| {
        format!(
            "id = \"{id}\"; isolation = \"bridge\"; schema = \"{schema}\"; region = \"{region}\""
        )
    };
    let role = "role = \"app_{region}\"\nrole_key_file = \"role.key\"\n";
    let silo = "[servers.again]\nhost = \"127.0.0.1\"\ntls = \"off\"\nuser = \"x\"\n\
                [isolation.silo]\nkind = \"database\"\nserver = \"again\"\ndatabase = \"{db}\"\n";
    let own = |id: &str, db: &str| format!("id = \"{id}\"; isolation = \"silo\"; db = \"{db}\"");
    for (text, said) in [
        (
            format!("{SMALL}{}", two("id = \"a\"", "id = \"a\"")),
            "tenants[1].id = \"a\": is the id of tenants[0] already",
        ),
        (
            format!(
                "{SMALL}{}",
                two(
                    &format!("id = \"{INNOVATE}\""),
                    "id = \"{11111111-1111-1111-1111-111111111111}\""
                )
            ),
            "is the id of tenants[0] already",
        ),
        (
            format!("{SMALL}{}", two("id = \"7\"", "id = \"007\"")),
            "tenants[1]: tenant \"007\" (tenants[1]) would have session.current_organization_id = \"7\" in database \"wellness_corp_db\" on 127.0.0.1:5432, but it is the one of tenant \"7\" (tenants[0])",
        ),
        (
            format!(
                "{SMALL}{}",
                two(
                    &format!("id = \"{INNOVATE}\""),
                    "id = \"1111-1111-1111-1111-1111-1111-1111-1111\""
                )
            ),
            "two tenants must not share it",
        ),
        (
            schemas(&two(&bridge("a", "s", "r1"), &bridge("b", "s", "r2"))),
            "tenant \"b\" (tenants[1]) would have schema \"s\" in database \"bridge_db\" on 127.0.0.1:5432, but it is the one of tenant \"a\" (tenants[0])",
        ),
        (
            schemas(&two(&bridge("a", "s", "r"), &bridge("b", "t", "s"))),
            "tenant \"b\" (tenants[1]) has schema \"s\" in database \"bridge_db\" on 127.0.0.1:5432 in its search_path, but it is the one of tenant \"a\"",
        ),
        (
            schemas(&format!(
                "{role}{}",
                two(&bridge("a", "s", "r"), &bridge("b", "t", "r"))
            )),
            "tenant \"b\" (tenants[1]) would have role \"app_r\" on 127.0.0.1:5432, but it is the one of tenant \"a\"",
        ),
        (
            schemas(&format!(
                "{}{}",
                role.replace("app_{region}", "{region}"),
                tenant(&bridge("a", "s", "wellness_app"))
            )),
            "but it is the user of [servers.main], which tenants share",
        ),
        (
            format!("{SMALL}{silo}{}", two(&own("a", "x"), &own("b", "x"))),
            "tenant \"b\" (tenants[1]) would have database \"x\" on 127.0.0.1:5432, but it is the one of tenant \"a\"",
        ),
        (
            format!(
                "{SMALL}{silo}{}",
                two(
                    &own("a", "wellness_corp_db"),
                    "id = \"b\"; isolation = \"wellness\""
                )
            ),
            "tenant \"a\" (tenants[0]) would have database \"wellness_corp_db\" on 127.0.0.1:5432 to itself, but tenants of another isolation have their data in it",
        ),
        (
            format!(
                "{SMALL}{}[[logins]]\nuser = \"u\"\ntenant = \"a\"\nscram = \"{SCRAM}\"\n[[logins]]\nuser = \"u\"\ntenant = \"b\"\nscram = \"{SCRAM}\"\n",
                two("id = \"a\"", "id = \"b\"")
            ),
            "logins[1].user = \"u\": is the user of logins[0] already",
        ),
    ] {
        let said_of_it = folder.problem(text);
        assert!(said_of_it.contains(said), "{said}\n{said_of_it}");
    }
    let shared = schemas(&two(&bridge("a", "s", "r"), &bridge("b", "t", "r")));
    assert_eq!(folder.load(shared).unwrap().tenants.len(), 2);
}

#[test]
fn all_mistakes_are_said_at_once() {
    let text = format!(
        r#"
[listen]
max_clients = "many"
[tls]
mode = "of"
[servers.main]
tls = "off"
user = "u"
[pool]
size = 0
colour = "red"
[isolation.wellness]
kind = "setting"
server = "main"
database = "d"
setting = "nodot"
[guard]
mode = "never"
[[tenants]]
[[tenants]]
id = "b"
isolation = "wellnes"
[[logins]]
user = "u"
tenant = "nobody"
scram = "{SCRAM}"
"#
    );
    let problems = Folder::new().problems(text);
    let keys = [
        "listen.max_clients",
        "tls.mode",
        "servers.main.host",
        "pool.size",
        "pool.colour",
        "isolation.wellness.setting",
        "guard.mode",
        "tenants[0].id",
        "tenants[1].isolation",
        "logins[0].tenant",
    ];
    let said: Vec<_> = problems
        .iter()
        .map(|line| line.split([' ', '=']).nth(1).unwrap().trim_end_matches(':'))
        .collect();
    assert_eq!(said, keys, "{problems:#?}");
}

#[test]
fn an_error_of_syntax_names_line_and_column_and_not_the_line_itself() {
    let folder = Folder::new();
    let said = folder.problem("[tls]\nmode = \"off\"\npassword = \"hunter2\n");
    assert!(said.starts_with("pgtenant.toml:3:"), "{said}");
    assert!(said.contains("not valid TOML: "), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let twice = folder.problem("[tls]\nmode = \"off\"\nmode = \"off\"\n");
    assert_eq!(twice, "pgtenant.toml:3:1: not valid TOML: duplicate key");
    let bytes = folder.problem(b"[tls]\nmode = \"\xff\"\n");
    assert_eq!(bytes, "pgtenant.toml:2:1: the line is not UTF-8 text");
}

#[test]
fn a_missing_file_is_said_to_be_missing() {
    let folder = Folder::new();
    let path = folder.path("nothing.toml");
    let problems = load_with(&path, []).unwrap_err();
    let said = problems.to_string();
    let start = format!(
        "{}: cannot read the configuration file: No such file",
        path.display()
    );
    assert!(said.starts_with(&start), "{said}");
    assert_eq!(
        problems.iter().next().unwrap().origin,
        Origin::File(path.into())
    );
}

#[test]
fn the_environment_comes_before_the_file() {
    let folder = Folder::new();
    let text = with(SMALL, "pool", "size = 5") + "[servers.My-Reports]\nhost = \"x\"\n";
    let settings = folder
        .load_with(
            text,
            &[
                ("PGTENANT__POOL__SIZE", "40"),
                ("PGTENANT__LISTEN__ADDRESS", "127.0.0.1:1, [::1]:2"),
                ("PGTENANT__SERVERS__MAIN__PASSWORD", "s3cret"),
                ("PGTENANT__SERVERS__MY_REPORTS__HOST", "reports.example.com"),
                ("PGTENANT__SERVERS__MY_REPORTS__USER", "r"),
                ("PGTENANT__SERVERS__MY_REPORTS__TLS", "off"),
                ("PGTENANT__SERVERS__NEW__HOST", "new.example.com"),
                ("PGTENANT__SERVERS__NEW__USER", "n"),
                ("PGTENANT__SERVERS__NEW__TLS", "require"),
                ("PGTENANT_CONFIG", "another program's"),
                ("POOL__SIZE", "1"),
            ],
        )
        .unwrap();
    assert_eq!(settings.pool.size, 40);
    let addresses = ["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()];
    assert_eq!(settings.listen.addresses, addresses);
    let server = |name| &settings.servers[&ServerName::new(name)];
    assert_eq!(server("main").password.as_ref().unwrap().reveal(), "s3cret");
    assert_eq!(
        &*server("My-Reports").hosts.first().name,
        "reports.example.com"
    );
    assert_eq!(&*server("new").user, "n");
}

#[test]
fn a_wrong_override_names_its_variable() {
    let folder = Folder::new();
    let text = format!(
        "{SMALL}{}[servers.Two]\nhost = \"h\"\n[servers.two]\nhost = \"h\"\n",
        people()
    );
    for (name, value, said) in [
        (
            "PGTENANT__POOL__SIZE",
            "x",
            "environment variable PGTENANT__POOL__SIZE: pool.size = \"x\": must be a whole number from 1 to 10000",
        ),
        (
            "PGTENANT__POOL__SIZ",
            "5",
            "environment variable PGTENANT__POOL__SIZ: pool.siz: unknown key; did you mean `size`?",
        ),
        (
            "PGTENANT__SERVERS__MAIN",
            "5",
            "PGTENANT__SERVERS__MAIN: servers.main: `main` is a section: name a key of it",
        ),
        (
            "PGTENANT__TENANTS",
            "x",
            "`tenants` is a list of tables: change it in the file",
        ),
        (
            "PGTENANT__TENANTS__0__ID",
            "x",
            "`tenants` is a list: change it in the file",
        ),
        ("PGTENANT__POOL____SIZE", "5", "has an empty part"),
        ("PGTENANT__TLS__MODE__X", "5", "`mode` is not a section"),
        (
            "PGTENANT__SERVERS__TWO__USER",
            "u",
            "servers.Two.user: is missing",
        ),
        (
            "PGTENANT__LISTEN__LOGIN_TIMEOUT",
            "5",
            "PGTENANT__LISTEN__LOGIN_TIMEOUT: listen.login_timeout = \"5\": must be a length of time",
        ),
    ] {
        let problems = folder.problems_with(&text, &[(name, value)]);
        assert!(
            problems.iter().any(|p| p.contains(said)),
            "{name}: {problems:#?}"
        );
    }
    let both = folder.problems_with(
        format!("{SMALL}[servers.A-b]\n[servers.a-B]\n"),
        &[("PGTENANT__SERVERS__A_B__USER", "u")],
    );
    assert!(both[0].contains("may mean `A-b` or `a-B`"), "{both:#?}");
}

#[test]
fn an_override_that_is_not_unicode_is_said_to_be_so() {
    use std::os::unix::ffi::OsStringExt as _;

    let folder = Folder::new();
    folder.put(
        "pgtenant.toml",
        with(SMALL, "servers.main", "password_env = \"DB_PASSWORD\""),
    );
    let odd = || OsString::from_vec(vec![b'x', 0xff]);
    let problems = load_with(
        &folder.path("pgtenant.toml"),
        [
            ("PGTENANT__POOL__SIZE".into(), odd()),
            ("DB_PASSWORD".into(), odd()),
        ],
    );
    let said = problems.unwrap_err().to_string();
    let lines: Vec<_> = said.lines().collect();
    assert!(
        lines[0].ends_with("pool.size: the value is not Unicode text"),
        "{said}"
    );
    assert!(
        lines[1].ends_with("the environment variable that it names is not Unicode text"),
        "{said}"
    );
    assert_eq!(lines.len(), 2, "{said}");
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let folder = Folder::new();
    let deep = 50_000;
    for text in [
        format!("a = {}", "[".repeat(deep)),
        format!("a = {}", "{a=".repeat(deep)),
        format!("a{} = 1", ".a".repeat(deep)),
        format!("[a{}]", ".a".repeat(deep)),
    ] {
        assert!(!folder.load(text).unwrap_err().is_empty());
    }
    let name = format!("PGTENANT{}", "__A".repeat(deep));
    assert!(
        !folder
            .load_with(SMALL, &[(&name, "1")])
            .unwrap_err()
            .is_empty()
    );
}

#[test]
fn a_password_comes_from_one_of_three_places() {
    let folder = Folder::new();
    folder.put_secret("password", "from file \n");
    folder.put_secret("lines", "one\ntwo\n");
    let main = ServerName::new("main");
    let environment = [("DB_PASSWORD", "from environment"), ("DB_EMPTY", "")];
    for (line, password) in [
        ("password = \"from text\"", "from text"),
        ("password_file = \"password\"", "from file "),
        ("password_env = \"DB_PASSWORD\"", "from environment"),
    ] {
        let text = with(SMALL, "servers.main", line);
        let settings = folder.load_with(text, &environment).unwrap();
        let found = settings.servers[&main].password.as_ref().unwrap();
        assert_eq!(found.reveal(), password);
    }
    for (lines, said) in [
        (
            "password = \"x\"\npassword_env = \"DB_PASSWORD\"",
            "servers.main: has password and password_env: keep one of them",
        ),
        (
            "password_env = \"DB_EMPTY\"",
            "servers.main.password_env: the environment variable that it names is empty",
        ),
        (
            "password_file = \"lines\"",
            "lines must have the password alone",
        ),
        (
            "password = \"\"",
            "servers.main.password: must not be empty",
        ),
        (
            "password = 5",
            "servers.main.password: must be text in quotes",
        ),
    ] {
        let text = with(SMALL, "servers.main", lines);
        let problems = folder.problems_with(text, &environment);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].contains(said), "{problems:#?}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let folder = Folder::new();
    let planted = "hunter2";
    folder.put_secret("password", planted);
    folder.put_secret("role.key", &planted.repeat(9));
    folder.put_secret("lines", "hunter2\nhunter2\n");
    folder.put_secret("bad.key", "hunter2");
    let good = schemas(&format!(
        "role = \"{{schema}}_app\"\nrole_key_file = \"role.key\"\n{}{}",
        tenant("id = \"n\"; isolation = \"bridge\"; schema = \"n\"; region = \"r\""),
        format_args!("[[logins]]\nuser = \"u\"\ntenant = \"n\"\nscram = \"{SCRAM}\"\n"),
    ));
    let good = with(&good, "tls", "mode = \"require\"");
    let good = with(&good, "tls", "certificate = \"both.pem\"");
    let good = with(&good, "tls", "key = \"both.pem\"");
    let read = |name| std::fs::read_to_string(folder.path(name)).unwrap();
    folder.put_secret("both.pem", &(read("server.crt") + &read("server.key")));
    for line in [
        "password = \"hunter2\"",
        "password_file = \"password\"",
        "password_env = \"DB_PASSWORD\"",
    ] {
        let text = with(&good, "servers.main", line);
        let settings = folder.load_with(text, &[("DB_PASSWORD", planted)]).unwrap();
        let shown = format!("{settings:?} {settings:#?}");
        assert!(!shown.contains(planted));
        assert!(!shown.contains("AAAAAAAA"), "the verifier's keys");
        let role = TenantRole::derive(planted.repeat(9).as_bytes(), "n_app");
        assert!(shown.contains("n_app") && !shown.contains(&*role.password));
        // The file has both; only the certificate is kept.
        let ClientTls::Require(tls) = &settings.tls else {
            panic!("TLS is not required")
        };
        let kept = format!("{:?}", tls.chain);
        assert!(shown.contains(&kept) && !kept.contains("PRIVATE KEY"));
    }

    let pem = "\"\"\"-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\"\"\"";
    for (section, line) in [
        ("servers.main", "password = [\"hunter2\"]"),
        ("servers.main", "password = { hunter = \"hunter2\" }"),
        ("servers.main", "password = \"hunter2\\u0000\""),
        ("servers.main", "passwd = \"hunter2\""),
        ("servers.main", "password = \"hunter2"),
        ("servers.main", "password_env = \"hunter2\""),
        ("servers.main", "password_file = \"lines\""),
        ("servers.main", "host = \"postgres://me:hunter2@db/x\""),
        ("servers", "main = \"hunter2\""),
        ("tls", &format!("key = {pem}")),
        ("tls", "key = \"bad.key\""),
        ("tls", "certificate = \"bad.key\""),
        ("isolation.bridge", &format!("role_key_file = {pem}")),
        ("isolation.bridge", "role_key_file = \"bad.key\""),
        ("isolation.bridge", "role_key = \"hunter2\""),
        ("isolation.wellness", &format!("seal_key_file = {pem}")),
        ("log", "format = \"SCRAM-SHA-256$hunter2\""),
    ] {
        let problems = folder.load(with(&good, section, line)).unwrap_err();
        let shown = format!("{problems} {problems:?} {problems:#?}");
        assert!(!shown.contains(planted), "{section} {line}: {problems}");
    }
    for scram in [
        "\"hunter2\"",
        "\"SCRAM-SHA-256$4096:hunter2\"",
        "7",
        "[\"hunter2\"]",
    ] {
        let text = good.replace(&format!("\"{SCRAM}\""), scram);
        let problems = folder.load(text).unwrap_err();
        assert!(
            !format!("{problems} {problems:?}").contains(planted),
            "{problems}"
        );
    }
    for name in [
        "PGTENANT__SERVERS__MAIN__PASWORD",
        "PGTENANT__SERVERS__MAIN",
        "PGTENANT__SERVERS__MAIN__PASSWORD__X",
        "PGTENANT__LOGINS__0__SCRAM",
        "PGTENANT__PASSWORD",
        "PGTENANT__",
    ] {
        let problems = folder.load_with(&good, &[(name, planted)]).unwrap_err();
        assert!(
            !format!("{problems} {problems:?}").contains(planted),
            "{name}: {problems}"
        );
    }
}

#[test]
fn the_example_loads() {
    let folder = Folder::new();
    let example = include_str!("../config/pgtenant.toml");
    let environment = [("WELLNESS_APP_PASSWORD", "x")];
    let settings = folder.load_with(example, &environment).unwrap();
    let names: Vec<_> = settings.tenants.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["Innovate Inc.", "Synergy Corp"]);
    assert_eq!(settings.directory.len(), 2);
    assert!(matches!(settings.tls, ClientTls::Require(_)));
}

#[test]
fn the_example_for_certificates_loads() {
    let folder = Folder::new();
    folder.put_secret("wellness_app.password", "x");
    let example = include_str!("../config/certificates.toml");
    let settings = folder.load(example).unwrap();
    assert!(settings.tls.verifies_clients());
    assert_eq!(settings.tenants.len(), 2);
    let logins = settings.directory.logins();
    let methods: usize = logins.map(|login| login.methods.len()).sum();
    assert_eq!(methods, 4);
    let uri = |text: &str| [CertificateName::new(NameKind::Uri, text)];
    let find = |text: &str, user| settings.certificates.find(&uri(text), user);
    let found = find(
        &format!("spiffe://example.com/org/{SYNERGY}/reports"),
        "reports",
    )
    .unwrap();
    assert_eq!((found.tenant.as_str(), &*found.login), (SYNERGY, "reports"));
    assert!(find("spiffe://example.com/org/x", "x").is_err());
}

#[test]
fn the_example_s_comments_load_too() {
    let folder = Folder::new();
    folder.put_secret("reports_app.password", "x");
    folder.put_secret("wellness_bi.password", "x");
    folder.put_secret("seal.key", &"k".repeat(32));
    folder.put_secret("admin-token", &"t".repeat(32));
    folder.put_secret("audit.key", &"k".repeat(32));
    folder.put_secret("peers.key", &"k".repeat(32));
    std::fs::create_dir(folder.path("tenants.d")).unwrap();
    folder.put(
        "issuer-ca.crt",
        std::fs::read(folder.path("server-ca.crt")).unwrap(),
    );
    let example = include_str!("../config/pgtenant.toml");
    // A commented key or section: `# key = …`, `# [section]`, `# # …` stays one.
    let key = |line: &str| {
        let Some(rest) = line.strip_prefix("# ") else {
            return false;
        };
        let word = rest.split(" = ").next().unwrap();
        let bare = |c: char| c.is_ascii_lowercase() || c == '_';
        (rest.contains(" = ") && word.chars().all(bare))
            || (rest.starts_with('[') && rest.ends_with(']'))
    };
    let lines = example
        .lines()
        .filter(|line| !line.contains("password = \"…\""));
    let lines = lines.filter(|line| !line.contains("\"wellness_app.password\""));
    let text: Vec<_> = lines
        .map(|line| {
            if key(line) {
                line.trim_start_matches("# ")
            } else {
                line
            }
        })
        .collect();
    let environment = [
        ("WELLNESS_APP_PASSWORD", "x"),
        ("TENANT_DIRECTORY_PASSWORD", "x"),
    ];
    let settings = folder.load_with(text.join("\n"), &environment).unwrap();
    let sources = &settings.sources;
    assert!(sources.folder.is_some() && sources.watch);
    let sql = sources.sql.as_ref().unwrap();
    let (refresh, stale) = (sql.queries.refresh, sql.queries.stale);
    assert_eq!((refresh.as_secs(), stale.as_secs()), (30, 600));
    assert_eq!(sql.queries.most, 100_000);
    assert_eq!(settings.tenants.len(), 4);
    assert_eq!(settings.isolations.len(), 3);
    assert_eq!(settings.servers.len(), 4);
    let replica = &settings.servers[&ServerName::new("replica")];
    assert_eq!(replica.target, TargetRole::Replica);
    assert_eq!(replica.lag_limit, Some(Duration::from_secs(10)));
    let elsewhere: Vec<_> = settings.directory.elsewhere().collect();
    // A token of any tenant whose server it follows may have a profile that is for it.
    assert_eq!(elsewhere.len(), 3);
    let are_there = |one: &&Arc<Tenant>| one.placement.endpoint.server == replica.name;
    assert!(elsewhere.iter().all(are_there));
    assert!(settings.profiles[&ProfileName::new("bi")].masked);
    assert_eq!(settings.tokens.issuers.len(), 1);
    assert!(settings.tls.verifies_clients());
    assert_eq!(settings.directory.len(), 3);
    let http = settings.admin.http.as_ref().unwrap();
    assert!(http.tls.is_some() && http.token.is_some());
    let public: Vec<_> = http.public.iter().map(|path| &**path).collect();
    assert_eq!(public, ["/livez", "/readyz"]);
    let roles: Vec<_> = settings.admin.logins.values().map(|a| a.role).collect();
    assert_eq!(roles, [AdminRole::Operator]);
    let audit = settings.audit.as_ref().unwrap();
    assert!(audit.options.key.is_some());
    let defaults = folder.load(format!("{SMALL}[audit]\nfile = \"-\"\n"));
    let defaults = defaults.unwrap().audit.unwrap();
    assert_eq!(defaults.options.path, None);
    let kept = |one: &Audit| {
        let of = &one.options;
        let sizes = (of.rotate_size, of.buffer, of.checkpoint_records);
        (sizes, of.fsync, of.on_failure, of.checkpoint_interval)
    };
    assert_eq!(kept(audit), kept(&defaults));
    assert_eq!(
        (audit.statements, audit.text),
        (defaults.statements, defaults.text)
    );
    // What the comments call defaults are the defaults.
    let plain = folder.load_with(example, &environment).unwrap();
    assert!(!plain.tls.verifies_clients());
    let throttle = Throttling {
        per_address: PerAddress::OfOthers(1000),
        ..settings.throttle
    };
    assert_eq!(throttle, plain.throttle);
    // Given, it is meant for tenants that are alone in their database, too.
    let size_alone = plain.pool.size_alone;
    let pool = pgtenant::config::Pool {
        size_alone,
        ..settings.pool.clone()
    };
    assert_eq!(pool, plain.pool);
    // Examples.
    let listen = pgtenant::config::Listen {
        proxy_protocol: Box::default(),
        peer: None,
        unix: None,
        ..settings.listen.clone()
    };
    assert_eq!(settings.peers.len(), 1);
    assert_eq!(format!("{listen:?}"), format!("{:?}", plain.listen));
    assert_eq!(
        format!("{:?}", settings.guard),
        format!("{:?}", plain.guard)
    );
    assert_eq!(format!("{:?}", settings.log), format!("{:?}", plain.log));
}

/// One folder for all cases of the property tests; each case writes a file of
/// its own.
static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::new);

fn load_case(text: &[u8], environment: &[(&str, &str)]) -> Result<Settings, Problems> {
    let file = tempfile::Builder::new()
        .tempfile_in(FOLDER.0.path())
        .unwrap();
    std::fs::write(file.path(), text).unwrap();
    let variables = environment.iter();
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    load_with(file.path(), variables)
}

/// Either settings, or at least one problem with at least one word.
fn check(result: &Result<Settings, Problems>) {
    if let Err(problems) = result {
        assert!(!problems.is_empty());
        for line in problems.to_string().lines() {
            assert!(!line.trim().is_empty());
        }
        assert_eq!(problems.to_string().lines().count(), problems.len());
    }
}

fn full() -> String {
    let kinds = schemas("role = \"{schema}_app\"\nrole_key_file = \"role.key\"\n");
    let silo = "[isolation.silo]\nkind = \"database\"\nserver = \"main\"\ndatabase = \"{db}\"\n";
    let north = tenant("id = \"n\"; isolation = \"bridge\"; schema = \"n\"; region = \"r\"");
    let west = tenant("id = \"w\"; isolation = \"silo\"; db = \"west\"");
    let pool = "[listen]\naddress = [\"127.0.0.1:0\"]\n[pool]\nsize = 4\nwait_timeout = \"5s\"\n";
    let people = people().replace("[[tenants]]", "[[tenants]]\nisolation = \"wellness\"");
    let sources = "[directory]\nwatch = false\n[directory.sql]\nserver = \"main\"\n\
                   database = \"d\"\nuser = \"u\"\npassword = \"p\"\ntenants = \"SELECT\"\n\
                   logins = \"SELECT\"\nchannel = \"c\"\nrefresh = \"1s\"\nstale = \"1s\"\nmost = 1\n";
    let tls = "[tls]\ncertificate = \"server.crt\"\nkey = \"server.key\"\n\
               client_ca = \"clients-ca.crt\"\nclient_crl = [\"clients.crl\"]\nend_expired = true\n\
               [throttle]\nmode = \"on\"\nfree = 3\ndelay = \"1s\"\nper_address = 9\n";
    let kinds = kinds.replace("[tls]\nmode = \"off\"\n", tls);
    assert!(kinds.contains(tls));
    let certificates = "[[certificates]]\nmatch = \"CN=x\"\ntenant = \"n\"\n\
                        [[certificates]]\nmatch = \"URI:a/{tenant}/{login}\"\n\
                        [[logins]]\nuser = \"c\"\ntenant = \"n\"\nmethods = \"cert\"\n\
                        certificate = \"DNS:c.example.com\"\n";
    format!("{pool}{kinds}{silo}{sources}{north}{west}{people}{certificates}")
}

#[test]
fn the_text_that_is_mutated_below_is_valid() {
    load_case(full().as_bytes(), &[]).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn text_that_looks_like_toml_never_panics(
        text in r#"([\[\]{}"'=.,# \n\\]|pool|tenants|isolation|servers|kind|id|[a-z0-9_é\x00]{0,3}){0,60}"#
    ) {
        check(&load_case(text.as_bytes(), &[]));
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        check(&load_case(&bytes, &[]));
    }

    #[test]
    fn a_valid_configuration_with_any_damage_never_panics(
        cuts in proptest::collection::vec(
            (any::<proptest::sample::Index>(), 0..20_usize, r#"[\[\]{}"=.\n é\x00a-z0-9]{0,6}"#),
            1..4,
        )
    ) {
        let mut text: Vec<char> = full().chars().collect();
        for (at, length, put) in cuts {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, put.chars());
        }
        let text: String = text.into_iter().collect();
        check(&load_case(text.as_bytes(), &[]));
    }

    #[test]
    fn any_value_of_any_key_never_panics(
        line in any::<proptest::sample::Index>(),
        value in prop_oneof![
            "-?[0-9]{1,19}", "-?[0-9]{1,9}\\.[0-9]{1,9}", "true|false|inf|nan|1979-05-27",
            "\\[\\]|\\{\\}|\\[\\[\\]\\]|\\[1, \"a\"\\]|\\{ a = 1 \\}", "\"[ -!#-\\[\\]-~é]{0,70}\"",
            "\"\\{[a-z]{0,6}\\}\"",
        ]
    ) {
        let text = full();
        let keys: Vec<_> = text.lines().enumerate().filter(|(_, l)| l.contains(" = ")).collect();
        let (chosen, _) = keys[line.index(keys.len())];
        let lines = text.lines().enumerate().map(|(i, line)| {
            let key = line.split(" = ").next().unwrap();
            if i == chosen { format!("{key} = {value}") } else { line.to_owned() }
        });
        let lines: Vec<_> = lines.collect();
        check(&load_case(lines.join("\n").as_bytes(), &[]));
    }

    #[test]
    fn any_environment_never_panics(
        name in "(PGTENANT__)?(POOL|SERVERS|TENANTS|[A-Z_a-zé]{0,4})(__[A-Za-z_0-9é]{0,5}){0,3}",
        value in "\\PC{0,20}",
    ) {
        check(&load_case(full().as_bytes(), &[(&name, &value)]));
    }

    #[test]
    fn what_is_written_is_what_is_loaded(
        size in 1..=10_000_usize,
        share in 1..=10_000_usize,
        clients in 1..=1_000_000_usize,
        milliseconds in 1..=3_600_000_u64,
        port in 1..=65535_u16,
        session: bool,
        names in proptest::collection::btree_set("[ -~é]{1,20}", 1..6),
        password in "[ -~é]{1,40}",
    ) {
        let quote = |text: &str| serde_json::to_string(text).unwrap();
        let share = share.min(size);
        let mode = if session { "session" } else { "transaction" };
        let tenants: Vec<String> = names.iter().enumerate().map(|(i, name)| format!(
            "[[tenants]]\nid = \"t{i}\"\nname = {0}\n\
             [[logins]]\nuser = {0}\ntenant = \"t{i}\"\nscram = \"{SCRAM}\"\n",
            quote(name),
        )).collect();
        let text = format!(
            "{SMALL}\n[listen]\nmax_clients = {clients}\naddress = \"[::1]:{port}\"\n\
             [pool]\nmode = \"{mode}\"\nsize = {size}\nsize_per_tenant = {share}\n\
             wait_timeout = \"{milliseconds}ms\"\n{}",
            tenants.concat(),
        );
        let text = with(&text, "servers.main", &format!("password = {}", quote(&password)));
        let settings = load_case(text.as_bytes(), &[]).unwrap();
        prop_assert_eq!(settings.pool.size, size);
        prop_assert_eq!(settings.pool.size_per_tenant, share);
        prop_assert_eq!(settings.pool.mode == PoolMode::Session, session);
        prop_assert_eq!(settings.pool.wait_timeout, Duration::from_millis(milliseconds));
        prop_assert_eq!(settings.listen.max_clients, clients);
        prop_assert_eq!(settings.listen.addresses[0].port(), port);
        let server = &settings.servers[&ServerName::new("main")];
        prop_assert_eq!(server.password.as_ref().unwrap().reveal(), &password);
        for (i, name) in names.iter().enumerate() {
            let principal = &settings.directory.find(name).unwrap().principal;
            prop_assert_eq!(&principal.tenant.name, name);
            prop_assert_eq!(principal.tenant.id.as_str(), format!("t{i}"));
        }
    }
}

#[test]
fn the_audit_log_stops_by_default_where_statements_that_run_are_recorded() {
    let folder = Folder::new();
    let load = |lines: &str, isolation: &str| {
        let text = format!("{SMALL}[audit]\n{lines}\n");
        let text = text.replacen(
            "kind = \"setting\"",
            &format!("kind = \"setting\"\n{isolation}"),
            1,
        );
        folder.load(text).unwrap().audit
    };
    let on_failure = |lines: &str, isolation: &str| {
        let lines = format!("file = \"audit.jsonl\"\n{lines}");
        load(&lines, isolation).unwrap().options.on_failure
    };
    assert!(load("", "").is_none());
    assert_eq!(on_failure("", ""), OnFailure::Count);
    assert_eq!(on_failure("statements = \"write\"", ""), OnFailure::Stop);
    assert_eq!(on_failure("", "audit = \"all\""), OnFailure::Stop);
    let counts = "statements = \"all\"\non_failure = \"count\"";
    assert_eq!(on_failure(counts, ""), OnFailure::Count);
    folder.put("short.key", "short");
    for (lines, said) in [
        (
            "statements = \"all\"",
            "audit.statements: has no meaning without audit.file",
        ),
        (
            "file = \"a\"\nstatements = \"reads\"",
            "must be one of \"none\", \"refused\"",
        ),
        (
            "file = \"a\"\nkey_file = \"short.key\"",
            "holds fewer than 16 bytes",
        ),
        (
            "file = \"a\"\nrotate_size = \"1B\"",
            "must be a size with its unit",
        ),
        ("file = \"a\"\nfsnyc = \"never\"", "did you mean `fsync`?"),
    ] {
        let problem = folder.problem(format!("{SMALL}[audit]\n{lines}\n"));
        assert!(problem.contains(said), "{problem}");
    }
}
