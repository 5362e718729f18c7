//! `pgtenant provision --remove`

use super::provision::{all_done, line, one_line, told};
use super::{Failure, print, runtime};
use pgtenant::ops::provision::{Mode, Removal};
use pgtenant::tenant::{Attachment, SharedTenant, Tenant};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

/// Removes what the tenants have, each after it was confirmed.
pub(super) fn run(
    removal: Removal<'_>,
    tenants: &[SharedTenant],
    mode: Mode,
    yes: bool,
) -> Result<(), Failure> {
    if mode == Mode::Run && !yes && !io::stdin().is_terminal() {
        return Err(Failure::configuration(
            "pgtenant: --remove asks before it removes anything, and there is no terminal to ask \
             on: add --yes, or --print to see what it would do",
        ));
    }
    let runtime = runtime()?;
    let mut failed = 0;
    for tenant in tenants {
        let what = line(tenant);
        // What speaks against it is told before anybody is asked.
        let mut done = runtime.block_on(removal.remove(tenant, Mode::Print));
        if let (Ok(plan), Mode::Run) = (&done, mode)
            && !plan.sql.is_empty()
        {
            if !keeps_rows(tenant) {
                let dump = removal.dump_hint(tenant);
                print(one_line(format_args!("{what}: to keep a copy: {dump}")))?;
            }
            if !yes && !confirmed(tenant)? {
                return Err(Failure::run("not confirmed: nothing more was removed"));
            }
            done = runtime.block_on(removal.remove(tenant, mode));
        }
        if !told(&what, &done, mode)? {
            failed += 1;
        }
    }
    all_done(failed, tenants.len())
}

/// Whether the tenant's rows are in tables that tenants share: they stay.
fn keeps_rows(tenant: &Tenant) -> bool {
    matches!(tenant.placement.attachment, Attachment::Setting { .. })
}

/// Asks for the tenant's id.
fn confirmed(tenant: &Tenant) -> Result<bool, Failure> {
    let failed = |error| Failure::run(format!("cannot ask: {error}"));
    let goes = match keeps_rows(tenant) {
        true => "will lose its role, and keep its rows",
        false => "and all its data will be removed",
    };
    let question = one_line(format_args!(
        "{} {goes}. Type its id to confirm: ",
        line(tenant)
    ));
    let mut terminal = io::stderr();
    terminal.write_all(question.as_bytes()).map_err(failed)?;
    terminal.flush().map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(answer.trim() == tenant.id.as_str())
}
