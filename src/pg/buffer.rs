//! Pages of an index in PostgreSQL's buffers, as the crate `dimspace` asks for them: pins, locks, extension, free space.
//!
//! A page is initialised as any page of PostgreSQL, with 16 special bytes; its contents reach from byte 64 to `pd_lower`, because
//! generic WAL logs nothing between `pd_lower` and `pd_upper`.
//!
//! Nothing here releases while a panic unwinds: raising an error has set the count of held-off interrupts to zero, which
//! releasing a buffer's lock would bring below; the abort that follows releases everything.

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;
use std::thread;

use dimspace::{Block, CellLock, DimspaceError, PAGE_BYTES, PAYLOAD_FROM, Page, Pages, Result};
use pgrx::pg_sys;
use pgrx::pg_sys::submodules::ffi::pg_guard_ffi_boundary;

use super::dimvec_datum::prefetch;
use super::index_relation::IndexRelation;
use super::recent::{FileNode, RecentBuffers};
use super::wal::IndexRecord;

/// The same functions as in `pg_sys`, without a guard of their own: two calls under one guard cost half.
pub(super) mod raw {
    use pgrx::pg_sys;

    unsafe extern "C-unwind" {
        /// Descriptors of the shared buffers, one to a cache line.
        pub static mut BufferDescriptors: *mut u8;
        pub fn ReadBufferExtended(
            relation: pg_sys::Relation,
            fork: pg_sys::ForkNumber::Type,
            block: pg_sys::BlockNumber,
            mode: pg_sys::ReadBufferMode::Type,
            strategy: pg_sys::BufferAccessStrategy,
        ) -> pg_sys::Buffer;
        pub fn ReadRecentBuffer(
            file: super::FileNode,
            fork: pg_sys::ForkNumber::Type,
            block: pg_sys::BlockNumber,
            recent: pg_sys::Buffer,
        ) -> bool;
        pub fn LockBuffer(buffer: pg_sys::Buffer, mode: std::ffi::c_int);
        pub fn ConditionalLockBuffer(buffer: pg_sys::Buffer) -> bool;
        pub fn ReleaseBuffer(buffer: pg_sys::Buffer);
        pub fn UnlockReleaseBuffer(buffer: pg_sys::Buffer);
    }
}

const SPECIAL_BYTES: usize = 16;
/// Bytes from one buffer's descriptor to the next.
const DESCRIPTOR_BYTES: usize = 64;
/// Where the contents end.
const LOWER: u16 = 64 + 8064;
const UPPER: u16 = (PAGE_BYTES - SPECIAL_BYTES) as u16;
/// Version 4 of PostgreSQL's page layout.
const SIZE_AND_VERSION: u16 = PAGE_BYTES as u16 | 4;
/// Where the page header holds `pd_lower`, `pd_upper`, `pd_special` and size with version, each of two bytes.
const HEADER_FROM: usize = 12;
/// Pages of the free space map that are looked at before the index is extended.
const FREE_PAGES_TRIED: usize = 64;

const _: () = assert!(pg_sys::BLCKSZ as usize == PAGE_BYTES);

thread_local! {
    /// The index whose pages were taken last, for errors, which begin where only pages are known.
    static AT_HAND: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::InvalidOid) };
}

/// Returns the name of the index whose pages were taken last.
pub(super) fn index_at_hand() -> Option<String> {
    // SAFETY: a catalog lookup; the name is copied before it can go.
    unsafe {
        let name = pg_sys::get_rel_name(AT_HAND.get());
        (!name.is_null()).then(|| std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}

/// Who changes the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writes {
    /// Anybody: changes are logged.
    Logged,
    /// One backend, which nobody else reads beside: [`IndexPages::log_whole`] logs all pages at the end.
    Building,
}

/// The pages of an index.
pub struct IndexPages<'i> {
    pub(super) index: IndexRelation<'i>,
    pub(super) fork: pg_sys::ForkNumber::Type,
    pub(super) writes: Writes,
    strategy: pg_sys::BufferAccessStrategy,
    /// Whether to pause as the settings of VACUUM say.
    is_vacuum: bool,
    /// Pages that there are at least.
    known: Cell<u32>,
    /// The table whose rows are looked for; null where nobody goes on to it.
    table: pg_sys::Relation,
    /// Blocks that the table has at least.
    row_blocks: Cell<u32>,
    /// Where pages were found before; none for what lies in buffers of this backend.
    recent: Option<Rc<RecentBuffers>>,
}

impl<'i> IndexPages<'i> {
    /// Takes the pages of an index that others may use too.
    pub fn of(index: IndexRelation<'i>) -> Self {
        AT_HAND.set(index.oid());
        Self {
            index,
            fork: pg_sys::ForkNumber::MAIN_FORKNUM,
            writes: Writes::Logged,
            strategy: std::ptr::null_mut(),
            is_vacuum: false,
            known: Cell::new(0),
            table: std::ptr::null_mut(),
            row_blocks: Cell::new(0),
            recent: (!index.is_local()).then(|| RecentBuffers::of(index.file())),
        }
    }

