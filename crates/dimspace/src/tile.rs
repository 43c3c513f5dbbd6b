//! One page of codes: one byte plane of some dimensions of all rows of a segment.
//!
//! Rows lie in blocks of 64, the last one of what is left; a block begins at `64 * block * dims_per_page`, and in it a
//! dimension's bytes, one a row, at `dimension * rows of the block`.  So one dimension of 64 rows is one cache line.
//! Payloads may be damaged: every byte is a code, and what is not there is not read.

use std::ops::Range;

use crate::codes::{CodeBounds, Verdict};

mod mask;

pub use mask::RowMask;

/// Bytes of codes in a page.
pub const PAYLOAD_BYTES: usize = 8064;
/// The most rows of a segment.
pub const SEGMENT_ROWS_MAX: usize = 504;
/// The least dimensions in a page.
pub const DIMS_PER_PAGE_MIN: usize = 16;
/// Rows of a block.
pub const BLOCK_ROWS: usize = 64;
/// Rows and dimensions that are transposed at once.
const SQUARE: usize = 8;

const _: () = assert!(SEGMENT_ROWS_MAX * DIMS_PER_PAGE_MIN == PAYLOAD_BYTES && SEGMENT_ROWS_MAX <= 8 * BLOCK_ROWS);

/// How many rows and dimensions a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    rows: u16,
    dims_per_page: u16,
}

impl Shape {
    /// Returns the shape with the most dimensions for so many rows, of which 1 to 504 count.
    pub fn for_rows(rows: u16) -> Self {
        let rows = rows.clamp(1, SEGMENT_ROWS_MAX as u16);
        Self { rows, dims_per_page: PAYLOAD_BYTES as u16 / rows }
    }

    /// Returns the shape with numbers that were read; `None` where no page has it.
    pub fn new(rows: u16, dims_per_page: u16) -> Option<Self> {
        let (count, dimensions) = (usize::from(rows), usize::from(dims_per_page));
        let fits = (1..=SEGMENT_ROWS_MAX).contains(&count) && count * dimensions <= PAYLOAD_BYTES;
        (fits && dimensions >= DIMS_PER_PAGE_MIN).then_some(Self { rows, dims_per_page })
    }

    /// Returns how many rows there are: 1 to 504.
    pub fn rows(&self) -> usize {
        usize::from(self.rows)
    }

    /// Returns how many dimensions a page holds: 16 at least.
    pub fn dims_per_page(&self) -> usize {
        usize::from(self.dims_per_page)
    }

    /// Returns how many pages so many dimensions take.
    pub fn pages(&self, dimensions: usize) -> usize {
        dimensions.div_ceil(self.dims_per_page())
    }

    /// Returns in which page a dimension lies and as which of its dimensions, both from 0.
    pub fn place(&self, dimension: usize) -> (usize, usize) {
        (dimension / self.dims_per_page(), dimension % self.dims_per_page())
    }

    /// The dimensions that lie in a page.
    fn dimensions_of(&self, page: usize, dimensions: usize) -> Range<usize> {
        let first = page.saturating_mul(self.dims_per_page()).min(dimensions);
        first..(first + self.dims_per_page()).min(dimensions)
    }

    fn blocks(&self) -> impl Iterator<Item = Block> + use<> {
        let (rows, dims_per_page) = (self.rows(), self.dims_per_page());
        (0..rows).step_by(BLOCK_ROWS).map(move |first_row| Block {
            first_row,
            rows: BLOCK_ROWS.min(rows - first_row),
            start: first_row * dims_per_page,
        })
    }

    /// Returns where the codes of a dimension begin, block after block.
    pub fn column_starts(&self, dimension_in_page: usize) -> impl Iterator<Item = usize> + use<> {
        self.blocks().map(move |block| block.start + dimension_in_page * block.rows)
    }

    /// The byte of a code.
    fn offset(&self, dimension_in_page: usize, row: usize) -> Option<usize> {
        let here = dimension_in_page < self.dims_per_page() && row < self.rows();
        let first_row = row - row % BLOCK_ROWS;
        let stride = BLOCK_ROWS.min(self.rows().checked_sub(first_row)?);
        here.then(|| first_row * self.dims_per_page() + dimension_in_page * stride + row % BLOCK_ROWS)
    }
}

/// Up to 64 rows, and where their codes begin in a payload.
struct Block {
    first_row: usize,
    rows: usize,
    start: usize,
}

impl Block {
    /// One dimension of all rows.
    #[inline]
    fn column<'a>(&self, payload: &'a [u8], dimension_in_page: usize) -> Option<&'a [u8]> {
        let start = self.start + dimension_in_page * self.rows;
        payload.get(start..start + self.rows)
    }
}

