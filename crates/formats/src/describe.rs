//! A file's structure as one JSON document, for people and programs that ask what a file is.

use crate::gguf::{self, ArrayReader, Dialect};
use crate::{
    Array, ByteOrder, Detection, Fault, FileFormat, Finding, Format, FormatError, Limits, ReadAt, Severity, Structure,
    Tensor, Value,
};
use atom::Interrupt;
use serde_json::{Map, Value as Json, json};
use std::cell::Cell;

/// Elements of an array that are shown unless all are asked for.
pub const ARRAY_ELEMENTS_SHOWN: u64 = 1024;
/// Elements of all arrays that one description shows: a document takes many times the bytes of the file.
pub const ELEMENTS_MAX: u64 = 4 << 20;
/// Tensors that one description shows.
pub const TENSORS_MAX: u64 = 100_000;

/// Writes the metadata of one file as JSON.
pub struct MetadataWriter<'a> {
    source: &'a dyn ReadAt,
    interrupt: &'a dyn Interrupt,
    dialect: Option<Dialect>,
    elements_max: u64,
    /// Elements that may still be shown, in all arrays together.
    elements_left: Cell<u64>,
}

impl<'a> MetadataWriter<'a> {
    /// Begins with a file that was read; arrays of more elements than `elements_max` are summarised.
    ///
    /// Errors: the source cannot be read.
    pub fn new(
        source: &'a dyn ReadAt,
        structure: &Structure,
        elements_max: u64,
        interrupt: &'a dyn Interrupt,
    ) -> Result<Self, FormatError> {
        let dialect = match structure.format {
            Format::Gguf => Some(gguf::dialect_of(source, interrupt)?),
            Format::Safetensors => None,
        };
        let elements_left = Cell::new(ELEMENTS_MAX);
        Ok(MetadataWriter { source, interrupt, dialect, elements_max, elements_left })
    }

    /// Returns a value as JSON.
    ///
    /// Numbers are exact; NaN and infinities are strings; what JSON text of PostgreSQL cannot hold (bytes that are no UTF-8, U+0000) is
    /// `{"$hex": "..."}`; an array that is too long to show is `{"$array": "string", "length": 32000}`.
    ///
    /// Errors: more than [`ELEMENTS_MAX`] elements were shown; the source cannot be read, or is not what it was; interruption.
    pub fn json(&self, value: &Value) -> Result<Json, FormatError> {
        Ok(match value {
            Value::U8(value) => json!(value),
            Value::I8(value) => json!(value),
            Value::U16(value) => json!(value),
            Value::I16(value) => json!(value),
            Value::U32(value) => json!(value),
            Value::I32(value) => json!(value),
            Value::U64(value) => json!(value),
            Value::I64(value) => json!(value),
            // The shortest decimal that leads back to the same bits, as a 64-bit number would not give.
            Value::F32(value) => value.to_string().parse().map_or(Json::Null, float),
            Value::F64(value) => float(*value),
            Value::Bool(value) => json!(value),
            Value::Text(text) if text.contains('\0') => hex(text.as_bytes()),
            Value::Text(text) => json!(text),
            Value::Bytes(bytes) => hex(bytes),
            Value::Array(array) => self.array(array)?,
        })
    }

    /// Returns a value as text: what it says, for text; else its JSON.
    ///
    /// Errors: as for [`MetadataWriter::json`].
    pub fn text(&self, value: &Value) -> Result<String, FormatError> {
        Ok(match self.json(value)? {
            Json::String(text) => text,
            other => other.to_string(),
        })
    }

    fn array(&self, array: &Array) -> Result<Json, FormatError> {
        let Some(dialect) = self.dialect.filter(|_| array.count <= self.elements_max) else {
            return Ok(json!({ "$array": array.element.name(), "length": array.count }));
        };
        match self.elements_left.get().checked_sub(array.count) {
            Some(left) => self.elements_left.set(left),
            None => {
                return Err(too_many("elements of arrays in one description", array.count, ELEMENTS_MAX, array.offset));
            }
        }
        let mut elements = Vec::new();
        let mut reader = ArrayReader::new(self.source, dialect, array, self.interrupt);
        while let Some(element) = reader.next()? {
            elements.push(self.json(&element)?);
        }
        Ok(Json::Array(elements))
    }
}

fn too_many(what: &'static str, value: u64, limit: u64, offset: u64) -> FormatError {
    Fault::Limit { what, within: None, value, limit }.at(offset)
}

fn float(value: f64) -> Json {
    match serde_json::Number::from_f64(value) {
        Some(number) => Json::Number(number),
        None if value.is_nan() => json!("NaN"),
        None if value > 0.0 => json!("Infinity"),
        None => json!("-Infinity"),
    }
}

fn hex(bytes: &[u8]) -> Json {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "$hex": digits })
}

