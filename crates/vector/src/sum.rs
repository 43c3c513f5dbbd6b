//! The state of the aggregates sum and avg: one float64 per dimension, and what the elements' types join to.

use crate::{DIMENSIONS_MAX, Element, Packed, VectorError, pack_f64};

const HEADER_BYTES: usize = 9;

/// A sum of vectors of one number of dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Sum {
    count: u64,
    element: Element,
    sums: Vec<f64>,
}

impl Sum {
    /// Returns the sum of one vector.
    pub fn new(first: &Packed<'_>) -> Self {
        Self { count: 1, element: first.element(), sums: first.to_f64() }
    }

    /// Returns how many vectors were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a vector.  Error: another number of dimensions.
    pub fn add(&mut self, packed: &Packed<'_>) -> Result<(), VectorError> {
        self.check(packed.dimensions())?;
        if let (Element::Float32, false) = (packed.stored(), packed.is_sparse()) {
            let (words, _) = packed.values().as_chunks::<4>();
            let values = words.iter().map(|word| f64::from(f32::from_le_bytes(*word)));
            self.sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        } else {
            for (dimension, value) in packed.entries() {
                if let Some(sum) = self.sums.get_mut(dimension) {
                    *sum += value;
                }
            }
        }
        self.joined(1, packed.element());
        Ok(())
    }

