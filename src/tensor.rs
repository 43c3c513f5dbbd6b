//! Tensors: what a file holds, stored or not, and their bytes.

use formats::{ByteOrder, Bytes, FileFormat, Format, FormatError, ReadAt, Reading, Structure, Tensor};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::atom::{BYTEA_BYTES_MAX, clamp, too_long};
use crate::pg::error::{PgResult, code, fault, format_fault};
use crate::pg::interrupt::Backend;
use crate::pg::segment::PartReader;
use crate::pg::{guc, spi};
use crate::server_file::ServerFile;
use crate::stored_file::StoredFile;
use crate::stored_tensor::{LAYOUT_BIG_ENDIAN, LAYOUT_CONTIGUOUS, StoredTensor};

/// Rows of `extract_model_tensors` for a file that is not stored.
type Tensors = TableIterator<
    'static,
    (
        name!(tensor, String),
        name!(dtype, String),
        name!(shape, Vec<i64>),
        name!(byte_offset, i64),
        name!(size_bytes, i64),
    ),
>;

#[pg_extern(stable, parallel_safe)]
fn extract_tensors_of_bytes(file_data: Option<&[u8]>, format: default!(Option<&str>, "NULL")) -> PgResult<Tensors> {
    match file_data {
        Some(bytes) => Ok(tensor_rows(read_as(&Bytes(bytes), format)?)),
        None => Ok(TableIterator::new(Vec::new())),
    }
}

#[pg_extern(stable)]
fn extract_server_file_tensors(path: Option<&str>, format: default!(Option<&str>, "NULL")) -> PgResult<Tensors> {
    let Some(path) = path else { return Ok(TableIterator::new(Vec::new())) };
    Ok(tensor_rows(read_as(&ServerFile::open(path.as_ref())?.into_source()?, format)?))
}

/// Reads a file of the format named, or of the one its structure shows; 22P03 when it is malformed, 0A000 when it is none.
fn read_as(source: &dyn ReadAt, format: Option<&str>) -> PgResult<Structure> {
    let limits = guc::limits();
    let named = format.map(str::to_ascii_lowercase);
    let format = match named.as_deref().map(|name| (name, Format::from_name(name))) {
        Some((name, None)) => return Err(not_read(format!("format \"{name}\" is not read"))),
        Some((_, format)) => format,
        None => Format::of(source, &limits).map_err(|error| format_fault(&error))?,
    };
    match format {
        Some(format) => format.read(source, &limits, &Backend).map_err(|error| format_fault(&error)),
        None => {
            let detection = formats::detect(source, &limits, &Backend).map_err(|error| format_fault(&error))?;
            Err(not_read("the bytes are not of a format that is read".to_owned()).set_detail(format!(
                "They look like {}: {}.",
                detection.format.name(),
                detection.reason
            )))
        }
    }
}

fn not_read(message: String) -> ErrorReport {
    let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    fault(code::UNSUPPORTED, message)
        .set_hint(format!("Formats read: {}.  Files of any other format are stored whole.", names.join(", ")))
}

fn tensor_rows(structure: Structure) -> Tensors {
    TableIterator::new(structure.tensors.into_iter().map(|tensor| {
        let shape = shape_of(&tensor);
        (tensor.name.into_string(), tensor.dtype.name().to_owned(), shape, tensor.offset as i64, tensor.length as i64)
    }))
}

/// Dimensions as SQL has them.  A dimension above 2^63 stands beside a zero only, and is shown as the largest bigint.
fn shape_of(tensor: &Tensor) -> Vec<i64> {
    tensor.shape.iter().map(|&dimension| i64::try_from(dimension).unwrap_or(i64::MAX)).collect()
}

/// Reads the structure of a file that is imported.  What SQL cannot hold makes it opaque, with the reason.
pub fn structure_for_import(source: &dyn ReadAt) -> PgResult<Reading> {
    let reading = formats::read(source, &guc::limits(), &Backend).map_err(|error: FormatError| format_fault(&error))?;
    let unstorable = match &reading {
        Reading::Structured(structure) => structure.tensors.iter().position(|tensor| tensor.name.contains('\0')),
        Reading::Opaque { .. } => None,
    };
    match unstorable {
        Some(index) => Ok(Reading::Opaque { reason: Some(format!("the name of tensor {index} holds U+0000")) }),
        None => Ok(reading),
    }
}

/// Rows that go into one statement.
const ROWS_PER_STATEMENT: usize = 10_000;

#[pg_extern(strict)]
fn index_tensors(file_id: i64) -> PgResult<i64> {
    let stored = StoredFile::by_id(file_id)?;
    match structure_for_import(&stored)? {
        Reading::Opaque { reason } => {
            let reason = match reason {
                Some(reason) => Some(reason),
                None => recognised(&stored)?,
            };
            spi::run("UPDATE atoms.model_file SET note = $2 WHERE file_id = $1", &[file_id.into(), reason.into()]);
            Ok(0)
        }
        Reading::Structured(structure) => {
            spi::run(
                "UPDATE atoms.model_file SET format = $2, variant = $3 WHERE file_id = $1",
                &[file_id.into(), structure.format.name().into(), structure.variant.clone().into()],
            );
            for tensors in structure.tensors.chunks(ROWS_PER_STATEMENT) {
                insert_tensors(file_id, tensors, layout_of(&structure));
            }
            insert_tensor_parts(file_id, &structure.tensors);
            Ok(structure.tensors.len() as i64)
        }
    }
}

