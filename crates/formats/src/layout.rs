//! The proof that tensors lie in their file as the format demands.  It is given once, before any view of the data exists.

use crate::{Fault, FormatError, Tensor};
use atom::Interrupt;

/// Tensors between two questions whether to go on.
const TENSORS_PER_CHECK: usize = 1024;

/// The part of a file that holds tensors, as absolute positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first byte behind the structure.
    pub start: u64,
    /// The byte behind the last, mostly the size of the file.
    pub end: u64,
}

/// What a format says of bytes in the region that belong to no tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// None: the tensors tile the region (safetensors).
    Refused,
    /// Exactly those that bring the next tensor, or the end of the file, to a multiple of this many bytes.
    Padding(u64),
    /// Any.
    Allowed,
}

/// Sorts tensors by offset; those that share one, which only empty ones may, by length and then by name.
pub fn sort(tensors: &mut [Tensor]) {
    // Unstable, because the stable sort takes half as much memory again; the name makes the order total.
    tensors.sort_unstable_by(|a, b| (a.offset, a.length, &a.name).cmp(&(b.offset, b.length, &b.name)));
}

/// Proves that sorted tensors lie within the region, do not overlap, and leave no other gaps than the format allows.
///
/// Errors: the first fault in the order of the file, at the first byte of data concerned.
pub fn prove(tensors: &[Tensor], region: Region, gaps: Gaps, interrupt: &dyn Interrupt) -> Result<(), FormatError> {
    let mut end = region.start;
    let mut previous: &str = "";
    for (index, tensor) in tensors.iter().enumerate() {
        if index.is_multiple_of(TENSORS_PER_CHECK) {
            interrupt.check().map_err(|_| FormatError::Interrupted { offset: end })?;
        }
        prove_start(tensor, end, previous, gaps)?;
        end = prove_end(tensor, region.end)?;
        previous = &tensor.name;
    }
    prove_rest(end, region.end, gaps)
}

/// Proves that a tensor begins where the one before it ended, or behind a gap that the format allows.
fn prove_start(tensor: &Tensor, end: u64, previous: &str, gaps: Gaps) -> Result<(), FormatError> {
    let (name, begin) = (tensor.name.clone(), tensor.offset);
    if begin < end {
        return Err(Fault::Overlap { name, begin, previous: previous.into(), previous_end: end }.at(begin));
    }
    let expected = match gaps {
        Gaps::Refused => end,
        Gaps::Allowed => begin,
        Gaps::Padding(alignment) if !is_aligned(begin, alignment) => {
            return Err(Fault::Misaligned { name, begin, alignment }.at(begin));
        }
        Gaps::Padding(alignment) => aligned(end, alignment).unwrap_or(end),
    };
    match begin == expected {
        true => Ok(()),
        false => Err(Fault::Hole { name, begin, expected }.at(expected)),
    }
}

/// Returns where a tensor ends, proved to lie within the file.
fn prove_end(tensor: &Tensor, region_end: u64) -> Result<u64, FormatError> {
    match tensor.end().filter(|end| *end <= region_end) {
        Some(end) => Ok(end),
        None => {
            let end = tensor.offset.saturating_add(tensor.length);
            // A tensor that begins past the end as well is refused at the end: there is no byte of it to point at.
            let at = tensor.offset.min(region_end);
            Err(Fault::TensorPastEnd { name: tensor.name.clone(), end, file_bytes: region_end }.at(at))
        }
    }
}

/// Proves what follows the last tensor.
fn prove_rest(end: u64, region_end: u64, gaps: Gaps) -> Result<(), FormatError> {
    let covered = match gaps {
        Gaps::Refused => end == region_end,
        Gaps::Padding(alignment) => end == region_end || aligned(end, alignment) == Some(region_end),
        Gaps::Allowed => true,
    };
    match covered {
        true => Ok(()),
        false => Err(Fault::DataUncovered { end, file_bytes: region_end }.at(end)),
    }
}

fn is_aligned(offset: u64, alignment: u64) -> bool {
    // An alignment of 0 aligns nothing: `is_multiple_of` is then true for 0 only.
    offset.is_multiple_of(alignment)
}

fn aligned(offset: u64, alignment: u64) -> Option<u64> {
    match alignment {
        0 => None,
        _ => offset.checked_next_multiple_of(alignment),
    }
}

#[cfg(test)]
mod tests {
    use super::{Gaps, Region, prove, sort};
    use crate::{Dtype, Tensor};
    use atom::{FaultKind, Interrupt, Interrupted, Never};
    use proptest::prelude::*;

    fn tensor(name: &str, offset: u64, length: u64) -> Tensor {
        Tensor { name: name.into(), dtype: Dtype::U8, shape: [length].into(), offset, length }
    }

