//! What has no counterpart, with its reason, in the order of the file.

use super::Source;
use super::document::Document;
use super::entries::Entry;
use super::ini::{Section, Setting};
use super::keys;
use super::sections::timeouts;
use super::values;

/// Parameters of `[databases]` that have been translated with their entry.
const TRANSLATED: [&str; 8] = [
    "dbname",
    "host",
    "port",
    "user",
    "password",
    "pool_size",
    "max_db_connections",
    "max_db_client_connections",
];

pub(super) fn write(
    document: &mut Document,
    source: &Source<'_>,
    settings: &[Setting],
    peers: &[Entry<'_>],
) {
    let mut remarks = Document::default();
    for setting in settings {
        if is_overridden(setting, settings) {
            remark(
                &mut remarks,
                setting,
                "It stands twice, and the later line holds.",
            );
        } else if setting.section == Section::Main && !source.main.is_translated(&setting.key) {
            let note = untranslated(setting);
            remark(&mut remarks, setting, &note);
        }
    }
    for entry in source.databases {
        let left = |key: &str| !TRANSLATED.contains(&key);
        parameters(&mut remarks, entry, left);
    }
    for entry in source.user_settings {
        let is_login = source
            .users
            .users()
            .iter()
            .any(|one| one.name == entry.name());
        let is_limit = |key: &str| {
            let length = entry.get(key).and_then(values::seconds);
            length.is_some_and(|length| !length.is_zero())
        };
        let is_translated =
            |key: &str| timeouts().iter().any(|(old, ..)| *old == key) && is_limit(key);
        parameters(&mut remarks, entry, |key| !is_login || !is_translated(key));
    }
    for entry in peers {
        parameters(&mut remarks, entry, |_| true);
    }
    if !remarks.is_empty() {
        document.line("");
        document.line("");
        document.comment("Without a counterpart:");
        document.line("#");
        document.append(remarks);
    }
}

/// Whether a later line takes the setting's place.
fn is_overridden(setting: &Setting, settings: &[Setting]) -> bool {
    let same = |one: &&Setting| one.section == setting.section && one.key == setting.key;
    settings
        .iter()
        .rfind(same)
        .is_some_and(|last| !std::ptr::eq(last, setting))
}

/// Why a key of `[pgbouncer]` is left.
fn untranslated(setting: &Setting) -> String {
    let note = note(Section::Main, &setting.key);
    match keys::find(Section::Main.name(), &setting.key).map(|key| key.counterpart) {
        Some("") | None => note.to_owned(),
        Some(_) if ["", "0", "0.0"].contains(&setting.value.as_str()) => {
            "It was empty or 0: there is nothing to translate.".to_owned()
        }
        Some(key) => format!("Not translated to {key} here. {note}"),
    }
}

fn note(section: Section, key: &str) -> &'static str {
    match keys::find(section.name(), key) {
        Some(key) if key.note.is_empty() => "It has no meaning here.",
        Some(key) => key.note,
        None => "PgBouncer 1.25 has no such key.",
    }
}

fn remark(remarks: &mut Document, setting: &Setting, note: &str) {
    let line = format!("{} = {}", setting.key, shown(&setting.key, &setting.value));
    remarks.line(&format!("# {}: {line}", setting.at.shown()));
    remarks.indented("#     ", note);
}

/// The parameters of a line that are left.
fn parameters(remarks: &mut Document, entry: &Entry<'_>, is_left: impl Fn(&str) -> bool) {
    let setting = entry.setting;
    for pair in entry.pairs.iter().filter(|pair| is_left(&pair.key)) {
        let value = shown(&pair.key, &pair.value);
        let place = format!("{}: {}.{}", setting.at.shown(), entry.name(), pair.key);
        remarks.line(&format!("# {place} = {value}"));
        remarks.indented("#     ", note(setting.section, &pair.key));
    }
}

/// The value, unless it may hold a secret.
fn shown<'a>(key: &str, value: &'a str) -> &'a str {
    let lower = value.to_lowercase();
    let words = ["password", "passwd", "bindpw", "secret", "token", "://"];
    let lists_pairs = key == "auth_ldap_options" || value.contains("password=");
    if lists_pairs || words.iter().any(|word| lower.contains(word)) {
        "(not shown)"
    } else {
        value
    }
}
