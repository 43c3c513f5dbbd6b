//! The sums behind the distances, in lanes; compiled once for each CPU path.
//!
//! A job is inlined into a function of `run.rs` that enables the path's instructions, and so small that the compiler
//! makes one vector of the lanes.

use std::marker::PhantomData;

use super::Path;
use super::number::{Metric, Number, Real, add_up};
use super::run::{Instructions, Job, run};
use super::widen::{Reader, blocks, float64s};
use crate::{Element, Packed};

/// Lanes of float32 sums.
pub const LANES_32: usize = 16;
/// Lanes of float64 sums.
pub const LANES_64: usize = 8;
/// Values that are widened at a time: a multiple of both numbers of lanes.
const BLOCK: usize = 256;

const _: () = assert!(BLOCK.is_multiple_of(LANES_32) && BLOCK.is_multiple_of(LANES_64));
/// Products of int8 or uint8 that are added in an i32.
const WHOLES_MAX: usize = 4096;

/// The largest such product is the square of 255 - -128.
const _: () = assert!(383 * 383 * WHOLES_MAX < i32::MAX as usize);

/// Three sums, each in lanes.
pub struct Lanes<T, const L: usize>([[T; L]; 3]);

impl<T: Number, const L: usize> Lanes<T, L> {
    #[inline(always)]
    fn new() -> Self {
        Self([[T::ZERO; L]; 3])
    }

    #[inline(always)]
    fn add<M: Metric>(&mut self, a: [T; L], b: [T; L]) {
        for lane in 0..L {
            self.add_at::<M>(lane, a[lane], b[lane]);
        }
    }

    #[inline(always)]
    fn add_at<M: Metric>(&mut self, lane: usize, a: T, b: T) {
        let [x, y, z] = &mut self.0;
        [x[lane], y[lane], z[lane]] = M::step([x[lane], y[lane], z[lane]], a, b);
    }

    /// Adds the upper half of the lanes to the lower, until one is left.  Not part of a job: where the compiler sees these
    /// pairs of lanes beside the loop that fills them, it makes vectors of two of all.
    #[inline]
    pub fn sums<M: Metric>(self) -> [T; 3] {
        let mut sums = [T::ZERO; 3];
        for (sum, lanes) in sums.iter_mut().zip(self.0).take(M::SUMS) {
            *sum = add_up(lanes);
        }
        sums
    }
}

/// Sums over dense vectors of float32 or narrower, read where they lie by `A` and `B`: sixteen values from `N` and `K` bytes.
pub struct Direct<'a, M, A, B, const N: usize, const K: usize> {
    left: &'a [u8],
    right: &'a [u8],
    of: PhantomData<(M, A, B)>,
}

impl<'a, M, A, B, const N: usize, const K: usize> Direct<'a, M, A, B, N, K> {
    /// Takes the values of both.
    #[inline]
    pub fn new(left: &'a [u8], right: &'a [u8]) -> Self {
        Self { left, right, of: PhantomData }
    }
}

impl<M, A, B, const N: usize, const K: usize> Job for Direct<'_, M, A, B, N, K>
where
    M: Metric,
    A: Reader<N>,
    B: Reader<K>,
{
    type Output = [f32; 3];

    #[inline(always)]
    fn run<I: Instructions>(self) -> [f32; 3] {
        let mut sums = [I::Lanes::ZERO; 3];
        let ((left, left_rest), (right, right_rest)) = (self.left.as_chunks::<N>(), self.right.as_chunks::<K>());
        for (left, right) in left.iter().zip(right) {
            sums = M::step(sums, A::read::<I>(left), B::read::<I>(right));
        }
        if !left_rest.is_empty() {
            let (left, right) = (filled_up(left_rest), filled_up(right_rest));
            sums = M::step(sums, A::read::<I>(&left), B::read::<I>(&right));
        }
        sums.map(I::add_up)
    }
}

/// Sums over dense vectors of float64, read where they lie.
pub struct Direct64<'a, M> {
    left: &'a [u8],
    right: &'a [u8],
    of: PhantomData<M>,
}

impl<'a, M> Direct64<'a, M> {
    /// Takes the values of both.
    #[inline]
    pub fn new(left: &'a [u8], right: &'a [u8]) -> Self {
        Self { left, right, of: PhantomData }
    }
}

impl<M: Metric> Job for Direct64<'_, M> {
    type Output = Lanes<f64, LANES_64>;

    #[inline(always)]
    fn run<I: Instructions>(self) -> Self::Output {
        let mut lanes = Lanes::new();
        let ((left, left_rest), (right, right_rest)) = (self.left.as_chunks(), self.right.as_chunks());
        for (left, right) in left.iter().zip(right) {
            lanes.add::<M>(float64s(left), float64s(right));
        }
        if !left_rest.is_empty() {
            lanes.add::<M>(float64s(&filled_up(left_rest)), float64s(&filled_up(right_rest)));
        }
        lanes
    }
}

