//! Linear 16-bit codes of single dimensions.
//!
//! A code is `clamp(trunc((x - low) * (1 / step) + 0.5), 0, 65535)` in float32.  Each of these steps is monotone, rounding
//! included, so a smaller value never has a greater code: that alone makes what codes say about a range right, however
//! badly a scale fits.  Codes 0 and 65,535 are open-ended.

/// The greatest code.
pub const CODE_MAX: u16 = u16::MAX;
/// The code in the middle.
const CODE_MIDDLE: f64 = 32_768.0;
/// How much wider the codes reach than the quantiles they are made from.
const WIDENED: f64 = 1.5;
/// The relative error of a float64 sum of 65,535 squares is well below this.
const SUM_SLACK: f64 = 1.0 + 1e-9;
/// Lanes of the sum in [`norm`], which the compiler makes vectors of.
const LANES: usize = 8;
/// Dimensions that are coded at once, for the same reason.
const CHUNK: usize = 16;

/// The codes of one dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    low: f32,
    step: f32,
}

impl Scale {
    /// Returns the scale that begins at `low`; `None` unless both are finite and `step` and its inverse are normal.
    pub fn new(low: f32, step: f32) -> Option<Self> {
        let usable = low.is_finite() && step > 0.0 && step.is_normal() && (1.0 / step).is_normal();
        usable.then_some(Self { low, step })
    }

    /// Spreads the interval between two quantiles, widened by half, over the codes.
    ///
    /// Where that is narrower than float32 resolves, as in a constant dimension, neighbouring float32 get different codes (but
    /// for those below 2^-102, whose neighbours are nearer than a step may be) and the value lies in the middle.
    pub fn of_quantiles(low: f32, high: f32) -> Self {
        let (low, high) = (finite(low), finite(high));
        let spread = (f64::from(high) - f64::from(low)).abs() * WIDENED / f64::from(CODE_MAX);
        let step = spread.max(resolution(low.abs().max(high.abs())));
        let middle = (f64::from(low) + f64::from(high)) / 2.0;
        Self { low: finite((middle - CODE_MIDDLE * step) as f32), step: step as f32 }
    }

    /// Returns the scale of the same middle and twice the width, as far as float32 allows.
    pub fn doubled(&self) -> Self {
        let low = f64::from(self.low) - CODE_MIDDLE * f64::from(self.step);
        Self::new(finite(low as f32), self.step * 2.0).unwrap_or(*self)
    }

    /// Returns where code 0 has its middle.
    pub fn low(&self) -> f32 {
        self.low
    }

    /// Returns the width of a code.
    pub fn step(&self) -> f32 {
        self.step
    }

    /// Returns the code of a value, which may be infinite; that of NaN is 0.
    pub fn code(&self, x: f32) -> u16 {
        clamped(place(x, self.low, 1.0 / self.step))
    }

    /// Returns the middle of a code.
    pub fn value(&self, code: u16) -> f32 {
        middle(self.low, self.step, f64::from(code))
    }

    /// Returns the middle of the 256 codes with this high byte.
    pub fn coarse_value(&self, high: u8) -> f32 {
        middle(self.low, self.step, coarse(high))
    }

    /// Returns the codes of a closed range's bounds.  They are rounded to float32 first, as values of float64 vectors are
    /// before they are coded; nothing lies in a range with a bound that is NaN.
    pub fn bounds(&self, lo: f64, hi: f64) -> CodeBounds {
        if lo.is_nan() || hi.is_nan() {
            return CodeBounds { low: i32::from(CODE_MAX) + 1, high: -1 };
        }
        let code = |bound: f64| i32::from(self.code(bound as f32));
        CodeBounds {
            low: if lo == f64::NEG_INFINITY { -1 } else { code(lo) },
            high: if hi == f64::INFINITY { i32::from(CODE_MAX) + 1 } else { code(hi) },
        }
    }
}

/// Returns the nearest finite number; 0 for NaN.
fn finite(x: f32) -> f32 {
    if x.is_nan() { 0.0 } else { x.clamp(f32::MIN, f32::MAX) }
}

/// Returns the distance of a positive number from the next lower one, or what a step is at least.
fn resolution(x: f32) -> f64 {
    let apart = f64::from(x) - f64::from(x.next_down().max(0.0));
    apart.max(f64::from(f32::MIN_POSITIVE))
}

/// Where a value lies among the codes, before it is cut to one.
#[inline(always)]
fn place(x: f32, low: f32, inverse_step: f32) -> f32 {
    (x - low) * inverse_step + 0.5
}

