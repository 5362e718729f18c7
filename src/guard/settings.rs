//! Settings by name: which may be changed, to what.

use super::policy::Policy;
use super::rules::{self, Rule};
use super::search_path;
use std::time::Duration;

/// What a setting is to become.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change<'a> {
    /// Its reset value, which pgtenant chose when it connected.
    Default,
    /// The list of a SET statement, an item each.
    List(&'a [String]),
    /// One text that the server splits itself, as in set_config.
    Text(&'a str),
    /// Known only when the statement runs.
    Computed,
}

/// What speaks against a change.
#[derive(Debug)]
pub(super) enum Objection {
    /// A rule, whoever's session it is.
    Refused(&'static Rule, String),
    /// It gives search_path this list, quoted: it passes if that is the tenant's own.
    UnlessOwn(Box<str>),
}

/// What speaks against changing `name`, in lower case, so.
pub(super) fn objection(policy: &Policy, name: &str, change: Change<'_>) -> Option<Objection> {
    if name == search_path::SETTING && policy.protects(name) {
        return search_path::is_tenants(change);
    }
    refusal(policy, name, change).map(|(rule, message)| Objection::Refused(rule, message))
}

fn refusal(policy: &Policy, name: &str, change: Change<'_>) -> Option<(&'static Rule, String)> {
    if policy.protects(name) {
        return Some((&rules::TENANT, carries_tenant(name)));
    }
    if name == ROLE && restores_role(change) {
        return None;
    }
    if ROLE_SETTINGS.contains(&name) {
        let message = format!("setting \"{name}\" cannot be changed through pgtenant");
        return Some((&rules::ROLE, message));
    }
    if name == search_path::SETTING {
        return search_path::keeps_postgresqls(change);
    }
    if policy.read_only && READ_ONLY_SETTINGS.contains(&name) {
        // Their default would let write.
        let change = match change {
            Change::Default => Change::Text("default"),
            change => change,
        };
        return allowed_only(name, &rules::READ_ONLY, is_on, change);
    }
    if let Some(most) = policy.most_of(name) {
        return at_most(name, most, change);
    }
    let (_, rule, allowed) = PINNED.iter().find(|(pinned, ..)| *pinned == name)?;
    allowed_only(name, rule, *allowed, change)
}

/// Why a setting that carries the tenant is not changed.
pub(super) fn carries_tenant(name: &str) -> String {
    format!("setting \"{name}\" carries the tenant and cannot be changed")
}

/// The setting that `name`, in lower case, is an old name of, or `name` itself
/// (PostgreSQL: `map_old_guc_names`).
pub(super) fn current_name(name: &str) -> &str {
    match name {
        "sort_mem" => "work_mem",
        "vacuum_mem" => "maintenance_work_mem",
        _ => name,
    }
}

/// How long a change of `name`, in lower case, lasts.
pub(super) fn kind(name: &str) -> Kind {
    match name {
        "transaction_isolation" | "transaction_read_only" | "transaction_deferrable" => {
            Kind::Transaction
        }
        "seed" => Kind::Seed,
        _ => Kind::Session,
    }
}

/// How long a change of a setting lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As long as the session.
    Session,
    /// Until the transaction ends.
    Transaction,
    /// It is no value but an act: it changes the state of `random()`.
    Seed,
}

/// Settings that are a change of role.
const ROLE_SETTINGS: &[&str] = &["role", "session_authorization", "is_superuser"];

/// The role that SET ROLE has chosen.
pub(super) const ROLE: &str = "role";

/// Whether the role becomes that of the login again, which it is: no other can be
/// chosen. DISCARD ALL does the same.
fn restores_role(change: Change<'_>) -> bool {
    match change {
        Change::Default => true,
        Change::List([role]) => role == "none",
        Change::Text(role) => role == "none",
        Change::List(_) | Change::Computed => false,
    }
}

/// Settings that say whether transactions may write.
const READ_ONLY_SETTINGS: &[&str] = &["transaction_read_only", "default_transaction_read_only"];

/// The values that a pinned setting may be set to.
type Allowed = fn(&str) -> bool;

/// Settings that may only take some values.
const PINNED: &[(&str, &Rule, Allowed)] = &[
    ("client_encoding", &rules::ENCODING, is_utf8),
    ("standard_conforming_strings", &rules::STRINGS, is_on),
    ("row_security", &rules::ISOLATION, is_on),
    ("session_replication_role", &rules::ISOLATION, is_origin),
    ("lo_compat_privileges", &rules::ISOLATION, is_off),
    ("allow_system_table_mods", &rules::ISOLATION, is_off),
    ("local_preload_libraries", &rules::ISOLATION, never),
    ("session_preload_libraries", &rules::ISOLATION, never),
    ("shared_preload_libraries", &rules::ISOLATION, never),
    ("dynamic_library_path", &rules::ISOLATION, never),
    ("jit_provider", &rules::ISOLATION, never),
];

fn allowed_only(
    name: &str,
    rule: &'static Rule,
    allowed: Allowed,
    change: Change<'_>,
) -> Option<(&'static Rule, String)> {
    let value = match change {
        Change::Default => return None,
        Change::Text(value) => value,
        Change::List([value]) => value,
        Change::List(_) => "",
        Change::Computed => return Some(computed(name)),
    };
    if allowed(value) {
        return None;
    }
    let message = format!("setting \"{name}\" cannot be set to \"{}\"", clip(value));
    Some((rule, message))
}

/// A length of time that the tenant limits: no limit, or a longer one, is
/// refused, and so is the default, which is none.
fn at_most(name: &str, most: Duration, change: Change<'_>) -> Option<(&'static Rule, String)> {
    let value = match change {
        Change::Default => "default",
        Change::Text(value) => value,
        Change::List([value]) => value,
        Change::List(_) => "",
        Change::Computed => return Some(computed(name)),
    };
    let least = Duration::from_millis(1);
    if time(value).is_some_and(|time| (least..=most).contains(&time)) {
        return None;
    }
    let message = format!(
        "setting \"{name}\" cannot be set to \"{}\": the tenant's limit is {}",
        clip(value),
        humantime::format_duration(most)
    );
    Some((&rules::TENANT_LIMIT, message))
}

/// A length of time as PostgreSQL reads it, milliseconds where there is no unit.
/// What it would take besides (exponents, other bases) is not understood here.
fn time(text: &str) -> Option<Duration> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let second = match unit.trim_start_matches(|c: char| c.is_ascii_whitespace()) {
        "us" => 0.000_001,
        "" | "ms" => 0.001,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * second).ok()
}

