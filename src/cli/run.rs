//! `pgtenant run`

use super::Failure;
use super::secrecy;
use super::serve::{self, Hangup};
use pgtenant::guard::Mode;
use pgtenant::{config, observe};
use std::path::Path;
use tracing::{info, warn};

pub(super) fn run(config: &Path) -> Result<(), Failure> {
    secrecy::keep_memory();
    let settings = config::load(config).map_err(Failure::configuration)?;
    let log = observe::start_log(&settings.log);
    if settings.guard.mode == Mode::Report {
        warn!("guard.mode = \"report\": statements that break isolation are logged, NOT refused");
    }
    let hangup = Hangup::Reload(config.to_owned());
    serve::serve(settings, &log, hangup, |addresses, tenants, logins| {
        for address in addresses {
            info!(%address, tenants, logins, "listening");
        }
        Ok(())
    })
}
