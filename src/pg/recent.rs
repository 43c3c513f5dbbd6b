//! Where pages of an index were found last among the server's buffers.
//!
//! Looking a page up in the table of buffers costs three times as much as reading a column of codes from it; a buffer that still
//! holds the page is pinned without.  Kept by backend, for the indexes used last.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use pgrx::pg_sys;

/// Indexes that are remembered.
const INDEXES_MAX: usize = 16;
/// One visit in so many is made by the table after all: that counts as use, which keeps a page from being evicted.
const VISITS_PER_LOOKUP: u32 = 64;

thread_local! {
    static INDEXES: RefCell<VecDeque<Rc<RecentBuffers>>> = const { RefCell::new(VecDeque::new()) };
}

/// What names the file of a relation.
#[cfg(any(feature = "pg14", feature = "pg15"))]
pub(super) type FileNode = pg_sys::RelFileNode;
/// What names the file of a relation.
#[cfg(not(any(feature = "pg14", feature = "pg15")))]
pub(super) type FileNode = pg_sys::RelFileLocator;

/// The buffers of one index.
pub(super) struct RecentBuffers {
    file: FileNode,
    /// By block; 0 where none is known.
    buffers: RefCell<Vec<pg_sys::Buffer>>,
    visits: Cell<u32>,
}

impl RecentBuffers {
    /// Returns what is known of a file, which may be nothing.
    pub fn of(file: FileNode) -> Rc<Self> {
        INDEXES.with_borrow_mut(|indexes| {
            if let Some(place) = indexes.iter().position(|recent| is_same(&recent.file, &file)) {
                indexes.swap(0, place);
            } else {
                indexes.truncate(INDEXES_MAX - 1);
                let new = Self { file, buffers: RefCell::default(), visits: Cell::new(0) };
                indexes.push_front(Rc::new(new));
            }
            indexes[0].clone()
        })
    }

    /// Returns the file.
    pub fn file(&self) -> FileNode {
        self.file
    }

    /// Returns the buffer that held a page, unless it is time to look the page up again.
    pub fn buffer(&self, block: u32) -> Option<pg_sys::Buffer> {
        let visits = self.visits.get().wrapping_add(1);
        self.visits.set(visits);
        let is_known = |buffer: &pg_sys::Buffer| *buffer > 0 && !visits.is_multiple_of(VISITS_PER_LOOKUP);
        self.buffers.borrow().get(block as usize).copied().filter(is_known)
    }

    /// Returns the buffer that held a page when it was visited last.
    pub fn last(&self, block: u32) -> Option<pg_sys::Buffer> {
        self.buffers.borrow().get(block as usize).copied().filter(|buffer| *buffer > 0)
    }

    /// Remembers where a page is.
    pub fn remember(&self, block: u32, buffer: pg_sys::Buffer) {
        let mut buffers = self.buffers.borrow_mut();
        if buffers.len() <= block as usize {
            buffers.resize(block as usize + 1, 0);
        }
        buffers[block as usize] = buffer;
    }
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
fn is_same(a: &FileNode, b: &FileNode) -> bool {
    (a.spcNode, a.dbNode, a.relNode) == (b.spcNode, b.dbNode, b.relNode)
}

#[cfg(not(any(feature = "pg14", feature = "pg15")))]
fn is_same(a: &FileNode, b: &FileNode) -> bool {
    (a.spcOid, a.dbOid, a.relNumber) == (b.spcOid, b.dbOid, b.relNumber)
}
