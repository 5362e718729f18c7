//! Prepared statements that a server connection holds.

use hashbrown::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Identifies a statement's text and parameter types within the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PreparedId(u64);

/// A statement as a client prepared it, to be prepared again wherever the
/// client's next transaction runs.
#[derive(Debug)]
pub struct Prepared {
    id: PreparedId,
    /// The tail, and behind it the settings.
    bytes: Box<[u8]>,
    tail: usize,
}

impl Prepared {
    /// Takes the part of a Parse message behind the name: the text, its NUL and
    /// the parameter types.
    #[must_use]
    pub fn new(tail: &[u8]) -> Arc<Self> {
        Self::under(tail, &[])
    }

    /// The same, for clients with `settings`, written in whichever form the
    /// caller compares.
    #[must_use]
    pub fn under(tail: &[u8], settings: &[u8]) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = PreparedId(NEXT.fetch_add(1, Ordering::Relaxed));
        Arc::new(Self {
            id,
            bytes: [tail, settings].concat().into_boxed_slice(),
            tail: tail.len(),
        })
    }

    /// What tells it from others.
    #[must_use]
    pub fn id(&self) -> PreparedId {
        self.id
    }

    /// Text, NUL and parameter types.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        self.bytes.get(..self.tail).unwrap_or_default()
    }

    /// The settings that it was made under.
    #[must_use]
    pub fn settings(&self) -> &[u8] {
        self.bytes.get(self.tail..).unwrap_or_default()
    }

    /// The memory that it takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }
}

/// The name that a statement has on one server connection. A number is never
/// used twice on a connection, so that a statement that was believed gone
/// cannot be met under a new one's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementName(u64);

impl std::fmt::Display for StatementName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pgtenant_{}", self.0)
    }
}

/// The statements that are prepared on one server connection, bounded by their
/// number and by the bytes of their texts: the one unused for the longest time
/// goes first.
#[derive(Debug, Default)]
pub struct PreparedSet {
    known: HashMap<PreparedId, Entry, foldhash::fast::FixedState>,
    /// Of all texts.
    bytes: usize,
    clock: u64,
    names: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    name: StatementName,
    bytes: usize,
    used: u64,
    prepared: Moment,
    shape: Option<Shape>,
}

/// What rows a statement gives: their columns' names and types, as a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape(u64);

impl Shape {
    /// That of a statement whose description is too long to be looked at. Equal
    /// to no other but by a chance of 1 to 2⁶⁴.
    pub const UNKNOWN: Self = Self(0);

    /// The shape that a RowDescription tells, by its body, or that of a statement
    /// without rows; `None` if it is no RowDescription.
    #[must_use]
    pub fn of(row_description: Option<&[u8]>) -> Option<Self> {
        let mut hasher = DefaultHasher::new();
        let Some(body) = row_description else {
            return Some(Self(hasher.finish()));
        };
        let mut rest = body.get(2..)?;
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == 0)?;
            // Name; table and column number, which say nothing of the value;
            // type, length, modifier; format.
            rest.get(..=end)?.hash(&mut hasher);
            rest.get(end + 7..end + 17)?.hash(&mut hasher);
            rest = rest.get(end + 19..)?;
        }
        Some(Self(hasher.finish()))
    }
}

