//! Changes of an index's pages, logged by generic WAL: whole or not at all.
//!
//! A change is made in a copy of the page; the buffer gets it when the record is complete.

use std::ptr::NonNull;
use std::thread;

use dimspace::{Block, DimspaceError, Page, RECORD_PAGES_MAX, Record, Result, Slot};
use pgrx::pg_sys;

use super::buffer::{IndexPages, Writes, format, is_new, page_of, release};

/// A page of a record: pinned, locked, and its copy.
struct Changed {
    block: Block,
    buffer: pg_sys::Buffer,
    copy: Copy,
}

/// The copy of a page that is changed.
enum Copy {
    /// Part of the record's state.
    Logged(NonNull<Page>),
    /// Of a build, which logs at its end.
    Building(Box<Page>),
}

/// A change under way.
pub struct IndexRecord<'a, 'i> {
    pages: &'a IndexPages<'i>,
    /// Null until the first page is locked, and in a build.
    state: *mut pg_sys::GenericXLogState,
    changed: Vec<Changed>,
}

impl<'a, 'i> IndexRecord<'a, 'i> {
    pub(super) fn begin(pages: &'a IndexPages<'i>) -> Self {
        Self { pages, state: std::ptr::null_mut(), changed: Vec::new() }
    }

    /// Refuses a page that cannot be part of the record.
    fn check_room(&self, block: Block) -> Result<()> {
        if self.changed.len() == RECORD_PAGES_MAX || self.has(block) {
            return Err(DimspaceError::damaged(block, "a change is made to four different pages at most"));
        }
        Ok(())
    }

    fn has(&self, block: Block) -> bool {
        self.changed.iter().any(|changed| changed.block == block)
    }

    /// Takes a page that was just locked; `is_whole` empties and logs all of it.
    fn add(&mut self, block: Block, buffer: Locked, is_new: bool, is_whole: bool) -> Slot {
        // SAFETY: pinned and locked by the caller.
        let page = unsafe { page_of(buffer.0) };
        let mut copy = self.copy(&buffer, page, is_whole || is_new);
        if is_new || is_whole {
            format(copy.page_mut());
        }
        self.changed.push(Changed { block, buffer: buffer.keep(), copy });
        self.changed.len() - 1
    }

    fn copy(&mut self, buffer: &Locked, page: &Page, is_whole: bool) -> Copy {
        if self.pages.writes == Writes::Building {
            return Copy::Building(Box::new(page.clone()));
        }
        if self.state.is_null() {
            // SAFETY: the index is open and locked while the pages are borrowed.
            self.state = unsafe { pg_sys::GenericXLogStart(self.pages.index.as_ptr()) };
        }
        let flags = if is_whole { pg_sys::GENERIC_XLOG_FULL_IMAGE } else { 0 };
        // SAFETY: the buffer is pinned and locked exclusively, and so stays until the record ends.
        let copy = unsafe { pg_sys::GenericXLogRegisterBuffer(self.state, buffer.0, flags as i32) };
        Copy::Logged(NonNull::new(copy.cast()).expect("the copy is part of the record's state"))
    }
}

impl Copy {
    fn page(&self) -> &Page {
        match self {
            // SAFETY: part of the record's state, which lives until the record ends, and of nothing else.
            Self::Logged(page) => unsafe { page.as_ref() },
            Self::Building(page) => page,
        }
    }

    fn page_mut(&mut self) -> &mut Page {
        match self {
            // SAFETY: as above, and `self` is borrowed for changing.
            Self::Logged(page) => unsafe { page.as_mut() },
            Self::Building(page) => page,
        }
    }
}

impl Record for IndexRecord<'_, '_> {
    fn lock(&mut self, block: Block) -> Result<Slot> {
        self.check_room(block)?;
        let buffer = Locked(self.pages.pin(block, pg_sys::BUFFER_LOCK_EXCLUSIVE)?);
        // SAFETY: pinned and locked above.
        let is_new = is_new(unsafe { page_of(buffer.0) }, block)?;
        Ok(self.add(block, buffer, is_new, false))
    }

    fn lock_new(&mut self, block: Block) -> Result<Option<Slot>> {
        if self.has(block) {
            return Ok(None);
        }
        self.check_room(block)?;
        let Some(buffer) = self.pages.try_pin_new(block)? else { return Ok(None) };
        let buffer = Locked(buffer);
        // SAFETY: pinned and locked above.
        let page = unsafe { page_of(buffer.0) };
        if !is_new(page, block)? && !page.is_free() {
            return Ok(None);
        }
        Ok(Some(self.add(block, buffer, false, true)))
    }

    fn page(&self, slot: Slot) -> &Page {
        self.changed[slot].copy.page()
    }

    fn page_mut(&mut self, slot: Slot) -> &mut Page {
        self.changed[slot].copy.page_mut()
    }

    fn commit(mut self) -> Result<()> {
        for changed in &self.changed {
            if let Copy::Building(copy) = &changed.copy {
                // SAFETY: pinned and locked exclusively; a build logs whole pages at its end, so nothing is logged here.
                unsafe {
                    *pg_sys::BufferGetPage(changed.buffer).cast::<Page>() = Page::clone(copy);
                    pg_sys::MarkBufferDirty(changed.buffer);
                }
            }
        }
        if !self.state.is_null() {
            let state = std::mem::replace(&mut self.state, std::ptr::null_mut());
            // SAFETY: begun by `copy`, ended once, here; every registered buffer is still locked.
            unsafe { pg_sys::GenericXLogFinish(state) };
        }
        Ok(())
    }
}

impl Drop for IndexRecord<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        if !self.state.is_null() {
            // SAFETY: begun by `copy`, and not finished; nothing was changed.
            unsafe { pg_sys::GenericXLogAbort(self.state) };
        }
        for changed in self.changed.drain(..) {
            // SAFETY: pinned and locked by `add`, released once, here.
            unsafe { release(changed.buffer) }
        }
    }
}

/// A buffer that is pinned and locked exclusively, released unless kept.
struct Locked(pg_sys::Buffer);

impl Locked {
    fn keep(self) -> pg_sys::Buffer {
        std::mem::ManuallyDrop::new(self).0
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if !thread::panicking() {
            // SAFETY: pinned and locked where this was made, released once, here.
            unsafe { release(self.0) }
        }
    }
}
