//! Files of vectors: recognised, read some rows at a time, and converted to the element type of a model.
//!
//! `npy`, `tensors`, `fvecs` and `csv` each know one format; what the first two describe, `matrix` reads.  Nothing here knows the server.

mod convert;
mod csv;
mod fvecs;
mod lines;
mod matrix;
mod npy;
mod sources;
mod tensors;

use std::fs;
use std::path::Path;

use formats::{Format, FormatError, Limits, ReadAt, SourceError};
use vector::{DIMENSIONS_MAX, Element};

pub use convert::converted;
pub use sources::{Origin, Sources};

use crate::args::VectorFormat;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::source_file::{of_format, open as open_source};

/// What a file of vectors holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Dimensions of each vector: 1 to 65,535.
    pub dimensions: usize,
    /// How many vectors there are.
    pub rows: u64,
    /// The type that values are read as.
    pub element: Element,
    /// The type that a model is registered with for them.
    pub registers_as: Element,
    /// Whether the file says which atom each vector was made from.
    pub has_ids: bool,
}

impl Contents {
    /// Returns the bytes of one vector as it is read.
    pub fn row_bytes(&self) -> usize {
        self.dimensions * self.element.width()
    }
}

/// Some rows of a file.
#[derive(Debug, Default)]
pub struct Batch {
    /// The values, row after row, little-endian, in the type of [`Contents::element`].
    pub values: Vec<u8>,
    /// The source atom of each row, where the file has them.
    pub ids: Vec<i64>,
}

/// A file of vectors, read from its first row to its last.
pub trait VectorFile {
    /// Returns what is in it.
    fn contents(&self) -> Contents;

    /// Puts the next `rows` rows in place of what the batch holds; there are so many.
    fn read(&mut self, rows: usize, batch: &mut Batch) -> Result<()>;
}

impl std::fmt::Debug for dyn VectorFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.contents().fmt(f)
    }
}

/// Opens a file of vectors: of the format that is said, else of the one that its first bytes or its name tell.
///
/// Errors name what is wrong, not the file.
pub fn open(
    path: &Path,
    format: Option<VectorFormat>,
    tensor: Option<&str>,
) -> Result<(VectorFormat, Box<dyn VectorFile>)> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Failure::new(Exit::Usage, "a directory is no file of vectors"));
    }
    let source: Box<dyn ReadAt> = Box::new(open_source(path)?);
    let format = match format {
        Some(format) => format,
        None => recognised(path, source.as_ref())?,
    };
    if tensor.is_some() && format != VectorFormat::Safetensors {
        return Err(Failure::new(Exit::Usage, format!("--tensor is for safetensors, and this is {}", format.name())));
    }
    let file: Box<dyn VectorFile> = match format {
        VectorFormat::Npy => Box::new(npy::open(source)?),
        VectorFormat::Safetensors => Box::new(tensors::open(source, tensor)?),
        VectorFormat::Fvecs => Box::new(fvecs::open(source, Element::Float32)?),
        VectorFormat::Bvecs => Box::new(fvecs::open(source, Element::Uint8)?),
        VectorFormat::Csv => Box::new(csv::open(path)?),
    };
    Ok((format, file))
}

/// Returns the format of a file by its first bytes, then by the end of its name.
///
/// The beginning of safetensors is a length and a brace, which a row of an fvecs file can be too: there the name goes first.
fn recognised(path: &Path, source: &dyn ReadAt) -> Result<VectorFormat> {
    if npy::looks_like(source)? {
        return Ok(VectorFormat::Npy);
    }
    let by_name = path.extension().and_then(|extension| VectorFormat::of_extension(extension.to_str()?));
    if let Some(format @ (VectorFormat::Fvecs | VectorFormat::Bvecs)) = by_name {
        return Ok(format);
    }
    match Format::of(source, &Limits::default()).map_err(|error| of_format(&error))? {
        Some(Format::Safetensors) => Ok(VectorFormat::Safetensors),
        Some(format) => Err(Failure::new(Exit::Unsupported, format!("{} is no format of vectors", format.name()))),
        None => by_name.ok_or_else(|| {
            Failure::new(Exit::Unsupported, "neither its first bytes nor its name tell a format of vectors")
                .hint("--format says what it is: npy, fvecs, bvecs, csv or safetensors.")
        }),
    }
}

/// Returns a number of dimensions that vectors can have.
fn dimensions(count: u64) -> Result<usize> {
    match usize::try_from(count) {
        Ok(0) => Err(malformed("its vectors have no dimensions")),
        Ok(count) if count <= DIMENSIONS_MAX => Ok(count),
        _ => {
            let message = format!("its vectors have {count} dimensions, and {DIMENSIONS_MAX} are the most");
            Err(Failure::new(Exit::Limit, message))
        }
    }
}

