//! The fewest digits that read back as the same float32, for the numbers that embeddings are made of.
//!
//! Gives what std's `Display` gives in half the time: from 1e-4 to below 1e6 a number, and the middles between it and its
//! neighbours, times a power of ten are fractions of 128 bits, so that all is exact and nothing needs a second look.

const POWERS: [u64; 14] = {
    let mut powers = [1; 14];
    let mut place = 1;
    while place < powers.len() {
        powers[place] = powers[place - 1] * 10;
        place += 1;
    }
    powers
};

/// Decimal digits that always suffice (9), less one.
const DIGITS: i32 = 8;

/// The numbers that [`push`] takes, besides their negatives.
pub(crate) const RANGE: std::ops::Range<f32> = 1e-4..1e6;

/// Appends a number without an exponent.  Its magnitude lies in [`RANGE`].
pub(crate) fn push(text: &mut String, value: f32) {
    if value < 0.0 {
        text.push('-');
    }
    let (number, decimals) = shortest(value.abs());
    push_decimal(text, number, decimals);
}

/// Returns the number as digits, and how many of them are behind the point.
fn shortest(value: f32) -> (u64, usize) {
    let exponent = (value.to_bits() >> 23) as i32 - 127;
    let fraction = value.to_bits() & 0x007F_FFFF;
    let mantissa = u128::from(fraction | 0x0080_0000);
    // log10(2) = 1233 / 4096, roughly: a digit too many does no harm.
    let scale = (DIGITS - ((exponent * 1233) >> 12)).clamp(0, 13) as usize;
    let power = u128::from(POWERS[scale]);
    // In quarters of the last bit: the neighbour below a power of two is nearer.
    let below = if fraction == 0 { 1 } else { 2 };
    let [least, middle, most] = [mantissa * 4 - below, mantissa * 4, mantissa * 4 + 2].map(|quarters| quarters * power);
    let shift = 25 - exponent;
    // Reading rounds a middle to the even neighbour.
    let (mut least, mut most) = match mantissa % 2 {
        0 => (((least - 1) >> shift) as u64 + 1, (most >> shift) as u64),
        _ => ((least >> shift) as u64 + 1, ((most - 1) >> shift) as u64),
    };
    let mut dropped = 0;
    while dropped < scale && least.div_ceil(10) <= most / 10 {
        (least, most, dropped) = (least.div_ceil(10), most / 10, dropped + 1);
    }
    // Of the numbers of so few digits, the nearest.
    let (whole, half) = ((middle >> shift) as u64, (middle >> (shift - 1)) as u64 & 1);
    let nearest = match POWERS[dropped] {
        1 => whole + half,
        unit => whole / unit + u64::from(whole % unit >= unit / 2),
    };
    (nearest.clamp(least, most), scale - dropped)
}

fn push_decimal(text: &mut String, mut number: u64, decimals: usize) {
    let mut characters = [b'0'; 24];
    let mut at = characters.len();
    let mut written = 0;
    while number > 0 || written <= decimals {
        if written == decimals && decimals > 0 {
            at -= 1;
            characters[at] = b'.';
        }
        at -= 1;
        characters[at] = b'0' + (number % 10) as u8;
        (number, written) = (number / 10, written + 1);
    }
    text.push_str(std::str::from_utf8(&characters[at..]).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: f32) {
        let mut text = String::new();
        push(&mut text, value);
        assert_eq!(text, format!("{value}"));
    }

    #[test]
    fn the_digits_are_those_of_display() {
        let (first, last) = (RANGE.start.to_bits(), RANGE.end.next_down().to_bits());
        // Every 1,009th number (a prime): all exponents and endings.  All 279,080,169 were compared once; then what is special.
        (first..=last).step_by(1009).for_each(|bits| check(f32::from_bits(bits)));
        for special in (-13..20).map(|exponent| 2f32.powi(exponent)).chain((0..10).map(|power| 10f32.powi(power - 4))) {
            for value in [special, special.next_up(), special.next_down()].into_iter().filter(|v| RANGE.contains(v)) {
                check(value);
                check(-value);
            }
        }
        (1..200_000).step_by(7).for_each(|whole| check(whole as f32 / 16.0));
        (1..10_000).for_each(|whole| check(whole as f32 / 10_000.0));
        [f32::from_bits(first), f32::from_bits(last)].into_iter().for_each(check);
    }
}
