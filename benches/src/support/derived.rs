//! Vectors like others: each a vector of the base with a little noise, made again to length 1, for tables larger than the base
//! and for rows that are new.

use fixtures::noise::Noise;

use super::vectors::Vectors;

/// The standard deviation of a value's noise. Values of 384 dimensions of length 1 have one of 0.05.
const DEVIATION: f32 = 0.005;

/// Returns endless vectors: round by round one of each in the base. A seed has its own.
pub fn vectors(base: &Vectors, seed: u64) -> impl Iterator<Item = Vec<f32>> + '_ {
    let mut noise = Noise::new(seed, "derived");
    std::iter::repeat_with(|| base.iter()).flatten().map(move |vector| derive(vector, &mut noise))
}

fn derive(vector: &[f32], noise: &mut Noise) -> Vec<f32> {
    let noisy: Vec<f32> = vector.iter().map(|value| value + DEVIATION * gauss(noise.next_u64())).collect();
    let length = noisy.iter().map(|value| value * value).sum::<f32>().sqrt();
    noisy.iter().map(|value| value / length).collect()
}

/// Returns a number that is nearly normal, of deviation 1: four evenly spread ones in sum, each of variance 1/12.
fn gauss(bits: u64) -> f32 {
    let parts = [0, 16, 32, 48].map(|shift| f32::from((bits >> shift) as u16) / 65_536.0 - 0.5);
    parts.iter().sum::<f32>() * 3f32.sqrt()
}

#[cfg(test)]
mod tests {
    use super::{Noise, gauss};

    #[test]
    fn noise_has_mean_0_and_deviation_1() {
        let mut noise = Noise::new(7, "test");
        let numbers: Vec<f32> = (0..100_000).map(|_| gauss(noise.next_u64())).collect();
        let mean = numbers.iter().sum::<f32>() / 1e5;
        let variance = numbers.iter().map(|number| number * number).sum::<f32>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}