    /// Takes the pages of an index to find rows of its table.
    ///
    /// # Safety
    /// The table is open, and locked so that it may grow but not shrink, as long as `'i`.
    pub(super) unsafe fn for_scan(index: IndexRelation<'i>, table: pg_sys::Relation) -> Self {
        Self { table, ..Self::of(index) }
    }

    /// Takes the pages of an index for VACUUM.
    pub(super) fn for_vacuum(index: IndexRelation<'i>, strategy: pg_sys::BufferAccessStrategy) -> Self {
        Self { strategy, is_vacuum: true, ..Self::of(index) }
    }

    /// Takes the pages of an index that is being built.
    pub fn for_build(index: IndexRelation<'i>) -> Self {
        Self { writes: Writes::Building, ..Self::of(index) }
    }

    /// Takes the pages that an unlogged index has again after a crash.
    pub fn for_empty(index: IndexRelation<'i>) -> Self {
        Self { fork: pg_sys::ForkNumber::INIT_FORKNUM, recent: None, ..Self::for_build(index) }
    }

    /// Logs every page, at the end of a build.
    pub fn log_whole(&self) {
        if self.fork == pg_sys::ForkNumber::MAIN_FORKNUM && !self.index.needs_wal() {
            return;
        }
        let blocks = self.blocks();
        // SAFETY: the index is open and locked, and nobody else changes it while it is built.
        unsafe { pg_sys::log_newpage_range(self.index.as_ptr(), self.fork, 0, blocks, true) }
    }

    /// Pins and locks a page: the one place where it happens.
    pub(super) fn pin(&self, block: Block, lock: u32) -> Result<pg_sys::Buffer> {
        if block.0 >= self.known.get() && block.0 >= self.blocks() {
            return Err(DimspaceError::damaged(block, "a page that is named lies before the end"));
        }
        if let Some(buffer) = self.pin_recent(block, lock) {
            return Ok(buffer);
        }
        let (index, fork, strategy) = (self.index.as_ptr(), self.fork, self.strategy);
        // SAFETY: the index is open and locked while `self` lives, and the block lies before its end.  Only calls stand under the
        // guard; an error leaves a pin to the transaction's abort.
        let buffer = unsafe {
            pg_guard_ffi_boundary(|| {
                let mode = pg_sys::ReadBufferMode::RBM_NORMAL;
                let buffer = raw::ReadBufferExtended(index, fork, block.0, mode, strategy);
                raw::LockBuffer(buffer, lock as std::ffi::c_int);
                buffer
            })
        };
        if let Some(recent) = &self.recent {
            recent.remember(block.0, buffer);
        }
        Ok(buffer)
    }

    /// Pins and locks a new page for writing; none while somebody else has it locked, who might wait for a page that we hold.
    pub(super) fn try_pin_new(&self, block: Block) -> Result<Option<pg_sys::Buffer>> {
        if block.0 >= self.known.get() && block.0 >= self.blocks() {
            return Err(DimspaceError::damaged(block, "a page that is named lies before the end"));
        }
        let (index, fork) = (self.index.as_ptr(), self.fork);
        // SAFETY: as in `pin`; what is not locked is unpinned at once.
        let buffer = unsafe {
            pg_guard_ffi_boundary(|| {
                let mode = pg_sys::ReadBufferMode::RBM_NORMAL;
                let buffer = raw::ReadBufferExtended(index, fork, block.0, mode, std::ptr::null_mut());
                if raw::ConditionalLockBuffer(buffer) {
                    return Some(buffer);
                }
                raw::ReleaseBuffer(buffer);
                None
            })
        };
        Ok(buffer)
    }

    /// Pins and locks a page in the buffer where it was before, if it still is there.
    fn pin_recent(&self, block: Block, lock: u32) -> Option<pg_sys::Buffer> {
        let recent = self.recent.as_ref()?;
        let (file, fork, buffer) = (recent.file(), self.fork, recent.buffer(block.0)?);
        // SAFETY: the server looks itself whether a buffer of its own, as `ReadBufferExtended` returned it, holds this page of this
        // file.  Only calls stand under the guard.
        let is_there = unsafe {
            pg_guard_ffi_boundary(|| {
                let is_there = raw::ReadRecentBuffer(file, fork, block.0, buffer);
                if is_there {
                    raw::LockBuffer(buffer, lock as std::ffi::c_int);
                }
                is_there
            })
        };
        is_there.then_some(buffer)
    }

