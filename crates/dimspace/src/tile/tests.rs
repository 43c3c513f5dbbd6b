//! Tiles hold what was put in, and masks say what each code says.

use proptest::prelude::*;

use super::*;

fn shape() -> impl Strategy<Value = Shape> {
    let any_read = (1..=504u16, 4..=2016u16).prop_filter_map("too large", |(rows, fours)| Shape::new(rows, fours * 4));
    prop_oneof![(1..=504u16).prop_map(Shape::for_rows), any_read]
}

fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (state >> 33) as u8
    };
    (0..count).map(|_| next()).collect()
}

/// Codes that meet bounds often: high bytes of few values, the extremes among them.
fn bounds() -> impl Strategy<Value = CodeBounds> {
    let code = || prop_oneof![-1..=65_536i32, Just(-1), Just(65_536), Just(0), Just(65_535), 0..512i32];
    (code(), code()).prop_map(|(low, high)| CodeBounds { low, high })
}

fn planes(shape: Shape, seed: u64) -> [Vec<u8>; 2] {
    let mut payloads = [noise(seed, PAYLOAD_BYTES), noise(seed + 1, PAYLOAD_BYTES)];
    payloads[0].iter_mut().step_by(3).for_each(|byte| *byte &= 1);
    payloads[0].truncate(shape.rows() * shape.dims_per_page());
    payloads
}

/// Settles the rows at the edge with both planes at hand.
fn settle_both(
    a: &[u8],
    b: &[u8],
    shape: Shape,
    dimension: usize,
    bounds: CodeBounds,
    edge: RowMask,
) -> (RowMask, RowMask) {
    let mut high = Vec::new();
    edge_codes(a, shape, dimension, edge, &mut high);
    settle(&high, b, shape, dimension, bounds, edge)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn pages_give_back_the_codes(shape in shape(), dimensions in 1usize..300, seed in any::<u64>()) {
        let codes = noise(seed, shape.rows() * dimensions);
        let mut back = vec![0; codes.len()];
        for page in 0..shape.pages(dimensions) {
            let mut payload = vec![0; PAYLOAD_BYTES];
            fill(shape, dimensions, page, &codes, &mut payload);
            unfill(shape, dimensions, page, &payload, &mut back);
            for dimension in (0..dimensions).filter(|&dimension| shape.place(dimension).0 == page).step_by(7) {
                let place = shape.place(dimension).1;
                for row in (0..shape.rows()).step_by(5) {
                    prop_assert_eq!(code(&payload, shape, place, row), Some(codes[row * dimensions + dimension]));
                }
            }
        }
        prop_assert!(back == codes);
    }

    #[test]
    fn both_planes_say_what_the_codes_say(shape in shape(), bounds in bounds(), seed in any::<u32>(), dimension: usize) {
        let dimension = dimension % shape.dims_per_page();
        let [a, b] = planes(shape, seed.into());
        let (inside, edge) = classify(&a, shape, dimension, bounds);
        let (settled, undecided) = settle_both(&a, &b, shape, dimension, bounds, edge);
        prop_assert!(inside.and(&edge).is_empty() && settled.or(&undecided).and_not(&edge).is_empty());
        for row in 0..512 {
            let byte = |payload: &[u8]| code(payload, shape, dimension, row);
            let Some((high, low)) = byte(&a).zip(byte(&b)) else {
                prop_assert!(row >= shape.rows() && !inside.get(row) && !edge.get(row));
                continue;
            };
            let verdict = bounds.verdict(u16::from_be_bytes([high, low]));
            prop_assert_eq!(inside.get(row) || settled.get(row), verdict == Verdict::Inside);
            prop_assert_eq!(undecided.get(row), verdict == Verdict::Undecided);
            let high = i32::from(high);
            prop_assert!(!edge.get(row) || high == bounds.low >> 8 || high == bounds.high >> 8);
        }
    }

    #[test]
    fn a_mask_has_a_bit_for_each_byte_between(low in -2..300i32, high in -2..300i32, seed in any::<u64>()) {
        let column: [u8; BLOCK_ROWS] = noise(seed, BLOCK_ROWS).try_into().unwrap();
        let mask = Between::of(low, high).mask(&column);
        for (place, &byte) in column.iter().enumerate() {
            prop_assert_eq!(mask >> place & 1 == 1, (low..=high).contains(&i32::from(byte)));
        }
    }

    #[test]
    fn short_payloads_lose_no_row(shape in shape(), bytes in 0..PAYLOAD_BYTES, seed in any::<u64>(), dimension in 0..9000usize) {
        let payload = noise(seed, bytes);
        let bounds = CodeBounds { low: 1000, high: 30_000 };
        let (inside, edge) = classify(&payload, shape, dimension, bounds);
        let (_, undecided) = settle_both(&payload, &payload, shape, dimension, bounds, RowMask::all(shape.rows()));
        for row in 0..shape.rows() {
            if code(&payload, shape, dimension, row).is_none() {
                prop_assert!(!inside.get(row) && edge.get(row) && undecided.get(row));
            }
        }
        let mut codes = noise(seed, 3 * bytes / 2);
        unfill(shape, 40, 0, &payload, &mut codes);
        fill(shape, 40, dimension, &codes, &mut noise(seed, bytes));
    }

    #[test]
    fn masks_are_sets(a in prop::collection::btree_set(0usize..512, 0..200), b in prop::collection::btree_set(0usize..512, 0..200)) {
        let mask = |rows: &std::collections::BTreeSet<usize>| {
            let mut mask = RowMask::none();
            rows.iter().for_each(|&row| mask.set(row, true));
            mask
        };
        let rows = |mask: RowMask| mask.iter().collect::<std::collections::BTreeSet<_>>();
        prop_assert!(mask(&a).iter().eq(a.iter().copied()));
        prop_assert_eq!(mask(&a).count(), a.len());
        prop_assert_eq!(mask(&a).is_empty(), a.is_empty());
        prop_assert_eq!(rows(mask(&a).and(&mask(&b))), &a & &b);
        prop_assert_eq!(rows(mask(&a).or(&mask(&b))), &a | &b);
        prop_assert_eq!(rows(mask(&a).and_not(&mask(&b))), &a - &b);
    }
}

