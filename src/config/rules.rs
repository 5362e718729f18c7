//! `[guard]`

use super::reader::Section;
use crate::guard::{Mode, Options, Permission};

pub(super) fn read(mut section: Section<'_>) -> Options {
    let options = Options {
        mode: section
            .optional("mode")
            .and_then(|entry| entry.choice(&[("enforce", Mode::Enforce), ("report", Mode::Report)]))
            .unwrap_or(Mode::Enforce),
        opaque: permission(&mut section, "opaque"),
        channels: permission(&mut section, "channels"),
    };
    section.finish();
    options
}

fn permission(section: &mut Section<'_>, key: &str) -> Permission {
    section
        .optional(key)
        .and_then(|entry| {
            entry.choice(&[("reject", Permission::Reject), ("allow", Permission::Allow)])
        })
        .unwrap_or(Permission::Reject)
}
