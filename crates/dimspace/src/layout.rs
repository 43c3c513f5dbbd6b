//! Contents of the pages, field by field; `docs/layout/dimspace.md` draws them.  Numbers are little-endian.
//!
//! Reading checks each number against what the others allow, so that nobody behind this file meets a bad one.

use crate::DIMENSIONS_MAX;
use crate::error::{DimspaceError, Result};
use crate::metric::Metric;
use crate::page::{Block, Kind, PAYLOAD_BYTES, Page, Pages};
use crate::tile::{SEGMENT_ROWS_MAX, Shape};

/// The most cells of an index.
pub const CELLS_MAX: u32 = 65_536;
/// Entries of cells on a page.
pub const CELLS_PER_PAGE: u32 = (PAYLOAD_BYTES / CellEntry::BYTES) as u32;
/// Pages of cells that the meta page has room for.
pub const CELL_PAGES_MAX: usize = CELLS_MAX.div_ceil(CELLS_PER_PAGE) as usize;
/// The most scale sets of an index.
pub const SCALE_SETS_MAX: usize = 64;

const MAGIC: &[u8; 8] = b"dimspace";
/// Where the meta page has its sum.
const SUM_FROM: usize = 88;
const CELL_PAGES_FROM: usize = 128;
const SCALE_SETS_FROM: usize = 2304;
/// Where the contents of the meta page end.
const META_END: usize = SCALE_SETS_FROM + 4 * SCALE_SETS_MAX;

const _: () = assert!(CELL_PAGES_FROM + 4 * CELL_PAGES_MAX <= SCALE_SETS_FROM);
const _: () = assert!(META_END <= PAYLOAD_BYTES && META_END.is_multiple_of(8) && CELLS_PER_PAGE == 126);

pub(crate) fn u16_at(bytes: &[u8], from: usize) -> u16 {
    bytes.get(from..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u16::from_le_bytes(*chunk))
}

