//! Codes are monotone, bounds decide as the values do, residuals are upper bounds.

use std::hint::black_box;

use proptest::prelude::*;

use super::*;

/// Any float32 but NaN; often near another.
fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        any::<u32>().prop_map(|bits| finite_or_infinite(f32::from_bits(bits))),
        -2.0f32..2.0,
        (-40i32..40).prop_map(|steps| f32::from_bits((1.0f32.to_bits() as i32 + steps) as u32)),
        prop_oneof![Just(0.0), Just(f32::MAX), Just(f32::MIN), Just(f32::from_bits(1)), Just(f32::INFINITY)],
    ]
}

fn finite_or_infinite(x: f32) -> f32 {
    if x.is_nan() { 0.0 } else { x }
}

fn scale() -> impl Strategy<Value = Scale> {
    let of_quantiles = (value(), value()).prop_map(|(a, b)| Scale::of_quantiles(a.min(b), a.max(b)));
    let constant = value().prop_map(|x| Scale::of_quantiles(x, x));
    let read =
        (value(), any::<u32>()).prop_filter_map("not usable", |(low, bits)| Scale::new(low, f32::from_bits(bits)));
    prop_oneof![of_quantiles, constant, read]
}

/// Float64 beside and between float32.
fn bound() -> impl Strategy<Value = f64> {
    (value(), -3i32..=3).prop_map(|(x, ulps)| {
        let x = f64::from(x);
        if x.is_infinite() || x == 0.0 { x } else { f64::from_bits((x.to_bits() as i64 + i64::from(ulps)) as u64) }
    })
}

fn is_in(lo: f64, hi: f64, x: f64) -> bool {
    lo <= x && x <= hi
}

fn agrees(verdict: Verdict, inside: bool) -> bool {
    verdict == Verdict::Undecided || verdict == in_or_out(inside)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_smaller_value_has_no_greater_code(scale in scale(), a in value(), b in value()) {
        prop_assert!(scale.code(a.min(b)) <= scale.code(a.max(b)));
        prop_assert!(scale.code(a) <= scale.code(a.next_up()));
    }

    #[test]
    fn every_scale_is_usable(a in value(), b in value()) {
        let scale = Scale::of_quantiles(a, b);
        prop_assert_eq!(Scale::new(scale.low(), scale.step()), Some(scale));
        prop_assert!((0..=255).all(|high| scale.coarse_value(high).is_finite()));
        prop_assert!(scale.value(0).is_finite() && scale.value(CODE_MAX).is_finite());
    }

    #[test]
    fn a_constant_lies_in_the_middle_apart_from_its_neighbours(x in -1e38f32..1e38, exponent in -90i32..0) {
        let x = x * 2f32.powi(exponent);
        prop_assume!(x.abs() >= 1e-30);
        let scale = Scale::of_quantiles(x, x);
        let codes = [x.next_down(), x, x.next_up()].map(|x| scale.code(x));
        prop_assert!(codes[0] < codes[1] && codes[1] < codes[2]);
        prop_assert!(codes[1].abs_diff(32_768) <= 1);
    }

    #[test]
    fn codes_decide_as_values_do(scale in scale(), lo in bound(), hi in bound(), x in bound()) {
        for (lo, hi) in [(lo, hi), (lo, f64::INFINITY), (f64::NEG_INFINITY, hi), (x, hi), (lo, x), (x, x)] {
            let verdict = scale.bounds(lo, hi).verdict(scale.code(x as f32));
            prop_assert!(agrees(verdict, is_in(lo, hi, x)), "{:?} of {} in {}..={}", verdict, x, lo, hi);
        }
    }

    #[test]
    fn exact_bounds_decide_as_values_do(lo in bound(), hi in bound(), x in bound()) {
        let near = x as f32;
        for (lo, hi) in [(lo, hi), (x, hi), (lo, x), (f64::from(near), hi), (lo, f64::from(near)), (x, f64::INFINITY)] {
            let bounds = ExactBounds { lo, hi };
            prop_assert_eq!(bounds.decide(near, false), in_or_out(is_in(lo, hi, f64::from(near))));
            let verdict = bounds.decide(near, true);
            prop_assert!(agrees(verdict, is_in(lo, hi, x)));
            let at_a_bound = near == lo as f32 || near == hi as f32;
            prop_assert!(verdict != Verdict::Undecided || at_a_bound);
        }
    }

    #[test]
    fn rows_are_coded_as_their_values(row in prop::collection::vec((scale(), value()), 0..70)) {
        let (scales, values): (Vec<Scale>, Vec<f32>) = row.into_iter().unzip();
        let set = ScaleSet::new(scales.clone());
        let count = values.len();
        let (mut high, mut low) = (vec![0; count], vec![0; count]);
        set.encode(&values, &mut high, &mut low);
        let (mut fine, mut coarse) = (vec![0.0; count], vec![0.0; count]);
        set.decode(&high, &low, &mut fine);
        set.decode_coarse(&high, &mut coarse);
        for (place, scale) in scales.iter().enumerate() {
            let code = scale.code(values[place]);
            prop_assert_eq!([low[place], high[place]], code.to_le_bytes());
            prop_assert_eq!(fine[place], scale.value(code));
            prop_assert_eq!(coarse[place], scale.coarse_value(high[place]));
            prop_assert_eq!(set.scale(place), Some(*scale));
        }
    }

    #[test]
    fn a_residual_is_never_too_small(row in prop::collection::vec((scale(), value()), 0..40)) {
        let (scales, values): (Vec<Scale>, Vec<f32>) = row.into_iter().unzip();
        let set = ScaleSet::new(scales);
        let (mut high, mut low, mut coarse) = (vec![0; values.len()], vec![0; values.len()], vec![0.0; values.len()]);
        set.encode(&values, &mut high, &mut low);
        set.decode_coarse(&high, &mut coarse);
        let largest = values.iter().zip(&coarse).map(|(&x, &y)| (f64::from(x) - f64::from(y)).abs()).fold(0.0, f64::max);
        let squares = values.iter().zip(&coarse).map(|(&x, &y)| ((f64::from(x) - f64::from(y)) / largest.max(1e-300)).powi(2));
        let exact = squares.sum::<f64>().sqrt() * largest;
        let found = f64::from(residual_value(set.residual(&values, &high)));
        prop_assert!(found >= exact || exact.is_nan(), "{} is below {}", found, exact);
        let finite = exact < f64::from(f32::MAX) / 2.0;
        prop_assert!(!finite || found <= exact * 1.01 + 1e-40, "{} is far above {}", found, exact);
    }
}

