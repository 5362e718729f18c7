//! A client's settings within what its tenant's clients cannot lift.

use crate::binding::OwnSettings;
use crate::guard::Guard;
use crate::tenant::Restrictions;

/// The settings with those of the restrictions in place of what is missing, or
/// would lift them.
#[must_use]
pub fn restricted(own: &OwnSettings, restrictions: &Restrictions, guard: &Guard) -> OwnSettings {
    let mut own = own.clone();
    for (name, value) in restrictions.settings() {
        let mine = own.get(name);
        if mine.is_none_or(|mine| guard.startup_setting(name, mine).is_some()) {
            own.set(name, Some(&value));
        }
    }
    own
}
