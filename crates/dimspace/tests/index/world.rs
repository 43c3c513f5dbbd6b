//! An index in memory beside what it must hold, and values and ranges that are hard to get right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atom::Never;
use dimspace::check::{Stored, StoredRow, check, rows};
use dimspace::codes::Scale;
use dimspace::kmeans::{Alone, Matrix};
use dimspace::layout::{Meta, OddKind};
use dimspace::memory::{MemoryPages, Random};
use dimspace::metric::Metric;
use dimspace::{
    Block, Builder, Cache, Condition, DimspaceError, Encoder, Found, RangeScan, Settings, Tid, Trained, Tuning,
    Value as Given, bulk_delete, create, insert, train,
};
use vector::distance::Path;

use crate::history::{History, Range, Value};

/// What kind of values a test has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Numbers from -1 to 1.
    Plain,
    /// One of three centers, and little beside it.
    Clustered,
    /// The same for all rows.
    Equal,
    /// Near zero, near the greatest float32, zeros.
    Extreme,
    /// On the codes of the newest scale set, and beside them.
    Edges,
}

impl Values {
    const ALL: [Self; 5] = [Self::Plain, Self::Clustered, Self::Equal, Self::Extreme, Self::Edges];
}

/// What a run of a test is like; its seed decides.
#[derive(Debug, Clone)]
pub struct Case {
    pub settings: Settings,
    pub tuning: Tuning,
    pub values: Values,
    /// Rows that are there at most.
    pub rows_max: usize,
}

impl Case {
    pub fn new(random: &mut Random, dimensions: u32) -> Self {
        let settings = Settings {
            metric: Metric::ALL[random.below(3)],
            planes: 1 + random.below(2) as u8,
            is_rounded: random.one_in(3),
            dimensions: if random.one_in(2) { dimensions } else { 0 },
            build: random.bits(),
        };
        let tuning = Tuning {
            fold_rows: 1 + random.below(8) as u32,
            split_rows: 4 + random.below(40) as u32,
            first_fold_rows: 1 + random.below(20) as u32,
            path: if random.one_in(2) { Path::best() } else { Path::Scalar },
        };
        let values = Values::ALL[random.below(Values::ALL.len())];
        let rows_max = match dimensions {
            0..=20 => 300,
            21..=400 => 120,
            _ => 40,
        };
        Self { settings, tuning, values, rows_max }
    }
}

/// Returns a value near the codes of a dimension.
fn edge(random: &mut Random, scale: Scale) -> f32 {
    let code = [0, 1, 255, 256, 32_768, 65_534, 65_535, random.below(65_536) as u16][random.below(8)];
    let middle = scale.value(code);
    let x = match random.below(4) {
        0 => middle,
        1 => middle + scale.step() / 2.0,
        2 => scale.coarse_value((code >> 8) as u8),
        _ => scale.low() - scale.step() * random.below(3) as f32,
    };
    near(random, x)
}

/// Returns a number or one of its neighbours.
fn near(random: &mut Random, x: f32) -> f32 {
    let x = match random.below(3) {
        0 => x,
        1 => x.next_up(),
        _ => x.next_down(),
    };
    if x.is_finite() { x } else { f32::MAX }
}

fn plain(random: &mut Random) -> f32 {
    random.below(2_000_001) as f32 / 1e6 - 1.0
}

fn extreme(random: &mut Random) -> f32 {
    let numbers = [0.0, -0.0, 1e-45, -1e-45, f32::MIN_POSITIVE, 1e-38, f32::MAX, f32::MIN, 3e38, 1e20, -1e20, 1.0];
    numbers[random.below(numbers.len())]
}

/// Returns the newest scales of the index, of the dimensions on their first page.
fn scales(pages: &MemoryPages) -> Vec<Scale> {
    let Ok(meta) = Meta::read(&pages.page(Block::META)) else { return Vec::new() };
    let Some(first) = meta.scale_pages.last() else { return Vec::new() };
    let page = pages.page(*first);
    let (numbers, _) = page.payload().as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    let (scales, _) = numbers.as_chunks::<2>();
    let scales = scales.iter().take(meta.dimensions as usize);
    scales.map_while(|[low, step]| Scale::new(*low, *step)).collect()
}

