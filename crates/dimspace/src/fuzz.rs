//! Body of the fuzz target, so that `cargo test` runs it too.  Not part of the interface.
//!
//! Damages a sound index as the input says, then reads and writes it by every way there is: each ends with what it is for or an
//! error, after a number of steps that fits the size of the index.

use std::sync::OnceLock;

use atom::Never;
use vector::distance::Path;

use crate::build::{Builder, Encoder, train};
use crate::check;
use crate::create::{Settings, create};
use crate::error::{DimspaceError, Result};
use crate::growth::quantiles_of;
use crate::insert::{Cache, Tuning, Value, insert};
use crate::kmeans::{Alone, Matrix};
use crate::layout::{Tid, seal};
use crate::memory::{MemoryPages, Random};
use crate::metric::Metric;
use crate::page::{Block, PAGE_BYTES, PAYLOAD_FROM, Page, Pages, TRAILER_FROM};
use crate::scan::{Condition, Maps, RangeScan};
use crate::stats::stats;
use crate::vacuum::{bulk_delete, cleanup};

/// The most pieces of damage.
const DAMAGES_MAX: usize = 16;
/// Looks for an interrupt after which an operation on these small indexes runs in circles.
const CHECKS_MAX: u64 = 200_000;
/// Few rows make scale sets, folds and splits.
const TUNING: Tuning = Tuning { fold_rows: 4, split_rows: 12, first_fold_rows: 8, path: Path::Scalar };

/// Dimensions and what they are asked for.
const RANGES: [(u32, f64, f64); 4] =
    [(0, -0.5, 0.5), (1, f64::NEG_INFINITY, 0.25), (2, 0.0, 0.0), (4099, 0.0, f64::INFINITY)];

/// Damages an index and uses it.  The first byte says which one.
pub fn pages(data: &[u8]) {
    let indexes = indexes();
    let Some((which, damage)) = data.split_first() else { return };
    let index = &indexes[usize::from(*which) % indexes.len()];
    let pages = index.crash(index.records()).lenient();
    // What a session knows from before the damage.
    let maps = bounded(&pages, |pages| scan(pages, &RANGES[..1], Maps::default()));
    let mut input = Input(damage);
    for _ in 0..DAMAGES_MAX {
        if input.0.is_empty() {
            break;
        }
        damage_once(&pages, index, &mut input);
    }
    bounded(&pages, |pages| scan(pages, &RANGES[..2], maps.unwrap_or_default()));
    read_it(&pages);
    write_it(&pages);
    read_it(&pages);
}

/// Bytes that are taken from the front; zeros behind the end.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn some(&mut self, count: usize) -> &'a [u8] {
        let (some, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        some
    }

    fn byte(&mut self) -> u8 {
        self.some(1).first().copied().unwrap_or(0)
    }

    fn number(&mut self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    fn block(&mut self, pages: &MemoryPages) -> Block {
        Block(u32::from(self.byte()) % pages.blocks().max(1))
    }
}

/// Applies one piece of damage: a number of contents or trailer, some bytes, a page of the index or made of the input.
fn damage_once(pages: &MemoryPages, index: &MemoryPages, input: &mut Input<'_>) {
    let (what, block) = (input.byte(), input.block(pages));
    match what % 6 {
        0 => put(pages, block, PAYLOAD_FROM + usize::from(input.byte()), input.some(1)),
        1 => put(pages, block, PAYLOAD_FROM + 4 * usize::from(input.byte()), input.some(4)),
        2 => put(pages, block, TRAILER_FROM + usize::from(input.byte() % 16), input.some(1)),
        3 => {
            let (from, count) = (input.number() % PAGE_BYTES, usize::from(input.byte() % 64));
            put(pages, block, from, input.some(count));
        }
        4 => {
            let other = index.page(input.block(index));
            pages.damage(block, |page| *page = other);
        }
        _ => {
            let (count, keeps_trailer) = (usize::from(input.byte()), input.byte() < 128);
            let bytes = input.some(count);
            pages.damage(block, |page| repeat(page, bytes, keeps_trailer));
        }
    }
    if block == Block::META {
        pages.damage(block, seal);
    }
}

