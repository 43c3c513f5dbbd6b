//! GGUF: key/value pairs, tensor descriptions, then the tensors' data, each tensor aligned.
//!
//! Source: `docs/gguf.md` of the ggml repository; where it leaves a rule open, what ggml's `gguf.cpp` and the Python package
//! `gguf` 0.19 do.  Versions 1 to 3 in both byte orders; what both of those readers refuse is refused, what one of them
//! refuses is a finding.

mod findings;
mod ggml_type;
mod pairs;
mod tensors;

use crate::layout::{self, Gaps, Region};
use crate::reader::{Reader, bytes_at};
use crate::{ByteOrder, Fault, Format, FormatError, Limits, ReadAt, Structure, Value};
use atom::Interrupt;
use findings::Facts;
use pairs::Pair;
use std::ops::Range;

pub(crate) use pairs::ArrayReader;

/// The first four bytes, in this order whatever the order of the numbers.
const MAGIC: [u8; 4] = *b"GGUF";
/// Magic and version.
const START_BYTES: u64 = 8;
/// Bytes that a tensor's data is aligned to, unless `general.alignment` says otherwise.
const ALIGNMENT: u64 = 32;
/// Alignments beyond this are refused: they could only make holes.
const ALIGNMENT_MAX: u64 = 1 << 20;
/// Arrays of at least so many bytes are stored by themselves: one disk page holds what is shorter.
const SECTION_BYTES_MIN: u64 = 8 * 1024;

/// How numbers are written in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    version: u32,
    order: ByteOrder,
}

impl Dialect {
    /// Returns the bytes of a count or a length: version 1 had 32 bits.
    fn length_bytes(self) -> u64 {
        if self.version == 1 { 4 } else { 8 }
    }

    /// Reads a count or a length.
    fn length(self, reader: &mut Reader<'_>, what: &'static str) -> Result<u64, FormatError> {
        if self.version == 1 { reader.u32(what).map(u64::from) } else { reader.u64(what) }
    }

    /// Returns the dialect's name and which part of a split model the file is.
    fn variant(self, pairs: &[Pair]) -> String {
        let order = if self.order == ByteOrder::Big { " big-endian" } else { "" };
        let part = match (number(pairs, "split.no"), number(pairs, "split.count")) {
            (Some(part), Some(parts)) if parts > 1 => format!(", part {} of {parts}", part.saturating_add(1)),
            _ => String::new(),
        };
        format!("v{}{order}{part}", self.version)
    }
}

/// Returns the structure of a file that is said to be GGUF.
///
/// Reads the header only.  Errors: the first broken rule or limit, with the key or tensor and the position; an unreadable
/// source; interruption.
pub fn read(source: &dyn ReadAt, limits: &Limits, interrupt: &dyn Interrupt) -> Result<Structure, FormatError> {
    let file_bytes = source.size();
    let mut reader = Reader::new(source, 0..file_bytes, limits.header_bytes_max, interrupt);
    let dialect = read_dialect(&mut reader)?;
    reader.set_order(dialect.order);
    let tensor_count = dialect.length(&mut reader, "number of tensors")?;
    reader.prove_count(tensor_count, tensors::bytes_min(dialect), limits.tensors_max, "tensors")?;
    let pair_count = dialect.length(&mut reader, "number of keys")?;
    reader.prove_count(pair_count, pairs::bytes_min(dialect), limits.metadata_entries_max, "metadata entries")?;
    let pairs = pairs::read(&mut reader, dialect, pair_count)?;
    let alignment = alignment(&pairs)?;
    let mut listed = tensors::read(&mut reader, dialect, tensor_count, alignment, limits)?;
    let data_start = reader.position().checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
    listed.place(data_start, file_bytes)?;
    let tensors::Listed { mut tensors, out_of_place } = listed;
    layout::sort(&mut tensors);
    layout::prove(&tensors, Region { start: data_start, end: file_bytes }, Gaps::Allowed, interrupt)?;
    let mut structure = Structure {
        format: Format::Gguf,
        variant: Some(dialect.variant(&pairs)),
        byte_order: dialect.order,
        tensors,
        metadata: Vec::new(),
        // A file without tensors may end before its data would start.
        structure_bytes: data_start.min(file_bytes),
        sections: sections(&pairs),
        findings: Vec::new(),
    };
    structure.findings =
        findings::of(&structure, &Facts { dialect, alignment, pairs: &pairs, out_of_place, file_bytes });
    structure.metadata = pairs.into_iter().map(|pair| (pair.key, pair.value)).collect();
    Ok(structure)
}