/// Cuts what [`place`] returns to a code.
///
/// In float32 alone, because a cast has a price that is paid for what cannot be: at 2^23 numbers are 1 apart, so adding that
/// rounds to a whole number, which is 1 too many where it is above, and leaves it in the lowest bits.
#[inline(always)]
fn clamped(place: f32) -> u16 {
    const WHOLE: f32 = (1 << 23) as f32;
    let place = if place > 0.0 { place } else { 0.0 };
    let place = if place < f32::from(CODE_MAX) { place } else { f32::from(CODE_MAX) };
    let near = (place + WHOLE) - WHOLE;
    let below = near - if near > place { 1.0 } else { 0.0 };
    (below + WHOLE).to_bits() as u16
}

/// Float64, because `code * step` may overflow float32 where the sum does not.
#[inline(always)]
fn middle(low: f32, step: f32, code: f64) -> f32 {
    let value = (f64::from(low) + code * f64::from(step)) as f32;
    if value < f32::MAX { value } else { f32::MAX }
}

#[inline(always)]
fn coarse(high: u8) -> f64 {
    f64::from(high) * 256.0 + 127.5
}

/// What is known about a value and a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The value lies in the range.
    Inside,
    /// It does not.
    Outside,
    /// Only the row's own value tells.
    Undecided,
}

/// A closed range in codes: -1 and 65,536 are beyond every code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeBounds {
    /// The code of the lower bound.
    pub low: i32,
    /// The code of the upper bound.
    pub high: i32,
}

impl CodeBounds {
    /// Returns what a code says: its value lies in the range for sure only where the code lies between the bounds' codes.
    pub fn verdict(&self, code: u16) -> Verdict {
        let code = i32::from(code);
        if code < self.low || code > self.high {
            Verdict::Outside
        } else if code == self.low || code == self.high {
            Verdict::Undecided
        } else {
            Verdict::Inside
        }
    }
}

impl CodeBounds {
    /// Returns what a high byte says by itself.
    pub fn coarse_verdict(&self, high: u8) -> Verdict {
        let (code, low, top) = (i32::from(high), self.low >> 8, self.high >> 8);
        if code < low || code > top {
            Verdict::Outside
        } else if code == low || code == top {
            Verdict::Undecided
        } else {
            Verdict::Inside
        }
    }
}

/// A closed range for float32 values that are not coded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExactBounds {
    /// The lower bound.
    pub lo: f64,
    /// The upper bound.
    pub hi: f64,
}

impl ExactBounds {
    /// Returns whether a value lies in the range.  Undecided is only one that was rounded from float64 to just what a finite
    /// bound is rounded to.
    pub fn decide(&self, x: f32, x_is_rounded: bool) -> Verdict {
        if x_is_rounded {
            self.decide_rounded(x)
        } else {
            in_or_out(self.lo <= f64::from(x) && f64::from(x) <= self.hi)
        }
    }

    fn decide_rounded(&self, x: f32) -> Verdict {
        let (low, high) = (self.lo as f32, self.hi as f32);
        let above = self.lo == f64::NEG_INFINITY || x > low;
        let below = self.hi == f64::INFINITY || x < high;
        if (above || x == low) && (below || x == high) && !(above && below) {
            Verdict::Undecided
        } else {
            in_or_out(above && below)
        }
    }
}

fn in_or_out(inside: bool) -> Verdict {
    if inside { Verdict::Inside } else { Verdict::Outside }
}

/// The scales of all dimensions, one array for each of their numbers.
///
/// Rows, whether of values or of bytes, have as many places as there are dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct ScaleSet {
    lows: Vec<f32>,
    steps: Vec<f32>,
    inverse_steps: Vec<f32>,
}

impl ScaleSet {
    /// Takes a scale for each dimension.
    pub fn new(scales: Vec<Scale>) -> Self {
        Self {
            lows: scales.iter().map(|scale| scale.low).collect(),
            steps: scales.iter().map(|scale| scale.step).collect(),
            inverse_steps: scales.iter().map(|scale| 1.0 / scale.step).collect(),
        }
    }

    /// Returns how many dimensions there are.
    pub fn dimensions(&self) -> usize {
        self.lows.len()
    }

    /// Returns the scale of a dimension, counted from 0.
    pub fn scale(&self, dimension: usize) -> Option<Scale> {
        Some(Scale { low: *self.lows.get(dimension)?, step: *self.steps.get(dimension)? })
    }

