//! A page and the pages of an index: what the algorithms ask of whoever keeps them.
//!
//! PostgreSQL's buffers and the pages in memory of the tests implement [`Pages`]; nothing else touches a page.

use std::fmt;
use std::ops::Deref;

use crate::error::Result;

/// Bytes of a page.
pub const PAGE_BYTES: usize = 8192;
/// Where the contents begin: behind the server's page header, on a cache line.
pub const PAYLOAD_FROM: usize = 64;
/// Bytes of the contents.
pub const PAYLOAD_BYTES: usize = crate::tile::PAYLOAD_BYTES;
/// Where the trailer begins: kind u16, version u16, next block u32, owner u64.
pub const TRAILER_FROM: usize = PAGE_BYTES - 16;
/// The most pages that one record changes.
pub const RECORD_PAGES_MAX: usize = 4;
/// Version of the layout, in the trailer of every page.
pub const LAYOUT_VERSION: u16 = 1;

const _: () = assert!(PAYLOAD_BYTES == 8064 && PAYLOAD_FROM + PAYLOAD_BYTES <= TRAILER_FROM);

/// The number of a page.  Page 0 is the meta page, so 0 in a link means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Block(pub u32);

impl Block {
    /// No page; as a page to read, the meta page.
    pub const NONE: Self = Self(0);
    /// The meta page.
    pub const META: Self = Self(0);

    /// Returns whether a link leads nowhere.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Kind {
    /// Never written: all zero.
    New = 0,
    /// The meta page.
    Meta = 1,
    /// A scale set.
    Scales = 2,
    /// Centroids.
    Centroids = 3,
    /// Entries of cells.
    Cells = 4,
    /// Head and row records of a segment.
    Rows = 5,
    /// High bytes of codes.
    PlaneA = 6,
    /// Low bytes of codes.
    PlaneB = 7,
    /// One-bit codes; no version writes them yet.
    Bits = 8,
    /// Rows not folded yet.
    Tail = 9,
    /// The rest of a tail row that is wider than a page.
    TailRest = 10,
    /// NULLs and zero vectors.
    Odd = 11,
    /// Quantiles for the planner.
    Quantiles = 12,
    /// Free.
    Free = 13,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::New,
        Self::Meta,
        Self::Scales,
        Self::Centroids,
        Self::Cells,
        Self::Rows,
        Self::PlaneA,
        Self::PlaneB,
        Self::Bits,
        Self::Tail,
        Self::TailRest,
        Self::Odd,
        Self::Quantiles,
        Self::Free,
    ];

    /// Returns the kind of that number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Returns the name that statistics show.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Meta => "meta",
            Self::Scales => "scales",
            Self::Centroids => "centroids",
            Self::Cells => "cells",
            Self::Rows => "rows",
            Self::PlaneA => "plane A",
            Self::PlaneB => "plane B",
            Self::Bits => "bits",
            Self::Tail => "tail",
            Self::TailRest => "tail rest",
            Self::Odd => "odd",
            Self::Quantiles => "quantiles",
            Self::Free => "free",
        }
    }
}

/// A page.  Bytes before [`PAYLOAD_FROM`] belong to whoever keeps it.
#[derive(Clone, PartialEq, Eq)]
#[repr(transparent)]
pub struct Page(pub [u8; PAGE_BYTES]);

impl Default for Page {
    fn default() -> Self {
        Self([0; PAGE_BYTES])
    }
}

impl Page {
    /// Returns the contents.
    pub fn payload(&self) -> &[u8; PAYLOAD_BYTES] {
        self.at(PAYLOAD_FROM)
    }

    /// Returns the contents for writing.
    pub fn payload_mut(&mut self) -> &mut [u8; PAYLOAD_BYTES] {
        self.0[PAYLOAD_FROM..].first_chunk_mut().expect("a page has room for its payload")
    }

    /// Returns what the page holds; `None` for a number that no version wrote.
    pub fn kind(&self) -> Option<Kind> {
        Kind::from_number(u16::from_le_bytes(*self.at(TRAILER_FROM)))
    }

    /// Returns the version of the layout that wrote the page.
    pub fn version(&self) -> u16 {
        u16::from_le_bytes(*self.at(TRAILER_FROM + 2))
    }

    /// Returns the next page of the chain.
    pub fn next(&self) -> Block {
        Block(u32::from_le_bytes(*self.at(TRAILER_FROM + 4)))
    }

    /// Returns the owner: what it means depends on the kind.
    pub fn owner(&self) -> u64 {
        u64::from_le_bytes(*self.at(TRAILER_FROM + 8))
    }

    /// Returns whether the page is of this kind, this owner and a version we read.
    pub fn is(&self, kind: Kind, owner: u64) -> bool {
        self.is_kind(kind) && self.owner() == owner
    }

