//! The arithmetic that sums are made of, for each type of number, and what each distance adds up.

/// A number that sums are made of.
pub trait Number: Copy {
    const ZERO: Self;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn magnitude(self) -> Self;
    /// Returns `self * factor + sum`, rounded once.
    fn times_plus(self, factor: Self, sum: Self) -> Self;
}

/// A number that values of vectors are widened to.
pub trait Real: Number + From<f32> {
    /// Returns a value that this type holds; a damaged vector's may be rounded.
    fn of(value: f64) -> Self;
}

/// Adds the upper half of the lanes, a power of two, to the lower, until one is left.
#[inline]
pub fn add_up<T: Number, const L: usize>(mut lanes: [T; L]) -> T {
    let mut half = L / 2;
    while half > 0 {
        let (low, high) = lanes.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(low, high)| *low = low.plus(*high));
        half /= 2;
    }
    lanes[0]
}

macro_rules! real {
    ($type:ident) => {
        impl Number for $type {
            const ZERO: Self = 0.0;

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self + other
            }

            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self - other
            }

            #[inline(always)]
            fn magnitude(self) -> Self {
                self.abs()
            }

            #[inline(always)]
            fn times_plus(self, factor: Self, sum: Self) -> Self {
                self.mul_add(factor, sum)
            }
        }

        impl Real for $type {
            #[inline(always)]
            fn of(value: f64) -> Self {
                value as Self
            }
        }
    };
}

real!(f32);
real!(f64);

/// Sums of so many products of int8 or uint8 as `sums.rs` adds do not overflow.
impl Number for i32 {
    const ZERO: Self = 0;

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        self.wrapping_abs()
    }

    #[inline(always)]
    fn times_plus(self, factor: Self, sum: Self) -> Self {
        self.wrapping_mul(factor).wrapping_add(sum)
    }
}

/// What a distance adds up: at most three sums in one pass.
pub trait Metric {
    /// How many of the three sums are in use.
    const SUMS: usize;

    /// Adds what one dimension contributes.  Two zeros contribute nothing, so a zero may be left out on both sides.
    fn step<T: Number>(sums: [T; 3], a: T, b: T) -> [T; 3];
}

/// Squares of the differences: L2.
pub struct Squares;
/// Products: inner product.
pub struct Products;
/// Products, squares of the one and of the other: cosine.
pub struct Angles;
/// Magnitudes of the differences: L1.
pub struct Differences;
/// Magnitudes of the left vector: its L1 norm.
pub struct Magnitudes;

impl Metric for Squares {
    const SUMS: usize = 1;

    #[inline(always)]
    fn step<T: Number>([sum, y, z]: [T; 3], a: T, b: T) -> [T; 3] {
        let difference = a.minus(b);
        [difference.times_plus(difference, sum), y, z]
    }
}

impl Metric for Products {
    const SUMS: usize = 1;

    #[inline(always)]
    fn step<T: Number>([sum, y, z]: [T; 3], a: T, b: T) -> [T; 3] {
        [a.times_plus(b, sum), y, z]
    }
}

impl Metric for Angles {
    const SUMS: usize = 3;

    #[inline(always)]
    fn step<T: Number>([both, left, right]: [T; 3], a: T, b: T) -> [T; 3] {
        [a.times_plus(b, both), a.times_plus(a, left), b.times_plus(b, right)]
    }
}

impl Metric for Differences {
    const SUMS: usize = 1;

    #[inline(always)]
    fn step<T: Number>([sum, y, z]: [T; 3], a: T, b: T) -> [T; 3] {
        [sum.plus(a.minus(b).magnitude()), y, z]
    }
}

impl Metric for Magnitudes {
    const SUMS: usize = 1;

    #[inline(always)]
    fn step<T: Number>([sum, y, z]: [T; 3], a: T, _: T) -> [T; 3] {
        [sum.plus(a.magnitude()), y, z]
    }
}
