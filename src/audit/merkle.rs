//! The Merkle tree over the records (RFC 6962, section 2.1), with SHA-256.
//!
//! The leaf of a record is its hash. A log that goes on for years cannot keep its
//! tree: a [`Frontier`] has what is needed to add leaves and to give the root, one
//! hash for each bit of the number of leaves. A [`Tree`] begins with a frontier and
//! proves what comes behind it.

use super::hash::Hash;

fn leaf(record: &Hash) -> Hash {
    let mut bytes = [0; 33];
    bytes[1..].copy_from_slice(record.bytes());
    Hash::of(&bytes)
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left.bytes());
    bytes[33..].copy_from_slice(right.bytes());
    Hash::of(&bytes)
}

fn empty() -> Hash {
    Hash::of(b"")
}

/// The roots of the complete trees that all leaves so far make, the largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    leaves: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// One that was written down; `None` if there are not as many peaks as so many
    /// leaves make.
    #[must_use]
    pub fn new(leaves: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == leaves.count_ones() as usize).then_some(Self { leaves, peaks })
    }

    /// How many leaves there are.
    #[must_use]
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The roots, the largest tree's first.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Adds the leaf of a record.
    pub fn push(&mut self, record: &Hash) {
        let mut hash = leaf(record);
        for _ in 0..self.leaves.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.leaves += 1;
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return empty();
        };
        peaks.fold(*last, |right, left| node(left, &right))
    }
}

/// A tree whose leaves from some point on are known, to prove them.
#[derive(Debug, Clone)]
pub struct Tree {
    first: u64,
    leaves: u64,
    /// The complete trees of each height, and the place of the first that is kept.
    levels: Vec<Level>,
}

#[derive(Debug, Clone)]
struct Level {
    from: u64,
    nodes: Vec<Hash>,
}

impl Tree {
    /// A tree that goes on behind `frontier`.
    #[must_use]
    pub fn new(frontier: &Frontier) -> Self {
        let leaves = frontier.leaves();
        let mut peaks = frontier.peaks().iter().rev();
        let mut levels = Vec::new();
        for height in 0..64 {
            let at = leaves >> height;
            let mut nodes = Vec::new();
            if at & 1 == 1 {
                nodes.extend(peaks.next());
            }
            let from = at - nodes.len() as u64;
            levels.push(Level { from, nodes });
        }
        Self {
            first: leaves,
            leaves,
            levels,
        }
    }

    /// How many leaves there are.
    #[must_use]
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// Adds the leaf of a record.
    pub fn push(&mut self, record: &Hash) {
        let mut hash = leaf(record);
        let mut at = self.leaves;
        self.leaves += 1;
        let mut height = 0;
        while let Some(level) = self.levels.get_mut(height) {
            level.nodes.push(hash);
            if at & 1 == 0 {
                return;
            }
            let [.., left, right] = level.nodes.as_slice() else {
                return;
            };
            hash = node(left, right);
            at >>= 1;
            height += 1;
        }
    }

    /// The root of the tree of the first `size` leaves; `None` if that is not known.
    #[must_use]
    pub fn root(&self, size: u64) -> Option<Hash> {
        match size {
            0 => Some(empty()),
            _ => self.range(0, size),
        }
    }

    /// The proof that the leaf at `index` is in the tree of the first `size` leaves: the
    /// audit path of RFC 6962, the leaf's neighbour first. `None` if that is not known.
    #[must_use]
    pub fn proof(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        if index < self.first || index >= size || size > self.leaves {
            return None;
        }
        let mut path = Vec::new();
        let (mut start, mut len) = (0, size);
        while len > 1 {
            let left = largest_power_below(len);
            if index < start + left {
                path.push(self.range(start + left, len - left)?);
                len = left;
            } else {
                path.push(self.range(start, left)?);
                start += left;
                len -= left;
            }
        }
        path.reverse();
        Some(path)
    }

