//! One bit for each row of a segment.

use super::{BLOCK_ROWS, SEGMENT_ROWS_MAX};

const WORDS: usize = SEGMENT_ROWS_MAX.div_ceil(BLOCK_ROWS);

/// A set of the rows 0 to 511.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowMask([u64; WORDS]);

/// Returns as many ones, at most 64.
#[inline]
pub(super) fn low_bits(count: usize) -> u64 {
    if count < 64 { (1 << count) - 1 } else { u64::MAX }
}

impl RowMask {
    /// Returns the rows below a number.
    pub fn all(rows: usize) -> Self {
        Self(std::array::from_fn(|word| low_bits(rows.saturating_sub(word * 64))))
    }

    /// Returns no rows.
    pub fn none() -> Self {
        Self([0; WORDS])
    }

    /// Returns the rows that are in both.
    pub fn and(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    /// Returns the rows that are in one of both.
    pub fn or(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    /// Returns the rows that are in this one only.
    pub fn and_not(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    fn zip(&self, other: &Self, operation: impl Fn(u64, u64) -> u64) -> Self {
        Self(std::array::from_fn(|word| operation(self.0[word], other.0[word])))
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.0.iter().fold(0, |all, word| all | word) == 0
    }

    /// Returns how many rows there are.
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Returns the rows, ascending.
    #[inline]
    pub fn iter(&self) -> Rows {
        Rows { words: self.0, place: 0 }
    }

    /// Returns whether a row is in the set.
    pub fn get(&self, row: usize) -> bool {
        self.0.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Puts a row into the set or takes it out; from 512 on there is none.
    pub fn set(&mut self, row: usize, is_in: bool) {
        if let Some(word) = self.0.get_mut(row / 64) {
            let bit = 1 << (row % 64);
            *word = if is_in { *word | bit } else { *word & !bit };
        }
    }

    /// Sets the 64 rows of a block.
    #[inline]
    pub(super) fn set_block(&mut self, block: usize, rows: u64) {
        if let Some(word) = self.0.get_mut(block) {
            *word = rows;
        }
    }
}

/// The rows of a set, ascending.
pub struct Rows {
    /// What is left of each word.
    words: [u64; WORDS],
    /// The first word that may have a row left.
    place: usize,
}

impl Iterator for Rows {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while let Some(word) = self.words.get_mut(self.place) {
            if *word != 0 {
                let row = self.place * 64 + word.trailing_zeros() as usize;
                *word &= *word - 1;
                return Some(row);
            }
            self.place += 1;
        }
        None
    }
}
