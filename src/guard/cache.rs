//! Verdicts by the full text of the query string, or by its shape.

use super::inspection::Key;
use super::shape;
use super::verdict::Verdict;
use hashbrown::HashMap;
use std::hash::BuildHasher as _;
use std::sync::Arc;

/// Longer texts are not kept.
const MAX_TEXT: usize = 8 << 10;
/// Texts up to this length are kept when they come for the first time, longer ones
/// when they come again: who sends long texts that are all different must not
/// drive out those that all others use.
const SHORT: usize = 1 << 10;
/// Of so many long texts it is known that they have come.
const COME: usize = 1 << 10;
/// What an entry takes beside its text and verdict: the map's slot, the
/// allocator's own.
const OVERHEAD: usize = 64;

/// The verdicts that are kept. Texts that differ in their literals alone share
/// one where that is sound.
pub(super) struct Cache {
    texts: Kept,
    shapes: Kept,
    come: Come,
    /// Where shapes are written.
    shape: Vec<u8>,
}

impl Cache {
    /// A cache of at most about `size` bytes.
    pub(super) fn new(size: usize) -> Self {
        Self {
            texts: Kept::new(size / 2),
            shapes: Kept::new(size / 2),
            come: Come::default(),
            shape: Vec::new(),
        }
    }

    /// The verdict on `sql`, when it is kept.
    pub(super) fn get(&mut self, sql: &[u8]) -> Option<Arc<Verdict>> {
        if let Some(verdict) = self.texts.get(sql) {
            return Some(verdict);
        }
        shape::write(sql, &mut self.shape).then(|| self.shapes.get(&self.shape))?
    }

    /// Keeps the verdict on `sql`, unless the text is long.
    pub(super) fn insert(&mut self, sql: &[u8], key: Key, verdict: Arc<Verdict>) {
        let (kept, key) = if key == Key::Shape && shape::write(sql, &mut self.shape) {
            (&mut self.shapes, &*self.shape)
        } else if sql.len() <= MAX_TEXT {
            (&mut self.texts, sql)
        } else {
            return;
        };
        if key.len() <= SHORT || self.come.again(key) {
            kept.add(key.into(), verdict);
        }
    }
}

/// Long texts that have come lately, by their hashes. A mistake costs time only.
struct Come {
    hashes: Box<[u64]>,
    hasher: foldhash::fast::RandomState,
}

impl Default for Come {
    fn default() -> Self {
        Self {
            hashes: vec![0; COME].into(),
            hasher: foldhash::fast::RandomState::default(),
        }
    }
}

impl Come {
    /// Whether the text has come before.
    fn again(&mut self, text: &[u8]) -> bool {
        let hash = self.hasher.hash_one(text);
        let at = hash.to_le_bytes();
        let at = usize::from(u16::from_le_bytes([at[0], at[1]])) % COME;
        let last = self.hashes.get_mut(at);
        last.is_some_and(|last| std::mem::replace(last, hash) == hash)
    }
}

/// A bounded map in two generations: when the young one has filled its half of
/// the memory it becomes the old one, and the old one is dropped whole. What is
/// used again returns to the young one. So a flood of texts costs constant time
/// each and cannot grow the map.
struct Kept {
    young: Generation,
    old: Generation,
    /// Of one generation, in bytes.
    limit: usize,
}

#[derive(Default)]
struct Generation {
    verdicts: HashMap<Box<[u8]>, Arc<Verdict>, foldhash::fast::RandomState>,
    bytes: usize,
}

impl Kept {
    fn new(size: usize) -> Self {
        Self {
            young: Generation::default(),
            old: Generation::default(),
            limit: size / 2,
        }
    }

    fn get(&mut self, key: &[u8]) -> Option<Arc<Verdict>> {
        if let Some(verdict) = self.young.verdicts.get(key) {
            return Some(Arc::clone(verdict));
        }
        let (key, verdict) = self.old.verdicts.remove_entry(key)?;
        self.old.bytes -= weight(&key, &verdict);
        self.add(key, Arc::clone(&verdict));
        Some(verdict)
    }

