//! Distances: every CPU path gives the bits of the definition, whatever the values are stored as and wherever they lie.

use proptest::prelude::*;
use vector::distance::{self, Path};
use vector::{DIMENSIONS_MAX, Element, Packed, VectorError, pack_f64};

type Distance = fn(Path, &Packed, &Packed) -> Result<f64, VectorError>;

const DISTANCES: [Distance; 5] =
    [distance::l2, distance::inner_product, distance::cosine_similarity, distance::cosine_distance, distance::l1];

/// The definition, without blocks, chunks, stored types or instructions.
mod definition {
    use super::Element;

    const LEAST: f32 = 1.2621774e-29;

    /// What one dimension adds to the lanes of up to three sums.
    #[derive(Clone, Copy)]
    pub enum Metric {
        Squares,
        Products,
        Angles,
        Differences,
    }

    macro_rules! lanes {
        ($name:ident, $type:ident, $lanes:literal) => {
            fn $name(metric: Metric, a: &[f64], b: &[f64]) -> Vec<$type> {
                let mut lanes = [[0 as $type; $lanes]; 3];
                for (i, (&a, &b)) in a.iter().zip(b).enumerate() {
                    let (a, b, l) = (a as $type, b as $type, i % $lanes);
                    match metric {
                        Metric::Squares => lanes[0][l] = (a - b).mul_add(a - b, lanes[0][l]),
                        Metric::Products => lanes[0][l] = a.mul_add(b, lanes[0][l]),
                        Metric::Differences => lanes[0][l] += (a - b).abs(),
                        Metric::Angles => {
                            lanes[0][l] = a.mul_add(b, lanes[0][l]);
                            lanes[1][l] = a.mul_add(a, lanes[1][l]);
                            lanes[2][l] = b.mul_add(b, lanes[2][l]);
                        }
                    }
                }
                let count = if matches!(metric, Metric::Angles) { 3 } else { 1 };
                lanes[..count].iter().map(|lanes| tree(lanes.to_vec())).collect()
            }
        };
    }

    lanes!(sums_32, f32, 16);
    lanes!(sums_64, f64, 8);

    fn tree<T: Copy + std::ops::Add<Output = T>>(lanes: Vec<T>) -> T {
        let (low, high) = lanes.split_at(lanes.len() / 2);
        if low.is_empty() { high[0] } else { tree(low.iter().zip(high).map(|(&a, &b)| a + b).collect()) }
    }

    fn whole_sums(metric: Metric, a: &[f64], b: &[f64]) -> Vec<f64> {
        let sum =
            |term: fn(i64, i64) -> i64| a.iter().zip(b).map(|(&a, &b)| term(a as i64, b as i64)).sum::<i64>() as f64;
        match metric {
            Metric::Squares => vec![sum(|a, b| (a - b) * (a - b))],
            Metric::Products => vec![sum(|a, b| a * b)],
            Metric::Differences => vec![sum(|a, b| (a - b).abs())],
            Metric::Angles => vec![sum(|a, b| a * b), sum(|a, _| a * a), sum(|_, b| b * b)],
        }
    }

    pub fn sums(metric: Metric, (a_type, a): (Element, &[f64]), (b_type, b): (Element, &[f64])) -> Vec<f64> {
        if a_type.is_integer() && b_type.is_integer() {
            return whole_sums(metric, a, b);
        } else if a_type == Element::Float64 || b_type == Element::Float64 {
            return sums_64(metric, a, b);
        }
        let sums = sums_32(metric, a, b);
        if sums.iter().all(|sum| sum.is_finite() && sum.abs() >= LEAST) {
            return sums.into_iter().map(f64::from).collect();
        }
        sums_64(metric, a, b)
    }

    /// In the order of `DISTANCES`.
    pub fn distances(a: (Element, &[f64]), b: (Element, &[f64])) -> [f64; 5] {
        let one = |metric| sums(metric, a, b)[0];
        let angles = sums(Metric::Angles, a, b);
        let cosine = (angles[0] / (angles[1] * angles[2]).sqrt()).clamp(-1.0, 1.0);
        [one(Metric::Squares).sqrt(), one(Metric::Products), cosine, 1.0 - cosine, one(Metric::Differences)]
    }
}