pub(crate) fn u32_at(bytes: &[u8], from: usize) -> u32 {
    bytes.get(from..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

pub(crate) fn u64_at(bytes: &[u8], from: usize) -> u64 {
    bytes.get(from..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

fn block_at(bytes: &[u8], from: usize) -> Block {
    Block(u32_at(bytes, from))
}

/// The place of a row in the table: block and offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tid {
    /// Block of the table.
    pub block: u32,
    /// Line of the block, from 1.
    pub offset: u16,
}

impl Tid {
    /// Lines that a block of a table has at most: 8,192 bytes hold no more tuples.
    const LINES_MAX: u16 = 291;

    /// Refuses a place that no row can have, which a damaged page of the index names.
    pub(crate) fn checked<P: Pages>(self, pages: &P, page: Block) -> Result<Self> {
        if (1..=Self::LINES_MAX).contains(&self.offset) && pages.has_row_block(self.block) {
            return Ok(self);
        }
        Err(DimspaceError::damaged(page, "every row has a place in the table"))
    }

    fn from_bytes(bytes: &[u8; 6]) -> Self {
        let &[a, b, c, d, e, f] = bytes;
        Self { block: u32::from_le_bytes([a, b, c, d]), offset: u16::from_le_bytes([e, f]) }
    }

    fn to_bytes(self) -> [u8; 6] {
        let ([a, b, c, d], [e, f]) = (self.block.to_le_bytes(), self.offset.to_le_bytes());
        [a, b, c, d, e, f]
    }
}

/// The meta page: what the index is, and where its chains begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    /// What cells are trained with.
    pub metric: Metric,
    /// Byte planes per code: 1 or 2.
    pub planes: u8,
    /// Whether vectors are float64, whose values were rounded before they were coded.
    pub is_rounded: bool,
    /// Dimensions of every vector; 0 until the first row.
    pub dimensions: u32,
    /// Cells there are.
    pub cells: u32,
    /// The number that the next segment gets; never used twice.
    pub next_number: u64,
    /// Tells one build from another, for caches.
    pub build: u64,
    /// Rows when cells were last trained.
    pub trained_rows: u64,
    /// Cells when they were last trained.
    pub trained_cells: u32,
    /// Scale sets there are; the last one codes new rows, 0 of them: rows stay float32.
    pub scale_sets: u32,
    /// First page of centroids.
    pub first_centroids: Block,
    /// Last page of centroids.
    pub last_centroids: Block,
    /// Centroids written; a slot is written once.
    pub slots: u32,
    /// First page of NULLs and zero vectors.
    pub first_odd: Block,
    /// Last page of them.
    pub last_odd: Block,
    /// First page of quantiles.
    pub first_quantiles: Block,
    /// Rows that the quantiles stand for; 0: there are none.
    pub quantile_rows: u64,
    /// Pages of cells, 126 cells each.
    pub cell_pages: Vec<Block>,
    /// First page of each scale set, set 1 first.
    pub scale_pages: Vec<Block>,
}

impl Meta {
    /// Reads the meta page.
    pub fn read(page: &Page) -> Result<Self> {
        let bytes = page.payload();
        let bad = |rule| Err(DimspaceError::damaged(Block::META, rule));
        if !page.is(Kind::Meta, 0) || bytes.first_chunk() != Some(MAGIC) {
            return bad("the meta page has its kind, version and magic");
        } else if u64_at(bytes, SUM_FROM) != sum(bytes) {
            return bad("the meta page has the sum of its contents");
        }
        let Some(metric) = Metric::from_number(bytes[10]) else { return bad("the metric is a known one") };
        let (cells, scale_sets, dimensions) = (u32_at(bytes, 20), u32_at(bytes, 52), u32_at(bytes, 16));
        if !(1..=2).contains(&bytes[11]) || bytes[12] > 1 {
            return bad("there are one or two planes");
        } else if !(1..=CELLS_MAX).contains(&cells) {
            return bad("there are 1 to 65,536 cells");
        } else if scale_sets as usize > SCALE_SETS_MAX {
            return bad("there are at most 64 scale sets");
        } else if dimensions > DIMENSIONS_MAX {
            return bad("there are at most 16,000 dimensions");
        } else if u64_at(bytes, 24) > u64::MAX / 2 || u32_at(bytes, 64) > u32::MAX / 2 {
            return bad("numbers and slots do not run out");
        }
        let blocks = |from: usize, count: usize| (0..count).map(|n| block_at(bytes, from + 4 * n)).collect();
        Ok(Self {
            metric,
            planes: bytes[11],
            is_rounded: bytes[12] == 1,
            dimensions,
            cells,
            next_number: u64_at(bytes, 24),
            build: u64_at(bytes, 32),
            trained_rows: u64_at(bytes, 40),
            trained_cells: u32_at(bytes, 48),
            scale_sets,
            first_centroids: block_at(bytes, 56),
            last_centroids: block_at(bytes, 60),
            slots: u32_at(bytes, 64),
            first_odd: block_at(bytes, 68),
            last_odd: block_at(bytes, 72),
            first_quantiles: block_at(bytes, 76),
            quantile_rows: u64_at(bytes, 80),
            cell_pages: blocks(CELL_PAGES_FROM, cells.div_ceil(CELLS_PER_PAGE) as usize),
            scale_pages: blocks(SCALE_SETS_FROM, scale_sets as usize),
        })
    }

    /// Writes the meta page's contents.
    pub fn write(&self, page: &mut Page) {
        page.init(Kind::Meta, 0);
        let bytes = page.payload_mut();
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&crate::page::LAYOUT_VERSION.to_le_bytes());
        bytes[10..13].copy_from_slice(&[self.metric.number(), self.planes, u8::from(self.is_rounded)]);
        let mut put = |from: usize, number: &[u8]| bytes[from..from + number.len()].copy_from_slice(number);
        put(16, &self.dimensions.to_le_bytes());
        put(20, &self.cells.to_le_bytes());
        put(24, &self.next_number.to_le_bytes());
        put(32, &self.build.to_le_bytes());
        put(40, &self.trained_rows.to_le_bytes());
        put(48, &self.trained_cells.to_le_bytes());
        put(52, &self.scale_sets.to_le_bytes());
        put(56, &self.first_centroids.0.to_le_bytes());
        put(60, &self.last_centroids.0.to_le_bytes());
        put(64, &self.slots.to_le_bytes());
        put(68, &self.first_odd.0.to_le_bytes());
        put(72, &self.last_odd.0.to_le_bytes());
        put(76, &self.first_quantiles.0.to_le_bytes());
        put(80, &self.quantile_rows.to_le_bytes());
        for (n, block) in self.cell_pages.iter().enumerate().take(CELL_PAGES_MAX) {
            put(CELL_PAGES_FROM + 4 * n, &block.0.to_le_bytes());
        }
        for (n, block) in self.scale_pages.iter().enumerate().take(SCALE_SETS_MAX) {
            put(SCALE_SETS_FROM + 4 * n, &block.0.to_le_bytes());
        }
        seal(page);
    }

    /// Returns the page and the place on it of a cell's entry.
    pub fn cell_place(&self, cell: u32) -> Result<(Block, usize)> {
        let block = self.cell_pages.get((cell / CELLS_PER_PAGE) as usize).copied().unwrap_or(Block::NONE);
        if block.is_none() {
            return Err(DimspaceError::damaged(Block::META, "every page of cells is named"));
        }
        Ok((block, (cell % CELLS_PER_PAGE) as usize))
    }
}

/// Gives the meta page the sum of its contents.
pub(crate) fn seal(page: &mut Page) {
    let sum = sum(page.payload());
    page.payload_mut()[SUM_FROM..SUM_FROM + 8].copy_from_slice(&sum.to_le_bytes());
}

/// Returns the sum of the meta page, which says what all others mean: most of its numbers would pass for others, and answers be
/// wrong.  FNV-1a (Fowler, Noll, Vo) over words of 8 bytes, without that of the sum: another word always makes another sum.
fn sum(payload: &[u8; PAYLOAD_BYTES]) -> u64 {
    let (words, _) = payload[..META_END].as_chunks::<8>();
    words
        .iter()
        .enumerate()
        .filter(|(n, _)| *n != SUM_FROM / 8)
        .fold(0xcbf2_9ce4_8422_2325, |sum, (_, word)| (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0x0100_0000_01b3))
}

/// The entry of a cell: the only place that decides what a scan sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CellEntry {
    /// Moves whenever pages that readers may be on lose their meaning.
    pub epoch: u64,
    /// The cell that this one was split from; itself for one that was not.
    pub parent: u32,
    /// Its centroid; [`CellEntry::NO_SLOT`] while there is one cell only.
    pub slot: u32,
    /// Epoch of the parent from which on this cell holds rows that the parent held before.
    pub birth: u64,
    /// Heads of the first and the last segment.
    pub first_rows: Block,
    /// The last one.
    pub last_rows: Block,
    /// First page of the tail.
    pub first_tail: Block,
    /// Last page of the tail, to which rows are added.
    pub last_tail: Block,
    /// Sequence number of the first page of the tail.
    pub first_sequence: u32,
    /// Sequence number of the last one.
    pub last_sequence: u32,
    /// Rows in segments, dead ones included.
    pub rows: u32,
    /// Segments.
    pub segments: u32,
}

