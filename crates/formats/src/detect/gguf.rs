//! GGUF, and the formats of ggml before it.
//!
//! Sources: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>; for ggml, ggmf, ggjt and ggla its section "Historical
//! State of Affairs" and the loaders of llama.cpp up to August 2023.

use super::probe::{Probe, u32_at};
use super::{Answer, Detection, FileFormat, TRUNCATED, confidence};
use crate::{Fault, FormatError, Limits, Structure};

/// Bytes of the header that are walked to prove it; vocabularies make some longer, and those are judged by their start.
const HEADER_BYTES_WALKED: u64 = 16 << 20;

/// A hyperparameter above this (the size of a vocabulary, of an embedding) is none.
const PARAMETER_MAX: u32 = 1 << 24;

/// Answers on GGUF of either byte order.
pub(super) fn gguf(probe: &Probe) -> Answer {
    let Some(rest) = probe.head().strip_prefix(b"GGUF") else { return Ok(None) };
    let Some(stored) = u32_at(rest, 0) else {
        return Ok(Some(Detection::truncated(FileFormat::Gguf, 8, probe.size())));
    };
    let known = 1..=3;
    match (known.contains(&stored), known.contains(&stored.swap_bytes())) {
        (true, _) => of_version(probe, format!("v{stored}")).map(Some),
        (_, true) => of_version(probe, format!("v{} big-endian", stored.swap_bytes())).map(Some),
        _ => {
            let reason = format!("begins with GGUF, but its version {stored} (0x{stored:08X}) is not known");
            Ok(Some(Detection::new(FileFormat::Gguf, confidence::GUESS, reason)))
        }
    }
}

/// Walks the header as far as it is short enough.
fn of_version(probe: &Probe, variant: String) -> Result<Detection, FormatError> {
    let header_bytes_max = probe.limits.header_bytes_max.min(HEADER_BYTES_WALKED);
    let limits = Limits { header_bytes_max, ..probe.limits.clone() };
    let error = match crate::gguf::read(probe.source, &limits, probe.interrupt) {
        Ok(structure) => return Ok(of_structure(&structure, variant)),
        Err(error @ FormatError::Refused { .. }) => error,
        Err(error) => return Err(error),
    };
    let what = format!("GGUF {variant}");
    Ok(match error.fault() {
        Some(Fault::Limit { .. }) => {
            let reason = format!("{what}, whose header is too long to be walked whole");
            Detection::new(FileFormat::Gguf, confidence::HEADER, reason).variant(variant)
        }
        Some(Fault::CutShort { .. } | Fault::CountPastEnd { .. } | Fault::TensorPastEnd { .. }) => {
            let reason = format!("truncated: {what}, but the file of {} bytes ends early: {error}", probe.size());
            Detection::new(FileFormat::Gguf, confidence::EVIDENCE, reason).variant(format!("{variant}, {TRUNCATED}"))
        }
        _ => {
            let reason = format!("{what}, but it breaks a rule: {error}");
            Detection::new(FileFormat::Gguf, confidence::EVIDENCE, reason).variant(variant)
        }
    })
}

fn of_structure(structure: &Structure, variant: String) -> Detection {
    let (tensors, entries) = (structure.tensors.len(), structure.metadata.len());
    let reason = format!("GGUF {variant}, number of tensors: {tensors}, of entries of metadata: {entries}");
    Detection::new(FileFormat::Gguf, confidence::WALKED, reason).variant(variant)
}

/// Answers on the formats before GGUF, whose magic is a word stored little-endian.
pub(super) fn ggml(probe: &Probe) -> Answer {
    let head = probe.head();
    let Some(magic) = u32_at(head, 0) else { return Ok(None) };
    let (name, versions) = match magic {
        0x6767_6D6C => ("ggml", None),
        0x6767_6D66 => ("ggmf", Some(1..=1)),
        0x6767_6A74 => ("ggjt", Some(1..=3)),
        0x6767_6C61 => ("ggla", Some(1..=1)),
        _ => return Ok(None),
    };
    let version = u32_at(head, 4);
    let parameters_at = if versions.is_some() { 8 } else { 4 };
    let known = versions.is_none_or(|versions| version.is_some_and(|version| versions.contains(&version)));
    if !known || !plausible_parameters(head, parameters_at, name == "ggla") {
        return Ok(None);
    }
    let variant = match version.filter(|_| parameters_at == 8) {
        Some(version) => format!("{name} v{version}"),
        None => name.to_owned(),
    };
    let reason = format!("the magic {name} and plausible hyperparameters, as ggml wrote them before GGUF");
    Ok(Some(Detection::new(FileFormat::Ggml, confidence::HEADER, reason).variant(variant)))
}

/// Tells whether sizes follow: four that are positive and not huge, or rank and alpha of an adapter.
fn plausible_parameters(head: &[u8], at: usize, adapter: bool) -> bool {
    let count = if adapter { 2 } else { 4 };
    let words = head.get(at..).unwrap_or_default().chunks_exact(4).take(count);
    words.len() == count && words.filter_map(|word| u32_at(word, 0)).all(|word| (1..=PARAMETER_MAX).contains(&word))
}
