//! The atoms that vectors were made from: ids or texts of a file, ids beside the vectors, or names of the rows.

use std::path::{Path, PathBuf};

use super::lines::{LINE_BYTES_MAX, Lines};
use super::{Contents, malformed};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::count;
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
    let found =
        lines.count(|line, number| check(line).map_err(of_line(number))).map_err(|failure| of_file(path, failure))?;
    if found == rows {
        return Ok(lines);
    }
    let (found, vectors) = (count(found, "line", "lines"), count(rows, "vector", "vectors"));
    let message = format!("\"{}\" has {found} for {vectors}", path.display());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::written::refused;
    use vector::Element;

    const CONTENTS: Contents =
        Contents { dimensions: 2, rows: 3, element: Element::Float32, registers_as: Element::Float32, has_ids: false };

    fn lines(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn of_texts(texts: &[&str]) -> Option<SourceAtoms> {
        Some(SourceAtoms::Texts(texts.iter().map(|text| (*text).to_owned()).collect()))
    }

    #[test]
    fn each_vector_has_its_line() {
        let (_dir, path) = lines("a b\n\nä\r\n");
        let mut sources = Sources::open(Origin::Texts(&path), &CONTENTS).unwrap();
        assert_eq!(sources.next(2).unwrap(), of_texts(&["a b", ""]));
        assert_eq!(sources.next(1).unwrap(), of_texts(&["ä"]));
        let (_dir, path) = lines("1\n-2\n 3 ");
        let mut sources = Sources::open(Origin::Ids(&path), &CONTENTS).unwrap();
        assert_eq!(sources.next(3).unwrap(), Some(SourceAtoms::Ids(vec![1, -2, 3])));
    }

    #[test]
    fn without_lines_vectors_are_called_after_their_file_and_row() {
        let mut sources = Sources::open(Origin::Vectors(Path::new("a/v.npy")), &CONTENTS).unwrap();
        assert_eq!(sources.next(2).unwrap(), of_texts(&["v.npy#0", "v.npy#1"]));
        assert_eq!(sources.next(1).unwrap(), of_texts(&["v.npy#2"]));
        let with_ids = Contents { has_ids: true, ..CONTENTS };
        assert_eq!(Sources::open(Origin::Vectors(Path::new("v")), &with_ids).unwrap().next(1).unwrap(), None);
    }

    #[test]
    fn long_texts_come_in_smaller_batches() {
        let long = "x".repeat(TEXT_BYTES);
        let (_dir, path) = lines(&format!("{long}\na\nb\n"));
        let mut sources = Sources::open(Origin::Texts(&path), &CONTENTS).unwrap();
        assert_eq!(sources.next(3).unwrap().map(|sources| sources.len()), Some(1));
        assert_eq!(sources.next(2).unwrap(), of_texts(&["a", "b"]));
    }

    #[test]
    fn other_numbers_of_lines_and_other_lines_are_refused_at_once() {
        for text in ["", "1\n2\n", "1\n2\n3\n\n"] {
            let (_dir, path) = lines(text);
            assert!(refused(Sources::open(Origin::Texts(&path), &CONTENTS), Exit::Invalid).contains("for 3 vectors"));
        }
        for bad in ["", "x", "1.5", "9223372036854775808"] {
            let (_dir, path) = lines(&format!("1\n{bad}\n3\n"));
            assert!(refused(Sources::open(Origin::Ids(&path), &CONTENTS), Exit::Invalid).contains("line 2"), "{bad}");
        }
    }
}
