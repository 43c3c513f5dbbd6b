//! Blocks of 256 elements that index into a grid: eight or four neighbours are one point of it.
//!
//! Source: the classes of these names in `gguf/quants.py` of gguf 0.19.0.  `d` is the block's scale, `db` and `dl` are those of
//! runs.

use super::grids;
use super::piece::{bits, crumbs, field, half, nibbles, pick, pieces, pieces_mut, put, word};

/// Per 32 elements four indices and a word: four times seven signs, and the scale in the high four bits.
pub(super) fn iq2_xxs(block: &[u8; 66], out: &mut [f64; 256]) {
    let d = half::<0, _>(block);
    for (run, out) in pieces::<8, _>(field::<2, 64, _>(block)).zip(pieces_mut::<32, _>(out)) {
        let word = u32::from_le_bytes(*field::<4, 4, _>(run));
        let db = d * (0.5 + scale_of(word)) * 0.25;
        let points = field::<0, 4, _>(run).iter().zip(signs_of(word));
        for ((index, signs), out) in points.zip(pieces_mut::<8, _>(out)) {
            point(out, db, pick(&grids::IQ2_XXS, usize::from(*index)), signs);
        }
    }
}

/// Per 8 elements a word: an index of nine bits and seven signs; scales follow.
pub(super) fn iq2_xs(block: &[u8; 74], out: &mut [f64; 256]) {
    let d = half::<0, _>(block);
    let scales = field::<66, 8, _>(block).map(nibbles);
    let words = pieces::<2, _>(field::<2, 64, _>(block)).map(|word| usize::from(u16::from_le_bytes(*word)));
    let mut points = words.zip(pieces_mut::<8, _>(out));
    for scale in scales.as_flattened() {
        let db = d * (0.5 + f32::from(*scale)) * 0.25;
        for (word, out) in points.by_ref().take(2) {
            point(out, db, pick(&grids::IQ2_XS, word & 511), with_parity(word >> 9));
        }
    }
}

/// The indices have their high two bits elsewhere; the eighth sign is stored too.
pub(super) fn iq2_s(block: &[u8; 82], out: &mut [f64; 256]) {
    let d = half::<0, _>(block);
    let scales = field::<74, 8, _>(block).map(nibbles);
    let high = field::<66, 8, _>(block).map(crumbs);
    let indices = field::<2, 32, _>(block).iter().zip(high.as_flattened()).map(|(low, high)| index(*low, *high));
    let mut points = indices.zip(field::<34, 32, _>(block)).zip(pieces_mut::<8, _>(out));
    for scale in scales.as_flattened() {
        let db = d * (0.5 + f32::from(*scale)) * 0.25;
        for ((index, signs), out) in points.by_ref().take(2) {
            point(out, db, pick(&grids::IQ2_S, index), *signs);
        }
    }
}

/// Points of four elements; per 32 elements eight indices and, behind all of these, a word as that of IQ2_XXS.
pub(super) fn iq3_xxs(block: &[u8; 98], out: &mut [f64; 256]) {
    let d = half::<0, _>(block);
    let words = pieces::<4, _>(field::<66, 32, _>(block)).map(|word| u32::from_le_bytes(*word));
    let indices = pieces::<8, _>(field::<2, 64, _>(block));
    for ((word, indices), out) in words.zip(indices).zip(pieces_mut::<32, _>(out)) {
        let db = d * (0.5 + scale_of(word)) * 0.5;
        for ((pair, signs), out) in pieces::<2, _>(indices).zip(signs_of(word)).zip(pieces_mut::<8, _>(out)) {
            let pair = pair.map(|index| *pick(&grids::IQ3_XXS, usize::from(index)));
            point(out, db, &joined(pair), signs);
        }
    }
}

/// Points of four elements, their indices' ninth bits elsewhere; a scale per 32 elements.
pub(super) fn iq3_s(block: &[u8; 110], out: &mut [f64; 256]) {
    let d = half::<0, _>(block);
    let scales = field::<106, 4, _>(block).map(nibbles);
    let high = field::<66, 8, _>(block).map(bits);
    let indices = pieces::<2, _>(field::<2, 64, _>(block)).zip(pieces::<2, _>(high.as_flattened()));
    let mut points = indices.zip(field::<74, 32, _>(block)).zip(pieces_mut::<8, _>(out));
    for scale in scales.as_flattened() {
        let db = d * f32::from(1 | scale << 1);
        for ((([low_0, low_1], [high_0, high_1]), signs), out) in points.by_ref().take(4) {
            let pair = [index(*low_0, u8::from(*high_0)), index(*low_1, u8::from(*high_1))];
            point(out, db, &joined(pair.map(|index| *pick(&grids::IQ3_S, index))), *signs);
        }
    }
}