#[test]
fn shapes_hold_what_the_layout_says() {
    for (rows, dimensions) in [(504, 16), (252, 32), (126, 64), (63, 128), (1, 8064), (503, 16), (100, 80)] {
        let shape = Shape::for_rows(rows);
        assert_eq!((shape.rows(), shape.dims_per_page()), (usize::from(rows), dimensions));
        assert_eq!(Shape::new(rows, dimensions as u16), Some(shape));
    }
    for (rows, dimensions) in [(0, 16), (505, 16), (504, 12), (504, 20), (252, 33), (1, 8068), (u16::MAX, u16::MAX)] {
        assert_eq!(Shape::new(rows, dimensions), None);
    }
    assert_eq!(Shape::for_rows(504).pages(384), 24);
    assert_eq!(Shape::for_rows(504).place(33), (2, 1));
}

#[test]
fn a_byte_lies_where_the_layout_says() {
    let shape = Shape::for_rows(504);
    let mut payload = [0; PAYLOAD_BYTES];
    payload[64 * 2 * 16 + 5 * 64 + 7] = 1;
    payload[64 * 7 * 16 + 5 * 56 + 55] = 2;
    assert_eq!(code(&payload, shape, 5, 64 * 2 + 7), Some(1));
    assert_eq!(code(&payload, shape, 5, 503), Some(2));
    assert_eq!((code(&payload, shape, 16, 0), code(&payload, shape, 0, 504)), (None, None));
}

#[test]
fn all_rows_are_those_below() {
    for rows in [0, 1, 63, 64, 65, 504, 512, 9999] {
        assert!(RowMask::all(rows).iter().eq(0..rows.min(512)));
    }
    let mut mask = RowMask::all(3);
    mask.set(1, false);
    mask.set(512, true);
    assert!(mask.iter().eq([0, 2]));
}

#[test]
#[ignore = "measures; run with --release"]
fn time_of_tiles() {
    let time = |what: &str, work: &mut dyn FnMut()| {
        let start = std::time::Instant::now();
        (0..20_000).for_each(|_| work());
        println!("{what}: {} ns", start.elapsed().as_nanos() / 20_000);
    };
    let (shape, codes, mut payload) = (Shape::for_rows(504), noise(1, 504 * 384), vec![0; PAYLOAD_BYTES]);
    let mut page = 0;
    time("fill of 8,064 codes", &mut || {
        page = (page + 1) % 24;
        fill(shape, 384, page, std::hint::black_box(&codes), &mut payload)
    });
    let mut back = vec![0; codes.len()];
    time("unfill of 8,064 codes", &mut || unfill(shape, 384, 3, std::hint::black_box(&payload), &mut back));
    let bounds = CodeBounds { low: 1000, high: 30_000 };
    time("classify of 504 rows", &mut || {
        std::hint::black_box(classify(std::hint::black_box(&payload), shape, 5, std::hint::black_box(bounds)));
    });
    let edge = classify(&payload, shape, 5, bounds).1;
    println!("edge rows: {}", edge.count());
    time("settle of the edge", &mut || {
        std::hint::black_box(settle_both(&payload, &payload, shape, 5, std::hint::black_box(bounds), edge));
    });
}
