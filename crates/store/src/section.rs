//! Borders within sections, the large arrays of metadata: files share runs of them, at other places and among other values.
//!
//! Content decides, by two rules.  Lists of strings share long runs: a rolling hash (Gear, as in `cdc.rs`) finds the same borders in
//! them wherever they lie.  Lists of numbers repeat one number: what repeats is cut into pieces of one length, which are equal.
//! Rules and figures decide stored bytes: they are ours and never change.

use crate::cdc::GEAR;

/// No piece is longer.
pub const SECTION_PIECE_BYTES_MAX: u64 = 1 << 20;
/// The hash ends no piece that is shorter; a piece that only repeats has this length.
const PIECE_BYTES: u64 = 24 << 10;
/// The hash ends a piece after 2^18 bytes on average, beyond the shortest.
const HASH_MAX: u64 = u64::MAX >> 18;
/// A piece of something else ends as soon as so many bytes repeat; so no piece but the last is shorter.
const REPEATED_BYTES: u64 = 2 << 10;
/// Numbers have 1, 2, 4 or 8 bytes: one that stands there again and again repeats after 8 bytes, whatever its width.
const PERIOD: u64 = 8;

/// The search for the end of a piece; survives from one run of bytes to the next.
#[derive(Debug, Clone, Default)]
pub struct SectionBoundary {
    /// Bytes of the piece seen so far.
    length: u64,
    /// How many of the last of them repeat with the period.
    repeated: u64,
    /// The last eight of them, the oldest in the highest byte.
    recent: u64,
    gear: u64,
}