fn coordinate(random: &mut Random, values: Values, place: usize, scale: Option<&Scale>) -> f32 {
    match (values, scale) {
        (Values::Clustered, _) => (place % 3) as f32 + plain(random) / 1e3,
        (Values::Equal, _) => 0.25,
        (Values::Extreme, _) => extreme(random),
        (Values::Edges, Some(scale)) => edge(random, *scale),
        (Values::Edges | Values::Plain, _) => plain(random),
    }
}

/// Returns what the user gives: for float64 now and then what float32 does not hold.
pub fn value(random: &mut Random, case: &Case, dimensions: u32, pages: &MemoryPages) -> Value {
    match random.below(40) {
        0 => return None,
        1 => return Some(vec![0.0; dimensions as usize].into()),
        _ => {}
    }
    let scales = if case.values == Values::Edges { scales(pages) } else { Vec::new() };
    // Rows of all kinds come to each index, most of its own.
    let kind = if random.one_in(20) { Values::ALL[random.below(5)] } else { case.values };
    let center = random.below(3);
    let coordinate = |dimension: usize| {
        let x = f64::from(coordinate(random, kind, dimension + center, scales.get(dimension)));
        if case.settings.is_rounded && random.one_in(2) && x.abs() < 1e38 { x + x * 1e-9 } else { x }
    };
    Some((0..dimensions as usize).map(coordinate).collect())
}

/// Returns what the index gets of a value.
pub fn rounded(value: &Value) -> Option<Vec<f32>> {
    value.as_ref().map(|values| values.iter().map(|value| *value as f32).collect())
}

fn bound(random: &mut Random, known: &[Arc<[f64]>], scales: &[Scale], dimension: usize) -> f64 {
    let row = known.get(random.below(known.len())).map_or(0.0, |row| row[dimension]);
    match (random.below(12), scales.get(dimension)) {
        (0..=4, _) => row,
        (5, _) => row.next_up(),
        (6, _) => row.next_down(),
        (7, _) => f64::NEG_INFINITY,
        (8, _) => f64::INFINITY,
        (9, Some(scale)) => f64::from(edge(random, *scale)),
        (10, _) if random.one_in(4) => f64::NAN,
        _ => f64::from(plain(random)),
    }
}

/// Returns one to three ranges; most of them hold something.
pub fn ranges(random: &mut Random, history: &History, dimensions: u32, pages: &MemoryPages) -> Vec<Range> {
    let known: Vec<Arc<[f64]>> = history.values().filter_map(|(_, row)| row.value.clone()).take(50).collect();
    let scales = scales(pages);
    let count = 1 + random.below(3);
    let range = |_| {
        let dimension = random.below(dimensions as usize);
        let (a, b) = (bound(random, &known, &scales, dimension), bound(random, &known, &scales, dimension));
        let (lo, hi) = if a > b && !random.one_in(10) { (b, a) } else { (a, b) };
        Range { dimension: dimension as u32, lo, hi }
    };
    (0..count).map(range).collect()
}

/// Runs a scan to its end.
pub fn scan(pages: &MemoryPages, ranges: &[Range]) -> Result<Vec<(Tid, bool)>, DimspaceError> {
    let conditions = ranges.iter().map(|range| Condition { dimension: range.dimension, lo: range.lo, hi: range.hi });
    let mut scan = RangeScan::begin(pages, conditions.collect(), pages.take_maps())?;
    let mut found: Vec<Found> = Vec::new();
    while scan.next(pages, &mut found)? {}
    assert_eq!(scan.report().rows, found.len() as u64);
    pages.keep_maps(scan.into_maps());
    Ok(found.into_iter().map(|found| (found.tid, found.recheck)).collect())
}

pub fn insert_value(
    pages: &MemoryPages,
    cache: &mut Cache,
    case: &Case,
    tid: Tid,
    value: &Value,
) -> Result<(), DimspaceError> {
    let values = rounded(value);
    let given = values.as_deref().map_or(Given::Null, Given::Vector);
    insert(pages, cache, &case.tuning, tid, given, case.settings.is_rounded)
}

