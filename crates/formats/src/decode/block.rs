//! Blocks of 32 to 128 elements, each with its own scale.
//!
//! Sources: the classes of these names in `gguf/quants.py` of gguf 0.19.0; `dequantize_row_q1_0`, `_q2_0` and `block_q8_1` of
//! ggml. `d` is the scale, `m` the minimum, `q` a quantum, as there.  Most put the low halves of all bytes before the high
//! ones.

use super::piece::{bits, crumbs, field, half, pick, pieces, pieces_mut, put};

/// One bit an element: the sign of the scale.
pub(super) fn q1_0(block: &[u8; 18], out: &mut [f64; 128]) {
    let d = half::<0, _>(block);
    for (byte, out) in field::<2, 16, _>(block).iter().zip(pieces_mut::<8, _>(out)) {
        *out = bits(*byte).map(|set| f64::from(if set { d } else { -d }));
    }
}

/// Two bits an element: -1, 0, 1 or 2 times the scale; four neighbours in a byte.
pub(super) fn q2_0(block: &[u8; 18], out: &mut [f64; 64]) {
    let d = half::<0, _>(block);
    for (byte, out) in field::<2, 16, _>(block).iter().zip(pieces_mut::<4, _>(out)) {
        *out = crumbs(*byte).map(|q| f64::from(d * (f32::from(q) - 1.0)));
    }
}

pub(super) fn q4_0(block: &[u8; 18], out: &mut [f64; 32]) {
    let d = half::<0, _>(block);
    put(out, halves(field::<2, 16, _>(block)).as_flattened().iter().map(|q| d * (f32::from(*q) - 8.0)));
}

pub(super) fn q4_1(block: &[u8; 20], out: &mut [f64; 32]) {
    let (d, m) = (half::<0, _>(block), half::<2, _>(block));
    put(out, halves(field::<4, 16, _>(block)).as_flattened().iter().map(|q| d * f32::from(*q) + m));
}

pub(super) fn q5_0(block: &[u8; 22], out: &mut [f64; 32]) {
    let d = half::<0, _>(block);
    let (low, high) = (halves(field::<6, 16, _>(block)), fifth_bits(field::<2, 4, _>(block)));
    let quanta = low.as_flattened().iter().zip(high.as_flattened());
    put(out, quanta.map(|(ql, qh)| d * (f32::from(ql | qh) - 16.0)));
}

pub(super) fn q5_1(block: &[u8; 24], out: &mut [f64; 32]) {
    let (d, m) = (half::<0, _>(block), half::<2, _>(block));
    let (low, high) = (halves(field::<8, 16, _>(block)), fifth_bits(field::<4, 4, _>(block)));
    let quanta = low.as_flattened().iter().zip(high.as_flattened());
    put(out, quanta.map(|(ql, qh)| d * f32::from(ql | qh) + m));
}

pub(super) fn q8_0(block: &[u8; 34], out: &mut [f64; 32]) {
    let d = half::<0, _>(block);
    put(out, field::<2, 32, _>(block).iter().map(|q| d * f32::from(q.cast_signed())));
}

/// The second half-precision number is the sum of the elements, which decoding does not need.
pub(super) fn q8_1(block: &[u8; 36], out: &mut [f64; 32]) {
    let d = half::<0, _>(block);
    put(out, field::<4, 32, _>(block).iter().map(|q| d * f32::from(q.cast_signed())));
}

pub(super) fn iq4_nl(block: &[u8; 18], out: &mut [f64; 32]) {
    let d = half::<0, _>(block);
    put(out, halves(field::<2, 16, _>(block)).as_flattened().iter().map(|q| d * pick(&NON_LINEAR, usize::from(*q))));
}

pub(super) fn mxfp4(block: &[u8; 17], out: &mut [f64; 32]) {
    let [exponent] = *field::<0, 1, _>(block);
    let d = half_of_power(exponent);
    put(out, halves(field::<1, 16, _>(block)).as_flattened().iter().map(|q| d * pick(&DOUBLED_E2M1, usize::from(*q))));
}

/// Four scales, each for 16 elements.
pub(super) fn nvfp4(block: &[u8; 36], out: &mut [f64; 64]) {
    let scales = field::<0, 4, _>(block).map(half_of_e4m3);
    let quanta = pieces::<8, _>(field::<4, 32, _>(block));
    for ((d, quanta), out) in scales.iter().zip(quanta).zip(pieces_mut::<16, _>(out)) {
        put(out, halves(quanta).as_flattened().iter().map(|q| d * pick(&DOUBLED_E2M1, usize::from(*q))));
    }
}

/// What the quanta of IQ4_NL and IQ4_XS stand for: `kvalues_iq4nl` of `ggml-common.h`.
pub(super) static NON_LINEAR: [f32; 16] =
    [-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0];

/// Twice the values of F4; 8 is 0, not -0.
static DOUBLED_E2M1: [f32; 16] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];

/// Returns the low halves of all bytes, then the high ones.
pub(super) fn halves<const N: usize>(bytes: &[u8; N]) -> [[u8; N]; 2] {
    [bytes.map(|byte| byte & 15), bytes.map(|byte| byte >> 4)]
}

/// Returns the fifth bits of 32 quanta, in their place.
fn fifth_bits(bytes: &[u8; 4]) -> [[u8; 8]; 4] {
    bytes.map(|byte| bits(byte).map(|set| if set { 16 } else { 0 }))
}

/// Returns half of the power of two that an E8M0 exponent means.  NaN is not known to ggml: 255 is a power too.
fn half_of_power(exponent: u8) -> f32 {
    match exponent {
        0 | 1 => f32::from_bits(0x0020_0000 << exponent),
        _ => f32::from_bits(u32::from(exponent.wrapping_sub(1)) << 23),
    }
}

/// Returns half of an E4M3 number whose sign is ignored.  ggml takes the code 0x7F for 0, but 0xFF for 480.
fn half_of_e4m3(code: u8) -> f32 {
    /// 2^-11: of the mantissa's three bits, the bias of seven, and the half.
    const SCALE: f32 = 1.0 / 2048.0;
    let (exponent, mantissa) = (code >> 3 & 15, f32::from(code & 7));
    match (code, exponent) {
        (0x7F, _) => 0.0,
        (_, 0) => mantissa * (2.0 * SCALE),
        _ => (8.0 + mantissa) * f32::from(1_u16 << exponent) * SCALE,
    }
}
