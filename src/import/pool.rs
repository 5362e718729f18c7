//! `[pool]`

use super::Source;
use super::document::Document;
use super::ini::Setting;
use super::main_section::Main;
use super::sections::{Range, length, number, time};
use super::servers::from;
use crate::problem::Problem;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn write(document: &mut Document, source: &mut Source<'_>) {
    document.section("[pool]");
    mode(document, source);
    let size = size(document, source);
    min_idle(document, source, size);
    let Source { main, problems, .. } = source;
    let wait = time(MILLISECOND, HOUR);
    length(
        document,
        main,
        "query_wait_timeout",
        "wait_timeout",
        &wait,
        problems,
    );
    let idle = time(MILLISECOND, DAY);
    length(
        document,
        main,
        "server_idle_timeout",
        "idle_timeout",
        &idle,
        problems,
    );
    let life = Range {
        least: SECOND,
        most: 30 * DAY,
        zero: SECOND,
    };
    length(
        document,
        main,
        "server_lifetime",
        "connection_lifetime",
        &life,
        problems,
    );
    let least = Duration::from_millis(100);
    let check = Range {
        least,
        most: DAY,
        zero: least,
    };
    length(
        document,
        main,
        "server_check_delay",
        "check_after",
        &check,
        problems,
    );
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Session,
    Transaction,
    Statement,
}

const MODES: [(&str, Mode); 3] = [
    ("session", Mode::Session),
    ("transaction", Mode::Transaction),
    ("statement", Mode::Statement),
];

fn mode(document: &mut Document, source: &mut Source<'_>) {
    let found = source.main.word("pool_mode", &MODES, source.problems);
    let (mut mode, mut origin) = match found {
        Some((mode, setting)) => (mode, from(setting)),
        None => (Mode::Session, "pool_mode was not set".into()),
    };
    let mut own = Vec::new();
    for entry in source.databases {
        if let Some(text) = entry.get("pool_mode") {
            let found = MODES
                .iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(text));
            let reason = "must be one of session, transaction, statement";
            match found {
                Some((_, mode)) => own.push(*mode),
                None => source.problems.push(entry.problem("pool_mode", reason)),
            }
        }
    }
    if let Some(first) = own.first()
        && own.len() == source.databases.len()
        && own.iter().all(|mode| mode == first)
    {
        mode = *first;
        origin = "pool_mode of all databases".into();
    } else if own.iter().any(|one| *one != mode) {
        document.comment(
            "Databases had modes of their own; there is one for all. \"transaction\" serves \
             many clients over few connections; clients that need a session keep theirs (`pin`).",
        );
    }
    let word = match mode {
        Mode::Session => "session",
        Mode::Transaction => "transaction",
        Mode::Statement => {
            document.comment("Statement pooling is not offered; transactions work.");
            "transaction"
        }
    };
    document.text("mode", word, &origin);
}

/// The connections of one database, where it has no number of its own.
pub(super) fn usual_size(main: &mut Main<'_>, problems: &mut Vec<Problem>) -> (u32, String) {
    let mut found: Option<(u32, &Setting)> = None;
    for key in ["max_db_connections", "default_pool_size"] {
        if let Some((n, setting)) = number(main, key, 0..=10_000, problems) {
            if n == 0 || found.is_some() {
                main.leave(setting);
            } else {
                found = Some((n, setting));
            }
        }
    }
    found.map_or((20, String::new()), |(n, setting)| (n, from(setting)))
}

/// What is kept ready: no more than there may be.
fn min_idle(document: &mut Document, source: &mut Source<'_>, size: u32) {
    let Source { main, problems, .. } = source;
    match number(main, "min_pool_size", 0..=10_000, problems) {
        Some((0, setting)) => main.leave(setting),
        Some((n, setting)) => document.key("min_idle", &n.min(size).to_string(), &from(setting)),
        None => {}
    }
}

/// The size of the pools.
fn size(document: &mut Document, source: &mut Source<'_>) -> u32 {
    let (usual, origin) = usual_size(&mut source.main, source.problems);
    let most = source.places.databases.iter();
    let most = most
        .filter_map(|one| super::tenants::own_size(one, source.problems))
        .max();
    let user = source
        .places
        .servers
        .iter()
        .any(|server| server.user.is_none());
    if user {
        document.comment("It was the size for each user; now all users of a database share it.");
    }
    match most.filter(|most| *most > usual) {
        Some(most) => {
            let usually = match origin.as_str() {
                "" => format!("usually {usual}"),
                from => format!("usually {usual}: {from}"),
            };
            document.comment(&format!(
                "The largest of all databases; each tenant has its own `pool_size` ({usually})."
            ));
            document.key("size", &most.to_string(), "");
            most
        }
        None => {
            if !origin.is_empty() {
                document.key("size", &usual.to_string(), &origin);
            }
            usual
        }
    }
}