/// Returns the last bytes with zeros after them, which are the value 0 in every type.
#[inline(always)]
fn filled_up<const N: usize>(rest: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    if let Some(start) = bytes.get_mut(..rest.len()) {
        start.copy_from_slice(rest);
    }
    bytes
}

/// Adds blocks of as many values, a multiple of `L`, to lanes.
pub struct Add<'a, M, T, const L: usize> {
    pub lanes: &'a mut Lanes<T, L>,
    pub left: &'a [T],
    pub right: &'a [T],
    pub metric: PhantomData<M>,
}

impl<M: Metric, T: Number, const L: usize> Job for Add<'_, M, T, L> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self) {
        let mut lanes = Lanes(self.lanes.0);
        for (left, right) in self.left.as_chunks::<L>().0.iter().zip(self.right.as_chunks::<L>().0) {
            lanes.add::<M>(*left, *right);
        }
        *self.lanes = lanes;
    }
}

/// Returns the lanes of any two vectors with as many dimensions, widened block by block.
pub fn blockwise<M: Metric, T: Real, const L: usize>(path: Path, a: &Packed, b: &Packed) -> Lanes<T, L> {
    let mut lanes = Lanes::new();
    let (mut left, mut right) = (blocks(a), blocks(b));
    let (mut left_block, mut right_block) = ([T::ZERO; BLOCK], [T::ZERO; BLOCK]);
    for start in (0..a.dimensions()).step_by(BLOCK) {
        let count = BLOCK.min(a.dimensions() - start);
        let whole = count.next_multiple_of(L);
        left.fill(path, start, count, &mut left_block[..whole]);
        right.fill(path, start, count, &mut right_block[..whole]);
        let (left, right) = (&left_block[..whole], &right_block[..whole]);
        run(path, Add { lanes: &mut lanes, left, right, metric: PhantomData::<M> });
    }
    lanes
}

/// Sums over two sparse vectors, of which only the stored values are visited.
pub struct Merge<'a, M, T, const L: usize> {
    a: Packed<'a>,
    b: Packed<'a>,
    of: PhantomData<(M, T)>,
}

impl<'a, M, T, const L: usize> Merge<'a, M, T, L> {
    /// Takes two vectors.
    #[inline]
    pub fn new(a: &Packed<'a>, b: &Packed<'a>) -> Self {
        Self { a: *a, b: *b, of: PhantomData }
    }
}

impl<M: Metric, T: Real, const L: usize> Job for Merge<'_, M, T, L> {
    type Output = Lanes<T, L>;

    #[inline(always)]
    fn run<I: Instructions>(self) -> Self::Output {
        let mut lanes = Lanes::<T, L>::new();
        let (mut left, mut right) = (self.a.entries().peekable(), self.b.entries().peekable());
        loop {
            let dimension = match (left.peek(), right.peek()) {
                (Some(left), Some(right)) => left.0.min(right.0),
                (Some(one), None) | (None, Some(one)) => one.0,
                (None, None) => return lanes,
            };
            let a = left.next_if(|entry| entry.0 == dimension).map_or(T::ZERO, |entry| T::of(entry.1));
            let b = right.next_if(|entry| entry.0 == dimension).map_or(T::ZERO, |entry| T::of(entry.1));
            lanes.add_at::<M>(dimension % L, a, b);
        }
    }
}

/// Exact sums over dense vectors of int8 or uint8.
pub struct Wholes<'a, M> {
    a: Packed<'a>,
    b: Packed<'a>,
    of: PhantomData<M>,
}

impl<'a, M> Wholes<'a, M> {
    /// Takes two vectors.
    #[inline]
    pub fn new(a: &Packed<'a>, b: &Packed<'a>) -> Self {
        Self { a: *a, b: *b, of: PhantomData }
    }
}

impl<M: Metric> Job for Wholes<'_, M> {
    type Output = [i64; 3];

    #[inline(always)]
    fn run<I: Instructions>(self) -> Self::Output {
        let signed = |byte: u8| i32::from(byte.cast_signed());
        let (a, b) = if self.a.stored() <= self.b.stored() { (self.a, self.b) } else { (self.b, self.a) };
        match (a.stored(), b.stored()) {
            (Element::Int8, Element::Int8) => wholes::<M>(a.values(), b.values(), signed, signed),
            (Element::Int8, _) => wholes::<M>(a.values(), b.values(), signed, i32::from),
            _ => wholes::<M>(a.values(), b.values(), i32::from, i32::from),
        }
    }
}

#[inline(always)]
fn wholes<M: Metric>(a: &[u8], b: &[u8], left: impl Fn(u8) -> i32, right: impl Fn(u8) -> i32) -> [i64; 3] {
    let mut totals = [0i64; 3];
    for (a, b) in a.chunks(WHOLES_MAX).zip(b.chunks(WHOLES_MAX)) {
        let mut sums = [0i32; 3];
        for (&a, &b) in a.iter().zip(b) {
            sums = M::step(sums, left(a), right(b));
        }
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total += i64::from(sum);
        }
    }
    totals
}
