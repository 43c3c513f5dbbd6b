//! The tensor descriptions.

use super::pairs::utf8;
use super::{Dialect, ggml_type};
use crate::reader::Reader;
use crate::seen::Seen;
use crate::{Dtype, Fault, FormatError, Limits, Tensor, Unsized};

/// Dimensions of a tensor, by the format and by ggml.
const DIMS_MAX: u32 = 4;
/// Bytes of the numbers in a description, without name and dimensions: their count, the type, the offset.
const FIXED_BYTES: u64 = 4 + 4 + 8;

/// The tensors as they are listed.
pub(super) struct Listed {
    /// Their offsets count from the start of the data.
    pub(super) tensors: Vec<Tensor>,
    /// The first that does not lie where ggml wants it: behind the one listed before, padded to the alignment.
    pub(super) out_of_place: Option<OutOfPlace>,
}

/// A tensor that ggml does not find where it looks for it.
pub(super) struct OutOfPlace {
    pub(super) name: Box<str>,
    pub(super) begin: u64,
    pub(super) expected: u64,
}

/// Returns the bytes that the shortest description takes.
pub(super) fn bytes_min(dialect: Dialect) -> u64 {
    dialect.length_bytes().saturating_add(FIXED_BYTES)
}

/// Reads so many descriptions; the count was proved.
pub(super) fn read(
    reader: &mut Reader<'_>,
    dialect: Dialect,
    count: u64,
    alignment: u64,
    limits: &Limits,
) -> Result<Listed, FormatError> {
    let mut listed = Listed { tensors: Vec::with_capacity(usize::try_from(count).unwrap_or(0)), out_of_place: None };
    let mut seen = Seen::default();
    let mut expected = 0;
    for _ in 0..count {
        let start = reader.position();
        let name = read_name(reader, dialect, limits)?;
        if seen.twice(&name, listed.tensors.iter().map(|tensor| &*tensor.name)) {
            return Err(Fault::DuplicateTensor { name }.at(start));
        }
        let place = read_place(reader, dialect, &name, alignment).map_err(|error| error.within(&name))?;
        let Place { dtype, shape, offset, length } = place;
        let tensor = Tensor { name, dtype, shape, offset, length };
        if tensor.offset != expected && listed.out_of_place.is_none() {
            let (name, begin) = (tensor.name.clone(), tensor.offset);
            listed.out_of_place = Some(OutOfPlace { name, begin, expected });
        }
        expected = tensor.end().and_then(|end| end.checked_next_multiple_of(alignment)).unwrap_or(u64::MAX);
        listed.tensors.push(tensor);
    }
    Ok(listed)
}

fn read_name(reader: &mut Reader<'_>, dialect: Dialect, limits: &Limits) -> Result<Box<str>, FormatError> {
    let start = reader.position();
    let length = dialect.length(reader, "length of a tensor's name")?;
    let limit = limits.name_bytes_max;
    if length > limit && length <= reader.left() {
        return Err(Fault::Limit { what: "bytes of a tensor's name", within: None, value: length, limit }.at(start));
    }
    utf8(reader.bytes(length, "name of a tensor")?, "tensor name").map_err(|fault| fault.at(start))
}

/// What follows a tensor's name.
struct Place {
    dtype: Dtype,
    shape: Box<[u64]>,
    /// From the start of the data.
    offset: u64,
    length: u64,
}

fn read_place(reader: &mut Reader<'_>, dialect: Dialect, name: &str, alignment: u64) -> Result<Place, FormatError> {
    let dims_start = reader.position();
    let mut shape = read_shape(reader, dialect, name)?;
    let type_start = reader.position();
    let number = reader.u32("type of a tensor")?;
    let Some(dtype) = ggml_type::dtype(number) else {
        let (name, dtype) = (name.into(), number.to_string().into_boxed_str());
        return Err(Fault::UnknownDtype { name, dtype }.at(type_start));
    };
    let length = size(name, dtype, &shape).map_err(|fault| fault.at(dims_start))?;
    // ggml lists the fastest dimension first; everything else here, and every other format, lists it last.
    shape.reverse();
    let offset_start = reader.position();
    let offset = reader.u64("offset of a tensor")?;
    match offset.is_multiple_of(alignment) {
        true => Ok(Place { dtype, shape, offset, length }),
        false => Err(Fault::Misaligned { name: name.into(), begin: offset, alignment }.at(offset_start)),
    }
}

/// Reads the dimensions in the order of the file.
fn read_shape(reader: &mut Reader<'_>, dialect: Dialect, name: &str) -> Result<Box<[u64]>, FormatError> {
    let start = reader.position();
    let dims = reader.u32("number of dimensions")?;
    if dims > DIMS_MAX {
        return Err(Fault::TooManyDims { name: name.into(), dims }.at(start));
    }
    (0..dims).map(|_| dialect.length(reader, "dimension of a tensor")).collect()
}

/// Returns the bytes of a tensor: each run of the fastest dimension is whole blocks.
///
/// A dimension of 0 makes the tensor empty but excuses no other: so whoever multiplies the dimensions may do so in any order.
fn size(name: &str, dtype: Dtype, shape: &[u64]) -> Result<u64, Fault> {
    let overflow = || Fault::SizeOverflow { name: name.into(), dtype, dims: shape.len() as u64 };
    let run = shape.first().copied().unwrap_or(1);
    if !run.is_multiple_of(dtype.block().elements) {
        return Err(Fault::PartialBlock { name: name.into(), dtype, elements: run });
    }
    let product =
        shape.iter().try_fold(1_u64, |product, dim| product.checked_mul((*dim).max(1))).ok_or_else(overflow)?;
    let elements = if shape.contains(&0) { 0 } else { product };
    dtype.size(elements).map_err(|reason| match reason {
        Unsized::Overflow => overflow(),
        Unsized::PartialBlock => Fault::PartialBlock { name: name.into(), dtype, elements },
    })
}

impl Listed {
    /// Moves the tensors to their absolute positions.
    pub(super) fn place(&mut self, data_start: u64, file_bytes: u64) -> Result<(), FormatError> {
        for tensor in &mut self.tensors {
            match data_start.checked_add(tensor.offset).filter(|offset| offset.checked_add(tensor.length).is_some()) {
                Some(offset) => tensor.offset = offset,
                None => {
                    let name = tensor.name.clone();
                    return Err(Fault::TensorPastEnd { name, end: u64::MAX, file_bytes }.at(data_start.min(file_bytes)));
                }
            }
        }
        Ok(())
    }
}
