//! `userlist.txt`, the file of `auth_file` (PgBouncer's `loader.c`, `load_auth_file`).

use super::At;
use super::ini::{quoted, text};
use crate::directory::Verifier;
use crate::problem::Problem;
use std::path::Path;
use std::sync::Arc;

/// A user of the list.
pub(super) struct User {
    pub(super) name: String,
    pub(super) secret: Stored,
    pub(super) at: At,
}

/// What the list has to check a password with. A plain password has become a verifier:
/// nothing that comes after can show it.
pub(super) enum Stored {
    /// The list has a verifier.
    Scram(String),
    /// The list has the password itself; this verifier is of it.
    Derived(String),
    /// From an MD5 hash no verifier can be made.
    Md5,
    /// It begins like a verifier and is none.
    Damaged,
    /// There is nothing.
    Empty,
}

/// Reads the list. Where a user stands twice, the last line holds, as in PgBouncer.
pub(super) fn read(path: &Path, problems: &mut Vec<Problem>) -> Vec<User> {
    let text = match text(path) {
        Ok(text) => text,
        Err(problem) => {
            problems.push(*problem);
            return Vec::new();
        }
    };
    let file: Arc<Path> = Arc::from(path);
    let mut users: Vec<User> = Vec::new();
    for (line, number) in text.split('\n').zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        let at = At {
            file: Arc::clone(&file),
            line: number,
        };
        let Some((name, secret)) = fields(line) else {
            let reason = "must be \"user\" \"password\", each in double quotes";
            problems.push(at.problem(None, reason));
            continue;
        };
        if name.is_empty() || name.contains(char::is_control) {
            let reason = "the user's name is empty or has control characters";
            problems.push(at.problem(None, reason));
            continue;
        }
        users.retain(|user| user.name != name);
        users.push(User {
            name,
            secret: stored(&secret),
            at,
        });
    }
    users
}

fn fields(line: &str) -> Option<(String, String)> {
    let (name, rest) = quoted(line.strip_prefix('"')?)?;
    let (_, rest) = rest.split_once('"')?;
    let (secret, _) = quoted(rest)?;
    Some((name, secret))
}

fn stored(secret: &str) -> Stored {
    let is_md5 = |text: &str| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if secret.is_empty() {
        Stored::Empty
    } else if secret.starts_with("SCRAM-SHA-256$") {
        match secret.parse::<Verifier>() {
            Ok(_) => Stored::Scram(secret.to_owned()),
            Err(_) => Stored::Damaged,
        }
    } else if secret.strip_prefix("md5").is_some_and(is_md5) {
        Stored::Md5
    } else {
        Stored::Derived(Verifier::derive(secret))
    }
}
