//! What the checks are.

use super::super::{Failure, print};
use super::report::wrap;
use pgtenant::ops::check::{CHECKS, Check, find};

/// All checks, a line each.
pub(super) fn list() -> Result<(), Failure> {
    for check in CHECKS {
        print(format_args!(
            "{}  {:<7}  {}",
            check.id,
            check.severity.to_string(),
            check.title
        ))?;
    }
    Ok(())
}

/// All that is to be said of one.
pub(super) fn one(id: &str) -> Result<(), Failure> {
    let Some(check) = find(id) else {
        return Err(Failure::configuration(format_args!(
            "pgtenant: there is no check {id:?}; `pgtenant check --list` lists them"
        )));
    };
    print(text(check))
}

fn text(check: &Check) -> String {
    let mut text = format!(
        "{} ({}): {}\n\n{}",
        check.id,
        check.severity,
        check.title,
        wrap(check.why, "")
    );
    if let Some(heuristic) = check.heuristic {
        let heuristic = format!("How it is found, and where it can err: {heuristic}");
        text = format!("{text}\n\n{}", wrap(&heuristic, ""));
    }
    text
}
