//! A range of dimension space: the values of one dimension between two bounds, both of them included.
//!
//! Text form `(dimension,lo,hi)`; stored as 20 bytes, little-endian: dimension i32, lo float64, hi float64.

use std::fmt;

use crate::{DIMENSIONS_MAX, Element, HEADER_BYTES, Packed, VectorError, pgvector, text};

/// Values of one dimension from `lo` to `hi`.  Bounds may be infinite but not NaN, `lo` is at most `hi`, and -0.0 is 0.0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DimRange {
    dimension: i32,
    lo: f64,
    hi: f64,
}

impl DimRange {
    /// Bytes of the stored form.
    pub const BYTES: usize = 20;

    /// Makes a range.  Errors: a dimension that no vector has, a bound that is NaN, `lo` above `hi`.
    pub fn new(dimension: i32, lo: f64, hi: f64) -> Result<Self, VectorError> {
        let known = usize::try_from(dimension).ok().filter(|&known| known < DIMENSIONS_MAX);
        let Some(known) = known else {
            return Err(VectorError::NoSuchDimension { dimension: dimension.into(), dimensions: DIMENSIONS_MAX });
        };
        if lo.is_nan() || hi.is_nan() {
            return Err(VectorError::NoBound { dimension: known });
        } else if lo > hi {
            return Err(VectorError::EmptyRange { dimension: known, lo, hi });
        }
        Ok(Self { dimension, lo: lo + 0.0, hi: hi + 0.0 })
    }

    /// Returns the dimension, from 0.
    pub fn dimension(&self) -> i32 {
        self.dimension
    }

    /// Returns the lower bound.
    pub fn lo(&self) -> f64 {
        self.lo
    }

    /// Returns the upper bound.
    pub fn hi(&self) -> f64 {
        self.hi
    }

    /// Returns whether a value lies between the bounds.
    pub fn holds(&self, value: f64) -> bool {
        self.lo <= value && value <= self.hi
    }

    /// Returns whether the vector has the dimension, and its value there lies between the bounds.
    pub fn holds_of(&self, packed: &Packed<'_>) -> bool {
        packed.value(self.place()).is_some_and(|value| self.holds(value))
    }

    /// The same for the bytes of pgvector's `vector`.
    pub fn holds_of_vector(&self, bytes: &[u8]) -> Result<bool, VectorError> {
        Ok(pgvector::vector_value(bytes, self.place())?.is_some_and(|value| self.holds(value)))
    }

    /// The same for the bytes of pgvector's `halfvec`.
    pub fn holds_of_halfvec(&self, bytes: &[u8]) -> Result<bool, VectorError> {
        Ok(pgvector::halfvec_value(bytes, self.place())?.is_some_and(|value| self.holds(value)))
    }

    /// Returns at which byte a dense vector has the dimension's value, if its values are so many bytes wide: dimvec and pgvector's types
    /// both have four bytes before them.
    pub fn value_offset(&self, width: usize) -> usize {
        self.place().saturating_mul(width).saturating_add(HEADER_BYTES)
    }

    /// The dimension as an index; one below 0, which only damaged bytes have, is beyond any vector.
    fn place(&self) -> usize {
        usize::try_from(self.dimension).unwrap_or(usize::MAX)
    }

    /// Reads the text form `(dimension,lo,hi)`.
    pub fn parse(form: &str) -> Result<Self, VectorError> {
        let inside =
            form.trim_start().strip_prefix('(').ok_or_else(|| malformed(form, form, "no opening parenthesis"))?;
        let inside = inside.trim_end().strip_suffix(')').ok_or_else(|| at_end(form, "no closing parenthesis"))?;
        let mut parts = inside.split(',');
        let (Some(dimension), Some(lo), Some(hi), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(at_end(form, "not three numbers"));
        };
        let known = dimension.trim().parse().map_err(|_| malformed(form, dimension, "not a dimension"))?;
        Self::new(known, bound(form, lo, known)?, bound(form, hi, known)?)
    }

