//! `pgtenant run`

use super::{Failure, serve};
use pgtenant::settings;
use std::path::Path;

pub(super) fn run(config: &Path) -> Result<(), Failure> {
    let settings = settings::load(config).map_err(Failure::configuration)?;
    serve::serve(settings, |_addresses| Ok(()))
}