/// Numbers that look random; a seed always gives the same ones.
fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    (0..count).map(|_| next()).collect()
}

/// Values that a type holds, of which a share is zero.
fn values(element: Element, seed: u64, count: usize, zeros: f64) -> Vec<f64> {
    let scaled = |number: f64| match element {
        Element::Int8 => (number * 255.0 - 127.5).round(),
        Element::Uint8 => (number * 255.0).round(),
        Element::Float64 => (number - 0.5) / 3.0,
        _ => number - 0.5,
    };
    let keep = numbers(seed + 1000, count);
    let kept = |(number, keep): (f64, f64)| if keep < zeros { 0.0 } else { element.nearest(scaled(number)) + 0.0 };
    numbers(seed, count).into_iter().zip(keep).map(kept).collect()
}

/// Packs values as one stored type, dense or sparse, whether or not that is the smallest form; `None` where it loses.
fn packed_as(element: Element, stored: Element, sparse: bool, values: &[f64]) -> Option<Vec<u8>> {
    if !element.stored_as().contains(&stored) || !values.iter().all(|&value| stored.holds(value)) {
        return None;
    }
    let mut bytes = (values.len() as u16).to_le_bytes().to_vec();
    bytes.extend([element.number() | stored.number() << 4, 1 << 4 | u8::from(sparse)]);
    let kept: Vec<usize> = (0..values.len()).filter(|&i| !sparse || values[i] != 0.0).collect();
    if sparse {
        bytes.extend(kept.iter().flat_map(|&i| (i as u16).to_le_bytes()));
    }
    for &i in &kept {
        let (value, width) = stored.to_bytes(values[i]);
        bytes.extend_from_slice(&value[..width]);
    }
    Some(bytes)
}

/// Every form that values can be packed in.
fn forms(element: Element, values: &[f64]) -> Vec<Vec<u8>> {
    let pairs = Element::ALL.into_iter().flat_map(|stored| [(stored, false), (stored, true)]);
    pairs.filter_map(|(stored, sparse)| packed_as(element, stored, sparse, values)).collect()
}

fn assert_same_bits(what: &str, found: f64, expected: f64) {
    let both_nan = found.is_nan() && expected.is_nan();
    assert!(found.to_bits() == expected.to_bits() || both_nan, "{what}: {found:e} is not {expected:e}");
}

/// Compares all distances of all forms on all paths, at an odd address, with the definition.
fn check((a_type, a): (Element, &[f64]), (b_type, b): (Element, &[f64])) {
    let expected = definition::distances((a_type, a), (b_type, b));
    let shifted = |form: Vec<u8>| [vec![0], form].concat();
    let a_forms: Vec<_> = forms(a_type, a).into_iter().map(shifted).collect();
    let b_forms: Vec<_> = forms(b_type, b).into_iter().map(shifted).collect();
    assert!(!a_forms.is_empty() && !b_forms.is_empty());
    for (left, right) in a_forms.iter().flat_map(|left| b_forms.iter().map(move |right| (left, right))) {
        let (left, right) = (Packed::read(&left[1..]).unwrap(), Packed::read(&right[1..]).unwrap());
        for path in Path::available() {
            for (place, (distance, expected)) in DISTANCES.into_iter().zip(expected).enumerate() {
                let what = format!("distance {place}, {} dimensions, {path:?}, {left:?}, {right:?}", a.len());
                assert_same_bits(&what[..what.len().min(300)], distance(path, &left, &right).unwrap(), expected);
                assert_same_bits(&what[..what.len().min(300)], distance(path, &right, &left).unwrap(), expected);
            }
        }
    }
}

fn check_types(dimensions: usize, zeros: f64) {
    for a_type in Element::ALL {
        let a = values(a_type, dimensions as u64, dimensions, zeros);
        for b_type in Element::ALL {
            let b = values(b_type, dimensions as u64 + 7, dimensions, zeros);
            check((a_type, &a), (b_type, &b));
        }
    }
}

