//! An empty index.

use crate::error::Result;
use crate::layout::{CellEntry, Meta};
use crate::metric::Metric;
use crate::page::{Block, Kind, Page, Pages, Record};

/// What an index is, from its definition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// What cells are trained with.
    pub metric: Metric,
    /// Byte planes per code: 1 or 2.
    pub planes: u8,
    /// Whether vectors are float64, whose values are rounded before they are coded.
    pub is_rounded: bool,
    /// Dimensions of every vector; 0: those of the first row.
    pub dimensions: u32,
    /// A random number, which tells one build from another.
    pub build: u64,
}

impl Settings {
    /// Returns the meta page of an index of one cell and no rows.
    pub(crate) fn meta(&self) -> Meta {
        Meta {
            metric: self.metric,
            planes: self.planes,
            is_rounded: self.is_rounded,
            dimensions: self.dimensions,
            cells: 1,
            next_number: 1,
            build: self.build,
            trained_rows: 0,
            trained_cells: 1,
            scale_sets: 0,
            first_centroids: Block::NONE,
            last_centroids: Block::NONE,
            slots: 0,
            first_odd: Block::NONE,
            last_odd: Block::NONE,
            first_quantiles: Block::NONE,
            quantile_rows: 0,
            cell_pages: vec![Block(1)],
            scale_pages: Vec::new(),
        }
    }
}

/// Returns the pages of an empty index, meta page first.
pub fn empty(settings: &Settings) -> [Page; 2] {
    let (mut meta, mut cells) = (Page::default(), Page::default());
    settings.meta().write(&mut meta);
    cells.init(Kind::Cells, 0);
    CellEntry { epoch: 1, slot: CellEntry::NO_SLOT, ..CellEntry::default() }.write(&mut cells, 0);
    [meta, cells]
}

/// Writes an empty index where there are no pages yet.
pub fn create<P: Pages>(pages: &P, settings: &Settings) -> Result<()> {
    while pages.blocks() < 2 {
        pages.allocate()?;
    }
    let mut record = pages.begin();
    for (number, page) in (0..).zip(empty(settings)) {
        if let Some(slot) = record.lock_new(Block(number))? {
            let target = record.page_mut(slot);
            let (kind, owner) = (page.kind().unwrap_or(Kind::New), page.owner());
            target.init(kind, owner);
            *target.payload_mut() = *page.payload();
        }
    }
    record.commit()
}
