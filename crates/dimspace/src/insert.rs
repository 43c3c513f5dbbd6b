//! Inserting a row: into the tail of the nearest cell, or among the odd rows; and what falls due then.

use vector::distance::Path;

use crate::coded::{encode_row, plain_row};
use crate::codes::ScaleSet;
use crate::error::{DimspaceError, Result};
use crate::fold::{self, Thoroughness};
use crate::growth;
use crate::kmeans::{Matrix, Nearest};
use crate::layout::{CellEntry, Meta, OddKind, RowRecord, TailHead, Tid};
use crate::metric::Metric;
use crate::odd;
use crate::page::{CellLock, Pages};
use crate::split;
use crate::state::{change_meta, read_entry, read_meta};
use crate::tail::{self, NewRow};

/// A row's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// A vector; one of float64 comes rounded.
    Vector(&'a [f32]),
}

/// What the user may set, and how distances are computed.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// Rows of a tail that are worth a fold; 0: by the size of the cell.
    pub fold_rows: u32,
    /// Rows above which a cell is split; 0: by the size that cells had when they were trained.
    pub split_rows: u32,
    /// Rows of the tail of an index without a scale set that make one; 0: [`FIRST_FOLD_ROWS`].
    pub first_fold_rows: u32,
    /// The CPU path.
    pub path: Path,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { fold_rows: 0, split_rows: 0, first_fold_rows: 0, path: Path::best() }
    }
}

/// Rows that make a scale set: enough for quantiles of one in a thousand.
pub const FIRST_FOLD_ROWS: u32 = 2000;
/// No tail of float32 is longer than this, however wide its rows.
const FIRST_FOLD_BYTES: usize = 16 << 20;
/// A tail of fewer rows is not worth the pages of a segment.
const FOLD_ROWS_MIN: u32 = 16;
/// Of so many rows in segments, one in the tail is allowed.
const ROWS_PER_TAIL_ROW: u32 = 32;

impl Tuning {
    /// Returns how many rows of a cell's tail are worth a fold.
    pub(crate) fn due_rows(&self, meta: &Meta, entry: &CellEntry) -> u32 {
        if meta.scale_sets == 0 {
            let most = FIRST_FOLD_BYTES / (4 * meta.dimensions as usize).max(1);
            let wanted = if self.first_fold_rows == 0 { FIRST_FOLD_ROWS } else { self.first_fold_rows };
            return wanted.min(most as u32).max(1);
        }
        let automatic = (entry.rows / ROWS_PER_TAIL_ROW).max(FOLD_ROWS_MIN);
        if self.fold_rows == 0 { automatic } else { self.fold_rows }
    }
}

/// Centroids and scale set of one index, kept from insert to insert; it is read again when the meta page says that it is stale.
#[derive(Debug, Default)]
pub struct Cache {
    build: u64,
    cells: u32,
    scale_set: u16,
    nearest: Option<Nearest>,
    scales: Option<ScaleSet>,
}

impl Cache {
    /// Makes the cache fit; false when cells came while it was read.
    fn refresh<P: Pages>(&mut self, pages: &P, meta: &Meta, path: Path) -> Result<bool> {
        if self.build != meta.build {
            *self = Self { build: meta.build, ..Self::default() };
        }
        if self.scale_set != meta.scale_sets as u16 || (self.scales.is_none() && meta.scale_sets > 0) {
            self.scale_set = meta.scale_sets as u16;
            self.scales = match self.scale_set {
                0 => None,
                newest => Some(growth::read_scale_set(pages, meta, newest)?),
            };
        }
        if meta.cells > 1 && self.cells != meta.cells {
            let Some(centroids) = cell_centroids(pages, meta)? else { return Ok(false) };
            self.nearest = Some(Nearest::new(centroids, meta.metric, path));
            self.cells = meta.cells;
        }
        Ok(true)
    }

    fn cell_of(&self, meta: &Meta, values: &[f32]) -> u32 {
        match &self.nearest {
            Some(nearest) if meta.cells > 1 => nearest.nearest(values) as u32,
            _ => 0,
        }
    }
}