/// Writes one page of a plane, given row after row with all `dimensions`.  Bytes without a code are left as they are.
pub fn fill(shape: Shape, dimensions: usize, page: usize, codes: &[u8], payload: &mut [u8]) {
    let columns = shape.dimensions_of(page, dimensions);
    for block in shape.blocks() {
        let from = codes.get(block.first_row * dimensions + columns.start..).unwrap_or_default();
        let to = payload.get_mut(block.start..).unwrap_or_default();
        transpose(from, dimensions, [block.rows, columns.len()], to, block.rows);
    }
}

/// Reads what [`fill`] wrote, and leaves the other pages' dimensions as they are.
pub fn unfill(shape: Shape, dimensions: usize, page: usize, payload: &[u8], codes: &mut [u8]) {
    let columns = shape.dimensions_of(page, dimensions);
    for block in shape.blocks() {
        let from = payload.get(block.start..).unwrap_or_default();
        let to = codes.get_mut(block.first_row * dimensions + columns.start..).unwrap_or_default();
        transpose(from, block.rows, [columns.len(), block.rows], to, dimensions);
    }
}

/// Copies `from`, lines of `columns` bytes that begin `from_stride` apart, so that its columns become lines.
fn transpose(from: &[u8], from_stride: usize, [lines, columns]: [usize; 2], to: &mut [u8], to_stride: usize) {
    let (whole_lines, whole_columns) = (lines - lines % SQUARE, columns - columns % SQUARE);
    for line in (0..whole_lines).step_by(SQUARE) {
        for column in (0..whole_columns).step_by(SQUARE) {
            let square = read_square(from, line * from_stride + column, from_stride);
            write_square(transposed(square), to, column * to_stride + line, to_stride);
        }
    }
    let mut copy = |line: usize, column: usize| {
        if let (Some(&byte), Some(slot)) =
            (from.get(line * from_stride + column), to.get_mut(column * to_stride + line))
        {
            *slot = byte;
        }
    };
    (0..lines).for_each(|line| (whole_columns..columns).for_each(|column| copy(line, column)));
    (whole_lines..lines).for_each(|line| (0..whole_columns).for_each(|column| copy(line, column)));
}

#[inline(always)]
fn read_square(from: &[u8], start: usize, stride: usize) -> [u64; SQUARE] {
    std::array::from_fn(|line| {
        let bytes = from.get(start + line * stride..).and_then(|line| line.first_chunk());
        u64::from_le_bytes(bytes.copied().unwrap_or_default())
    })
}

#[inline(always)]
fn write_square(square: [u64; SQUARE], to: &mut [u8], start: usize, stride: usize) {
    for (line, bytes) in square.into_iter().enumerate() {
        if let Some(slot) = to.get_mut(start + line * stride..).and_then(|line| line.first_chunk_mut()) {
            *slot = bytes.to_le_bytes();
        }
    }
}

/// Transposes 8 x 8 bytes: swaps halves of 4 x 4, of 2 x 2, then single bytes across the diagonal.
#[inline(always)]
fn transposed(mut lines: [u64; SQUARE]) -> [u64; SQUARE] {
    for (apart, kept) in [(4, 0x0000_0000_FFFF_FFFF), (2, 0x0000_FFFF_0000_FFFF), (1, 0x00FF_00FF_00FF_00FF_u64)] {
        for upper in (0..SQUARE).filter(|line| line & apart == 0) {
            let (a, b, shift) = (lines[upper], lines[upper | apart], 8 * apart);
            lines[upper] = a & kept | (b & kept) << shift;
            lines[upper | apart] = a >> shift & kept | b & !kept;
        }
    }
    lines
}

/// Returns a code's byte; `None` where the page has none.
pub fn code(payload: &[u8], shape: Shape, dimension_in_page: usize, row: usize) -> Option<u8> {
    payload.get(shape.offset(dimension_in_page, row)?).copied()
}

/// Returns which rows' high bytes say that they lie in the range, and which share a bound's high byte, so that only
/// [`settle`] tells.  Rows whose bytes are missing are among the latter.
pub fn classify(payload: &[u8], shape: Shape, dimension_in_page: usize, bounds: CodeBounds) -> (RowMask, RowMask) {
    let mut masks = (RowMask::none(), RowMask::none());
    if dimension_in_page >= shape.dims_per_page() {
        return (masks.0, RowMask::all(shape.rows()));
    }
    let bounds = HighBounds::of(bounds);
    for (place, block) in shape.blocks().enumerate() {
        let (inside, edge) = match block.column(payload, dimension_in_page) {
            Some(column) => bounds.masks(column),
            None => (0, mask::low_bits(block.rows)),
        };
        masks.0.set_block(place, inside);
        masks.1.set_block(place, edge);
    }
    masks
}

