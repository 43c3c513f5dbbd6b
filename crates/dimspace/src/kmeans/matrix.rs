//! Rows of float32, and scaling by powers of two.

/// Rows of as many float32 each, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    dimensions: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// Returns a matrix without rows.
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions, values: Vec::new() }
    }

    /// Returns a matrix without rows that has room for so many.
    pub fn with_rows(dimensions: usize, rows: usize) -> Self {
        Self { dimensions, values: Vec::with_capacity(dimensions.saturating_mul(rows)) }
    }

    pub(super) fn zeros(dimensions: usize, rows: usize) -> Self {
        Self { dimensions, values: vec![0.0; dimensions * rows] }
    }

    /// Adds a row; one of another length is cut or filled up with zeros.
    pub fn push(&mut self, row: &[f32]) {
        let end = self.values.len() + self.dimensions;
        self.values.extend(row.iter().take(self.dimensions));
        self.values.resize(end, 0.0);
    }

    /// Returns a row; empty where there is none.
    pub fn row(&self, number: usize) -> &[f32] {
        let start = number.saturating_mul(self.dimensions);
        self.values.get(start..start.saturating_add(self.dimensions)).unwrap_or_default()
    }

    pub(super) fn set(&mut self, number: usize, row: &[f32]) {
        let start = number * self.dimensions;
        let slots = self.values.get_mut(start..start + self.dimensions).unwrap_or_default();
        slots.iter_mut().zip(row).for_each(|(slot, &value)| *slot = value);
    }

    /// Returns how many rows there are; none without dimensions.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.dimensions).unwrap_or(0)
    }

    /// Returns how many dimensions a row has.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Returns all values, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Returns a number that equal rows share: FNV-1a over the values' bits.
    pub(super) fn fingerprint(&self, number: usize) -> u64 {
        let step = |state: u64, value: &f32| (state ^ u64::from(value.to_bits())).wrapping_mul(0x0000_0100_0000_01B3);
        self.row(number).iter().fold(0xCBF2_9CE4_8422_2325, step)
    }

    /// Returns the matrix of what `change` writes for each row.
    pub(super) fn map_rows(&self, change: impl Fn(&[f32], &mut [f32])) -> Self {
        let mut changed = Self::zeros(self.dimensions, self.rows());
        for (row, out) in
            self.values.chunks(self.dimensions.max(1)).zip(changed.values.chunks_mut(self.dimensions.max(1)))
        {
            change(row, out);
        }
        changed
    }
}

/// A power of two by which values are multiplied, so that the largest is near 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling(f64);

impl Scaling {
    /// Returns what makes the largest value of a matrix 1 to 2; nothing is changed where all are zero.
    pub fn of(matrix: &Matrix) -> Self {
        let largest = matrix.values.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        if largest == 0.0 || !largest.is_finite() {
            return Self(1.0);
        }
        const EXPONENT: u64 = 0x7FF << 52;
        Self(1.0 / f64::from_bits(f64::from(largest).to_bits() & EXPONENT))
    }

    /// Returns whether values stay as they are.
    pub fn is_none(self) -> bool {
        self.0 == 1.0
    }

    /// Returns no scaling where the largest value is far from the ends of float32 anyway.
    pub fn unless_moderate(self) -> Self {
        const MODERATE: f64 = (1u64 << 32) as f64;
        if (1.0 / MODERATE..=MODERATE).contains(&self.0) { Self(1.0) } else { self }
    }

    /// Writes the scaled values.
    pub fn apply(self, row: &[f32], out: &mut [f32]) {
        multiply(row, self.0, out);
    }

    /// Writes the values before scaling.
    pub fn undo(self, row: &[f32], out: &mut [f32]) {
        multiply(row, 1.0 / self.0, out);
    }
}

/// Writes the products with a factor, finite where the values are not NaN.
pub fn multiply(row: &[f32], factor: f64, out: &mut [f32]) {
    for (&value, out) in row.iter().zip(out) {
        *out = ((f64::from(value) * factor) as f32).clamp(f32::MIN, f32::MAX);
    }
}