impl CellEntry {
    /// Bytes of an entry.
    pub const BYTES: usize = 64;
    /// No centroid.
    pub const NO_SLOT: u32 = u32::MAX;

    /// Reads an entry of a page of cells.
    pub fn read(page: &Page, place: usize) -> Self {
        let bytes = page.payload().get(place * Self::BYTES..).unwrap_or_default();
        Self {
            epoch: u64_at(bytes, 0),
            parent: u32_at(bytes, 8),
            slot: u32_at(bytes, 12),
            birth: u64_at(bytes, 16),
            first_rows: block_at(bytes, 24),
            last_rows: block_at(bytes, 28),
            first_tail: block_at(bytes, 32),
            last_tail: block_at(bytes, 36),
            first_sequence: u32_at(bytes, 40),
            last_sequence: u32_at(bytes, 44),
            rows: u32_at(bytes, 48),
            segments: u32_at(bytes, 52),
        }
    }

    /// Writes an entry to a page of cells.
    pub fn write(&self, page: &mut Page, place: usize) {
        let Some(bytes) = page.payload_mut().get_mut(place * Self::BYTES..).and_then(<[u8]>::first_chunk_mut) else {
            return;
        };
        let bytes: &mut [u8; Self::BYTES] = bytes;
        let mut put = |from: usize, number: &[u8]| bytes[from..from + number.len()].copy_from_slice(number);
        put(0, &self.epoch.to_le_bytes());
        put(8, &self.parent.to_le_bytes());
        put(12, &self.slot.to_le_bytes());
        put(16, &self.birth.to_le_bytes());
        let numbers = [
            self.first_rows.0,
            self.last_rows.0,
            self.first_tail.0,
            self.last_tail.0,
            self.first_sequence,
            self.last_sequence,
            self.rows,
            self.segments,
        ];
        for (n, number) in numbers.into_iter().enumerate() {
            put(24 + 4 * n, &number.to_le_bytes());
        }
    }
}

