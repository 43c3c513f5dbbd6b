//! Quantiles of single dimensions: what the planner estimates shares from, and scales are made from.

use std::ops::Range;

use atom::{Interrupt, Interrupted};

use crate::kmeans::{Crew, Matrix};

/// How many quantiles are kept of a dimension.
pub const QUANTILES: usize = 33;
/// Bytes of a dimension's quantiles.
pub const QUANTILES_BYTES: usize = QUANTILES * 4;

/// Which quantiles: as many above .5 as below, dense where single rows count.
pub const PROBABILITIES: [f32; QUANTILES] = [
    0.0, 1e-4, 3e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.02, 0.035, 0.055, 0.085, 0.13, 0.19, 0.26, 0.34, 0.42, 0.5, 0.58,
    0.66, 0.74, 0.81, 0.87, 0.915, 0.945, 0.965, 0.98, 0.99, 0.995, 0.9975, 0.999, 0.9997, 0.9999, 1.0,
];

/// Which of them a scale is made from.
const SCALE_QUANTILES: [usize; 2] = [3, 29];

/// Dimensions whose columns are taken from the rows at once.
const COLUMNS_AT_ONCE: usize = 16;
/// Values that are sorted between two looks for an interrupt: about 20 milliseconds.
const VALUES_AT_ONCE: usize = 1 << 20;

/// The quantiles of one dimension, finite and ascending.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles([f32; QUANTILES]);

impl Quantiles {
    /// Returns the quantiles of a sample, which is sorted; all are 0 without values.
    pub fn of_sample(values: &mut [f32]) -> Self {
        values.iter_mut().for_each(|value| *value = finite(*value));
        values.sort_unstable_by(f32::total_cmp);
        Self(PROBABILITIES.map(|probability| quantile(values, probability)))
    }

    /// Returns the share of rows that lie from `lo` to `hi`, by estimate: 0 to 1.
    ///
    /// Between two quantiles, rows are taken to be spread evenly; quantiles that are equal hold all rows between them.
    pub fn share(&self, lo: f64, hi: f64) -> f64 {
        if lo <= hi { (self.share_up_to(hi) - self.share_below(lo)).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Returns the quantiles .001 and .999.
    pub fn scale_quantiles(&self) -> (f32, f32) {
        let [low, high] = SCALE_QUANTILES;
        (self.0[low], self.0[high])
    }

    /// Returns the quantiles, ascending.
    pub fn values(&self) -> &[f32; QUANTILES] {
        &self.0
    }

    fn share_up_to(&self, x: f64) -> f64 {
        self.interpolated(self.0.partition_point(|&quantile| f64::from(quantile) <= x), x)
    }

    fn share_below(&self, x: f64) -> f64 {
        self.interpolated(self.0.partition_point(|&quantile| f64::from(quantile) < x), x)
    }

    /// The probability at `x`, which lies between the quantiles before and at the place `above`; these differ.
    fn interpolated(&self, above: usize, x: f64) -> f64 {
        match above {
            0 => 0.0,
            QUANTILES => 1.0,
            _ => {
                let [from, to] = [above - 1, above].map(|place| f64::from(self.0[place]));
                let [least, most] = [above - 1, above].map(|place| f64::from(PROBABILITIES[place]));
                least + (most - least) * ((x - from) / (to - from))
            }
        }
    }

    /// Returns the quantiles as little-endian float32.
    pub fn to_bytes(&self) -> [u8; QUANTILES_BYTES] {
        let mut bytes = [0; QUANTILES_BYTES];
        let (slots, _) = bytes.as_chunks_mut();
        slots.iter_mut().zip(self.0).for_each(|(slot, quantile)| *slot = quantile.to_le_bytes());
        bytes
    }

    /// Reads quantiles; `None` unless they are finite and ascend.
    pub fn from_bytes(bytes: &[u8; QUANTILES_BYTES]) -> Option<Self> {
        let mut quantiles = [0.0; QUANTILES];
        let (words, _) = bytes.as_chunks();
        quantiles.iter_mut().zip(words).for_each(|(quantile, word)| *quantile = f32::from_le_bytes(*word));
        let sound = quantiles.iter().all(|quantile| quantile.is_finite()) && quantiles.is_sorted();
        sound.then_some(Self(quantiles))
    }
}

/// Returns the nearest finite number, without a sign where it is zero; 0 for NaN.
fn finite(x: f32) -> f32 {
    if x.is_nan() { 0.0 } else { x.clamp(f32::MIN, f32::MAX) + 0.0 }
}

/// Interpolates between the two values of a sorted sample that are nearest to the place of a quantile.
fn quantile(sorted: &[f32], probability: f32) -> f32 {
    let last = sorted.len().saturating_sub(1);
    let place = f64::from(probability) * last as f64;
    let below = (place as usize).min(last);
    let value = |place: usize| sorted.get(place).copied().map_or(0.0, f64::from);
    let (from, to) = (value(below), value((below + 1).min(last)));
    (from + (to - from) * (place - below as f64)).min(to) as f32
}

/// Returns the quantiles of each column.  Errors: interrupted.
pub fn of_columns(
    sample: &Matrix,
    crew: &impl Crew,
    interrupt: &impl Interrupt,
) -> Result<Vec<Quantiles>, Interrupted> {
    let mut quantiles = Vec::with_capacity(sample.dimensions());
    let at_once = (VALUES_AT_ONCE / sample.rows().max(1)).clamp(1, sample.dimensions().max(1));
    for group in (0..sample.dimensions()).step_by(at_once) {
        interrupt.check()?;
        let end = sample.dimensions().min(group + at_once);
        let pieces = (group..end).step_by(COLUMNS_AT_ONCE).map(|start| start..end.min(start + COLUMNS_AT_ONCE));
        let found = crew.map(&pieces.collect::<Vec<_>>(), |columns| of_some_columns(sample, columns.clone()));
        quantiles.extend(found.into_iter().flatten());
    }
    Ok(quantiles)
}

fn of_some_columns(sample: &Matrix, columns: Range<usize>) -> Vec<Quantiles> {
    let mut values = vec![Vec::with_capacity(sample.rows()); columns.len()];
    for row in 0..sample.rows() {
        let row = sample.row(row).get(columns.clone()).unwrap_or_default();
        values.iter_mut().zip(row).for_each(|(column, &value)| column.push(value));
    }
    values.iter_mut().map(|column| Quantiles::of_sample(column)).collect()
}

#[cfg(test)]
mod tests;
