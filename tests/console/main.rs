//! The console: who gets in, what the tools that read it ask, and what its commands do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commands;
mod exporter;
mod process;
mod refusals;
mod shapes;
mod tools;

use testkit::{Fields, Options, Proxy, Raw, Site, site};

/// A proxy with an operator, `ops`, and a viewer, `eyes`, and a console of its own.
fn proxy(options: Options) -> Proxy {
    proxy_before(site(), options)
}

fn proxy_before(site: &Site, options: Options) -> Proxy {
    let options = Options {
        more: format!(
            "[admin]\nconsole = \"127.0.0.1:0\"\n\
             [[admins]]\nuser = \"ops\"\nscram = {0:?}\nrole = \"operator\"\n\
             [[admins]]\nuser = \"eyes\"\nscram = {0:?}\n{1}",
            site.login_verifier, options.more,
        ),
        ..options
    };
    Proxy::start_before(site, &options)
}

/// The port of the console's own address.
fn port(proxy: &Proxy) -> u16 {
    let line = proxy.wait_for_log("console address=127.0.0.1:");
    let (_, rest) = line.split_once("address=127.0.0.1:").unwrap();
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits.parse().unwrap()
}

fn try_admin(proxy: &Proxy, port: u16, user: &str, database: &str) -> Result<Raw, Fields> {
    let parameters = [("user", user), ("database", database)];
    Raw::log_in(port, &proxy.password, &parameters)
}

/// An operator at the console's own address.
fn operator(proxy: &Proxy) -> Raw {
    try_admin(proxy, port(proxy), "ops", "pgtenant").unwrap()
}

/// How many clients of tenants there are: administrators are listed, too.
fn count_clients(admin: &mut Raw) -> usize {
    let answer = admin.run_ok("SHOW CLIENTS");
    let rows = answer.rows();
    let is_tenants = |row: &&Vec<Option<String>>| !row[14].as_ref().unwrap().starts_with("admin-");
    rows.iter().filter(is_tenants).count()
}

/// The value of a column in the only row in which the others are so.
fn cell(admin: &mut Raw, show: &str, column: &str, so: &[(&str, &str)]) -> String {
    let answer = admin.run_ok(show);
    let head = answer.of(b'T').next().unwrap();
    let names = columns(&head.body);
    let at = |name: &str| names.iter().position(|known| known == name).unwrap();
    let rows = answer.rows();
    let rows: Vec<_> = rows
        .iter()
        .filter(|row| {
            so.iter()
                .all(|(name, value)| row[at(name)].as_deref() == Some(*value))
        })
        .collect();
    assert_eq!(rows.len(), 1, "{show}: {rows:?}");
    rows[0][at(column)].clone().unwrap_or_default()
}

/// The names in a RowDescription.
fn columns(body: &[u8]) -> Vec<String> {
    let mut rest = &body[2..];
    let mut names = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == 0).unwrap();
        names.push(String::from_utf8(rest[..end].to_vec()).unwrap());
        rest = &rest[end + 19..];
    }
    names
}
