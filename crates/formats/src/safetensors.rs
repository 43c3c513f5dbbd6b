//! safetensors: eight bytes of length, a JSON header, then the tensors' data without gaps.
//!
//! Source: the format's README and the crate `safetensors` 0.8.  What we refuse beyond that crate stands in `docs/formats.md`.

mod entry;
mod header;
mod seen;
mod text;
mod unknown;

use crate::layout::{self, Gaps, Region};
use crate::{Fault, Format, FormatError, Limits, ReadAt, Structure};
use atom::Interrupt;
use header::Header;
use text::HeaderText;

/// Bytes of the header's length, a little-endian u64, at the start of the file.
const LENGTH_BYTES: u64 = 8;

/// Returns the structure of a file that is said to be safetensors.
///
/// Reads the header only, in pieces.  Errors: the first broken rule or limit, with the tensor and the position; an unreadable
/// source; interruption.
pub fn read(source: &dyn ReadAt, limits: &Limits, interrupt: &dyn Interrupt) -> Result<Structure, FormatError> {
    let data_start = prove_start(source, limits)?;
    let file_bytes = source.size();
    let text = HeaderText::new(source, LENGTH_BYTES..data_start, interrupt);
    let Header { mut tensors, metadata, .. } = header::parse(text, limits, data_start, file_bytes)?;
    layout::sort(&mut tensors);
    layout::prove(&tensors, Region { start: data_start, end: file_bytes }, Gaps::Refused, interrupt)?;
    tensors.shrink_to_fit();
    Ok(Structure { format: Format::Safetensors, variant: None, tensors, metadata, structure_bytes: data_start })
}

/// Tells whether the file begins like safetensors: a length that fits the file, or would be usual in a whole one, then `{`.
///
/// Errors: the source cannot be read.
pub(crate) fn looks_like(source: &dyn ReadAt, limits: &Limits) -> Result<bool, FormatError> {
    if source.size() <= LENGTH_BYTES {
        return Ok(false);
    }
    let header_bytes = u64::from_le_bytes(bytes_at(source, 0)?);
    let fits = LENGTH_BYTES.checked_add(header_bytes).is_some_and(|end| end <= source.size());
    let usual = header_bytes <= limits.header_bytes_max;
    Ok(header_bytes > 0 && (fits || usual) && bytes_at(source, LENGTH_BYTES)? == [b'{'])
}

/// Returns where the data begins; the header up to there lies within file and limit, and begins with `{`.
fn prove_start(source: &dyn ReadAt, limits: &Limits) -> Result<u64, FormatError> {
    let file_bytes = source.size();
    if file_bytes < LENGTH_BYTES {
        return Err(Fault::FileTooShort { file_bytes }.at(0));
    }
    let header_bytes = u64::from_le_bytes(bytes_at(source, 0)?);
    let data_start = match LENGTH_BYTES.checked_add(header_bytes).filter(|end| *end <= file_bytes) {
        Some(data_start) => data_start,
        None => return Err(Fault::HeaderPastEnd { header_bytes, file_bytes }.at(0)),
    };
    if header_bytes > limits.header_bytes_max {
        let limit = limits.header_bytes_max;
        return Err(Fault::Limit { what: "header bytes", within: None, value: header_bytes, limit }.at(0));
    }
    if header_bytes == 0 {
        return Err(Fault::HeaderStart { found: None }.at(LENGTH_BYTES));
    }
    match bytes_at(source, LENGTH_BYTES)? {
        [b'{'] => Ok(data_start),
        [byte] => Err(Fault::HeaderStart { found: Some(byte) }.at(LENGTH_BYTES)),
    }
}

/// Reads a few bytes at a position.
fn bytes_at<const N: usize>(source: &dyn ReadAt, offset: u64) -> Result<[u8; N], FormatError> {
    let mut bytes = [0; N];
    source.read_exact_at(offset, &mut bytes).map_err(|error| FormatError::Source { error, offset })?;
    Ok(bytes)
}
