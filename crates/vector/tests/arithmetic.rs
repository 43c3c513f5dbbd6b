//! Arithmetic, to the last bit: a reference that computes with whole numbers says what one rounding gives.

use half::{bf16, f16};
use vector::{Element, Packed, VectorError, arithmetic, pack_f64};

/// mantissa * 2^exponent, exactly.
#[derive(Clone, Copy)]
struct Exact {
    mantissa: i128,
    exponent: i32,
}

impl Exact {
    fn new(value: f64) -> Self {
        let (bits, sign) = (value.to_bits() & (u64::MAX >> 1), if value < 0.0 { -1 } else { 1 });
        let (field, fraction) = ((bits >> 52) as i32, i128::from(bits & ((1 << 52) - 1)));
        let mantissa = if field == 0 { fraction } else { fraction | 1 << 52 };
        let trailing = if mantissa == 0 { 0 } else { mantissa.trailing_zeros() };
        Self { mantissa: sign * (mantissa >> trailing), exponent: field.max(1) - 1075 + trailing as i32 }
    }

    /// A summand more than 60 bits below the other decides no more than a tie, so any as small will do.
    fn plus(self, other: Self) -> Self {
        let (large, small) = match (self.top() >= other.top(), self.mantissa, other.mantissa) {
            (_, 0, _) => return other,
            (_, _, 0) => return self,
            (true, ..) => (self, other),
            (false, ..) => (other, self),
        };
        let small = if small.top() < large.top() - 60 {
            Self { mantissa: small.mantissa.signum(), exponent: large.top() - 64 }
        } else {
            small
        };
        let exponent = large.exponent.min(small.exponent);
        let mantissa =
            (large.mantissa << (large.exponent - exponent)) + (small.mantissa << (small.exponent - exponent));
        Self { mantissa, exponent }
    }

    fn times(self, other: Self) -> Self {
        Self { mantissa: self.mantissa * other.mantissa, exponent: self.exponent + other.exponent }
    }

    fn negated(self) -> Self {
        Self { mantissa: -self.mantissa, ..self }
    }

    /// The exponent of the highest bit, and one.
    fn top(self) -> i32 {
        self.exponent + 128 - self.mantissa.unsigned_abs().leading_zeros() as i32
    }

    /// The nearest value of the type, ties to even; infinite beyond it.
    fn rounded(self, element: Element) -> f64 {
        let (digits, least, most) = match element {
            Element::Float64 => (53, -1074, f64::MAX),
            Element::Float32 => (24, -149, f64::from(f32::MAX)),
            Element::Float16 => (11, -24, 65504.0),
            Element::Bfloat16 => (8, -133, bf16::MAX.to_f64()),
            Element::Int8 => (64, 0, if self.mantissa < 0 { 128.0 } else { 127.0 }),
            Element::Uint8 => (64, 0, if self.mantissa < 0 { 0.0 } else { 255.0 }),
        };
        let magnitude = self.mantissa.unsigned_abs();
        let dropped = (self.top() - digits).max(least) - self.exponent;
        let (whole, exponent) = match dropped {
            ..=0 => (magnitude, self.exponent),
            1..=126 => {
                let (whole, rest, middle) =
                    (magnitude >> dropped, magnitude & ((1 << dropped) - 1), 1 << (dropped - 1));
                let up = rest > middle || rest == middle && whole & 1 == 1;
                (whole + u128::from(up), self.exponent + dropped)
            }
            _ => (0, 0),
        };
        let value = whole as f64 * power(exponent / 2) * power(exponent - exponent / 2);
        if value > most { f64::INFINITY.copysign(self.mantissa as f64) } else { value.copysign(self.mantissa as f64) }
    }
}

fn power(exponent: i32) -> f64 {
    if exponent < -1000 { 2f64.powi(exponent + 500) * 2f64.powi(-500) } else { 2f64.powi(exponent) }
}