    /// Writes the high and the low bytes of a row's codes; returns whether a value lies outside the codes.
    pub fn encode(&self, values: &[f32], high: &mut [u8], low: &mut [u8]) -> bool {
        let mut outside = false;
        let scales = chunks(&self.lows).zip(chunks(&self.inverse_steps));
        let codes = high.chunks_mut(CHUNK).zip(low.chunks_mut(CHUNK));
        for ((values, (lows, inverse_steps)), (high, low)) in chunks(values).zip(scales).zip(codes) {
            let places = std::array::from_fn(|lane| place(values[lane], lows[lane], inverse_steps[lane]));
            let codes = places.map(clamped);
            put(high, codes.map(|code| (code >> 8) as u8));
            put(low, codes.map(|code| code as u8));
            outside |= is_any_outside(&places);
        }
        outside
    }

    /// Writes the middles of codes.
    pub fn decode(&self, high: &[u8], low: &[u8], out: &mut [f32]) {
        let scales = chunks(&self.lows).zip(chunks(&self.steps));
        let codes = chunks(high).zip(chunks(low));
        for (((high, low), (lows, steps)), out) in codes.zip(scales).zip(out.chunks_mut(CHUNK)) {
            let code = |lane: usize| f64::from(i32::from(high[lane]) << 8 | i32::from(low[lane]));
            put(out, std::array::from_fn(|lane| middle(lows[lane], steps[lane], code(lane))));
        }
    }

    /// Writes what the high bytes alone say.
    pub fn decode_coarse(&self, high: &[u8], out: &mut [f32]) {
        let scales = chunks(&self.lows).zip(chunks(&self.steps));
        for ((high, (lows, steps)), out) in chunks(high).zip(scales).zip(out.chunks_mut(CHUNK)) {
            put(out, std::array::from_fn(|lane| middle(lows[lane], steps[lane], coarse(high[lane]))));
        }
    }

    /// Returns the Euclidean norm of what [`ScaleSet::decode_coarse`] leaves of the values: never less than it is, as a
    /// bfloat16 that [`residual_value`] reads.
    pub fn residual(&self, values: &[f32], high: &[u8]) -> u16 {
        let mut sums = [0.0; CHUNK];
        let scales = chunks(&self.lows).zip(chunks(&self.steps));
        for ((values, high), (lows, steps)) in chunks(values).zip(chunks(high)).zip(scales) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                let coarse = middle(lows[lane], steps[lane], coarse(high[lane]));
                let difference = f64::from(values[lane]) - f64::from(coarse);
                *sum += difference * difference;
            }
        }
        rounded_up(sums.iter().sum::<f64>().sqrt() * SUM_SLACK)
    }
}

/// Cuts values into chunks; what the last one lacks is zero, which all zeros code without a difference.
#[inline(always)]
fn chunks<T: Copy + Default>(values: &[T]) -> impl Iterator<Item = [T; CHUNK]> {
    values.chunks(CHUNK).map(|chunk| match chunk.as_array() {
        Some(whole) => *whole,
        None => filled_up(chunk),
    })
}

#[inline(never)]
fn filled_up<T: Copy + Default>(rest: &[T]) -> [T; CHUNK] {
    let mut chunk = [T::default(); CHUNK];
    chunk.iter_mut().zip(rest).for_each(|(slot, value)| *slot = *value);
    chunk
}

/// Writes as many as there is room for.
#[inline(always)]
fn put<T: Copy>(out: &mut [T], chunk: [T; CHUNK]) {
    match out.as_mut_array() {
        Some(whole) => *whole = chunk,
        None => out.iter_mut().zip(chunk).for_each(|(slot, value)| *slot = value),
    }
}

#[inline(always)]
fn is_any_outside(places: &[f32; CHUNK]) -> bool {
    let is_outside = |place: f32| u32::from(place < 0.0) | u32::from(place >= f32::from(CODE_MAX) + 1.0);
    places.iter().fold(0, |any, &place| any | is_outside(place)) != 0
}

/// Returns the least bfloat16 that is not less than a number from 0 on; infinity for NaN.
fn rounded_up(x: f64) -> u16 {
    const INFINITE: u16 = 0x7F80;
    let near = x as f32;
    let above = if f64::from(near) < x { near.next_up() } else { near };
    if above.is_nan() { INFINITE } else { (above.to_bits().saturating_add(0xFFFF) >> 16) as u16 }
}

/// Returns the number that [`ScaleSet::residual`] stands for.
pub fn residual_value(residual: u16) -> f32 {
    f32::from_bits(u32::from(residual) << 16)
}

/// Returns the Euclidean norm, summed in eight lanes of float64.
pub fn norm(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, &x)| *sum += f64::from(x) * f64::from(x));
    }
    sums.iter_mut().zip(rest).for_each(|(sum, &x)| *sum += f64::from(x) * f64::from(x));
    sums.iter().sum::<f64>().sqrt() as f32
}

#[cfg(test)]
mod tests;
