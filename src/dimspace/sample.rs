//! Rows that cells are trained with: those of some blocks of the table.

use ::dimspace::kmeans::Matrix;
use ::dimspace::layout::CELLS_MAX;
use ::dimspace::metric::Metric;
use vector::Packed;

use super::definition::{Definition, agree};
use crate::pg::error::PgResult;
use crate::pg::index_am::maintenance_kib;
use crate::pg::index_build::TableRows;

/// Blocks that tell how many rows a block has.
const BLOCKS_FIRST: usize = 128;
/// Rows of the sample for each cell: more hardly move centroids.
const ROWS_PER_CELL: usize = 50;
/// Rows of the sample at least, for quantiles and scales.
const ROWS_MIN: usize = 10_000;
/// Rows of the table for each cell.
const ROWS_PER_CELL_IN_TABLE: f64 = 500.0;

/// A sample of a table.
pub struct Sample {
    /// Its vectors.
    pub rows: Matrix,
    /// Cells that the index gets.
    pub cells: usize,
    /// Rows that the table has, by estimate.
    pub table_rows: u64,
}

/// Reads a sample, all rows of a small table; takes the dimensions of the first vector where the definition has none.
///
/// Blocks are visited in steps of the golden section of the table: however many are, they lie all over it.
pub fn take(table: &TableRows<'_>, definition: &mut Definition) -> PgResult<Sample> {
    let blocks = table.blocks();
    let mut taken = Taken { rows: Matrix::new(0), seen: 0, wanted: usize::MAX };
    let (mut cells, mut table_rows) = (1, 0.0);
    for (visited, block) in (1usize..).zip(in_steps(blocks)) {
        table.of_blocks(block, 1, &mut |_, value| match value {
            Some(packed) => taken.add(packed, definition),
            None => Ok(()),
        });
        if visited == BLOCKS_FIRST || visited == blocks as usize {
            table_rows = taken.seen as f64 / visited as f64 * f64::from(blocks);
            cells = cells_for(definition, table_rows);
            taken.want(rows_for(definition, cells));
        }
        if taken.rows.rows() >= taken.wanted {
            break;
        }
    }
    Ok(Sample { rows: taken.rows, cells, table_rows: table_rows as u64 })
}

fn cells_for(definition: &Definition, table_rows: f64) -> usize {
    let automatic = (table_rows / ROWS_PER_CELL_IN_TABLE).round() as usize;
    let wanted = if definition.cells == 0 { automatic } else { definition.cells };
    wanted.clamp(1, CELLS_MAX as usize)
}

/// Half of the memory that a build may have, or three quarters: training copies the sample.
fn rows_for(definition: &Definition, cells: usize) -> usize {
    let bytes = maintenance_kib().max(0) as usize * 1024 / 8 * 3;
    let most = bytes / (4 * definition.dimensions as usize).max(1);
    (ROWS_PER_CELL * cells).max(ROWS_MIN).min(most).max(cells)
}

struct Taken {
    rows: Matrix,
    /// Vectors seen.
    seen: u64,
    wanted: usize,
}

impl Taken {
    fn add(&mut self, packed: &Packed<'_>, definition: &mut Definition) -> PgResult<()> {
        agree(&mut definition.dimensions, packed)?;
        self.seen += 1;
        if self.rows.dimensions() == 0 {
            self.rows = Matrix::new(definition.dimensions as usize);
        }
        if self.rows.rows() < self.wanted.min(rows_for(definition, CELLS_MAX as usize)) {
            let values = packed.to_f32();
            // What has no direction is no row of a cell, and what float32 cannot hold says nothing of the others.
            let is_zero = values.iter().all(|&value| value == 0.0);
            let is_odd = is_zero && definition.metric == Metric::Cosine;
            if !is_odd && values.iter().all(|value| value.is_finite()) {
                self.rows.push(&values);
            }
        }
        Ok(())
    }

    /// Says how many rows are enough, and makes room for them at once: growing takes twice the memory.
    fn want(&mut self, rows: usize) {
        self.wanted = rows;
        let mut roomy = Matrix::with_rows(self.rows.dimensions(), rows.min(self.seen.max(1) as usize * 2));
        (0..self.rows.rows().min(rows)).for_each(|row| roomy.push(self.rows.row(row)));
        self.rows = roomy;
    }
}

/// Returns every block once.
fn in_steps(blocks: u32) -> impl Iterator<Item = u32> {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let from = ((f64::from(blocks) * GOLDEN) as u64).max(1);
    let step = (from..).find(|&step| divisor(step, u64::from(blocks)) == 1).unwrap_or(1);
    (0..u64::from(blocks)).map(move |place| (place * step % u64::from(blocks)) as u32)
}

/// The greatest common divisor; 1 with a table of no blocks.
fn divisor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    if a == 0 { 1 } else { a }
}
