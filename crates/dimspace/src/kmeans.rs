//! Cells: centroids by k-means, and which of them is nearest to a row.
//!
//! Deterministic: Lloyd's rounds from rows that a small generator of our own picks, equal on every CPU and for any number of
//! threads, because stored pages come from it.  Euclidean, but for cosine, where rows and centroids have length 1.
//! A sample is scaled by a power of two first, so that no sum overflows or vanishes.

use std::collections::{BinaryHeap, HashSet};
use std::ops::Range;

use atom::{Interrupt, Interrupted};
use vector::distance::Path;

use crate::metric::Metric;

mod crew;
mod matrix;
mod nearest;
mod random;

pub use crew::{Alone, Crew};
pub use matrix::Matrix;
pub use nearest::Nearest;

use matrix::Scaling;
use nearest::unit;
use random::Random;

/// The most rounds.
const ROUNDS_MAX: usize = 10;
/// Rounds end once at most one row in so many changes its cell.
const CHANGE_SHARE: usize = 200;
/// Multiply-adds of one piece of work: about a millisecond with AVX2.
const PIECE_PRODUCTS: usize = 1 << 23;
/// Pieces between two looks for an interrupt.
const PIECES_AT_ONCE: usize = 16;

/// Returns min(`cells`, rows of the sample) centroids, one at least; that of an empty sample is zero.
///
/// Begins with distinct rows where there are enough.  Errors: interrupted.
pub fn train(
    sample: &Matrix,
    cells: usize,
    metric: Metric,
    path: Path,
    crew: &impl Crew,
    interrupt: &impl Interrupt,
) -> Result<Matrix, Interrupted> {
    let cells = cells.min(sample.rows()).max(1);
    if sample.rows() == 0 {
        return Ok(Matrix::zeros(sample.dimensions(), cells));
    }
    let scaling = Scaling::of(sample);
    let rows = prepared(sample, metric, scaling, interrupt)?;
    let mut training = Training { rows: &rows, metric, path, random: Random::new(), assigned: Vec::new() };
    let mut centroids = training.first_centroids(cells, interrupt)?;
    for _ in 0..ROUNDS_MAX {
        let changed = training.assign(&centroids, crew, interrupt)?;
        centroids = training.centroids(cells, crew, interrupt)?;
        if changed <= rows.rows() / CHANGE_SHARE {
            break;
        }
    }
    Ok(if metric == Metric::Cosine { centroids } else { centroids.map_rows(|row, out| scaling.undo(row, out)) })
}

/// Returns two centroids that split the rows of a cell; both are equal where all rows are.
pub fn halves(
    rows: &Matrix,
    metric: Metric,
    path: Path,
    crew: &impl Crew,
    interrupt: &impl Interrupt,
) -> Result<[Vec<f32>; 2], Interrupted> {
    let centroids = train(rows, 2, metric, path, crew, interrupt)?;
    Ok([centroids.row(0).to_vec(), centroids.row(centroids.rows() - 1).to_vec()])
}

/// The rows that are trained on: scaled, and of length 1 for cosine.
fn prepared(
    sample: &Matrix,
    metric: Metric,
    scaling: Scaling,
    interrupt: &impl Interrupt,
) -> Result<Matrix, Interrupted> {
    let mut rows = Matrix::with_rows(sample.dimensions(), sample.rows());
    let mut prepared = vec![0.0; sample.dimensions()];
    for number in 0..sample.rows() {
        match metric {
            Metric::Cosine => unit(sample.row(number), &mut prepared),
            Metric::L2 | Metric::InnerProduct => scaling.apply(sample.row(number), &mut prepared),
        }
        rows.push(&prepared);
        if number.is_multiple_of(1024) {
            interrupt.check()?;
        }
    }
    Ok(rows)
}

/// Cuts `count` items into pieces of about [`PIECE_PRODUCTS`], in groups that are worked on between two looks for an
/// interrupt.
fn groups(count: usize, products_each: usize) -> impl Iterator<Item = Vec<Range<usize>>> {
    let piece = (PIECE_PRODUCTS / products_each.max(1)).max(1);
    (0..count).step_by(piece * PIECES_AT_ONCE).map(move |group| {
        let end = count.min(group + piece * PIECES_AT_ONCE);
        (group..end).step_by(piece).map(|start| start..end.min(start + piece)).collect()
    })
}

struct Training<'a> {
    rows: &'a Matrix,
    metric: Metric,
    path: Path,
    random: Random,
    /// The cell of each row.
    assigned: Vec<u32>,
}

