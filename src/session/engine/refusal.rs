//! Errors that are told in the server's words.

use crate::protocol::ClientError;
use crate::protocol::frontend::LayoutError;

pub(super) fn layout(error: LayoutError) -> ClientError {
    ClientError::error("08P01", error.to_string())
}

pub(super) fn no_statement(name: &[u8]) -> ClientError {
    if name.is_empty() {
        return ClientError::error("26000", "unnamed prepared statement does not exist");
    }
    let name = shown(name);
    ClientError::error(
        "26000",
        format!("prepared statement \"{name}\" does not exist"),
    )
}

pub(super) fn name_taken(name: &[u8]) -> ClientError {
    let name = shown(name);
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

pub(super) fn too_many_portals() -> ClientError {
    ClientError::error("54000", "too many portals in one transaction")
}

pub(super) fn no_portal(name: &[u8]) -> ClientError {
    let name = shown(name);
    ClientError::error("34000", format!("portal \"{name}\" does not exist"))
}

/// Longest name of a prepared statement that is taken, in bytes: the proxy keeps it
/// for each message that is not answered yet. PostgreSQL itself tells names apart
/// by their first 63 bytes.
const LONGEST_NAME: usize = 8 << 10;

/// The name of a Parse, where it is one that can be kept.
pub(super) fn keepable(name: &[u8]) -> Result<Box<[u8]>, ClientError> {
    if name.len() > LONGEST_NAME {
        let message = format!(
            "the name of a prepared statement is longer than {LONGEST_NAME} bytes: \"{}\"",
            shown(name)
        );
        return Err(ClientError::error("54000", message).hint("Use a shorter name."));
    }
    Ok(name.into())
}

/// More of a name is not shown, in bytes.
const LONGEST_SHOWN: usize = 256;

/// A name in an error: errors wait for their turn, and many may.
fn shown(name: &[u8]) -> String {
    match name.get(..LONGEST_SHOWN) {
        Some(front) => format!("{}…", String::from_utf8_lossy(front)),
        None => String::from_utf8_lossy(name).into_owned(),
    }
}
