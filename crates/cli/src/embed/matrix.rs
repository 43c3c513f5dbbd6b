//! Rows that follow each other in a file without anything between them, as npy and safetensors have them.

use formats::ReadAt;
use vector::Element;

use super::{Batch, Contents, VectorFile, fill};
use crate::failure::Result;

/// Bytes of an id.
const ID_BYTES: usize = 8;

/// A matrix of a file, row-major.  Whoever makes one has compared its end with the file's.
pub struct Matrix {
    /// The file.
    pub source: Box<dyn ReadAt>,
    /// What is in it.
    pub contents: Contents,
    /// Where the next row begins.
    pub offset: u64,
    /// Whether the bytes of each value have to be turned round.
    pub big_endian: bool,
    /// Where the next id begins, where there are any.
    pub ids_offset: Option<u64>,
}

impl VectorFile for Matrix {
    fn contents(&self) -> Contents {
        self.contents
    }

    fn read(&mut self, rows: usize, batch: &mut Batch) -> Result<()> {
        batch.values.resize(rows * self.contents.row_bytes(), 0);
        fill(self.source.as_ref(), self.offset, &mut batch.values)?;
        self.offset += batch.values.len() as u64;
        if self.big_endian {
            turn_round(&mut batch.values, self.contents.element);
        }
        self.read_ids(rows, batch)
    }
}

impl Matrix {
    fn read_ids(&mut self, rows: usize, batch: &mut Batch) -> Result<()> {
        batch.ids.clear();
        let Some(offset) = &mut self.ids_offset else { return Ok(()) };
        let mut bytes = vec![0; rows * ID_BYTES];
        fill(self.source.as_ref(), *offset, &mut bytes)?;
        *offset += bytes.len() as u64;
        let (words, _) = bytes.as_chunks::<ID_BYTES>();
        batch.ids.extend(words.iter().map(|word| i64::from_le_bytes(*word)));
        Ok(())
    }
}

fn turn_round(values: &mut [u8], element: Element) {
    for value in values.chunks_exact_mut(element.width()) {
        value.reverse();
    }
}
