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
            Err(Fault::TensorPastEnd { name: tensor.name.clone(), end, file_bytes: region_end }.at(tensor.offset))
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
