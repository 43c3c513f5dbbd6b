//! safetensors: a plausible length, then JSON; what the model is for by the names of its tensors.
//!
//! The header is looked through as text, its first part only; `crate::safetensors` reads it.

use super::probe::{Probe, after, u64_at};
use super::{Answer, Detection, FileFormat, TRUNCATED, confidence};

/// Bytes of the header's length.
const LENGTH_BYTES: u64 = 8;

/// Bytes of the header that are looked through for names.
const SCANNED_BYTES: usize = 1 << 20;

/// Bytes of the header's end that are looked at too: the last tensor stands there as a rule.
const TAIL_BYTES: u64 = 4096;

/// Bytes that a pair of offsets may take, so that looking through the text takes one pass.
const OFFSETS_BYTES_MAX: usize = 64;

/// Answers on safetensors.
pub(super) fn safetensors(probe: &Probe) -> Answer {
    let Some(header_bytes) = u64_at(probe.head(), 0) else { return Ok(None) };
    if probe.head().get(8) != Some(&b'{') || header_bytes < 2 {
        return Ok(None);
    }
    let Some(data_start) = LENGTH_BYTES.checked_add(header_bytes) else { return Ok(None) };
    match (data_start <= probe.size(), header_bytes <= probe.limits.header_bytes_max) {
        (true, true) => whole(probe, header_bytes, data_start).map(Some),
        (false, true) => Ok(begins_object(probe.head()).then(|| cut(probe, header_bytes))),
        (_, false) => Ok(None),
    }
}

/// Tells whether an object opens as the header must: with a key, or it closes.
fn begins_object(head: &[u8]) -> bool {
    let inside = head.get(9..).unwrap_or_default().trim_ascii_start();
    matches!(inside.first(), None | Some(b'"' | b'}'))
}

fn cut(probe: &Probe, header_bytes: u64) -> Detection {
    let reason = format!("truncated: the header says it has {header_bytes} bytes, the file has {}", probe.size());
    Detection::new(FileFormat::Safetensors, confidence::EVIDENCE, reason).variant(TRUNCATED)
}

fn whole(probe: &Probe, header_bytes: u64, data_start: u64) -> Result<Detection, crate::FormatError> {
    let count = usize::try_from(header_bytes).unwrap_or(usize::MAX).min(SCANNED_BYTES);
    let text = probe.bytes(LENGTH_BYTES, count)?;
    let tail_bytes = header_bytes.min(TAIL_BYTES);
    let tail = probe.bytes(data_start.saturating_sub(tail_bytes), usize::try_from(tail_bytes).unwrap_or(0))?;
    let needed = data_start.saturating_add(data_end(&text).max(data_end(&tail)));
    if needed > probe.size() {
        return Ok(Detection::truncated(FileFormat::Safetensors, needed, probe.size()));
    }
    let closed = begins_object(probe.head()) && tail.trim_ascii_end().last() == Some(&b'}');
    let (sure, how) = match closed {
        true => (confidence::WALKED, "a JSON object that fills its declared length"),
        false => (confidence::HEADER, "a declared length and an opening brace"),
    };
    let detection = Detection::new(FileFormat::Safetensors, sure, format!("a header of {header_bytes} bytes: {how}"));
    Ok(match purpose(&text) {
        Some(purpose) => detection.variant(purpose),
        None => detection,
    })
}

/// Returns the highest end that an entry in this text declares.
fn data_end(text: &[u8]) -> u64 {
    let mut highest = 0;
    let mut rest = text;
    while let Some(behind) = after(rest, b"\"data_offsets\"") {
        highest = offsets_end(behind).unwrap_or(0).max(highest);
        rest = behind;
    }
    highest
}

/// Returns the second number of `: [begin, end]`.
fn offsets_end(text: &[u8]) -> Option<u64> {
    let inside = text.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"[")?;
    let end = inside.iter().take(OFFSETS_BYTES_MAX).position(|byte| *byte == b']')?;
    let inside = inside.get(..end)?;
    let (begin, end) = std::str::from_utf8(inside).ok()?.split_once(',')?;
    begin.trim().parse::<u64>().ok()?;
    end.trim().parse().ok()
}

/// Returns what the names of the tensors tell: the parts of a whole image generator, or the pairs of an adapter.
fn purpose(text: &[u8]) -> Option<&'static str> {
    let mut words = text.split(|byte| *byte == b'"').peekable();
    while let Some(word) = words.next() {
        let opens_entry = words.peek().is_some_and(|next| opens_object(next));
        if let Some(purpose) = opens_entry.then(|| purpose_of(word)).flatten() {
            return Some(purpose);
        }
    }
    None
}

/// Tells whether the text between two quotes is what stands between a key and its object's first key.
fn opens_object(between: &[u8]) -> bool {
    let value = between.trim_ascii_start().strip_prefix(b":");
    value.is_some_and(|value| value.trim_ascii_start().starts_with(b"{"))
}

fn purpose_of(name: &[u8]) -> Option<&'static str> {
    const CHECKPOINT: [&[u8]; 3] = [b"model.diffusion_model.", b"first_stage_model.", b"cond_stage_model."];
    const ADAPTER: [&[u8]; 6] = [b".lora_A.", b".lora_B.", b".lora_up.", b".lora_down.", b"lora.up.", b"lora.down."];
    if CHECKPOINT.iter().any(|prefix| name.starts_with(prefix)) {
        return Some("stable-diffusion checkpoint");
    }
    let adapter = name.starts_with(b"lora_") || ADAPTER.iter().any(|part| after(name, part).is_some());
    adapter.then_some("lora")
}
