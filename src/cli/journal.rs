//! Commands that change something, in an audit log of their own.
//!
//! The proxy's log is the proxy's to write while it runs. What commands do is recorded
//! in a log beside it: `commands.` and the name of `audit.file`.

use super::Failure;
use pgtenant::audit::{Event, Log, OnFailure, Options};
use pgtenant::config::Settings;
use std::path::Path;

/// Runs what changes something, with a record before and one behind it. `subject`: what
/// it is about.
pub(super) fn recorded<T>(
    settings: &Settings,
    command: &str,
    subject: &str,
    run: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let Some(options) = options(settings) else {
        return run();
    };
    let (log, running) = Log::start(options).map_err(|error| {
        Failure::run(format!(
            "nothing was done: the audit log of commands cannot be opened: {error}"
        ))
    })?;
    let user = user();
    let record = |outcome: &str| {
        log.record(&Event::Command {
            command,
            user: &user,
            subject,
            outcome,
        });
    };
    record("begun");
    let done = run();
    match &done {
        Ok(_) => record("done"),
        Err(failure) => record(&failure.to_string()),
    }
    drop(running);
    done
}

fn options(settings: &Settings) -> Option<Options> {
    let options = &settings.audit.as_ref()?.options;
    let path = options.path.as_deref()?;
    let mut name = std::ffi::OsString::from("commands.");
    name.push(path.file_name()?);
    let path = path.parent().unwrap_or(Path::new("")).join(name);
    Some(Options {
        path: Some(path),
        on_failure: OnFailure::Count,
        ..options.clone()
    })
}

/// Who runs the command, as the operating system knows it, and as the environment says.
fn user() -> String {
    let uid = rustix::process::getuid().as_raw();
    let name = ["SUDO_USER", "USER"]
        .into_iter()
        .find_map(|key| std::env::var(key).ok());
    match name {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}