    /// Adds another sum, as of a parallel worker.  Error: another number of dimensions.
    pub fn merge(&mut self, other: &Self) -> Result<(), VectorError> {
        self.check(other.sums.len())?;
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, value)| *sum += value);
        self.joined(other.count, other.element);
        Ok(())
    }

    /// Returns the packed sum: integers as float32, other types as themselves.  Error: overflow.
    pub fn sum(&self) -> Result<Vec<u8>, VectorError> {
        self.divided(1.0)
    }

    /// Returns the packed average, typed as [`Sum::sum`].  Error: overflow.
    pub fn average(&self) -> Result<Vec<u8>, VectorError> {
        self.divided(self.count as f64)
    }

    /// Returns the state as bytes, little-endian: u64 count, u8 element number, the sums.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.sums.len() * 8);
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.push(self.element.number());
        bytes.extend(self.sums.iter().flat_map(|sum| sum.to_le_bytes()));
        bytes
    }

    /// Reads what [`Sum::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VectorError> {
        let damaged = |what| VectorError::Damaged { what };
        let Some((&count, &[number, ref data @ ..])) = bytes.split_first_chunk::<8>() else {
            return Err(damaged("too short for a sum"));
        };
        let count = u64::from_le_bytes(count);
        let element = Element::from_number(number).ok_or_else(|| damaged("unknown element type of a sum"))?;
        let (words, rest) = data.as_chunks::<8>();
        if count == 0 || !rest.is_empty() || !(1..=DIMENSIONS_MAX).contains(&words.len()) {
            return Err(damaged("a sum of no vectors or of another length"));
        }
        Ok(Self { count, element, sums: words.iter().map(|word| f64::from_le_bytes(*word)).collect() })
    }

    fn check(&self, found: usize) -> Result<(), VectorError> {
        VectorError::unless_equal(self.sums.len(), found)
    }

    fn joined(&mut self, count: u64, element: Element) {
        self.count = self.count.saturating_add(count);
        self.element = self.element.joined(element);
    }

    fn divided(&self, divisor: f64) -> Result<Vec<u8>, VectorError> {
        let element = if self.element.is_integer() { Element::Float32 } else { self.element };
        let quotients: Vec<f64> = self.sums.iter().map(|sum| sum / divisor).collect();
        // float64 sums that passed the end are infinite, or NaN where they passed both ends.
        match quotients.iter().position(|&value| !element.nearest(value).is_finite()) {
            Some(dimension) => Err(VectorError::Overflow { dimension, element }),
            None => pack_f64(element, &quotients),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum_of(vectors: &[(Element, &[f64])]) -> Result<Sum, VectorError> {
        let packed: Vec<Vec<u8>> =
            vectors.iter().map(|(element, values)| pack_f64(*element, values).unwrap()).collect();
        let mut sum = Sum::new(&Packed::read(&packed[0]).unwrap());
        packed[1..].iter().try_for_each(|bytes| sum.add(&Packed::read(bytes).unwrap()))?;
        Ok(sum)
    }

    #[test]
    fn sums_and_averages_keep_the_type_of_floats() {
        for (element, result) in Element::ALL.map(|e| (e, if e.is_integer() { Element::Float32 } else { e })) {
            let sum = sum_of(&[(element, &[1.0, 2.0, 3.0]), (element, &[3.0, 5.0, 100.0])]).unwrap();
            assert_eq!(sum.sum(), pack_f64(result, &[4.0, 7.0, 103.0]));
            assert_eq!(sum.average(), pack_f64(result, &[2.0, 3.5, 51.5]));
        }
        let sum = sum_of(&[(Element::Float16, &[1.0]), (Element::Int8, &[2.0]), (Element::Float16, &[4.0])]).unwrap();
        assert_eq!((sum.sum(), sum.count()), (pack_f64(Element::Float32, &[7.0]), 3));
    }

    #[test]
    fn dense_float32_and_sparse_vectors_add_up() {
        let mut sparse = [0.0; 50];
        sparse[49] = 1.0;
        let dense: Vec<f64> = (0..50).map(|n| f64::from(n as f32 * 0.1)).collect();
        let sum =
            sum_of(&[(Element::Float32, &dense), (Element::Float32, &sparse), (Element::Float32, &dense)]).unwrap();
        let expected: Vec<f64> = dense.iter().zip(sparse).map(|(a, b)| a + b + a).collect();
        assert_eq!(sum.sum(), pack_f64(Element::Float32, &expected));
    }

    #[test]
    fn merging_is_adding_all_and_bytes_round_trip() {
        let mut left = sum_of(&[(Element::Float32, &[1.5, 0.0]), (Element::Float32, &[0.5, 1.0])]).unwrap();
        let right = sum_of(&[(Element::Float64, &[2.0, -1.0])]).unwrap();
        left.merge(&Sum::from_bytes(&right.to_bytes()).unwrap()).unwrap();
        assert_eq!(left.average(), pack_f64(Element::Float64, &[4.0 / 3.0, 0.0]));
        assert_eq!(Sum::from_bytes(&left.to_bytes()), Ok(left));
    }

    #[test]
    fn overflow_and_other_dimensions_are_errors() {
        let sum = sum_of(&[(Element::Float32, &[0.0, 3e38]), (Element::Float32, &[0.0, 3e38])]).unwrap();
        assert_eq!(sum.sum(), Err(VectorError::Overflow { dimension: 1, element: Element::Float32 }));
        assert_eq!(sum.average(), pack_f64(Element::Float32, &[0.0, 3e38]));
        let sum = sum_of(&[(Element::Float64, &[f64::MAX]), (Element::Float64, &[f64::MAX])]).unwrap();
        assert_eq!(sum.average(), Err(VectorError::Overflow { dimension: 0, element: Element::Float64 }));
        let different = sum_of(&[(Element::Int8, &[1.0, 2.0]), (Element::Int8, &[3.0])]);
        assert_eq!(different, Err(VectorError::DifferentDimensions { expected: 2, found: 1 }));
    }

    #[test]
    fn other_bytes_are_damage() {
        let bytes = sum_of(&[(Element::Float32, &[1.0, 2.0])]).unwrap().to_bytes();
        for length in (0..bytes.len()).filter(|length| length % 8 != 1 || *length < 17) {
            assert!(Sum::from_bytes(&bytes[..length]).is_err(), "{length}");
        }
        assert!(Sum::from_bytes(&[&[0; 8][..], &[0], &[0; 8]].concat()).is_err());
        assert!(Sum::from_bytes(&[&[1; 8][..], &[9], &[0; 8]].concat()).is_err());
    }
}