/// Per 32 elements a word: four times the high three bits of an index, a scale, and the sign of the shift.
pub(super) fn iq1_s(block: &[u8; 50], out: &mut [f64; 256]) {
    let d = half::<0, _>(block);
    let words = pieces::<2, _>(field::<34, 16, _>(block)).map(|word| u16::from_le_bytes(*word));
    let indices = pieces::<4, _>(field::<2, 32, _>(block));
    for ((word, low), out) in words.zip(indices).zip(pieces_mut::<32, _>(out)) {
        let dl = d * f32::from(word >> 11 & 14 | 1);
        let high = [word, word >> 3, word >> 6, word >> 9].map(|high| usize::from(high & 7) << 8);
        for ((low, high), out) in low.iter().zip(high).zip(pieces_mut::<8, _>(out)) {
            shifted_point(out, dl, usize::from(*low) | high, word >> 15 != 0);
        }
    }
}

/// The scale of the block is spread over the high four bits of four words; these hold four scales of 16 elements each besides.
pub(super) fn iq1_m(block: &[u8; 56], out: &mut [f64; 256]) {
    let words = [word::<48, _>(block), word::<50, _>(block), word::<52, _>(block), word::<54, _>(block)];
    let d = super::float::from_half(words.iter().rev().fold(0, |scale, word| scale << 4 | word >> 12));
    let scales =
        words.map(|word| [word, word >> 3, word >> 6, word >> 9].map(|scale| d * f32::from(scale << 1 & 14 | 1)));
    let high = field::<32, 16, _>(block).map(nibbles);
    let indices = field::<0, 32, _>(block).iter().zip(high.as_flattened());
    let mut points = indices.zip(pieces_mut::<8, _>(out));
    for dl in scales.as_flattened() {
        for ((low, high), out) in points.by_ref().take(2) {
            shifted_point(out, *dl, index(*low, high & 7), high & 8 != 0);
        }
    }
}

/// Writes a point of eight elements; a set bit of `signs` makes its element negative.
fn point(out: &mut [f64; 8], scale: f32, point: &[i8; 8], signs: u8) {
    let signs = bits(signs).map(|negative| if negative { -1.0 } else { 1.0 });
    put(out, point.iter().zip(signs).map(|(element, sign)| scale * f32::from(*element) * sign));
}

/// Writes a point of IQ1, whose elements are shifted by an eighth.
fn shifted_point(out: &mut [f64; 8], scale: f32, index: usize, down: bool) {
    let shift = if down { -0.125 } else { 0.125 };
    put(out, pick(&grids::IQ1, index).iter().map(|element| scale * (f32::from(*element) + shift)));
}

fn joined(pair: [[i8; 4]; 2]) -> [i8; 8] {
    let [[a, b, c, d], [e, f, g, h]] = pair;
    [a, b, c, d, e, f, g, h]
}

fn index(low: u8, high: u8) -> usize {
    u16::from_le_bytes([low, high]).into()
}

/// Returns the scale in the high four bits of a word.
fn scale_of(word: u32) -> f32 {
    let [.., high] = word.to_le_bytes();
    f32::from(high >> 4)
}

/// Returns the signs of four points, seven bits each in the word.
fn signs_of(word: u32) -> [u8; 4] {
    [word, word >> 7, word >> 14, word >> 21].map(|signs| with_parity(signs as usize))
}

/// Returns seven signs and the eighth, which makes their number even: `ksigns_iq2xs` of `ggml-common.h`.
fn with_parity(signs: usize) -> u8 {
    *pick(&EVEN_SIGNS, signs)
}

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated by the compiler only")]
static EVEN_SIGNS: [u8; 128] = {
    let mut table = [0; 128];
    let mut signs = 0_u8;
    while signs < 128 {
        let eighth = if signs.count_ones().is_multiple_of(2) { 0 } else { 128 };
        table[signs as usize] = signs | eighth;
        signs += 1;
    }
    table
};