impl Training<'_> {
    /// Rows in random order, those that are equal to one before only when the distinct ones are not enough.
    fn first_centroids(&mut self, cells: usize, interrupt: &impl Interrupt) -> Result<Matrix, Interrupted> {
        let mut order: Vec<usize> = (0..self.rows.rows()).collect();
        let (mut seen, mut distinct, mut repeated) = (HashSet::new(), Vec::new(), Vec::new());
        for place in 0..order.len() {
            if distinct.len() == cells {
                break;
            }
            let chosen = place + self.random.below(order.len() - place);
            order.swap(place, chosen);
            let first = seen.insert(self.rows.fingerprint(order[place]));
            if first {
                distinct.push(order[place])
            } else {
                repeated.push(order[place])
            }
            if place.is_multiple_of(1024) {
                interrupt.check()?;
            }
        }
        let mut centroids = Matrix::with_rows(self.rows.dimensions(), cells);
        distinct.iter().chain(&repeated).take(cells).for_each(|&row| centroids.push(self.rows.row(row)));
        Ok(centroids)
    }

    /// Finds the cell of each row; returns how many have another than before.
    fn assign(
        &mut self,
        centroids: &Matrix,
        crew: &impl Crew,
        interrupt: &impl Interrupt,
    ) -> Result<usize, Interrupted> {
        let nearest = Nearest::new(centroids.clone(), self.metric, self.path);
        let mut assigned = Vec::with_capacity(self.rows.rows());
        for pieces in groups(self.rows.rows(), centroids.rows() * self.rows.dimensions()) {
            interrupt.check()?;
            crew.map(&pieces, |piece| nearest.of_rows(self.rows, piece.clone()))
                .iter()
                .for_each(|cells| assigned.extend(cells));
        }
        let before = std::mem::replace(&mut self.assigned, assigned);
        let kept = before.iter().zip(&self.assigned).filter(|(before, now)| before == now).count();
        Ok(self.assigned.len() - kept)
    }

    /// The means of the cells' rows.  An empty cell gets a row of the largest one, which counts for half as many from then on.
    fn centroids(&mut self, cells: usize, crew: &impl Crew, interrupt: &impl Interrupt) -> Result<Matrix, Interrupted> {
        let members = Members::new(&self.assigned, cells);
        let seeds = self.seeds(&members, cells);
        let mut centroids = Matrix::with_rows(self.rows.dimensions(), cells);
        let rows_each = self.rows.rows() / cells + 1;
        for pieces in groups(cells, rows_each * self.rows.dimensions()) {
            interrupt.check()?;
            let means =
                |cells: &Range<usize>| cells.clone().map(|cell| self.mean(members.of(cell))).collect::<Vec<_>>();
            crew.map(&pieces, means).iter().flatten().for_each(|mean| centroids.push(mean));
        }
        seeds.iter().for_each(|&(cell, row)| centroids.set(cell, self.rows.row(row)));
        Ok(centroids)
    }

    /// The empty cells, each with the row that it begins again from.
    fn seeds(&mut self, members: &Members, cells: usize) -> Vec<(usize, usize)> {
        let mut largest: BinaryHeap<(usize, usize)> = (0..cells).map(|cell| (members.of(cell).len(), cell)).collect();
        let mut seeds = Vec::new();
        for cell in (0..cells).filter(|&cell| members.of(cell).is_empty()) {
            let Some((count, from)) = largest.pop() else { break };
            let rows = members.of(from);
            let row = rows.get(self.random.below(rows.len())).copied().unwrap_or_default();
            seeds.push((cell, row as usize));
            largest.push((count / 2, from));
        }
        seeds
    }

    /// Float64 adds as many equal float32 exactly as there may be rows, so that the mean of equal rows is that row.
    fn mean(&self, members: &[u32]) -> Vec<f32> {
        let mut sums = vec![0.0f64; self.rows.dimensions()];
        for &row in members {
            sums.iter_mut().zip(self.rows.row(row as usize)).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        let count = members.len().max(1) as f64;
        let mean: Vec<f32> = sums.iter().map(|sum| (sum / count) as f32).collect();
        let mut centroid = mean.clone();
        if self.metric == Metric::Cosine {
            unit(&mean, &mut centroid);
        }
        centroid
    }
}

/// The rows of each cell, ascending.
struct Members {
    rows: Vec<u32>,
    /// Where each cell's rows end.
    ends: Vec<usize>,
}

impl Members {
    fn new(assigned: &[u32], cells: usize) -> Self {
        let mut ends = vec![0; cells + 1];
        assigned.iter().for_each(|&cell| ends[cell as usize + 1] += 1);
        (1..=cells).for_each(|cell| ends[cell] += ends[cell - 1]);
        let mut rows = vec![0; assigned.len()];
        for (row, &cell) in assigned.iter().enumerate() {
            rows[ends[cell as usize]] = row as u32;
            ends[cell as usize] += 1;
        }
        Self { rows, ends }
    }

    fn of(&self, cell: usize) -> &[u32] {
        let start = if cell == 0 { 0 } else { self.ends[cell - 1] };
        &self.rows[start..self.ends[cell]]
    }
}

#[cfg(test)]
mod tests;
