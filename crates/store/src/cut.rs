//! Cutting: spans and a strategy make parts.

use atom::Modality;

use crate::cdc::Boundary;
use crate::section::{SECTION_PIECE_BYTES_MAX, SectionBoundary};
use crate::span::Span;
use crate::strategy::Strategy;

/// A run of bytes of one file that becomes one atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// First byte in the file.
    pub offset: u64,
    /// Length in bytes, never 0.
    pub length: u64,
    /// What the atom is used as.
    pub modality: Modality,
}

/// Walks through a file's bytes in order and tells where parts end.
#[derive(Debug, Clone)]
pub struct Cutter {
    spans: Vec<Span>,
    strategy: Strategy,
    span_index: usize,
    /// Bytes walked through.
    position: u64,
    part_offset: u64,
    boundary: Option<Boundary>,
    section: SectionBoundary,
}

impl Cutter {
    /// Begins at the first byte of a file that `spans` tile.
    pub fn new(spans: Vec<Span>, strategy: Strategy) -> Self {
        let boundary = match strategy {
            Strategy::Cdc(bounds) => Some(Boundary::new(bounds)),
            Strategy::Tensor | Strategy::Chunk { .. } => None,
        };
        let section = SectionBoundary::default();
        Self { spans, strategy, span_index: 0, position: 0, part_offset: 0, boundary, section }
    }

    /// Takes up again at `position`: for content-defined parts, within a section too, it must be where a part begins.
    pub fn starting_at(spans: Vec<Span>, strategy: Strategy, position: u64) -> Self {
        let mut cutter = Self::new(spans, strategy);
        cutter.span_index = cutter.spans.partition_point(|span| span.offset + span.length <= position);
        cutter.position = position;
        cutter.part_offset = match (cutter.spans.get(cutter.span_index), strategy) {
            (Some(span), Strategy::Tensor) if !span.is_section => span.offset,
            (Some(span), Strategy::Chunk { bytes }) => position - (position - span.offset) % bytes,
            _ => position,
        };
        cutter
    }

    /// Returns the length that the open part can have at most; 0 at the end of the file.
    pub fn open_part_bytes_max(&self) -> u64 {
        let Some(span) = self.spans.get(self.span_index) else { return 0 };
        let span_left = span.offset + span.length - self.part_offset;
        match self.strategy {
            Strategy::Tensor if span.is_section => span_left.min(SECTION_PIECE_BYTES_MAX),
            Strategy::Tensor => span_left,
            Strategy::Chunk { bytes } => span_left.min(bytes),
            Strategy::Cdc(bounds) => span_left.min(bounds.max),
        }
    }