fn packed(element: Element, values: &[f64]) -> Vec<u8> {
    pack_f64(element, values).unwrap()
}

fn of(distance: Distance, element: Element, a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (packed(element, a), packed(element, b));
    let (a, b) = (Packed::read(&a).unwrap(), Packed::read(&b).unwrap());
    let of_path = |path| distance(path, &a, &b).unwrap();
    Path::available().into_iter().for_each(|path| assert_same_bits(path.name(), of_path(path), of_path(Path::Scalar)));
    of_path(Path::best())
}

#[test]
fn every_path_and_form_gives_the_bits_of_the_definition() {
    (1..=70).for_each(|dimensions| check_types(dimensions, 0.0));
    (383..=386).for_each(|dimensions| check_types(dimensions, 0.0));
    check_types(1536, 0.0);
}

#[test]
fn zeros_left_out_change_no_bit() {
    [1, 2, 15, 16, 17, 33, 255, 256, 257, 384, 1000].into_iter().for_each(|dimensions| check_types(dimensions, 0.9));
}

#[test]
fn the_most_dimensions_are_summed_exactly_or_in_lanes() {
    for (a_type, b_type) in [(Element::Float32, Element::Float16), (Element::Float64, Element::Bfloat16)] {
        let a = values(a_type, 1, DIMENSIONS_MAX, 0.1);
        check((a_type, &a), (b_type, &values(b_type, 2, DIMENSIONS_MAX, 0.1)));
    }
    for (a_type, a, b_type, b) in [
        (Element::Int8, -128.0, Element::Uint8, 255.0),
        (Element::Uint8, 255.0, Element::Uint8, 255.0),
        (Element::Int8, -128.0, Element::Int8, -128.0),
        (Element::Int8, 127.0, Element::Int8, -128.0),
    ] {
        check((a_type, &vec![a; DIMENSIONS_MAX]), (b_type, &vec![b; DIMENSIONS_MAX]));
    }
}

#[test]
fn float16_subnormals_and_signs_are_read() {
    let a: Vec<f64> = (0..64).map(|i| f64::from(i - 32) * 2f64.powi(-24)).collect();
    let b: Vec<f64> = (0..64).map(|i| f64::from(i) * 2f64.powi(-14) - 65504.0 * f64::from(i % 2)).collect();
    let b: Vec<f64> = b.into_iter().map(|value| Element::Float16.nearest(value)).collect();
    check((Element::Float16, &a), (Element::Float16, &b));
    check((Element::Float32, &a), (Element::Float16, &b));
}

#[test]
fn what_overflows_or_vanishes_in_float32_is_found_in_float64() {
    let large = f64::from(3e38f32);
    assert_eq!(of(distance::l2, Element::Float32, &[large], &[-large]), 2.0 * large);
    assert_eq!(of(distance::l1, Element::Float32, &[large, large], &[-large, -large]), 4.0 * large);
    assert_eq!(of(distance::inner_product, Element::Float32, &[large], &[large]), large * large);
    assert_eq!(of(distance::inner_product, Element::Float32, &[large, large], &[large, -large]), 0.0);
    assert_eq!(of(distance::cosine_similarity, Element::Float32, &[large, 0.0], &[large, 0.0]), 1.0);
    let small = f64::from(1e-45f32);
    assert_eq!(of(distance::l2, Element::Float32, &[small], &[-small]), 2.0 * small);
    assert_eq!(of(distance::l2, Element::Float32, &[small, 0.0], &[small, small]), small);
    assert_eq!(of(distance::inner_product, Element::Float32, &[small], &[-small]), -small * small);
    assert_eq!(of(distance::cosine_distance, Element::Float32, &[small], &[-small]), 2.0);
}

