//! Errors that are told in the server's words.

use crate::wire::ClientError;
use crate::wire::frontend::LayoutError;

pub(super) fn layout(error: LayoutError) -> ClientError {
    ClientError::error("08P01", error.to_string())
}

pub(super) fn no_statement(name: &[u8]) -> ClientError {
    if name.is_empty() {
        return ClientError::error("26000", "unnamed prepared statement does not exist");
    }
    let name = String::from_utf8_lossy(name);
    ClientError::error(
        "26000",
        format!("prepared statement \"{name}\" does not exist"),
    )
}

pub(super) fn name_taken(name: &[u8]) -> ClientError {
    let name = String::from_utf8_lossy(name);
    ClientError::error(
        "42P05",
        format!("prepared statement \"{name}\" already exists"),
    )
}

pub(super) fn too_many_statements() -> ClientError {
    ClientError::error("54000", "too many prepared statements")
        .hint("Close those that are no longer used (DEALLOCATE).")
}

pub(super) fn in_failed_transaction() -> ClientError {
    ClientError::error(
        "25P02",
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

pub(super) fn after_reset() -> ClientError {
    ClientError::error(
        "0A000",
        "no statement may follow RESET ALL or DISCARD ALL in one pipeline",
    )
    .hint("Send Sync after it, then go on.")
}
