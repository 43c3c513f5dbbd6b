//! A point of dimension space: one value, in one dimension, of one embedding model.
//!
//! Text form `(value,dimension,model)`; stored as 20 bytes, little-endian: value float64, model i64, dimension i32.

use std::cmp::Ordering;
use std::fmt;

use crate::VectorError;

/// One value of one dimension of one model.  The value is finite, and -0.0 is 0.0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DimPoint {
    value: f64,
    dimension: i32,
    model_id: i64,
}

impl DimPoint {
    /// Bytes of the stored form.
    pub const BYTES: usize = 20;

    /// Makes a point; the value must be finite and the dimension not negative.
    pub fn new(value: f64, dimension: i32, model_id: i64) -> Result<Self, VectorError> {
        if !value.is_finite() {
            return Err(VectorError::NotFinite { value, dimension: usize::try_from(dimension).unwrap_or(0) });
        }
        let most = crate::DIMENSIONS_MAX;
        match usize::try_from(dimension) {
            Ok(known) if known < most => Ok(Self { value: value + 0.0, dimension, model_id }),
            _ => Err(VectorError::NoSuchDimension { dimension: dimension.into(), dimensions: most }),
        }
    }

    /// Returns the value.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Returns the dimension, from 0.
    pub fn dimension(&self) -> i32 {
        self.dimension
    }

    /// Returns the model's id.
    pub fn model_id(&self) -> i64 {
        self.model_id
    }

    /// Reads the text form `(value,dimension,model)`.
    pub fn parse(text: &str) -> Result<Self, VectorError> {
        // Where a part of the text begins, in characters.
        let place = |part: &str| {
            let offset = part.as_ptr() as usize - text.as_ptr() as usize;
            text.get(..offset).unwrap_or_default().chars().count() + 1
        };
        let malformed = |what, part: &str| VectorError::Text { what, position: place(part) };
        let end = text.chars().count() + 1;
        let inside = text.trim_start().strip_prefix('(').ok_or_else(|| malformed("no opening parenthesis", text))?;
        let inside = inside
            .trim_end()
            .strip_suffix(')')
            .ok_or(VectorError::Text { what: "no closing parenthesis", position: end })?;
        let mut parts = inside.split(',');
        let (Some(value), Some(dimension), Some(model_id), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(VectorError::Text { what: "not three numbers", position: end });
        };
        Self::new(
            value.trim().parse().map_err(|_| malformed("not a number", value))?,
            dimension.trim().parse().map_err(|_| malformed("not a dimension", dimension))?,
            model_id.trim().parse().map_err(|_| malformed("not the id of a model", model_id))?,
        )
    }

    /// Returns the stored form.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.value.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.model_id.to_le_bytes());
        bytes[16..].copy_from_slice(&self.dimension.to_le_bytes());
        bytes
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = bytes;
        Self {
            value: f64::from_le_bytes([a, b, c, d, e, f, g, h]),
            model_id: i64::from_le_bytes([i, j, k, l, m, n, o, p]),
            dimension: i32::from_le_bytes([q, r, s, t]),
        }
    }

    /// Returns the binary form: value, dimension, model, big-endian.
    pub fn to_wire(&self) -> Vec<u8> {
        let mut bytes = self.value.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.dimension.to_be_bytes());
        bytes.extend_from_slice(&self.model_id.to_be_bytes());
        bytes
    }

    /// Reads the binary form.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, VectorError> {
        let &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = bytes else {
            return Err(VectorError::Wire { what: "a dim_point has 20 bytes", offset: bytes.len() });
        };
        let value = f64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Self::new(value, i32::from_be_bytes([i, j, k, l]), i64::from_be_bytes([m, n, o, p, q, r, s, t]))
    }
}

impl Eq for DimPoint {}

impl PartialOrd for DimPoint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By model, then dimension, then value.
impl Ord for DimPoint {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |point: &Self| (point.model_id, point.dimension);
        key(self).cmp(&key(other)).then(self.value.total_cmp(&other.value))
    }
}

impl fmt::Display for DimPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{},{})", crate::text::number(self.value), self.dimension, self.model_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_round_trips() {
        for (value, dimension, model_id) in
            [(0.856, 42, 1), (0.0, 0, 0), (-1e300, 65_534, i64::MAX), (5e-324, 1, i64::MIN), (1e-7, 3, -1)]
        {
            let point = DimPoint::new(value, dimension, model_id).unwrap();
            assert_eq!(DimPoint::parse(&point.to_string()), Ok(point));
            assert_eq!(DimPoint::from_bytes(point.to_bytes()), point);
            assert_eq!(DimPoint::from_wire(&point.to_wire()), Ok(point));
        }
        assert_eq!(DimPoint::new(-0.0, 1, 1).unwrap().to_string(), "(0,1,1)");
        assert_eq!(DimPoint::parse(" ( 0.5 , 2 , 3 ) ").unwrap().to_string(), "(0.5,2,3)");
    }

    #[test]
    fn malformed_text_is_refused_where_it_breaks() {
        let cases = [
            ("", 1),
            ("0.1,2,3)", 1),
            ("(0.1,2,3", 9),
            ("(0.1,2)", 8),
            ("(x,2,3)", 2),
            ("(1,y,3)", 4),
            ("(1,2,é)", 6),
            ("(1,2,3,4)", 10),
        ];
        for (text, expected) in cases {
            match DimPoint::parse(text) {
                Err(VectorError::Text { position, .. }) => assert_eq!(position, expected, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn numbers_out_of_their_domain_are_refused() {
        assert!(matches!(DimPoint::parse("(NaN,1,1)"), Err(VectorError::NotFinite { .. })));
        assert!(matches!(DimPoint::parse("(1,-1,1)"), Err(VectorError::NoSuchDimension { .. })));
        assert!(matches!(DimPoint::parse("(1,65535,1)"), Err(VectorError::NoSuchDimension { .. })));
        assert!(matches!(DimPoint::from_wire(&[0; 19]), Err(VectorError::Wire { .. })));
    }

    #[test]
    fn points_are_ordered_by_model_dimension_value() {
        let point = |value, dimension, model_id| DimPoint::new(value, dimension, model_id).unwrap();
        let ordered = [point(9.0, 9, 1), point(-1.0, 0, 2), point(0.5, 0, 2), point(-9.0, 1, 2)];
        assert!(ordered.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