/// The same numbers in every run (Steele, Lea and Flood's SplitMix).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// Any value of the type; every second one near 1, where sums have much to round.
    fn value(&mut self, element: Element) -> f64 {
        loop {
            let (bits, near) = (self.bits(), self.bits().is_multiple_of(2));
            let value = match element {
                Element::Float64 if near => f64::from_bits(bits & !(0x7C << 56) | 0x3C << 56),
                Element::Float32 if near => f64::from(f32::from_bits(bits as u32 & !(0x78 << 24) | 0x38 << 24)),
                Element::Bfloat16 if near => bf16::from_bits(bits as u16 & !(0x78 << 8) | 0x38 << 8).to_f64(),
                Element::Float64 => f64::from_bits(bits),
                Element::Float32 => f64::from(f32::from_bits(bits as u32)),
                Element::Float16 => f16::from_bits(bits as u16).to_f64(),
                Element::Bfloat16 => bf16::from_bits(bits as u16).to_f64(),
                Element::Int8 => f64::from(bits as i8),
                Element::Uint8 => f64::from(bits as u8),
            };
            if value.is_finite() {
                return value;
            }
        }
    }
}

type Operation = fn(&Packed<'_>, &Packed<'_>) -> Result<Vec<u8>, VectorError>;
type Reference = fn(Exact, Exact) -> Exact;
const OPERATIONS: [(Operation, Reference); 3] = [
    (arithmetic::add, Exact::plus),
    (arithmetic::subtract, |a, b| a.plus(b.negated())),
    (arithmetic::multiply, Exact::times),
];

fn check_against_reference(types: (Element, Element), a: f64, b: f64) {
    let packed = (pack_f64(types.0, &[a]).unwrap(), pack_f64(types.1, &[b]).unwrap());
    let (left, right) = (Packed::read(&packed.0).unwrap(), Packed::read(&packed.1).unwrap());
    let element = types.0.joined(types.1);
    for (operation, reference) in OPERATIONS {
        let exact = reference(Exact::new(a), Exact::new(b));
        let expected = match exact.rounded(element) {
            value if value.is_infinite() => Err(VectorError::Overflow { dimension: 0, element }),
            0.0 if exact.mantissa != 0 => Err(VectorError::Underflow { dimension: 0, element }),
            value => Ok(pack_f64(element, &[value]).unwrap()),
        };
        assert_eq!(operation(&left, &right), expected, "{types:?} {a:e} {b:e}");
    }
}

#[test]
fn the_reference_rounds() {
    for (value, element, rounded) in [
        (0.1, Element::Float32, f64::from(0.1f32)),
        (-0.1, Element::Float64, -0.1),
        (65520.0, Element::Float16, f64::INFINITY),
        (65519.9, Element::Float16, 65504.0),
        (2f64.powi(-25), Element::Float16, 0.0),
        (3.0 * 2f64.powi(-25), Element::Float16, 2f64.powi(-23)),
        (-128.5, Element::Int8, -128.0),
        (-0.4, Element::Uint8, 0.0),
        (2.5, Element::Uint8, 2.0),
        (f64::from_bits(1), Element::Float64, f64::from_bits(1)),
    ] {
        assert_eq!(Exact::new(value).rounded(element), rounded, "{value} {element:?}");
    }
}

#[test]
fn floats_are_rounded_once() {
    let mut random = Random(1);
    for types in Element::ALL.iter().flat_map(|&a| Element::ALL.map(|b| (a, b))) {
        let rounds = if types.0 == types.1 { 10_000 } else { 500 };
        for _ in 0..rounds {
            check_against_reference(types, random.value(types.0), random.value(types.1));
        }
    }
}

#[test]
fn all_pairs_of_integers_are_exact_or_out_of_range() {
    for (element, values) in [(Element::Int8, -128..=127), (Element::Uint8, 0..=255)] {
        for a in values.clone() {
            for b in values.clone() {
                check_against_reference((element, element), f64::from(a), f64::from(b));
            }
        }
    }
}

