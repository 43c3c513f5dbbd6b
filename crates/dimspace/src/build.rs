//! Building an index of the rows that a table has: training on a sample, coding each row, writing cell after cell.

use atom::{Interrupt, Interrupted};
use vector::distance::Path;

use crate::coded::{CodedRows, encode_row};
use crate::codes::{Scale, ScaleSet};
use crate::create::{Settings, create};
use crate::error::Result;
use crate::growth;
use crate::insert::is_zero;
use crate::kmeans::{self, Crew, Matrix, Nearest};
use crate::layout::{CELLS_MAX, CELLS_PER_PAGE, CellEntry, Meta, OddKind, RowRecord, RowsHead, Tid};
use crate::metric::Metric;
use crate::odd;
use crate::page::{Block, Kind, Pages, Record};
use crate::quantiles::{self, Quantiles};
use crate::segment;
use crate::space;
use crate::split;
use crate::state::{change_meta, lock_cell_entry, read_meta};

/// What a sample of the rows teaches.
#[derive(Debug, Clone)]
pub struct Trained {
    /// A centroid for each cell.
    pub centroids: Matrix,
    /// Scales of all dimensions.
    pub scales: ScaleSet,
    /// Quantiles of all dimensions.
    pub quantiles: Vec<Quantiles>,
}

/// Learns from a sample; makes at most so many cells.  Errors: interrupted.
pub fn train(
    sample: &Matrix,
    cells: usize,
    metric: Metric,
    path: Path,
    crew: &impl Crew,
    interrupt: &impl Interrupt,
) -> std::result::Result<Trained, Interrupted> {
    let centroids = kmeans::train(sample, cells.min(CELLS_MAX as usize), metric, path, crew, interrupt)?;
    let quantiles = quantiles::of_columns(sample, crew, interrupt)?;
    Ok(Trained { centroids, scales: scales_of(&quantiles), quantiles })
}

/// Returns the scales that fit quantiles.
pub(crate) fn scales_of(quantiles: &[Quantiles]) -> ScaleSet {
    let scale = |quantiles: &Quantiles| {
        let (low, high) = quantiles.scale_quantiles();
        Scale::of_quantiles(low, high)
    };
    ScaleSet::new(quantiles.iter().map(scale).collect())
}

/// Codes rows, on any thread.
#[derive(Debug, Clone)]
pub struct Encoder {
    nearest: Nearest,
    scales: ScaleSet,
    metric: Metric,
    planes: u8,
}

impl Encoder {
    /// Takes what was learned.
    pub fn new(trained: &Trained, settings: &Settings, path: Path) -> Self {
        Self {
            nearest: Nearest::new(trained.centroids.clone(), settings.metric, path),
            scales: trained.scales.clone(),
            metric: settings.metric,
            planes: settings.planes,
        }
    }

    /// Appends a row's record and codes; returns its cell.  `None`, and nothing appended, for a zero vector where the metric is
    /// the cosine.
    pub fn encode(&self, tid: Tid, values: &[f32], out: &mut Vec<u8>) -> Option<u32> {
        self.code(tid, values, out).then(|| self.nearest.nearest(values) as u32)
    }

    /// Appends a row's record and codes; false, and nothing appended, for a zero vector where the metric is the cosine.
    pub fn code(&self, tid: Tid, values: &[f32], out: &mut Vec<u8>) -> bool {
        let has_cell = !is_zero(self.metric, values);
        if has_cell {
            encode_row(&self.scales, self.planes, tid, values, out);
        }
        has_cell
    }

    /// Returns the cell of each row: much faster than one by one, where there are many cells.
    pub fn cells(&self, rows: &Matrix) -> Vec<u32> {
        self.nearest.nearest_all(rows)
    }
}

/// Writes an index, cell by cell.
pub struct Builder<'p, P: Pages> {
    pages: &'p P,
    meta: Meta,
    /// For each trained cell, the first of the cells that its rows go to, and how many rows it has.
    plans: Vec<(u32, u64)>,
    /// Rows of a cell, above which it is cut.
    cell_rows_max: u64,
    /// The trained cell whose rows come, and how many have come.
    at: Option<(u32, u64)>,
    rows: CodedRows,
    /// Into segments of how many rows the cell at hand is cut.
    segment_rows: usize,
    cell: CellEntry,
}

impl<'p, P: Pages> Builder<'p, P> {
    /// Begins an index where there are no pages yet; `rows_per_cell` says how many rows will come for each trained cell.
    pub fn new(pages: &'p P, settings: &Settings, trained: &Trained, rows_per_cell: &[u64]) -> Result<Self> {
        let dimensions = trained.scales.dimensions();
        create(pages, &Settings { dimensions: dimensions as u32, ..*settings })?;
        let total: u64 = rows_per_cell.iter().sum();
        let cell_rows_max = whole_cells_max(rows_per_cell, split::rows_max(total, rows_per_cell.len() as u32));
        let mut plans = Vec::with_capacity(rows_per_cell.len());
        let mut slots = Vec::new();
        for (slot, &rows) in (0..).zip(rows_per_cell) {
            plans.push((slots.len() as u32, rows));
            slots.extend((0..rows.div_ceil(cell_rows_max).max(1)).map(|_| slot));
        }
        growth::add_centroids(pages, &read_meta(pages)?, &trained.centroids)?;
        growth::add_scale_set(pages, &trained.scales)?;
        growth::write_quantiles(pages, &read_meta(pages)?, &trained.quantiles, total)?;
        write_cells(pages, &slots)?;
        let meta = change_meta(pages, |meta| {
            (meta.trained_rows, meta.trained_cells) = (total, meta.cells);
            meta.clone()
        })?;
        let rows = CodedRows::new(dimensions, settings.planes);
        Ok(Self { pages, meta, plans, cell_rows_max, at: None, rows, segment_rows: 0, cell: CellEntry::default() })
    }