#[test]
fn float64_stays_infinite_but_has_its_angle() {
    let (large, small) = (1.5e308, 5e-324);
    assert_eq!(of(distance::l2, Element::Float64, &[large], &[-large]), f64::INFINITY);
    assert!(of(distance::inner_product, Element::Float64, &[large, large], &[large, -large]).is_nan());
    for (a, b) in [(large, large), (small, small), (large, small), (1e-200, 1e200)] {
        assert_eq!(of(distance::cosine_similarity, Element::Float64, &[a], &[b]), 1.0);
        assert_eq!(of(distance::cosine_similarity, Element::Float64, &[a, a], &[b, -b]), 0.0);
        assert_eq!(of(distance::cosine_distance, Element::Float64, &[a], &[-b]), 2.0);
    }
}

#[test]
fn a_zero_vector_has_no_angle() {
    for element in Element::ALL {
        let (zeros, ones) = ([0.0; 20], [1.0; 20]);
        assert!(of(distance::cosine_similarity, element, &zeros, &ones).is_nan());
        assert!(of(distance::cosine_distance, element, &zeros, &zeros).is_nan());
        assert_eq!(of(distance::l2, element, &zeros, &zeros).to_bits(), 0);
        assert_eq!(of(distance::inner_product, element, &zeros, &ones).to_bits(), 0);
    }
}

#[test]
fn a_vector_is_at_no_distance_of_itself() {
    for element in Element::ALL {
        for dimensions in [1, 3, 384, 1000] {
            let a = values(element, 5, dimensions, 0.0);
            assert_eq!(of(distance::l2, element, &a, &a), 0.0);
            assert_eq!(of(distance::l1, element, &a, &a), 0.0);
            assert_eq!(of(distance::cosine_distance, element, &a, &a), 0.0);
        }
    }
}

#[test]
fn norms_are_distances_from_zero() {
    for element in Element::ALL {
        for dimensions in [1, 17, 384] {
            let a = values(element, 9, dimensions, 0.3);
            let zeros = vec![0.0; dimensions];
            for form in forms(element, &a) {
                let vector = Packed::read(&form).unwrap();
                for path in Path::available() {
                    let (l2, l1) = (distance::l2_norm(path, &vector), distance::l1_norm(path, &vector));
                    assert_same_bits("l2 norm", l2, of(distance::l2, element, &a, &zeros));
                    assert_same_bits("l1 norm", l1, of(distance::l1, element, &a, &zeros));
                }
            }
        }
    }
    let large = packed(Element::Float32, &[f64::from(3e38f32); 2]);
    let large = Packed::read(&large).unwrap();
    assert!(distance::l2_norm(Path::best(), &large).is_finite() && distance::l1_norm(Path::best(), &large) > 5e38);
}

#[test]
fn products_with_many_rows_are_inner_products_on_every_path() {
    let row = |seed, dimensions| values(Element::Float32, seed, dimensions, 0.1);
    let narrow = |row: &[f64]| row.iter().map(|&value| value as f32).collect::<Vec<_>>();
    for dimensions in (1..=50).chain([383, 384, 1000]) {
        let one = row(1, dimensions);
        let rows: Vec<_> = (0..11).map(|number| row(number + 2, dimensions)).collect();
        let expected = rows.iter().map(|row| of(distance::inner_product, Element::Float32, &one, row) as f32);
        let (expected, matrix) = (expected.collect::<Vec<_>>(), narrow(&rows.concat()));
        for (path, count) in Path::available().into_iter().flat_map(|path| (0..=11).map(move |count| (path, count))) {
            let mut found = vec![0.0; count];
            distance::products(path, &narrow(&one), &matrix, &mut found);
            for (&found, &expected) in found.iter().zip(&expected) {
                assert_same_bits(path.name(), found.into(), expected.into());
            }
        }
    }
}

#[test]
fn products_go_as_far_as_both_rows_and_places_do() {
    for path in Path::available() {
        let mut out = [7.0; 6];
        distance::products(path, &[1.0, 2.0], &[3.0; 11], &mut out);
        assert_eq!(out, [9.0, 9.0, 9.0, 9.0, 9.0, 7.0]);
        distance::products(path, &[1.0, 2.0], &[5.0; 7], &mut out[..4]);
        assert_eq!(out, [15.0, 15.0, 15.0, 9.0, 9.0, 7.0]);
        distance::products(path, &[], &[3.0; 11], &mut out);
        assert_eq!(out, [0.0; 6]);
    }
}

