//! Order and hash: a total order of numbers, whatever the types and forms, and equal hashes for what is equal.

use std::cmp::Ordering;
use std::collections::HashSet;

use proptest::prelude::*;
use vector::compare::{compare, hash};
use vector::{Element, Packed, pack_f32, pack_f64};

/// The types that hold all the values.
fn packed_as_all(values: &[f64]) -> Vec<Vec<u8>> {
    let holding = Element::ALL.into_iter().filter(|element| values.iter().all(|&value| element.holds(value)));
    holding.map(|element| pack_f64(element, values).unwrap()).collect()
}

/// Few values, so that many are equal; often mostly zeros, so that both forms are met.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let value = prop::sample::select(vec![0.0, 1.0, -1.0, 0.5, 2.0, -300.0, 1e30f32.into(), 1e-300]);
    let small = prop::sample::select(vec![0.0, 1.0, 2.0]);
    let sparse =
        (prop::collection::vec((0usize..60, value.clone()), 0..4), 30usize..60).prop_map(|(entries, dimensions)| {
            let mut values = vec![0.0; dimensions];
            entries
                .into_iter()
                .filter(|(place, _)| *place < dimensions)
                .for_each(|(place, value)| values[place] = value);
            values
        });
    prop_oneof![prop::collection::vec(value, 1..6), prop::collection::vec(small, 1..4), sparse]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_order_is_that_of_the_numbers_and_equal_ones_hash_equal(a in values(), b in values(), seed in any::<u64>()) {
        // Slices of numbers without NaN are ordered the same way.
        let expected = a.partial_cmp(&b).unwrap();
        for left in packed_as_all(&a) {
            for right in packed_as_all(&b) {
                let (left, right) = (Packed::read(&left).unwrap(), Packed::read(&right).unwrap());
                prop_assert_eq!(compare(&left, &right), expected);
                prop_assert_eq!(compare(&right, &left), expected.reverse());
                prop_assert_eq!(hash(&left, seed) == hash(&right, seed), expected.is_eq());
            }
        }
    }

    #[test]
    fn random_floats_are_ordered(a in prop::collection::vec(-1f32..1.0, 1..20), place in 0usize..20, value in -1f32..1.0) {
        let mut b = a.clone();
        if let Some(changed) = b.get_mut(place) {
            *changed = value;
        }
        let packed = [&a, &b].map(|values| pack_f32(Element::Float32, values).unwrap());
        let [left, right] = [&packed[0], &packed[1]].map(|bytes| Packed::read(bytes).unwrap());
        prop_assert_eq!(Some(compare(&left, &right)), a.partial_cmp(&b));
    }
}

#[test]
fn sorting_any_forms_is_sorting_numbers() {
    let mut vectors = Vec::new();
    for first in [-1.0, 0.0, 0.5, 3.0] {
        for last in [-2.0, 0.0, 1e10] {
            for dimensions in [1, 2, 3, 40] {
                let mut values = vec![0.0; dimensions];
                values[0] = first;
                values[dimensions - 1] = last;
                vectors.push(values);
            }
        }
    }
    let mut packed: Vec<Vec<u8>> = vectors.iter().flat_map(|values| packed_as_all(values)).collect();
    packed.sort_by(|a, b| compare(&Packed::read(a).unwrap(), &Packed::read(b).unwrap()));
    let sorted: Vec<Vec<f64>> = packed.iter().map(|bytes| Packed::read(bytes).unwrap().to_f64()).collect();
    assert!(sorted.is_sorted());
}

#[test]
fn a_float16_vector_equals_a_float32_vector_of_the_same_numbers() {
    let [half, single] = [Element::Float16, Element::Float32].map(|element| pack_f64(element, &[0.5, -2.0]).unwrap());
    let (half, single) = (Packed::read(&half).unwrap(), Packed::read(&single).unwrap());
    assert_eq!(compare(&half, &single), Ordering::Equal);
    assert_eq!(hash(&half, 7), hash(&single, 7));
}

#[test]
fn hashes_of_like_vectors_differ_and_fill_partitions_evenly() {
    let mut vectors = Vec::new();
    for a in 0..100 {
        for b in 0..100 {
            vectors.push(vec![f64::from(a), f64::from(b)]);
        }
    }
    // The same value at another place, and zeros behind it.
    for dimensions in 3..200 {
        for place in (0..dimensions).step_by(3) {
            let mut values = vec![0.0; dimensions];
            values[place] = 1.0;
            vectors.push(values);
        }
    }
    for seed in [0, 1, 0x7A5B_2236_7996_DCFD] {
        let hashes: HashSet<u64> = vectors
            .iter()
            .map(|v| hash(&Packed::read(&pack_f64(Element::Float64, v).unwrap()).unwrap(), seed))
            .collect();
        assert_eq!(hashes.len(), vectors.len());
        for shift in [0, 16, 32, 56] {
            let mut partitions = [0usize; 16];
            hashes.iter().for_each(|hash| partitions[(hash >> shift) as usize % 16] += 1);
            let share = vectors.len() / 16;
            assert!(partitions.iter().all(|count| (share * 9 / 10..share * 11 / 10).contains(count)), "{partitions:?}");
        }
    }
}