    /// Returns the stored form.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.dimension.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.lo.to_le_bytes());
        bytes[12..].copy_from_slice(&self.hi.to_le_bytes());
        bytes
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = bytes;
        Self {
            dimension: i32::from_le_bytes([a, b, c, d]),
            lo: f64::from_le_bytes([e, f, g, h, i, j, k, l]),
            hi: f64::from_le_bytes([m, n, o, p, q, r, s, t]),
        }
    }

    /// Returns the binary form: dimension, lo, hi, big-endian.
    pub fn to_wire(&self) -> Vec<u8> {
        let mut bytes = self.dimension.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.lo.to_be_bytes());
        bytes.extend_from_slice(&self.hi.to_be_bytes());
        bytes
    }

    /// Reads the binary form.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, VectorError> {
        let &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = bytes else {
            return Err(VectorError::Wire { what: "a dim_range has 20 bytes", offset: bytes.len() });
        };
        let lo = f64::from_be_bytes([e, f, g, h, i, j, k, l]);
        Self::new(i32::from_be_bytes([a, b, c, d]), lo, f64::from_be_bytes([m, n, o, p, q, r, s, t]))
    }
}

/// Refuses a part of the text where it begins, in characters.
fn malformed(form: &str, part: &str, what: &'static str) -> VectorError {
    let offset = part.as_ptr() as usize - form.as_ptr() as usize;
    let position = form.get(..offset).unwrap_or_default().chars().count() + 1;
    VectorError::Text { what, position }
}

fn at_end(form: &str, what: &'static str) -> VectorError {
    VectorError::Text { what, position: form.chars().count() + 1 }
}

/// Reads a bound.  Infinity has to be named: a decimal that becomes infinite, or without being zero becomes zero, is refused.
fn bound(form: &str, part: &str, dimension: i32) -> Result<f64, VectorError> {
    let token = part.trim();
    let value: f64 = token.parse().map_err(|_| malformed(form, part, "not a number"))?;
    let is_decimal = token.contains(|digit: char| digit.is_ascii_digit());
    if is_decimal && (value.is_infinite() || value == 0.0 && !text::says_zero(token)) {
        let dimension = usize::try_from(dimension).unwrap_or(0);
        return Err(VectorError::OutOfRange { value, dimension, element: Element::Float64 });
    }
    Ok(value)
}

/// As PostgreSQL writes double precision.
pub(crate) fn written(bound: f64) -> String {
    match bound {
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ => text::number(bound),
    }
}

