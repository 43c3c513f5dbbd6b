//! Shares by quantiles are near the true ones.

use atom::Never;
use proptest::prelude::*;

use super::*;
use crate::kmeans::Alone;

/// Pseudorandom numbers from 0 to 1.
fn random() -> impl FnMut() -> f64 {
    let mut state = 1u64;
    move || {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        ((state >> 11) as f64 + 0.5) / 2f64.powi(53)
    }
}

fn uniform(count: usize) -> Vec<f32> {
    let mut random = random();
    (0..count).map(|_| random() as f32).collect()
}

/// Gaussian numbers, by the method of Box and Muller.
fn gaussian(count: usize) -> Vec<f32> {
    let mut random = random();
    let mut next = || (-2.0 * random().ln()).sqrt() * (2.0 * std::f64::consts::PI * random()).cos();
    (0..count).map(|_| next() as f32).collect()
}

/// Compares with the shares of a population, whose first 10,000 numbers are the sample.
fn assert_near(mut population: Vec<f32>) {
    let quantiles = Quantiles::of_sample(&mut population[..10_000].to_vec());
    population.sort_by(f32::total_cmp);
    for exact in [0.001, 0.01] {
        let rows = (exact * population.len() as f64) as usize;
        for start in (0..=population.len() - rows).step_by(rows / 10) {
            let (lo, hi) = (f64::from(population[start]), f64::from(population[start + rows - 1]));
            let share = quantiles.share(lo, hi);
            assert!(share <= 2.0 * exact && share >= exact / 2.0, "{share} instead of {exact} from {lo} to {hi}");
        }
    }
}

#[test]
fn shares_are_within_a_factor_of_two() {
    assert_near(uniform(500_000));
    assert_near(gaussian(500_000));
}

#[test]
fn a_heavy_value_has_its_mass() {
    let mut sample = uniform(10_000);
    sample[..3000].fill(0.25);
    let quantiles = Quantiles::of_sample(&mut sample);
    assert!((quantiles.share(0.25, 0.25) - 0.3).abs() < 0.1);
    let constant = Quantiles::of_sample(&mut [7.0; 50]);
    assert_eq!(
        [(7.0, 7.0), (6.0, 8.0), (8.0, 9.0), (5.0, 6.0)].map(|(lo, hi)| constant.share(lo, hi)),
        [1.0, 1.0, 0.0, 0.0]
    );
}

#[test]
fn probabilities_are_symmetric() {
    for (below, above) in PROBABILITIES.iter().zip(PROBABILITIES.iter().rev()) {
        assert!((below + above - 1.0).abs() < 1e-6);
    }
    assert_eq!(SCALE_QUANTILES.map(|place| PROBABILITIES[place]), [0.001, 0.999]);
}

#[test]
fn an_odd_sample_has_quantiles() {
    assert_eq!(Quantiles::of_sample(&mut []).values(), &[0.0; QUANTILES]);
    assert_eq!(Quantiles::of_sample(&mut [3.0]).values(), &[3.0; QUANTILES]);
    let wild = Quantiles::of_sample(&mut [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX]);
    assert_eq!(Quantiles::from_bytes(&wild.to_bytes()), Some(wild));
}

#[test]
fn damaged_quantiles_are_refused() {
    let bytes = Quantiles::of_sample(&mut uniform(100)).to_bytes();
    for damage in [f32::NAN, f32::INFINITY, -1.0] {
        let mut damaged = bytes;
        damaged[40..44].copy_from_slice(&damage.to_le_bytes());
        assert_eq!(Quantiles::from_bytes(&damaged), None);
    }
}

#[test]
fn columns_are_sampled_each_for_itself() {
    let mut sample = Matrix::new(21);
    (0..50).for_each(|row| sample.push(&(0..21).map(|column| (row * column) as f32).collect::<Vec<_>>()));
    let found = of_columns(&sample, &Alone, &Never).unwrap();
    for (column, found) in found.iter().enumerate() {
        let mut values: Vec<f32> = (0..50).map(|row| (row * column) as f32).collect();
        assert_eq!(*found, Quantiles::of_sample(&mut values));
    }
    assert_eq!(found.len(), 21);
    assert_eq!(of_columns(&Matrix::new(3), &Alone, &Never).unwrap().len(), 3);
    struct Cancelled;
    impl Interrupt for Cancelled {
        fn check(&self) -> Result<(), Interrupted> {
            Err(Interrupted)
        }
    }
    assert_eq!(of_columns(&sample, &Alone, &Cancelled), Err(Interrupted));
}

proptest! {
    #[test]
    fn any_sample_gives_sound_shares(bits in prop::collection::vec(any::<u32>(), 0..60), lo: f64, hi: f64, few in 0usize..60) {
        let mut sample: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        if let Some(&value) = sample.first() {
            sample.iter_mut().take(few).for_each(|slot| *slot = value);
        }
        let quantiles = Quantiles::of_sample(&mut sample);
        prop_assert_eq!(Quantiles::from_bytes(&quantiles.to_bytes()), Some(quantiles));
        let bounds = sample.iter().take(3).map(|&x| f64::from(x)).chain([lo, hi, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
        let bounds: Vec<f64> = bounds.collect();
        for (&lo, &hi) in bounds.iter().flat_map(|lo| bounds.iter().map(move |hi| (lo, hi))) {
            let share = quantiles.share(lo, hi);
            prop_assert!((0.0..=1.0).contains(&share), "{} from {} to {}", share, lo, hi);
        }
        prop_assert_eq!(quantiles.share(f64::NEG_INFINITY, f64::INFINITY), 1.0);
    }
}

#[test]
#[ignore = "measures; run with --release"]
fn time_of_quantiles() {
    let mut sample = Matrix::new(384);
    gaussian(3_840_000).chunks(384).for_each(|row| sample.push(row));
    let start = std::time::Instant::now();
    of_columns(&sample, &Alone, &Never).unwrap();
    println!("quantiles of 10,000 x 384: {} ms", start.elapsed().as_millis());
}
