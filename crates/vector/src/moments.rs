//! What one pass over many vectors tells of each dimension: zeros, least, most, mean, deviation.
//!
//! Mean and squares are updated by Welford's method, merged by that of Chan, Golub and LeVeque; both in float64.

use crate::{Packed, VectorError};

/// Running moments of each dimension.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    count: u64,
    dimensions: Vec<Dimension>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Dimension {
    zeros: u64,
    min: f64,
    max: f64,
    mean: f64,
    /// The sum of the squares of the differences from the mean.
    squares: f64,
}

const EMPTY: Dimension = Dimension { zeros: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, mean: 0.0, squares: 0.0 };

/// Numbers that [`Moments::numbers`] gives for each dimension: count, zeros, min, max, mean, deviation.
pub const NUMBERS: usize = 6;

impl Moments {
    /// Adds a vector; all must have as many dimensions.
    pub fn add(&mut self, vector: &Packed<'_>) -> Result<(), VectorError> {
        self.expect(vector.dimensions())?;
        self.count += 1;
        let count = self.count as f64;
        for (dimension, value) in self.dimensions.iter_mut().zip(vector.to_f64()) {
            dimension.zeros += u64::from(value == 0.0);
            dimension.min = dimension.min.min(value);
            dimension.max = dimension.max.max(value);
            let before = value - dimension.mean;
            dimension.mean += before / count;
            dimension.squares += before * (value - dimension.mean);
        }
        Ok(())
    }

    /// Adds what another has seen.
    pub fn merge(&mut self, other: &Self) -> Result<(), VectorError> {
        if other.count == 0 {
            return Ok(());
        }
        self.expect(other.dimensions.len())?;
        let (ours, theirs) = (self.count as f64, other.count as f64);
        let all = ours + theirs;
        for (dimension, other) in self.dimensions.iter_mut().zip(&other.dimensions) {
            let apart = other.mean - dimension.mean;
            dimension.zeros += other.zeros;
            dimension.min = dimension.min.min(other.min);
            dimension.max = dimension.max.max(other.max);
            dimension.mean += apart * theirs / all;
            dimension.squares += other.squares + apart * apart * ours * theirs / all;
        }
        self.count += other.count;
        Ok(())
    }

    /// Returns count, zeros, min, max, mean and population deviation of each dimension in turn.
    pub fn numbers(&self) -> Vec<f64> {
        let count = self.count as f64;
        let of = |d: &Dimension| [count, d.zeros as f64, d.min, d.max, d.mean, (d.squares / count).sqrt()];
        self.dimensions.iter().flat_map(of).collect()
    }

    /// The first vector says how many dimensions there are.
    fn expect(&mut self, found: usize) -> Result<(), VectorError> {
        if self.count == 0 {
            self.dimensions = vec![EMPTY; found];
        }
        VectorError::unless_equal(self.dimensions.len(), found)
    }
}

#[cfg(test)]
mod tests {
    use super::{Moments, NUMBERS};
    use crate::{Element, Packed, VectorError, pack_f64};

    fn moments(vectors: &[[f64; 2]]) -> Moments {
        let mut moments = Moments::default();
        for values in vectors {
            let bytes = pack_f64(Element::Float64, values).unwrap();
            moments.add(&Packed::read(&bytes).unwrap()).unwrap();
        }
        moments
    }

    #[test]
    fn moments_are_those_of_the_definition() {
        let numbers = moments(&[[1.0, 0.0], [2.0, 0.0], [6.0, -3.0]]).numbers();
        assert_eq!(numbers[..5], [3.0, 0.0, 1.0, 6.0, 3.0]);
        assert!((numbers[5] - (14f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(numbers[NUMBERS..NUMBERS + 5], [3.0, 2.0, -3.0, 0.0, -1.0]);
    }

    #[test]
    fn parts_merge_to_the_whole() {
        let vectors: Vec<[f64; 2]> = (0..100).map(|n| [f64::from(n).sin(), f64::from(n * n % 17)]).collect();
        let (mut merged, rest) = (moments(&vectors[..37]), moments(&vectors[37..]));
        merged.merge(&rest).unwrap();
        merged.merge(&Moments::default()).unwrap();
        for (merged, whole) in merged.numbers().iter().zip(moments(&vectors).numbers()) {
            assert!((merged - whole).abs() < 1e-12, "{merged} {whole}");
        }
        let mut from_nothing = Moments::default();
        from_nothing.merge(&rest).unwrap();
        assert_eq!(from_nothing, rest);
    }

    #[test]
    fn vectors_of_other_lengths_are_refused() {
        let mut moments = moments(&[[1.0, 2.0]]);
        let bytes = pack_f64(Element::Float32, &[1.0]).unwrap();
        let refused = moments.add(&Packed::read(&bytes).unwrap());
        assert_eq!(refused, Err(VectorError::DifferentDimensions { expected: 2, found: 1 }));
    }
}