/// Says what a file is that is kept as bytes; None when nothing is known of it.
fn recognised(stored: &StoredFile) -> PgResult<Option<String>> {
    let detection = formats::detect(stored, &guc::limits(), &Backend).map_err(|error| format_fault(&error))?;
    let variant = detection.variant.map(|variant| format!(" ({variant})")).unwrap_or_default();
    Ok((detection.format != FileFormat::Unknown)
        .then(|| format!("{}{variant}, kept as bytes: {}", detection.format.name(), detection.reason)))
}

/// The word of `tensor.layout` for a file whose tensors lie in one piece each.
fn layout_of(structure: &Structure) -> &'static str {
    match structure.byte_order {
        ByteOrder::Little => LAYOUT_CONTIGUOUS,
        ByteOrder::Big => LAYOUT_BIG_ENDIAN,
    }
}

fn insert_tensors(file_id: i64, tensors: &[Tensor], layout: &str) {
    const INSERT: &str = "INSERT INTO atoms.tensor (file_id, name, dtype, shape, byte_offset, size_bytes, layout) \
        SELECT $1, u.name, u.dtype, u.shape::pg_catalog.int8[], u.byte_offset, u.size_bytes, $7 \
        FROM unnest($2, $3, $4, $5, $6) WITH ORDINALITY u (name, dtype, shape, byte_offset, size_bytes, n) ORDER BY u.n";
    let names: Vec<String> = tensors.iter().map(|tensor| tensor.name.to_string()).collect();
    let dtypes: Vec<String> = tensors.iter().map(|tensor| tensor.dtype.name().to_owned()).collect();
    let shapes: Vec<String> = tensors.iter().map(|tensor| array_text(&shape_of(tensor))).collect();
    let offsets: Vec<i64> = tensors.iter().map(|tensor| tensor.offset as i64).collect();
    let sizes: Vec<i64> = tensors.iter().map(|tensor| tensor.length as i64).collect();
    spi::run(
        INSERT,
        &[file_id.into(), names.into(), dtypes.into(), shapes.into(), offsets.into(), sizes.into(), layout.into()],
    );
}

/// Arrays of different lengths make no array of arrays, so each passes as text.
fn array_text(values: &[i64]) -> String {
    let values: Vec<String> = values.iter().map(i64::to_string).collect();
    format!("{{{}}}", values.join(","))
}

/// Records which parts each tensor lies in: parts and tensors are both in file order, so one walk finds them.
fn insert_tensor_parts(file_id: i64, tensors: &[Tensor]) {
    let mut rows = TensorParts::default();
    let mut next = tensors.iter().filter(|tensor| tensor.length > 0).peekable();
    PartReader::open().each(file_id, 0, |part| {
        let part_end = part.byte_offset + part.byte_length;
        while let Some(tensor) = next.peek() {
            let tensor_end = tensor.offset + tensor.length;
            let start = tensor.offset.max(part.byte_offset);
            let end = tensor_end.min(part_end);
            if start < end {
                rows.push(&tensor.name, part.atom_id, start - part.byte_offset, end - start);
            }
            if tensor_end > part_end {
                break;
            }
            next.next();
        }
        if rows.names.len() >= ROWS_PER_STATEMENT {
            rows.insert(file_id);
        }
        true
    });
    rows.insert(file_id);
}

/// Rows of `tensor_part` on their way.
#[derive(Default)]
struct TensorParts {
    names: Vec<String>,
    chunks: Vec<i32>,
    atoms: Vec<i64>,
    firsts: Vec<i64>,
    lengths: Vec<i64>,
    /// Name and number of chunks of the tensor at hand.
    open: (String, i32),
}

impl TensorParts {
    fn push(&mut self, name: &str, atom_id: i64, first: u64, length: u64) {
        if self.open.0 != name {
            self.open = (name.to_owned(), 0);
        }
        self.names.push(name.to_owned());
        self.chunks.push(self.open.1);
        self.atoms.push(atom_id);
        self.firsts.push(first as i64);
        self.lengths.push(length as i64);
        self.open.1 += 1;
    }

    fn insert(&mut self, file_id: i64) {
        const INSERT: &str = "INSERT INTO atoms.tensor_part (tensor_id, chunk_index, atom_id, first_byte, byte_length) \
            SELECT t.tensor_id, u.chunk, u.atom_id, u.first, u.length \
            FROM unnest($2, $3, $4, $5, $6) u (name, chunk, atom_id, first, length) \
            JOIN atoms.tensor t ON t.file_id = $1 AND t.name = u.name";
        let args = [
            file_id.into(),
            std::mem::take(&mut self.names).into(),
            std::mem::take(&mut self.chunks).into(),
            std::mem::take(&mut self.atoms).into(),
            std::mem::take(&mut self.firsts).into(),
            std::mem::take(&mut self.lengths).into(),
        ];
        spi::run(INSERT, &args);
    }
}

#[pg_extern(stable, strict, parallel_safe)]
fn reconstruct_tensor(model: &str, tensor: &str) -> PgResult<Vec<u8>> {
    let stored = StoredTensor::find(model, tensor)?;
    if stored.size_bytes > BYTEA_BYTES_MAX {
        return Err(too_long(&format!("tensor \"{tensor}\""), stored.size_bytes, "tensor_slice"));
    }
    stored.bytes(0, stored.size_bytes)
}

#[pg_extern(stable, strict, parallel_safe)]
fn tensor_slice(model: &str, tensor: &str, start: i64, count: i32) -> PgResult<Vec<u8>> {
    let stored = StoredTensor::find(model, tensor)?;
    let (start, count) = clamp(start, count, stored.size_bytes)?;
    stored.bytes(start, count)
}
