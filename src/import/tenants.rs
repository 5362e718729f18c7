//! `[isolation.NAME]` and `[[tenants]]`

use super::Source;
use super::document::Document;
use super::ini::Setting;
use super::places::{Database, Places};
use super::pool::usual_size;
use super::values;
use crate::problem::Problem;
use std::collections::BTreeSet;

/// The name of the isolation of a server's databases that have so many aliases.
fn isolation_name(places: &Places<'_>, server: usize, aliases: usize) -> Option<String> {
    let name = &places.servers.get(server)?.name;
    Some(match aliases {
        0 => name.clone(),
        1 => format!("{name}_alias"),
        n => format!("{name}_alias_{n}"),
    })
}

/// The key of a tenant that has its alias of this number, from 0.
fn alias_key(number: usize) -> String {
    match number {
        0 => "alias".into(),
        n => format!("alias_{}", n + 1),
    }
}

pub(super) fn isolations(document: &mut Document, source: &mut Source<'_>) {
    let places = source.places;
    let databases = places.databases.iter();
    let mut wanted: BTreeSet<_> = databases
        .map(|one| (one.server, one.aliases().len()))
        .collect();
    wanted.extend(places.fallback.iter().map(|(server, _)| (*server, 0)));
    for (server, aliases) in wanted {
        let Some(name) = isolation_name(places, server, aliases) else {
            continue;
        };
        let server = places.servers.get(server).map(|one| one.name.as_str());
        document.section(&format!("[isolation.{name}]"));
        document.text("kind", "database", "");
        document.text("server", server.unwrap_or_default(), "");
        document.text("database", "{database}", "");
        if aliases > 0 {
            document.comment("Connection strings stay as they are: clients ask by these names.");
            let names: Vec<_> = (0..aliases)
                .map(|n| format!("{{{}}}", alias_key(n)))
                .collect();
            document.key("database_alias", &values::texts(&names), "");
        }
    }
    examples(document, places);
}

/// What stands in the place of an isolation where customers share a database.
fn examples(document: &mut Document, places: &Places<'_>) {
    let Some(database) = places.databases.first() else {
        return;
    };
    let server = places.servers.get(database.server);
    let server = server.map_or("main", |one| one.name.as_str());
    let name = values::text(database.name);
    document.line("");
    document.comment(&format!(
        "Example: the customers share a database such as {name}, and row-level security keeps \
         them apart by a setting. Each customer is a tenant then, with its id; the tenant of the \
         database itself goes.",
    ));
    for line in [
        "[isolation.shared]",
        "kind = \"setting\"",
        &format!("server = \"{server}\""),
        &format!("database = {name}"),
        "setting = \"app.tenant_id\"",
    ] {
        document.line(&format!("# {line}"));
    }
    document.comment("Or each customer has a schema in it:");
    for line in [
        "kind = \"schema\"",
        "search_path = [\"{schema}\"]",
        "role = \"{schema}_app\"",
    ] {
        document.line(&format!("# {line}"));
    }
}

/// The connections that a database has of its own.
pub(super) fn own_size(database: &Database<'_>, problems: &mut Vec<Problem>) -> Option<u32> {
    let number = |key: &str, problems: &mut Vec<Problem>| {
        let entries = database.entries.iter();
        let numbers = entries.filter_map(|entry| entry.number(key, problems));
        numbers.max().filter(|n| *n > 0)
    };
    let all = number("max_db_connections", problems);
    let size = all.or_else(|| number("pool_size", problems))?;
    u32::try_from(size.min(10_000)).ok()
}

pub(super) fn write(document: &mut Document, source: &mut Source<'_>) {
    let Source { main, problems, .. } = source;
    let (usual, _) = usual_size(main, problems);
    for database in &source.places.databases {
        tenant(document, source.places, database, usual, source.problems);
    }
    others(document, source.places);
    if let Some((server, entry)) = source.places.fallback {
        fallback(document, source.places, server, entry.setting);
    }
}

fn tenant(
    document: &mut Document,
    places: &Places<'_>,
    database: &Database<'_>,
    usual_size: u32,
    problems: &mut Vec<Problem>,
) {
    let Some(first) = database.entries.first() else {
        return;
    };
    let aliases = database.aliases();
    document.section("[[tenants]]");
    document.text("id", first.name(), &first.setting.at.shown());
    if let Some(name) = isolation_name(places, database.server, aliases.len()) {
        document.text("isolation", &name, "");
    }
    document.text("database", database.name, "");
    for (number, alias) in aliases.iter().enumerate() {
        document.text(&alias_key(number), alias, "");
    }
    let own = own_size(database, problems);
    let sizes = places.databases.iter().map(|one| own_size(one, problems));
    let largest = sizes.flatten().max().unwrap_or_default();
    match own {
        Some(size) => document.key("pool_size", &size.to_string(), ""),
        None if largest > usual_size => document.key("pool_size", &usual_size.to_string(), ""),
        None => {}
    }
    let entries = database.entries.iter();
    let clients = entries.filter_map(|one| one.number("max_db_client_connections", problems));
    if let Some(most) = clients.max().filter(|most| *most > 0) {
        document.key("max_clients", &most.min(1_000_000).to_string(), "");
    }
}

/// Names that led to a tenant's database under another role.
fn others(document: &mut Document, places: &Places<'_>) {
    for (entry, database) in &places.others {
        let Some(database) = places.databases.get(*database) else {
            continue;
        };
        let tenant = database.entries.first().map_or("", |entry| entry.name());
        document.line("");
        document.comment(&format!(
            "{} ({}) was the same database as {tenant} under another role, or by another address. \
             A tenant has one role, and its clients' rights are that role's: the name has been \
             left out, so that nobody gets other rights than before. If the tenant's role will \
             do, add the name as an alias of {tenant}.",
            entry.name(),
            entry.setting.at.shown(),
        ));
    }
}

/// What `*` has been.
fn fallback(document: &mut Document, places: &Places<'_>, server: usize, setting: &Setting) {
    document.line("");
    document.comment(&format!(
        "`*` ({}) let clients ask for any database. Here each database is a tenant that is \
         listed: here, in files (directory.folder), or in a table ([directory.sql], which \
         notices new rows). Such as:",
        setting.at.shown()
    ));
    document.line("# [[tenants]]");
    document.line("# id = \"acme\"");
    if let Some(name) = isolation_name(places, server, 0) {
        document.line(&format!("# isolation = {}", values::text(&name)));
    }
    document.line("# database = \"acme\"");
}
