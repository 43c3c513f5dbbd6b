//! Vectors as a tensor of a safetensors file, and their source atoms as another.

use atom::Never;
use formats::{Dtype, Limits, ReadAt, Structure, Tensor, safetensors};
use vector::Element;

use super::matrix::Matrix;
use super::{Contents, dimensions};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::count;
use crate::source_file::of_format;

/// Names of a tensor that holds the ids of source atoms.
const IDS_NAMES: [&str; 2] = ["ids", "source_atom_ids"];
/// Names of tensors that an error lists.
const NAMES_LISTED: usize = 10;

/// Opens the tensor of that name; without one, the only matrix of floats.
pub fn open(source: Box<dyn ReadAt>, name: Option<&str>) -> Result<Matrix> {
    let structure =
        safetensors::read(source.as_ref(), &Limits::default(), &Never).map_err(|error| of_format(&error))?;
    let tensor = match name {
        Some(name) => named(&structure, name)?,
        None => only_matrix(&structure)?,
    };
    let (rows, columns) = match tensor.shape[..] {
        [columns] => (1, columns),
        [rows, columns] => (rows, columns),
        _ => return Err(of_tensor(tensor, "has a shape that vectors have not: one of 2 dimensions, or 1")),
    };
    let element = element(tensor.dtype).ok_or_else(|| of_tensor(tensor, "has a type that vectors have not"))?;
    let ids = structure.tensors.iter().find(|tensor| IDS_NAMES.contains(&&*tensor.name) && Some(&*tensor.name) != name);
    let ids_offset = ids.map(|ids| ids_offset(ids, rows)).transpose()?;
    let has_ids = ids_offset.is_some();
    let contents = Contents { dimensions: dimensions(columns)?, rows, element, registers_as: element, has_ids };
    // That the tensors lie within the file, each as long as its shape says, the reading of the structure has proved.
    Ok(Matrix { source, contents, offset: tensor.offset, big_endian: false, ids_offset })
}

fn element(dtype: Dtype) -> Option<Element> {
    match dtype {
        Dtype::F32 => Some(Element::Float32),
        Dtype::F16 => Some(Element::Float16),
        Dtype::BF16 => Some(Element::Bfloat16),
        Dtype::F64 => Some(Element::Float64),
        Dtype::I8 => Some(Element::Int8),
        Dtype::U8 => Some(Element::Uint8),
        _ => None,
    }
}

fn of_tensor(tensor: &Tensor, what: &str) -> Failure {
    let shape = crate::output::shape(&tensor.shape);
    Failure::new(Exit::Unsupported, format!("tensor \"{}\" {what}", tensor.name))
        .detail(format!("It is {} {shape}.", tensor.dtype.name()))
        .hint("F32, F16, BF16, F64, I8 and U8 are read.")
}

fn named<'s>(structure: &'s Structure, name: &str) -> Result<&'s Tensor> {
    let found = structure.tensors.iter().find(|tensor| &*tensor.name == name);
    found.ok_or_else(|| {
        let failure = Failure::new(Exit::NotFound, format!("it has no tensor \"{name}\""));
        failure.detail(listed(&structure.tensors.iter().collect::<Vec<_>>()))
    })
}

/// Returns the only tensor of two dimensions whose values are floats.
fn only_matrix(structure: &Structure) -> Result<&Tensor> {
    let is_float = |tensor: &Tensor| element(tensor.dtype).is_some_and(|element| !element.is_integer());
    let matrices: Vec<&Tensor> =
        structure.tensors.iter().filter(|tensor| tensor.shape.len() == 2 && is_float(tensor)).collect();
    match matrices[..] {
        [matrix] => Ok(matrix),
        [] => Err(Failure::new(Exit::NotFound, "it has no tensor that is a matrix of floats")
            .detail(listed(&structure.tensors.iter().collect::<Vec<_>>()))
            .hint("--tensor names the one to take.")),
        _ => {
            let matrices_counted = count(matrices.len() as u64, "matrix", "matrices");
            Err(Failure::new(Exit::Usage, format!("it has {matrices_counted} of floats"))
                .detail(listed(&matrices))
                .hint("--tensor names the one to take."))
        }
    }
}

/// Returns the names of the first tensors.
fn listed(tensors: &[&Tensor]) -> String {
    let named = |tensor: &&Tensor| {
        format!("\"{}\" {} {}", tensor.name, tensor.dtype.name(), crate::output::shape(&tensor.shape))
    };
    let names: Vec<String> = tensors.iter().take(NAMES_LISTED).map(named).collect();
    let rest = tensors.len() - names.len();
    let more = if rest == 0 { String::new() } else { format!(", and {rest} more") };
    format!("Tensors: {}{more}.", names.join(", "))
}

/// Returns where the ids begin, which have to be as many as there are rows.
fn ids_offset(ids: &Tensor, rows: u64) -> Result<u64> {
    if ids.dtype != Dtype::I64 || ids.shape[..] != [rows] {
        let shape = crate::output::shape(&ids.shape);
        return Err(Failure::new(Exit::Invalid, format!("tensor \"{}\" is no list of {rows} atom ids", ids.name))
            .detail(format!("It is {} {shape}; it should be I64 [{rows}].", ids.dtype.name()))
            .hint("--ids or --texts say which atoms instead; a file without such a tensor needs neither."));
    }
    Ok(ids.offset)
}
