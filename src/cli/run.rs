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
    serve::serve(settings, config, &log, Hangup::Reload, |listening| {
        let (tenants, logins) = (listening.tenants, listening.logins);
        for address in &listening.clients {
            info!(%address, tenants, logins, "listening");
        }
        Ok(())
    })
}
