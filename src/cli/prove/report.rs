//! The report for people.

use super::super::check::report::{plain, wrap_hanging};
use super::super::{Failure, print as line};
use pgtenant::ops::prove::{Counts, Outcome, PROMISES, Promise, Report, Test};
use serde_json::Value;
use std::path::Path;

/// The most of a statement that is shown.
const LONGEST: usize = 300;

/// Prints each promise with its tests: all of them, or those that have not held.
pub(super) fn print(report: &Report, all: bool) -> Result<(), Failure> {
    let subject = &report.subject;
    line(format_args!(
        "pgtenant {} at {} ({}), {}",
        env!("CARGO_PKG_VERSION"),
        plain(&subject.address),
        subject.tls.as_deref().unwrap_or("clear text"),
        report.begun
    ))?;
    let (compared, left_out) = subject.tables;
    let left_out = match left_out {
        0 => String::new(),
        n => format!(", {n} LEFT OUT (--tables)"),
    };
    line(format_args!(
        "logins {}, kind {}, PostgreSQL {}, {compared} tables compared{left_out}",
        plain(&subject.logins.join(" and ")),
        subject.kind,
        plain(&subject.server_version),
    ))?;
    for promise in PROMISES {
        print_promise(report, promise, all)?;
    }
    line(format_args!("\n{}", summary(report.counts())))
}

fn print_promise(report: &Report, promise: &Promise, all: bool) -> Result<(), Failure> {
    let counts = report.counts_of(promise.id);
    line(format_args!(
        "\n{:<4}{}: {}{}",
        promise.id,
        promise.title,
        report.word_of(promise).to_uppercase(),
        match counts.held {
            0 => String::new(),
            n => format!(" ({n} of {} tests)", report.tests_of(promise.id).count()),
        }
    ))?;
    if let Some(why) = promise.unseen {
        line(wrap_hanging(why, "    ", "    "))?;
    }
    for test in report.tests_of(promise.id) {
        let is_shown = all || !matches!(test.outcome, Outcome::Held(_));
        if is_shown && !is_without_meaning(test, all) {
            print_test(test)?;
        }
    }
    Ok(())
}

/// Tests for other kinds of isolation are shown only where all are.
fn is_without_meaning(test: &Test, all: bool) -> bool {
    let of_kind = |why: &str| why.starts_with("in kind ");
    matches!(&test.outcome, Outcome::NotApplicable(why) if of_kind(why) && !all)
}

fn print_test(test: &Test) -> Result<(), Failure> {
    let text = plain(&format!("{}: {}", test.id, test.outcome));
    line(wrap_hanging(&text, "    * ", "      "))?;
    if matches!(test.outcome, Outcome::Broken(_) | Outcome::NotTested(_)) {
        let mut what: String = plain(&test.what).chars().take(LONGEST).collect();
        if what.chars().count() == LONGEST {
            what.push('…');
        }
        line(wrap_hanging(&what, "        ", "        "))?;
    }
    Ok(())
}

fn summary(counts: Counts) -> String {
    format!(
        "{}: {} tests held, {} broken, {} not applicable, {} not tested",
        match counts.word() {
            "held" => "Held",
            "held in part" => "Held, as far as it could be tested",
            "broken" => "BROKEN",
            _ => "NOTHING WAS SHOWN",
        },
        counts.held,
        counts.broken,
        counts.not_applicable,
        counts.not_tested
    )
}

/// Prints what a report says that has been verified.
pub(super) fn print_verified(file: &Path, value: &Value) -> Result<(), Failure> {
    let text = |key: &str| plain(value.get(key).and_then(Value::as_str).unwrap_or_default());
    line(format_args!(
        "{}: signed by {}: {} at {}, pgtenant {}, {}",
        file.display(),
        text("key"),
        text("result"),
        text("address"),
        text("pgtenant"),
        text("begun"),
    ))?;
    for promise in value
        .get("promises")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let text = |key: &str| plain(promise.get(key).and_then(Value::as_str).unwrap_or_default());
        line(format_args!(
            "{:<4}{}: {}",
            text("id"),
            text("title"),
            text("result")
        ))?;
    }
    Ok(())
}
