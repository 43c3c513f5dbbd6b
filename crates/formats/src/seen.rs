//! Finds a key that comes a second time, at the moment it comes.
//!
//! Keeps 64-bit hashes only: a set of names would cost more than the names.  The hash is keyed at random, so a file cannot
//! aim at collisions, and equal hashes are answered by looking at the names themselves.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// The keys that came so far.
#[derive(Default)]
pub(crate) struct Seen {
    hashes: HashSet<u64>,
    hasher: RandomState,
}

impl Seen {
    /// Notes a key; true when it is among `kept`, the keys noted before.
    pub(crate) fn twice<'k>(&mut self, key: &str, mut kept: impl Iterator<Item = &'k str>) -> bool {
        let is_new = self.hashes.insert(self.hasher.hash_one(key));
        !is_new && kept.any(|other| other == key)
    }
}
