//! Spans: what a file consists of, before any strategy cuts it.

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
}

/// Returns the spans that tile a file of `file_bytes` bytes, in order: tensors, sections, and what lies before, between and
/// after them.
///
/// Tensors come in the order of their offsets and do not overlap (`formats` has proved it); empty ones have no span.
pub fn spans(reading: &Reading, file_bytes: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut end = 0;
    if let Reading::Structured(structure) = reading {
        // Sections come before the first tensor.
        let sections = structure.sections.iter().map(|section| (section.clone(), Modality::File));
        let tensors = structure.tensors.iter().filter(|tensor| tensor.length > 0);
        let tensors = tensors.map(|tensor| (tensor.offset..tensor.offset + tensor.length, Modality::Tensor));
        for (run, modality) in sections.chain(tensors) {
            push(&mut spans, end, run.start - end, Modality::File);
            push(&mut spans, run.start, run.end - run.start, modality);
            end = run.end;
        }
    }
    push(&mut spans, end, file_bytes - end, Modality::File);
    spans
}

fn push(spans: &mut Vec<Span>, offset: u64, length: u64, modality: Modality) {
    if length > 0 {
        spans.push(Span { offset, length, modality });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opaque_file_is_one_span_and_an_empty_one_none() {
        let opaque = Reading::Opaque { reason: None };
        assert_eq!(spans(&opaque, 7), [Span { offset: 0, length: 7, modality: Modality::File }]);
        assert_eq!(spans(&opaque, 0), []);
    }
}
