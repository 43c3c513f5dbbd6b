//! Spans: what a file consists of, before any strategy cuts it.

use std::ops::Range;

use atom::Modality;
use formats::Reading;

/// A run of bytes of one file that no part may cross the border of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte in the file.
    pub offset: u64,
    /// Length in bytes, never 0.
    pub length: u64,
    /// `Tensor` for the payload of a tensor, else `File`.
    pub modality: Modality,
    /// Whether it is a large array of the metadata, of which files share pieces.
    pub is_section: bool,
}

/// Returns the spans that tile a file of `file_bytes` bytes, in order: tensors, sections, and what lies before, between and
/// after them.
///
/// Tensors come in the order of their offsets and do not overlap (`formats` has proved it); empty ones have no span.
pub fn spans(reading: &Reading, file_bytes: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut end = 0;
    if let Reading::Structured(structure) = reading {
        let sections = structure.sections.iter().map(|section| Span { is_section: true, ..rest(section.clone()) });
        let tensors = structure
            .tensors
            .iter()
            .map(|tensor| Span { modality: Modality::Tensor, ..rest(tensor.offset..tensor.offset + tensor.length) });
        // Sections come before the first tensor.
        for span in sections.chain(tensors.filter(|span| span.length > 0)) {
            spans.push(rest(end..span.offset));
            end = span.offset + span.length;
            spans.push(span);
        }
    }
    spans.push(rest(end..file_bytes));
    spans.retain(|span| span.length > 0);
    spans
}

fn rest(run: Range<u64>) -> Span {
    Span { offset: run.start, length: run.end - run.start, modality: Modality::File, is_section: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opaque_file_is_one_span_and_an_empty_one_none() {
        let opaque = Reading::Opaque { reason: None };
        assert_eq!(spans(&opaque, 7), [rest(0..7)]);
        assert_eq!(spans(&opaque, 0), []);
    }
}