/// Fills `buf` with the bytes from `offset` on.
fn fill(source: &dyn ReadAt, offset: u64, buf: &mut [u8]) -> Result<()> {
    let failed = |error: SourceError| of_format(&FormatError::Source { error, offset });
    source.read_exact_at(offset, buf).map_err(failed)
}

fn malformed(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Invalid, message)
}

/// Returns how many rows of so many bytes a batch should have: at least one.
pub fn rows_within(bytes: usize, row_bytes: usize) -> usize {
    (bytes / row_bytes.max(1)).max(1)
}

/// Files of the tests.
#[cfg(test)]
mod written {
    use super::*;
    use std::io::Write;

    /// Returns a file without a name that has these bytes.
    pub fn source(bytes: &[u8]) -> Box<dyn ReadAt> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Box::new(formats::FileSource::new(file).unwrap())
    }

    /// Reads all rows, `step` at a time, and returns their values and ids.
    pub fn read_all(file: &mut dyn VectorFile, step: usize) -> Result<(Vec<f64>, Vec<i64>)> {
        let contents = file.contents();
        let (mut values, mut ids, mut batch) = (Vec::new(), Vec::new(), Batch::default());
        let mut rest = usize::try_from(contents.rows).unwrap();
        while rest > 0 {
            file.read(step.min(rest), &mut batch)?;
            assert_eq!(batch.values.len(), step.min(rest) * contents.row_bytes());
            values
                .extend(batch.values.chunks_exact(contents.element.width()).map(|bytes| contents.element.value(bytes)));
            ids.extend(&batch.ids);
            rest -= step.min(rest);
        }
        Ok((values, ids))
    }

    /// Returns the message of a refusal, and asserts how it ends the program.
    #[track_caller]
    pub fn refused<T>(result: Result<T>, exit: Exit) -> String {
        let Err(failure) = result else { panic!("not refused") };
        assert_eq!(failure.exit(), exit, "{failure}");
        failure.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn stored(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    fn format_of(name: &str, bytes: &[u8]) -> Result<VectorFormat> {
        let (_dir, path) = stored(name, bytes);
        open(&path, None, None).map(|(format, _)| format)
    }

    fn fvecs_row() -> Vec<u8> {
        [&4_i32.to_le_bytes()[..], &0f32.to_le_bytes(), &[b'{', 0, 0, 0x3F], &[0; 8]].concat()
    }

    #[test]
    fn content_goes_before_the_name_and_the_name_before_nothing() {
        let tensors = fixtures::safetensors::file(
            format!("{{{}}}", fixtures::safetensors::entry("e", "F32", "[1,2]", "[0,8]")),
            &[0; 8],
        );
        assert_eq!(format_of("x.csv", &tensors).unwrap(), VectorFormat::Safetensors);
        assert_eq!(format_of("x.CSV", b"1,2\n").unwrap(), VectorFormat::Csv);
        assert_eq!(format_of("x.bvecs", &[1, 0, 0, 0, 7]).unwrap(), VectorFormat::Bvecs);
        assert_eq!(format_of("x.bin", b"1,2\n").unwrap_err().exit(), Exit::Unsupported);
        assert_eq!(format_of("x.npy", b"1,2\n").unwrap_err().exit(), Exit::Invalid);
    }

    #[test]
    fn vectors_that_begin_like_safetensors_go_by_their_name() {
        assert!(formats::safetensors::read(&formats::Bytes(&fvecs_row()), &Limits::default(), &atom::Never).is_err());
        assert_eq!(format_of("x.fvecs", &fvecs_row()).unwrap(), VectorFormat::Fvecs);
    }

    #[test]
    fn a_format_that_is_said_is_taken() {
        let (_dir, path) = stored("x.bin", &fvecs_row());
        let (_, file) = open(&path, Some(VectorFormat::Fvecs), None).unwrap();
        assert_eq!((file.contents().dimensions, file.contents().rows), (4, 1));
        assert_eq!(open(&path, Some(VectorFormat::Npy), None).unwrap_err().exit(), Exit::Invalid);
        assert_eq!(open(&path, Some(VectorFormat::Fvecs), Some("t")).unwrap_err().exit(), Exit::Usage);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let (dir, path) = stored("x.npy", b"");
        assert_eq!(open(dir.path(), None, None).unwrap_err().exit(), Exit::Usage);
        assert_eq!(open(&path.with_file_name("none"), None, None).unwrap_err().exit(), Exit::NotFound);
        for name in ["x.npy", "x.fvecs", "x.csv", "x.safetensors"] {
            assert_eq!(format_of(name, b"").unwrap_err().exit(), Exit::Invalid, "{name}");
        }
    }
}