impl fmt::Display for DimRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{},{})", self.dimension, written(self.lo), written(self.hi))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack_f64;

    const INFINITY: f64 = f64::INFINITY;

    #[test]
    fn every_form_round_trips() {
        for (dimension, lo, hi) in [
            (42, 0.1, 0.2),
            (0, -INFINITY, INFINITY),
            (65_534, -1e300, 5e-324),
            (1, INFINITY, INFINITY),
            (7, -0.25, -0.25),
        ] {
            let range = DimRange::new(dimension, lo, hi).unwrap();
            assert_eq!((range.dimension(), range.lo(), range.hi()), (dimension, lo, hi));
            assert_eq!(DimRange::parse(&range.to_string()), Ok(range));
            assert_eq!(DimRange::from_bytes(range.to_bytes()), range);
            assert_eq!(DimRange::from_wire(&range.to_wire()), Ok(range));
        }
        assert_eq!(DimRange::new(1, -0.0, -0.0).unwrap().to_bytes(), DimRange::new(1, 0.0, 0.0).unwrap().to_bytes());
        assert_eq!(DimRange::parse(" ( 2 , -inf , +Infinity ) ").unwrap().to_string(), "(2,-Infinity,Infinity)");
    }

    /// Stored bytes outlive the program that wrote them.
    #[test]
    fn the_layout_does_not_drift() {
        let range = DimRange::new(0x0102, 1.0, INFINITY).unwrap();
        assert_eq!(range.to_bytes(), [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0xF0, 0x7F]);
    }

    #[test]
    fn malformed_text_is_refused_where_it_breaks() {
        let cases = [
            ("", 1),
            ("1,2,3)", 1),
            ("(1,2,3", 7),
            ("(1,2)", 6),
            ("(x,2,3)", 2),
            ("(1.5,2,3)", 2),
            ("(1,y,3)", 4),
            ("(1,2,é)", 6),
            ("(1,,3)", 4),
            ("(1,2,3,4)", 10),
        ];
        for (form, expected) in cases {
            match DimRange::parse(form) {
                Err(VectorError::Text { position, .. }) => assert_eq!(position, expected, "{form}"),
                other => panic!("{form}: {other:?}"),
            }
        }
    }

    #[test]
    fn numbers_out_of_their_domain_are_refused() {
        assert_eq!(DimRange::parse("(1,NaN,2)"), Err(VectorError::NoBound { dimension: 1 }));
        assert_eq!(DimRange::new(1, 2.0, f64::NAN), Err(VectorError::NoBound { dimension: 1 }));
        assert_eq!(DimRange::parse("(3,2,1)"), Err(VectorError::EmptyRange { dimension: 3, lo: 2.0, hi: 1.0 }));
        for dimension in [-1, 65_535, i32::MAX, i32::MIN] {
            assert!(matches!(DimRange::new(dimension, 0.0, 1.0), Err(VectorError::NoSuchDimension { .. })));
        }
        for form in ["(1,-1e999,2)", "(1,1e-999,2)", "(1,0,1e400)"] {
            assert!(matches!(DimRange::parse(form), Err(VectorError::OutOfRange { .. })), "{form}");
        }
        assert!(matches!(DimRange::from_wire(&[0; 21]), Err(VectorError::Wire { offset: 21, .. })));
    }

    #[test]
    fn bounds_are_closed_and_a_missing_dimension_is_outside() {
        let range = |dimension, lo, hi| DimRange::new(dimension, lo, hi).unwrap();
        for element in Element::ALL {
            for values in [&[1.0, 0.0, 3.0][..], &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0]] {
                let bytes = pack_f64(element, values).unwrap();
                let packed = Packed::read(&bytes).unwrap();
                for (place, &value) in values.iter().enumerate() {
                    let dimension = place as i32;
                    assert!(range(dimension, value, value).holds_of(&packed));
                    assert!(range(dimension, -INFINITY, INFINITY).holds_of(&packed));
                    assert!(!range(dimension, value.next_up(), INFINITY).holds_of(&packed));
                    assert!(!range(dimension, -INFINITY, value.next_down()).holds_of(&packed));
                }
                assert!(!range(values.len() as i32, -INFINITY, INFINITY).holds_of(&packed));
            }
        }
    }

    #[test]
    fn the_offset_is_that_of_the_value() {
        let bytes = pack_f64(Element::Float32, &[0.1, 0.2, 0.3].map(|value: f32| value.into())).unwrap();
        let at = DimRange::new(2, 0.0, 1.0).unwrap().value_offset(4);
        assert_eq!(bytes[at..], 0.3_f32.to_le_bytes());
        let vector = pgvector::to_vector(&Packed::read(&bytes).unwrap()).unwrap();
        assert_eq!(vector[at..], 0.3_f32.to_ne_bytes());
    }

    #[test]
    fn damaged_bytes_of_a_range_hold_nothing() {
        let bytes = pack_f64(Element::Float32, &[0.5]).unwrap();
        let packed = Packed::read(&bytes).unwrap();
        for damaged in [DimRange { dimension: -1, lo: 0.0, hi: 1.0 }, DimRange { dimension: 0, lo: f64::NAN, hi: 1.0 }]
        {
            assert!(!damaged.holds_of(&packed));
            assert!(damaged.value_offset(8) >= 4);
            assert_eq!(damaged.holds_of_vector(&[1, 0, 0, 0, 0, 0, 0, 0x3F]), Ok(false));
        }
    }

    #[test]
    fn the_bytes_of_pgvector_are_read_as_they_lie() {
        let bytes = pack_f64(Element::Float32, &[0.5, -2.0]).unwrap();
        let packed = Packed::read(&bytes).unwrap();
        let (single, half) = (pgvector::to_vector(&packed).unwrap(), pgvector::to_halfvec(&packed).unwrap());
        for (dimension, lo, hi, expected) in
            [(0, 0.5, 0.5, true), (1, -2.0, 9.0, true), (1, -1.0, 9.0, false), (2, -INFINITY, INFINITY, false)]
        {
            let range = DimRange::new(dimension, lo, hi).unwrap();
            assert_eq!(range.holds_of_vector(&single), Ok(expected), "{range}");
            assert_eq!(range.holds_of_halfvec(&half), Ok(expected), "{range}");
        }
        let range = DimRange::new(0, 0.0, 1.0).unwrap();
        for end in 0..single.len() {
            assert!(matches!(range.holds_of_vector(&single[..end]), Err(VectorError::Damaged { .. })));
        }
        for end in 0..half.len() {
            assert!(matches!(range.holds_of_halfvec(&half[..end]), Err(VectorError::Damaged { .. })));
        }
    }
}
