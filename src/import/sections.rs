//! `[listen]`, `[tls]` and `[log]`, and how values are read for all sections

use super::Source;
use super::document::Document;
use super::ini::Setting;
use super::main_section::Main;
use super::servers::{SSL_MODES, SslMode, from};
use super::values;
use crate::problem::Problem;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The most of listen.max_statement, in bytes.
const MOST_STATEMENT: i64 = 1023 << 20;
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn listen(document: &mut Document, source: &mut Source<'_>) {
    document.section("[listen]");
    addresses(document, source);
    let Source { main, problems, .. } = source;
    let clients = number(main, "max_client_conn", 1..=1_000_000, problems);
    if let Some((n, setting)) = clients {
        document.key("max_clients", &n.to_string(), &from(setting));
    }
    let most = clients.map_or(10_000, |(n, _)| n);
    let each = on(main, "max_db_client_connections", problems);
    if let Some((n, setting)) = each {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        document.key(
            "clients_per_tenant",
            &n.min(most).to_string(),
            &from(setting),
        );
    }
    let login = time(SECOND, Duration::from_secs(600));
    length(
        document,
        main,
        "client_login_timeout",
        "login_timeout",
        &login,
        problems,
    );
    for (old, key, most) in timeouts() {
        length(document, main, old, key, &up_to(most), problems);
    }
    if let Some((bytes, setting)) = on(main, "max_packet_size", problems) {
        // The default of PgBouncer bounds nothing.
        if bytes > MOST_STATEMENT {
            main.leave(setting);
        } else {
            document.comment("It is about query strings alone; a long one takes memory to judge.");
            let kib = (bytes / 1024).max(64);
            document.text("max_statement", &format!("{kib}KiB"), &from(setting));
        }
    }
    if let Some((_, setting)) = on(main, "so_reuseport", problems) {
        document.comment("One process takes the place of several that shared the port.");
        document.text("workers", "auto", &from(setting));
    }
}

/// Limits of time of sessions: PgBouncer's names, pgtenant's, and the longest.
pub(super) fn timeouts() -> [(&'static str, &'static str, Duration); 4] {
    [
        ("query_timeout", "statement_timeout", DAY),
        (
            "idle_transaction_timeout",
            "idle_in_transaction_timeout",
            DAY,
        ),
        ("transaction_timeout", "transaction_timeout", DAY),
        ("client_idle_timeout", "client_idle_timeout", 30 * DAY),
    ]
}

/// What such a limit may be.
fn up_to(most: Duration) -> Range {
    Range {
        least: Duration::from_millis(100),
        most,
        zero: Duration::ZERO,
    }
}

fn addresses(document: &mut Document, source: &mut Source<'_>) {
    let Source { main, problems, .. } = source;
    let listed = number(main, "listen_port", 1..=65535, problems);
    let port = listed.map_or(6432, |(port, _)| port);
    let port = u16::try_from(port).unwrap_or(6432);
    let of_port = listed.map(|(_, setting)| from(setting));
    let listed = main.text("listen_addr");
    let names = listed.map_or("", |setting| &setting.value).split(',');
    let names: Vec<_> = names
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let folder = main.text("unix_socket_dir");
    let mode = main.text("unix_socket_mode");
    socket(document, folder.filter(|one| !one.value.is_empty()), mode);
    let (Some(setting), false) = (listed, names.is_empty()) else {
        document.comment(
            "It listened on a Unix-domain socket alone. The socket of `unix` has the port of this \
             address.",
        );
        let address = format!("127.0.0.1:{port}");
        return document.text("address", &address, &of_port.unwrap_or_default());
    };
    let all: Vec<_> = names
        .iter()
        .flat_map(|name| address(document, name, port))
        .collect();
    let mut origin = from(setting);
    if let Some(of_port) = of_port {
        origin = format!("{origin}; {of_port}");
    }
    document.key("address", &values::texts(&all), &origin);
}

/// The socket, as a comment: who may write to its folder is not known here.
fn socket(document: &mut Document, folder: Option<&Setting>, mode: Option<&Setting>) {
    let Some(folder) = folder else {
        return;
    };
    if folder.value.starts_with('@') {
        return document.comment("An abstract socket is not offered; `unix` names a folder.");
    }
    document.comment(
        "For clients of this machine as well, once the proxy's user alone can write to the folder:",
    );
    let shown = values::text(&folder.value);
    document.comment(&format!("unix = {shown}  # {}", from(folder)));
    if let Some(mode) = mode {
        let shown = values::text(&mode.value);
        document.comment(&format!("unix_mode = {shown}  # {}", from(mode)));
    }
}