#[test]
fn a_code_is_what_is_before_the_point() {
    let wholes = (0..=u32::from(CODE_MAX) + 2).map(|whole| whole as f32 - 1.0);
    for place in
        wholes.flat_map(|whole| [whole.next_down(), whole, whole.next_up(), whole + 0.5, (whole + 0.5).next_up()])
    {
        assert_eq!(clamped(place), place.trunc().clamp(0.0, 65_535.0) as u16, "{place}");
    }
    let odd = [f32::NAN, f32::NEG_INFINITY, f32::MIN, f32::from_bits(1), f32::MAX, f32::INFINITY];
    assert_eq!(odd.map(clamped), [0, 0, 0, 0, CODE_MAX, CODE_MAX]);
}

#[test]
fn rounding_up_passes_no_number() {
    for (x, expected) in [(0.0, 0.0), (1.0, 1.0), (1.0 + 1e-15, 1.0078125), (1e-300, 9.18355e-41)] {
        assert_eq!(residual_value(rounded_up(x)), expected);
    }
    for x in [f64::NAN, f64::INFINITY, 1e300, f64::from(f32::MAX)] {
        assert_eq!(residual_value(rounded_up(x)), f32::INFINITY);
    }
}

#[test]
fn codes_spread_over_the_widened_interval() {
    let scale = Scale::of_quantiles(-1.0, 1.0);
    assert_eq!([-1.6, -1.4, 0.0, 1.4, 1.6].map(|x| scale.code(x) / 8192), [0, 0, 4, 7, 7]);
    assert_eq!((scale.code(-1.6), scale.code(1.6)), (0, CODE_MAX));
    assert!((0..=CODE_MAX).all(|code| scale.code(scale.value(code)) == code));
    assert!((scale.coarse_value(128) - scale.step() * 127.5).abs() < 1e-6);
}

#[test]
fn encode_tells_of_values_outside_the_codes() {
    let set = ScaleSet::new(vec![Scale::of_quantiles(-1.0, 1.0); 3]);
    let clamps = |values: [f32; 3]| set.encode(&values, &mut [0; 3], &mut [0; 3]);
    assert!(!clamps([-1.49, 0.0, 1.49]));
    assert!(clamps([0.0, 1.6, 0.0]) && clamps([0.0, 0.0, -1.6]) && clamps([f32::INFINITY, 0.0, 0.0]));
}

#[test]
fn unusable_scales_are_refused() {
    for step in [0.0, -1.0, f32::NAN, f32::INFINITY, f32::MAX, f32::from_bits(1), f32::MIN_POSITIVE / 2.0] {
        assert_eq!(Scale::new(0.0, step), None, "{step}");
    }
    assert_eq!(Scale::new(f32::NAN, 1.0), None);
    assert_eq!(Scale::new(f32::INFINITY, 1.0), None);
}

#[test]
fn nothing_lies_in_a_range_without_bounds_or_upside_down() {
    let scale = Scale::of_quantiles(-1.0, 1.0);
    for (lo, hi) in [(f64::NAN, 1.0), (0.0, f64::NAN), (1.0, -1.0)] {
        assert!((0..=CODE_MAX).all(|code| scale.bounds(lo, hi).verdict(code) == Verdict::Outside));
    }
    let all = scale.bounds(f64::NEG_INFINITY, f64::INFINITY);
    assert_eq!(all, CodeBounds { low: -1, high: 65_536 });
    assert!((0..=CODE_MAX).all(|code| all.verdict(code) == Verdict::Inside));
}

#[test]
fn a_norm_neither_overflows_nor_vanishes() {
    assert_eq!(norm(&[3.0, 0.0, 4.0]), 5.0);
    assert_eq!(norm(&[1e38; 4]), 2e38);
    assert_eq!(norm(&[f32::MIN_POSITIVE; 16]), 4.0 * f32::MIN_POSITIVE);
}

#[test]
#[ignore = "measures; run with --release"]
fn time_of_encoding() {
    let set = ScaleSet::new(vec![Scale::of_quantiles(-1.0, 1.0); 384]);
    let values: Vec<f32> = (0..384).map(|i| (i as f32).sin()).collect();
    let (mut high, mut low, mut out) = (vec![0; 384], vec![0; 384], vec![0.0; 384]);
    let time = |what: &str, work: &mut dyn FnMut() -> u32| {
        let start = std::time::Instant::now();
        (0..100_000).for_each(|_| _ = black_box(work()));
        println!("{what}: {} ns", start.elapsed().as_nanos() / 100_000);
    };
    time("encode", &mut || set.encode(black_box(&values), &mut high, &mut low).into());
    time("residual", &mut || set.residual(black_box(&values), &high).into());
    time("norm", &mut || norm(black_box(&values)) as u32);
    time("decode", &mut || {
        set.decode(black_box(&high), black_box(&low), black_box(&mut out));
        0
    });
}
