//! Verdicts by the full text of the query string.

use super::verdict::Verdict;
use hashbrown::HashMap;
use std::sync::Arc;

/// Longer texts are not kept.
const MAX_TEXT: usize = 8 << 10;
/// What an entry takes beside its texts: the map's slot, the verdict, the
/// allocator's own.
const OVERHEAD: usize = 256;

/// A bounded map in two generations: when the young one has filled its half of
/// the memory it becomes the old one, and the old one is dropped whole. What is
/// used again returns to the young one. So a flood of texts costs constant time
/// each and cannot grow the cache.
pub(super) struct Cache {
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

impl Cache {
    /// A cache of at most about `size` bytes.
    pub(super) fn new(size: usize) -> Self {
        Self {
            young: Generation::default(),
            old: Generation::default(),
            limit: size / 2,
        }
    }

    /// The verdict on `sql`, when it is kept.
    pub(super) fn get(&mut self, sql: &[u8]) -> Option<Arc<Verdict>> {
        if let Some(verdict) = self.young.verdicts.get(sql) {
            return Some(Arc::clone(verdict));
        }
        let (text, verdict) = self.old.verdicts.remove_entry(sql)?;
        self.old.bytes -= weight(&text, &verdict);
        self.add(text, Arc::clone(&verdict));
        Some(verdict)
    }

    /// Keeps the verdict on `sql`, unless the text is long.
    pub(super) fn insert(&mut self, sql: &[u8], verdict: Arc<Verdict>) {
        if sql.len() <= MAX_TEXT {
            self.add(sql.into(), verdict);
        }
    }

    fn add(&mut self, text: Box<[u8]>, verdict: Arc<Verdict>) {
        let weight = weight(&text, &verdict);
        if self.young.bytes + weight > self.limit {
            std::mem::swap(&mut self.young, &mut self.old);
            // The map keeps its room.
            self.young.verdicts.clear();
            self.young.bytes = 0;
        }
        if weight > self.limit {
            return;
        }
        if self.young.verdicts.insert(text, verdict).is_none() {
            self.young.bytes += weight;
        }
    }
}

/// What an entry takes, in bytes: the same for a text at any time.
fn weight(text: &[u8], verdict: &Verdict) -> usize {
    let message = verdict.refusal.as_ref().map_or(0, |r| r.message.len());
    let at_bind = verdict
        .at_bind
        .iter()
        .map(super::parameters::SetConfig::weight);
    let answer = verdict.answer.as_ref().map_or(0, |a| a.column.len());
    OVERHEAD + text.len() + message + at_bind.sum::<usize>() + answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict() -> Arc<Verdict> {
        Arc::new(Verdict::default())
    }

    #[test]
    fn a_flood_of_texts_cannot_grow_it() {
        let mut cache = Cache::new(64 << 10);
        for i in 0..100_000_u32 {
            cache.insert(format!("SELECT {i}").as_bytes(), verdict());
            assert!(cache.young.bytes + cache.old.bytes <= 64 << 10);
        }
        assert!(cache.young.verdicts.len() + cache.old.verdicts.len() < 300);
    }

    #[test]
    fn what_is_used_again_survives_a_flood() {
        let mut cache = Cache::new(64 << 10);
        cache.insert(b"SELECT 'kept'", verdict());
        for i in 0..10_000_u32 {
            cache.insert(format!("SELECT {i}").as_bytes(), verdict());
            assert!(cache.get(b"SELECT 'kept'").is_some());
        }
    }

    #[test]
    fn long_texts_are_not_kept() {
        let mut cache = Cache::new(64 << 10);
        let text = vec![b' '; MAX_TEXT + 1];
        cache.insert(&text, verdict());
        assert!(cache.get(&text).is_none());
    }
}
