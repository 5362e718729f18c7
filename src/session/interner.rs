//! One copy of each statement that clients prepare.

use crate::attach::SessionSettings;
use crate::server::Prepared;
use hashbrown::HashMap;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// So many entries are kept before dead ones are looked for.
const FEW: usize = 1024;

/// Statements that clients have prepared, each text once, so that clients with
/// the same statement share one on a server connection. Constants are read when
/// a statement is parsed, and `DateStyle`, `TimeZone` and others say how: a text
/// is the same only under the same settings.
///
/// A text goes with the last client that has it: what is kept of it is its hash.
#[derive(Debug, Default)]
pub struct Interner {
    hasher: foldhash::fast::RandomState,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// By the hashes of text and settings.
    statements: HashMap<u64, Weak<Prepared>, foldhash::fast::RandomState>,
    sweep_at: usize,
}

impl Interner {
    /// The statement with this text and these parameter types, for clients with
    /// these settings.
    pub(super) fn intern(&self, tail: &[u8], own: &SessionSettings) -> Arc<Prepared> {
        let settings = written(own);
        let hash = self.hasher.hash_one((tail, &*settings));
        let known = self.lock().statements.get(&hash).and_then(Weak::upgrade);
        // Long texts are compared and copied while nobody waits for the lock.
        if let Some(prepared) = &known
            && prepared.tail() == tail
            && prepared.settings() == settings
        {
            return prepared.clone();
        }
        let prepared = Prepared::under(tail, &settings);
        if known.is_none() {
            self.lock().add(hash, &prepared);
        }
        prepared
    }

    /// How many texts there are that clients have prepared, and what they take in bytes.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let known = self.lock();
        let alive = known.statements.values().filter_map(Weak::upgrade);
        alive.fold((0, 0), |(count, bytes), prepared| {
            (count + 1, bytes + prepared.tail().len())
        })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn add(&mut self, hash: u64, prepared: &Arc<Prepared>) {
        if self.statements.len() >= self.sweep_at.max(FEW) {
            self.statements
                .retain(|_, prepared| prepared.strong_count() > 0);
            self.sweep_at = self.statements.len() * 2;
            self.statements.shrink_to(self.sweep_at);
        }
        self.statements.insert(hash, Arc::downgrade(prepared));
    }
}

/// The settings that matter to what a statement means, in an order of their own.
fn written(own: &SessionSettings) -> Vec<u8> {
    let mut settings = Vec::new();
    for (name, value) in own.iter().filter(|(name, _)| !is_meaningless(name)) {
        for part in ["\0", name, "=", value] {
            settings.extend_from_slice(part.as_bytes());
        }
    }
    settings
}

/// Whether a setting says nothing about what a statement means. It is often
/// different for each client.
fn is_meaningless(name: &str) -> bool {
    name == "application_name" || name.ends_with("_timeout")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, value: &str) -> SessionSettings {
        SessionSettings::new([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_text_is_shared_under_the_same_settings() {
        let interner = Interner::default();
        let none = SessionSettings::default();
        let first = interner.intern(b"SELECT 1\0\0\0", &none);
        let again = interner.intern(b"SELECT 1\0\0\0", &settings("statement_timeout", "1"));
        assert!(Arc::ptr_eq(&first, &again));
        let zone = interner.intern(b"SELECT 1\0\0\0", &settings("timezone", "UTC"));
        assert!(!Arc::ptr_eq(&first, &zone));
        assert_eq!((first.tail(), zone.tail()), (zone.tail(), first.tail()));
        let other = interner.intern(b"SELECT 1\0\0\0\0timezone=UTC", &none);
        assert!(!Arc::ptr_eq(&zone, &other));
    }

    #[test]
    fn a_text_goes_with_the_last_that_has_it_and_its_entry_soon_after() {
        let interner = Interner::default();
        let own = SessionSettings::default();
        let kept = interner.intern(b"kept", &own);
        for n in 0..10 * FEW {
            let gone = Arc::downgrade(&interner.intern(format!("{n}").as_bytes(), &own));
            assert_eq!(gone.strong_count(), 0);
            assert!(interner.lock().statements.len() <= FEW);
        }
        assert!(Arc::ptr_eq(&kept, &interner.intern(b"kept", &own)));
    }
}
