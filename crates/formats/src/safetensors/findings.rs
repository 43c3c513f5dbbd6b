//! What is worth knowing of a safetensors file that keeps every rule.

use crate::finding::{Findings, check_names};
use crate::{Finding, Severity, Structure, Value};

/// Headers beyond this are refused by `huggingface_hub.get_safetensors_metadata` (constant `SAFETENSORS_MAX_HEADER_LENGTH`).
const HUB_HEADER_BYTES_MAX: u64 = 25_000_000;

/// Bytes before the header's text.
const LENGTH_BYTES: u64 = 8;

/// Values of the metadata key `format` that the library transformers accepts.
const FRAMEWORKS: [&str; 4] = ["pt", "tf", "flax", "mlx"];

/// Returns the findings of a file that was read.
pub(super) fn of(structure: &Structure) -> Vec<Finding> {
    let mut findings = Findings::default();
    check_header(structure, &mut findings);
    check_framework(structure, &mut findings);
    check_alignment(structure, &mut findings);
    check_names(structure, &mut findings);
    for tensor in structure.tensors.iter().filter(|tensor| tensor.length == 0) {
        findings.note("tensor_empty", Severity::Info, tensor.offset, &tensor.name, "has no elements");
    }
    findings.into_list()
}

fn check_header(structure: &Structure, findings: &mut Findings) {
    let header_bytes = structure.structure_bytes.saturating_sub(LENGTH_BYTES);
    if header_bytes > HUB_HEADER_BYTES_MAX {
        let message = format!(
            "the header has {header_bytes} bytes; huggingface_hub reads no header above {HUB_HEADER_BYTES_MAX} bytes"
        );
        findings.say("header_above_hub_limit", Severity::Error, 0, message);
    }
    if !structure.structure_bytes.is_multiple_of(8) {
        let message =
            "the header's length is no multiple of 8, so tensors are not aligned for memory-mapping".to_owned();
        findings.say("header_unaligned", Severity::Warning, 0, message);
    }
}

fn check_framework(structure: &Structure, findings: &mut Findings) {
    let format = structure.metadata.iter().find(|(key, _)| &**key == "format").map(|(_, value)| value);
    if !format.and_then(Value::as_text).is_some_and(|text| FRAMEWORKS.contains(&text)) {
        let message = "the metadata names no framework (format: pt, tf, flax or mlx), which transformers asks for";
        findings.say("framework_unknown", Severity::Info, LENGTH_BYTES, message.to_owned());
    }
}

fn check_alignment(structure: &Structure, findings: &mut Findings) {
    let unaligned = |offset: u64, bytes: u64| !offset.is_multiple_of(bytes);
    for tensor in structure.tensors.iter().filter(|tensor| unaligned(tensor.offset, tensor.dtype.block().bytes)) {
        let message = "does not begin at a multiple of its element's size; loaders that map the file must copy it";
        findings.note("tensor_unaligned", Severity::Warning, tensor.offset, &tensor.name, message);
    }
}