#[test]
fn conversion_rounds_to_the_nearest() {
    let mut random = Random(2);
    for (from, to) in Element::ALL.iter().flat_map(|&a| Element::ALL.map(|b| (a, b))) {
        for _ in 0..3000 {
            let value = random.value(from);
            let packed = pack_f64(from, &[value]).unwrap();
            let converted = arithmetic::convert(&Packed::read(&packed).unwrap(), to);
            let expected = match Exact::new(value).rounded(to) {
                rounded if rounded.is_infinite() => Err(VectorError::OutOfRange { value, dimension: 0, element: to }),
                rounded => Ok(pack_f64(to, &[rounded]).unwrap()),
            };
            assert_eq!(converted, expected, "{from:?} {to:?} {value:e}");
        }
    }
}

#[test]
fn conversion_knows_a_middle_from_what_is_just_past_it() {
    for element in [Element::Float16, Element::Bfloat16, Element::Float32] {
        let mut random = Random(3);
        for _ in 0..5000 {
            let below = random.value(element).abs().min(60_000.0);
            let power_of_two = f64::from_bits(below.to_bits() & 0x7FF << 52);
            let digits = match element {
                Element::Float32 => 24,
                Element::Float16 => 11,
                _ => 8,
            };
            let middle = below + power_of_two * 2f64.powi(-digits);
            for value in [middle, middle.next_up(), middle.next_down()] {
                assert_eq!(element.nearest(value), Exact::new(value).rounded(element), "{element:?} {value:e}");
                let (bytes, width) = element.to_bytes(value);
                assert_eq!(element.value(&bytes[..width]), element.nearest(value));
            }
        }
    }
}

fn packed(element: Element, values: &[f64]) -> Vec<u8> {
    pack_f64(element, values).unwrap()
}

fn read(bytes: &[u8]) -> Packed<'_> {
    Packed::read(bytes).unwrap()
}

#[test]
fn what_pgvector_adds_and_multiplies() {
    use Element::*;
    let (a, b) = (packed(Float32, &[1.0, 2.0, 3.0]), packed(Float32, &[4.0, 5.0, 6.0]));
    let (a, b) = (read(&a), read(&b));
    assert_eq!(arithmetic::add(&a, &b), Ok(packed(Float32, &[5.0, 7.0, 9.0])));
    assert_eq!(arithmetic::subtract(&a, &b), Ok(packed(Float32, &[-3.0, -3.0, -3.0])));
    assert_eq!(arithmetic::multiply(&a, &b), Ok(packed(Float32, &[4.0, 10.0, 18.0])));
    for (operation, element, value, error) in [
        (arithmetic::add as Operation, Float32, 3e38, VectorError::Overflow { dimension: 1, element: Float32 }),
        (arithmetic::multiply, Float32, 1e37, VectorError::Overflow { dimension: 1, element: Float32 }),
        (arithmetic::multiply, Float32, 1e-37, VectorError::Underflow { dimension: 1, element: Float32 }),
        (arithmetic::add, Float16, 65504.0, VectorError::Overflow { dimension: 1, element: Float16 }),
        (arithmetic::multiply, Float16, 65504.0, VectorError::Overflow { dimension: 1, element: Float16 }),
        (arithmetic::multiply, Float16, 1e-7, VectorError::Underflow { dimension: 1, element: Float16 }),
        (arithmetic::multiply, Int8, -128.0, VectorError::Overflow { dimension: 1, element: Int8 }),
        (arithmetic::multiply, Float64, 1e-200, VectorError::Underflow { dimension: 1, element: Float64 }),
    ] {
        let bytes = packed(element, &[0.0, value]);
        assert_eq!(operation(&read(&bytes), &read(&bytes)), Err(error));
    }
    let one = packed(Float32, &[3.0]);
    for operation in OPERATIONS.map(|(operation, _)| operation) {
        let different = VectorError::DifferentDimensions { expected: 3, found: 1 };
        assert_eq!(operation(&a, &read(&one)), Err(different));
    }
}

