//! Inner products of one row of float32 with many, which training and choosing cells consist of.

use super::Path;
use super::number::Number;
use super::run::{Instructions, Job, run};
use super::sums::LANES_32;

/// Rows that are multiplied at once, so that each value of the one row is loaded once for all of them.
const ROWS: usize = 4;

/// Writes the inner product of `row` with each row of `matrix`, row-major with as many values each, to `out`.
///
/// The sums are those of [`inner_product`](super::inner_product) in float32, with the same bits on every path; but one that
/// overflows stays infinite or NaN.  The shorter of `matrix` and `out` says how many products there are.
pub fn products(path: Path, row: &[f32], matrix: &[f32], out: &mut [f32]) {
    match row.len() {
        0 => out.fill(0.0),
        _ => run(path, RowTimesMatrix { row, matrix, out }),
    }
}

struct RowTimesMatrix<'a> {
    row: &'a [f32],
    matrix: &'a [f32],
    out: &'a mut [f32],
}

impl Job for RowTimesMatrix<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self) {
        let dimensions = self.row.len();
        let mut rows = self.matrix.chunks_exact(dimensions);
        let count = self.out.len().min(rows.len());
        let (blocks, rest) = self.out.split_at_mut(count).0.as_chunks_mut::<ROWS>();
        for out in blocks {
            *out = sums::<I, ROWS>(self.row, std::array::from_fn(|_| rows.next().unwrap_or_default()));
        }
        for (row, out) in rows.zip(rest) {
            [*out] = sums::<I, 1>(self.row, [row]);
        }
    }
}

/// The inner products of one row with `N`, all of as many values.
#[inline(always)]
fn sums<I: Instructions, const N: usize>(row: &[f32], others: [&[f32]; N]) -> [f32; N] {
    let mut sums = [I::Lanes::ZERO; N];
    let (chunks, rest) = row.as_chunks::<LANES_32>();
    let others = others.map(|other| other.as_chunks::<LANES_32>());
    for (place, chunk) in chunks.iter().enumerate() {
        let values = I::lanes(*chunk);
        for (sum, (chunks, _)) in sums.iter_mut().zip(others) {
            if let Some(chunk) = chunks.get(place) {
                *sum = values.times_plus(I::lanes(*chunk), *sum);
            }
        }
    }
    if !rest.is_empty() {
        let values = I::lanes(filled_up(rest));
        for (sum, (_, rest)) in sums.iter_mut().zip(others) {
            *sum = values.times_plus(I::lanes(filled_up(rest)), *sum);
        }
    }
    sums.map(I::add_up)
}

/// Returns the last values with zeros after them.
#[inline(always)]
fn filled_up(rest: &[f32]) -> [f32; LANES_32] {
    let mut values = [0.0; LANES_32];
    values.iter_mut().zip(rest).for_each(|(slot, &value)| *slot = value);
    values
}
