//! Order and hash of packed vectors.  Both look at numbers only: the element type and the stored form do not matter.

use std::cmp::Ordering;

use crate::{Element, Packed};

/// Orders vectors by their values from the first on, then by the number of dimensions, as pgvector and arrays do.
pub fn compare(a: &Packed<'_>, b: &Packed<'_>) -> Ordering {
    let values = match a.stored() == b.stored() && !a.is_sparse() && !b.is_sparse() {
        true => compare_alike(a.stored(), a.values(), b.values()),
        false => compare_entries(a, b),
    };
    values.then_with(|| a.dimensions().cmp(&b.dimensions()))
}

/// Returns a hash that is equal for vectors that [`compare`] as equal.  It never changes, as rows lie in partitions by it.
///
/// Of each value that is not zero, the float64 bits and the dimension are multiplied to 128 bits, whose halves are joined;
/// then so is the number of dimensions.
pub fn hash(packed: &Packed<'_>, seed: u64) -> u64 {
    let mut state = seed ^ HASH_START;
    let mut take = |dimension: usize, value: f64| {
        if value != 0.0 {
            // The key is a NaN with its sign, so that no value makes the factor zero.
            state = folded(value.to_bits() ^ HASH_VALUE, state ^ dimension as u64);
        }
    };
    if let (Element::Float32, false) = (packed.stored(), packed.is_sparse()) {
        let (words, _) = packed.values().as_chunks::<4>();
        words.iter().enumerate().for_each(|(dimension, word)| take(dimension, f32::from_le_bytes(*word).into()));
    } else {
        packed.entries().for_each(|(dimension, value)| take(dimension, value));
    }
    let last = folded(state ^ packed.dimensions() as u64, HASH_END);
    folded(last ^ HASH_START, HASH_END)
}

// Digits of pi, e and the square root of 2.
const HASH_START: u64 = 0x243F_6A88_85A3_08D3;
const HASH_VALUE: u64 = 0xFFFB_7E15_1628_AED3;
const HASH_END: u64 = 0x6A09_E667_F3BC_C909;

const _: () = assert!(f64::from_bits(HASH_VALUE).is_nan());

fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Total, also where damaged bytes hold what is no value; -0.0 is 0.0.
fn compare_values(a: f64, b: f64) -> Ordering {
    (a + 0.0).total_cmp(&(b + 0.0))
}

/// Compares dense values of one type; equal bytes, the most, are only compared as bytes.
fn compare_alike(stored: Element, a: &[u8], b: &[u8]) -> Ordering {
    match stored.width() {
        1 => compare_words::<1>(stored, a, b),
        2 => compare_words::<2>(stored, a, b),
        4 => compare_words::<4>(stored, a, b),
        _ => compare_words::<8>(stored, a, b),
    }
}

fn compare_words<const WIDTH: usize>(stored: Element, a: &[u8], b: &[u8]) -> Ordering {
    let ((a, _), (b, _)) = (a.as_chunks::<WIDTH>(), b.as_chunks::<WIDTH>());
    let different = a.iter().zip(b).filter(|(a, b)| a != b);
    let mut orders = different.map(|(a, b)| compare_values(stored.value(a), stored.value(b)));
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Compares the values of the dimensions that both have, passing zeros over.
fn compare_entries(a: &Packed<'_>, b: &Packed<'_>) -> Ordering {
    let common = a.dimensions().min(b.dimensions());
    let mut left = a.entries().filter(|(dimension, value)| *dimension < common && *value != 0.0);
    let mut right = b.entries().filter(|(dimension, value)| *dimension < common && *value != 0.0);
    loop {
        let (left, right) = (left.next(), right.next());
        let ((at, value), (other_at, other)) = match (left, right) {
            (None, None) => return Ordering::Equal,
            _ => (left.unwrap_or((common, 0.0)), right.unwrap_or((common, 0.0))),
        };
        // Where only one has an entry, the other's value is zero, and they differ.
        let order = match at.cmp(&other_at) {
            Ordering::Less => compare_values(value, 0.0),
            Ordering::Equal => compare_values(value, other),
            Ordering::Greater => compare_values(0.0, other),
        };
        if order.is_ne() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack_f64;

    fn order(a: &[f64], b: &[f64]) -> Ordering {
        let packed = [a, b].map(|values| pack_f64(Element::Float32, values).unwrap());
        compare(&Packed::read(&packed[0]).unwrap(), &Packed::read(&packed[1]).unwrap())
    }

    #[test]
    fn values_come_before_the_number_of_dimensions() {
        assert_eq!(order(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), Ordering::Equal);
        assert_eq!(order(&[1.0, 2.0, 3.0], &[0.0, 0.0, 0.0]), Ordering::Greater);
        assert_eq!(order(&[1.0, 2.0], &[1.0, 2.0, 3.0]), Ordering::Less);
        assert_eq!(order(&[1.0, 2.0], &[1.0, 2.0, -3.0]), Ordering::Less);
        assert_eq!(order(&[1.0, 2.0], &[2.0, 3.0, 4.0]), Ordering::Less);
        assert_eq!(order(&[2.0, 3.0], &[1.0, 2.0, 3.0]), Ordering::Greater);
        assert_eq!(order(&[0.0; 40], &[0.0; 41]), Ordering::Less);
        assert_eq!(order(&[0.0; 40], &[-1.0; 41]), Ordering::Greater);
        assert_eq!(order(&[0.0, 0.5], &[0.0, 0.1]), Ordering::Greater);
    }

    #[test]
    fn the_hash_does_not_drift() {
        let golden: [(&[f64], u64, u64); 4] = [
            (&[1.0, 2.0, 3.0], 0, 0x0B57_5B76_AA57_3947),
            (&[1.0, 2.0, 3.0], 42, 0xF080_398C_7F87_E145),
            (&[0.1, -0.5], 0, 0x09DC_6096_4D17_9E6B),
            (&[0.0; 100], 0, 0xD8F5_1D53_7DA4_B168),
        ];
        for (values, seed, expected) in golden {
            let bytes = pack_f64(Element::Float64, values).unwrap();
            assert_eq!(hash(&Packed::read(&bytes).unwrap(), seed), expected, "{values:?}");
        }
    }
}
