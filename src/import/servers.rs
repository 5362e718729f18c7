//! `[servers.NAME]`

use super::Source;
use super::document::Document;
use super::ini::Setting;
use super::places::Server;
use super::sections::on;
use super::userlist::{Stored, User};
use super::values;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How PgBouncer secures its connections to servers (`sslmode_map`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

pub(super) const SSL_MODES: [(&str, SslMode); 6] = [
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

/// PostgreSQL takes no more (`max_connections`).
const MOST_CONNECTIONS: i64 = 262_143;

/// What all servers have alike.
struct Common<'a> {
    mode: SslMode,
    origin: String,
    ca: Option<&'a Setting>,
    connect_timeout: Option<(String, String)>,
    tcp_user_timeout: Option<(String, String)>,
    most: Option<(String, String)>,
    shows_host: Option<String>,
}

pub(super) fn write(document: &mut Document, source: &mut Source<'_>) {
    let common = common(source);
    if source.places.servers.is_empty() {
        document.section("# [servers.main]");
        document.decide(
            "servers",
            "[databases] is empty. Give a server, an isolation and tenants.",
        );
    }
    for server in &source.places.servers {
        document.section(&format!("[servers.{}]", server.name));
        let names: Vec<_> = server.entries.iter().map(|entry| entry.name()).collect();
        document.comment(&format!("Of [databases]: {}.", names.join(", ")));
        address(document, server);
        tls(document, server, &common);
        role(document, server, source.users.users());
        for (key, value) in [
            ("connect_timeout", &common.connect_timeout),
            ("tcp_user_timeout", &common.tcp_user_timeout),
        ] {
            if let Some((value, from)) = value {
                document.text(key, value, from);
            }
        }
        if let Some((most, from)) = &common.most {
            document.key("max_connections", most, from);
        }
        if let Some(from) = &common.shows_host {
            document.text("application_name", "{app} {login}", from);
        }
    }
}

fn common<'a>(source: &mut Source<'a>) -> Common<'a> {
    let Source { main, problems, .. } = source;
    let mode = main.word("server_tls_sslmode", &SSL_MODES, problems);
    let (mode, origin) = match mode {
        Some((mode, setting)) => (mode, from(setting)),
        None => (SslMode::Prefer, "server_tls_sslmode was not set".into()),
    };
    let verifies = matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull);
    let connect = main.seconds("server_connect_timeout", problems);
    let connect = connect.map(|(length, setting)| {
        let most = Duration::from_secs(600);
        let length = if length.is_zero() { most } else { length };
        let length = length.clamp(Duration::from_millis(100), most);
        (values::duration(length), from(setting))
    });
    let tcp = on(main, "tcp_user_timeout", problems).map(|(millis, setting)| {
        let millis = millis.clamp(100, 3_600_000).unsigned_abs();
        let length = Duration::from_millis(millis);
        (values::duration(length), from(setting))
    });
    let most = on(main, "max_user_connections", problems);
    let most = most.map(|(n, setting)| (n.min(MOST_CONNECTIONS).to_string(), from(setting)));
    let host = on(main, "application_name_add_host", problems);
    Common {
        mode,
        origin,
        ca: verifies.then(|| main.text("server_tls_ca_file")).flatten(),
        connect_timeout: connect,
        tcp_user_timeout: tcp,
        most,
        shows_host: host.map(|(_, setting)| from(setting)),
    }
}

/// What a value comes from.
pub(super) fn from(setting: &Setting) -> String {
    format!("{}, {}", setting.key, setting.at.shown())
}

