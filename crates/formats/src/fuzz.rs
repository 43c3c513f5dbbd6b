//! Bodies of the fuzz targets, so that `cargo test` runs them over the same corpus.  Not part of the interface.

mod detect;
mod gguf;

use crate::{Bytes, FormatError, Limits, Reading, Structure, safetensors as format};
use atom::Never;

pub use detect::detect;
pub use gguf::gguf;

/// Reads bytes as safetensors and asserts what a reading promises.  Panics when a promise is broken.
///
/// A second time with the header's length set to what the bytes show: a fuzzer that edits the text would else seldom get past
/// the length.
pub fn safetensors(bytes: &[u8]) {
    assert_reading(bytes);
    if let Some(mended) = mend_length(bytes) {
        assert_reading(&mended);
    }
}

/// Returns the same bytes with a header that ends at the last brace, None when it does already.
fn mend_length(bytes: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let last = rest.iter().rposition(|byte| *byte == b'}')?;
    let mended = (last as u64).checked_add(1)?.to_le_bytes();
    (mended != *length).then(|| [mended.as_slice(), rest].concat())
}

fn assert_reading(bytes: &[u8]) {
    let limits = Limits::default();
    let strict = format::read(&Bytes(bytes), &limits, &Never);
    let open = crate::read(&Bytes(bytes), &limits, &Never);
    match (strict, open) {
        // A length that spells another format's magic is none that a header may have.
        (Err(error), Ok(_)) if bytes.starts_with(b"GGUF") => assert_error(&error, bytes),
        (Ok(structure), Ok(Reading::Structured(same))) => {
            assert_eq!(structure, same, "two readings differ");
            assert_structure(&structure, bytes);
        }
        (Err(error), Ok(Reading::Opaque { reason })) => {
            assert_error(&error, bytes);
            assert!(reason.is_none_or(|reason| reason == error.to_string()), "the reason is another");
        }
        (strict, open) => assert_eq!(format!("{strict:?}"), format!("{open:?}"), "strict and open reading differ"),
    }
}

/// The tensors tile the data; names, shapes and metadata are no longer than the header that holds them.
fn assert_structure(structure: &Structure, bytes: &[u8]) {
    let mut end = structure.structure_bytes;
    let mut text_bytes: usize = 0;
    for tensor in &structure.tensors {
        assert_eq!(tensor.offset, end, "tensor {:?} does not follow the one before", tensor.name);
        end = tensor.end().unwrap_or(u64::MAX);
        let elements = tensor.shape.iter().try_fold(1_u64, |elements, dim| elements.checked_mul(*dim));
        let size = elements.map(|elements| tensor.dtype.size(elements));
        assert_eq!(size, Some(Ok(tensor.length)), "tensor {:?} has another size", tensor.name);
        text_bytes = text_bytes.saturating_add(tensor.name.len()).saturating_add(tensor.shape.len());
    }
    assert_eq!(end, bytes.len() as u64, "the last tensor does not end the file");
    for (key, value) in &structure.metadata {
        let value_bytes = value.as_text().map_or(0, str::len);
        text_bytes = text_bytes.saturating_add(key.len()).saturating_add(value_bytes);
    }
    assert!((text_bytes as u64) < structure.structure_bytes, "more text than the header has");
}

/// An error lies within the file and its texts can be shown anywhere.
fn assert_error(error: &FormatError, bytes: &[u8]) {
    assert!(error.fault().is_some(), "bytes in memory are always readable: {error}");
    assert!(error.offset() <= bytes.len() as u64, "{error} at {} of {}", error.offset(), bytes.len());
    let texts = [Some(error.to_string()), error.detail(), error.hint()];
    for text in texts.into_iter().flatten() {
        assert!(text.len() < 2048 && !text.chars().any(char::is_control), "unshowable text {text:?}");
    }
}
