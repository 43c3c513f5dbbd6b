//! Embeddings as benches/python/make_embeddings.py leaves them, and how they are given to a server.

use std::fs;
use std::path::Path;

use super::{Failure, Result};

/// Vectors of one length, one after another.
pub struct Vectors {
    dimensions: usize,
    values: Vec<f32>,
}

impl Vectors {
    /// Reads a file of records that are a number of dimensions, always the same, and so many floats.
    pub fn read_fvecs(path: &Path) -> Result<Vectors> {
        let bytes = fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
        Vectors::parse_fvecs(&bytes).ok_or_else(|| Failure::new(format!("{} is no .fvecs file", path.display())))
    }

    fn parse_fvecs(bytes: &[u8]) -> Option<Vectors> {
        let head: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
        let dimensions = usize::from(u16::try_from(u32::from_le_bytes(head)).ok()?);
        let records = bytes.chunks_exact(4 + dimensions * 4);
        if dimensions == 0 || !records.remainder().is_empty() || records.clone().any(|record| record[..4] != head) {
            return None;
        }
        let values = records.flat_map(|record| record[4..].chunks_exact(4)).map(float).collect();
        Some(Vectors { dimensions, values })
    }

    /// Returns the first `count` vectors, or a failure if there are fewer.
    pub fn first(&self, count: usize) -> Result<Vectors> {
        match self.values.get(..count * self.dimensions) {
            Some(values) => Ok(Vectors { dimensions: self.dimensions, values: values.to_vec() }),
            None => Err(Failure::new(format!("{count} embeddings are needed, and there are {}", self.count()))),
        }
    }

    /// Returns vectors four times as long: each is four neighbours one after another, halved, so that length 1 stays length 1.
    pub fn fours(&self) -> Vectors {
        let count = self.count() / 4;
        let values = self.values[..count * 4 * self.dimensions].iter().map(|value| value / 2.0).collect();
        Vectors { dimensions: self.dimensions * 4, values }
    }

    /// Returns the vectors in their order.
    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dimensions)
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.values.len() / self.dimensions
    }

    /// Returns how many floats there are in all.
    pub fn floats(&self) -> usize {
        self.values.len()
    }
}

fn float(bytes: &[u8]) -> f32 {
    f32::from_le_bytes(bytes.try_into().expect("chunks of four"))
}

/// Returns a vector as text, from which each float is read back exactly.
pub fn text(vector: &[f32]) -> String {
    let numbers: Vec<_> = vector.iter().map(f32::to_string).collect();
    format!("[{}]", numbers.join(","))
}

/// Returns a vector as the receive functions of dimvec and of pgvector's vector read it.
pub fn wire(vector: &[f32]) -> Vec<u8> {
    let dimensions = u16::try_from(vector.len()).expect("a vector of the bench has at most 65535 dimensions");
    let mut bytes = dimensions.to_be_bytes().to_vec();
    bytes.extend([0, 0]);
    bytes.extend(vector.iter().flat_map(|value| value.to_be_bytes()));
    bytes
}

/// Returns the floats of some vectors as they lie in memory, least byte first.
pub fn little_endian<'a>(vectors: impl IntoIterator<Item = &'a [f32]>) -> Vec<u8> {
    vectors.into_iter().flatten().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Vectors, text, wire};

    fn fvecs(records: &[&[f32]]) -> Vec<u8> {
        let head = |record: &[f32]| (record.len() as u32).to_le_bytes();
        let record = |values: &&[f32]| [head(values).to_vec(), super::little_endian([*values])].concat();
        records.iter().flat_map(record).collect()
    }

    #[test]
    fn records_of_one_length_are_read() {
        let vectors = Vectors::parse_fvecs(&fvecs(&[&[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0], &[7.0, 8.0]])).unwrap();
        assert_eq!((vectors.count(), vectors.iter().nth(1)), (4, Some(&[3.0, 4.0][..])));
        let long = vectors.fours();
        assert_eq!((long.count(), long.iter().next().map(<[f32]>::len)), (1, Some(8)));
        assert!(vectors.first(5).is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        let mixed = fvecs(&[&[1.0, 2.0], &[3.0]]);
        for wrong in [&b""[..], &[0, 0, 0, 0], &[1, 0, 0, 0, 0], &[255; 8], &mixed] {
            assert!(Vectors::parse_fvecs(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn vectors_are_written_as_servers_read_them() {
        assert_eq!(text(&[1.0, -0.5]), "[1,-0.5]");
        assert_eq!(wire(&[1.0]), [0, 1, 0, 0, 0x3F, 0x80, 0, 0]);
    }
}
