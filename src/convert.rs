//! Tensors into another format: a model's tensors as one safetensors file of the server.

use std::collections::HashSet;
use std::io::{BufWriter, Write};

use formats::describe::MetadataWriter;
use formats::{ByteOrder, Dtype, Format, Reading, Value};
use pgrx::prelude::*;
use serde_json::{Map, json};

use crate::pg::error::{PgResult, code, fault, format_fault};
use crate::pg::interrupt::{self, Backend};
use crate::server_file::{NewFile, io_fault};
use crate::stored_file::StoredFile;
use crate::stored_tensor::StoredTensor;
use crate::tensor::structure_for_import;
use crate::verify::{damaged_file, file_problems};

/// The header is padded to this, so that the data is aligned for any element.
const HEADER_ALIGNMENT: usize = 8;
/// Bytes copied at a time.
const COPIED_BYTES: u64 = 1 << 20;
/// The one key of a header that is no tensor.
const METADATA_KEY: &str = "__metadata__";
/// Metadata that would make more of a header, such as templates and licences, stays behind.
const METADATA_BYTES_MAX: usize = 1 << 20;
/// Longer headers are refused by the official reader.
const HEADER_BYTES_MAX: usize = 100_000_000;

#[pg_extern(stable, strict)]
fn export_tensors(model: &str, path: &str, format: default!(&str, "'safetensors'")) -> PgResult<i64> {
    if !format.eq_ignore_ascii_case(Format::Safetensors.name()) {
        return Err(fault(code::UNSUPPORTED, format!("tensors cannot be written as \"{format}\""))
            .set_hint("Tensors can be written as safetensors; export_file gives a file back as it was stored."));
    }
    let mut tensors = StoredTensor::of_model(model)?;
    refuse_names(&tensors, model)?;
    let files = StoredFile::of_model(model, None)?;
    refuse_damage(&files)?;
    // The order of the official writer: types with the widest elements first, so that every tensor is aligned.
    tensors.sort_by(|a, b| {
        let width = |tensor: &StoredTensor| dtype_written(tensor).block().bytes;
        width(b).cmp(&width(a)).then_with(|| a.name.cmp(&b.name))
    });
    let header = header(&tensors, metadata(&files)?);
    if header.len() > HEADER_BYTES_MAX {
        return Err(fault(code::LIMIT, format!("the header of {} tensors would be too long", tensors.len()))
            .set_detail(format!("It would have {} bytes; readers take {HEADER_BYTES_MAX}.", header.len())));
    }
    let mut new = NewFile::create(path)?;
    write(&tensors, &header, path, &mut new)?;
    new.keep()?;
    Ok(header.len() as i64 + tensors.iter().map(bytes_written).sum::<u64>() as i64)
}

/// Refuses tensors that one file cannot hold: two of one name, and one that has the name of the metadata.
fn refuse_names(tensors: &[StoredTensor], model: &str) -> PgResult<()> {
    let mut seen = HashSet::from([METADATA_KEY]);
    if tensors.iter().any(|tensor| tensor.name == METADATA_KEY) {
        return Err(fault(code::ARGUMENT, format!("a safetensors file cannot hold a tensor named \"{METADATA_KEY}\"")));
    }
    match tensors.iter().find(|tensor| !seen.insert(tensor.name.as_str())) {
        None => Ok(()),
        Some(tensor) => Err(fault(
            code::ARGUMENT,
            format!("files of model \"{model}\" hold different tensors named \"{}\"", tensor.name),
        )
        .set_hint("export_model gives the files back as they were stored.")),
    }
}

/// Hashes the files of the model: what is damaged must not get into a file that looks sound.
fn refuse_damage(files: &[StoredFile]) -> PgResult<()> {
    match files.iter().find(|stored| !file_problems(stored).is_empty()) {
        Some(stored) => Err(damaged_file(stored)),
        None => Ok(()),
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

/// Returns what the model's files say about themselves, as far as there is room; `format` is what transformers asks for.
fn metadata(files: &[StoredFile]) -> PgResult<Map<String, serde_json::Value>> {
    let read = |error| format_fault(&error);
    let mut metadata = Map::new();
    let mut room = METADATA_BYTES_MAX;
    for stored in files {
        let Reading::Structured(structure) = structure_for_import(stored)? else { continue };
        let writer = MetadataWriter::new(stored, &structure, 0, &Backend).map_err(read)?;
        // In other formats than safetensors the key `format` has another meaning.
        let is_kept = |key: &str, value: &Value| {
            !matches!(value, Value::Array(_)) && (key != "format" || structure.format == Format::Safetensors)
        };
        for (key, value) in structure.metadata.iter().filter(|(key, value)| is_kept(key, value)) {
            let text = json!(writer.text(value).map_err(read)?);
            // As JSON, where a character may take six bytes.
            if let Some(left) = room.checked_sub(json!(key).to_string().len() + text.to_string().len()) {
                room = left;
                metadata.insert(key.to_string(), text);
            }
        }
    }
    metadata.entry("format").or_insert(json!("pt"));
    Ok(metadata)
}

/// Returns the header with its length before it.
fn header(tensors: &[StoredTensor], metadata: Map<String, serde_json::Value>) -> Vec<u8> {
    let mut entries = Map::new();
    entries.insert(METADATA_KEY.to_owned(), serde_json::Value::Object(metadata));
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

/// Writes header and data.
fn write(tensors: &[StoredTensor], header: &[u8], path: &str, new: &mut NewFile) -> PgResult<()> {
    let mut out = BufWriter::with_capacity(COPIED_BYTES as usize, new.file());
    let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(|error| io_fault("write", path.as_ref(), &error));
    put(header)?;
    for tensor in tensors {
        match tensor.dtype.is_quantized() {
            true => write_decoded(tensor, &mut put)?,
            false => write_copied(tensor, &mut put)?,
        }
    }
    out.flush().map_err(|error| io_fault("write", path.as_ref(), &error))
}

/// Writes the bytes as they are stored, big-endian ones turned round.
fn write_copied(tensor: &StoredTensor, put: &mut impl FnMut(&[u8]) -> PgResult<()>) -> PgResult<()> {
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
        put(&bytes)?;
    }
    Ok(())
}

/// Writes the values as F32.
fn write_decoded(tensor: &StoredTensor, put: &mut impl FnMut(&[u8]) -> PgResult<()>) -> PgResult<()> {
    let mut bytes = Vec::new();
    tensor.each_window(|values| {
        bytes.clear();
        bytes.extend(values.iter().flat_map(|&value| (value as f32).to_le_bytes()));
        put(&bytes)
    })
}
