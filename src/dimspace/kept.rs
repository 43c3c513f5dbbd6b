//! What a session keeps of the indexes that it used last, so that the next use begins warm.
//!
//! Whatever is kept looks at the index's build number, so that it outlives REINDEX.

use std::cell::RefCell;

use pgrx::pg_sys::Oid;

/// Indexes of which something is kept.
const INDEXES_MAX: usize = 8;

/// Something of each index, the one used last at the end.
pub struct Kept<T>(RefCell<Vec<(Oid, T)>>);

impl<T: Default> Kept<T> {
    /// Keeps nothing yet.
    pub const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// Takes out what is kept of an index.  An error before it is kept again then leaves nothing that is half made.
    pub fn take(&self, index: Oid) -> T {
        let mut kept = self.0.borrow_mut();
        let place = kept.iter().position(|(of, _)| *of == index);
        place.map(|place| kept.remove(place).1).unwrap_or_default()
    }

    /// Keeps something of an index, in place of what was used longest ago where there is too much.
    pub fn keep(&self, index: Oid, value: T) {
        let mut kept = self.0.borrow_mut();
        kept.retain(|(of, _)| *of != index);
        if kept.len() >= INDEXES_MAX {
            kept.remove(0);
        }
        kept.push((index, value));
    }
}
