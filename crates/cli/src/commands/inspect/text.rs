//! The readable form of a file's description.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::figures::{grouped, parameters};
use crate::output::{Align, Table, count, printable, shape, size};

/// Characters of a name or a metadata value that are shown unless all are asked for.
const CHARS_SHOWN: usize = 100;
/// Entries of the metadata that are shown unless all are asked for.
const ENTRIES_SHOWN: usize = 60;

/// How much is shown.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// Tensors at most.
    pub tensors: usize,
    /// Metadata without any shortening.
    pub whole: bool,
}

/// What a description says, by name; the metadata is read from the document.
#[derive(Debug, Deserialize)]
pub struct FileView<'a> {
    path: &'a str,
    /// Name of the format.
    pub format: &'a str,
    /// Variant within the format.
    pub variant: Option<&'a str>,
    reason: &'a str,
    /// Size of the file.
    pub size_bytes: u64,
    byte_order: Option<&'a str>,
    structure_bytes: Option<u64>,
    /// Elements of all tensors.
    pub parameters: Option<u64>,
    /// The tensors, where the structure was read.
    pub tensors: Option<Vec<TensorView<'a>>>,
    findings: Vec<FindingView<'a>>,
    error: Option<ErrorView<'a>>,
}

/// A tensor of a description.
#[derive(Debug, Deserialize)]
pub struct TensorView<'a> {
    name: &'a str,
    dtype: &'a str,
    shape: Vec<u64>,
    byte_offset: u64,
    size_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct FindingView<'a> {
    rule: &'a str,
    severity: &'a str,
    byte_offset: u64,
    message: &'a str,
}

#[derive(Debug, Deserialize)]
struct ErrorView<'a> {
    message: &'a str,
    detail: Option<&'a str>,
    hint: Option<&'a str>,
}

impl<'a> FileView<'a> {
    /// Reads a description.
    pub fn of(document: &'a Json) -> Result<Self> {
        Self::deserialize(document).map_err(|error| Failure::new(Exit::Other, format!("a description: {error}")))
    }
}

/// Returns a format with its variant: `gguf (v3)`.
pub fn named(format: &str, variant: Option<&str>) -> String {
    match variant {
        Some(variant) => format!("{} ({})", printable(format), printable(variant)),
        None => printable(format),
    }
}

/// Returns the text of one file: a headline, then what there is of error, tensors, types, metadata and findings.
pub fn file(document: &Json, shown: &Shown) -> Result<String> {
    let view = FileView::of(document)?;
    let mut sections = vec![headline(&view)];
    sections.extend(view.error.as_ref().map(error));
    let tensors = view.tensors.as_deref().unwrap_or_default();
    if !tensors.is_empty() {
        sections.push(tensor_table(tensors, shown));
        sections.push(dtype_table(tensors));
    }
    let metadata = document.get("metadata").and_then(Json::as_object).filter(|entries| !entries.is_empty());
    sections.extend(metadata.map(|entries| metadata_list(entries, shown.whole)));
    // The error is a finding too, and was told already.
    if view.error.is_none() && !view.findings.is_empty() {
        sections.push(finding_list(&view.findings));
    }
    Ok(sections.join("\n"))
}

fn headline(view: &FileView<'_>) -> String {
    let mut facts = vec![named(view.format, view.variant), exact_size(view.size_bytes)];
    match (&view.tensors, view.parameters) {
        (Some(tensors), Some(elements)) => {
            facts.push(count(tensors.len() as u64, "tensor", "tensors"));
            facts.push(format!("{} parameters", exact_parameters(elements)));
        }
        _ => facts.push("structure not read".to_owned()),
    }
    let mut text = format!("{}: {}\n", printable(view.path), facts.join(", "));
    if let Some(bytes) = view.structure_bytes {
        let order = view.byte_order.filter(|order| *order != "little");
        let order = order.map(|order| format!(", {order}-endian numbers")).unwrap_or_default();
        text.push_str(&format!("  data begins at byte {}{order}\n", grouped(bytes)));
    }
    text.push_str(&format!("  {}\n", printable(view.reason)));
    text
}

fn exact_size(bytes: u64) -> String {
    if bytes < 1000 { size(bytes) } else { format!("{} ({} bytes)", size(bytes), grouped(bytes)) }
}

fn exact_parameters(elements: u64) -> String {
    if elements < 1000 { grouped(elements) } else { format!("{} ({})", parameters(elements), grouped(elements)) }
}