#[test]
#[ignore = "measures; run with --release"]
fn time_of_products() {
    let (row, matrix, mut out) = (vec![0.5; 384], vec![0.25; 384 * 100], vec![0.0; 100]);
    for path in Path::available() {
        let start = std::time::Instant::now();
        for _ in 0..2000 {
            distance::products(path, std::hint::black_box(&row), std::hint::black_box(&matrix), &mut out);
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{}: {:.1} G multiply-adds a second", path.name(), 2000.0 * 38_400.0 / seconds / 1e9);
    }
}

#[test]
fn vectors_of_different_length_have_no_distance() {
    let (a, b) = (packed(Element::Float32, &[0.1; 3]), packed(Element::Float32, &[0.1; 4]));
    let (a, b) = (Packed::read(&a).unwrap(), Packed::read(&b).unwrap());
    for distance in DISTANCES {
        let error = distance(Path::best(), &a, &b).unwrap_err();
        assert_eq!(error, VectorError::DifferentDimensions { expected: 3, found: 4 });
    }
}

proptest! {
    #[test]
    fn float32_is_near_the_exact_sum(pairs in prop::collection::vec((-1e3f32..1e3, -1e3f32..1e3), 1..600)) {
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().map(|&(a, b)| (f64::from(a), f64::from(b))).unzip();
        let sum = |term: fn(f64, f64) -> f64| a.iter().zip(&b).map(|(&a, &b)| term(a, b)).sum::<f64>();
        let products = sum(|a, b| (a * b).abs());
        let near = |found: f64, expected: f64, size: f64| (found - expected).abs() <= size * 1e-5;
        let l2 = of(distance::l2, Element::Float32, &a, &b);
        let inner = of(distance::inner_product, Element::Float32, &a, &b);
        let l1 = of(distance::l1, Element::Float32, &a, &b);
        prop_assert!(near(l2, sum(|a, b| (a - b) * (a - b)).sqrt(), l2));
        prop_assert!(near(inner, sum(|a, b| a * b), products));
        prop_assert!(near(l1, sum(|a, b| (a - b).abs()), l1));
    }

    #[test]
    fn any_float32_keeps_its_bits_and_its_range(bits in prop::collection::vec(any::<(u32, u32)>(), 1..80)) {
        let finite = |bits| match f64::from(f32::from_bits(bits)) {
            value if value.is_finite() => value + 0.0,
            _ => 1.0,
        };
        let (a, b): (Vec<f64>, Vec<f64>) = bits.iter().map(|&(a, b)| (finite(a), finite(b))).unzip();
        check((Element::Float32, &a), (Element::Float32, &b));
        let cosine = of(distance::cosine_similarity, Element::Float32, &a, &b);
        prop_assert!(cosine.is_nan() || (-1.0..=1.0).contains(&cosine));
        prop_assert!(of(distance::l2, Element::Float32, &a, &b).is_finite());
    }

    #[test]
    fn damaged_bytes_have_some_distance(mut bytes in prop::collection::vec(any::<u8>(), 4..200), types in 0u8..36, sparse: bool) {
        let stored = Element::from_number(types / 6).unwrap_or(Element::Float32);
        let entry = stored.width() + if sparse { 2 } else { 0 };
        let count = (bytes.len() - 4) / entry;
        bytes.truncate(4 + count * entry);
        bytes[..2].copy_from_slice(&(count as u16).to_le_bytes());
        bytes[2] = (types % 6) | (stored.number() << 4);
        bytes[3] = 1 << 4 | u8::from(sparse);
        if let Ok(vector) = Packed::read(&bytes) {
            for distance in DISTANCES {
                let expected = distance(Path::Scalar, &vector, &vector);
                for path in Path::available() {
                    match (distance(path, &vector, &vector), &expected) {
                        (Ok(found), &Ok(expected)) => assert_same_bits(path.name(), found, expected),
                        (found, expected) => assert_eq!(found.is_err(), expected.is_err()),
                    }
                }
            }
        }
    }
}
