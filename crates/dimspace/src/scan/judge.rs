//! Judging rows of segments by their codes.
//!
//! Many segments are judged together, by one dimension after the other, so that the memory of those ahead is on its way while one is
//! judged: a scan waits most of its time for memory.  Low bytes are read at the end, for the rows that the high bytes of all
//! dimensions leave.

use std::ops::Range;

use super::Condition;
use crate::coded::plain_values;
use crate::codes::{CodeBounds, ExactBounds, Verdict};
use crate::error::{DimspaceError, Result};
use crate::page::Pages;
use crate::segment::{PLANES, Segment};
use crate::tile::{RowMask, classify, edge_codes, settle};

/// Segments that are judged together.
pub(super) const SEGMENTS_MAX: usize = 64;
/// How many segments ahead memory is fetched.
const AHEAD: usize = 6;

/// A segment whose rows are judged.
pub(super) struct Judged<'m> {
    /// The place of its cell among those that are read together.
    pub cell: usize,
    pub segment: &'m Segment,
    /// Rows that meet all conditions for sure.
    pub inside: RowMask,
    /// Rows that may.
    pub possible: RowMask,
    /// A page that is not what the segment's head says.
    pub damage: Option<DimspaceError>,
}

/// Rows of a segment that the high byte of a dimension does not settle.
#[derive(Debug)]
struct Edge {
    /// The place of the segment among those that are judged together.
    judged: usize,
    condition: usize,
    dimension: usize,
    rows: RowMask,
    /// Where their high bytes are kept.
    high: Range<usize>,
}

impl<'m> Judged<'m> {
    pub fn new(cell: usize, segment: &'m Segment) -> Self {
        let all = RowMask::all(segment.head.shape.rows());
        Self { cell, segment, inside: all, possible: all, damage: None }
    }

    /// Does something with a segment that has rows left.  A damaged page ends this segment only.
    pub fn unless_done(&mut self, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if self.damage.is_some() || self.possible.is_empty() {
            return Ok(());
        }
        let result = work(self);
        set_aside(result, &mut self.damage)?;
        Ok(())
    }

    /// Has the memory fetch one plane of a dimension, if some of these rows are left.
    fn fetch_codes<P: Pages>(&self, pages: &P, plane: usize, dimension: usize, rows: &RowMask) {
        if !self.possible.and(rows).is_empty() {
            let (number, dimension) = self.segment.head.shape.place(dimension);
            pages.prefetch(self.segment.code_block(plane, number), self.segment.head.shape.column_starts(dimension));
        }
    }

    /// Has the memory fetch the records of the rows that are left.
    pub fn fetch_rows<P: Pages>(&self, pages: &P) {
        if !self.possible.is_empty() {
            let places = self.possible.iter().map(|row| self.segment.head.record_place(row));
            pages.prefetch(self.segment.block, places);
        }
    }
}

/// Conditions, and what they are in each scale set.
#[derive(Debug)]
pub(super) struct Judge {
    pub conditions: Vec<Condition>,
    /// Bounds of each condition, set after set.
    pub bounds: Vec<CodeBounds>,
    /// What high bytes left open, and those bytes.
    edges: Vec<Edge>,
    high: Vec<u8>,
    /// Pages read.
    pub pages: u64,
}

