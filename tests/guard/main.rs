//! The guard: which statements pass, and what they do to the session.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod always;
mod attacks;
mod corpus;
mod draws;
mod effects;
mod folding;
mod harmless;
mod limits;
mod names;
mod opened;
mod own_rows;
mod plain;
mod refused;
mod regress;
mod restrictions;
mod shapes;
mod soup;
mod speed;

use pgtenant::guard::{Effects, Guard, Mode, Options, Permission, Policy, Transaction};

const SETTING: &str = "session.current_organization_id";

fn guard(protected: &str) -> Guard {
    guard_with(protected, Permission::Reject, Permission::Reject)
}

fn guard_with(protected: &str, opaque: Permission, channels: Permission) -> Guard {
    Guard::new(Policy::new(options(opaque, channels), [protected]))
}

fn options(opaque: Permission, channels: Permission) -> Options {
    let mode = Mode::Enforce;
    Options {
        mode,
        opaque,
        channels,
    }
}

/// Effects on the session, but for [`Effects::draws`], of which `draws` has the tests.
fn but_draws(effects: &Effects) -> Effects {
    Effects {
        draws: false,
        transaction: Transaction::None,
        ..effects.clone()
    }
}

fn refused(guard: &Guard, sql: &str) -> Option<&'static str> {
    let verdict = guard.inspect(sql.as_bytes());
    verdict.refusal.as_ref().map(|refusal| refusal.rule)
}