pub(super) fn computed(name: &str) -> (&'static Rule, String) {
    let message = format!("the value of setting \"{name}\" is not a constant");
    (&rules::COMPUTED, message)
}

/// Whether this names the encoding UTF8. PostgreSQL compares letters and digits only.
#[must_use]
pub fn is_utf8(value: &str) -> bool {
    let letters = value.bytes().filter(u8::is_ascii_alphanumeric);
    let name: Vec<u8> = letters.map(|b| b.to_ascii_lowercase()).collect();
    matches!(&*name, b"utf8" | b"unicode")
}

fn is_on(value: &str) -> bool {
    ["on", "true", "yes", "1"].contains(&&*value.to_ascii_lowercase())
}

fn is_off(value: &str) -> bool {
    ["off", "false", "no", "0"].contains(&&*value.to_ascii_lowercase())
}

fn is_origin(value: &str) -> bool {
    value.eq_ignore_ascii_case("origin")
}

fn never(_: &str) -> bool {
    false
}

/// The beginning of a client's text, for a message.
pub(super) fn clip(text: &str) -> &str {
    const LONGEST: usize = 200;
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_those_of_postgresql() {
        let ms = |text| time(text).map(|time| time.as_micros());
        assert_eq!(ms("5"), Some(5_000));
        assert_eq!(ms(" 1.5 s "), Some(1_500_000));
        assert_eq!(ms("2min"), Some(120_000_000));
        assert_eq!(ms("100us"), Some(100));
        for text in [
            "", "-1", "1e3", "0x10", "1 sec", "1S", "1 2", "s", "1d1", ".",
        ] {
            assert_eq!(ms(text), None, "{text}");
        }
    }
}
