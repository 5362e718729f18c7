//! What `pgtenant check` finds.

use super::errand::Errand;
use super::layout::Action;
use super::{Scene, shown};
use crate::ops::check::{Finding, Report, Severity};
use maud::{Markup, html};
use shown::Mood;

/// Findings that are shown.
const MOST: usize = 200;

pub(super) fn section(scene: &Scene<'_>) -> Markup {
    if !scene.picture.can_check {
        return shown::nothing("There is no configuration file to check.");
    }
    let action = Action {
        word: "check",
        target: "",
        section: "findings",
        label: "Run the check",
    };
    html! {
        p class="nothing" { "Looks for gaps between tenants in the configuration file and in the catalogs of their databases, as " code { "pgtenant check" } " does. It only reads." }
        (action.button(scene))
        @match &*scene.errands.check() {
            Errand::Never => (shown::nothing("It has not run since the process has started.")),
            Errand::Runs { begun, progress: (done, of) } => p role="status" {
                "It runs, for " (shown::duration(begun.elapsed())) ": "
                progress max=((*of).max(1)) value=(done) {}
                " " (shown::total(*done)) " of " (shown::total(*of)) " databases"
            },
            Errand::Done { at, outcome: Err(error) } => p class="outcome bad" {
                (shown::time(*at)) " It did not run: " (error)
            },
            Errand::Done { at, outcome: Ok(report) } => {
                p { (shown::time(*at)) " " (summary(report)) }
                (findings(report))
            }
        }
    }
}

fn summary(report: &Report) -> Markup {
    let count = |severity| shown::number(report.count(severity));
    html! {
        (count(Severity::Error)) " errors, " (count(Severity::Warning)) " warnings, "
        (count(Severity::Notice)) " notices in " (shown::number(report.checked.len())) " databases"
        @if report.ignored > 0 { "; " (shown::number(report.ignored)) " are ignored by the configuration" }
        "."
    }
}

fn findings(report: &Report) -> Markup {
    html! {
        @for (place, error) in report.failures.iter().take(MOST) {
            p class="outcome bad" { "Not checked: " (place) ": " (shown::hostile(error)) }
        }
        @if !report.findings.is_empty() {
            table {
                thead { tr {
                    th scope="col" { "Check" }
                    th scope="col" { "Severity" }
                    th scope="col" { "Where" }
                    th scope="col" { "What" }
                } }
                tbody { @for finding in report.findings.iter().take(MOST) { (row(finding)) } }
            }
        }
        @if report.findings.len() > MOST {
            p class="nothing" { "The first " (MOST) " are shown: " code { "pgtenant check" } " shows all." }
        }
    }
}

fn row(finding: &Finding) -> Markup {
    let mood = match finding.check.severity {
        Severity::Error => Mood::Bad,
        Severity::Warning => Mood::Odd,
        Severity::Notice => Mood::Plain,
    };
    html! {
        tr {
            th scope="row" { code { (finding.check.id) } }
            td data-label="Severity" { (shown::state(&finding.check.severity.to_string(), mood)) }
            td data-label="Where" { (shown::hostile(&finding.place.to_string())) }
            td data-label="What" class="text" {
                b { (finding.check.title) } ": " (shown::hostile(&finding.object))
                @if let Some(detail) = &finding.detail { small { (shown::hostile(detail)) } }
                details data-keep=(format!("{} {} {}", finding.check.id, finding.place, finding.object)) {
                    summary { "Why, and what closes it" }
                    p { (finding.check.why) }
                    @if let Some(fix) = &finding.fix { pre { (fix) } }
                }
            }
        }
    }
}
