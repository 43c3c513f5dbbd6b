//! The fuzz target's body for GGUF.

use super::assert_error;
use crate::{Array, Bytes, Finding, Limits, Reading, Structure, Value, gguf as format};
use atom::Never;
use std::collections::HashSet;

/// Reads bytes as GGUF and asserts what a reading promises.  Panics when a promise is broken.
pub fn gguf(bytes: &[u8]) {
    let limits = Limits::default();
    match format::read(&Bytes(bytes), &limits, &Never) {
        Ok(structure) => {
            let open = crate::read(&Bytes(bytes), &limits, &Never);
            assert!(
                matches!(open, Ok(Reading::Structured(same)) if bits(&same) == bits(&structure)),
                "two readings differ"
            );
            assert_structure(&structure, bytes);
        }
        Err(error) => assert_error(&error, bytes),
    }
}

/// Everything of a structure as text: NaN in the metadata equals nothing, but reads the same.
fn bits(structure: &Structure) -> String {
    format!("{structure:?}")
}

/// The tensors lie apart within the data, the metadata within the header.
fn assert_structure(structure: &Structure, bytes: &[u8]) {
    let file_bytes = bytes.len() as u64;
    let mut end = structure.structure_bytes;
    let mut names = HashSet::new();
    for tensor in &structure.tensors {
        assert!(tensor.offset >= end, "tensor {:?} begins before the one before ends", tensor.name);
        end = tensor.end().unwrap_or(u64::MAX);
        let elements = tensor.shape.iter().try_fold(1_u64, |elements, dim| elements.checked_mul(*dim));
        let size = elements.map(|elements| tensor.dtype.size(elements));
        assert_eq!(size, Some(Ok(tensor.length)), "tensor {:?} has another size", tensor.name);
        assert!(tensor.shape.len() <= 4 && names.insert(&tensor.name), "tensor {:?} is refused by ggml", tensor.name);
    }
    assert!(end <= file_bytes, "a tensor ends past the end of the file");
    assert_metadata(structure, bytes);
    assert_sections(structure);
    assert_findings(&structure.findings, bytes);
}

/// Sections follow each other within the header.
fn assert_sections(structure: &Structure) {
    let mut end = 0;
    for section in &structure.sections {
        assert!(section.start >= end && section.start < section.end, "section {section:?} begins before {end}");
        end = section.end;
    }
    assert!(end <= structure.structure_bytes, "a section ends behind the header");
}

/// Keys come once, and arrays hold what they say.
fn assert_metadata(structure: &Structure, bytes: &[u8]) {
    let mut keys = HashSet::new();
    let mut text_bytes: usize = 0;
    for (key, value) in &structure.metadata {
        assert!(keys.insert(key), "key {key:?} comes twice");
        let value_bytes = match value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Array(array) => assert_array(array, bytes),
            _ => 1,
        };
        text_bytes = text_bytes.saturating_add(key.len()).saturating_add(value_bytes);
    }
    assert!((text_bytes as u64) < structure.structure_bytes, "more text than the header has");
}

/// Reads an array to its end; returns its bytes.
fn assert_array(array: &Array, bytes: &[u8]) -> usize {
    let source = Bytes(bytes);
    let read = format::dialect_of(&source, &Never).and_then(|dialect| {
        let mut reader = format::ArrayReader::new(&source, dialect, array, &Never);
        let mut count: u64 = 0;
        while let Some(value) = reader.next()? {
            assert_eq!(value.element_type(), array.element, "an element of another type");
            count = count.saturating_add(1);
        }
        Ok(count)
    });
    assert!(matches!(read, Ok(count) if count == array.count), "{array:?} was read as {read:?}");
    usize::try_from(array.length).unwrap_or(usize::MAX)
}

/// A rule has one finding, within the file, that can be shown anywhere.
fn assert_findings(findings: &[Finding], bytes: &[u8]) {
    let mut rules = HashSet::new();
    for finding in findings {
        let Finding { rule, offset, message, .. } = finding;
        assert!(rules.insert(rule), "rule {rule} has two findings");
        assert!(*offset <= bytes.len() as u64, "{message:?} is at {offset} of {}", bytes.len());
        let is_sentence = !message.is_empty() && !message.ends_with('.');
        assert!(is_sentence && message.len() < 2048 && !message.chars().any(char::is_control), "{message:?}");
    }
}
