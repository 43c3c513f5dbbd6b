//! Inserting a row.

use ::dimspace::Tid;
use ::dimspace::{Cache, Value};
use vector::Packed;

use super::definition::{is_rounded, tuning};
use super::kept::Kept;
use super::refuse;
use crate::pg::buffer::IndexPages;
use crate::pg::error::PgResult;
use crate::pg::index_relation::IndexRelation;

thread_local! {
    /// Centroids and scales.
    static CACHES: Kept<Cache> = const { Kept::new() };
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
    let mut cache = CACHES.with(|caches| caches.take(index.oid()));
    let values = value.map(Packed::to_f32);
    let given = values.as_deref().map_or(Value::Null, Value::Vector);
    let is_rounded = value.is_some_and(is_rounded);
    ::dimspace::insert(pages, &mut cache, &tuning(index), tid, given, is_rounded).map_err(refuse)?;
    CACHES.with(|caches| caches.keep(index.oid(), cache));
    Ok(())
}
