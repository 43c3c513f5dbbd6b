//! Reading stored values: chunks of one lane's worth each, and blocks of any stored type, zeros of sparse vectors included.

use std::iter::Peekable;

use super::Path;
use super::number::Real;
use super::run::{Instructions, Job, run};
use crate::{Element, Packed};

/// How `N` bytes are read as sixteen values.
pub trait Reader<const N: usize> {
    fn read<I: Instructions>(bytes: &[u8; N]) -> I::Lanes;
}

macro_rules! reader {
    ($name:ident, $bytes:literal, $read:expr) => {
        #[doc = concat!("Reads sixteen values from ", stringify!($bytes), " bytes.")]
        pub struct $name;

        impl Reader<$bytes> for $name {
            #[inline(always)]
            fn read<I: Instructions>(bytes: &[u8; $bytes]) -> I::Lanes {
                $read(bytes)
            }
        }
    };
}

reader!(Float32s, 64, I::float32s);
reader!(Float16s, 32, I::float16s);
reader!(Bfloat16s, 32, |bytes: &[u8; 32]| I::lanes(numbers(bytes, bfloat16)));
reader!(Int8s, 16, |bytes: &[u8; 16]| I::lanes(numbers(bytes, int8)));
reader!(Uint8s, 16, |bytes: &[u8; 16]| I::lanes(numbers(bytes, uint8)));

/// Reads eight float64.
#[inline(always)]
pub fn float64s(bytes: &[u8; 64]) -> [f64; 8] {
    numbers(bytes, f64::from_le_bytes)
}

/// Reads as many numbers as the bytes hold; the caller's types say `N * COUNT` bytes.
#[inline(always)]
fn numbers<T: Real, const N: usize, const COUNT: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> [T; COUNT] {
    let mut numbers = [T::ZERO; COUNT];
    for (number, bytes) in numbers.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *number = read(*bytes);
    }
    numbers
}

/// Widens without arithmetic on subnormal numbers, which is slow: theirs gain an exponent, which is subtracted again.
#[inline(always)]
pub fn float16(bytes: [u8; 2]) -> f32 {
    const EXPONENTS_APART: u32 = 127 - 15;
    let bits = u32::from(u16::from_le_bytes(bytes));
    let (sign, rest) = ((bits & 0x8000) << 16, (bits & 0x7fff) << 13);
    let normal = rest.wrapping_add(EXPONENTS_APART << 23);
    let least = f32::from_bits((EXPONENTS_APART + 1) << 23);
    let subnormal = (f32::from_bits(rest.wrapping_add((EXPONENTS_APART + 1) << 23)) - least).to_bits();
    let magnitude = match rest {
        0..0x0080_0000 => subnormal,
        0x0f80_0000.. => rest | 0x7f80_0000,
        _ => normal,
    };
    f32::from_bits(sign | magnitude)
}

#[inline(always)]
fn bfloat16(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}

#[inline(always)]
fn int8(bytes: [u8; 1]) -> f32 {
    f32::from(i8::from_le_bytes(bytes))
}

#[inline(always)]
fn uint8([byte]: [u8; 1]) -> f32 {
    f32::from(byte)
}

/// The values of a vector, block after block.
pub enum Blocks<'a, E: Iterator<Item = (usize, f64)>> {
    /// All values are stored.
    Dense(Element, &'a [u8]),
    /// What is left of the values that are not zero.
    Sparse(Peekable<E>),
}

/// Returns the blocks of a vector.
pub fn blocks<'a>(packed: &'a Packed) -> Blocks<'a, impl Iterator<Item = (usize, f64)>> {
    if packed.is_sparse() {
        Blocks::Sparse(packed.entries().peekable())
    } else {
        Blocks::Dense(packed.stored(), packed.values())
    }
}

impl<E: Iterator<Item = (usize, f64)>> Blocks<'_, E> {
    /// Writes the values of `count` dimensions from `start`, and zeros after them; blocks are taken in ascending order.
    pub fn fill<T: Real>(&mut self, path: Path, start: usize, count: usize, block: &mut [T]) {
        match self {
            Self::Dense(stored, values) => {
                let from = start * stored.width();
                let (block, rest) = block.split_at_mut(count);
                widen(path, *stored, values.get(from..).unwrap_or_default(), block);
                rest.fill(T::ZERO);
            }
            Self::Sparse(entries) => {
                block.fill(T::ZERO);
                while let Some((dimension, value)) = entries.next_if(|&(dimension, _)| dimension < start + count) {
                    // A damaged vector's dimensions need not ascend.
                    if let Some(slot) = block.get_mut(dimension.wrapping_sub(start)) {
                        *slot = T::of(value);
                    }
                }
            }
        }
    }
}

fn widen<T: Real>(path: Path, stored: Element, values: &[u8], block: &mut [T]) {
    match stored {
        Element::Float64 => run(path, Widen { values, block, read: |bytes| T::of(f64::from_le_bytes(bytes)) }),
        Element::Float32 => run(path, Widen { values, block, read: |bytes| f32::from_le_bytes(bytes).into() }),
        Element::Float16 => run(path, Widen { values, block, read: |bytes| float16(bytes).into() }),
        Element::Bfloat16 => run(path, Widen { values, block, read: |bytes| bfloat16(bytes).into() }),
        Element::Int8 => run(path, Widen { values, block, read: |bytes| int8(bytes).into() }),
        Element::Uint8 => run(path, Widen { values, block, read: |bytes| uint8(bytes).into() }),
    }
}

/// Widens a block's worth of values.
struct Widen<'a, T, F, const N: usize>
where
    F: Fn([u8; N]) -> T,
{
    values: &'a [u8],
    block: &'a mut [T],
    read: F,
}

impl<T, F: Fn([u8; N]) -> T, const N: usize> Job for Widen<'_, T, F, N> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self) {
        for (slot, bytes) in self.block.iter_mut().zip(self.values.as_chunks::<N>().0) {
            *slot = (self.read)(*bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::float16;

    #[test]
    fn every_float16_is_widened_to_itself() {
        for bits in 0..=u16::MAX {
            let (widened, expected) = (float16(bits.to_le_bytes()), half::f16::from_bits(bits).to_f32());
            let both_nan = widened.is_nan() && expected.is_nan();
            assert!(both_nan || widened.to_bits() == expected.to_bits(), "{bits:#06x}: {widened} is not {expected}");
        }
    }
}