    /// Adds a row that [`Encoder::encode`] has coded.  Rows come in the order of their cells, as many as were promised.
    pub fn push(&mut self, trained_cell: u32, row: &[u8]) -> Result<()> {
        let seen = match self.at {
            Some((cell, seen)) if cell == trained_cell => seen,
            _ => 0,
        };
        let (record, codes) = row.split_at(RowRecord::BYTES.min(row.len()));
        let Some(record) = record.first_chunk().map(RowRecord::from_bytes) else { return Ok(()) };
        self.rows.push(record, codes);
        self.at = Some((trained_cell, seen + 1));
        let (first, total) = self.plans.get(trained_cell as usize).copied().unwrap_or((0, seen + 1));
        let pieces = total.div_ceil(self.cell_rows_max).max(1);
        let (piece, end) = piece_of(seen, total, pieces);
        let begin = piece_begin(piece, total, pieces);
        if seen == begin {
            let rows = (end - begin) as usize;
            self.segment_rows = RowsHead::rows_per_segment(rows, self.rows.dimensions, self.meta.planes);
        }
        if self.rows.len() == self.segment_rows || seen + 1 == end {
            self.write_segment(first + piece as u32)?;
        }
        if seen + 1 == end {
            self.end_cell(first + piece as u32)?;
        }
        Ok(())
    }

    /// Adds a row without codes.
    pub fn push_odd(&mut self, tid: Tid, kind: OddKind) -> Result<()> {
        odd::append(self.pages, tid, kind)
    }

    fn write_segment(&mut self, cell: u32) -> Result<()> {
        let count = self.rows.len();
        let block = segment::write(self.pages, &self.meta, cell, 1, &self.rows, 0..count, Block::NONE)?;
        if self.cell.segments == 0 {
            self.cell.first_rows = block;
        } else {
            let mut record = self.pages.begin();
            let slot = record.lock(self.cell.last_rows)?;
            record.page_mut(slot).set_next(block);
            record.commit()?;
        }
        self.cell.last_rows = block;
        self.cell.segments += 1;
        self.cell.rows += count as u32;
        self.rows = CodedRows::new(self.rows.dimensions, self.rows.planes);
        Ok(())
    }

    fn end_cell(&mut self, cell: u32) -> Result<()> {
        let written = std::mem::take(&mut self.cell);
        let mut record = self.pages.begin();
        let mut locked = lock_cell_entry(&mut record, &self.meta, cell)?;
        let CellEntry { first_rows, last_rows, rows, segments, .. } = written;
        locked.entry = CellEntry { first_rows, last_rows, rows, segments, ..locked.entry };
        locked.write(&mut record);
        record.commit()
    }
}

/// Returns the rows above which cells are cut: no more cells come of it than there may be.
fn whole_cells_max(rows_per_cell: &[u64], most: u64) -> u64 {
    let cells: u64 = rows_per_cell.iter().map(|rows| rows.div_ceil(most).max(1)).sum();
    if cells > CELLS_MAX.into() { u64::MAX } else { most }
}

/// Where the n-th of some even pieces begins.
fn piece_begin(piece: u64, total: u64, pieces: u64) -> u64 {
    (u128::from(total) * u128::from(piece) / u128::from(pieces)) as u64
}

/// Returns the piece that a row of so many, cut into even pieces, falls into, and where it ends.
fn piece_of(row: u64, total: u64, pieces: u64) -> (u64, u64) {
    let mut piece = (u128::from(row) * u128::from(pieces) / u128::from(total.max(1))) as u64;
    while piece_begin(piece + 1, total, pieces) <= row {
        piece += 1;
    }
    (piece, piece_begin(piece + 1, total, pieces))
}

/// Writes the entries of cells without rows, each with its centroid's slot.
fn write_cells<P: Pages>(pages: &P, slots: &[u32]) -> Result<()> {
    let groups: Vec<&[u32]> = slots.chunks(CELLS_PER_PAGE as usize).collect();
    let fill = |number: usize, page: &mut crate::page::Page| {
        for (place, slot) in groups[number].iter().enumerate() {
            let cell = number as u32 * CELLS_PER_PAGE + place as u32;
            CellEntry { epoch: 1, parent: cell, slot: *slot, ..CellEntry::default() }.write(page, place);
        }
    };
    let mut record = pages.begin();
    let slot = record.lock(Block(1))?;
    fill(0, record.page_mut(slot));
    record.commit()?;
    let mut blocks = space::write_new(pages, groups.len() - 1, |n, page| {
        page.init(Kind::Cells, n as u64 + 1);
        fill(n + 1, page);
        Ok(())
    })?;
    blocks.insert(0, Block(1));
    change_meta(pages, |meta| {
        meta.cells = slots.len() as u32;
        meta.cell_pages = blocks;
    })
}