    /// Proves tensors (offset, length), named after their place, in bytes 8 to 32.
    fn proof(spans: &[(u64, u64)], gaps: Gaps) -> Result<(), String> {
        let mut tensors: Vec<_> = spans.iter().map(|(offset, length)| tensor("t", *offset, *length)).collect();
        sort(&mut tensors);
        prove(&tensors, Region { start: 8, end: 32 }, gaps, &Never)
            .map_err(|error| format!("{}: {error}", error.offset()))
    }

    fn words(result: Result<(), String>) -> String {
        result.expect_err("a fault")
    }

    #[test]
    fn tiles_in_any_order_are_proved() {
        proof(&[(20, 12), (8, 4), (12, 0), (12, 8), (32, 0)], Gaps::Refused).unwrap();
    }

    #[test]
    fn each_fault_is_named_at_its_first_byte() {
        let gaps = Gaps::Refused;
        assert_eq!(words(proof(&[(7, 25)], gaps)), "7: tensor \"t\" overlaps tensor \"\"");
        assert_eq!(words(proof(&[(8, 8), (15, 17)], gaps)), "15: tensor \"t\" overlaps tensor \"t\"");
        assert_eq!(words(proof(&[(8, 8), (18, 14)], gaps)), "16: 2 bytes before tensor \"t\" belong to no tensor");
        assert_eq!(words(proof(&[(8, 25)], gaps)), "8: tensor \"t\" ends past the end of the file");
        assert_eq!(words(proof(&[(8, u64::MAX)], gaps)), "8: tensor \"t\" ends past the end of the file");
        assert_eq!(words(proof(&[(8, 8)], gaps)), "16: 16 bytes at the end of the file belong to no tensor");
        assert_eq!(words(proof(&[], gaps)), "8: 24 bytes at the end of the file belong to no tensor");
    }

    #[test]
    fn padding_is_exact() {
        proof(&[(8, 1), (16, 9)], Gaps::Padding(8)).unwrap();
        proof(&[(8, 1), (16, 16)], Gaps::Padding(8)).unwrap();
        assert!(words(proof(&[(8, 1), (24, 8)], Gaps::Padding(8))).contains("16: 8 bytes before"));
        assert!(words(proof(&[(8, 1), (12, 20)], Gaps::Padding(8))).contains("12: tensor \"t\" is not aligned"));
        assert!(words(proof(&[(8, 1)], Gaps::Padding(8))).contains("9: 23 bytes at the end"));
        assert!(words(proof(&[(8, 24)], Gaps::Padding(0))).contains("not aligned"));
    }

    #[test]
    fn allowed_gaps_still_forbid_overlaps_and_the_end() {
        proof(&[(9, 1), (20, 2)], Gaps::Allowed).unwrap();
        proof(&[], Gaps::Allowed).unwrap();
        assert!(words(proof(&[(9, 4), (12, 2)], Gaps::Allowed)).contains("overlaps"));
        assert!(words(proof(&[(9, 4), (30, 3)], Gaps::Allowed)).contains("past the end"));
        assert!(words(proof(&[(4, 2)], Gaps::Allowed)).contains("overlaps"));
    }

    #[test]
    fn the_order_is_total() {
        let mut tensors = [tensor("c", 8, 0), tensor("b", 8, 1), tensor("a", 9, 0), tensor("b", 8, 0)];
        sort(&mut tensors);
        let order: Vec<_> = tensors.iter().map(|tensor| (tensor.offset, tensor.length, &*tensor.name)).collect();
        assert_eq!(order, [(8, 0, "b"), (8, 0, "c"), (8, 1, "b"), (9, 0, "a")]);
    }

    #[test]
    fn a_proof_can_be_interrupted() {
        struct Now;
        impl Interrupt for Now {
            fn check(&self) -> Result<(), Interrupted> {
                Err(Interrupted)
            }
        }
        let region = Region { start: 8, end: 9 };
        let error = prove(&[tensor("t", 8, 1)], region, Gaps::Refused, &Now).unwrap_err();
        assert_eq!(error.kind(), FaultKind::Interrupted);
    }

    proptest! {
        /// Against a map of the bytes: each is covered exactly once, or the proof fails.
        #[test]
        fn proved_tensors_cover_each_byte_once(spans in prop::collection::vec((8_u64..34, 0_u64..12), 0..5)) {
            let mut covered = [0; 64];
            for (offset, length) in &spans {
                (*offset..offset + length).for_each(|byte| covered[byte as usize] += 1);
            }
            let tiles = covered[8..32].iter().all(|count| *count == 1) && covered[32..].iter().all(|count| *count == 0);
            // Empty tensors may stand at borders only.
            let borders = spans.iter().filter(|span| span.1 == 0).all(|(at, _)| {
                *at <= 32 && spans.iter().all(|(start, length)| at <= start || *at >= start + length)
            });
            prop_assert_eq!(proof(&spans, Gaps::Refused).is_ok(), tiles && borders);
        }
    }
}