    /// The root of the `len` leaves from `start` on, which a tree of RFC 6962 has as a
    /// tree of its own. Each step halves `len` at least: it is as deep as `len` has bits.
    fn range(&self, start: u64, len: u64) -> Option<Hash> {
        if len.is_power_of_two() {
            let height = len.trailing_zeros();
            let level = self.levels.get(height as usize)?;
            let at = (start >> height).checked_sub(level.from)?;
            return level.nodes.get(usize::try_from(at).ok()?).copied();
        }
        let left = largest_power_below(len);
        let right = self.range(start + left, len - left)?;
        Some(node(&self.range(start, left)?, &right))
    }
}

fn largest_power_below(len: u64) -> u64 {
    1 << (63 - (len - 1).leading_zeros())
}

/// The root of the tree of `size` leaves in which `proof` says that `record` has the
/// leaf at `index` (RFC 9162, section 2.1.3.2); `None` if it is no such proof.
#[must_use]
pub fn root_by_proof(record: &Hash, index: u64, size: u64, proof: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = leaf(record);
    for sibling in proof {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ct_merkle::HashableLeaf;
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;
    use sha2::Sha256;

    fn record(n: u64) -> Hash {
        Hash::of(&n.to_be_bytes())
    }

    /// The same tree as another implementation makes it.
    struct Leaf([u8; 32]);

    impl HashableLeaf for Leaf {
        fn hash<H: sha2::digest::Update>(&self, hasher: &mut H) {
            hasher.update(&self.0);
        }
    }

    fn peer(size: u64) -> MemoryBackedTree<Sha256, Leaf> {
        let mut tree = MemoryBackedTree::new();
        for n in 0..size {
            tree.push(Leaf(*record(n).bytes()));
        }
        tree
    }

    #[test]
    fn roots_are_those_of_rfc_6962() {
        let mut frontier = Frontier::default();
        for size in 0..200 {
            let root = peer(size).root();
            assert_eq!(frontier.root().bytes()[..], root.as_bytes()[..], "{size}");
            frontier.push(&record(size));
        }
    }

    #[test]
    fn every_leaf_behind_a_frontier_is_proven_in_every_tree() {
        for first in 0..20 {
            let mut frontier = Frontier::default();
            (0..first).for_each(|n| frontier.push(&record(n)));
            let mut tree = Tree::new(&frontier);
            for n in first..40 {
                tree.push(&record(n));
                frontier.push(&record(n));
                let size = n + 1;
                assert_eq!(tree.root(size), Some(frontier.root()));
                for index in first..size {
                    let proof = tree.proof(index, size).expect("is known");
                    let root = root_by_proof(&record(index), index, size, &proof);
                    assert_eq!(root, Some(frontier.root()), "{index} of {size}");
                    let theirs = peer(size).prove_inclusion(usize::try_from(index).expect("small"));
                    let ours: Vec<u8> = proof.iter().flat_map(|hash| *hash.bytes()).collect();
                    assert_eq!(ours, theirs.as_bytes());
                }
            }
            assert_eq!(first.checked_sub(1).and_then(|n| tree.proof(n, 40)), None);
        }
    }

    proptest! {
        #[test]
        fn a_proof_proves_nothing_else(
            size in 1_u64..300, at in any::<u64>(), other in any::<u64>(), bit in 0_usize..256,
        ) {
            let mut tree = Tree::new(&Frontier::default());
            (0..size).for_each(|n| tree.push(&record(n)));
            let root = tree.root(size);
            let (at, other) = (at % size, other % size);
            let proof = tree.proof(at, size).expect("is known");
            prop_assert_eq!(root_by_proof(&record(at), at, size, &proof), root);
            if at != other {
                prop_assert_ne!(root_by_proof(&record(other), at, size, &proof), root);
                prop_assert_ne!(root_by_proof(&record(at), other, size, &proof), root);
            }
            for n in 0..proof.len() {
                let mut wrong = proof.clone();
                let mut bytes = *wrong[n].bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                wrong[n] = Hash::from_hex(text.as_bytes()).expect("is a hash");
                prop_assert_ne!(root_by_proof(&record(at), at, size, &wrong), root);
                prop_assert_ne!(root_by_proof(&record(at), at, size, &proof[..n]), root);
            }
        }
    }
}