/// What is known of a row beside its codes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowRecord {
    /// Its place in the table.
    pub tid: Tid,
    /// Whether the row is gone.
    pub is_dead: bool,
    /// Whether a value lies outside of what the scale set codes.
    pub is_clamped: bool,
    /// Euclidean norm.
    pub norm: f32,
    /// bfloat16, rounded up: distance from the vector to what its high bytes say.
    pub residual: u16,
}

impl RowRecord {
    /// Bytes of a record.
    pub const BYTES: usize = 14;
    const DEAD: u16 = 1;
    const CLAMPED: u16 = 2;

    /// Reads a record.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let tid = Tid::from_bytes(bytes.first_chunk().expect("six of fourteen bytes"));
        let flags = u16_at(bytes, 6);
        Self {
            tid,
            is_dead: flags & Self::DEAD != 0,
            is_clamped: flags & Self::CLAMPED != 0,
            norm: f32::from_bits(u32_at(bytes, 8)),
            residual: u16_at(bytes, 12),
        }
    }

    /// Returns the record's bytes.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let flag = |is_set: bool, flag: u16| if is_set { flag } else { 0 };
        let flags = flag(self.is_dead, Self::DEAD) | flag(self.is_clamped, Self::CLAMPED);
        bytes[..6].copy_from_slice(&self.tid.to_bytes());
        bytes[6..8].copy_from_slice(&flags.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.norm.to_le_bytes());
        bytes[12..].copy_from_slice(&self.residual.to_le_bytes());
        bytes
    }

    /// Marks the record that begins at a byte as dead.
    pub fn kill(payload: &mut [u8], from: usize) {
        if let Some(flags) = payload.get_mut(from + 6) {
            *flags |= Self::DEAD as u8;
        }
    }
}

/// The head of a segment, at the beginning of its page of rows; behind it the blocks of plane A, of plane B, the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowsHead {
    /// The cell that it belongs to.
    pub cell: u32,
    /// The scale set that codes it, from 1.
    pub scale_set: u16,
    /// Shape of its pages of codes; holds the number of rows.
    pub shape: Shape,
    /// Byte planes.
    pub planes: u8,
    /// Pages of each plane.
    pub pages: u16,
}

impl RowsHead {
    /// Bytes before the blocks.
    pub const BYTES: usize = 16;

    /// Reads the head of a page of rows of an index.
    pub fn read(page: &Page, block: Block, meta: &Meta) -> Result<Self> {
        let bytes = page.payload();
        let bad = |rule| Err(DimspaceError::damaged(block, rule));
        let Some(shape) = Shape::new(u16_at(bytes, 8), u16_at(bytes, 10)) else {
            return bad("the shape of a segment fits a page");
        };
        let pages = shape.pages(meta.dimensions as usize);
        let head = Self {
            cell: u32_at(bytes, 0),
            scale_set: u16_at(bytes, 4),
            shape,
            planes: bytes[6],
            pages: u16_at(bytes, 12),
        };
        if usize::from(head.pages) != pages || head.planes != meta.planes {
            return bad("a segment has the pages that its shape asks for");
        } else if head.scale_set == 0 || u32::from(head.scale_set) > meta.scale_sets {
            return bad("a segment's scale set exists");
        } else if head.record_place(shape.rows()) > PAYLOAD_BYTES {
            return bad("a segment's records fit its page");
        }
        Ok(head)
    }

