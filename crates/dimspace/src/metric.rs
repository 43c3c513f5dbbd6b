//! What the cells of an index are trained for: the distance of its operator class.

/// A distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// 1 - the cosine of the angle.
    Cosine,
    /// The Euclidean distance.
    L2,
    /// The negative inner product.
    InnerProduct,
}

impl Metric {
    /// Every metric, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Cosine, Self::L2, Self::InnerProduct];

    /// Returns the number that pages hold.
    pub const fn number(self) -> u8 {
        match self {
            Self::Cosine => 0,
            Self::L2 => 1,
            Self::InnerProduct => 2,
        }
    }

    /// Returns the metric of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.number() == number)
    }

    /// Returns the name that users read.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::L2 => "l2",
            Self::InnerProduct => "inner product",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Metric;

    #[test]
    fn numbers_round_trip() {
        assert_eq!(Metric::ALL.map(Metric::number), [0, 1, 2]);
        for number in 0..=u8::MAX {
            assert_eq!(Metric::from_number(number).map(Metric::number), (number < 3).then_some(number));
        }
    }
}
