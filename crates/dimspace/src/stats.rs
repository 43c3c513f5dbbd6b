//! Figures of an index: what it holds, in how many pages, and how well rows lie in their cells.
//!
//! Reads only and takes no lock of a cell, so that it runs on a standby: a cell is read as a scan reads it, again when its epoch
//! moved meanwhile.  Figures of an index at work are not of one instant: rows that a split moves while it is read may be missed.

use vector::distance::Path;

use crate::coded::{CodedRows, plain_values};
use crate::codes::ScaleSet;
use crate::error::{DimspaceError, Result};
use crate::growth;
use crate::insert::cell_centroids;
use crate::kmeans::{Matrix, Nearest};
use crate::layout::{CellEntry, Meta, RowRecord};
use crate::odd;
use crate::page::{Block, Kind, PAGE_BYTES, Pages};
use crate::segment;
use crate::state::{read_cell, read_entry, read_meta};
use crate::tail::TailPage;

/// The most rows whose nearest centroid is looked for.
const SAMPLE_ROWS: usize = 10_000;
/// Bytes of those of one cell, decoded.
const SAMPLE_BYTES_MAX: usize = 16 << 20;

/// What an index holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stats {
    /// Cells.
    pub cells: u32,
    /// Vectors in cells that are not dead.
    pub rows: u64,
    /// Rows that are dead and still take room, odd ones included.
    pub dead_rows: u64,
    /// NULLs and zero vectors without a cell that are not dead.
    pub odd_rows: u64,
    /// Segments of all cells.
    pub segments: u64,
    /// Rows in tails that are not dead.
    pub tail_rows: u64,
    /// Pages of tails, without the rests of wide rows.
    pub tail_pages: u64,
    /// Scale sets.
    pub scale_sets: u32,
    /// Dimensions of every vector; 0 before the first.
    pub dimensions: u32,
    /// Pages of each kind, by the kind's number.
    pub pages: [u32; Kind::ALL.len()],
    /// Bytes of all pages.
    pub bytes: u64,
    /// Bytes of all pages for each value of the rows in cells; `None` without rows.
    pub bytes_per_value: Option<f64>,
    /// Share of rows to which the centroid of another cell is nearer than their own's, of a sample of at most 10,000 rows of
    /// evenly spread cells, by what their codes say of their values; `None` without rows.
    pub misplaced_share: Option<f64>,
    /// The fewest rows of a cell that are not dead.
    pub cell_rows_min: u64,
    /// Half of the cells have no more rows.
    pub cell_rows_median: u64,
    /// The most rows of a cell.
    pub cell_rows_max: u64,
    /// Rows in cells, not dead, of which a value lies outside of what its scale codes.
    pub clamped_rows: u64,
}

impl Stats {
    /// Returns how many pages of a kind there are.
    pub fn pages_of(&self, kind: Kind) -> u32 {
        self.pages[kind as usize]
    }

    fn add_cell(&mut self, cell: &CellStats) {
        self.rows += cell.rows;
        self.dead_rows += cell.dead_rows;
        self.clamped_rows += cell.clamped_rows;
        self.segments += cell.segments;
        self.tail_rows += cell.tail_rows;
        self.tail_pages += cell.tail_pages;
    }

    fn describe_sizes(&mut self, mut rows: Vec<u64>) {
        rows.sort_unstable();
        self.cell_rows_min = rows.first().copied().unwrap_or(0);
        self.cell_rows_median = rows.get(rows.len().saturating_sub(1) / 2).copied().unwrap_or(0);
        self.cell_rows_max = rows.last().copied().unwrap_or(0);
    }
}

