//! Tensors into another format: a model's tensors as one safetensors file of the server.

use std::collections::HashSet;
use std::io::{self, BufWriter, Write};

use formats::describe::MetadataWriter;
use formats::{ByteOrder, Dtype, Format, Reading};
use pgrx::prelude::*;
use serde_json::{Map, json};

use crate::pg::error::{PgResult, code, fault, format_fault};
use crate::pg::interrupt::{self, Backend};
use crate::server_file::NewFile;
use crate::stored_file::StoredFile;
use crate::stored_tensor::{StoredTensor, WINDOW_ELEMENTS};
use crate::tensor::structure_for_import;

/// The header is padded to this, so that the data is aligned for any element.
const HEADER_ALIGNMENT: usize = 8;
/// Bytes copied at a time.
const COPIED_BYTES: u64 = 1 << 20;
/// Longer metadata values, templates and licences, stay behind.
const METADATA_BYTES_MAX: usize = 1 << 16;

#[pg_extern(stable, strict)]
fn export_tensors(model: &str, path: &str, format: default!(&str, "'safetensors'")) -> PgResult<i64> {
    if !format.eq_ignore_ascii_case(Format::Safetensors.name()) {
        return Err(fault(code::UNSUPPORTED, format!("tensors cannot be written as \"{format}\""))
            .set_hint("Tensors can be written as safetensors; export_file gives a file back as it was stored."));
    }
    let mut tensors = StoredTensor::of_model(model)?;
    refuse_namesakes(&tensors, model)?;
    // The order of the official writer: types with the widest elements first, so that every tensor is aligned.
    tensors.sort_by(|a, b| {
        let width = |tensor: &StoredTensor| dtype_written(tensor).block().bytes;
        width(b).cmp(&width(a)).then_with(|| a.name.cmp(&b.name))
    });
    let header = header(&tensors, metadata(model)?);
    let mut new = NewFile::create(path)?;
    let bytes = write(&tensors, &header, &mut new)?;
    new.keep()?;
    Ok(bytes as i64)
}

/// One file has room for one tensor of a name.
fn refuse_namesakes(tensors: &[StoredTensor], model: &str) -> PgResult<()> {
    let mut seen = HashSet::new();
    match tensors.iter().find(|tensor| !seen.insert(tensor.name.as_str())) {
        None => Ok(()),
        Some(tensor) => Err(fault(
            code::ARGUMENT,
            format!("files of model \"{model}\" hold different tensors named \"{}\"", tensor.name),
        )
        .set_hint("export_model gives the files back as they were stored.")),
    }
}

/// Returns the type that a tensor is written in: block types of ggml, which safetensors does not have, become F32, in which they are
/// defined.
fn dtype_written(tensor: &StoredTensor) -> Dtype {
    if tensor.dtype.is_quantized() { Dtype::F32 } else { tensor.dtype }
}

fn bytes_written(tensor: &StoredTensor) -> u64 {
    if tensor.dtype.is_quantized() { tensor.elements() * 4 } else { tensor.size_bytes }
}

/// Returns what the model's files say about themselves, as far as it is short; `format` is what transformers asks for.
fn metadata(model: &str) -> PgResult<Map<String, serde_json::Value>> {
    let read = |error| format_fault(&error);
    let mut metadata = Map::new();
    metadata.insert("format".to_owned(), json!("pt"));
    for stored in StoredFile::of_model(model, None)? {
        let Reading::Structured(structure) = structure_for_import(&stored)? else { continue };
        let writer = MetadataWriter::new(&stored, &structure, 0, &Backend).map_err(read)?;
        for (key, value) in structure.metadata.iter().filter(|(_, value)| !matches!(value, formats::Value::Array(_))) {
            let text = writer.text(value).map_err(read)?;
            if text.len() <= METADATA_BYTES_MAX {
                metadata.insert(key.to_string(), json!(text));
            }
        }
    }
    Ok(metadata)
}

/// Returns the header with its length before it.
fn header(tensors: &[StoredTensor], metadata: Map<String, serde_json::Value>) -> Vec<u8> {
    let mut entries = Map::new();
    entries.insert("__metadata__".to_owned(), serde_json::Value::Object(metadata));
    let mut end = 0;
    for tensor in tensors {
        let begin = end;
        end += bytes_written(tensor);
        let entry = json!({"dtype": dtype_written(tensor).name(), "shape": tensor.shape, "data_offsets": [begin, end]});
        entries.insert(tensor.name.clone(), entry);
    }
    let mut text = serde_json::Value::Object(entries).to_string();
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(HEADER_ALIGNMENT) - text.len()));
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.extend_from_slice(text.as_bytes());
    header
}

/// Writes header and data; returns how many bytes that were.
fn write(tensors: &[StoredTensor], header: &[u8], new: &mut NewFile) -> PgResult<u64> {
    let mut written = header.len() as u64;
    let mut out = BufWriter::with_capacity(COPIED_BYTES as usize, new.file());
    let mut result = out.write_all(header);
    for tensor in tensors {
        if result.is_ok() {
            result = match tensor.dtype.is_quantized() {
                true => write_decoded(tensor, &mut out)?,
                false => write_copied(tensor, &mut out)?,
            };
            written += bytes_written(tensor);
        }
    }
    let result = result.and_then(|()| out.flush());
    drop(out);
    result.map(|()| written).map_err(|error| new.fault("write", &error))
}

/// Writes the bytes as they are stored, big-endian ones turned round.
fn write_copied(tensor: &StoredTensor, out: &mut impl Write) -> PgResult<io::Result<()>> {
    let width = match tensor.dtype {
        // Two numbers of four bytes.
        Dtype::C64 => 4,
        dtype => dtype.block().bytes as usize,
    };
    for start in (0..tensor.size_bytes).step_by(COPIED_BYTES as usize) {
        interrupt::check();
        let mut bytes = tensor.bytes(start, (tensor.size_bytes - start).min(COPIED_BYTES))?;
        if tensor.order == ByteOrder::Big {
            bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        if let Err(error) = out.write_all(&bytes) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// Writes the values as F32.
fn write_decoded(tensor: &StoredTensor, out: &mut impl Write) -> PgResult<io::Result<()>> {
    let (mut values, mut stored, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    let elements = tensor.elements();
    for start in (0..elements).step_by(WINDOW_ELEMENTS) {
        values.resize((elements - start).min(WINDOW_ELEMENTS as u64) as usize, 0.0);
        tensor.values(start, &mut values, &mut stored)?;
        bytes.clear();
        bytes.extend(values.iter().flat_map(|&value| (value as f32).to_le_bytes()));
        if let Err(error) = out.write_all(&bytes) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}
