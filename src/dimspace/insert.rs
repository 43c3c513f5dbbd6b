//! Inserting a row.

use std::cell::RefCell;

use ::dimspace::Tid;
use ::dimspace::{Cache, Value};
use pgrx::pg_sys::Oid;
use vector::Packed;

use super::definition::{is_rounded, tuning};
use super::refuse;
use crate::pg::buffer::IndexPages;
use crate::pg::error::PgResult;
use crate::pg::index_relation::IndexRelation;

/// Indexes whose centroids a session keeps.
const CACHES_MAX: usize = 4;

thread_local! {
    /// The last ones used, the latest last.  Each looks at the index's build number, so that it outlives REINDEX.
    static CACHES: RefCell<Vec<(Oid, Cache)>> = const { RefCell::new(Vec::new()) };
}

/// Adds a row of the table; its value, unless it is NULL.
pub fn insert(index: IndexRelation<'_>, tid: Tid, value: Option<&Packed<'_>>) -> PgResult<()> {
    insert_into(index, &IndexPages::of(index), tid, value)
}

/// Adds a row to the pages of an index.
pub fn insert_into(
    index: IndexRelation<'_>,
    pages: &IndexPages<'_>,
    tid: Tid,
    value: Option<&Packed<'_>>,
) -> PgResult<()> {
    // Taken out, so that an error leaves none behind that is half made.
    let mut cache = take_cache(index.oid());
    let values = value.map(Packed::to_f32);
    let given = values.as_deref().map_or(Value::Null, Value::Vector);
    let is_rounded = value.is_some_and(is_rounded);
    ::dimspace::insert(pages, &mut cache, &tuning(index), tid, given, is_rounded).map_err(refuse)?;
    CACHES.with_borrow_mut(|caches| caches.push((index.oid(), cache)));
    Ok(())
}

/// Takes out the cache of an index, an empty one where there is none, and drops the oldest where there are too many.
fn take_cache(index: Oid) -> Cache {
    CACHES.with_borrow_mut(|caches| {
        if let Some(place) = caches.iter().position(|(of, _)| *of == index) {
            return caches.remove(place).1;
        }
        if caches.len() >= CACHES_MAX {
            caches.remove(0);
        }
        Cache::default()
    })
}