    /// Returns whether the page is of this kind and a version we read.
    pub fn is_kind(&self, kind: Kind) -> bool {
        self.kind() == Some(kind) && self.version() == LAYOUT_VERSION
    }

    /// Returns whether nobody uses the page.
    pub fn is_free(&self) -> bool {
        matches!(self.kind(), Some(Kind::New | Kind::Free))
    }

    /// Empties the page and makes it one of this kind and owner, with no next.
    pub fn init(&mut self, kind: Kind, owner: u64) {
        self.0[PAYLOAD_FROM..].fill(0);
        self.0[TRAILER_FROM..TRAILER_FROM + 2].copy_from_slice(&(kind as u16).to_le_bytes());
        self.0[TRAILER_FROM + 2..TRAILER_FROM + 4].copy_from_slice(&LAYOUT_VERSION.to_le_bytes());
        self.0[TRAILER_FROM + 8..].copy_from_slice(&owner.to_le_bytes());
    }

    /// Gives the page up.  Its contents stay, so that the log has little to say.
    pub fn set_free(&mut self) {
        let payload = *self.payload();
        self.init(Kind::Free, 0);
        *self.payload_mut() = payload;
    }

    /// Sets the next page of the chain.
    pub fn set_next(&mut self, next: Block) {
        self.0[TRAILER_FROM + 4..TRAILER_FROM + 8].copy_from_slice(&next.0.to_le_bytes());
    }

    fn at<const N: usize>(&self, from: usize) -> &[u8; N] {
        self.0[from..].first_chunk().expect("constants of the layout lie inside the page")
    }
}

/// The lock of a cell, or of growth.  Whoever changes the structure of a cell holds its lock; readers and inserts of single
/// rows take none.  With [`CellLock::GROWTH`] held cells, scale sets and centroids are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellLock(pub u32);

impl CellLock {
    /// The lock of what the meta page counts; taken behind that of a cell, and then only tried.
    pub const GROWTH: Self = Self(u32::MAX - 1);
    /// The lock of who writes the rest of a row that is wider than a page, so that VACUUM can wait until it hangs in a tail.
    pub const REST: Self = Self(u32::MAX - 2);
}

/// The pages of an index.
///
/// Locks of pages are held by guards and records only.  A reader holds one at a time.  A record locks in the order cells (lower
/// first), tail, rows, codes, meta, and new pages last, ascending.  Nobody waits for a cell's lock while holding a page's.
pub trait Pages {
    /// A page locked against writers.
    type Guard<'a>: Deref<Target = Page>
    where
        Self: 'a;
    /// A change under way.
    type Record<'a>: Record
    where
        Self: 'a;
    /// A cell's lock; dropped, it is released.
    type Lock<'a>
    where
        Self: 'a;

    /// Returns how many pages there are; others may add some at any time.
    fn blocks(&self) -> u32;

    /// Returns whether the table may have this block; a page that names another one for a row is damaged.
    fn has_row_block(&self, block: u32) -> bool {
        block != u32::MAX
    }

    /// Locks a page for reading.  A page beyond the end is damage of whoever named it.
    fn read(&self, block: Block) -> Result<Self::Guard<'_>>;

    /// Has the memory fetch some bytes of a page's contents, and its trailer, if that is easily done.
    fn prefetch(&self, _block: Block, _places: impl Iterator<Item = usize>) {}

    /// Begins a change.
    fn begin(&self) -> Self::Record<'_>;

    /// Returns a page that was free when looked for, or a new one, not locked: [`Record::lock_new`] looks again.
    fn allocate(&self) -> Result<Block>;

    /// Tells the map of free pages, which no log protects, that a page is free.
    fn release(&self, block: Block);

    /// Waits for a lock.
    fn lock(&self, cell: CellLock) -> Result<Self::Lock<'_>>;

    /// Takes a lock if nobody holds it.
    fn try_lock(&self, cell: CellLock) -> Result<Option<Self::Lock<'_>>>;

    /// Fails once the user has cancelled; called with no page locked.
    fn check_interrupt(&self) -> Result<()>;
}

/// A page of a record, by the order of locking.
pub type Slot = usize;

/// A change of at most [`RECORD_PAGES_MAX`] pages, which happens at [`Record::commit`], whole or, after a crash, not at all.
/// Dropped before, nothing happened.
pub trait Record {
    /// Locks a page for writing.
    fn lock(&mut self, block: Block) -> Result<Slot>;

    /// Locks a page from [`Pages::allocate`]; `None` when somebody else took it meanwhile, or this record has it locked.  It is
    /// logged whole.
    fn lock_new(&mut self, block: Block) -> Result<Option<Slot>>;

    /// Returns the page as this record leaves it.
    fn page(&self, slot: Slot) -> &Page;

    /// Returns the page for changing.
    fn page_mut(&mut self, slot: Slot) -> &mut Page;

    /// Makes the change and unlocks the pages.
    fn commit(self) -> Result<()>;
}