    /// Writes the head.
    pub fn write(&self, page: &mut Page) {
        let bytes = page.payload_mut();
        bytes[..4].copy_from_slice(&self.cell.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.scale_set.to_le_bytes());
        bytes[6] = self.planes;
        bytes[8..10].copy_from_slice(&(self.shape.rows() as u16).to_le_bytes());
        bytes[10..12].copy_from_slice(&(self.shape.dims_per_page() as u16).to_le_bytes());
        bytes[12..14].copy_from_slice(&self.pages.to_le_bytes());
    }

    /// Returns the block of a page of codes; plane 0 is A, 1 is B.
    pub fn code_block(&self, page: &Page, plane: usize, number: usize) -> Block {
        block_at(page.payload(), Self::BYTES + 4 * (plane * usize::from(self.pages) + number))
    }

    /// Names the block of a page of codes.
    pub fn set_code_block(&self, page: &mut Page, plane: usize, number: usize, block: Block) {
        let from = Self::BYTES + 4 * (plane * usize::from(self.pages) + number);
        page.payload_mut()[from..from + 4].copy_from_slice(&block.0.to_le_bytes());
    }

    /// Returns where a row's record begins.
    pub fn record_place(&self, row: usize) -> usize {
        Self::BYTES + 4 * usize::from(self.planes) * usize::from(self.pages) + RowRecord::BYTES * row
    }

    /// Returns a row's record.
    pub fn record(&self, page: &Page, row: usize) -> Option<RowRecord> {
        page.payload().get(self.record_place(row)..).and_then(<[u8]>::first_chunk).map(RowRecord::from_bytes)
    }

    /// Returns how many rows a segment of so many dimensions and planes can have: what its page of rows holds.
    pub fn rows_max(dimensions: usize, planes: u8) -> usize {
        let fits = |rows: &usize| {
            let pages = Shape::for_rows(*rows as u16).pages(dimensions);
            Self::BYTES + 4 * usize::from(planes) * pages + RowRecord::BYTES * rows <= PAYLOAD_BYTES
        };
        (1..=SEGMENT_ROWS_MAX).rev().find(fits).unwrap_or(1)
    }

    /// Returns into segments of how many rows so many are cut, the last taking what is left: no more segments than need be, and of
    /// those cuts one that takes the fewest pages.
    pub fn rows_per_segment(rows: usize, dimensions: usize, planes: u8) -> usize {
        let most = Self::rows_max(dimensions, planes);
        let pages = |rows: usize| if rows == 0 { 0 } else { Shape::for_rows(rows as u16).pages(dimensions) };
        let segments = rows.div_ceil(most).max(1);
        let total = |size: &usize| {
            let last = rows.saturating_sub(size * (segments - 1));
            pages(*size) * (segments - 1) + pages(last)
        };
        let least = rows.div_ceil(segments).max(1);
        (least..=most.min(rows.max(1))).min_by_key(total).unwrap_or(most)
    }
}

/// The head of a page of a tail; behind it the rows: record, then codes (high bytes, low bytes) or, in set 0, float32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailHead {
    /// Rows on the page.
    pub rows: u16,
    /// The scale set that codes them; 0: float32.
    pub scale_set: u16,
    /// First page of the rest of a row that is wider than a page.
    pub rest: Block,
    /// Owner of the pages of the rest.
    pub number: u64,
}

impl TailHead {
    /// Bytes before the rows.
    pub const BYTES: usize = 16;
    /// Bytes of rows on a page.
    pub const ROOM: usize = PAYLOAD_BYTES - Self::BYTES;

