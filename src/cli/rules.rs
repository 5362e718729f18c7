//! `pgtenant rules`

use super::{Failure, print};
use pgtenant::guard::{Rule, Switch, rules};
use std::fmt::Write as _;

pub(super) fn run() -> Result<(), Failure> {
    for rule in rules() {
        print(entry(rule))?;
    }
    Ok(())
}

fn entry(rule: &Rule) -> String {
    let Rule {
        name,
        catches,
        why,
        sqlstate,
        hint,
        opened_by,
    } = rule;
    let mut text =
        format!("{name} ({sqlstate})\n  catches  {catches}\n  why      {why}\n  instead  {hint}\n");
    if let Some(switch) = opened_by {
        let key = match switch {
            Switch::Opaque => "opaque",
            Switch::Channels => "channels",
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "  passes   with guard.{key} = \"allow\"");
    }
    text
}
