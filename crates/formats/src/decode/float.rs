//! Floats below 32 bits.
//!
//! Sources: IEEE 754 binary16; the OCP 8-bit floating point specification (OFP8) 1.0 and Microscaling Formats (MX)
//! specification 1.0; for the FNUZ kinds "8-bit Numerical Formats for Deep Neural Networks" (Noune and others, arXiv
//! 2206.02915).

/// Returns a half-precision number; a NaN keeps its payload, signalling or not.
///
/// Branch-free, and without multiplying a denormal, which costs a hundred times as much on some processors.
pub(super) fn from_half(half: u16) -> f32 {
    const REBIAS: u32 = (127 - 15) << 23;
    const LEAST_NORMAL: u32 = (127 - 14) << 23;
    let magnitude = u32::from(half & 0x7FFF) << 13;
    let normal = magnitude.wrapping_add(REBIAS);
    // One more than the mantissa of 10 bits, scaled; the one is then taken away.
    let denormal = (f32::from_bits(magnitude | LEAST_NORMAL) - f32::from_bits(LEAST_NORMAL)).to_bits();
    let finite = if half & 0x7C00 == 0 { denormal } else { normal };
    let infinite = if half & 0x7C00 == 0x7C00 { 0xFF << 23 } else { 0 };
    f32::from_bits(finite | infinite | u32::from(half & 0x8000) << 16)
}

/// Returns a bfloat16 number: the upper half of a single-precision one.
pub(super) fn from_bfloat(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// What is not finite among the codes of a small float.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Special {
    /// The greatest exponent means infinity and NaN, as in IEEE 754.
    Ieee,
    /// All bits but the sign set mean NaN; no infinities.
    AllOnes,
    /// The sign alone means NaN; no infinities, no negative zero.
    NegativeZero,
    /// Nothing: every code is finite.
    None,
}

/// A float of at most 8 bits: sign, exponent, mantissa.
struct Small {
    exponent_bits: u32,
    mantissa_bits: u32,
    bias: u32,
    special: Special,
}

pub(super) static F8_E4M3: [f64; 256] =
    Small { exponent_bits: 4, mantissa_bits: 3, bias: 7, special: Special::AllOnes }.table();
pub(super) static F8_E5M2: [f64; 256] =
    Small { exponent_bits: 5, mantissa_bits: 2, bias: 15, special: Special::Ieee }.table();
pub(super) static F8_E4M3FNUZ: [f64; 256] =
    Small { exponent_bits: 4, mantissa_bits: 3, bias: 8, special: Special::NegativeZero }.table();
pub(super) static F8_E5M2FNUZ: [f64; 256] =
    Small { exponent_bits: 5, mantissa_bits: 2, bias: 16, special: Special::NegativeZero }.table();
pub(super) static F6_E2M3: [f64; 64] =
    Small { exponent_bits: 2, mantissa_bits: 3, bias: 1, special: Special::None }.table();
pub(super) static F6_E3M2: [f64; 64] =
    Small { exponent_bits: 3, mantissa_bits: 2, bias: 3, special: Special::None }.table();
pub(super) static F4: [f64; 16] = Small { exponent_bits: 2, mantissa_bits: 1, bias: 1, special: Special::None }.table();

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated by the compiler only")]
impl Small {
    const fn table<const CODES: usize>(self) -> [f64; CODES] {
        let mut table = [0.0; CODES];
        let mut code = 0;
        while code < CODES {
            table[code] = self.value(code as u64);
            code += 1;
        }
        table
    }

    const fn value(&self, code: u64) -> f64 {
        let sign_at = self.exponent_bits + self.mantissa_bits;
        let sign = code >> sign_at;
        let exponent = code >> self.mantissa_bits & mask(self.exponent_bits);
        let mantissa = code & mask(self.mantissa_bits);
        let magnitude = match self.special {
            Special::Ieee if exponent == mask(self.exponent_bits) && mantissa == 0 => f64::INFINITY,
            Special::Ieee if exponent == mask(self.exponent_bits) => QUIET_NAN,
            Special::AllOnes if code & mask(sign_at) == mask(sign_at) => QUIET_NAN,
            Special::NegativeZero if code == 1 << sign_at => QUIET_NAN,
            _ => self.finite(exponent, mantissa),
        };
        f64::from_bits(magnitude.to_bits() | sign << 63)
    }

    const fn finite(&self, exponent: u64, mantissa: u64) -> f64 {
        let (exponent, leading) = if exponent == 0 { (1, 0) } else { (exponent, 1 << self.mantissa_bits) };
        let scale = exponent + 1023 - self.bias as u64 - self.mantissa_bits as u64;
        (leading | mantissa) as f64 * f64::from_bits(scale << 52)
    }
}

const QUIET_NAN: f64 = f64::from_bits(0x7FF8 << 48);

#[allow(clippy::arithmetic_side_effects, reason = "evaluated by the compiler only")]
const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// Returns the power of two that an F8_E8M0 code means, 255 being NaN.
pub(super) fn from_exponent(code: u8) -> f64 {
    match code {
        255 => QUIET_NAN,
        _ => f64::from_bits(u64::from(code).wrapping_add(1023 - 127) << 52),
    }
}
