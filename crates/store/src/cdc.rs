//! Content-defined chunking: a border follows from the bytes before it, so equal runs of bytes are cut alike wherever they lie.
//!
//! The rolling hash is Gear (Xia et al., "Ddelta", 2014) with the normalised borders of FastCDC (Xia et al., USENIX ATC 2016):
//! harder to meet below the wanted size, easier above it.  Table, masks and bounds decide stored bytes: they are ours and never change.

/// Sizes between which content decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkBounds {
    /// No chunk but the last of a span is shorter.
    pub min: u64,
    /// The size that chunks have on average, nearly.
    pub wanted: u64,
    /// No chunk is longer.
    pub max: u64,
}

impl ChunkBounds {
    /// Returns a quarter, once and four times the wanted size, a power of two.
    pub const fn around(wanted: u64) -> Self {
        Self { min: wanted / 4, wanted, max: wanted * 4 }
    }
}

/// How many bits the two conditions differ from the wanted size's logarithm.
const NORMALISATION_BITS: u32 = 2;

/// The search for the next border; survives from one run of bytes to the next.
#[derive(Debug, Clone)]
pub struct Boundary {
    bounds: ChunkBounds,
    /// Bytes of the chunk seen so far.
    length: u64,
    gear: u64,
}

impl Boundary {
    /// Begins a chunk.
    pub const fn new(bounds: ChunkBounds) -> Self {
        Self { bounds, length: 0, gear: 0 }
    }

    /// Looks for the border in the bytes that follow; returns how many of them still belong to the chunk, `None`: all, and more.
    ///
    /// After a border the search begins anew with the next byte.
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let bits = self.bounds.wanted.trailing_zeros();
        let (hard, easy) = (bits + NORMALISATION_BITS, bits - NORMALISATION_BITS);
        let before = self.length;
        let border = self
            .run(bytes, 0, self.bounds.min, 64)
            .or_else(|| self.run(bytes, self.length - before, self.bounds.wanted, hard))
            .or_else(|| self.run(bytes, self.length - before, self.bounds.max, easy))
            .or_else(|| (self.length == self.bounds.max).then_some(self.length - before));
        if border.is_some() {
            *self = Self::new(self.bounds);
        }
        border.map(|length| length as usize)
    }

    /// Rolls over `bytes` from `start` until the chunk has `until` bytes; a border is where the top `bits` bits are zero.
    fn run(&mut self, bytes: &[u8], start: u64, until: u64, bits: u32) -> Option<u64> {
        let count = until.saturating_sub(self.length).min(bytes.len() as u64 - start);
        let window = &bytes[start as usize..(start + count) as usize];
        // Below the minimum no border is wanted: 64 zero bits, and only the last 64 bytes matter to the hash.
        let skipped = if bits == 64 { window.len().saturating_sub(64) } else { 0 };
        let limit = u64::MAX.checked_shr(bits).unwrap_or(0);
        for (index, &byte) in window.iter().enumerate().skip(skipped) {
            self.gear = (self.gear << 1).wrapping_add(GEAR[usize::from(byte)]);
            if bits < 64 && self.gear <= limit {
                self.length += index as u64 + 1;
                return Some(start + index as u64 + 1);
            }
        }
        self.length += count;
        None
    }
}

const GEAR_SEED: u64 = 0x7067_5f61_746f_6d73;
/// 256 numbers of SplitMix64 (Steele, Lea, Flood 2014) from the seed.
pub(crate) static GEAR: [u64; 256] = gear_table();

const fn gear_table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut state = GEAR_SEED;
    let mut index = 0;
    while index < 256 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[index] = z ^ (z >> 31);
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64, bytes: usize) -> Vec<u8> {
        let mut state = seed;
        (0..bytes)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            })
            .collect()
    }

    fn lengths(bytes: &[u8], bounds: ChunkBounds, step: usize) -> Vec<usize> {
        let mut boundary = Boundary::new(bounds);
        let (mut lengths, mut open) = (Vec::new(), 0);
        for mut window in bytes.chunks(step) {
            while let Some(used) = boundary.find(window) {
                lengths.push(open + used);
                open = 0;
                window = &window[used..];
            }
            open += window.len();
        }
        lengths.push(open);
        lengths
    }

    #[test]
    fn borders_do_not_depend_on_how_the_bytes_arrive() {
        let bytes = noise(1, 400_000);
        let bounds = ChunkBounds::around(4096);
        let whole = lengths(&bytes, bounds, bytes.len());
        for step in [1, 63, 64, 1000, 4096, 99_999] {
            assert_eq!(lengths(&bytes, bounds, step), whole, "step {step}");
        }
    }

    #[test]
    fn sizes_keep_their_bounds_and_mean() {
        let bytes = noise(2, 4_000_000);
        let bounds = ChunkBounds::around(8192);
        let lengths = lengths(&bytes, bounds, bytes.len());
        let (_, full) = lengths.split_last().unwrap();
        assert!(full.iter().all(|&length| (bounds.min..=bounds.max).contains(&(length as u64))));
        let mean = bytes.len() / lengths.len();
        assert!((6000..11000).contains(&mean), "mean {mean}");
    }

    #[test]
    fn constant_bytes_are_cut_at_the_maximum() {
        let bounds = ChunkBounds::around(4096);
        assert_eq!(lengths(&vec![0; 40_000], bounds, 40_000), [16384, 16384, 7232]);
    }

    #[test]
    fn a_shift_changes_only_the_chunks_around_it() {
        let bytes = noise(3, 1_000_000);
        let mut shifted = noise(4, 7);
        shifted.extend_from_slice(&bytes);
        let bounds = ChunkBounds::around(8192);
        let pieces = |bytes: &[u8]| {
            let mut start = 0;
            let mut set = std::collections::HashSet::new();
            for length in lengths(bytes, bounds, bytes.len()) {
                set.insert(bytes[start..start + length].to_vec());
                start += length;
            }
            set
        };
        let (plain, moved) = (pieces(&bytes), pieces(&shifted));
        assert!(plain.intersection(&moved).count() * 10 >= plain.len() * 9);
    }

    /// Golden: what was cut once must be cut alike for ever, or stored chunks no longer deduplicate.
    #[test]
    fn borders_of_version_1() {
        let bytes = noise(5, 60_000);
        assert_eq!(lengths(&bytes, ChunkBounds::around(4096), 60_000), GOLDEN);
    }

    const GOLDEN: [usize; 15] =
        [5562, 2657, 5845, 7147, 4356, 4598, 4134, 4388, 4760, 1141, 4760, 1913, 1129, 5164, 2446];
}