    /// Returns a page from the free space map that is free indeed.
    fn find_free(&self) -> Result<Option<Block>> {
        for _ in 0..FREE_PAGES_TRIED {
            // SAFETY: the index is open and locked.
            let block = Block(unsafe { pg_sys::GetFreeIndexPage(self.index.as_ptr()) });
            if block.0 == pg_sys::InvalidBlockNumber {
                return Ok(None);
            }
            // The map is not logged: after a crash it may name any page, also one beyond the end.
            if !block.is_none() && block.0 < self.blocks() && self.read(block)?.is_free() {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// Adds a page, which is all zero.
    fn extend(&self) -> Block {
        let (index, fork) = (self.index.as_ptr(), self.fork);
        let exclusive = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;
        let is_shared = !self.index.is_local();
        if is_shared {
            // SAFETY: the index is open and locked; no lock of a page is held.
            unsafe { pg_sys::LockRelationForExtension(index, exclusive) }
        }
        let mode = pg_sys::ReadBufferMode::RBM_NORMAL;
        // SAFETY: as above; the block that is none asks for a new one, and the extension lock keeps others from adding the same.
        let block = unsafe {
            let buffer =
                pg_sys::ReadBufferExtended(index, fork, pg_sys::InvalidBlockNumber, mode, std::ptr::null_mut());
            let block = pg_sys::BufferGetBlockNumber(buffer);
            pg_sys::ReleaseBuffer(buffer);
            block
        };
        if is_shared {
            // SAFETY: locked above; an error in between has the transaction's abort release it.
            unsafe { pg_sys::UnlockRelationForExtension(index, exclusive) }
        }
        self.known.set(self.known.get().max(block.saturating_add(1)));
        Block(block)
    }
}

impl<'i> Pages for IndexPages<'i> {
    type Guard<'a>
        = PageGuard<'a>
    where
        Self: 'a;
    type Record<'a>
        = IndexRecord<'a, 'i>
    where
        Self: 'a;
    type Lock<'a>
        = HeldLock<'a>
    where
        Self: 'a;

    fn blocks(&self) -> u32 {
        // SAFETY: the index is open and locked while `self` lives.
        let blocks = unsafe { pg_sys::RelationGetNumberOfBlocksInFork(self.index.as_ptr(), self.fork) };
        self.known.set(blocks);
        blocks
    }

    /// The server looks for a file that is not there where a row is said to lie behind the end of the table.
    fn has_row_block(&self, block: u32) -> bool {
        if self.table.is_null() || block < self.row_blocks.get() {
            return true;
        }
        // SAFETY: open and locked, as `for_scan` says.
        let blocks = unsafe { pg_sys::RelationGetNumberOfBlocksInFork(self.table, pg_sys::ForkNumber::MAIN_FORKNUM) };
        self.row_blocks.set(blocks);
        block < blocks
    }

    fn read(&self, block: Block) -> Result<PageGuard<'_>> {
        let buffer = self.pin(block, pg_sys::BUFFER_LOCK_SHARE)?;
        // A page never written is all zero, which is a kind too; the header is PostgreSQL's, and looked at before writing only.
        // SAFETY: pinned and locked above, until the guard drops.
        Ok(PageGuard { buffer, page: unsafe { page_of(buffer) } })
    }

    fn prefetch(&self, block: Block, places: impl Iterator<Item = usize>) {
        if let Some(buffer) = self.recent.as_ref().and_then(|recent| recent.last(block.0)) {
            prefetch_page(buffer, places);
        }
    }

    fn begin(&self) -> IndexRecord<'_, 'i> {
        IndexRecord::begin(self)
    }

    fn allocate(&self) -> Result<Block> {
        // A build has no free pages, and other forks no map of them.
        let free = if self.writes == Writes::Building { None } else { self.find_free()? };
        Ok(free.unwrap_or_else(|| self.extend()))
    }

    fn release(&self, block: Block) {
        if self.writes == Writes::Logged {
            // SAFETY: the index is open and locked.
            unsafe { pg_sys::RecordFreeIndexPage(self.index.as_ptr(), block.0) }
            if !self.is_vacuum {
                // Searches begin at the root of the map, which only VACUUM would tell of the page.
                // SAFETY: as above.
                unsafe { pg_sys::FreeSpaceMapVacuumRange(self.index.as_ptr(), block.0, block.0.saturating_add(1)) }
            }
        }
    }

    fn lock(&self, cell: CellLock) -> Result<HeldLock<'_>> {
        // SAFETY: the index is open and locked; no lock of a page's contents is held, as the trait says.
        unsafe { pg_sys::LockPage(self.index.as_ptr(), cell.0, pg_sys::ExclusiveLock as pg_sys::LOCKMODE) }
        Ok(HeldLock { index: self.index, cell })
    }

    fn try_lock(&self, cell: CellLock) -> Result<Option<HeldLock<'_>>> {
        let exclusive = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;
        // SAFETY: the index is open and locked.
        let taken = unsafe { pg_sys::ConditionalLockPage(self.index.as_ptr(), cell.0, exclusive) };
        // Made only when it was taken: dropping it releases.
        Ok(taken.then(|| HeldLock { index: self.index, cell }))
    }