fn put(pages: &MemoryPages, block: Block, from: usize, bytes: &[u8]) {
    pages.damage(block, |page| page.0[from..].iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte));
}

fn repeat(page: &mut Page, bytes: &[u8], keeps_trailer: bool) {
    let end = if keeps_trailer { TRAILER_FROM } else { PAGE_BYTES };
    let repeated = bytes.iter().copied().cycle().chain(std::iter::repeat(0));
    page.0[..end].iter_mut().zip(repeated).for_each(|(place, byte)| *place = byte);
}

/// Runs something that ends with an error at worst, and not because it runs in circles.
fn bounded<T>(pages: &MemoryPages, work: impl FnOnce(&MemoryPages) -> Result<T>) -> Option<T> {
    pages.cancel_after(CHECKS_MAX);
    let result = work(pages);
    pages.cancel_after(0);
    assert!(!matches!(result, Err(DimspaceError::Interrupted)), "an operation runs in circles");
    result.ok()
}

fn read_it(pages: &MemoryPages) {
    for ranges in [&RANGES[..1], &RANGES[..3], &RANGES[3..]] {
        bounded(pages, |pages| scan(pages, ranges, Maps::default()));
    }
    let problems = bounded(pages, check::check);
    let rows = bounded(pages, |pages| check::rows(pages, &mut |_| Ok(())));
    assert!(
        problems.is_none_or(|problems| problems.is_empty()) || rows.is_none(),
        "rows of a broken index are handed out"
    );
    bounded(pages, |pages| stats(pages, Path::Scalar));
    for dimension in [0, 1, 61, 4099, u32::MAX] {
        bounded(pages, |pages| quantiles_of(pages, dimension));
    }
}

fn scan(pages: &MemoryPages, ranges: &[(u32, f64, f64)], maps: Maps) -> Result<Maps> {
    let conditions = ranges.iter().map(|&(dimension, lo, hi)| Condition { dimension, lo, hi });
    let mut scan = RangeScan::begin(pages, conditions.collect(), maps)?;
    let mut found = Vec::new();
    while scan.next(pages, &mut found)? {
        found.clear();
    }
    Ok(scan.into_maps())
}

fn write_it(pages: &MemoryPages) {
    bounded(pages, |pages| bulk_delete(pages, &mut |tid| tid.offset % 3 == 0));
    let (mut cache, mut random) = (Cache::default(), Random::new(1));
    for (offset, dimensions) in (1000..).zip([8, 5, 3, 4100, 2, 8, 8, 5, 5, 3, 3, 2100, 2, 2]) {
        let values = row(&mut random, dimensions);
        let tid = Tid { block: 7, offset };
        bounded(pages, |pages| insert(pages, &mut cache, &TUNING, tid, Value::Vector(&values), false));
    }
    bounded(pages, |pages| insert(pages, &mut cache, &TUNING, Tid { block: 7, offset: 1 }, Value::Null, false));
    bounded(pages, |pages| cleanup(pages, &TUNING));
}

fn row(random: &mut Random, dimensions: usize) -> Vec<f32> {
    (0..dimensions).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect()
}

/// Sound indexes with every kind of page: planes, metrics, without a scale set, wide rows with rests, many cells.
fn indexes() -> &'static [MemoryPages] {
    static INDEXES: OnceLock<Vec<MemoryPages>> = OnceLock::new();
    INDEXES.get_or_init(|| {
        let made = [
            inserted(Metric::L2, 2, 8, 60),
            inserted(Metric::Cosine, 1, 5, 60),
            inserted(Metric::InnerProduct, 2, 3, 7),
            inserted(Metric::L2, 2, 2100, 5),
            inserted(Metric::Cosine, 2, 4100, 14),
            built(Metric::L2, 1, 2, 127),
        ];
        made.into_iter().map(|index| index.expect("a sound index is made")).collect()
    })
}

fn settings(metric: Metric, planes: u8) -> Settings {
    Settings { metric, planes, is_rounded: false, dimensions: 0, build: 42 }
}