impl SectionBoundary {
    /// Looks for the end in the bytes that follow; returns how many of them still belong to the piece, `None`: all, and more.
    ///
    /// After an end the search begins anew with the next byte, and nothing of what came before matters.
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, &byte) in bytes.iter().enumerate() {
            self.take(byte);
            if self.is_end() {
                *self = Self::default();
                return Some(index + 1);
            }
        }
        None
    }

    fn take(&mut self, byte: u8) {
        let repeats = self.length < PERIOD || self.recent >> 56 == u64::from(byte);
        self.repeated = if repeats { self.repeated + 1 } else { PERIOD };
        self.recent = self.recent << 8 | u64::from(byte);
        self.gear = (self.gear << 1).wrapping_add(GEAR[usize::from(byte)]);
        self.length += 1;
    }

    fn is_end(&self) -> bool {
        if self.repeated == self.length {
            return self.length == PIECE_BYTES;
        }
        self.repeated == REPEATED_BYTES
            || (self.length >= PIECE_BYTES && self.gear <= HASH_MAX)
            || self.length == SECTION_PIECE_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// SplitMix64, from a seed.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % bound
        }
    }

    /// Strings as GGUF writes them: length, then 1 to 12 letters.
    fn strings(seed: u64, count: usize) -> Vec<u8> {
        let mut random = Random(seed);
        let mut bytes = Vec::new();
        for _ in 0..count {
            let length = 1 + random.below(12);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend((0..length).map(|_| b'a' + random.below(26) as u8));
        }
        bytes
    }

    /// The number 1 so many times, with another at each place of the list.
    fn ones_but(count: usize, others: &[usize]) -> Vec<u8> {
        let number = |index| if others.contains(&index) { 3_i32 } else { 1 };
        (0..count).flat_map(|index| number(index).to_le_bytes()).collect()
    }

    /// Strings, noise and repetitions of all periods, in random order and lengths.
    fn mix(seed: u64) -> Vec<u8> {
        let mut random = Random(seed);
        let mut bytes = Vec::new();
        for _ in 0..12 {
            let length = random.below(60_000) as usize;
            let value = random.below(u64::MAX).to_le_bytes();
            match random.below(3) {
                0 => bytes.extend(strings(random.below(9), length / 14)),
                1 => bytes.extend((0..length).map(|_| random.below(256) as u8)),
                _ => bytes.extend(value[..1 << random.below(4)].iter().cycle().take(length)),
            }
        }
        bytes
    }

    fn pieces(bytes: &[u8], mut step: impl FnMut() -> usize) -> Vec<&[u8]> {
        let mut boundary = SectionBoundary::default();
        let (mut pieces, mut begin, mut end) = (Vec::new(), 0, 0);
        while end < bytes.len() {
            let window = &bytes[end..][..step().clamp(1, bytes.len() - end)];
            let found = boundary.find(window);
            end += found.unwrap_or(window.len());
            if found.is_some() || end == bytes.len() {
                pieces.push(&bytes[begin..end]);
                begin = end;
            }
        }
        pieces
    }

    fn in_one_go(bytes: &[u8]) -> Vec<&[u8]> {
        pieces(bytes, || usize::MAX)
    }

    fn distinct(pieces: &[&[u8]]) -> usize {
        pieces.iter().collect::<HashSet<_>>().len()
    }

    #[test]
    fn pieces_do_not_depend_on_how_the_bytes_arrive() {
        for seed in 0..20 {
            let bytes = mix(seed);
            let whole = in_one_go(&bytes);
            for step_max in [1, 9, 1000, 40_000] {
                let mut random = Random(seed);
                let windows = pieces(&bytes, || 1 + random.below(step_max) as usize);
                assert!(windows == whole, "seed {seed}, windows of up to {step_max}");
            }
        }
    }

    #[test]
    fn pieces_from_any_end_on_are_the_same() {
        for seed in 0..20 {
            let bytes = mix(seed);
            let whole = in_one_go(&bytes);
            let mut begin = 0;
            for (index, piece) in whole.iter().enumerate() {
                assert!(in_one_go(&bytes[begin..]) == whole[index..], "seed {seed}, piece {index}");
                begin += piece.len();
            }
        }
    }

    #[test]
    fn pieces_keep_their_bounds() {
        for seed in 0..20 {
            let bytes = mix(seed);
            let pieces = in_one_go(&bytes);
            let (_, full) = pieces.split_last().unwrap();
            let bounds = REPEATED_BYTES as usize + 1..=SECTION_PIECE_BYTES_MAX as usize;
            assert!(full.iter().all(|piece| bounds.contains(&piece.len())), "seed {seed}");
        }
        let noise: Vec<u8> = strings(1, 1_000_000);
        let mean = noise.len() / in_one_go(&noise).len();
        assert!((200_000..350_000).contains(&mean), "mean {mean}");
    }

    #[test]
    fn what_neither_rule_ends_is_cut_at_the_maximum() {
        let bytes: Vec<u8> = (0..16).cycle().take(2_500_000).collect();
        let lengths: Vec<usize> = in_one_go(&bytes).iter().map(|piece| piece.len()).collect();
        assert_eq!(lengths, [1 << 20, 1 << 20, 2_500_000 - (2 << 20)]);
    }

    #[test]
    fn a_number_that_repeats_is_one_piece_again_and_again() {
        for width in [1, 2, 4, 8] {
            let element = &[7, 1, 2, 3, 4, 5, 6, 0][..width];
            let bytes: Vec<u8> = element.iter().copied().cycle().take(40 * PIECE_BYTES as usize).collect();
            let pieces = in_one_go(&bytes);
            assert_eq!((pieces.len(), distinct(&pieces)), (40, 1), "{width} bytes");
        }
    }

    #[test]
    fn other_numbers_in_between_cost_a_piece_each() {
        let plain = ones_but(250_000, &[]);
        let few = ones_but(260_000, &[0, 3, 70_001, 70_002, 99_999, 200_000]);
        let (plain, few) = (in_one_go(&plain), in_one_go(&few));
        assert_eq!((plain.len(), distinct(&plain)), (41, 2));
        assert!(few.len() <= 50, "{}", few.len());
        // Those with another number, the last of each list, and what repeats, which begins at whichever byte of a number.
        assert!(distinct(&[plain, few].concat()) <= 1 + 4 + 2 + 4);
    }

    #[test]
    fn strings_behind_others_are_cut_at_the_same_places() {
        let bytes = strings(5, 400_000);
        let shifted = [strings(6, 1234), bytes.clone()].concat();
        let (plain, moved) = (in_one_go(&bytes), in_one_go(&shifted));
        let known: HashSet<_> = plain.iter().collect();
        let shared: usize = moved.iter().filter(|piece| known.contains(piece)).map(|piece| piece.len()).sum();
        assert!(shared * 10 >= bytes.len() * 8, "{shared} of {}", bytes.len());
    }

    /// Golden: what was cut once must be cut alike for ever, or stored pieces no longer deduplicate.
    #[test]
    fn borders_of_version_1() {
        let bytes = [strings(7, 50_000), ones_but(20_000, &[1_000, 9_000]), strings(8, 50_000)].concat();
        let lengths: Vec<usize> = in_one_go(&bytes).iter().map(|piece| piece.len()).collect();
        assert_eq!(lengths, GOLDEN);
    }

    const GOLDEN: [usize; 7] = [726_521, 4001, 24_576, 7424, 24_576, 420_888, 320_834];
}
