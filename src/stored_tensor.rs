//! Tensors of stored models: where their bytes lie, and the numbers that they are.

use ::atom::FaultKind;
use formats::decode::{self, DecodeError};
use formats::{ByteOrder, Dtype, ReadAt};
use pgrx::pg_sys::panic::ErrorReport;

use crate::pg::error::{PgResult, code, code_of, fault};
use crate::pg::interrupt;
use crate::pg::spi::{self, Row};
use crate::stored_file::StoredFile;
use crate::verify::damaged_file;

/// `tensor.layout` of tensors whose numbers are big-endian.
pub const LAYOUT_BIG_ENDIAN: &str = "big-endian";
/// `tensor.layout` of all others that lie in one piece.
pub const LAYOUT_CONTIGUOUS: &str = "contiguous";

/// Elements decoded between two looks for a cancelled query; whole blocks of every type.
pub const WINDOW_ELEMENTS: usize = 1 << 18;

/// A tensor of a stored file, in one piece.
pub struct StoredTensor {
    /// Its file.
    pub file: StoredFile,
    /// Its name.
    pub name: String,
    /// First byte in the file.
    pub byte_offset: u64,
    /// Length.
    pub size_bytes: u64,
    /// Type of the elements.
    pub dtype: Dtype,
    /// Order of the bytes of its numbers.
    pub order: ByteOrder,
    /// Dimensions.
    pub shape: Vec<i64>,
}

/// Why a tensor's values were not read.
pub enum NoValues {
    /// They are no float8: complex numbers, or integers beyond 2^53.
    NotNumbers(ErrorReport),
    /// The bytes cannot be read.
    Damaged(ErrorReport),
}

impl From<NoValues> for ErrorReport {
    fn from(reason: NoValues) -> Self {
        match reason {
            NoValues::NotNumbers(report) | NoValues::Damaged(report) => report,
        }
    }
}

/// The columns that [`StoredTensor::of_row`] reads.
macro_rules! select_tensor {
    ($condition:literal) => {
        concat!(
            "SELECT f.file_id, m.name, f.path, f.size_bytes, f.content_hash::pg_catalog.bytea, t.name, t.byte_offset, t.size_bytes, \
                 t.dtype, t.layout, t.shape \
             FROM atoms.tensor t JOIN atoms.model_file f ON f.file_id OPERATOR(pg_catalog.=) t.file_id \
             JOIN atoms.model m ON m.model_id OPERATOR(pg_catalog.=) f.model_id WHERE ",
            $condition
        )
    };
}

impl StoredTensor {
    /// Returns the tensor of that name, as `find_tensor` finds it: 42704, or 22023 when the name is ambiguous.
    pub fn find(model: &str, tensor: &str) -> PgResult<Self> {
        const BY_NAME: &str = select_tensor!("t.tensor_id OPERATOR(pg_catalog.=) (SELECT atoms.find_tensor($1, $2))");
        let found = spi::query(BY_NAME, &[model.into(), tensor.into()], Self::of_row);
        only(found, || format!("model \"{model}\" has no tensor \"{tensor}\""))
    }

    /// Returns the tensor with an id.
    pub fn by_id(tensor_id: i64) -> PgResult<Self> {
        const BY_ID: &str = select_tensor!("t.tensor_id OPERATOR(pg_catalog.=) $1");
        only(spi::query(BY_ID, &[tensor_id.into()], Self::of_row), || format!("tensor {tensor_id} does not exist"))
    }

    /// Returns every tensor of a model that lies in one piece, by file and place.
    pub fn of_model(model: &str) -> PgResult<Vec<Self>> {
        const OF_MODEL: &str = select_tensor!(
            "m.model_id OPERATOR(pg_catalog.=) atoms.model_id($1) ORDER BY f.path, t.byte_offset, t.tensor_id"
        );
        spi::query(OF_MODEL, &[model.into()], Self::of_row).into_iter().collect()
    }

    fn of_row(row: Row<'_>) -> PgResult<Self> {
        let (name, dtype) = (row.get::<String>(6), row.get::<String>(9));
        let Some(byte_offset) = row.optional::<i64>(7) else {
            let message = format!("the bytes of tensor \"{name}\" do not lie in one piece in their file");
            return Err(fault(code::UNSUPPORTED, message));
        };
        let Some(dtype) = Dtype::from_name(&dtype) else {
            return Err(fault(code::UNSUPPORTED, format!("tensor \"{name}\" is of the unknown type {dtype}")));
        };
        let order = if row.get::<String>(10) == LAYOUT_BIG_ENDIAN { ByteOrder::Big } else { ByteOrder::Little };
        Ok(Self {
            file: StoredFile::of_row(&row, 1),
            name,
            byte_offset: byte_offset as u64,
            size_bytes: row.get::<i64>(8) as u64,
            dtype,
            order,
            shape: row.get(11),
        })
    }

