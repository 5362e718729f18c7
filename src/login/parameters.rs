//! Startup parameters: which of them a client may send, and what becomes of
//! them.

use crate::attach::{SessionSettings, is_userset};
use crate::guard::{Guard, is_same_path};
use crate::protocol::ClientError;
use crate::protocol::options;
use crate::protocol::startup::Startup;
use crate::tenant::Tenant;

const SEARCH_PATH: &str = "search_path";

/// Superusers' settings that a role can have been granted the right to change.
const GRANTED: &[&str] = &["commit_delay", "deadlock_timeout", "lc_messages"];

/// Most settings that a client may make at startup.
const MOST: usize = 64;

/// The settings that a startup packet of a client of `tenant` makes, checked against
/// what is accepted at all and what the guard protects.
///
/// # Errors
/// What the client is told of the first that is not accepted.
pub fn settings_of(
    startup: &Startup,
    tenant: &Tenant,
    guard: &Guard,
) -> Result<SessionSettings, ClientError> {
    // As in PostgreSQL, a parameter of its own wins over one in `options`.
    let (mut settings, mut own) = (Vec::new(), Vec::new());
    for (name, value) in &startup.parameters {
        match name.as_str() {
            "user" | "database" => {}
            "replication" => no_replication(value)?,
            "options" => {
                let made = options::decode(value)
                    .map_err(|error| ClientError::fatal("08P01", error.to_string()))?;
                settings.extend(made);
            }
            name if name.starts_with("_pq_.") => {}
            _ => own.push((name.clone(), value.clone())),
        }
    }
    settings.append(&mut own);
    if settings.len() > MOST {
        return Err(ClientError::fatal(
            "54000",
            "too many settings in the startup packet",
        ));
    }
    settings.retain(|(name, value)| {
        !(name.eq_ignore_ascii_case("client_encoding") && is_sql_ascii(value))
    });
    let path = tenant.placement.attachment.search_path();
    let path = path.map(|path| &**path);
    for (name, value) in &settings {
        accept(name, value, path, guard)?;
    }
    // UTF-8 is what every server connection speaks already.
    settings.retain(|(name, _)| !name.eq_ignore_ascii_case("client_encoding"));
    let mut settings = SessionSettings::new(settings);
    if let (Some(asked), Some(path)) = (settings.get(SEARCH_PATH), path)
        && is_same_path(asked, path)
    {
        // The tenant is attached by it already.
        settings.set(SEARCH_PATH, None);
    }
    Ok(settings)
}

/// SQL_ASCII asks for no conversion: psql sends it in the C locale. Such a
/// client takes what comes, and gets UTF-8.
fn is_sql_ascii(encoding: &str) -> bool {
    let letters = encoding.chars().filter(char::is_ascii_alphanumeric);
    letters
        .map(|c| c.to_ascii_lowercase())
        .eq("sqlascii".chars())
}

fn accept(name: &str, value: &str, path: Option<&str>, guard: &Guard) -> Result<(), ClientError> {
    let lower = name.to_ascii_lowercase();
    if let Some(refusal) = guard.startup_setting(&lower, value, path) {
        tracing::warn!(
            target: "pgtenant::audit",
            event = "startup_parameter_refused",
            rule = refusal.rule,
            sqlstate = refusal.sqlstate,
            reason = %refusal.message,
        );
        let detail = refusal.detail();
        return Err(ClientError::fatal(refusal.sqlstate, refusal.message)
            .detail(detail)
            .hint(refusal.hint));
    }
    // Custom ones (with a dot) may be made too, where the guard does not protect them.
    if lower.contains('.') || is_userset(&lower) || GRANTED.contains(&&*lower) {
        return Ok(());
    }
    Err(
        ClientError::fatal("0A000", format!("unsupported startup parameter \"{name}\""))
            .hint("pgtenant accepts session settings that PostgreSQL lets every user make."),
    )
}

/// `replication` is a boolean, or `database`.
fn no_replication(value: &str) -> Result<(), ClientError> {
    match value.to_ascii_lowercase().as_str() {
        "" | "false" | "off" | "no" | "0" => Ok(()),
        _ => Err(
            ClientError::fatal("0A000", "replication connections are not accepted")
                .hint("They read the data of all tenants; connect to PostgreSQL directly."),
        ),
    }
}
