//! What is worth knowing of a GGUF file that keeps every rule.

use super::pairs::Pair;
use super::tensors::OutOfPlace;
use super::{Dialect, number, text};
use crate::finding::{Findings, check_names};
use crate::{ByteOrder, Finding, Severity, Structure, Value};

/// ggml keeps names in 64 bytes, the terminating zero included.
const GGML_NAME_BYTES: usize = 64;

/// What the findings look at, besides the structure.
pub(super) struct Facts<'a> {
    pub(super) dialect: Dialect,
    pub(super) alignment: u64,
    pub(super) pairs: &'a [Pair],
    pub(super) out_of_place: Option<OutOfPlace>,
    pub(super) file_bytes: u64,
}

/// Returns the findings of a file that was read.
pub(super) fn of(structure: &Structure, facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Findings::default();
    check_dialect(facts, &mut findings);
    check_alignment(facts, &mut findings);
    check_pairs(facts, &mut findings);
    check_split(structure, facts, &mut findings);
    check_tensors(structure, facts, &mut findings);
    check_names(structure, &mut findings);
    check_end(structure, facts, &mut findings);
    findings.into_list()
}

fn check_dialect(facts: &Facts<'_>, findings: &mut Findings) {
    if facts.dialect.version == 1 {
        let message = "version 1 is not read by current versions of ggml and of the Python package gguf".to_owned();
        findings.say("version_outdated", Severity::Error, 4, message);
    }
    if facts.dialect.order == ByteOrder::Big {
        let message = "the numbers are big-endian: ggml reads the file on big-endian machines only".to_owned();
        findings.say("byte_order_big", Severity::Warning, 4, message);
    }
}

fn check_alignment(facts: &Facts<'_>, findings: &mut Findings) {
    let alignment = facts.alignment;
    let offset = facts.pairs.iter().find(|pair| &*pair.key == "general.alignment").map_or(0, |pair| pair.offset);
    if !alignment.is_power_of_two() {
        let message = format!("general.alignment is {alignment}; ggml wants a power of two");
        findings.say("alignment_no_power_of_two", Severity::Error, offset, message);
    } else if !alignment.is_multiple_of(8) {
        let message = format!("general.alignment is {alignment}; the format wants a multiple of 8");
        findings.say("alignment_no_multiple_of_8", Severity::Warning, offset, message);
    }
}

fn check_pairs(facts: &Facts<'_>, findings: &mut Findings) {
    if text(facts.pairs, "general.architecture").is_none() {
        let message = "the key general.architecture is missing, which llama.cpp needs".to_owned();
        findings.say("architecture_missing", Severity::Error, 0, message);
    }
    for Pair { key, value, offset } in facts.pairs {
        let is_usual = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-');
        if key.is_empty() || !key.chars().all(is_usual) {
            let what = "is not made of a-z, 0-9, \"_\", \"-\" and \".\", as the format wants keys";
            findings.note("key_unusual", Severity::Info, *offset, key, what);
        }
        if matches!(value, Value::Bytes(_)) {
            findings.note("string_not_utf8", Severity::Warning, *offset, key, "holds a string that is not UTF-8");
        }
    }
}

fn check_split(structure: &Structure, facts: &Facts<'_>, findings: &mut Findings) {
    let number = |key| number(facts.pairs, key);
    let (Some(part), Some(parts)) = (number("split.no"), number("split.count")) else { return };
    let tensors = structure.tensors.len() as u64;
    let message = match number("split.tensors.count") {
        _ if part >= parts.max(1) => format!("split.no is {part}, but split.count is {parts}"),
        Some(all) if tensors > all => format!("the file has {tensors} tensors, but split.tensors.count is {all}"),
        _ => return,
    };
    findings.say("split_contradictory", Severity::Error, 0, message);
}

fn check_tensors(structure: &Structure, facts: &Facts<'_>, findings: &mut Findings) {
    if structure.tensors.is_empty() {
        let message = "there are no tensors: the file holds metadata only, such as a vocabulary".to_owned();
        findings.say("tensors_none", Severity::Info, 0, message);
    }
    if let Some(OutOfPlace { name, begin, expected }) = &facts.out_of_place {
        let what = format!("lies at byte {begin} of the data, where ggml looks for it at {expected}");
        let offset = structure.structure_bytes.saturating_add(*begin);
        findings.note("tensor_out_of_place", Severity::Error, offset, name, &what);
    }
    for tensor in &structure.tensors {
        if tensor.name.len() >= GGML_NAME_BYTES {
            let what = "has a name of 64 bytes or more, which ggml refuses";
            findings.note("name_too_long_for_ggml", Severity::Error, tensor.offset, &tensor.name, what);
        }
        if tensor.length == 0 {
            findings.note("tensor_empty", Severity::Warning, tensor.offset, &tensor.name, "has no elements");
        }
    }
    let quantized = structure.tensors.iter().find(|tensor| tensor.dtype.is_quantized());
    if let Some(tensor) = quantized.filter(|_| number(facts.pairs, "general.quantization_version").is_none()) {
        let message = "tensors are quantized, but the key general.quantization_version is missing".to_owned();
        findings.say("quantization_version_missing", Severity::Info, tensor.offset, message);
    }
}

fn check_end(structure: &Structure, facts: &Facts<'_>, findings: &mut Findings) {
    let end = structure.tensors.last().and_then(crate::Tensor::end).unwrap_or(structure.structure_bytes);
    let padded = end.checked_next_multiple_of(facts.alignment).unwrap_or(end);
    if facts.file_bytes > padded {
        let bytes = facts.file_bytes.saturating_sub(padded);
        let message = format!("{bytes} bytes follow the last tensor and belong to none");
        findings.say("bytes_at_end", Severity::Warning, padded, message);
    }
}
