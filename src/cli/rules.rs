//! `pgtenant rules`

use super::{Failure, print};
use pgtenant::guard::{Own, Rule, Switch, rules};
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
        within,
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
        if let Some(within) = within {
            let layout = layout(*within);
            let _ = writeln!(text, "           with guard.{key} = \"own\" {layout}");
        }
    }
    text
}

/// Where a tenant has so much for itself, or more.
fn layout(own: Own) -> &'static str {
    match own {
        Own::Rows => "everywhere",
        Own::Schema => "in the kinds schema and database",
        Own::Role => "in kind schema with a role of the tenant's own, and in kind database",
        Own::Database => "in kind database",
    }
}
