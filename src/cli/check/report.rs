//! The report for people.

use super::super::{Failure, print as line};
use super::count;
use pgtenant::ops::check::{Finding, Report, Severity};

/// The longest line of text; statements are left whole, to be copied.
const WIDTH: usize = 80;

/// The most statements that are shown of one finding.
const MOST_STATEMENTS: usize = 5;

/// Prints findings in groups, errors first, with why they matter once for each
/// check.
pub(super) fn print(report: &Report) -> Result<(), Failure> {
    for checked in &report.checked {
        line(format_args!(
            "looked at {} as {} (PostgreSQL {})",
            plain(&checked.place.to_string()),
            plain(&checked.user),
            plain(&checked.version)
        ))?;
    }
    for (severity, heading) in [
        (Severity::Error, "ERRORS: tenants are not kept apart"),
        (Severity::Warning, "WARNINGS: ways around, and small leaks"),
        (Severity::Notice, "NOTICES"),
    ] {
        let of = |finding: &&Finding| finding.check.severity == severity;
        group(
            heading,
            &report.findings.iter().filter(of).collect::<Vec<_>>(),
        )?;
    }
    if !report.failures.is_empty() {
        line("\nNOT CHECKED")?;
        for (place, reason) in &report.failures {
            line(format_args!(
                "\n{}",
                wrap(&plain(&format!("{place}: {reason}")), "  ")
            ))?;
        }
    }
    for one in &report.not_found {
        let text = format!("not found, though it is to be ignored: {one}");
        line(format_args!("\n{}", wrap(&plain(&text), "")))?;
    }
    line(format_args!("\n{}", summary(report)))
}

fn group(heading: &str, findings: &[&Finding]) -> Result<(), Failure> {
    if findings.is_empty() {
        return Ok(());
    }
    line(format_args!("\n{heading}"))?;
    for same in findings.chunk_by(|a, b| a.check.id == b.check.id) {
        let Some(first) = same.first() else { continue };
        line(format_args!(
            "\n{}",
            wrap(&format!("{} {}", first.check.id, first.check.title), "")
        ))?;
        line(wrap(first.check.why, "  "))?;
        for finding in same {
            line(one(finding))?;
        }
    }
    Ok(())
}

fn one(finding: &Finding) -> String {
    let mut head = format!(
        "{} ({})",
        plain(&finding.object),
        plain(&finding.place.to_string())
    );
    if let Some(detail) = &finding.detail {
        head = format!("{head}: {}", plain(detail));
    }
    let mut text = wrap_hanging(&head, "  * ", "    ");
    let statements: Vec<_> = finding
        .fix
        .iter()
        .flat_map(|fix| fix.split_inclusive("; "))
        .collect();
    for statement in statements.iter().take(MOST_STATEMENTS) {
        text = format!("{text}\n      {}", plain(statement.trim_end()));
    }
    if let Some(more) = statements
        .len()
        .checked_sub(MOST_STATEMENTS)
        .filter(|n| *n > 0)
    {
        text = format!("{text}\n      -- and {more} more: --json has them all");
    }
    text
}

fn summary(report: &Report) -> String {
    let counts: Vec<_> = [Severity::Error, Severity::Warning, Severity::Notice]
        .into_iter()
        .map(|severity| (severity, report.count(severity)))
        .filter(|(_, n)| *n > 0)
        .map(|(severity, n)| count(n, &severity.to_string()))
        .collect();
    let ignored = match report.ignored {
        0 => String::new(),
        n => format!("; {} ignored", count(n, "finding")),
    };
    let found = if counts.is_empty() {
        format!("nothing found{ignored}")
    } else {
        format!(
            "{}{ignored}; `pgtenant check --explain ID` tells more",
            counts.join(", ")
        )
    };
    if report.failures.is_empty() {
        found
    } else {
        format!("{found}; NOT everything could be checked")
    }
}

/// Names come from a database: nothing in them may steer the terminal.
pub(in crate::cli) fn plain(text: &str) -> String {
    let plain = |c: char| match c {
        '\n' | '\t' | '\r' => " ".to_owned(),
        c if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) => {
            c.escape_default().to_string()
        }
        c => c.to_string(),
    };
    text.chars().map(plain).collect()
}

/// Breaks text into lines of at most [`WIDTH`] columns, each behind `indent`.
pub(in crate::cli) fn wrap(text: &str, indent: &str) -> String {
    wrap_hanging(text, indent, indent)
}

/// The same, with another beginning of the first line.
pub(in crate::cli) fn wrap_hanging(text: &str, first: &str, rest: &str) -> String {
    let mut lines = Vec::new();
    let mut current = first.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && current.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut current, rest.to_owned()));
        } else if !is_empty {
            current.push(' ');
        }
        current.push_str(word);
        is_empty = false;
    }
    lines.push(current);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{plain, wrap};

    #[test]
    fn lines_are_broken_between_words() {
        let text = wrap(&"word ".repeat(40), "  ");
        assert!(
            text.lines()
                .all(|line| line.len() <= 80 && line.starts_with("  word"))
        );
        assert_eq!(text.split_whitespace().count(), 40);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb c");
    }
}
