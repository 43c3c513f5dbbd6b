//! A scan: the rows that lie in the ranges of its conditions.

use std::cell::Cell;

use ::dimspace::{Condition, Found, Maps, RangeScan, ScanReport};
use pgrx::pg_sys::Oid;
use vector::DimRange;

use super::kept::Kept;
use super::refuse;
use crate::pg::buffer::IndexPages;
use crate::pg::error::PgResult;

thread_local! {
    /// Where codes lie.
    static MAPS: Kept<Maps> = const { Kept::new() };
    /// The last scan of this session.
    static LAST: Cell<Option<(Oid, ScanReport)>> = const { Cell::new(None) };
}

/// Returns what the last scan of this session did, and in which index.
pub fn last() -> Option<(Oid, ScanReport)> {
    LAST.get()
}

/// A scan of an index.
pub struct Scan {
    index: Oid,
    /// None where a condition is NULL, so that no row fulfils it.
    conditions: Option<Vec<Condition>>,
    /// None until the first row is asked for.
    range: Option<RangeScan>,
    found: Vec<Found>,
    taken: usize,
    /// How many of those found were shown ahead.
    shown: usize,
    /// How many rows of the table may be fetched ahead; None until somebody knows.
    pub ahead_max: Option<usize>,
}

impl Scan {
    /// Makes a scan that finds nothing until it is restarted.
    pub fn new(index: Oid) -> Self {
        Self { index, conditions: None, range: None, found: Vec::new(), taken: 0, shown: 0, ahead_max: None }
    }

    /// Begins again with other conditions.
    pub fn restart(&mut self, conditions: Option<Vec<DimRange>>) {
        self.end();
        let condition = |range: &DimRange| Condition {
            // One below 0, which only damaged bytes have, is beyond any vector.
            dimension: u32::try_from(range.dimension()).unwrap_or(u32::MAX),
            lo: range.lo(),
            hi: range.hi(),
        };
        self.conditions = conditions.map(|ranges| ranges.iter().map(condition).collect());
        self.found.clear();
        (self.taken, self.shown) = (0, 0);
    }

    /// Returns the next row.  Those of some cells leave in the order of their places, so that each block of the table is visited once
    /// for them.
    pub fn next(&mut self, pages: &IndexPages<'_>) -> PgResult<Option<Found>> {
        while self.taken == self.found.len() {
            (self.taken, self.shown) = (0, 0);
            if !self.read_on(pages)? {
                return Ok(None);
            }
            self.found.sort_unstable_by_key(|found| found.tid);
        }
        self.taken += 1;
        Ok(self.found.get(self.taken - 1).copied())
    }

    /// Returns the rows that come next, as many as may be fetched ahead and no more than were taken already, but for those that were
    /// shown before.
    pub fn ahead(&mut self) -> &[Found] {
        // Who takes one row only needs no others.
        let end = (self.taken + self.ahead_max.unwrap_or(0).min(self.taken.saturating_sub(1))).min(self.found.len());
        let from = self.shown.max(self.taken).min(end);
        self.shown = end;
        &self.found[from..end]
    }

    /// Returns the rows of the next cells, in no order; `None` when there are no more.
    pub fn next_cells(&mut self, pages: &IndexPages<'_>) -> PgResult<Option<&[Found]>> {
        Ok(self.read_on(pages)?.then_some(self.found.as_slice()))
    }

    /// Reads some cells; false when there are no more.
    fn read_on(&mut self, pages: &IndexPages<'_>) -> PgResult<bool> {
        self.found.clear();
        let Some(conditions) = &self.conditions else { return Ok(false) };
        let range = match &mut self.range {
            Some(range) => range,
            None => self.range.insert(
                RangeScan::begin(pages, conditions.clone(), MAPS.with(|maps| maps.take(self.index))).map_err(refuse)?,
            ),
        };
        let more = range.next(pages, &mut self.found).map_err(refuse)?;
        LAST.set(Some((self.index, range.report())));
        Ok(more)
    }

    /// Ends the scan.
    pub fn end(&mut self) {
        if let Some(range) = self.range.take() {
            MAPS.with(|maps| maps.keep(self.index, range.into_maps()));
        }
    }
}
