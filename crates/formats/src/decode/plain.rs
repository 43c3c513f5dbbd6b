//! Elements that stand for themselves.

use super::float;
use super::piece::{pick, pieces, pieces_mut};
use super::{ByteOrder, DecodeError, Dtype};

/// Decodes plain elements; the lengths fit each other.
pub(super) fn values(dtype: Dtype, order: ByteOrder, bytes: &[u8], out: &mut [f64]) -> Result<(), DecodeError> {
    let each = Elements { order, bytes, out };
    match dtype {
        Dtype::BOOL => each.decode(|[byte]| f64::from(u8::from(byte != 0))),
        Dtype::U8 => each.decode(|[byte]| f64::from(byte)),
        Dtype::I8 => each.decode(|bytes| f64::from(i8::from_le_bytes(bytes))),
        Dtype::F8_E5M2 => each.decode(|[byte]| *pick(&float::F8_E5M2, byte.into())),
        Dtype::F8_E4M3 => each.decode(|[byte]| *pick(&float::F8_E4M3, byte.into())),
        Dtype::F8_E8M0 => each.decode(|[byte]| float::from_exponent(byte)),
        Dtype::F8_E4M3FNUZ => each.decode(|[byte]| *pick(&float::F8_E4M3FNUZ, byte.into())),
        Dtype::F8_E5M2FNUZ => each.decode(|[byte]| *pick(&float::F8_E5M2FNUZ, byte.into())),
        Dtype::I16 => each.decode(|bytes| f64::from(i16::from_le_bytes(bytes))),
        Dtype::U16 => each.decode(|bytes| f64::from(u16::from_le_bytes(bytes))),
        Dtype::F16 => each.decode(|bytes| f64::from(float::from_half(u16::from_le_bytes(bytes)))),
        Dtype::BF16 => each.decode(|bytes| f64::from(float::from_bfloat(u16::from_le_bytes(bytes)))),
        Dtype::I32 => each.decode(|bytes| f64::from(i32::from_le_bytes(bytes))),
        Dtype::U32 => each.decode(|bytes| f64::from(u32::from_le_bytes(bytes))),
        Dtype::F32 => each.decode(|bytes| f64::from(f32::from_le_bytes(bytes))),
        Dtype::F64 => each.decode(f64::from_le_bytes),
        Dtype::I64 => return each.integers(i64::from_le_bytes, |value| value as f64, i64::unsigned_abs),
        Dtype::U64 => return each.integers(u64::from_le_bytes, |value| value as f64, |value| value),
        Dtype::F4 => f4(bytes, out),
        Dtype::F6_E2M3 => f6(&float::F6_E2M3, bytes, out),
        Dtype::F6_E3M2 => f6(&float::F6_E3M2, bytes, out),
        _ => {}
    }
    Ok(())
}

/// Elements of whole bytes, and where their values go.
struct Elements<'a> {
    order: ByteOrder,
    bytes: &'a [u8],
    out: &'a mut [f64],
}

impl Elements<'_> {
    /// Decodes elements of `N` bytes, which `value` gets in little-endian order.
    fn decode<const N: usize>(self, value: impl Fn([u8; N]) -> f64) {
        let elements = pieces(self.bytes).zip(self.out);
        match self.order {
            ByteOrder::Little => elements.for_each(|(bytes, out)| *out = value(*bytes)),
            ByteOrder::Big => elements.for_each(|(bytes, out)| *out = value(reversed(*bytes))),
        }
    }

    /// Decodes integers of 8 bytes, the first of which that is too large is an error.
    fn integers<T: Copy + Into<i128>>(
        self,
        read: impl Fn([u8; 8]) -> T,
        widen: impl Fn(T) -> f64,
        magnitude: impl Fn(T) -> u64,
    ) -> Result<(), DecodeError> {
        let Elements { order, bytes, out } = self;
        let read = |bytes: &[u8; 8]| match order {
            ByteOrder::Little => read(*bytes),
            ByteOrder::Big => read(reversed(*bytes)),
        };
        pieces(bytes).zip(out).for_each(|(bytes, out)| *out = widen(read(bytes)));
        let mut integers = pieces(bytes).map(read).enumerate();
        match integers.find(|(_, value)| magnitude(*value) > EXACT_INTEGER_MAX) {
            Some((index, value)) => Err(DecodeError::IntegerTooLarge { index, value: value.into() }),
            None => Ok(()),
        }
    }
}

/// Up to here, each integer is a value of double precision.
const EXACT_INTEGER_MAX: u64 = 1 << 53;

fn reversed<const N: usize>(mut bytes: [u8; N]) -> [u8; N] {
    bytes.reverse();
    bytes
}

/// Two elements a byte, the lower half first.
fn f4(bytes: &[u8], out: &mut [f64]) {
    for (byte, out) in bytes.iter().zip(pieces_mut(out)) {
        *out = [byte & 15, byte >> 4].map(|code| *pick(&float::F4, code.into()));
    }
}

/// Four elements in three bytes, from the least significant bit on.
fn f6(table: &[f64; 64], bytes: &[u8], out: &mut [f64]) {
    for ([a, b, c], out) in pieces(bytes).zip(pieces_mut(out)) {
        let packed = u32::from_le_bytes([*a, *b, *c, 0]);
        *out = [packed, packed >> 6, packed >> 12, packed >> 18].map(|code| *pick(table, code as usize));
    }
}
