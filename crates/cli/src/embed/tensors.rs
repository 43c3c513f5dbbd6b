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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::VectorFile;
    use crate::embed::written::{read_all, refused, source};
    use fixtures::safetensors::{entry, file};

    fn opened(entries: &[String], data: &[u8], name: Option<&str>) -> Result<Matrix> {
        open(source(&file(format!("{{{}}}", entries.join(",")), data)), name)
    }

    #[test]
    fn every_type_is_read() {
        let cases: [(&str, Element, &[u8]); 6] = [
            ("F32", Element::Float32, &[0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]),
            ("F16", Element::Float16, &[0x00, 0x3C, 0x00, 0xC0]),
            ("BF16", Element::Bfloat16, &[0x80, 0x3F, 0x00, 0xC0]),
            ("F64", Element::Float64, &[0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0xC0]),
            ("I8", Element::Int8, &[1, 0xFE]),
            ("U8", Element::Uint8, &[1, 0xFE]),
        ];
        for (dtype, element, data) in cases {
            let offsets = format!("[0,{}]", data.len());
            let mut matrix = opened(&[entry("e", dtype, "[2,1]", &offsets)], data, Some("e")).unwrap();
            assert_eq!((matrix.contents().element, matrix.contents().rows), (element, 2));
            let second = if element == Element::Uint8 { 254.0 } else { -2.0 };
            assert_eq!(read_all(&mut matrix, 1).unwrap().0, [1.0, second], "{dtype}");
        }
    }

    #[test]
    fn the_only_matrix_of_floats_needs_no_name() {
        let entries = [
            entry("list", "F32", "[1]", "[0,4]"),
            entry("codes", "U8", "[2,2]", "[4,8]"),
            entry("vectors", "F16", "[1,2]", "[8,12]"),
        ];
        let contents = |name| opened(&entries, &[0; 12], name).map(|matrix| matrix.contents());
        assert_eq!(contents(None).unwrap().element, Element::Float16);
        assert_eq!((contents(Some("list")).unwrap().rows, contents(Some("codes")).unwrap().dimensions), (1, 2));
        assert!(refused(contents(Some("none")), Exit::NotFound).contains("\"codes\" U8 [2, 2]"));
        let two = [entry("a", "F32", "[1,1]", "[0,4]"), entry("b", "F32", "[1,1]", "[4,8]")];
        assert!(refused(opened(&two, &[0; 8], None), Exit::Usage).contains("--tensor"));
        let none = [entry("a", "F32", "[1]", "[0,4]")];
        assert!(refused(opened(&none, &[0; 4], None), Exit::NotFound).contains("--tensor"));
    }

    #[test]
    fn ids_come_with_the_vectors() {
        for name in IDS_NAMES {
            let entries = [entry(name, "I64", "[3]", "[0,24]"), entry("e", "U8", "[3,2]", "[24,30]")];
            let ids = [7_i64, -1, i64::MAX];
            let data = [&ids.map(i64::to_le_bytes).concat()[..], &[1, 2, 3, 4, 5, 6]].concat();
            let mut matrix = opened(&entries, &data, Some("e")).unwrap();
            assert!(matrix.contents().has_ids);
            assert_eq!(read_all(&mut matrix, 2).unwrap(), (vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], ids.to_vec()));
        }
    }

    #[test]
    fn ids_that_are_none_are_refused() {
        for (dtype, shape, bytes) in [("I64", "[2]", 16), ("I64", "[3,1]", 24), ("U64", "[3]", 24), ("F32", "[3]", 12)]
        {
            let offsets = (format!("[0,{bytes}]"), format!("[{bytes},{}]", bytes + 12));
            let entries = [entry("ids", dtype, shape, &offsets.0), entry("e", "F32", "[3,1]", &offsets.1)];
            let message = refused(opened(&entries, &vec![0; bytes + 12], None), Exit::Invalid);
            assert!(message.contains("\"ids\" is no list of 3 atom ids"), "{message}");
        }
    }

    #[test]
    fn tensors_that_are_no_vectors_are_refused() {
        for (dtype, shape, bytes) in
            [("F32", "[]", 4), ("F32", "[1,1,1]", 4), ("I32", "[1,1]", 4), ("F8_E4M3", "[1,1]", 1)]
        {
            let entries = [entry("e", dtype, shape, &format!("[0,{bytes}]"))];
            refused(opened(&entries, &vec![0; bytes], Some("e")), Exit::Unsupported);
        }
        refused(opened(&[entry("e", "F32", "[3,0]", "[0,0]")], &[], None), Exit::Invalid);
        refused(opened(&[entry("e", "U8", "[1,65536]", "[0,65536]")], &[0; 65_536], Some("e")), Exit::Limit);
    }

    #[test]
    fn every_shorter_file_is_refused() {
        let whole = file(format!("{{{}}}", entry("e", "F32", "[2,1]", "[0,8]")), &[0; 8]);
        open(source(&whole), None).map(drop).unwrap();
        for length in 0..whole.len() {
            assert!(open(source(&whole[..length]), None).is_err(), "{length}");
        }
    }
}
