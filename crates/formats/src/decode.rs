//! Tensor bytes as numbers: every dtype but C64, widened to f64.
//!
//! Bit for bit what the reference implementations compute: the Python package `gguf` 0.19.0 for ggml's block types, ggml itself
//! (`ggml-quants.c` and `ggml-common.h` at d99724f) for Q8_1, Q8_K, Q1_0 and Q2_0, which that lacks, `ml_dtypes` 0.6.0 for
//! floats of 8 bits and less, numpy 2.4 for the rest.  Block types round in f32 after each operation, as both do, and widen
//! last.

mod block;
mod error;
mod float;
mod grid;
mod grids;
mod k_block;
mod order;
mod piece;
mod plain;

use std::ops::Range;

use crate::{ByteOrder, Dtype};

pub use error::DecodeError;

/// Decodes whole blocks into `out`, which has exactly the elements of `bytes`.
///
/// Integers widen exactly or not at all.  BOOL is 0 for the byte 0 and 1 for any other.  The elements of F4 and F6 are packed
/// from the least significant bit on, four of F6 in three bytes; safetensors leaves their packing open.
///
/// Infinities stay, and F64 keeps every bit.  Any other plain element that is NaN becomes a quiet NaN of the same sign, with
/// its payload where it has 16 bits or more.  For a block type it is only promised that a NaN is one: the processor chooses its
/// bits, and gguf and ggml differ in them too.
///
/// Cannot be interrupted: decode a large tensor piece by piece.
///
/// Errors: C64, a length that is not that of `out`, and integers beyond 2^53; what `out` then holds is not said.
pub fn values(dtype: Dtype, order: ByteOrder, bytes: &[u8], out: &mut [f64]) -> Result<(), DecodeError> {
    if dtype == Dtype::C64 {
        return Err(DecodeError::Unsupported { dtype });
    }
    if dtype.size(out.len() as u64) != Ok(bytes.len() as u64) {
        return Err(DecodeError::WrongLength { dtype, bytes: bytes.len(), elements: out.len() });
    }
    match dtype.is_quantized() {
        false => plain::values(dtype, order, bytes, out),
        true => {
            quantized(dtype, order, bytes, out);
            Ok(())
        }
    }
}

/// Decodes ggml's block types.  Nothing happens for others.
fn quantized(dtype: Dtype, order: ByteOrder, bytes: &[u8], out: &mut [f64]) {
    let each = order::Blocks { swaps: order::swaps(dtype, order), bytes, out };
    match dtype {
        Dtype::Q1_0 => each.decode(block::q1_0),
        Dtype::Q2_0 => each.decode(block::q2_0),
        Dtype::Q4_0 => each.decode(block::q4_0),
        Dtype::Q4_1 => each.decode(block::q4_1),
        Dtype::Q5_0 => each.decode(block::q5_0),
        Dtype::Q5_1 => each.decode(block::q5_1),
        Dtype::Q8_0 => each.decode(block::q8_0),
        Dtype::Q8_1 => each.decode(block::q8_1),
        Dtype::IQ4_NL => each.decode(block::iq4_nl),
        Dtype::MXFP4 => each.decode(block::mxfp4),
        Dtype::NVFP4 => each.decode(block::nvfp4),
        Dtype::Q2_K => each.decode(k_block::q2_k),
        Dtype::Q3_K => each.decode(k_block::q3_k),
        Dtype::Q4_K => each.decode(k_block::q4_k),
        Dtype::Q5_K => each.decode(k_block::q5_k),
        Dtype::Q6_K => each.decode(k_block::q6_k),
        Dtype::Q8_K => each.decode(k_block::q8_k),
        Dtype::IQ4_XS => each.decode(k_block::iq4_xs),
        Dtype::TQ1_0 => each.decode(k_block::tq1_0),
        Dtype::TQ2_0 => each.decode(k_block::tq2_0),
        Dtype::IQ1_S => each.decode(grid::iq1_s),
        Dtype::IQ1_M => each.decode(grid::iq1_m),
        Dtype::IQ2_XXS => each.decode(grid::iq2_xxs),
        Dtype::IQ2_XS => each.decode(grid::iq2_xs),
        Dtype::IQ2_S => each.decode(grid::iq2_s),
        Dtype::IQ3_XXS => each.decode(grid::iq3_xxs),
        Dtype::IQ3_S => each.decode(grid::iq3_s),
        _ => {}
    }
}

/// Whole blocks within a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Where they lie, counted from the tensor's first byte.
    pub bytes: Range<u64>,
    /// The elements that they decode to.
    pub elements: u64,
    /// How many of these stand before the first one that was asked for.
    pub skip: u64,
}

/// Returns the fewest blocks that hold the elements `start..start + count`; none of them where `count` is 0.
///
/// None where their bits do not fit 64 bits: no tensor is that long.
pub fn blocks_of(dtype: Dtype, start: u64, count: u64) -> Option<Blocks> {
    let block = dtype.block();
    let skip = start.checked_rem(block.elements)?;
    let first = start.checked_sub(skip)?;
    let begin = dtype.size(first).ok()?;
    if count == 0 {
        return Some(Blocks { bytes: begin..begin, elements: 0, skip: 0 });
    }
    let last = start.checked_add(count)?.checked_next_multiple_of(block.elements)?;
    Some(Blocks { bytes: begin..dtype.size(last).ok()?, elements: last.checked_sub(first)?, skip })
}