/// The addresses with their port that one of `listen_addr` stands for.
fn address(document: &mut Document, name: &str, port: u16) -> Vec<String> {
    if name == "*" {
        return vec![format!("0.0.0.0:{port}"), format!("[::]:{port}")];
    }
    if let Ok(ip) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
        return vec![SocketAddr::new(ip, port).to_string()];
    }
    if name != "localhost" {
        let reason = format!("{name} must be a name of this machine when pgtenant starts.");
        document.decide("listen.address", &reason);
    }
    vec![format!("{name}:{port}")]
}

/// Whether clients have to show a certificate.
pub(super) fn asks_for_certificates(main: &Main<'_>) -> bool {
    let word = main.peek("client_tls_sslmode").unwrap_or_default();
    let is = |text: &str| word.eq_ignore_ascii_case(text);
    is("verify-ca") || is("verify-full")
}

pub(super) fn tls(document: &mut Document, source: &mut Source<'_>) {
    document.section("[tls]");
    let verifies = asks_for_certificates(&source.main);
    let Source { main, problems, .. } = source;
    let found = main.word("client_tls_sslmode", &SSL_MODES, problems);
    let (mode, origin) = match found {
        Some((mode, setting)) => (mode, from(setting)),
        None => (SslMode::Disable, "client_tls_sslmode was not set".into()),
    };
    match mode {
        SslMode::Disable => {
            document.comment(
                "Statements and rows cross the network in clear text, as before. Better is \
                 \"require\", with `certificate` and `key`.",
            );
            return document.text("mode", "off", &origin);
        }
        SslMode::Allow | SslMode::Prefer => document.text("mode", "allow", &origin),
        _ => document.text("mode", "require", &origin),
    }
    for (key, old, default) in [
        ("certificate", "client_tls_cert_file", "server.crt"),
        ("key", "client_tls_key_file", "server.key"),
    ] {
        named_file(document, main, key, old, default);
    }
    if verifies {
        document.comment(
            "Clients without a certificate get in only where a login's `methods` let them.",
        );
        named_file(
            document,
            main,
            "client_ca",
            "client_tls_ca_file",
            "clients-ca.crt",
        );
    }
}

fn named_file(document: &mut Document, main: &mut Main<'_>, key: &str, old: &str, default: &str) {
    let (file, origin) = match main.text(old) {
        Some(setting) => (setting.value.as_str(), from(setting)),
        None => (default, format!("{old} was not set")),
    };
    document.file(
        &format!("tls.{key}"),
        "pgtenant's user must be able to read it.",
    );
    document.text(key, file, &origin);
}

pub(super) fn log(document: &mut Document, source: &mut Source<'_>) {
    let Source { main, problems, .. } = source;
    if let Some((level, setting)) = on(main, "verbose", problems) {
        document.section("[log]");
        let filter = if level == 1 { "debug" } else { "trace" };
        document.text("filter", filter, &from(setting));
    }
}

/// A number that is not 0, which switches off.
pub(super) fn on<'a>(
    main: &mut Main<'a>,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<(i64, &'a Setting)> {
    let (number, setting) = main.integer(key, problems)?;
    if number <= 0 {
        main.leave(setting);
        return None;
    }
    Some((number, setting))
}

/// A number, which is cut to the range.
pub(super) fn number<'a>(
    main: &mut Main<'a>,
    key: &str,
    range: std::ops::RangeInclusive<u32>,
    problems: &mut Vec<Problem>,
) -> Option<(u32, &'a Setting)> {
    let (number, setting) = main.integer(key, problems)?;
    let (least, most) = range.into_inner();
    let number = number.clamp(i64::from(least), i64::from(most));
    Some((u32::try_from(number).ok()?, setting))
}

/// What pgtenant takes, and what takes the place of PgBouncer's 0.
pub(super) struct Range {
    pub(super) least: Duration,
    pub(super) most: Duration,
    pub(super) zero: Duration,
}

/// One in which 0 means that there is no limit.
pub(super) fn time(least: Duration, most: Duration) -> Range {
    Range {
        least,
        most,
        zero: most,
    }
}

pub(super) fn length(
    document: &mut Document,
    main: &mut Main<'_>,
    old: &str,
    key: &str,
    range: &Range,
    problems: &mut Vec<Problem>,
) {
    let Some((given, setting)) = main.seconds(old, problems) else {
        return;
    };
    let length = match given.is_zero() {
        true => range.zero,
        false => given.clamp(range.least, range.most),
    };
    if length != given {
        document.comment(&format!(
            "It was {} s, which is not offered.",
            setting.value
        ));
    }
    document.text(key, &values::duration(length), &from(setting));
}