pub fn empty_index(case: &Case) -> MemoryPages {
    let pages = MemoryPages::new();
    create(&pages, &case.settings).expect("nothing fails in memory");
    pages
}

/// Returns an index built from rows, which the history then knows.
pub fn built_index(random: &mut Random, case: &Case, dimensions: u32, history: &mut History) -> MemoryPages {
    let pages = MemoryPages::new();
    let settings = Settings { dimensions, ..case.settings };
    let mut sample = Matrix::new(dimensions as usize);
    let mut given = Vec::new();
    for _ in 0..random.below(case.rows_max) {
        let value = value(random, case, dimensions, &pages);
        if let Some(values) = rounded(&value) {
            sample.push(&values);
        }
        given.push((history.place(), value));
    }
    let cells = 1 + random.below(6);
    let trained = train(&sample, cells, settings.metric, case.tuning.path, &Alone, &Never).expect("never interrupted");
    build(&pages, &settings, &trained, case, &given).expect("nothing fails in memory");
    for (tid, value) in given {
        let now = history.now(pages.records());
        history.begin(tid, value, now);
        history.end(tid, true, now);
    }
    pages
}

fn build(
    pages: &MemoryPages,
    settings: &Settings,
    trained: &Trained,
    case: &Case,
    given: &[(Tid, Value)],
) -> Result<(), DimspaceError> {
    let encoder = Encoder::new(trained, settings, case.tuning.path);
    let (mut coded, mut odd) = (Vec::new(), Vec::new());
    for (tid, value) in given {
        let mut bytes = Vec::new();
        match rounded(value).map(|values| encoder.encode(*tid, &values, &mut bytes)) {
            Some(Some(cell)) => coded.push((cell, bytes)),
            Some(None) => odd.push((*tid, OddKind::Zero)),
            None => odd.push((*tid, OddKind::Null)),
        }
    }
    coded.sort();
    let mut rows_per_cell = vec![0; trained.centroids.rows()];
    coded.iter().for_each(|(cell, _)| rows_per_cell[*cell as usize] += 1);
    let mut builder = Builder::new(pages, settings, trained, &rows_per_cell)?;
    coded.iter().try_for_each(|(cell, row)| builder.push(*cell, row))?;
    odd.iter().try_for_each(|(tid, kind)| builder.push_odd(*tid, *kind))
}

/// Deletes; every row that must be there has to be asked for.
pub fn delete(pages: &MemoryPages, dead: &[Tid], live: &[Tid]) -> Result<(), DimspaceError> {
    let mut asked = BTreeSet::new();
    let dead: BTreeSet<Tid> = dead.iter().copied().collect();
    bulk_delete(pages, &mut |tid| {
        asked.insert(tid);
        dead.contains(&tid)
    })?;
    let missed: Vec<&Tid> = live.iter().filter(|tid| !asked.contains(tid)).collect();
    assert!(missed.is_empty(), "a deletion did not ask for {missed:?}");
    Ok(())
}

/// Checks every rule of the layout, and that the index stores what it must and nothing that it may not.
pub fn check_all(pages: &MemoryPages, history: &History) {
    let problems = check(pages).expect("nothing fails in memory");
    assert!(problems.is_empty(), "{problems:#?}");
    let mut stored = BTreeMap::new();
    let mut visit = |row: StoredRow| {
        assert!(stored.insert(row.tid, row.stored).is_none(), "{:?} is stored twice", row.tid);
        Ok(())
    };
    rows(pages, &mut visit).expect("an index without problems is read");
    for (tid, row) in history.values() {
        let stored = stored.remove(&tid);
        assert!(stored.is_some() || row.done.is_none() || row.dead.is_some(), "{tid:?} is not stored: {row:?}");
        if let Some(Stored::Odd(_)) = stored {
            let is_zero = row.value.as_ref().is_none_or(|values| values.iter().all(|x| *x as f32 == 0.0));
            assert!(is_zero, "{tid:?} is odd, and a vector");
        }
    }
    assert!(stored.is_empty(), "rows are stored that were deleted: {:?}", stored.keys());
}
