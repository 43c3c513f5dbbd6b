//! An index that a user names, with its table, for functions that look into it.

use std::thread;

use pgrx::pg_sys;

use super::error::{PgResult, code, fault};
use super::index_build::TableRows;
use super::index_relation::IndexRelation;

const SHARE_LOCK: pg_sys::LOCKMODE = pg_sys::ShareLock as pg_sys::LOCKMODE;

/// What others may do meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Anything but to alter it.
    Anything,
    /// Only read.
    Reading,
}

impl Beside {
    fn lock(self) -> pg_sys::LOCKMODE {
        // A standby grants no such lock; there a check is for a time when nothing is replayed.
        // SAFETY: no precondition.
        let keeps_out = self == Self::Reading && !unsafe { pg_sys::RecoveryInProgress() };
        if keeps_out { SHARE_LOCK } else { pg_sys::AccessShareLock as pg_sys::LOCKMODE }
    }
}

/// Returns whether the user has one of some rights on a table.
fn may(table: pg_sys::Oid, rights: u32) -> bool {
    // SAFETY: a catalog lookup.
    let found = unsafe { pg_sys::pg_class_aclcheck(table, pg_sys::GetUserId(), rights as pg_sys::AclMode) };
    found == pg_sys::AclResult::ACLCHECK_OK
}

/// An index of dimspace and its table, open and locked until dropped.
pub struct NamedIndex {
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    lock: pg_sys::LOCKMODE,
}

impl NamedIndex {
    /// Opens an index.  Errors: 42809 no index of dimspace; 42501 the user may not read the table, or not keep writers out of it; 0A000
    /// temporary, and of another session; 55000 not valid.
    pub fn open(oid: pg_sys::Oid, beside: Beside) -> PgResult<Self> {
        // SAFETY: a catalog lookup; it returns no relation for what is no index.
        let table = unsafe { pg_sys::IndexGetRelation(oid, true) };
        if table == pg_sys::InvalidOid {
            return Err(no_index(oid));
        }
        if !may(table, pg_sys::ACL_SELECT) {
            return Err(fault(code::DENIED, "permission denied for the table of the index"));
        }
        let lock = beside.lock();
        if lock == SHARE_LOCK && !may(table, pg_sys::ACL_UPDATE | pg_sys::ACL_DELETE | pg_sys::ACL_TRUNCATE) {
            let hint =
                "Nobody writes to the table meanwhile: as for LOCK TABLE, that takes UPDATE, DELETE or TRUNCATE on it.";
            return Err(fault(code::DENIED, "permission denied to lock the table of the index").set_hint(hint));
        }
        // SAFETY: raises an error where one of them is gone by now; the table is locked first, as everybody does.
        let (table, index) = unsafe { (pg_sys::table_open(table, lock), pg_sys::index_open(oid, lock)) };
        let named = Self { table, index, lock };
        named.refuse_others()?;
        Ok(named)
    }

    fn refuse_others(&self) -> PgResult<()> {
        // SAFETY: open; every open relation has its row of pg_class.
        let (class, oid, is_our_temp) =
            unsafe { (*(*self.index).rd_rel, (*self.index).rd_id, (*self.index).rd_islocaltemp) };
        // SAFETY: a catalog lookup.
        let method = unsafe { pg_sys::get_index_am_oid(c"dimspace".as_ptr(), true) };
        if class.relam != method || class.relkind as u8 != pg_sys::RELKIND_INDEX {
            return Err(no_index(oid));
        } else if class.relpersistence as u8 == pg_sys::RELPERSISTENCE_TEMP && !is_our_temp {
            return Err(fault(code::UNSUPPORTED, "temporary indexes of other sessions cannot be read"));
        }
        // SAFETY: open; every index has its row of pg_index.
        if !unsafe { (*(*self.index).rd_index).indisvalid } {
            let hint = "Its concurrent build is under way, or has failed: then REINDEX builds it again.";
            return Err(fault(code::STATE, "the index is not valid, it need not have every row").set_hint(hint));
        }
        Ok(())
    }

    /// Returns the rows of the table that belong into the index.
    pub fn rows(&self) -> TableRows<'_> {
        // SAFETY: both are open and locked while `self` lives; the description lives in the current memory context, as long as the
        // call that asks.
        unsafe { TableRows::of(self.table, self.index(), pg_sys::BuildIndexInfo(self.index)).without_deleted() }
    }

    /// Makes the table's owner the user, as whom the functions of an index's expressions and predicate have to run: who looks into
    /// the index of another need not trust them.
    pub fn as_owner(&self) -> Owner {
        // SAFETY: open; every open relation has its row of pg_class.
        let owner = unsafe { (*(*self.table).rd_rel).relowner };
        Owner::become_user(owner)
    }

    /// Returns the index.
    pub fn index(&self) -> IndexRelation<'_> {
        // SAFETY: an index of dimspace, open while `self` lives.
        unsafe { IndexRelation::of_ptr(self.index) }
    }
}

fn no_index(oid: pg_sys::Oid) -> pg_sys::panic::ErrorReport {
    fault(code::WRONG_KIND, format!("relation {} is no index of dimspace", oid.to_u32()))
}

/// The owner of a table as the user, until dropped; settings made meanwhile end with it, as they do in CREATE INDEX.  An error has the
/// transaction's abort bring back the user.
pub struct Owner {
    user: pg_sys::Oid,
    context: i32,
    settings: i32,
}

impl Owner {
    fn become_user(owner: pg_sys::Oid) -> Self {
        let (mut user, mut context) = (pg_sys::InvalidOid, 0);
        // SAFETY: inside a transaction; the places for results are valid.
        let settings = unsafe {
            pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
            pg_sys::SetUserIdAndSecContext(owner, context | pg_sys::SECURITY_RESTRICTED_OPERATION as i32);
            pg_sys::NewGUCNestLevel()
        };
        Self { user, context, settings }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if !thread::panicking() {
            // SAFETY: what `become_user` has found, brought back once, here.
            unsafe {
                pg_sys::AtEOXact_GUC(false, self.settings);
                pg_sys::SetUserIdAndSecContext(self.user, self.context);
            }
        }
    }
}

impl Drop for NamedIndex {
    fn drop(&mut self) {
        if !thread::panicking() {
            // SAFETY: opened by `open` with this lock, closed once, here.
            unsafe {
                pg_sys::index_close(self.index, self.lock);
                pg_sys::table_close(self.table, self.lock);
            }
        }
    }
}
