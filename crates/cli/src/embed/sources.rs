//! The atoms that vectors were made from: ids or texts of a file, ids beside the vectors, or names of the rows.

use std::path::{Path, PathBuf};

use super::lines::{LINE_BYTES_MAX, Lines};
use super::{Contents, malformed};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::server::SourceAtoms;

/// Bytes of texts in a batch, but for the text that goes above them.
const TEXT_BYTES: usize = 4 << 20;
const _: () = assert!(TEXT_BYTES as u64 + LINE_BYTES_MAX < 1 << 30, "what a message may hold");

/// Where the command line says that source atoms come from.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// A file with a text a line.
    Texts(&'a Path),
    /// A file with an id a line.
    Ids(&'a Path),
    /// Nothing is said.
    Vectors(&'a Path),
}

/// The source atoms of the vectors of a file, in their order.
pub enum Sources {
    /// Texts of a file.
    Texts(PathBuf, Lines),
    /// Ids of a file.
    Ids(PathBuf, Lines),
    /// Ids that the file of the vectors holds.
    OfVectors,
    /// `FILENAME#ROW`; the file's name and the next row.
    Rows(String, u64),
}

impl Sources {
    /// Opens what is said; as many sources as vectors have to be there, and each line has to be what it should be.
    pub fn open(origin: Origin<'_>, contents: &Contents) -> Result<Self> {
        match origin {
            Origin::Texts(path) => Ok(Self::Texts(path.to_owned(), open(path, contents.rows, |_| Ok(()))?)),
            Origin::Ids(path) => {
                let check = |line: &str| atom_id(line).map(drop);
                Ok(Self::Ids(path.to_owned(), open(path, contents.rows, check)?))
            }
            Origin::Vectors(_) if contents.has_ids => Ok(Self::OfVectors),
            Origin::Vectors(path) => Ok(Self::Rows(file_name(path)?.to_owned(), 0)),
        }
    }

    /// Returns the next sources, at most `rows`: fewer where texts are long.  `ids` are those that came with the vectors.
    pub fn next(&mut self, rows: usize) -> Result<Option<SourceAtoms>> {
        match self {
            Self::Texts(path, lines) => texts(lines, rows).map_err(|failure| of_file(path, failure)),
            Self::Ids(path, lines) => ids(lines, rows).map_err(|failure| of_file(path, failure)),
            Self::OfVectors => return Ok(None),
            Self::Rows(name, row) => {
                let first = *row;
                *row += rows as u64;
                Ok(SourceAtoms::Texts((first..*row).map(|row| format!("{name}#{row}")).collect()))
            }
        }
        .map(Some)
    }
}

/// Opens a file with a source a line, for so many vectors.
fn open(path: &Path, rows: u64, check: impl Fn(&str) -> Result<()>) -> Result<Lines> {
    let mut lines = Lines::open(path)?;
    let of_line = |number: u64| move |failure: Failure| failure.context(format!("line {number}"));
    let count =
        lines.count(|line, number| check(line).map_err(of_line(number))).map_err(|failure| of_file(path, failure))?;
    if count == rows {
        return Ok(lines);
    }
    let message = format!("\"{}\" has {count} lines, and there are {rows} vectors", path.display());
    Err(Failure::new(Exit::Invalid, message).hint("Each vector has a line; nothing was stored."))
}

fn of_file(path: &Path, failure: Failure) -> Failure {
    failure.context(format!("\"{}\"", path.display()))
}

fn texts(lines: &mut Lines, rows: usize) -> Result<SourceAtoms> {
    let (mut texts, mut bytes) = (Vec::new(), 0);
    while texts.len() < rows && bytes < TEXT_BYTES {
        let text = lines.next()?.ok_or_else(shorter)?.to_owned();
        bytes += text.len();
        texts.push(text);
    }
    Ok(SourceAtoms::Texts(texts))
}

fn ids(lines: &mut Lines, rows: usize) -> Result<SourceAtoms> {
    let mut ids = Vec::new();
    for _ in 0..rows {
        ids.push(atom_id(lines.next()?.ok_or_else(shorter)?)?);
    }
    Ok(SourceAtoms::Ids(ids))
}

fn shorter() -> Failure {
    Failure::new(Exit::State, "it became shorter while it was read")
}

fn atom_id(line: &str) -> Result<i64> {
    line.trim().parse().map_err(|_| malformed(format!("{line:?} is no atom id")))
}

fn file_name(path: &Path) -> Result<&str> {
    path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Failure::new(Exit::Usage, "the name of the file is no UTF-8, and source atoms would be called after it")
            .hint("--texts or --ids say what the vectors were made from.")
    })
}
