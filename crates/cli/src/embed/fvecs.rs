//! fvecs and bvecs: rows of float32 or uint8, each behind its number of dimensions, a little-endian i32.
//!
//! Source: <http://corpus-texmex.irisa.fr/>, which defines them.

use formats::ReadAt;
use vector::Element;

use super::{Batch, Contents, VectorFile, dimensions, fill, malformed};
use crate::failure::Result;

/// Bytes before the values of each row.
const PREFIX_BYTES: usize = 4;

/// An open file.
pub struct Fvecs {
    source: Box<dyn ReadAt>,
    contents: Contents,
    next_row: u64,
}

/// Opens a file whose values are of that type; its length has to be that of whole rows as long as the first.
pub fn open(source: Box<dyn ReadAt>, element: Element) -> Result<Fvecs> {
    let file_bytes = source.size();
    let mut prefix = [0; PREFIX_BYTES];
    if file_bytes < PREFIX_BYTES as u64 {
        return Err(malformed("it is too short for a vector"));
    }
    fill(source.as_ref(), 0, &mut prefix)?;
    let first = i32::from_le_bytes(prefix);
    let count = u64::try_from(first).map_err(|_| malformed(format!("its first vector has {first} dimensions")))?;
    let dimensions = dimensions(count)?;
    let row_bytes = (PREFIX_BYTES + dimensions * element.width()) as u64;
    if !file_bytes.is_multiple_of(row_bytes) {
        return Err(malformed(format!(
            "its {file_bytes} bytes are no whole number of vectors of {dimensions} dimensions"
        ))
        .detail(format!("Such a vector has {row_bytes} bytes with the number of its dimensions.")));
    }
    let rows = file_bytes / row_bytes;
    let contents = Contents { dimensions, rows, element, registers_as: element, has_ids: false };
    Ok(Fvecs { source, contents, next_row: 0 })
}

impl VectorFile for Fvecs {
    fn contents(&self) -> Contents {
        self.contents
    }

    fn read(&mut self, rows: usize, batch: &mut Batch) -> Result<()> {
        let row_bytes = PREFIX_BYTES + self.contents.row_bytes();
        batch.values.resize(rows * row_bytes, 0);
        fill(self.source.as_ref(), self.next_row * row_bytes as u64, &mut batch.values)?;
        self.prove_prefixes(&batch.values, row_bytes)?;
        drop_prefixes(&mut batch.values, row_bytes);
        self.next_row += rows as u64;
        Ok(())
    }
}

impl Fvecs {
    fn prove_prefixes(&self, bytes: &[u8], row_bytes: usize) -> Result<()> {
        let dimensions = self.contents.dimensions;
        for (row, prefix) in (self.next_row..).zip(bytes.chunks_exact(row_bytes).filter_map(|row| row.first_chunk())) {
            let found = i32::from_le_bytes(*prefix);
            if usize::try_from(found) != Ok(dimensions) {
                return Err(malformed(format!("row {row} has {found} dimensions, and row 0 has {dimensions}")));
            }
        }
        Ok(())
    }
}

/// Moves the values of all rows together.
fn drop_prefixes(bytes: &mut Vec<u8>, row_bytes: usize) {
    let mut end = 0;
    for start in (0..bytes.len()).step_by(row_bytes) {
        bytes.copy_within(start + PREFIX_BYTES..start + row_bytes, end);
        end += row_bytes - PREFIX_BYTES;
    }
    bytes.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::written::{read_all, refused, source};
    use crate::exit::Exit;

    fn rows(rows: &[&[f32]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for row in rows {
            bytes.extend((row.len() as i32).to_le_bytes());
            bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
        }
        bytes
    }

    #[test]
    fn rows_of_both_types_are_read() {
        let bytes = rows(&[&[1.0, -2.0], &[0.5, 3.0], &[f32::MAX, 0.0]]);
        let mut file = open(source(&bytes), Element::Float32).unwrap();
        assert_eq!((file.contents().rows, file.contents().dimensions), (3, 2));
        assert_eq!(read_all(&mut file, 2).unwrap().0, [1.0, -2.0, 0.5, 3.0, f64::from(f32::MAX), 0.0]);
        let mut file = open(source(&[3, 0, 0, 0, 1, 2, 255, 3, 0, 0, 0, 4, 5, 6]), Element::Uint8).unwrap();
        assert_eq!(read_all(&mut file, 10).unwrap().0, [1.0, 2.0, 255.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn a_row_of_another_length_is_named() {
        let mut bytes = rows(&[&[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0]]);
        bytes[24] = 3;
        let mut file = open(source(&bytes), Element::Float32).unwrap();
        let message = refused(read_all(&mut file, 2), Exit::Invalid);
        assert!(message.contains("row 2 has 3 dimensions, and row 0 has 2"), "{message}");
    }

    #[test]
    fn files_that_are_no_whole_rows_are_refused() {
        let bytes = rows(&[&[1.0, 2.0], &[3.0, 4.0]]);
        for length in (0..bytes.len()).filter(|length| *length != 12) {
            refused(open(source(&bytes[..length]), Element::Float32), Exit::Invalid);
        }
    }

    #[test]
    fn hostile_dimensions_are_refused() {
        for (first, exit) in [
            (0, Exit::Invalid),
            (-1, Exit::Invalid),
            (i32::MIN, Exit::Invalid),
            (65_536, Exit::Limit),
            (i32::MAX, Exit::Limit),
        ] {
            refused(open(source(&[&first.to_le_bytes()[..], &[0; 100]].concat()), Element::Float32), exit);
        }
    }
}
