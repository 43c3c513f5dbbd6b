//! The walk over blocks, and the order of the bytes within them.
//!
//! A big-endian ggml stores each number of more than one byte big-endian, also those that its structs (`ggml-common.h`) declare
//! as bytes but its quantizers (`quantize_row_*` of `ggml-quants.c`) copy out of words.  Of IQ2_XXS its decoder would read the
//! indices in the opposite order; what the quantizer writes counts here.

use super::piece::{pieces, pieces_mut};
use super::{ByteOrder, Dtype};

/// A run of numbers in a block, each of the same width.
pub(super) struct Swap {
    at: usize,
    width: usize,
    count: usize,
}

const fn swap(at: usize, width: usize, count: usize) -> Swap {
    Swap { at, width, count }
}

/// Returns the numbers of a block whose bytes must be reversed before it is decoded.
pub(super) fn swaps(dtype: Dtype, order: ByteOrder) -> &'static [Swap] {
    match order {
        ByteOrder::Little => &[],
        ByteOrder::Big => numbers(dtype),
    }
}

/// Returns the numbers of more than one byte that decoding uses.
fn numbers(dtype: Dtype) -> &'static [Swap] {
    match dtype {
        // A scale.
        Dtype::Q1_0 | Dtype::Q2_0 | Dtype::Q4_0 | Dtype::Q8_0 | Dtype::IQ4_NL => const { &[swap(0, 2, 1)] },
        Dtype::IQ2_S | Dtype::IQ3_S => const { &[swap(0, 2, 1)] },
        Dtype::TQ1_0 => const { &[swap(52, 2, 1)] },
        Dtype::TQ2_0 => const { &[swap(64, 2, 1)] },
        Dtype::Q3_K => const { &[swap(108, 2, 1)] },
        Dtype::Q6_K => const { &[swap(208, 2, 1)] },
        Dtype::Q8_K => const { &[swap(0, 4, 1)] },
        // A scale and a minimum, or a sum.
        Dtype::Q4_1 | Dtype::Q8_1 | Dtype::Q4_K | Dtype::Q5_K => const { &[swap(0, 2, 2)] },
        Dtype::Q2_K => const { &[swap(80, 2, 2)] },
        // These and a word of 32 fifth bits.
        Dtype::Q5_0 => const { &[swap(0, 2, 1), swap(2, 4, 1)] },
        Dtype::Q5_1 => const { &[swap(0, 2, 2), swap(4, 4, 1)] },
        // A scale and packed words.
        Dtype::IQ1_S => const { &[swap(0, 2, 1), swap(34, 2, 8)] },
        Dtype::IQ2_XXS => const { &[swap(0, 2, 1), swap(2, 4, 16)] },
        Dtype::IQ2_XS => const { &[swap(0, 2, 33)] },
        Dtype::IQ3_XXS => const { &[swap(0, 2, 1), swap(66, 4, 8)] },
        Dtype::IQ4_XS => const { &[swap(0, 2, 2)] },
        // Packed words that hold the scale too.
        Dtype::IQ1_M => const { &[swap(48, 2, 4)] },
        // MXFP4 and NVFP4 consist of bytes; plain types have no blocks of this kind.
        _ => &[],
    }
}

/// Blocks to be decoded, and where their values go.
pub(super) struct Blocks<'a> {
    /// The numbers to be swapped in each.
    pub(super) swaps: &'static [Swap],
    /// The blocks.
    pub(super) bytes: &'a [u8],
    /// As many elements as they have.
    pub(super) out: &'a mut [f64],
}

impl Blocks<'_> {
    /// Decodes each block, which `block` gets in little-endian order.
    pub(super) fn decode<const BYTES: usize, const ELEMENTS: usize>(
        self,
        block: impl Fn(&[u8; BYTES], &mut [f64; ELEMENTS]),
    ) {
        let blocks = pieces(self.bytes).zip(pieces_mut(self.out));
        match self.swaps {
            [] => blocks.for_each(|(bytes, out)| block(bytes, out)),
            swaps => blocks.for_each(|(bytes, out)| block(&swapped(*bytes, swaps), out)),
        }
    }
}

fn swapped<const BYTES: usize>(mut block: [u8; BYTES], swaps: &[Swap]) -> [u8; BYTES] {
    for swap in swaps {
        let numbers = block.get_mut(swap.at..).unwrap_or_default();
        numbers.chunks_exact_mut(swap.width).take(swap.count).for_each(<[u8]>::reverse);
    }
    block
}