/// Tells which of two events in the process came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// A moment after all before it.
    #[must_use]
    pub fn now() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl PreparedSet {
    /// The statement's name here, if it is prepared, and was so at `since` or
    /// later.
    pub fn find(&mut self, id: PreparedId, since: Moment) -> Option<StatementName> {
        let known = self.known.get_mut(&id);
        let entry = known.filter(|entry| entry.prepared >= since)?;
        self.clock += 1;
        entry.used = self.clock;
        Some(entry.name)
    }

    /// The statement's name here, if it is prepared, whenever it was.
    #[must_use]
    pub fn find_any(&self, id: PreparedId) -> Option<StatementName> {
        self.known.get(&id).map(|entry| entry.name)
    }

    /// The rows that the statement gives, if that is known.
    #[must_use]
    pub fn shape(&self, id: PreparedId) -> Option<Shape> {
        self.known.get(&id)?.shape
    }

    /// Takes note of the rows that the statement gives.
    pub fn set_shape(&mut self, id: PreparedId, shape: Option<Shape>) {
        if let Some(entry) = self.known.get_mut(&id) {
            entry.shape = shape;
        }
    }

    /// The statement that has this name.
    #[must_use]
    pub fn id_of(&self, name: &str) -> Option<PreparedId> {
        let mut known = self.known.iter();
        known
            .find(|(_, entry)| entry.name.to_string() == name)
            .map(|(id, _)| *id)
    }

    /// Gives the statement a name, to be prepared under it now.
    pub fn add(&mut self, prepared: &Prepared) -> StatementName {
        self.remove(prepared.id);
        self.clock += 1;
        self.names += 1;
        let name = StatementName(self.names);
        self.bytes += prepared.tail;
        self.known.insert(
            prepared.id,
            Entry {
                name,
                bytes: prepared.tail,
                used: self.clock,
                prepared: Moment::now(),
                shape: None,
            },
        );
        name
    }

    /// Takes out the statement that has been unused for the longest time, if
    /// there are more than `most`, or more than `most_bytes` of text; it is to be
    /// closed. To be asked again until there is none. One statement may be
    /// longer than `most_bytes`: it stays until another is added.
    pub fn evict(&mut self, most: usize, most_bytes: usize) -> Option<StatementName> {
        let fits = self.known.len() <= most && self.bytes <= most_bytes;
        if fits || self.known.len() == 1 {
            return None;
        }
        let (id, name) = self
            .known
            .iter()
            .min_by_key(|(_, e)| e.used)
            .map(|(id, e)| (*id, e.name))?;
        self.remove(id);
        Some(name)
    }

    /// Forgets a statement: preparing it failed, or it was closed.
    pub fn remove(&mut self, id: PreparedId) {
        if let Some(entry) = self.known.remove(&id) {
            self.bytes -= entry.bytes;
        }
    }

    /// Forgets all: the server has dropped them.
    pub fn clear(&mut self) {
        self.known.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_that_of_the_values() {
        let columns = |table: u8, kind: u8| {
            let head = [0, 1, b'a', 0, 0, 0, 0, table, 0, 1];
            let rest = [0, 0, 0, kind, 0, 4, 255, 255, 255, 255, 0, 0];
            Shape::of(Some(&[&head[..], &rest].concat()))
        };
        assert!(columns(1, 23).is_some());
        assert_eq!(columns(1, 23), columns(2, 23));
        assert_ne!(columns(1, 23), columns(1, 25));
        assert_ne!(Shape::of(None), Shape::of(Some(&[0, 0, b'a'])));
        assert_eq!(Shape::of(Some(&[0, 1, b'a', 0, 0])), None);
    }

    #[test]
    fn the_longest_unused_goes_first_and_no_name_comes_twice() {
        let mut set = PreparedSet::default();
        let [a, b, c] = [b"a\0\0\0", b"b\0\0\0", b"c\0\0\0"].map(|tail| Prepared::new(tail));
        let start = Moment::now();
        let first = set.add(&a);
        let second = set.add(&b);
        assert_eq!(set.find(a.id(), start), Some(first));
        let third = set.add(&c);
        assert_eq!(set.evict(2, usize::MAX), Some(second));
        assert_eq!(set.evict(2, usize::MAX), None);
        assert_eq!(set.find(b.id(), start), None);
        let later = Moment::now();
        assert_eq!(set.find(a.id(), later), None);
        assert_eq!(set.find_any(a.id()), Some(first));
        set.clear();
        let again = set.add(&a);
        assert!(again != first && again != third);
    }

    #[test]
    fn long_texts_go_before_there_are_many() {
        let mut set = PreparedSet::default();
        let [a, b, c, long] = [10, 20, 30, 1000].map(|len| Prepared::new(&vec![b'a'; len]));
        let [first, second, third] = [&a, &b, &c].map(|prepared| set.add(prepared));
        assert_eq!(set.evict(10, 60), None);
        assert_eq!(set.evict(10, 50), Some(first));
        assert_eq!(set.evict(10, 50), None);
        let last = set.add(&long);
        assert_eq!(set.evict(10, 50), Some(second));
        assert_eq!(set.evict(10, 50), Some(third));
        // It is needed now.
        assert_eq!(set.evict(10, 50), None);
        let next = set.add(&a);
        assert_eq!(set.evict(10, 50), Some(last));
        assert_eq!(set.evict(10, 50), None);
        // Prepared anew, it counts once.
        assert_ne!(set.add(&a), next);
        set.remove(b.id());
        assert_eq!(set.bytes, 10);
        set.remove(a.id());
        assert_eq!(set.bytes, 0);
    }
}
