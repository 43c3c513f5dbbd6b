//! What numbers look like: moments, a histogram, and how far two tensors lie apart.  All are fed slice by slice.

/// Counts, extremes and moments.  Mean and deviation are those of the finite values, extremes too.
///
/// Slices are joined by the pairwise update of Chan, Golub and LeVeque (1979), which loses no digits to a large mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// All values.
    pub count: u64,
    /// Values that are 0 or -0.
    pub zeros: u64,
    /// Values that are NaN.
    pub nans: u64,
    /// Values that are infinite.
    pub infinities: u64,
    finite: u64,
    min: f64,
    max: f64,
    mean: f64,
    squares: f64,
}

impl Default for Moments {
    fn default() -> Moments {
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        Moments { count: 0, zeros: 0, nans: 0, infinities: 0, finite: 0, min, max, mean: 0.0, squares: 0.0 }
    }
}

impl Moments {
    /// Takes more values.
    pub fn add(&mut self, values: &[f64]) {
        let count = |is: fn(&f64) -> bool| values.iter().filter(|value| is(value)).count() as u64;
        let (nans, infinities) = (count(|value| value.is_nan()), count(|value| value.is_infinite()));
        self.count = self.count.saturating_add(values.len() as u64);
        self.zeros = self.zeros.saturating_add(count(|value| *value == 0.0));
        self.nans = self.nans.saturating_add(nans);
        self.infinities = self.infinities.saturating_add(infinities);
        let finite = (values.len() as u64).saturating_sub(nans).saturating_sub(infinities);
        if finite > 0 {
            self.join(finite, values);
        }
    }

    fn join(&mut self, finite: u64, values: &[f64]) {
        let finite_values = || values.iter().copied().filter(|value| value.is_finite());
        let sum = finite_values().sum::<f64>();
        // Values near the largest number: their sum would be infinite, their mean is not.
        let mean = if sum.is_finite() {
            sum / finite as f64
        } else {
            finite_values().map(|value| value / finite as f64).sum()
        };
        let squares = finite_values().map(|value| (value - mean) * (value - mean)).sum::<f64>();
        if self.finite == 0 {
            (self.mean, self.squares) = (mean, squares);
        } else {
            let share = finite as f64 / self.finite.saturating_add(finite) as f64;
            let apart = mean - self.mean;
            self.mean += apart * share;
            self.squares += squares + apart * apart * self.finite as f64 * share;
        }
        self.finite = self.finite.saturating_add(finite);
        self.min = finite_values().fold(self.min, f64::min);
        self.max = finite_values().fold(self.max, f64::max);
    }

    fn of_finite(&self, value: f64) -> Option<f64> {
        (self.finite > 0).then_some(value)
    }

    /// Returns the least finite value.
    pub fn min(&self) -> Option<f64> {
        self.of_finite(self.min)
    }

    /// Returns the greatest finite value.
    pub fn max(&self) -> Option<f64> {
        self.of_finite(self.max)
    }

    /// Returns the mean of the finite values.
    pub fn mean(&self) -> Option<f64> {
        self.of_finite(self.mean)
    }

    /// Returns the standard deviation of the finite values, as of a whole population.
    pub fn deviation(&self) -> Option<f64> {
        self.of_finite((self.squares / self.finite.max(1) as f64).sqrt())
    }
}

/// Counts of finite values in buckets of one width.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    low: f64,
    high: f64,
    counts: Vec<u64>,
}

impl Histogram {
    /// Begins with empty buckets that split `low..=high`; a value on a border belongs to the upper one, `high` to the last.
    pub fn new(low: f64, high: f64, buckets: usize) -> Histogram {
        Histogram { low, high, counts: vec![0; buckets] }
    }

    /// Takes more values; those that are not finite are left out.
    pub fn add(&mut self, values: &[f64]) {
        // Halved, because the width of a range may exceed the largest number.
        let half_low = self.low / 2.0;
        let half_width = self.high / 2.0 - half_low;
        let buckets = self.counts.len() as f64;
        for value in values.iter().filter(|value| value.is_finite()) {
            let share = if half_width > 0.0 { (value / 2.0 - half_low) / half_width } else { 0.0 };
            #[allow(clippy::cast_possible_truncation, reason = "a share of a count of buckets; the cast saturates")]
            let bucket = ((share * buckets) as usize).min(self.counts.len().saturating_sub(1));
            if let Some(count) = self.counts.get_mut(bucket) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Returns the counts, from the lowest bucket on.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }
}

/// How far two tensors of one shape lie apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Apart {
    squares: f64,
    squares_of_first: f64,
}