    fn add(&mut self, key: Box<[u8]>, verdict: Arc<Verdict>) {
        let weight = weight(&key, &verdict);
        if self.young.bytes + weight > self.limit {
            std::mem::swap(&mut self.young, &mut self.old);
            // The map keeps its room.
            self.young.verdicts.clear();
            self.young.bytes = 0;
        }
        if weight > self.limit {
            return;
        }
        if self.young.verdicts.insert(key, verdict).is_none() {
            self.young.bytes += weight;
        }
    }
}

/// What an entry takes, in bytes: the same for a text at any time.
fn weight(text: &[u8], verdict: &Verdict) -> usize {
    OVERHEAD + text.len() + verdict.size()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict() -> Arc<Verdict> {
        Arc::new(Verdict::default())
    }

    fn sizes(kept: &Kept) -> (usize, usize) {
        let entries = kept.young.verdicts.len() + kept.old.verdicts.len();
        (kept.young.bytes + kept.old.bytes, entries)
    }

    #[test]
    fn a_flood_of_texts_cannot_grow_it() {
        let mut cache = Cache::new(64 << 10);
        for i in 0..100_000_u32 {
            cache.insert(format!("SELECT a{i}").as_bytes(), Key::Text, verdict());
            cache.insert(format!("SELECT 1, a{i}").as_bytes(), Key::Shape, verdict());
            for kept in [&cache.texts, &cache.shapes] {
                let (bytes, entries) = sizes(kept);
                assert!(bytes <= 32 << 10 && entries < 150);
            }
        }
        // All of the old half is there.
        let least = (16 << 10) / weight(b"SELECT 1, a99999", &verdict());
        assert!(least > 30);
        assert!(sizes(&cache.texts).1 >= least && sizes(&cache.shapes).1 >= least);
    }

    #[test]
    fn what_is_used_again_survives_a_flood() {
        let mut cache = Cache::new(64 << 10);
        cache.insert(b"SELECT 'kept'", Key::Text, verdict());
        for i in 0..10_000_u32 {
            cache.insert(format!("SELECT {i}").as_bytes(), Key::Text, verdict());
            assert!(cache.get(b"SELECT 'kept'").is_some());
        }
    }

    #[test]
    fn only_what_holds_for_a_shape_is_found_by_it() {
        let mut cache = Cache::new(64 << 10);
        cache.insert(b"SELECT a, 1", Key::Shape, verdict());
        cache.insert(b"SELECT b, 1", Key::Text, verdict());
        assert!(cache.get(b"SELECT a, 2").is_some());
        assert!(cache.get(b"SELECT a, 2.5").is_none());
        assert!(cache.get(b"SELECT a, \x01").is_none());
        assert!(cache.get(b"SELECT b, 2").is_none());
        assert!(cache.get(b"SELECT b, 1").is_some());
    }

    #[test]
    fn long_texts_that_come_once_drive_out_nothing() {
        let mut cache = Cache::new(64 << 10);
        let long = |n: usize| format!("SELECT a{n}, '{}'", "x".repeat(SHORT));
        cache.insert(b"SELECT 'kept'", Key::Text, verdict());
        cache.insert(long(0).as_bytes(), Key::Text, verdict());
        assert!(cache.get(long(0).as_bytes()).is_none());
        cache.insert(long(0).as_bytes(), Key::Text, verdict());
        for n in 1..10_000 {
            cache.insert(long(n).as_bytes(), Key::Text, verdict());
        }
        assert!(
            cache
                .texts
                .young
                .verdicts
                .contains_key(&b"SELECT 'kept'"[..])
        );
        assert!(cache.get(long(0).as_bytes()).is_some());
    }

    #[test]
    fn an_entry_is_counted_with_its_verdict() {
        let effects = super::super::verdict::Effects {
            settings: super::super::verdict::TouchedSettings::Named(vec!["a.b".into(); 10_000]),
            ..Default::default()
        };
        let verdict = Arc::new(Verdict {
            effects,
            ..Verdict::default()
        });
        let mut cache = Cache::new(64 << 10);
        cache.insert(b"SET a.b = 1", Key::Text, verdict);
        assert!(cache.get(b"SET a.b = 1").is_none());
    }

    #[test]
    fn long_texts_are_not_kept() {
        let mut cache = Cache::new(64 << 10);
        let text = vec![b' '; MAX_TEXT + 1];
        for _ in 0..2 {
            cache.insert(&text, Key::Text, verdict());
            assert!(cache.get(&text).is_none());
        }
    }
}
