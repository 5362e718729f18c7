//! What administrators do, for the log and the audit log.

use super::Steered;
use crate::audit::{Event, Room};
use crate::transport::ClientAddress;

/// Most characters of a command that are told.
const MOST: usize = 200;

/// Room in the audit log for a command that is to be carried out.
///
/// # Errors
/// What the administrator is told, if it would go unrecorded.
pub fn room(
    steered: &impl Steered,
    user: &str,
    address: ClientAddress,
    text: &str,
) -> Result<Option<Room>, String> {
    // Each character may be written as six.
    let room = steered.audit().room(8 * MOST);
    room.map_err(|_| {
        let refusal = "the audit log cannot be written, and no command goes unrecorded";
        log(user, address, &shown(text), refusal);
        refusal.to_owned()
    })
}

fn shown(text: &str) -> String {
    let shown = text.trim().chars().take(MOST);
    shown.flat_map(char::escape_debug).collect()
}

fn log(user: &str, address: ClientAddress, command: &str, outcome: &str) {
    tracing::info!(
        target: "pgtenant::audit",
        event = "admin_command",
        user,
        client = %address,
        command,
        outcome,
    );
}

/// Tells of a command, done or not.
pub fn tell(
    steered: &impl Steered,
    user: &str,
    address: ClientAddress,
    text: &str,
    outcome: &Result<(), String>,
    room: Option<Room>,
) {
    let command = shown(text);
    let outcome = outcome.as_ref().err().map_or("done", String::as_str);
    log(user, address, &command, outcome);
    let event = Event::AdminCommand {
        user,
        address,
        command: &command,
        outcome,
    };
    steered.audit().record_in(room, &event);
}
