//! Which centroid is nearest to a row.

use std::ops::Range;

use vector::distance::{Path, products};

use super::matrix::{Matrix, Scaling, multiply};
use crate::metric::Metric;

/// Rows that are searched for together.
const ROWS_AT_ONCE: usize = 64;
/// Values of centroids that stay in a core's second cache: 256 KiB.
const CENTROID_VALUES_AT_ONCE: usize = 1 << 16;
/// A float32 product of a row and a centroid below this may have lost bits of its terms.
const TRUSTED_MIN: f32 = 1.0 / (1u128 << 96) as f32;

/// Centroids, ready to be searched.
#[derive(Debug, Clone)]
pub struct Nearest {
    centroids: Matrix,
    /// Half the square of each centroid's length, scaled twice; empty for cosine.
    half_squares: Vec<f32>,
    /// The centroids, scaled; none where that changes nothing.
    scaled: Option<Matrix>,
    scaling: Scaling,
    metric: Metric,
    path: Path,
}

impl Nearest {
    /// Takes centroids.  Cosine takes them for vectors of length 1 and looks for the greatest product, the other metrics for
    /// the least Euclidean distance.
    pub fn new(centroids: Matrix, metric: Metric, path: Path) -> Self {
        let scaling = Scaling::of(&centroids).unless_moderate();
        let scaled = (!scaling.is_none()).then(|| centroids.map_rows(|row, out| scaling.apply(row, out)));
        let rows = scaled.as_ref().unwrap_or(&centroids);
        let half_square = |number| (squares(rows.row(number)) / 2.0) as f32;
        let half_squares = match metric {
            Metric::Cosine => Vec::new(),
            Metric::L2 | Metric::InnerProduct => (0..rows.rows()).map(half_square).collect(),
        };
        Self { centroids, half_squares, scaled, scaling, metric, path }
    }

    /// Returns the centroids.
    pub fn centroids(&self) -> &Matrix {
        &self.centroids
    }

    /// Returns the number of the centroid that is nearest to a row, the lowest of several; 0 where there is none.
    pub fn nearest(&self, row: &[f32]) -> usize {
        let mut best = [Best::NONE];
        self.search(&[row], &mut best);
        self.settled(row, best[0])
    }

    /// Returns the same for each row.
    pub fn nearest_all(&self, rows: &Matrix) -> Vec<u32> {
        self.of_rows(rows, 0..rows.rows())
    }

    /// Returns the same for some rows.
    pub fn of_rows(&self, rows: &Matrix, numbers: Range<usize>) -> Vec<u32> {
        let numbers: Vec<usize> = numbers.collect();
        let mut nearest = Vec::with_capacity(numbers.len());
        for group in numbers.chunks(ROWS_AT_ONCE) {
            let group: Vec<&[f32]> = group.iter().map(|number| rows.row(*number)).collect();
            let mut best = vec![Best::NONE; group.len()];
            self.search(&group, &mut best);
            nearest.extend(group.iter().zip(best).map(|(row, best)| self.settled(row, best) as u32));
        }
        nearest
    }

    /// Finds the greatest `row * centroid - centroid * centroid / 2` of each row, as many centroids at a time as stay in the CPU's
    /// cache while all rows pass.
    fn search(&self, rows: &[&[f32]], best: &mut [Best]) {
        let mut scaled = Vec::new();
        let centroids = self.scaled.as_ref().unwrap_or(&self.centroids);
        let dimensions = centroids.dimensions().max(1);
        let at_once = (CENTROID_VALUES_AT_ONCE / dimensions).max(1);
        let mut scores = vec![0.0; at_once.min(centroids.rows())];
        for (n, some) in centroids.values().chunks(at_once * dimensions).enumerate() {
            let first = n * at_once;
            let scores = &mut scores[..some.len() / dimensions];
            for (row, best) in rows.iter().zip(best.iter_mut()) {
                if self.scaled.is_some() {
                    scaled.resize(row.len(), 0.0);
                    self.scaling.apply(row, &mut scaled);
                    products(self.path, &scaled, some, scores);
                } else {
                    products(self.path, row, some, scores);
                }
                let halves = self.half_squares.get(first..).unwrap_or_default();
                scores.iter_mut().zip(halves).for_each(|(score, half)| *score -= half);
                best.take(first, scores);
            }
        }
    }

    /// Returns the place of the greatest score, found in float64 where float32 may have failed.
    fn settled(&self, row: &[f32], best: Best) -> usize {
        let vanished = self.metric == Metric::Cosine && best.score.abs() < TRUSTED_MIN;
        if best.finite && !vanished { best.place } else { self.exact_nearest(row) }
    }

    /// Slower and for any values: float64 holds every square of a float32.
    fn exact_nearest(&self, row: &[f32]) -> usize {
        let mut best = (f64::NEG_INFINITY, 0);
        for number in 0..self.centroids.rows() {
            let score = self.score(row, number);
            if score > best.0 {
                best = (score, number);
            }
        }
        best.1
    }

    /// Returns how near a centroid is to a row, in float64: the nearer, the greater.
    pub(crate) fn score(&self, row: &[f32], number: usize) -> f64 {
        let terms = row.iter().zip(self.centroids.row(number)).map(|(&x, &c)| (f64::from(x), f64::from(c)));
        match self.metric {
            Metric::Cosine => terms.map(|(x, c)| x * c).sum(),
            Metric::L2 | Metric::InnerProduct => -terms.map(|(x, c)| (x - c) * (x - c)).sum::<f64>(),
        }
    }
}

/// The greatest score so far.
#[derive(Debug, Clone, Copy)]
struct Best {
    score: f32,
    /// Its place, the first of several.
    place: usize,
    /// Whether all scores were finite.
    finite: bool,
}

impl Best {
    const NONE: Self = Self { score: f32::NEG_INFINITY, place: 0, finite: true };

    /// Takes the scores from a place on.
    fn take(&mut self, first: usize, scores: &[f32]) {
        // The first pass is one that the compiler makes vectors of; a place is looked for only once.
        let most = scores.iter().fold(f32::NEG_INFINITY, |most, &score| if score > most { score } else { most });
        self.finite &= scores.iter().fold(true, |finite, score| finite & score.is_finite());
        if most > self.score {
            self.score = most;
            self.place = first + scores.iter().position(|&score| score == most).unwrap_or(0);
        }
    }
}

fn squares(row: &[f32]) -> f64 {
    row.iter().map(|&x| f64::from(x) * f64::from(x)).sum()
}

/// Writes a row scaled to length 1; zeros stay zeros.
pub fn unit(row: &[f32], out: &mut [f32]) {
    let length = squares(row).sqrt();
    multiply(row, if length > 0.0 { 1.0 / length } else { 0.0 }, out);
}