/// Makes an index by inserts; some rows are odd, some dead.
fn inserted(metric: Metric, planes: u8, dimensions: usize, rows: u16) -> Result<MemoryPages> {
    let pages = MemoryPages::new();
    create(&pages, &settings(metric, planes))?;
    let (mut cache, mut random) = (Cache::default(), Random::new(dimensions as u64));
    for offset in 1..=rows {
        let values = match offset % 16 {
            5 => vec![0.0; dimensions],
            _ => row(&mut random, dimensions),
        };
        let value = if offset % 16 == 3 { Value::Null } else { Value::Vector(&values) };
        insert(&pages, &mut cache, &TUNING, Tid { block: 1, offset }, value, false)?;
    }
    bulk_delete(&pages, &mut |tid| tid.offset % 16 == 7 || tid.offset % 32 == 3)?;
    pages.checkpoint();
    Ok(pages)
}

/// Builds an index of so many cells, a row each.
fn built(metric: Metric, planes: u8, dimensions: usize, cells: usize) -> Result<MemoryPages> {
    let (pages, mut random) = (MemoryPages::new(), Random::new(3));
    let mut sample = Matrix::new(dimensions);
    (0..cells).for_each(|_| sample.push(&row(&mut random, dimensions)));
    let trained = train(&sample, cells, metric, Path::Scalar, &Alone, &Never)?;
    let encoder = Encoder::new(&trained, &settings(metric, planes), Path::Scalar);
    let mut coded = Vec::new();
    for number in 0..cells {
        let mut bytes = Vec::new();
        let tid = Tid { block: 0, offset: number as u16 + 1 };
        coded.extend(encoder.encode(tid, sample.row(number), &mut bytes).map(|cell| (cell, bytes)));
    }
    coded.sort_by_key(|(cell, _)| *cell);
    let mut counts = vec![0; trained.centroids.rows()];
    coded.iter().for_each(|(cell, _)| counts[*cell as usize] += 1);
    let mut builder = Builder::new(&pages, &settings(metric, planes), &trained, &counts)?;
    coded.iter().try_for_each(|(cell, bytes)| builder.push(*cell, bytes))?;
    pages.checkpoint();
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Kind;

    #[test]
    fn the_indexes_are_sound_and_have_every_kind_of_page() {
        let mut seen = std::collections::BTreeSet::new();
        for index in indexes() {
            assert_eq!(check::check(index), Ok(Vec::new()));
            seen.extend((0..index.blocks()).filter_map(|block| index.page(Block(block)).kind()));
        }
        assert!(Kind::ALL.iter().all(|kind| matches!(kind, Kind::New | Kind::Bits) || seen.contains(kind)), "{seen:?}");
    }

    /// Numbers that lie at the ends, in the contents' first words and in the trailer, of each kind of page.
    #[test]
    fn every_kind_of_page_may_be_damaged() {
        for (which, index) in (0..).zip(indexes()) {
            let mut seen = std::collections::BTreeSet::new();
            for block in 0..index.blocks().min(256) as u8 {
                if seen.insert(index.page(Block(block.into())).kind()) {
                    damage_page(which, block);
                }
            }
        }
    }

    fn damage_page(which: u8, block: u8) {
        [0, 4, 6, 13].into_iter().for_each(|place| pages(&[which, 1, block, place, 0xff, 0xff, 0xff, 0xff]));
        [0, 4, 8].into_iter().for_each(|place| pages(&[which, 2, block, place, block]));
        pages(&[which, 4, block, block / 2]);
        pages(&[which, 5, block, 1, 0, block]);
    }

    /// What a fuzzer once found, and what one left on this machine.
    #[test]
    fn the_corpus_ends_with_errors_at_worst() {
        for directory in ["regressions", "corpus"] {
            let path =
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(directory).join("dimspace");
            for entry in std::fs::read_dir(path).into_iter().flatten() {
                let path = entry.unwrap().path();
                // Shown when the body panics: the file to look at.
                println!("{}", path.display());
                pages(&std::fs::read(&path).unwrap());
            }
        }
    }
}