fn address(document: &mut Document, server: &Server<'_>) {
    if server.is_socket && !server.is_folder() {
        document.comment(
            "It was reached over a Unix-domain socket, in PgBouncer's usual folder: a folder as \
             `host`, such as \"/var/run/postgresql\", does the same. Over 127.0.0.1 pg_hba.conf must \
             let the role in by a password.",
        );
    }
    let is_valid =
        |host: &str| host.starts_with('/') || rustls::pki_types::ServerName::try_from(host).is_ok();
    let invalid = server.hosts.iter().find(|host| !is_valid(host));
    let several = server.hosts.len() > 1;
    if let Some(invalid) = invalid {
        let key = if several { "hosts" } else { "host" };
        let path = format!("servers.{}.{key}", server.name);
        document.decide(&path, &format!("{invalid} is no valid host name."));
    }
    match server.hosts.as_slice() {
        [one] => {
            document.text("host", one, "");
            if server.port != 5432 {
                document.key("port", &server.port.to_string(), "");
            }
        }
        all => {
            let places: Vec<_> = all.iter().map(|host| place(host, server.port)).collect();
            document.key("hosts", &values::texts(&places), "");
            document.comment(
                "Connections went to each host in turn, and go to whichever answers. If they are \
                 a primary and its standbys, \"primary\" finds the one that takes writes.",
            );
            document.text("target", "any", "");
        }
    }
}

/// A host with its port.
fn place(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port).to_string(),
        Err(_) => format!("{host}:{port}"),
    }
}

fn tls(document: &mut Document, server: &Server<'_>, common: &Common<'_>) {
    if server.is_folder() {
        return;
    }
    let is_local = server.hosts.iter().all(|host| is_local(host));
    let word = match common.mode {
        SslMode::Disable => "off",
        _ if server.is_socket => "off",
        SslMode::Prefer | SslMode::Allow if is_local => "off",
        SslMode::Prefer | SslMode::Allow => {
            document.comment(
                "\"prefer\" is not offered: it fell back to clear text. If the server has no \
                 TLS, write \"off\"; better is \"verify-full\" with `ca`.",
            );
            "require"
        }
        SslMode::Require => {
            document.comment("Better is \"verify-full\" with `ca`: nobody can pose as the server.");
            "require"
        }
        SslMode::VerifyCa => "verify-ca",
        SslMode::VerifyFull => "verify-full",
    };
    document.text("tls", word, &common.origin);
    if word.starts_with("verify") {
        let path = format!("servers.{}.ca", server.name);
        let (file, from) = match common.ca {
            Some(setting) => (setting.value.as_str(), from(setting)),
            None => ("server-ca.crt", "server_tls_ca_file was not set".into()),
        };
        document.file(
            &path,
            "the certificates that the server's is verified against.",
        );
        document.text("ca", file, &from);
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The role, and where its password is.
fn role(document: &mut Document, server: &Server<'_>, users: &[User]) {
    let Some(user) = server.user else {
        let path = format!("servers.{}.user", server.name);
        document.decide(
            &path,
            "clients logged in to PostgreSQL under their own names. pgtenant logs in as one \
             role for all tenants of this server: one that may connect to their databases, is \
             no superuser and owns no protected table. All logins have its rights then.",
        );
        document.line("# user = \"app\"");
        document.line(&format!("# password_file = \"{}.password\"", server.name));
        return;
    };
    document.text("user", user, "");
    let given = server
        .entries
        .iter()
        .find(|entry| entry.get("password").is_some());
    let listed = users.iter().find(|one| one.name == user);
    let place = match (given, listed.map(|user| (&user.secret, user))) {
        (Some(entry), _) => format!("it stands in {}", entry.setting.at.shown()),
        (None, Some((Stored::Derived(_), user))) => format!("it stands in {}", user.at.shown()),
        (None, Some((Stored::Empty, _)) | None) => {
            document.comment(
                "No password was given: the server must let the role in without one, or set \
                 `password_file`.",
            );
            return;
        }
        (None, Some((_, user))) => format!(
            "{} has a hash of it alone, with which nobody can log in",
            user.at.shown()
        ),
    };
    let path = format!("servers.{}.password_file", server.name);
    document.file(
        &path,
        &format!("write the role's password into it ({place}), and chmod 600."),
    );
    let file = format!("{}.password", server.name);
    document.text("password_file", &file, "");
}