/// Tells whether the file begins like GGUF, of whatever version.
///
/// Errors: the source cannot be read.
pub(crate) fn looks_like(source: &dyn ReadAt) -> Result<bool, FormatError> {
    Ok(source.size() >= START_BYTES && bytes_at(source, 0)? == MAGIC)
}

/// Returns the dialect of a file that was read before.
pub(crate) fn dialect_of(source: &dyn ReadAt, interrupt: &dyn Interrupt) -> Result<Dialect, FormatError> {
    read_dialect(&mut Reader::new(source, 0..source.size(), START_BYTES, interrupt))
}

/// Reads magic and version.  No version has as many units as one read in the wrong order, which is how the order is told.
fn read_dialect(reader: &mut Reader<'_>) -> Result<Dialect, FormatError> {
    let found = reader.array("magic")?;
    if found != MAGIC {
        return Err(Fault::Magic { found }.at(0));
    }
    let number = reader.u32("version")?;
    let [little, big] = [number, number.swap_bytes()].map(|version| (1..=3).contains(&version).then_some(version));
    match (little, big) {
        (Some(version), _) => Ok(Dialect { version, order: ByteOrder::Little }),
        (None, Some(version)) => Ok(Dialect { version, order: ByteOrder::Big }),
        (None, None) => Err(Fault::UnknownVersion { version: number.min(number.swap_bytes()) }.at(MAGIC.len() as u64)),
    }
}

/// Returns the alignment of the data, proved to be one that a reader accepts.
fn alignment(pairs: &[Pair]) -> Result<u64, FormatError> {
    let Some(pair) = pairs.iter().find(|pair| &*pair.key == "general.alignment") else { return Ok(ALIGNMENT) };
    // Both ggml and the Python package refuse any other type.
    let found = match pair.value {
        Value::U32(found) => Some(u64::from(found)),
        _ => None,
    };
    let usable = found.filter(|found| *found > 0 && (found.is_power_of_two() || found.is_multiple_of(8)));
    match usable {
        None => Err(Fault::Alignment { found }.at(pair.offset)),
        Some(value) if value > ALIGNMENT_MAX => {
            Err(Fault::Limit { what: "bytes of alignment", within: None, value, limit: ALIGNMENT_MAX }.at(pair.offset))
        }
        Some(alignment) => Ok(alignment),
    }
}

/// Returns the arrays that are stored by themselves: files that differ in a few values share their vocabulary.
fn sections(pairs: &[Pair]) -> Vec<Range<u64>> {
    let arrays = pairs.iter().filter_map(|pair| match &pair.value {
        Value::Array(array) if array.length >= SECTION_BYTES_MIN => Some(array),
        _ => None,
    });
    arrays.map(|array| array.offset..array.offset.saturating_add(array.length)).collect()
}

/// Returns the value of a key that is a whole number.
fn number(pairs: &[Pair], key: &str) -> Option<u64> {
    pairs.iter().find(|pair| &*pair.key == key).and_then(|pair| pair.value.as_u64())
}

/// Returns the value of a key that is text.
fn text<'p>(pairs: &'p [Pair], key: &str) -> Option<&'p str> {
    pairs.iter().find(|pair| &*pair.key == key).and_then(|pair| pair.value.as_text())
}