#[test]
fn concatenation_keeps_all_dimensions_or_refuses() {
    use Element::*;
    for (left, right, joined) in
        [(Float32, Float32, Float32), (Float16, Float16, Float16), (Int8, Uint8, Float32), (Int8, Float64, Float64)]
    {
        let (a, b) = (packed(left, &[1.0, 2.0, 3.0]), packed(right, &[4.0, 5.0]));
        assert_eq!(arithmetic::concatenate(&read(&a), &read(&b)), Ok(packed(joined, &[1.0, 2.0, 3.0, 4.0, 5.0])));
    }
    let (most, one) = (packed(Int8, &[0.0; 65_535]), packed(Int8, &[1.0]));
    let many = VectorError::TooManyDimensions { dimensions: 65_536 };
    assert_eq!(arithmetic::concatenate(&read(&most), &read(&one)), Err(many));
}

#[test]
fn normalized_vectors_have_length_1() {
    use Element::*;
    let normalized = |element, values: &[f64]| {
        let bytes = arithmetic::l2_normalize(&read(&packed(element, values))).unwrap();
        (read(&bytes).element(), read(&bytes).to_f64())
    };
    let single = |value: f32| f64::from(value);
    assert_eq!(normalized(Float32, &[3.0, 4.0]), (Float32, vec![single(0.6), single(0.8)]));
    assert_eq!(normalized(Float16, &[3.0, 4.0]), (Float16, vec![0.60009765625, 0.7998046875]));
    assert_eq!(normalized(Int8, &[3.0, -4.0]), (Float32, vec![single(0.6), single(-0.8)]));
    assert_eq!(normalized(Float32, &[3.0, 0.0]).1, [1.0, 0.0]);
    assert_eq!(normalized(Float32, &[0.0, 0.1]).1, [0.0, 1.0]);
    assert_eq!(normalized(Float32, &[3e38, 1e-37]).1, [1.0, 0.0]);
    assert_eq!(normalized(Float16, &[65504.0]).1, [1.0]);
    assert_eq!(normalized(Float32, &[0.0; 50]).1, [0.0; 50]);
    let mut random = Random(4);
    for _ in 0..200 {
        let values: Vec<f64> = (0..20).map(|_| f64::from(random.value(Int8) as f32 / 7.0)).collect();
        let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
        for element in [Float32, Float64] {
            let expected: Vec<f64> = values.iter().map(|value| element.nearest(value / norm)).collect();
            assert_eq!(normalized(element, &values).1, expected);
        }
    }
}

#[test]
fn one_dimension_is_exchanged() {
    for element in Element::ALL {
        let mut values = vec![0.0; 40];
        let bytes = packed(element, &values);
        values[39] = 5.0;
        let changed = arithmetic::with_dimension(&read(&bytes), 39, 5.25 - 0.25).unwrap();
        assert_eq!(changed, packed(element, &values));
        assert_eq!(arithmetic::with_dimension(&read(&changed), 39, 0.0), Ok(bytes.clone()));
        for dimension in [-1, 40, i64::MIN, i64::MAX] {
            let no_such = VectorError::NoSuchDimension { dimension, dimensions: 40 };
            assert_eq!(arithmetic::with_dimension(&read(&bytes), dimension, 1.0), Err(no_such));
        }
        let not_finite = arithmetic::with_dimension(&read(&bytes), 7, f64::NAN);
        assert!(matches!(not_finite, Err(VectorError::NotFinite { dimension: 7, .. })));
        let range = arithmetic::with_dimension(&read(&bytes), 7, 1e300);
        assert_eq!(matches!(range, Err(VectorError::OutOfRange { dimension: 7, .. })), element != Element::Float64);
    }
    let bytes = packed(Element::Int8, &[1.0]);
    assert_eq!(arithmetic::with_dimension(&read(&bytes), 0, 2.6), Ok(packed(Element::Int8, &[3.0])));
}
