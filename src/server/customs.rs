//! Custom settings that a session has come to know.
//!
//! A setting with a dot in its name need not exist to be set. From then on the session
//! knows it for its life: `current_setting(name, true)` is an empty text, no longer NULL,
//! and the cast of a policy such as `current_setting('app.user_id', true)::uuid` fails.
//! No command takes that away, DISCARD ALL neither, nor is `SET LOCAL` without it.
//!
//! To a tenant a session must look as new, but for what the tenant's own clients have
//! set. So a session goes to another tenant only where that one has set the same names
//! before, and is closed otherwise. This costs a new connection for each tenant and name
//! at first, and nothing once all tenants of an application have set what it sets. To
//! close it always would cost one for each change of tenants, most transactions of a
//! busy pool. Within a tenant clients do find the names of others, as with every pool.
//! What code in the database sets by itself, without a statement that shows it, is not
//! seen here.

use std::collections::BTreeSet;

/// Most names that are kept of a session or a tenant.
const MOST: usize = 32;
/// The longest that is kept, in bytes.
const LONGEST: usize = 256;

/// Names of custom settings.
#[derive(Debug, Clone, Default)]
pub struct Customs {
    names: BTreeSet<Box<str>>,
    /// There are, or may be, others.
    others: bool,
}

impl Customs {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.others
    }

    /// How many there are. None is ever taken away.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len() + usize::from(self.others)
    }

    /// Takes note of those of the names, in lower case, that are of custom settings.
    pub fn note<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            if !name.contains('.') || self.names.contains(name) {
                continue;
            }
            if self.names.len() < MOST && name.len() <= LONGEST {
                self.names.insert(name.into());
            } else {
                self.others = true;
            }
        }
    }

    /// Takes note of names that are not known.
    pub fn note_others(&mut self) {
        self.others = true;
    }

    /// Takes note of those of another.
    pub fn extend(&mut self, other: &Self) {
        self.note(other.names.iter().map(|name| &**name));
        self.others |= other.others;
    }

    /// Whether a tenant that has set those `of_tenant` has set all of these.
    #[must_use]
    pub fn are_among(&self, of_tenant: Option<&Self>) -> bool {
        let are_among = |tenant: &Self| self.names.is_subset(&tenant.names);
        self.is_empty() || (!self.others && of_tenant.is_some_and(are_among))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customs(names: &[&str]) -> Customs {
        let mut customs = Customs::default();
        customs.note(names.iter().copied());
        customs
    }

    #[test]
    fn names_without_a_dot_do_not_count() {
        assert!(customs(&["work_mem", "role"]).is_empty());
        assert!(customs(&["work_mem"]).are_among(None));
    }

    #[test]
    fn a_session_is_for_those_who_have_set_all_of_its_names() {
        let session = customs(&["app.a", "app.b"]);
        assert!(!session.are_among(None));
        assert!(!session.are_among(Some(&customs(&["app.a"]))));
        assert!(session.are_among(Some(&customs(&["app.c", "app.b", "app.a"]))));
    }

    #[test]
    fn more_names_than_are_kept_are_nobody_else_s() {
        let names: Vec<_> = (0..=MOST).map(|n| format!("app.n{n}")).collect();
        let names: Vec<_> = names.iter().map(|name| &**name).collect();
        let many = customs(&names);
        assert!(!many.are_among(Some(&many)));
        let (_, few) = names.split_first().unwrap();
        assert!(customs(few).are_among(Some(&customs(few))));
        let long = format!("app.{}", "x".repeat(LONGEST));
        assert!(!customs(&[&*long]).are_among(Some(&customs(&[&*long]))));
        let mut unknown = customs(&[]);
        unknown.note_others();
        assert!(!unknown.are_among(Some(&unknown)));
    }
}