    /// Reads the head of a page of a tail.
    pub fn read(page: &Page, block: Block, meta: &Meta) -> Result<Self> {
        let bytes = page.payload();
        let head = Self {
            rows: u16_at(bytes, 0),
            scale_set: u16_at(bytes, 2),
            rest: block_at(bytes, 4),
            number: u64_at(bytes, 8),
        };
        if u32::from(head.scale_set) > meta.scale_sets {
            return Err(DimspaceError::damaged(block, "the scale set of a tail exists"));
        } else if usize::from(head.rows) > Self::rows_per_page(meta, head.scale_set) {
            return Err(DimspaceError::damaged(block, "the rows of a tail fit their page"));
        }
        Ok(head)
    }

    /// Writes the head.
    pub fn write(&self, page: &mut Page) {
        let bytes = page.payload_mut();
        bytes[..2].copy_from_slice(&self.rows.to_le_bytes());
        bytes[2..4].copy_from_slice(&self.scale_set.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.rest.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
    }

    /// Returns the bytes of a row.
    pub fn row_bytes(meta: &Meta, scale_set: u16) -> usize {
        let per_dimension = if scale_set == 0 { 4 } else { usize::from(meta.planes) };
        RowRecord::BYTES + per_dimension * meta.dimensions as usize
    }

    /// Returns how many rows a page holds: at least one, whose rest lies on other pages.
    pub fn rows_per_page(meta: &Meta, scale_set: u16) -> usize {
        (Self::ROOM / Self::row_bytes(meta, scale_set)).max(1)
    }

    /// Returns the stamp of a page: cell and sequence number.
    pub fn owner(cell: u32, sequence: u32) -> u64 {
        (u64::from(cell) << 32) | u64::from(sequence)
    }
}

/// Why a row has no codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum OddKind {
    /// No vector.
    Null = 1,
    /// All zeros, where the metric is the cosine.
    Zero = 2,
}

/// A row without codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OddEntry {
    /// Its place in the table.
    pub tid: Tid,
    /// Why it has none.
    pub kind: OddKind,
    /// Whether the row is gone.
    pub is_dead: bool,
}

impl OddEntry {
    /// Bytes of an entry.
    pub const BYTES: usize = 8;
    /// Bytes before the entries: their number.
    pub const FROM: usize = 8;
    /// Entries on a page.
    pub const PER_PAGE: usize = (PAYLOAD_BYTES - Self::FROM) / Self::BYTES;

    /// Returns how many entries a page has.
    pub fn count(page: &Page, block: Block) -> Result<usize> {
        let count = usize::from(u16_at(page.payload(), 0));
        if count > Self::PER_PAGE {
            return Err(DimspaceError::damaged(block, "the odd rows fit their page"));
        }
        Ok(count)
    }

    /// Reads an entry.
    pub fn read(page: &Page, block: Block, place: usize) -> Result<Self> {
        let bytes: Option<&[u8; Self::BYTES]> =
            page.payload().get(Self::FROM + place * Self::BYTES..).and_then(<[u8]>::first_chunk);
        match bytes {
            Some(bytes @ &[.., kind @ 1..=2, dead @ 0..=1]) => Ok(Self {
                tid: Tid::from_bytes(bytes.first_chunk().expect("six of eight bytes")),
                kind: if kind == OddKind::Null as u8 { OddKind::Null } else { OddKind::Zero },
                is_dead: dead == 1,
            }),
            _ => Err(DimspaceError::damaged(block, "an odd row is NULL or zero")),
        }
    }

    /// Adds an entry to a page that has room.
    pub fn append(self, page: &mut Page) {
        let bytes = page.payload_mut();
        let count = u16_at(bytes, 0);
        let from = Self::FROM + usize::from(count) * Self::BYTES;
        if let Some(place) = bytes.get_mut(from..from + Self::BYTES) {
            place[..6].copy_from_slice(&self.tid.to_bytes());
            place[6..].copy_from_slice(&[self.kind as u8, u8::from(self.is_dead)]);
            bytes[..2].copy_from_slice(&(count + 1).to_le_bytes());
        }
    }

    /// Marks an entry as dead.
    pub fn kill(page: &mut Page, place: usize) {
        if let Some(dead) = page.payload_mut().get_mut(Self::FROM + place * Self::BYTES + 7) {
            *dead = 1;
        }
    }
}