/// A range in high bytes.
struct HighBounds {
    /// High bytes of rows that may lie inside.
    hull: Between,
    /// High bytes of rows that do.
    inner: Between,
}

impl HighBounds {
    /// The range between two codes; -1 and 65,536 become -1 and 256, which no high byte equals.
    fn of(bounds: CodeBounds) -> Self {
        let (low, high) = (bounds.low >> 8, bounds.high >> 8);
        Self { hull: Between::of(low, high), inner: Between::of(low.saturating_add(1), high.saturating_sub(1)) }
    }

    #[inline]
    fn masks(&self, column: &[u8]) -> (u64, u64) {
        let (hull, inner) = match column.first_chunk() {
            Some(column) => (self.hull.mask(column), self.inner.mask(column)),
            None => self.masks_of_few(column),
        };
        (inner, hull & !inner)
    }

    #[inline(never)]
    fn masks_of_few(&self, column: &[u8]) -> (u64, u64) {
        let mut block = [0; BLOCK_ROWS];
        block.iter_mut().zip(column).for_each(|(slot, &byte)| *slot = byte);
        let rows = mask::low_bits(column.len());
        (self.hull.mask(&block) & rows, self.inner.mask(&block) & rows)
    }
}

/// A closed range of bytes, by its start and its width - 1: a byte is in it when it is that little above the start.
#[derive(Clone, Copy)]
struct Between {
    start: u8,
    width: u8,
    /// All ones, or zeros where the range is empty.
    any: u64,
}

impl Between {
    fn of(low: i32, high: i32) -> Self {
        let (low, high) = (low.max(0), high.min(255));
        if low > high {
            return Self { start: 0, width: 0, any: 0 };
        }
        Self { start: low as u8, width: (high - low) as u8, any: u64::MAX }
    }

    /// One bit for each byte, the first lowest.  The compiler makes vectors of the first loop; the second adds up bytes of
    /// one bit each, which a product gathers in its highest byte.
    #[inline(always)]
    fn mask(self, column: &[u8; BLOCK_ROWS]) -> u64 {
        const ONES: u64 = 0x0101_0101_0101_0101;
        let bit = |place: usize| if column[place].wrapping_sub(self.start) <= self.width { BITS[place] } else { 0 };
        let bits: [u8; BLOCK_ROWS] = std::array::from_fn(bit);
        let (words, _) = bits.as_chunks();
        let byte = |word: &[u8; 8]| u64::from_le_bytes(*word).wrapping_mul(ONES) >> 56;
        words.iter().rev().fold(0, |masks, word| masks << 8 | byte(word)) & self.any
    }
}

/// The bit of each row among its eight.
const BITS: [u8; BLOCK_ROWS] = {
    let mut bits = [0; BLOCK_ROWS];
    let mut place = 0;
    while place < BLOCK_ROWS {
        bits[place] = 1 << (place % 8);
        place += 1;
    }
    bits
};

/// Appends the codes of the rows at the edge, of plane A, for [`settle`]: only one of both pages is locked at a time.
pub fn edge_codes(a_payload: &[u8], shape: Shape, dimension_in_page: usize, edge: RowMask, high: &mut Vec<u8>) {
    high.extend(edge.iter().map(|row| code(a_payload, shape, dimension_in_page, row).unwrap_or_default()));
}

/// Returns which of the rows that [`classify`] left at the edge lie in the range by both bytes of their codes, and which
/// share a bound's code, so that only the row's own value tells.  `high` has what [`edge_codes`] appends.
pub fn settle(
    high: &[u8],
    b_payload: &[u8],
    shape: Shape,
    dimension_in_page: usize,
    bounds: CodeBounds,
    edge: RowMask,
) -> (RowMask, RowMask) {
    let (mut inside, mut undecided) = (RowMask::none(), RowMask::none());
    for (row, &high) in edge.iter().zip(high) {
        let low = code(b_payload, shape, dimension_in_page, row);
        match low.map_or(Verdict::Undecided, |low| bounds.verdict(u16::from_be_bytes([high, low]))) {
            Verdict::Inside => inside.set(row, true),
            Verdict::Undecided => undecided.set(row, true),
            Verdict::Outside => {}
        }
    }
    (inside, undecided)
}

#[cfg(test)]
mod tests;
