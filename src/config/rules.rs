//! `[guard]`, and its keys in `[isolation.NAME]`.

use super::isolation::Kind;
use super::reader::Section;
use crate::guard::{Mode, Options, Permission};
use crate::tenant::Seal;

pub(super) fn read(mut section: Section<'_>) -> Options {
    let options = Options {
        mode: section
            .optional("mode")
            .and_then(|entry| entry.choice(&[("enforce", Mode::Enforce), ("report", Mode::Report)]))
            .unwrap_or(Mode::Enforce),
        opaque: permission(&mut section, "opaque").unwrap_or(Permission::Own),
        channels: permission(&mut section, "channels").unwrap_or(Permission::Own),
    };
    section.finish();
    options
}

const WORDS: [(&str, Permission); 3] = [
    ("reject", Permission::Reject),
    ("own", Permission::Own),
    ("allow", Permission::Allow),
];

/// What a section says of `opaque` or `channels`.
pub(super) fn permission(section: &mut Section<'_>, key: &str) -> Option<Permission> {
    section.optional(key)?.choice(&WORDS)
}

/// What an isolation says of `opaque`. It must not let code pass by which a client can
/// become another tenant.
pub(super) fn opaque(section: &mut Section<'_>, kind: Option<&Kind>) -> Option<Permission> {
    let entry = section.optional("opaque")?;
    let permission = entry.choice(&WORDS)?;
    let needed = match kind {
        Some(Kind::Setting {
            seal: Seal::Off, ..
        }) => "`seal`: the code of a client could change the tenant's setting",
        Some(Kind::Schema { role: None, .. }) => {
            "`role`: the code of a client would reach the schemas of all tenants"
        }
        _ => return Some(permission),
    };
    if permission == Permission::Allow {
        entry.refuse(format!("must be \"reject\" or \"own\" without {needed}"));
    }
    Some(permission)
}