/// Returns all that is known of a file as JSON: what it is and why, its structure where it is read, else the error.
///
/// Arrays of the metadata with more than `elements_max` elements are summarised.  Errors: the source cannot be read; interruption.
pub fn file_json(
    source: &dyn ReadAt,
    limits: &Limits,
    elements_max: u64,
    interrupt: &dyn Interrupt,
) -> Result<Map<String, Json>, FormatError> {
    let detection = crate::detect(source, limits, interrupt)?;
    let mut document = Map::new();
    document.insert("format".to_owned(), json!(detection.format.name()));
    document.insert("variant".to_owned(), json!(detection.variant));
    document.insert("confidence".to_owned(), json!(detection.confidence));
    document.insert("reason".to_owned(), json!(detection.reason));
    document.insert("size_bytes".to_owned(), json!(source.size()));
    let Some(format) = Format::of(source, limits)? else {
        let findings: Vec<Json> = findings_of_opaque(&detection).iter().map(finding_json).collect();
        document.insert("findings".to_owned(), Json::Array(findings));
        return Ok(document);
    };
    match format.read(source, limits, interrupt) {
        Ok(structure) => {
            document.insert("format".to_owned(), json!(structure.format.name()));
            let metadata = MetadataWriter::new(source, &structure, elements_max, interrupt)?;
            document.append(&mut structure_json(&structure, &metadata)?);
        }
        Err(error @ FormatError::Refused { .. }) => {
            document.insert("error".to_owned(), error_json(&error));
            document.insert("findings".to_owned(), Json::Array(vec![finding_json(&refused(&error))]));
        }
        Err(error) => return Err(error),
    }
    Ok(document)
}

fn error_json(error: &FormatError) -> Json {
    json!({
        "kind": error.kind().name(),
        "message": error.to_string(),
        "detail": error.detail(),
        "hint": error.hint(),
        "byte_offset": error.offset(),
    })
}

/// Returns what is worth knowing of a file, read or not.
///
/// Errors: the source cannot be read; interruption.
pub fn findings(source: &dyn ReadAt, limits: &Limits, interrupt: &dyn Interrupt) -> Result<Vec<Finding>, FormatError> {
    let Some(format) = Format::of(source, limits)? else {
        return Ok(findings_of_opaque(&crate::detect(source, limits, interrupt)?));
    };
    match format.read(source, limits, interrupt) {
        Ok(structure) => Ok(structure.findings),
        Err(error @ FormatError::Refused { .. }) => Ok(vec![refused(&error)]),
        Err(error) => Err(error),
    }
}

/// The finding of a file that breaks a rule of its format.
fn refused(error: &FormatError) -> Finding {
    let message = match error.detail() {
        Some(detail) => format!("{error}: {}", detail.trim_end_matches('.')),
        None => error.to_string(),
    };
    Finding { rule: "structure_refused", severity: Severity::Error, offset: error.offset(), message }
}

/// The finding of a file that is no model file, although its name may say so.
fn findings_of_opaque(detection: &Detection) -> Vec<Finding> {
    let rule = match (detection.format, detection.variant.as_deref()) {
        (FileFormat::LfsPointer, _) => "lfs_pointer",
        (FileFormat::Html, _) => "html_page",
        (FileFormat::Empty, _) => "file_empty",
        (_, Some(variant)) if variant.ends_with("truncated") => "file_truncated",
        _ => return Vec::new(),
    };
    vec![Finding { rule, severity: Severity::Error, offset: 0, message: detection.reason.clone() }]
}

/// Returns a structure as JSON: `tensors`, `metadata`, `findings` and what else the file's header says.
///
/// Errors: as for [`MetadataWriter::json`].
pub fn structure_json(structure: &Structure, metadata: &MetadataWriter<'_>) -> Result<Map<String, Json>, FormatError> {
    let tensors = structure.tensors.len() as u64;
    if tensors > TENSORS_MAX {
        return Err(too_many("tensors in one description", tensors, TENSORS_MAX, 0));
    }
    let mut entries = Map::new();
    for (number, (key, value)) in structure.metadata.iter().enumerate() {
        let mut shown = key.replace('\0', "\u{2400}");
        if entries.contains_key(&shown) {
            // Two keys that differ in how they hold U+0000: no entry may hide another.
            shown.push_str(&format!("\u{2400}{number}"));
        }
        entries.insert(shown, metadata.json(value)?);
    }
    let parameters = structure.tensors.iter().fold(0_u64, |sum, tensor| sum.saturating_add(tensor.elements()));
    let document = json!({
        "byte_order": match structure.byte_order { ByteOrder::Little => "little", ByteOrder::Big => "big" },
        "structure_bytes": structure.structure_bytes,
        "parameters": parameters,
        "tensors": structure.tensors.iter().map(tensor_json).collect::<Vec<_>>(),
        "metadata": entries,
        "findings": structure.findings.iter().map(finding_json).collect::<Vec<_>>(),
    });
    match document {
        Json::Object(map) => Ok(map),
        _ => Ok(Map::new()),
    }
}

fn tensor_json(tensor: &Tensor) -> Json {
    json!({
        "name": tensor.name.replace('\0', "\u{2400}"),
        "dtype": tensor.dtype.name(),
        "shape": tensor.shape,
        "byte_offset": tensor.offset,
        "size_bytes": tensor.length,
    })
}

fn finding_json(finding: &Finding) -> Json {
    json!({
        "rule": finding.rule,
        "severity": finding.severity.name(),
        "byte_offset": finding.offset,
        "message": finding.message,
    })
}
