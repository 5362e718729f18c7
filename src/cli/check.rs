//! `pgtenant check`

use super::{Failure, print};
use pgtenant::settings;
use std::path::Path;

pub(super) fn run(config: &Path) -> Result<(), Failure> {
    let settings = settings::load(config).map_err(Failure::configuration)?;
    print(format_args!(
        "configuration is valid: {}, {}",
        count(settings.tenants.len(), "tenant"),
        count(settings.directory.len(), "login")
    ))
}

fn count(n: usize, what: &str) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{n} {what}{ending}")
}