    fn check_interrupt(&self) -> Result<()> {
        if self.is_vacuum {
            // SAFETY: no precondition; it raises an error when the user has cancelled.
            unsafe { pg_sys::vacuum_delay_point() };
        }
        Ok(atom::Interrupt::check(&super::interrupt::Backend)?)
    }
}

/// Returns the page in a buffer.
///
/// # Safety
/// The buffer is pinned, and locked against writers, as long as `'a`.
pub(super) unsafe fn page_of<'a>(buffer: pg_sys::Buffer) -> &'a Page {
    // SAFETY: as above; a buffer has as many bytes as a page, and `Page` is an array of bytes.
    unsafe { &*pg_sys::BufferGetPage(buffer).cast::<Page>() }
}

/// Has the memory fetch a page's trailer and some bytes of its contents.  The buffer is one of the shared ones; what it holds by
/// now does not matter.
fn prefetch_page(buffer: pg_sys::Buffer, places: impl Iterator<Item = usize>) {
    let [descriptor, page] = addresses(buffer);
    prefetch(descriptor);
    prefetch(page + PAGE_BYTES - 1);
    places.for_each(|place| prefetch(page + PAYLOAD_FROM + place));
}

/// Returns where a shared buffer's descriptor and page begin.
fn addresses(buffer: pg_sys::Buffer) -> [usize; 2] {
    // SAFETY: both are set when the server starts, before any backend.
    let (descriptors, pages) = unsafe { (raw::BufferDescriptors as usize, pg_sys::BufferBlocks as usize) };
    let place = (buffer - 1) as usize;
    [descriptors + place * DESCRIPTOR_BYTES, pages + place * PAGE_BYTES]
}

/// Has the operating system read a block of a table, or the memory fetch its page header and the first lines if a buffer holds it.
///
/// # Safety
/// The table is open and locked, and has that block.
pub(super) unsafe fn prefetch_block(table: pg_sys::Relation, block: u32) {
    // SAFETY: as above.
    let found = unsafe { pg_sys::PrefetchBuffer(table, pg_sys::ForkNumber::MAIN_FORKNUM, block) };
    if found.recent_buffer > 0 {
        let [descriptor, page] = addresses(found.recent_buffer);
        prefetch(descriptor);
        prefetch(page);
    }
}

/// Returns whether a page was never written; refuses one whose header is not ours.
pub(super) fn is_new(page: &Page, block: Block) -> Result<bool> {
    let [lower, upper, special, size] = std::array::from_fn(|field| {
        let from = HEADER_FROM + 2 * field;
        u16::from_ne_bytes([page.0[from], page.0[from + 1]])
    });
    if upper == 0 {
        return Ok(true);
    } else if (lower, upper, special, size) != (LOWER, UPPER, UPPER, SIZE_AND_VERSION) {
        return Err(DimspaceError::damaged(block, "a page has the header of a page of dimspace"));
    }
    Ok(false)
}

/// Makes an empty page with our header.
pub(super) fn format(page: &mut Page) {
    // SAFETY: `page` is BLCKSZ bytes.
    unsafe { pg_sys::PageInit(page.0.as_mut_ptr().cast(), PAGE_BYTES, SPECIAL_BYTES) };
    page.0[HEADER_FROM..HEADER_FROM + 2].copy_from_slice(&LOWER.to_ne_bytes());
}

/// Unlocks and unpins a buffer.
///
/// # Safety
/// The caller holds its pin and its lock, and uses neither again.
pub(super) unsafe fn release(buffer: pg_sys::Buffer) {
    // SAFETY: as above: the server raises an error only for a buffer that this backend has not locked or pinned, so the call needs no
    // guard, which would cost more than it does.
    unsafe { raw::UnlockReleaseBuffer(buffer) }
}

/// A page that is pinned and locked against writers.
pub struct PageGuard<'a> {
    buffer: pg_sys::Buffer,
    page: &'a Page,
}

impl Deref for PageGuard<'_> {
    type Target = Page;

    fn deref(&self) -> &Page {
        self.page
    }
}

impl Drop for PageGuard<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            // SAFETY: pinned and locked when the guard was made, released once, here.
            unsafe { release(self.buffer) }
        }
    }
}

/// The lock of a cell.
pub struct HeldLock<'a> {
    index: IndexRelation<'a>,
    cell: CellLock,
}

impl Drop for HeldLock<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            let exclusive = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;
            // SAFETY: locked when this was made, unlocked once, here.
            unsafe { pg_sys::UnlockPage(self.index.as_ptr(), self.cell.0, exclusive) }
        }
    }
}