    /// Walks through the next bytes of the file and returns the parts that end in them.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<Part> {
        let mut parts = Vec::new();
        while let (false, Some(span)) = (bytes.is_empty(), self.spans.get(self.span_index).copied()) {
            let span_left = (span.offset + span.length - self.position) as usize;
            let window = &bytes[..bytes.len().min(span_left)];
            let (used, ends) = match self.end_in(window, span) {
                Some(used) => (used, true),
                None => (window.len(), window.len() == span_left),
            };
            self.position += used as u64;
            bytes = &bytes[used..];
            if ends {
                parts.push(self.close(span));
            }
        }
        parts
    }

    /// Returns how many bytes of the window belong to the open part, when the strategy ends it there.
    fn end_in(&mut self, window: &[u8], span: Span) -> Option<usize> {
        match self.strategy {
            Strategy::Tensor if span.is_section => self.section.find(window),
            Strategy::Tensor => None,
            Strategy::Chunk { bytes } => {
                let left = bytes - (self.position - span.offset) % bytes;
                (left <= window.len() as u64).then_some(left as usize)
            }
            Strategy::Cdc(_) => self.boundary.as_mut().and_then(|boundary| boundary.find(window)),
        }
    }

    fn close(&mut self, span: Span) -> Part {
        let part = Part { offset: self.part_offset, length: self.position - self.part_offset, modality: span.modality };
        self.part_offset = self.position;
        if self.position == span.offset + span.length {
            self.span_index += 1;
        }
        if let Strategy::Cdc(bounds) = self.strategy {
            self.boundary = Some(Boundary::new(bounds));
        }
        self.section = SectionBoundary::default();
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdc::ChunkBounds;

    const CHUNK: Strategy = Strategy::Chunk { bytes: 4096 };
    const CDC: Strategy = Strategy::Cdc(ChunkBounds::around(4096));

    fn bytes(count: usize) -> Vec<u8> {
        let mut state = 9u64;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect()
    }

    /// Noise, within which the sections of `five_spans` repeat a number for long.
    fn file() -> Vec<u8> {
        let mut file = bytes(144_196);
        file[10_000..70_000].fill(7);
        file
    }

    fn five_spans() -> Vec<Span> {
        let span = |offset, length, modality, is_section| Span { offset, length, modality, is_section };
        vec![
            span(0, 100, Modality::File, false),
            span(100, 50_000, Modality::File, true),
            span(50_100, 40_000, Modality::File, true),
            span(90_100, 50_000, Modality::Tensor, false),
            span(140_100, 4096, Modality::Tensor, false),
        ]
    }

    #[test]
    fn parts_tile_the_file_and_never_cross_a_span() {
        let file = file();
        for strategy in [Strategy::Tensor, CHUNK, CDC] {
            let parts = Cutter::new(five_spans(), strategy).push(&file);
            let mut end = 0;
            for part in &parts {
                assert_eq!(part.offset, end, "{strategy:?}");
                assert!(part.length > 0);
                end += part.length;
            }
            assert_eq!(end, 144_196);
            for border in [100, 50_100, 90_100, 140_100] {
                assert!(parts.iter().any(|part| part.offset == border), "{strategy:?}");
            }
            assert_eq!(parts[0].modality, Modality::File);
        }
    }

    #[test]
    fn parts_do_not_depend_on_how_the_bytes_arrive() {
        let file = file();
        for strategy in [Strategy::Tensor, CHUNK, CDC] {
            let whole = Cutter::new(five_spans(), strategy).push(&file);
            for step in [1, 99, 4096, 10_000] {
                let mut cutter = Cutter::new(five_spans(), strategy);
                let parts: Vec<Part> = file.chunks(step).flat_map(|window| cutter.push(window)).collect();
                assert_eq!(parts, whole, "{strategy:?}, step {step}");
            }
        }
    }

    #[test]
    fn cutting_taken_up_again_gives_the_same_parts() {
        let file = file();
        for strategy in [Strategy::Tensor, CHUNK, CDC] {
            let whole = Cutter::new(five_spans(), strategy).push(&file);
            for (index, part) in whole.iter().enumerate() {
                let rest = Cutter::starting_at(five_spans(), strategy, part.offset).push(&file[part.offset as usize..]);
                assert_eq!(rest, whole[index..], "{strategy:?}, part {index}");
            }
        }
        let inside = Cutter::starting_at(five_spans(), Strategy::Tensor, 99_999).push(&file[99_999..]);
        assert_eq!(inside[0], Part { offset: 90_100, length: 50_000, modality: Modality::Tensor });
    }

    #[test]
    fn fixed_chunks_count_from_the_span() {
        let parts = Cutter::new(five_spans(), CHUNK).push(&file());
        assert_eq!(parts.len(), 1 + 13 + 10 + 13 + 1);
        assert_eq!(parts[24].length, 4096);
        assert_eq!(parts[36].length, 50_000 - 12 * 4096);
    }

    #[test]
    fn sections_are_cut_by_content_and_tensors_are_not() {
        let parts = Cutter::new(five_spans(), Strategy::Tensor).push(&file());
        let lengths: Vec<u64> = parts.iter().map(|part| part.length).collect();
        // Noise up to the first 2 KiB that repeat, 24 KiB of what repeats, the rest; the next section begins anew.
        assert_eq!(lengths, [100, 9_900 + 2048, 24 << 10, 50_000 - 11_948 - (24 << 10), 40_000, 50_000, 4096]);
        let mut cutter = Cutter::new(five_spans(), Strategy::Tensor);
        cutter.push(&file()[..100]);
        assert_eq!(cutter.open_part_bytes_max(), 50_000);
    }
}