/// Returns the centroid of each cell; `None` when cells were split meanwhile.
pub(crate) fn cell_centroids<P: Pages>(pages: &P, meta: &Meta) -> Result<Option<Matrix>> {
    let slots = growth::read_centroids(pages, meta)?;
    let mut centroids = Matrix::with_rows(meta.dimensions as usize, meta.cells as usize);
    for (cell, entry) in (0..).zip(growth::read_entries(pages, meta)?) {
        if entry.slot >= meta.slots {
            let is_same = read_meta(pages)?.slots == meta.slots;
            let (block, _) = meta.cell_place(cell)?;
            return if is_same { Err(DimspaceError::damaged(block, "a cell's centroid exists")) } else { Ok(None) };
        }
        centroids.push(slots.row(entry.slot as usize));
    }
    Ok(Some(centroids))
}

/// Adds a row.  When the tail that it goes to is long enough and nobody works on the cell, folds it and splits the cell.
///
/// `is_rounded` says that the value was rounded from float64.  Errors: another number of dimensions, too many, damage.
pub fn insert<P: Pages>(
    pages: &P,
    cache: &mut Cache,
    tuning: &Tuning,
    tid: Tid,
    value: Value<'_>,
    is_rounded: bool,
) -> Result<()> {
    let Value::Vector(values) = value else { return odd::append(pages, tid, OddKind::Null) };
    let meta = fitting_meta(pages, values.len(), is_rounded)?;
    if is_zero(meta.metric, values) {
        return odd::append(pages, tid, OddKind::Zero);
    }
    let cell = insert_vector(pages, cache, tuning, tid, values)?;
    if let Some(cell) = cell {
        tend(pages, tuning, cell)?;
    }
    Ok(())
}

/// Returns whether a vector has no direction, which the metric asks for.
pub(crate) fn is_zero(metric: Metric, values: &[f32]) -> bool {
    metric == Metric::Cosine && values.iter().all(|value| *value == 0.0)
}

/// Returns the meta page, once it knows the number of dimensions and that values are rounded.
fn fitting_meta<P: Pages>(pages: &P, dimensions: usize, is_rounded: bool) -> Result<Meta> {
    let found = dimensions as u32;
    if found > crate::DIMENSIONS_MAX {
        return Err(DimspaceError::TooManyDimensions { found });
    }
    let mut meta = read_meta(pages)?;
    if meta.dimensions == 0 || (is_rounded && !meta.is_rounded) {
        meta = change_meta(pages, |meta| {
            if meta.dimensions == 0 {
                meta.dimensions = found;
            }
            meta.is_rounded |= is_rounded && meta.dimensions == found;
            meta.clone()
        })?;
    }
    if meta.dimensions != found {
        return Err(DimspaceError::Dimensions { expected: meta.dimensions, found });
    }
    Ok(meta)
}

/// Puts a row into a tail; returns the cell when that is due for a fold.
fn insert_vector<P: Pages>(
    pages: &P,
    cache: &mut Cache,
    tuning: &Tuning,
    tid: Tid,
    values: &[f32],
) -> Result<Option<u32>> {
    let mut bytes = Vec::with_capacity(RowRecord::BYTES + 4 * values.len());
    loop {
        pages.check_interrupt()?;
        let meta = read_meta(pages)?;
        if !cache.refresh(pages, &meta, tuning.path)? {
            continue;
        }
        bytes.clear();
        match &cache.scales {
            Some(scales) => encode_row(scales, meta.planes, tid, values, &mut bytes),
            None => plain_row(tid, values, &mut bytes),
        }
        let row = NewRow { scale_set: cache.scale_set, bytes: &bytes };
        let cell = cache.cell_of(&meta, values);
        let entry = read_entry(pages, &meta, cell)?;
        if let Some(rows) = tail::append(pages, &meta, cell, &entry, &row)? {
            let full_pages = entry.last_sequence.saturating_sub(entry.first_sequence);
            let per_page = TailHead::rows_per_page(&meta, cache.scale_set) as u32;
            let tail_rows = full_pages.saturating_mul(per_page).saturating_add(rows.into());
            return Ok((tail_rows >= tuning.due_rows(&meta, &entry)).then_some(cell));
        }
    }
}

/// Folds a cell's tail, and splits the cell when it is too large, unless somebody else works on it.
fn tend<P: Pages>(pages: &P, tuning: &Tuning, cell: u32) -> Result<()> {
    let Some(_lock) = pages.try_lock(CellLock(cell))? else { return Ok(()) };
    fold::fold(pages, cell, Thoroughness::Inserter)?;
    split::split_if_large(pages, tuning, cell)
}
