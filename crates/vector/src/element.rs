//! Element types: what a vector's numbers are declared as, and what they may be stored as.

use half::{bf16, f16};

/// The type of a vector's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Element {
    /// IEEE 754 binary32: the default.
    Float32 = 0,
    /// IEEE 754 binary16.
    Float16 = 1,
    /// The upper half of a binary32.
    Bfloat16 = 2,
    /// -128 to 127.
    Int8 = 3,
    /// 0 to 255.
    Uint8 = 4,
    /// IEEE 754 binary64.
    Float64 = 5,
}

impl Element {
    /// Every element type, by its number.
    pub const ALL: [Self; 6] = [Self::Float32, Self::Float16, Self::Bfloat16, Self::Int8, Self::Uint8, Self::Float64];

    /// Returns the number that layouts and binary forms hold.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the element type of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Returns the name that SQL users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
            Self::Float64 => "float64",
        }
    }

    /// Returns the element type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|element| element.name() == name)
    }

    /// Returns the bytes of one element.
    pub const fn width(self) -> usize {
        match self {
            Self::Int8 | Self::Uint8 => 1,
            Self::Float16 | Self::Bfloat16 => 2,
            Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// Returns whether elements are whole numbers.
    pub const fn is_integer(self) -> bool {
        matches!(self, Self::Int8 | Self::Uint8)
    }

    /// Returns the types that values of this one may be stored as, the narrowest first, itself last.
    pub const fn stored_as(self) -> &'static [Self] {
        use Element::*;
        match self {
            Float32 => &[Uint8, Int8, Float16, Bfloat16, Float32],
            Float16 => &[Uint8, Int8, Float16],
            Bfloat16 => &[Uint8, Int8, Bfloat16],
            Int8 => &[Int8],
            Uint8 => &[Uint8],
            Float64 => &[Uint8, Int8, Float16, Bfloat16, Float32, Float64],
        }
    }

    /// Returns the type that holds the result of arithmetic on two vectors: their own where they agree, float64 beside a
    /// float64, else float32.
    pub fn joined(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Float64, _) | (_, Self::Float64) => Self::Float64,
            _ => Self::Float32,
        }
    }

    /// Returns the nearest value of this type, ties to even; infinite where the value is beyond the type.
    pub fn nearest(self, value: f64) -> f64 {
        let whole = |least: f64, most: f64| {
            let whole = value.round_ties_even();
            if (least..=most).contains(&whole) { whole } else { f64::INFINITY.copysign(value) }
        };
        match self {
            Self::Float64 => value,
            Self::Float32 => f64::from(value as f32),
            Self::Float16 => f16::from_f32(odd_f32(value)).to_f64(),
            Self::Bfloat16 => bf16::from_f32(odd_f32(value)).to_f64(),
            Self::Int8 => whole(-128.0, 127.0),
            Self::Uint8 => whole(0.0, 255.0),
        }
    }

    /// Returns whether a finite value is one of this type.  Packing asks this of every value, so it looks at bits instead of
    /// rounding.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::Float64 => true,
            Self::Float32 => f64::from(value as f32) == value,
            Self::Float16 => is_float16(value),
            Self::Bfloat16 => f64::from(value as f32) == value && (value as f32).to_bits() & 0xFFFF == 0,
            // `as` saturates and cuts.
            Self::Int8 => f64::from(value as i8) == value,
            Self::Uint8 => f64::from(value as u8) == value,
        }
    }

    /// Returns a value's bytes in this type, little-endian, as its [`Element::nearest`].
    pub fn to_bytes(self, value: f64) -> ([u8; 8], usize) {
        let mut bytes = [0; 8];
        match self {
            Self::Float64 => bytes = value.to_le_bytes(),
            Self::Float32 => bytes[..4].copy_from_slice(&(value as f32).to_le_bytes()),
            Self::Float16 => bytes[..2].copy_from_slice(&f16::from_f32(odd_f32(value)).to_le_bytes()),
            Self::Bfloat16 => bytes[..2].copy_from_slice(&bf16::from_f32(odd_f32(value)).to_le_bytes()),
            // `as` saturates; `nearest` has refused what is beyond.
            Self::Int8 => bytes[0] = (value.round_ties_even() as i8).to_le_bytes()[0],
            Self::Uint8 => bytes[0] = value.round_ties_even() as u8,
        }
        (bytes, self.width())
    }

    /// Returns the value of one element's bytes; 0 for a slice of another length.
    pub fn value(self, bytes: &[u8]) -> f64 {
        match (self, bytes) {
            (Self::Float64, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
            (Self::Float32, &[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
            (Self::Float16, &[a, b]) => f16::from_le_bytes([a, b]).to_f64(),
            (Self::Bfloat16, &[a, b]) => bf16::from_le_bytes([a, b]).to_f64(),
            (Self::Int8, &[a]) => f64::from(i8::from_le_bytes([a])),
            (Self::Uint8, &[a]) => f64::from(a),
            _ => 0.0,
        }
    }
}

/// Returns the value as float32, the last bit set where bits were lost: rounded once more, to a type at least two bits
/// narrower, it gives what one rounding gives.
///
/// `half` looks at the upper half of a float64 only, or rounds twice where the CPU converts: near the middle between two
/// values its result would depend on the machine.  (Boldo and Melquiond, "When double rounding is odd", 2004.)
fn odd_f32(value: f64) -> f32 {
    let near = value as f32;
    let back = f64::from(near);
    if back == value || !near.is_finite() {
        return near;
    }
    let toward_zero = if back.abs() > value.abs() { near.to_bits() - 1 } else { near.to_bits() };
    f32::from_bits(toward_zero | 1)
}

/// No more than eleven digits, no larger than the largest, a multiple of the smallest.
fn is_float16(value: f64) -> bool {
    const BELOW_ELEVEN_DIGITS: u64 = (1 << 42) - 1;
    let multiple = value * 16_777_216.0;
    value.to_bits() & BELOW_ELEVEN_DIGITS == 0 && value.abs() <= 65504.0 && multiple as i64 as f64 == multiple
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_round_trip() {
        for (number, element) in Element::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(element.number()), number);
            assert_eq!(Element::from_number(element.number()), Some(element));
            assert_eq!(Element::from_name(element.name()), Some(element));
        }
        assert_eq!(Element::from_number(6), None);
        assert_eq!(Element::from_name("float"), None);
    }

    #[test]
    fn a_type_is_stored_as_narrower_ones_and_itself() {
        for element in Element::ALL {
            let narrower = element.stored_as();
            assert_eq!(narrower.last(), Some(&element));
            assert!(narrower.windows(2).all(|pair| pair[0].width() <= pair[1].width()));
        }
    }

    #[test]
    fn rounding_is_to_nearest_even_and_past_the_end_infinite() {
        assert_eq!(Element::Int8.nearest(2.5), 2.0);
        assert_eq!(Element::Int8.nearest(127.5), f64::INFINITY);
        assert_eq!(Element::Uint8.nearest(-1.0), f64::NEG_INFINITY);
        assert_eq!(Element::Uint8.nearest(-0.5), 0.0);
        assert_eq!(Element::Float16.nearest(65519.0), 65504.0);
        assert_eq!(Element::Float16.nearest(65520.0), f64::INFINITY);
        assert_eq!(Element::Bfloat16.nearest(1.001), 1.0);
        assert_eq!(Element::Float32.nearest(1e300), f64::INFINITY);
        assert!(Element::Float32.holds(0.5) && !Element::Float32.holds(0.1));
    }

    #[test]
    fn a_value_just_past_the_middle_of_two_is_rounded_away_from_it() {
        for past in [2f64.powi(-24), 2f64.powi(-40), 2f64.powi(-52)] {
            for (element, ulp) in [(Element::Float16, 2f64.powi(-10)), (Element::Bfloat16, 2f64.powi(-7))] {
                assert_eq!(element.nearest(1.0 + ulp / 2.0), 1.0);
                assert_eq!(element.nearest(1.0 + ulp / 2.0 + past), 1.0 + ulp);
                assert_eq!(element.nearest(-1.0 - ulp * 1.5 + past), -1.0 - ulp);
            }
        }
        assert_eq!(Element::Float16.nearest(2f64.powi(-25)), 0.0);
        assert_eq!(Element::Float16.nearest(2f64.powi(-25) * (1.0 + 2f64.powi(-50))), 2f64.powi(-24));
        assert_eq!(Element::Bfloat16.nearest(f64::MIN_POSITIVE), 0.0);
    }

    #[test]
    fn a_type_holds_what_rounding_leaves_alone() {
        let halves = (0..=u16::MAX).flat_map(|bits| [f16::from_bits(bits).to_f64(), bf16::from_bits(bits).to_f64()]);
        let finite: Vec<f64> = halves.filter(|value| value.is_finite()).collect();
        let beside = finite.iter().flat_map(|&value| [value.next_up(), value.next_down(), value * 0.5, value * 1.125]);
        let singles = finite.iter().map(|&value| f64::from((value as f32).next_up()));
        for value in finite.iter().copied().chain(beside).chain(singles).filter(|value| value.is_finite()) {
            for element in Element::ALL {
                assert_eq!(element.holds(value), element.nearest(value) == value, "{element:?} {value:e}");
            }
        }
    }

    #[test]
    fn bytes_round_trip() {
        for element in Element::ALL {
            for value in [0.0, 1.0, 2.0, 100.0] {
                let (bytes, width) = element.to_bytes(value);
                assert_eq!(element.value(&bytes[..width]), value);
            }
        }
        assert_eq!(Element::Float32.to_bytes(1.0).0[..4], 1f32.to_le_bytes());
    }
}
