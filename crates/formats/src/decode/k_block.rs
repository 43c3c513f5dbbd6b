//! Blocks of 256 elements without a grid: a scale for the block, and mostly small ones for runs of 16 or 32.
//!
//! Source: the classes of these names in `gguf/quants.py` of gguf 0.19.0; `dequantize_row_q8_K` of ggml.  `d` is the block's
//! scale, `dl` and `ml` are scale and minimum of a run, `q` a quantum, `ql` and `qh` its low and high bits.

use super::block::{NON_LINEAR, halves};
use super::piece::{crumbs, field, half, nibbles, pick, pieces, pieces_mut, put, word};

pub(super) fn q2_k(block: &[u8; 84], out: &mut [f64; 256]) {
    let (d, d_min) = (half::<80, _>(block), half::<82, _>(block));
    let scales = field::<0, 16, _>(block).map(|byte| {
        let [scale, min] = nibbles(byte).map(f32::from);
        (d * scale, d_min * min)
    });
    let quanta = two_bits(field::<16, 64, _>(block));
    for (((dl, ml), quanta), out) in scales.iter().zip(pieces::<16, _>(&quanta)).zip(pieces_mut::<16, _>(out)) {
        put(out, quanta.iter().map(|q| dl * f32::from(*q) - ml));
    }
}

/// The high bit takes 4 away where it is not set.
pub(super) fn q3_k(block: &[u8; 110], out: &mut [f64; 256]) {
    let d = half::<108, _>(block);
    let scales = sixteen_scales(field::<96, 12, _>(block)).map(|scale| d * scale);
    let quanta = two_bits(field::<32, 64, _>(block));
    let high = one_bit(field::<0, 32, _>(block));
    let quanta = pieces::<16, _>(&quanta).zip(pieces::<16, _>(&high));
    for ((dl, (ql, qh)), out) in scales.iter().zip(quanta).zip(pieces_mut::<16, _>(out)) {
        put(out, ql.iter().zip(qh).map(|(ql, qh)| dl * (f32::from(ql | qh << 2) - 4.0)));
    }
}

pub(super) fn q4_k(block: &[u8; 144], out: &mut [f64; 256]) {
    let scales = scales_and_mins(half::<0, _>(block), half::<2, _>(block), field::<4, 12, _>(block));
    let quanta = pieces::<32, _>(field::<16, 128, _>(block));
    let runs = pieces::<2, _>(&scales).zip(quanta).zip(pieces_mut::<64, _>(out));
    for ((scales, quanta), out) in runs {
        for (((dl, ml), quanta), out) in scales.iter().zip(halves(quanta)).zip(pieces_mut::<32, _>(out)) {
            put(out, quanta.iter().map(|q| dl * f32::from(*q) - ml));
        }
    }
}

pub(super) fn q5_k(block: &[u8; 176], out: &mut [f64; 256]) {
    let scales = scales_and_mins(half::<0, _>(block), half::<2, _>(block), field::<4, 12, _>(block));
    let low = four_bits::<32>(field::<48, 128, _>(block));
    let high = one_bit(field::<16, 32, _>(block));
    let quanta = pieces::<32, _>(&low).zip(pieces::<32, _>(&high));
    for (((dl, ml), (ql, qh)), out) in scales.iter().zip(quanta).zip(pieces_mut::<32, _>(out)) {
        put(out, ql.iter().zip(qh).map(|(ql, qh)| dl * f32::from(ql | qh << 4) - ml));
    }
}

pub(super) fn q6_k(block: &[u8; 210], out: &mut [f64; 256]) {
    let d = half::<208, _>(block);
    let scales = field::<192, 16, _>(block).map(|scale| d * f32::from(scale.cast_signed()));
    let low = four_bits::<64>(field::<0, 128, _>(block));
    let high = two_bits(field::<128, 64, _>(block));
    let quanta = pieces::<16, _>(&low).zip(pieces::<16, _>(&high));
    for ((dl, (ql, qh)), out) in scales.iter().zip(quanta).zip(pieces_mut::<16, _>(out)) {
        put(out, ql.iter().zip(qh).map(|(ql, qh)| dl * (f32::from(ql | qh << 4) - 32.0)));
    }
}

/// The scale has single precision; sums of 16 elements follow, which decoding does not need.
pub(super) fn q8_k(block: &[u8; 292], out: &mut [f64; 256]) {
    let d = f32::from_le_bytes(*field::<0, 4, _>(block));
    put(out, field::<4, 256, _>(block).iter().map(|q| d * f32::from(q.cast_signed())));
}

