//! Rows as codes: what a tail holds row by row, and segments dimension by dimension.

use crate::codes::{ScaleSet, norm};
use crate::layout::{RowRecord, Tid};

/// Rows of one scale set, each plane row-major.
#[derive(Debug, Clone, Default)]
pub(crate) struct CodedRows {
    pub dimensions: usize,
    pub planes: u8,
    pub records: Vec<RowRecord>,
    pub high: Vec<u8>,
    /// Empty where there is one plane.
    pub low: Vec<u8>,
}

impl CodedRows {
    pub fn new(dimensions: usize, planes: u8) -> Self {
        Self { dimensions, planes, ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Adds a row from its codes: high bytes, then low ones.
    pub fn push(&mut self, record: RowRecord, codes: &[u8]) {
        let (high, low) = codes.split_at(self.dimensions.min(codes.len()));
        self.records.push(record);
        self.high.extend_from_slice(high);
        self.low.extend_from_slice(low);
    }

    /// Adds a row of others.
    pub fn push_from(&mut self, other: &Self, row: usize) {
        let place = row * self.dimensions..(row + 1) * self.dimensions;
        self.records.push(other.records[row]);
        self.high.extend_from_slice(&other.high[place.clone()]);
        self.low.extend_from_slice(other.low.get(place).unwrap_or_default());
    }

    /// Adds all rows of others.
    pub fn append(&mut self, other: &Self) {
        self.records.extend_from_slice(&other.records);
        self.high.extend_from_slice(&other.high);
        self.low.extend_from_slice(&other.low);
    }

    /// Returns a plane: 0 is A, 1 is B.
    pub fn plane(&self, plane: u8) -> &[u8] {
        if plane == 0 { &self.high } else { &self.low }
    }

    /// Writes what a row's codes say of its values.
    pub fn decode(&self, row: usize, scales: &ScaleSet, values: &mut [f32]) {
        let place = row * self.dimensions..(row + 1) * self.dimensions;
        match self.low.get(place.clone()) {
            Some(low) if self.planes == 2 => scales.decode(&self.high[place], low, values),
            _ => scales.decode_coarse(&self.high[place], values),
        }
    }
}

/// Codes a row; appends its record, its high bytes and, where there are two planes, its low ones.
pub(crate) fn encode_row(scales: &ScaleSet, planes: u8, tid: Tid, values: &[f32], out: &mut Vec<u8>) {
    let dimensions = values.len();
    let from = out.len();
    out.resize(from + RowRecord::BYTES + 2 * dimensions, 0);
    let (head, codes) = out[from..].split_at_mut(RowRecord::BYTES);
    let (high, low) = codes.split_at_mut(dimensions);
    let is_clamped = scales.encode(values, high, low);
    let residual = scales.residual(values, high);
    let record = RowRecord { tid, is_dead: false, is_clamped, norm: norm(values), residual };
    head.copy_from_slice(&record.to_bytes());
    if planes == 1 {
        out.truncate(from + RowRecord::BYTES + dimensions);
    }
}

/// Appends a row that is not coded: its record and its values as float32.
pub(crate) fn plain_row(tid: Tid, values: &[f32], out: &mut Vec<u8>) {
    let record = RowRecord { tid, is_dead: false, is_clamped: false, norm: norm(values), residual: 0 };
    out.extend_from_slice(&record.to_bytes());
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

/// Returns the values of a row that is not coded.
pub(crate) fn plain_values(bytes: &[u8]) -> Vec<f32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| f32::from_le_bytes(*word)).collect()
}
