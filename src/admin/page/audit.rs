//! The audit log: how it is doing, its end, and whether it verifies.

use super::errand::Errand;
use super::layout::Action;
use super::{Scene, shown};
use crate::audit::{self, Examination, Log, Status};
use maud::{Markup, html};
use serde_json::{Map, Value};
use shown::Mood;
use std::path::PathBuf;

/// Records that are shown.
const MOST: usize = 20;
/// The fields that have a column of their own, or are of use to `pgtenant audit` alone.
const APART: [&str; 8] = [
    "seq", "time", "event", "tenant", "login", "user", "hash", "prev",
];

/// The log at one time.
#[derive(Debug)]
pub(super) struct Audited {
    status: Status,
    /// `None`: it goes to standard output.
    path: Option<PathBuf>,
    is_signed: bool,
    /// Its last records, the latest first, or why they cannot be read.
    tail: Result<Vec<Map<String, Value>>, String>,
}

impl Audited {
    /// `None`: there is none.
    pub(super) fn of(log: &Log) -> Option<Self> {
        let (status, options) = (log.status()?, log.options()?);
        let path = options.path.filter(|path| path.is_file());
        let tail = path.as_deref().map(|path| audit::tail(path, MOST));
        let tail = tail.unwrap_or_else(|| Ok(Vec::new()));
        Some(Self {
            status,
            path,
            is_signed: options.key.is_some(),
            tail: tail.map_err(|unreadable| unreadable.to_string()),
        })
    }
}

pub(super) fn section(scene: &Scene<'_>) -> Markup {
    let Some(audited) = &scene.picture.audited else {
        return shown::nothing("There is no audit log: [audit] is not configured.");
    };
    html! {
        (status(audited))
        @if audited.path.is_some() {
            (verification(&scene.errands.audit()))
            (verify(scene))
        }
        @match &audited.tail {
            Ok(records) if records.is_empty() => {}
            Ok(records) => (tail(records)),
            Err(error) => p class="outcome bad" { (error) },
        }
    }
}

fn status(audited: &Audited) -> Markup {
    let status = &audited.status;
    let place = match &audited.path {
        Some(path) => path.display().to_string(),
        None => "standard output, or a device".to_owned(),
    };
    let (word, mood) = match (status.failed, status.lost) {
        (true, _) => ("cannot be written", Mood::Bad),
        (false, 0) => ("written", Mood::Good),
        (false, _) => ("records were lost", Mood::Bad),
    };
    html! {
        dl class="figures" {
            div { dt { "State" } dd { (shown::state(word, mood)) } }
            div { dt { "Written to" } dd { code { (place) } } }
            div { dt { "Checkpoints" } dd {
                @if audited.is_signed { "signed" } @else { (shown::state("not signed", Mood::Odd)) }
            } }
            div { dt { "Records since the start" } dd { (shown::total(status.written)) } }
            div { dt { "Waiting" } dd { (shown::total(status.taken.saturating_sub(status.written))) } }
            div { dt { "Lost" } dd { (shown::total(status.lost)) } }
        }
    }
}

fn verify(scene: &Scene<'_>) -> Markup {
    let action = Action {
        word: "verify_audit",
        target: "",
        section: "audit",
        label: "Verify the log",
    };
    action.button(scene)
}

fn verification(errand: &Errand<Examination>) -> Markup {
    match errand {
        Errand::Never => {
            shown::nothing("The log has not been verified since the process has started.")
        }
        Errand::Runs { begun, progress } => html! {
            p role="status" {
                "The log is being verified, for " (shown::duration(begun.elapsed())) ": "
                progress max=(progress.1.max(1)) value=(progress.0) { (shown::total(progress.0)) " bytes" }
            }
        },
        Errand::Done {
            at,
            outcome: Err(error),
        } => html! {
            p class="outcome bad" { (shown::time(*at)) " The log was not verified: " (error) }
        },
        Errand::Done {
            at,
            outcome: Ok(examined),
        } => html! {
            @match examined.findings {
                0 => p class="outcome good" { (shown::time(*at)) " The log verifies: " (seen(examined)) },
                n => div class="outcome bad" {
                    p { (shown::time(*at)) " The log does not verify. Findings: " (shown::number(n)) " in " (seen(examined)) }
                    ul { @for finding in &examined.first { li { (finding) } } }
                }
            }
        },
    }
}

fn seen(examined: &Examination) -> String {
    let seen = &examined.seen;
    let signed = match examined.has_key {
        true => format!("{} signed by the key", shown::total(seen.signed)),
        false => "not signed, since there is no audit.key_file".to_owned(),
    };
    format!(
        "{} records from record {} on, in {} files; {} checkpoints ({signed}); {} records behind the last.",
        shown::total(seen.records),
        shown::total(seen.first.unwrap_or_default()),
        shown::number(examined.files),
        shown::total(seen.checkpoints),
        shown::total(seen.behind),
    )
}

fn tail(records: &[Map<String, Value>]) -> Markup {
    html! {
        table {
            caption { "The latest records" }
            thead { tr {
                th scope="col" class="number" { "Record" }
                th scope="col" { "Time (UTC)" }
                th scope="col" { "Event" }
                th scope="col" { "Who" }
                th scope="col" { "More" }
            } }
            tbody { @for record in records { (row(record)) } }
        }
    }
}

fn row(record: &Map<String, Value>) -> Markup {
    let text = |key: &str| record.get(key).map(plain).unwrap_or_default();
    // To the second: the log has the rest.
    let time = text("time").replace('T', " ");
    let time = time.split(['.', 'Z']).next().unwrap_or_default();
    let who = match text("login") {
        login if login.is_empty() => text("user"),
        login => login,
    };
    let more = record
        .iter()
        .filter(|(key, _)| !APART.contains(&key.as_str()));
    html! {
        tr {
            th scope="row" class="number" { (text("seq")) }
            td data-label="Time (UTC)" { time { (time) } }
            td data-label="Event" { code { (text("event")) } }
            td data-label="Who" {
                (who)
                @if record.contains_key("tenant") { small { "of " (text("tenant")) } }
            }
            td data-label="More" class="text" {
                @for (key, value) in more { span class="field" { b { (key) } " " (plain(value)) } " " }
            }
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => shown::hostile(text).into_owned(),
        other => shown::hostile(&other.to_string()).into_owned(),
    }
}