/// Returns what was read, or nothing where a page was damaged, which is set aside: it may be that the page has changed meanwhile.
pub(super) fn set_aside<T>(result: Result<T>, damage: &mut Option<DimspaceError>) -> Result<Option<T>> {
    match result {
        Err(damaged @ DimspaceError::Damaged { .. }) => {
            *damage = Some(damaged);
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// Visits so many things in order; those some steps ahead are fetched before.
pub(super) fn for_each_ahead<T: ?Sized>(
    count: usize,
    things: &mut T,
    fetch: impl Fn(&T, usize),
    mut visit: impl FnMut(&mut T, usize) -> Result<()>,
) -> Result<()> {
    (0..count.min(AHEAD)).for_each(|n| fetch(things, n));
    for n in 0..count {
        if n + AHEAD < count {
            fetch(things, n + AHEAD);
        }
        visit(things, n)?;
    }
    Ok(())
}

impl Judge {
    pub fn new(conditions: Vec<Condition>) -> Self {
        Self { conditions, bounds: Vec::new(), edges: Vec::new(), high: Vec::new(), pages: 0 }
    }

    /// Returns a condition's bounds in a segment's scale set.
    fn bounds_of(&self, condition: usize, segment: &Segment) -> Result<CodeBounds> {
        let place = (usize::from(segment.head.scale_set) - 1) * self.conditions.len() + condition;
        // A map may be of a time when the meta page, damaged since, named more.
        let bounds = self.bounds.get(place).copied();
        bounds.ok_or_else(|| DimspaceError::damaged(segment.block, "a segment's scale set exists"))
    }

    /// Judges segments by all conditions.
    pub fn judge<P: Pages>(&mut self, pages: &P, batch: &mut [Judged<'_>]) -> Result<()> {
        self.edges.clear();
        self.high.clear();
        for condition in 0..self.conditions.len() {
            let dimension = self.conditions[condition].dimension as usize;
            for_each_ahead(
                batch.len(),
                batch,
                |batch, n| batch[n].fetch_codes(pages, 0, dimension, &batch[n].possible),
                |batch, n| batch[n].unless_done(|judged| self.classify(pages, condition, n, judged)),
            )?;
        }
        let edges = std::mem::take(&mut self.edges);
        for_each_ahead(
            edges.len(),
            batch,
            |batch, n| {
                let edge = &edges[n];
                batch[edge.judged].fetch_codes(pages, 1, edge.dimension, &edge.rows);
            },
            |batch, n| batch[edges[n].judged].unless_done(|judged| self.settle(pages, &edges[n], judged)),
        )?;
        self.edges = edges;
        Ok(())
    }

    /// Judges a segment by the high bytes of a dimension; with low bytes to come, rows at the edge count as inside meanwhile.
    fn classify<P: Pages>(&mut self, pages: &P, condition: usize, place: usize, judged: &mut Judged<'_>) -> Result<()> {
        let (segment, shape) = (judged.segment, judged.segment.head.shape);
        let bounds = self.bounds_of(condition, segment)?;
        let dimension = self.conditions[condition].dimension as usize;
        let (number, column) = shape.place(dimension);
        let page = read_codes_page(pages, segment, 0, number)?;
        self.pages += 1;
        let (sure, edge) = classify(page.payload(), shape, column, bounds);
        let may_be = sure.or(&edge);
        judged.possible = judged.possible.and(&may_be);
        if segment.head.planes == 1 {
            judged.inside = judged.inside.and(&sure);
            return Ok(());
        }
        judged.inside = judged.inside.and(&may_be);
        let rows = edge.and(&judged.possible);
        if !rows.is_empty() {
            let from = self.high.len();
            edge_codes(page.payload(), shape, column, rows, &mut self.high);
            self.edges.push(Edge { judged: place, condition, dimension, rows, high: from..self.high.len() });
        }
        Ok(())
    }

    /// Judges the rows that the high bytes left at the edge by the low ones.
    fn settle<P: Pages>(&mut self, pages: &P, edge: &Edge, judged: &mut Judged<'_>) -> Result<()> {
        if edge.rows.and(&judged.possible).is_empty() {
            return Ok(());
        }
        let (segment, shape) = (judged.segment, judged.segment.head.shape);
        let bounds = self.bounds_of(edge.condition, segment)?;
        let (number, column) = shape.place(edge.dimension);
        let page = read_codes_page(pages, segment, 1, number)?;
        self.pages += 1;
        let high = &self.high[edge.high.clone()];
        let (inside, undecided) = settle(high, page.payload(), shape, column, bounds, edge.rows);
        let not_sure = edge.rows.and_not(&inside);
        judged.inside = judged.inside.and_not(&not_sure);
        judged.possible = judged.possible.and_not(&not_sure.and_not(&undecided));
        Ok(())
    }

    /// Judges a row of a tail by its values.
    pub fn of_plain(&self, values: &[u8], is_rounded: bool) -> Verdict {
        all_of(self.conditions.iter().map(|condition| {
            let from = 4 * condition.dimension as usize;
            let value = plain_values(values.get(from..from + 4).unwrap_or_default()).first().copied();
            let bounds = ExactBounds { lo: condition.lo, hi: condition.hi };
            value.map_or(Verdict::Undecided, |value| bounds.decide(value, is_rounded))
        }))
    }

    /// Judges a row of a tail by its codes.
    pub fn of_coded(&self, scale_set: u16, planes: u8, codes: &[u8]) -> Verdict {
        let from = (usize::from(scale_set) - 1) * self.conditions.len();
        let (high, low) = codes.split_at(codes.len() / usize::from(planes));
        all_of(self.conditions.iter().zip(&self.bounds[from..]).map(|(condition, bounds)| {
            let dimension = condition.dimension as usize;
            match (high.get(dimension), low.get(dimension)) {
                (Some(high), Some(low)) => bounds.verdict(u16::from_be_bytes([*high, *low])),
                (Some(high), None) => bounds.coarse_verdict(*high),
                _ => Verdict::Undecided,
            }
        }))
    }
}

fn read_codes_page<'p, P: Pages>(pages: &'p P, segment: &Segment, plane: usize, number: usize) -> Result<P::Guard<'p>> {
    let block = segment.code_block(plane, number);
    let page = pages.read(block)?;
    if page.is(PLANES[plane], segment.number) {
        return Ok(page);
    }
    Err(DimspaceError::damaged(block, "a page of codes has its kind and segment"))
}

/// Outside where one is, inside where all are.
fn all_of(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let mut all = Verdict::Inside;
    for verdict in verdicts {
        match verdict {
            Verdict::Outside => return Verdict::Outside,
            Verdict::Undecided => all = Verdict::Undecided,
            Verdict::Inside => {}
        }
    }
    all
}
