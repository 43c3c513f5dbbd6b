//! VACUUM.

use ::dimspace::Tid;
use ::dimspace::{Cleaned, Deleted, bulk_delete, cleanup};

use super::definition::tuning;
use super::refuse;
use crate::pg::buffer::IndexPages;
use crate::pg::error::PgResult;
use crate::pg::index_relation::IndexRelation;

/// Marks rows as dead.
pub fn delete(pages: &IndexPages<'_>, is_dead: &mut dyn FnMut(Tid) -> bool) -> PgResult<Deleted> {
    bulk_delete(pages, is_dead).map_err(refuse)
}

/// Folds tails, writes segments with many dead rows again, frees pages.
pub fn clean(index: IndexRelation<'_>, pages: &IndexPages<'_>) -> PgResult<Cleaned> {
    cleanup(pages, &tuning(index)).map_err(refuse)
}
