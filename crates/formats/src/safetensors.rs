//! safetensors: eight bytes of length, a JSON header, then the tensors' data without gaps.
//!
//! Source: the format's README and the crate `safetensors` 0.8.  What we refuse beyond that crate stands in `docs/formats.md`.

mod entry;
mod findings;
mod header;
mod text;
mod unknown;

use crate::layout::{self, Gaps, Region};
use crate::reader::bytes_at;
use crate::{ByteOrder, Fault, Format, FormatError, Limits, ReadAt, Structure};
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
    let mut structure = Structure {
        format: Format::Safetensors,
        variant: None,
        byte_order: ByteOrder::Little,
        tensors,
        metadata,
        structure_bytes: data_start,
        sections: Vec::new(),
        findings: Vec::new(),
    };
    structure.findings = findings::of(&structure);
    Ok(structure)
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

#[cfg(test)]
mod tests {
    use super::read;
    use crate::{Bytes, Dtype, Fault, Limits, Tensor, Value};
    use atom::{FaultKind, Never};

    /// Bytes written by hand after the README: padded header, metadata, an empty tensor, order other than that of the data.
    const GOLDEN: &[u8] = b"\xD8\0\0\0\0\0\0\0\
        {\"__metadata__\":{\"format\":\"pt\",\"\":\"\\u0000\"},\
        \"w\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[8,12]},\
        \"none\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[8,8]},\
        \"bias\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]}}  \
        01234567abcd";

    fn tensor(name: &str, dtype: Dtype, shape: &[u64], offset: u64, length: u64) -> Tensor {
        Tensor { name: name.into(), dtype, shape: shape.into(), offset, length }
    }

    #[test]
    fn golden_file_is_read_as_ever() {
        let structure = read(&Bytes(GOLDEN), &Limits::default(), &Never).unwrap();
        let expected = [
            tensor("bias", Dtype::I64, &[], 224, 8),
            tensor("none", Dtype::F32, &[3, 0], 232, 0),
            tensor("w", Dtype::BF16, &[1, 2], 232, 4),
        ];
        assert_eq!(structure.tensors, expected);
        assert_eq!(
            structure.metadata,
            [("format".into(), Value::Text("pt".into())), ("".into(), Value::Text("\0".into()))]
        );
        assert_eq!((structure.structure_bytes, structure.format.name()), (224, "safetensors"));
        assert_eq!(structure.variant, None);
    }

    /// Each limit lowered to just below what the golden file needs, and to just that.
    #[test]
    fn limits_are_inclusive() {
        type Set = fn(&mut Limits, u64);
        let cases: [(Set, u64); 5] = [
            (|limits, to| limits.header_bytes_max = to, 216),
            (|limits, to| limits.tensors_max = to, 3),
            (|limits, to| limits.dims_max = to, 2),
            (|limits, to| limits.name_bytes_max = to, 12),
            (|limits, to| limits.metadata_entries_max = to, 2),
        ];
        for (set, needed) in cases {
            let mut limits = Limits::default();
            set(&mut limits, needed);
            read(&Bytes(GOLDEN), &limits, &Never).unwrap();
            set(&mut limits, needed - 1);
            let error = read(&Bytes(GOLDEN), &limits, &Never).unwrap_err();
            assert_eq!(error.kind(), FaultKind::Limit, "{error}");
            assert!(matches!(error.fault(), Some(Fault::Limit { limit, .. }) if *limit == needed - 1), "{error}");
        }
    }

    #[test]
    fn a_fault_in_a_later_line_has_its_offset() {
        for lines in [1, 2, 70_000] {
            let header = format!("{{{}\"a\": nonsense}}", "\n".repeat(lines));
            let bytes = [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes()].concat();
            let error = read(&Bytes(&bytes), &Limits::default(), &Never).unwrap_err();
            let word = 8 + header.find("nonsense").unwrap() as u64;
            assert!((word..word + 3).contains(&error.offset()), "{} for {word}", error.offset());
        }
    }
}