pub(super) fn iq4_xs(block: &[u8; 136], out: &mut [f64; 256]) {
    let d = half::<0, _>(block);
    let high = word::<2, _>(block).to_le_bytes().map(crumbs);
    let low = field::<4, 4, _>(block).map(nibbles);
    let scales = low.as_flattened().iter().zip(high.as_flattened());
    let scales = scales.map(|(low, high)| d * (f32::from(low | high << 4) - 32.0));
    let quanta = pieces::<16, _>(field::<8, 128, _>(block));
    for ((dl, quanta), out) in scales.zip(quanta).zip(pieces_mut::<32, _>(out)) {
        put(out, halves(quanta).as_flattened().iter().map(|q| dl * pick(&NON_LINEAR, usize::from(*q))));
    }
}

/// Five elements a byte, four in the last four bytes: the digits of a fraction to the base of three, first digit first.
pub(super) fn tq1_0(block: &[u8; 54], out: &mut [f64; 256]) {
    let d = half::<52, _>(block);
    let element = |digit: &u8| d * (f32::from(*digit) - 1.0);
    let (first, rest) = out.split_at_mut(5 * 32);
    let (second, last) = rest.split_at_mut(5 * 16);
    put(first, digits(field::<0, 32, _>(block)).as_flattened().iter().map(element));
    put(second, digits(field::<32, 16, _>(block)).as_flattened().iter().map(element));
    // Ends with `out`: these four bytes have no fifth digit.
    put(last, digits(field::<48, 4, _>(block)).as_flattened().iter().map(element));
}

/// Returns the five digits of each byte: all first ones, then all second ones, and so on.
fn digits<const N: usize>(bytes: &[u8; N]) -> [[u8; N]; 5] {
    [1_u8, 3, 9, 27, 81].map(|power| {
        bytes.map(|byte| {
            let [digit, _] = u16::from(byte.wrapping_mul(power)).wrapping_mul(3).to_be_bytes();
            digit
        })
    })
}

pub(super) fn tq2_0(block: &[u8; 66], out: &mut [f64; 256]) {
    let d = half::<64, _>(block);
    put(out, two_bits(field::<0, 64, _>(block)).iter().map(|q| d * (f32::from(*q) - 1.0)));
}

/// Returns the pairs of bits of 64 bytes: of each 32 bytes the lowest pairs, then the next higher ones.
fn two_bits(bytes: &[u8; 64]) -> [u8; 256] {
    let mut quanta = [0; 256];
    for (bytes, quanta) in pieces::<32, _>(bytes).zip(pieces_mut::<128, _>(&mut quanta)) {
        for (shift, quanta) in [0, 2, 4, 6].into_iter().zip(pieces_mut::<32, _>(quanta)) {
            *quanta = bytes.map(|byte| byte.wrapping_shr(shift) & 3);
        }
    }
    quanta
}

/// Returns the halves of 128 bytes: of each `N` bytes the low ones, then the high ones.
fn four_bits<const N: usize>(bytes: &[u8; 128]) -> [u8; 256] {
    let mut quanta = [0; 256];
    for (quanta, run) in pieces::<N, _>(bytes).flat_map(halves).zip(pieces_mut::<N, _>(&mut quanta)) {
        *run = quanta;
    }
    quanta
}

/// Returns the bits of 32 bytes: the lowest of each, then the next higher ones.
fn one_bit(bytes: &[u8; 32]) -> [u8; 256] {
    let mut quanta = [0; 256];
    for (shift, quanta) in (0..8).zip(pieces_mut::<32, _>(&mut quanta)) {
        *quanta = bytes.map(|byte| byte.wrapping_shr(shift) & 1);
    }
    quanta
}

/// Returns the scales of Q3_K: 16 of six bits, less 32.  The low four bits stand in eight bytes, the high two in four.
fn sixteen_scales(bytes: &[u8; 12]) -> [f32; 16] {
    let low = field::<0, 8, _>(bytes).map(nibbles);
    let high = field::<8, 4, _>(bytes).map(crumbs);
    std::array::from_fn(|index| {
        let [low, high] = [pick(pick(&low, index), index >> 3), pick(pick(&high, index), index >> 2)];
        f32::from(low | high << 4) - 32.0
    })
}

/// Returns scale and minimum of the eight runs of Q4_K and Q5_K, six bits each.
///
/// The first four bytes hold four scales and, in their high two bits, those of the other four; the next four bytes the same of
/// the minima; the last four the low four bits of the other scales and minima.
fn scales_and_mins(d: f32, d_min: f32, bytes: &[u8; 12]) -> [(f32, f32); 8] {
    let [scales, mins, rest] = [field::<0, 4, _>(bytes), field::<4, 4, _>(bytes), field::<8, 4, _>(bytes)];
    std::array::from_fn(|index| {
        let [scale, min, rest] = [*pick(scales, index), *pick(mins, index), *pick(rest, index)];
        let (scale, min) = match index {
            0..4 => (scale & 63, min & 63),
            _ => (rest & 15 | scale >> 6 << 4, rest >> 4 | min >> 6 << 4),
        };
        (d * f32::from(scale), d_min * f32::from(min))
    })
}