    /// Returns the number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |product: u64, &dimension| product.saturating_mul(dimension as u64))
    }

    /// Fills `buffer` with the stored bytes from `start` on; the range lies within the tensor.
    pub fn read(&self, start: u64, buffer: &mut [u8]) -> PgResult<()> {
        self.file.read_exact_at(self.byte_offset + start, buffer).map_err(|_| damaged_file(&self.file))
    }

    /// Returns stored bytes; the range lies within the tensor.
    pub fn bytes(&self, start: u64, count: u64) -> PgResult<Vec<u8>> {
        let mut bytes = vec![0; count as usize];
        self.read(start, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `out` with the values of the elements from `start` on, which lie within the tensor.
    ///
    /// `bytes` is room for stored bytes, kept by callers that come again.
    pub fn values(&self, start: u64, out: &mut [f64], bytes: &mut Vec<u8>) -> Result<(), NoValues> {
        let mut first = start;
        for window in out.chunks_mut(WINDOW_ELEMENTS) {
            interrupt::check();
            self.window(first, window, bytes)?;
            first += window.len() as u64;
        }
        Ok(())
    }

    /// Hands all values to `take`, window by window.
    pub fn each_window(&self, mut take: impl FnMut(&[f64]) -> PgResult<()>) -> PgResult<()> {
        let (mut values, mut bytes) = (Vec::new(), Vec::new());
        let elements = self.elements();
        for start in (0..elements).step_by(WINDOW_ELEMENTS) {
            values.resize((elements - start).min(WINDOW_ELEMENTS as u64) as usize, 0.0);
            self.values(start, &mut values, &mut bytes)?;
            take(&values)?;
        }
        Ok(())
    }

    fn window(&self, first: u64, out: &mut [f64], bytes: &mut Vec<u8>) -> Result<(), NoValues> {
        let blocks = decode::blocks_of(self.dtype, first, out.len() as u64)
            .filter(|blocks| blocks.bytes.end <= self.size_bytes)
            .ok_or_else(|| NoValues::Damaged(damaged_file(&self.file)))?;
        bytes.resize((blocks.bytes.end - blocks.bytes.start) as usize, 0);
        self.read(blocks.bytes.start, bytes).map_err(NoValues::Damaged)?;
        if blocks.elements == out.len() as u64 {
            return self.decode(bytes, first, out);
        }
        // The slice begins or ends within a block.
        let mut whole = vec![0.0; blocks.elements as usize];
        self.decode(bytes, first - blocks.skip, &mut whole)?;
        out.copy_from_slice(&whole[blocks.skip as usize..][..out.len()]);
        Ok(())
    }

    fn decode(&self, bytes: &[u8], first: u64, out: &mut [f64]) -> Result<(), NoValues> {
        decode::values(self.dtype, self.order, bytes, out).map_err(|error| {
            let report = decode_fault(&error);
            NoValues::NotNumbers(match error {
                DecodeError::IntegerTooLarge { index, .. } => report.set_detail(format!(
                    "It is element {} of tensor \"{}\", of type {}.",
                    first + index as u64,
                    self.name,
                    self.dtype
                )),
                _ => report.set_detail(format!("Tensor \"{}\" is of type {}.", self.name, self.dtype)),
            })
        })
    }
}

fn only<T>(found: Vec<PgResult<T>>, message: impl FnOnce() -> String) -> PgResult<T> {
    found.into_iter().next().unwrap_or_else(|| Err(fault(code::UNKNOWN, message())))
}

/// Returns the error of a decoder as a user sees it.
pub fn decode_fault(error: &DecodeError) -> ErrorReport {
    let state = match (error, error.kind()) {
        (DecodeError::IntegerTooLarge { .. }, _) => code::OUT_OF_RANGE,
        (_, FaultKind::Mismatch) => code::ARGUMENT,
        (_, kind) => code_of(kind),
    };
    let report = fault(state, error.to_string());
    match error.hint() {
        Some(_) => report.set_hint("tensor_slice gives the stored bytes."),
        None => report,
    }
}
