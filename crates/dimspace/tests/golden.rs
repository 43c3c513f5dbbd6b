//! What the first version of the layout has written is read by this one, and written the same.
//!
//! `tests/golden/dimspace-v1.bin` holds the pages of two small indexes, one of them with rows wider than a page.  The file is
//! never written again once its version is released; a new layout adds one.  A test that finds other bytes leaves them in
//! cargo's directory for tests, and says where.
//!
//! The file: for each index the number of pages, u32; then runs until the pages are full: zeros, u16, other bytes, u16, these.

use std::collections::BTreeSet;
use std::path::Path;

use dimspace::check::examine;
use dimspace::memory::MemoryPages;
use dimspace::metric::Metric;
use dimspace::stats::stats;
use dimspace::{
    Block, Cache, Condition, Found, Kind, Maps, PAGE_BYTES, Pages, RangeScan, Settings, Tid, Tuning, Value,
    bulk_delete, create, insert,
};
use vector::distance::Path as CpuPath;

/// The rows of an index: what is in them, and which are dead.
struct Golden {
    metric: Metric,
    planes: u8,
    dimensions: usize,
    rows: u16,
}

const SMALL: Golden = Golden { metric: Metric::Cosine, planes: 2, dimensions: 6, rows: 60 };
const WIDE: Golden = Golden { metric: Metric::L2, planes: 1, dimensions: 2_100, rows: 3 };
const TUNING: Tuning = Tuning { fold_rows: 6, split_rows: 20, first_fold_rows: 10, path: CpuPath::Scalar };

impl Golden {
    /// Returns a row's value: most of it zeros where it is wide; `None` for NULL.
    fn value(&self, row: u16) -> Option<Vec<f32>> {
        let number = |dimension: usize| f32::from((row * 37 + dimension as u16 * 11) % 97) / 48.0 - 1.0;
        let is_zero = |dimension: usize| row % 25 == 8 || (self.dimensions > 100 && dimension % 700 != 3);
        let values = (0..self.dimensions).map(|dimension| if is_zero(dimension) { 0.0 } else { number(dimension) });
        (row % 25 != 4).then(|| values.collect())
    }

    fn is_dead(row: u16) -> bool {
        row % 15 == 7 || row == 29
    }

    fn build(&self) -> MemoryPages {
        let pages = MemoryPages::new();
        let Self { metric, planes, .. } = *self;
        create(&pages, &Settings { metric, planes, is_rounded: false, dimensions: 0, build: 15 }).unwrap();
        let mut cache = Cache::default();
        for row in 1..=self.rows {
            let values = self.value(row);
            let value = values.as_deref().map_or(Value::Null, Value::Vector);
            insert(&pages, &mut cache, &TUNING, Tid { block: 0, offset: row }, value, false).unwrap();
        }
        bulk_delete(&pages, &mut |tid| Self::is_dead(tid.offset)).unwrap();
        pages
    }

    fn matching(&self, dimension: usize, lo: f32, hi: f32) -> BTreeSet<u16> {
        let is_in = |row: &u16| self.value(*row).is_some_and(|values| (lo..=hi).contains(&values[dimension]));
        (1..=self.rows).filter(|row| !Self::is_dead(*row) && is_in(row)).collect()
    }

    /// A scan finds the rows that lie in a range; it says of each row but those at a code of a bound that it does.
    fn assert_found(&self, pages: &MemoryPages, dimension: usize, lo: f32, hi: f32) {
        let condition = Condition { dimension: dimension as u32, lo: lo.into(), hi: hi.into() };
        let mut scan = RangeScan::begin(pages, vec![condition], Maps::default()).unwrap();
        let mut found: Vec<Found> = Vec::new();
        while scan.next(pages, &mut found).unwrap() {}
        let rows = |found: &mut dyn Iterator<Item = &Found>| found.map(|row| row.tid.offset).collect::<BTreeSet<_>>();
        let matching = self.matching(dimension, lo, hi);
        let (all, sure) = (rows(&mut found.iter()), rows(&mut found.iter().filter(|row| !row.recheck)));
        assert!(sure.is_subset(&matching) && matching.is_subset(&all), "{dimension}: {lo} to {hi}: {found:?}");
    }
}

fn bytes_of(pages: &MemoryPages) -> Vec<u8> {
    (0..pages.blocks()).flat_map(|block| pages.page(Block(block)).0).collect()
}

fn pack(pages: &MemoryPages, out: &mut Vec<u8>) {
    out.extend(pages.blocks().to_le_bytes());
    let bytes = bytes_of(pages);
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let zeros = rest.iter().take(usize::from(u16::MAX)).take_while(|byte| **byte == 0).count();
        // Fewer than four zeros are not worth a run.
        let others = rest[zeros..].windows(4).position(|window| window == [0; 4]).unwrap_or(rest.len() - zeros);
        let others = others.min(usize::from(u16::MAX));
        out.extend((zeros as u16).to_le_bytes());
        out.extend((others as u16).to_le_bytes());
        out.extend(&rest[zeros..zeros + others]);
        rest = &rest[zeros + others..];
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (taken, rest) = bytes.split_first_chunk().expect("the file is whole");
    *bytes = rest;
    *taken
}

fn unpack(packed: &mut &[u8]) -> MemoryPages {
    let count = u32::from_le_bytes(take(packed));
    let mut bytes = Vec::new();
    while bytes.len() < count as usize * PAGE_BYTES {
        let (zeros, others) = (u16::from_le_bytes(take(packed)), u16::from_le_bytes(take(packed)));
        bytes.resize(bytes.len() + usize::from(zeros), 0);
        let (run, rest) = packed.split_at(usize::from(others));
        bytes.extend(run);
        *packed = rest;
    }
    let pages = MemoryPages::new();
    for contents in bytes.as_chunks().0 {
        let block = pages.allocate().unwrap();
        pages.damage(block, |page| page.0 = *contents);
    }
    pages
}

fn golden() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/dimspace-v1.bin");
    std::fs::read(path).expect("the golden bytes are part of the repository")
}

#[test]
fn version_1_is_read() {
    let bytes = golden();
    let packed = &mut bytes.as_slice();
    let mut kinds = BTreeSet::new();
    for index in [SMALL, WIDE] {
        let pages = unpack(packed);
        let checked = examine(&pages).unwrap();
        assert!(checked.problems.is_empty(), "{checked:?}");
        for (dimension, lo, hi) in
            [(0, -0.5, 0.5), (3, 0.0, 0.0), (5, -1.0, 1.0), (3, 0.25, f32::INFINITY), (4, 2.0, 3.0)]
        {
            index.assert_found(&pages, dimension, lo, hi);
        }
        let live = (1..=index.rows).filter(|row| !Golden::is_dead(*row)).count() as u64;
        let stats = stats(&pages, CpuPath::Scalar).unwrap();
        assert_eq!(stats.rows + stats.odd_rows, live);
        kinds.extend((0..pages.blocks()).filter_map(|block| pages.page(Block(block)).kind()));
    }
    assert!(packed.is_empty());
    let missing: Vec<_> = Kind::ALL.iter().filter(|kind| !kinds.contains(kind)).collect();
    assert_eq!(missing, [&Kind::New, &Kind::Bits]);
}

#[test]
fn version_1_is_written() {
    let mut bytes = Vec::new();
    [SMALL, WIDE].iter().for_each(|index| pack(&index.build(), &mut bytes));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dimspace-v1.bin");
    std::fs::write(&path, &bytes).unwrap();
    assert!(bytes == golden(), "today's code writes other bytes: {}", path.display());
}
