//! What administrators do, for the log and the audit log.

use super::Steered;
use crate::transport::ClientAddress;

/// Most characters of a command that are told.
const MOST: usize = 200;

/// Tells of a command, done or not.
pub fn tell(
    steered: &impl Steered,
    user: &str,
    address: ClientAddress,
    text: &str,
    outcome: &Result<(), String>,
) {
    let shown = text.trim().chars().take(MOST);
    let command: String = shown.flat_map(char::escape_debug).collect();
    let outcome = outcome.as_ref().err().map_or("done", String::as_str);
    tracing::info!(
        target: "pgtenant::audit",
        event = "admin_command",
        user,
        client = %address,
        command,
        outcome,
    );
    let audit = steered.audit();
    audit.admin_command(user, address, &command, outcome);
}