/// Returns the figures of an index; `path` is how distances are computed.  Errors: damage, interrupted.
pub fn stats<P: Pages>(pages: &P, path: Path) -> Result<Stats> {
    let meta = read_meta(pages)?;
    let mut stats = Stats { cells: meta.cells, scale_sets: meta.scale_sets, ..Stats::default() };
    let mut rows = Vec::with_capacity(meta.cells as usize);
    for cell in 0..meta.cells {
        let read = read_settled(pages, cell, |meta, entry| CellStats::read(pages, meta, cell, entry))?;
        stats.add_cell(&read);
        rows.push(read.rows);
    }
    stats.describe_sizes(rows);
    count_odd(pages, &mut stats)?;
    count_pages(pages, &mut stats)?;
    // Read last: an index has dimensions from its first row on.
    stats.dimensions = read_meta(pages)?.dimensions;
    let values = stats.rows as f64 * f64::from(stats.dimensions);
    stats.bytes_per_value = (values > 0.0).then(|| stats.bytes as f64 / values);
    stats.misplaced_share = misplaced_share(pages, stats.rows, path)?;
    Ok(stats)
}

/// Reads something of a cell under one epoch, as often as that moves.  Damage is what neither a moved epoch nor a scale set that
/// came meanwhile explains.
fn read_settled<P: Pages, R>(pages: &P, cell: u32, read: impl Fn(&Meta, &CellEntry) -> Result<R>) -> Result<R> {
    loop {
        pages.check_interrupt()?;
        let (meta, entry) = read_cell(pages, cell)?;
        let result = read(&meta, &entry);
        let is_same = read_entry(pages, &meta, cell)?.epoch == entry.epoch;
        match result {
            Ok(read) if is_same => return Ok(read),
            Err(DimspaceError::Damaged { .. }) if !is_same || read_meta(pages)?.scale_sets != meta.scale_sets => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
}

/// Hands out the pages of a tail.
fn visit_tail<P: Pages>(
    pages: &P,
    meta: &Meta,
    cell: u32,
    entry: &CellEntry,
    mut see: impl FnMut(&TailPage) -> Result<()>,
) -> Result<()> {
    let (mut block, mut sequence) = (entry.first_tail, entry.first_sequence);
    while !block.is_none() {
        pages.check_interrupt()?;
        let page = TailPage::read(pages, meta, block, cell, sequence)?;
        let page =
            page.ok_or_else(|| DimspaceError::damaged(block, "a tail's page has its kind, cell and sequence number"))?;
        see(&page)?;
        (block, sequence) = (page.next, sequence.wrapping_add(1));
    }
    Ok(())
}

/// The figures of one cell.
#[derive(Default)]
struct CellStats {
    rows: u64,
    dead_rows: u64,
    clamped_rows: u64,
    segments: u64,
    tail_rows: u64,
    tail_pages: u64,
}

impl CellStats {
    fn read<P: Pages>(pages: &P, meta: &Meta, cell: u32, entry: &CellEntry) -> Result<Self> {
        let mut this = Self::default();
        for segment in segment::read_chain(pages, meta, cell, entry.first_rows, entry.segments)? {
            pages.check_interrupt()?;
            let page = pages.read(segment.block)?;
            if !page.is(Kind::Rows, segment.number) {
                return Err(DimspaceError::damaged(segment.block, "a page of rows keeps its segment"));
            }
            let records = (0..segment.head.shape.rows()).filter_map(|row| segment.head.record(&page, row));
            records.for_each(|record| this.add(&record));
            this.segments += 1;
        }
        let in_segments = this.rows;
        visit_tail(pages, meta, cell, entry, |page| {
            page.rows().for_each(|(record, _)| this.add(&record));
            this.tail_pages += 1;
            Ok(())
        })?;
        this.tail_rows = this.rows - in_segments;
        Ok(this)
    }

    fn add(&mut self, record: &RowRecord) {
        if record.is_dead {
            self.dead_rows += 1;
            return;
        }
        self.rows += 1;
        self.clamped_rows += u64::from(record.is_clamped);
    }
}

fn count_odd<P: Pages>(pages: &P, stats: &mut Stats) -> Result<()> {
    odd::visit(pages, &read_meta(pages)?, |_, entries| {
        let dead = entries.iter().filter(|entry| entry.is_dead).count();
        stats.dead_rows += dead as u64;
        stats.odd_rows += (entries.len() - dead) as u64;
        Ok(())
    })
}

fn count_pages<P: Pages>(pages: &P, stats: &mut Stats) -> Result<()> {
    for block in (0..pages.blocks()).map(Block) {
        pages.check_interrupt()?;
        let kind = pages.read(block)?.kind();
        let kind = kind.ok_or_else(|| DimspaceError::damaged(block, "a page is of a known kind"))?;
        stats.pages[kind as usize] += 1;
        stats.bytes += PAGE_BYTES as u64;
    }
    Ok(())
}

/// Returns the share of rows that another cell's centroid is nearer to, of cells as far apart as so many live rows ask for.
fn misplaced_share<P: Pages>(pages: &P, rows: u64, path: Path) -> Result<Option<f64>> {
    let (meta, nearest) = read_nearest(pages, path)?;
    let Some(nearest) = nearest else { return Ok((rows > 0).then_some(0.0)) };
    let step = rows.div_ceil(SAMPLE_ROWS as u64).clamp(1, meta.cells.into()) as usize;
    let (mut seen, mut misplaced) = (0, 0);
    for cell in (0..meta.cells).step_by(step) {
        if seen == SAMPLE_ROWS {
            break;
        }
        let most = (SAMPLE_ROWS - seen).min(SAMPLE_BYTES_MAX / (4 * meta.dimensions as usize).max(1));
        let sample = read_settled(pages, cell, |meta, entry| CellSample::take(pages, meta, cell, entry, most))?;
        for row in 0..sample.rows() {
            pages.check_interrupt()?;
            let (row, own) = (sample.row(row), cell as usize);
            let best = nearest.nearest(row);
            misplaced += usize::from(nearest.score(row, best) > nearest.score(row, own));
        }
        seen += sample.rows();
    }
    Ok((seen > 0).then(|| misplaced as f64 / seen as f64))
}

/// Returns the centroids of all cells, and a meta page that fits them; `None` where one cell has none.
fn read_nearest<P: Pages>(pages: &P, path: Path) -> Result<(Meta, Option<Nearest>)> {
    loop {
        pages.check_interrupt()?;
        let meta = read_meta(pages)?;
        if meta.cells == 1 {
            return Ok((meta, None));
        }
        if let Some(centroids) = cell_centroids(pages, &meta)? {
            let nearest = Nearest::new(centroids, meta.metric, path);
            return Ok((meta, Some(nearest)));
        }
    }
}

/// Rows of one cell that are not dead, decoded.
struct CellSample<'a, P> {
    pages: &'a P,
    meta: &'a Meta,
    rows: Matrix,
    most: usize,
    /// The scale set that coded the last rows.
    scales: Option<(u16, ScaleSet)>,
}

impl<'a, P: Pages> CellSample<'a, P> {
    fn take(pages: &'a P, meta: &'a Meta, cell: u32, entry: &CellEntry, most: usize) -> Result<Matrix> {
        let mut this = Self { pages, meta, rows: Matrix::new(meta.dimensions as usize), most, scales: None };
        for segment in segment::read_chain(pages, meta, cell, entry.first_rows, entry.segments)? {
            if this.is_full() {
                break;
            }
            let mut coded = this.no_rows();
            segment::read_rows(pages, meta, &segment, &mut coded)?;
            this.decode(segment.head.scale_set, &coded)?;
        }
        visit_tail(pages, meta, cell, entry, |page| this.see_tail(page))?;
        Ok(this.rows)
    }

    fn no_rows(&self) -> CodedRows {
        CodedRows::new(self.meta.dimensions as usize, self.meta.planes)
    }

    fn is_full(&self) -> bool {
        self.rows.rows() >= self.most
    }

    fn see_tail(&mut self, page: &TailPage) -> Result<()> {
        let mut coded = self.no_rows();
        for (record, bytes) in page.rows().filter(|(record, _)| !record.is_dead) {
            if page.head.scale_set > 0 {
                coded.push(record, bytes);
            } else if !self.is_full() {
                self.rows.push(&plain_values(bytes));
            }
        }
        if coded.len() > 0 { self.decode(page.head.scale_set, &coded) } else { Ok(()) }
    }

    fn decode(&mut self, scale_set: u16, coded: &CodedRows) -> Result<()> {
        if self.scales.as_ref().is_none_or(|(set, _)| *set != scale_set) {
            self.scales = Some((scale_set, growth::read_scale_set(self.pages, self.meta, scale_set)?));
        }
        let Some((_, scales)) = &self.scales else { return Ok(()) };
        let mut values = vec![0.0; coded.dimensions];
        for row in 0..coded.len().min(self.most - self.rows.rows().min(self.most)) {
            coded.decode(row, scales, &mut values);
            self.rows.push(&values);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use atom::Never;

    use super::*;
    use crate::build::{Builder, Encoder, train};
    use crate::create::{Settings, create};
    use crate::insert::{Cache, Tuning, Value, insert};
    use crate::kmeans::Alone;
    use crate::layout::Tid;
    use crate::memory::{MemoryPages, Random};
    use crate::metric::Metric;
    use crate::vacuum::{bulk_delete, cleanup};

    const TUNING: Tuning = Tuning { fold_rows: 8, split_rows: 30, first_fold_rows: 12, path: Path::Scalar };

    fn settings(metric: Metric) -> Settings {
        Settings { metric, planes: 2, is_rounded: false, dimensions: 0, build: 1 }
    }

    fn inserted(metric: Metric, rows: u16) -> MemoryPages {
        let pages = MemoryPages::new();
        create(&pages, &settings(metric)).unwrap();
        let (mut cache, mut random) = (Cache::default(), Random::new(9));
        for offset in 1..=rows {
            let values: Vec<f32> = (0..4).map(|_| random.below(100) as f32 - 50.0).collect();
            let value = if offset % 10 == 0 { Value::Null } else { Value::Vector(&values) };
            insert(&pages, &mut cache, &TUNING, Tid { block: 0, offset }, value, false).unwrap();
        }
        pages
    }

    #[test]
    fn rows_are_counted_where_they_lie() {
        let pages = inserted(Metric::L2, 200);
        bulk_delete(&pages, &mut |tid| tid.offset % 20 < 3).unwrap();
        let stats = stats(&pages, Path::Scalar).unwrap();
        // Of 20 rows the first two are dead vectors, the twentieth a dead NULL, the tenth a live one.
        assert_eq!((stats.rows, stats.odd_rows, stats.dead_rows), (160, 10, 30));
        assert_eq!((stats.dimensions, stats.scale_sets), (4, 1));
        assert!(stats.cells > 1 && stats.segments >= stats.cells.into() && stats.tail_rows < stats.rows, "{stats:?}");
        assert!(stats.tail_pages >= 1 && stats.pages_of(Kind::Tail) >= stats.tail_pages as u32);
        assert!(stats.cell_rows_min <= stats.cell_rows_median && stats.cell_rows_median <= stats.cell_rows_max);
        assert!(stats.cell_rows_max > 0 && stats.cell_rows_max < stats.rows);
        assert_eq!(stats.pages.iter().sum::<u32>(), pages.blocks());
        assert_eq!(stats.bytes, u64::from(pages.blocks()) * 8192);
        assert_eq!(stats.bytes_per_value, Some(stats.bytes as f64 / 640.0));
        assert_eq!((stats.pages_of(Kind::Meta), stats.pages_of(Kind::Cells), stats.pages_of(Kind::Odd)), (1, 1, 1));
    }

    #[test]
    fn vacuum_leaves_no_dead_rows_in_cells_that_have_many() {
        let pages = inserted(Metric::L2, 100);
        bulk_delete(&pages, &mut |tid| tid.offset > 10).unwrap();
        cleanup(&pages, &TUNING).unwrap();
        let stats = stats(&pages, Path::Scalar).unwrap();
        assert_eq!((stats.rows, stats.odd_rows), (9, 1));
        // The NULLs keep their places; rows on the last page of a tail may stay, too.
        assert!(stats.dead_rows >= 9 && stats.dead_rows < 40, "{stats:?}");
        assert!(stats.pages_of(Kind::Free) > 0);
    }

    #[test]
    fn an_empty_index_has_no_shares() {
        let pages = MemoryPages::new();
        create(&pages, &settings(Metric::Cosine)).unwrap();
        let stats = stats(&pages, Path::Scalar).unwrap();
        assert_eq!((stats.cells, stats.rows, stats.segments, stats.dimensions), (1, 0, 0, 0));
        assert_eq!((stats.bytes_per_value, stats.misplaced_share), (None, None));
        assert_eq!((stats.bytes, stats.cell_rows_max), (2 * 8192, 0));
    }

    #[test]
    fn one_cell_without_a_scale_set_has_no_misplaced_rows() {
        let stats = stats(&inserted(Metric::InnerProduct, 8), Path::Scalar).unwrap();
        assert_eq!((stats.cells, stats.scale_sets, stats.rows, stats.tail_rows), (1, 0, 8, 8));
        assert_eq!(stats.misplaced_share, Some(0.0));
    }

    /// Builds two cells of as many rows each, the first of each in the other's cell.
    fn swapped(rows: [[f32; 2]; 10], swaps: usize) -> MemoryPages {
        let pages = MemoryPages::new();
        let mut sample = Matrix::new(2);
        rows.iter().for_each(|row| sample.push(row));
        let trained = train(&sample, 2, Metric::L2, Path::Scalar, &Alone, &Never).unwrap();
        let encoder = Encoder::new(&trained, &settings(Metric::L2), Path::Scalar);
        let mut builder = Builder::new(&pages, &settings(Metric::L2), &trained, &[5, 5]).unwrap();
        let mut coded = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            let mut bytes = Vec::new();
            let cell = encoder.encode(Tid { block: 0, offset: place as u16 + 1 }, row, &mut bytes).unwrap();
            coded.push((cell, bytes));
        }
        // Rows of equal cells are dealt out to both.
        coded.sort_by_key(|(cell, _)| *cell);
        (0..swaps).for_each(|swap| coded.swap(swap, 5 + swap));
        for (place, (_, bytes)) in coded.iter().enumerate() {
            builder.push(u32::from(place >= 5), bytes).unwrap();
        }
        pages
    }

    #[test]
    fn rows_in_another_cell_than_the_nearest_are_misplaced() {
        let apart = std::array::from_fn(|n| [n as f32 * 0.01 + if n < 5 { 0.0 } else { 10.0 }, 1.0]);
        for swaps in 0..=5 {
            let stats = stats(&swapped(apart, swaps), Path::Scalar).unwrap();
            assert_eq!(stats.misplaced_share, Some(swaps as f64 / 5.0));
            assert_eq!((stats.cell_rows_min, stats.cell_rows_median, stats.cell_rows_max), (5, 5, 5));
        }
    }

    #[test]
    fn a_row_as_near_to_its_own_centroid_is_not_misplaced() {
        let stats = stats(&swapped([[0.5, 0.25]; 10], 0), Path::Scalar).unwrap();
        assert_eq!((stats.cells, stats.misplaced_share), (2, Some(0.0)));
    }

    #[test]
    fn damage_is_an_error() {
        let pages = inserted(Metric::L2, 60);
        let rows = (0..pages.blocks()).map(Block).find(|block| pages.page(*block).is_kind(Kind::PlaneA)).unwrap();
        pages.damage(rows, |page| page.set_free());
        assert!(matches!(stats(&pages, Path::Scalar), Err(DimspaceError::Damaged { .. })));
    }
}