fn error(error: &ErrorView<'_>) -> String {
    let mut text = format!("ERROR:  {}\n", printable(error.message));
    for (label, words) in [("DETAIL", error.detail), ("HINT", error.hint)] {
        if let Some(words) = words {
            text.push_str(&format!("{label}:  {}\n", printable(words)));
        }
    }
    text
}

fn tensor_table(tensors: &[TensorView<'_>], shown: &Shown) -> String {
    let mut table = Table::new([
        ("TENSOR", Align::Left),
        ("DTYPE", Align::Left),
        ("SHAPE", Align::Left),
        ("SIZE", Align::Right),
        ("OFFSET", Align::Right),
    ]);
    for tensor in tensors.iter().take(shown.tensors) {
        table.row([
            shortened(tensor.name.to_owned(), shown.whole),
            tensor.dtype.to_owned(),
            shape(&tensor.shape),
            size(tensor.size_bytes),
            tensor.byte_offset.to_string(),
        ]);
    }
    let more = tensors.len().saturating_sub(shown.tensors);
    match (shown.tensors, more) {
        (0, _) => format!("{} (--all lists them)\n", count(more as u64, "tensor", "tensors")),
        (_, 0) => table.render(),
        _ => format!("{}... and {} more (--all lists them)\n", table.render(), grouped(more as u64)),
    }
}

/// What the tensors of one type have together.
#[derive(Default)]
struct Share {
    tensors: u64,
    elements: u64,
    bytes: u64,
}

fn dtype_table(tensors: &[TensorView<'_>]) -> String {
    let mut shares: BTreeMap<&str, Share> = BTreeMap::new();
    for tensor in tensors {
        let share = shares.entry(tensor.dtype).or_default();
        let elements = tensor.shape.iter().fold(1_u64, |product, dimension| product.saturating_mul(*dimension));
        share.tensors += 1;
        share.elements = share.elements.saturating_add(elements);
        share.bytes = share.bytes.saturating_add(tensor.size_bytes);
    }
    let mut shares: Vec<(&str, Share)> = shares.into_iter().collect();
    shares.sort_by_key(|(_, share)| std::cmp::Reverse(share.bytes));
    let mut table = Table::new([
        ("DTYPE", Align::Left),
        ("TENSORS", Align::Right),
        ("PARAMETERS", Align::Right),
        ("SIZE", Align::Right),
    ]);
    for (dtype, share) in shares {
        table.row([dtype.to_owned(), grouped(share.tensors), parameters(share.elements), size(share.bytes)]);
    }
    table.render()
}

fn metadata_list(entries: &serde_json::Map<String, Json>, whole: bool) -> String {
    let shown = if whole { entries.len() } else { ENTRIES_SHOWN };
    let mut text = "metadata\n".to_owned();
    for (key, value) in entries.iter().take(shown) {
        let key = shortened(printable(key), whole);
        text.push_str(&format!("  {key}: {}\n", value_line(value, whole)));
    }
    let more = entries.len().saturating_sub(shown);
    if more > 0 {
        text.push_str(&format!("  ... and {} more (--full lists them)\n", grouped(more as u64)));
    }
    text
}

fn value_line(value: &Json, whole: bool) -> String {
    let line = match value {
        Json::String(text) => printable(text),
        Json::Object(summary) => match (summary.get("$array").and_then(Json::as_str), summary.get("length")) {
            (Some(element), Some(Json::Number(length))) => {
                return format!("{element} array, {} elements", grouped(length.as_u64().unwrap_or(0)));
            }
            _ => summary.get("$hex").and_then(Json::as_str).map(|digits| format!("bytes {digits}")).unwrap_or_default(),
        },
        other => printable(&other.to_string()),
    };
    shortened(line, whole)
}

/// Returns text that does not fill the screen, and says how much there is.
fn shortened(text: String, whole: bool) -> String {
    let chars = text.chars().count();
    if whole || chars <= CHARS_SHOWN {
        return text;
    }
    let begin: String = text.chars().take(CHARS_SHOWN).collect();
    format!("{begin}... ({} characters)", grouped(chars as u64))
}

fn finding_list(findings: &[FindingView<'_>]) -> String {
    let mut text = "findings\n".to_owned();
    for finding in findings {
        let FindingView { rule, severity, byte_offset, message } = finding;
        text.push_str(&format!("  {severity}: {} ({rule}, at byte {})\n", printable(message), grouped(*byte_offset)));
    }
    text
}