impl Apart {
    /// Takes more values of both; equal ones, infinite or NaN in both, are no distance apart.
    pub fn add(&mut self, first: &[f64], second: &[f64]) {
        for (a, b) in first.iter().zip(second) {
            let is_same = a == b || (a.is_nan() && b.is_nan());
            let apart = if is_same { 0.0 } else { a - b };
            self.squares += apart * apart;
            self.squares_of_first += if a.is_finite() { a * a } else { 0.0 };
        }
    }

    /// Returns the norm of the difference over the norm of the first tensor: 0 when all values are equal, infinity when only the
    /// first is all zeros, NaN when one has NaN where the other has a number.
    pub fn relative(&self) -> f64 {
        match self.squares == 0.0 {
            true => 0.0,
            false => (self.squares / self.squares_of_first).sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Apart, Histogram, Moments};

    #[test]
    fn moments_do_not_depend_on_the_slices() {
        let values: Vec<f64> = (0..1000).map(|n| 1e9 + f64::from(n % 7)).collect();
        let mut whole = Moments::default();
        whole.add(&values);
        for size in [1, 3, 999] {
            let mut sliced = Moments::default();
            values.chunks(size).for_each(|slice| sliced.add(slice));
            assert_eq!((sliced.count, sliced.min(), sliced.max()), (1000, Some(1e9), Some(1e9 + 6.0)));
            assert!((sliced.mean().unwrap() - whole.mean().unwrap()).abs() < 1e-6, "{size}");
            assert!((sliced.deviation().unwrap() - whole.deviation().unwrap()).abs() < 1e-6, "{size}");
        }
        // Deviation of 0 to 6, each as often as the others but for the last few.
        assert!((whole.deviation().unwrap() - 2.0).abs() < 0.01);
    }

    #[test]
    fn what_is_not_finite_is_counted_only() {
        let mut moments = Moments::default();
        moments.add(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        assert_eq!((moments.min(), moments.max(), moments.mean(), moments.deviation()), (None, None, None, None));
        let mut largest = Moments::default();
        largest.add(&[f64::MAX, f64::MAX]);
        assert_eq!(largest.mean(), Some(f64::MAX));
        moments.add(&[0.0, -0.0, 4.0, f64::NAN]);
        assert_eq!((moments.count, moments.zeros, moments.nans, moments.infinities), (7, 2, 2, 2));
        assert_eq!((moments.min(), moments.max(), moments.mean()), (Some(0.0), Some(4.0), Some(4.0 / 3.0)));
    }

    #[test]
    fn every_finite_value_falls_into_a_bucket() {
        let mut histogram = Histogram::new(-1.0, 1.0, 4);
        histogram.add(&[-1.0, -0.5, 0.0, 0.49, 0.5, 1.0, f64::NAN, f64::INFINITY]);
        assert_eq!(histogram.counts(), [1, 1, 2, 2]);
        let mut widest = Histogram::new(f64::MIN, f64::MAX, 2);
        widest.add(&[f64::MIN, f64::MAX, f64::MIN / 2.0]);
        assert_eq!(widest.counts(), [2, 1]);
        let mut one_value = Histogram::new(3.0, 3.0, 3);
        one_value.add(&[3.0, 3.0]);
        assert_eq!(one_value.counts(), [2, 0, 0]);
        Histogram::new(0.0, 1.0, 0).add(&[0.5]);
    }

    #[test]
    fn distance_is_relative_to_the_first() {
        let relative = |first: &[f64], second: &[f64]| {
            let mut apart = Apart::default();
            apart.add(first, second);
            apart.relative()
        };
        assert_eq!(relative(&[3.0, 4.0], &[3.0, 4.5]), 0.1);
        assert_eq!(relative(&[0.0, f64::NAN, f64::INFINITY], &[-0.0, f64::NAN, f64::INFINITY]), 0.0);
        assert_eq!(relative(&[0.0], &[1.0]), f64::INFINITY);
        assert!(relative(&[1.0, 2.0], &[1.0, f64::NAN]).is_nan());
    }
}
