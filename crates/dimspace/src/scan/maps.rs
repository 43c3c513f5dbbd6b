//! Where the codes of cells lie, kept from scan to scan.

use crate::segment::Segment;

/// Where the codes of cells lie: what the heads of their segments say, kept from scan to scan while the cells' epochs stay.
#[derive(Debug, Default)]
pub struct Maps {
    build: u64,
    cells: Vec<Option<CellMap>>,
    /// Blocks that are kept.
    blocks: usize,
}

#[derive(Debug)]
pub(super) struct CellMap {
    pub epoch: u64,
    pub segments: Vec<Segment>,
}

impl Maps {
    /// Blocks that are kept at most: 16 MiB.
    const BLOCKS_MAX: usize = 4 << 20;

    /// Returns the maps if they are of that build, else none.
    pub(super) fn of_build(self, build: u64) -> Self {
        if self.build == build { self } else { Self { build, ..Self::default() } }
    }

    /// Takes the map of a cell out; none where there is none of that epoch.
    pub(super) fn take(&mut self, cell: u32, epoch: u64) -> Option<CellMap> {
        let map = self.cells.get_mut(cell as usize)?.take()?;
        self.blocks -= map.blocks();
        (map.epoch == epoch).then_some(map)
    }

    /// Keeps the map of a cell, while there is room.
    pub(super) fn keep(&mut self, cell: u32, map: CellMap) {
        if self.blocks + map.blocks() > Self::BLOCKS_MAX {
            return;
        }
        if self.cells.len() <= cell as usize {
            self.cells.resize_with(cell as usize + 1, || None);
        }
        self.blocks += map.blocks();
        self.cells[cell as usize] = Some(map);
    }
}

impl CellMap {
    /// Counts a segment as some blocks more than it names.
    fn blocks(&self) -> usize {
        self.segments.iter().map(|segment| segment.codes.len() + 20).sum()
    }
}
