//! What an administrator asks the page for.

use super::{Errands, Shown};
use crate::config::AdminRole;
use crate::console::{self, Statement};
use crate::transport::ClientAddress;

/// What an administrator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// A command of the console.
    Command(String),
    /// `pgtenant check`
    Check,
    /// The verification of the audit log.
    VerifyAudit,
}

impl Deed {
    /// The word of a form, and what it is done with; `None` if there is no such word.
    #[must_use]
    pub fn parse(word: &str, target: &str) -> Option<Self> {
        let quoted = quoted(target);
        Some(match word {
            "kill_client" => Self::Command(format!("KILL_CLIENT {quoted}")),
            "kill_tenant" => Self::Command(format!("KILL_TENANT {quoted}")),
            "pause_tenant" => Self::Command(format!("PAUSE TENANT {quoted}")),
            "resume_tenant" => Self::Command(format!("RESUME TENANT {quoted}")),
            "check" => Self::Check,
            "verify_audit" => Self::VerifyAudit,
            _ => return None,
        })
    }

    /// Does it, or begins to, and records who asked for it.
    ///
    /// # Errors
    /// What the administrator is told.
    pub fn carry_out(
        &self,
        shown: &impl Shown,
        errands: &Errands,
        user: &str,
        address: ClientAddress,
    ) -> Result<(), String> {
        let text = match self {
            Self::Command(text) => text.as_str(),
            Self::Check => "check",
            Self::VerifyAudit => "audit verify",
        };
        let room = console::room(shown, user, address, text)?;
        let outcome = match self {
            Self::Command(text) => command(text, shown, user),
            Self::Check => {
                let checkup = shown.checkup();
                let begun = checkup.ok_or_else(|| "there is no configuration file".to_owned());
                begun.and_then(|checkup| errands.begin_check(checkup))
            }
            Self::VerifyAudit => {
                let options = shown.audit().options();
                let begun = options.ok_or_else(|| "there is no audit log".to_owned());
                begun.and_then(|options| errands.begin_audit(options))
            }
        };
        console::tell(shown, user, address, text, &outcome, room);
        outcome
    }
}

/// A name as the console reads it.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !name.is_empty() && name.chars().all(is_plain) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

fn command(text: &str, shown: &impl Shown, user: &str) -> Result<(), String> {
    let role = shown.role(&crate::tenant::LoginName::new(user));
    if role < Some(AdminRole::Operator) {
        return Err("the role operator is needed".to_owned());
    }
    match console::parse(text)? {
        // Who looks at the page sees when a pause has come.
        Statement::Command(command) => shown.command(&command).map(drop),
        _ => Err("that is no command".to_owned()),
    }
}
