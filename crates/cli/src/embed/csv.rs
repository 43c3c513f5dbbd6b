//! CSV: a vector a line, its numbers between commas; names of columns before them, and ids in the first column, where there are any.
//!
//! A field may stand between double quotes, but has no comma.  Lines without anything on them are passed over.

use std::path::Path;

use vector::Element;

use super::lines::Lines;
use super::{Batch, Contents, VectorFile, dimensions, malformed};
use crate::failure::{Failure, Result};
use crate::output::count;

/// Names of a first column that holds the ids of source atoms.
const IDS_NAMES: [&str; 2] = ["id", "source_atom_id"];

/// An open file.
pub struct Csv {
    lines: Lines,
    contents: Contents,
    has_header: bool,
}

/// Opens a file; reads it to its end once, to learn how many vectors there are.
///
/// The first line is one of names when its first field is no number.
pub fn open(path: &Path) -> Result<Csv> {
    let mut lines = Lines::open(path)?;
    let mut first = None;
    let mut rows = 0;
    while let Some(line) = lines.next()? {
        if !line.trim().is_empty() {
            rows += 1;
            first.get_or_insert_with(|| line.to_owned());
        }
    }
    lines.rewind()?;
    let first = first.ok_or_else(|| malformed("it has no lines"))?;
    let has_header = first_name(&first).is_some();
    let has_ids = has_ids(&first)?;
    let columns = first.split(',').count();
    let contents = Contents {
        dimensions: dimensions((columns - usize::from(has_ids)) as u64)?,
        rows: rows - u64::from(has_header),
        // A decimal is a float32 to most who write them; read wide, it loses nothing in a model of float64.
        element: Element::Float64,
        registers_as: Element::Float32,
        has_ids,
    };
    Ok(Csv { lines, contents, has_header })
}

/// Returns the name of the first column, where the line is one of names.
fn first_name(line: &str) -> Option<&str> {
    let first = field(line.split(',').next()?);
    first.parse::<f64>().is_err().then_some(first)
}

/// Returns whether the first column holds ids.  One without a name holds numbers of rows, as pandas writes them: no values.
fn has_ids(line: &str) -> Result<bool> {
    match first_name(line) {
        Some("") => {
            Err(malformed("its first column has no name").hint("Name it id when it holds atom ids, else leave it out."))
        }
        Some(name) => Ok(IDS_NAMES.contains(&name)),
        None => Ok(false),
    }
}

/// Returns a field without the blanks and quotes around it.
fn field(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

impl VectorFile for Csv {
    fn contents(&self) -> Contents {
        self.contents
    }

    fn read(&mut self, rows: usize, batch: &mut Batch) -> Result<()> {
        batch.values.clear();
        batch.ids.clear();
        for _ in 0..rows {
            while !self.read_line(batch)? {}
        }
        Ok(())
    }
}

impl Csv {
    /// Reads a line; false when it holds no vector.
    fn read_line(&mut self, batch: &mut Batch) -> Result<bool> {
        let Some(line) = self.lines.next()? else {
            return Err(malformed("it became shorter while it was read"));
        };
        if line.trim().is_empty() || std::mem::take(&mut self.has_header) {
            return Ok(false);
        }
        let row = read_row(line, &self.contents, batch);
        row.map_err(|failure| failure.context(format!("line {}", self.lines.number())))?;
        Ok(true)
    }
}

/// Appends the numbers of a line.
fn read_row(line: &str, contents: &Contents, batch: &mut Batch) -> Result<()> {
    let mut fields = line.split(',').map(field);
    if contents.has_ids {
        let id = fields.next().unwrap_or_default();
        batch.ids.push(id.parse().map_err(|_| malformed(format!("{id:?} is no atom id")))?);
    }
    let mut found = 0;
    for (place, text) in fields.enumerate() {
        let value: f64 = text.parse().map_err(|_| no_number(text, place))?;
        batch.values.extend_from_slice(&value.to_le_bytes());
        found += 1;
    }
    if found == contents.dimensions {
        return Ok(());
    }
    let found = count(found as u64, "number", "numbers");
    Err(malformed(format!("{found} for {} dimensions", contents.dimensions)))
}

fn no_number(text: &str, dimension: usize) -> Failure {
    malformed(format!("{text:?} is no number (dimension {dimension})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::written::{read_all, refused};
    use crate::exit::Exit;

    fn opened(text: &str) -> Result<Csv> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.csv");
        std::fs::write(&path, text).unwrap();
        open(&path)
    }

    fn read(text: &str) -> Result<(Vec<f64>, Vec<i64>)> {
        read_all(&mut opened(text)?, 2)
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        let numbers = vec![1.0, -2.5, 3e-7, 0.1, 7.0, 100.0];
        for text in [
            "1,-2.5\n3e-7,.1\n+7,1E2\n",
            "1, -2.5\r\n3e-7 ,0.1\r\n7.,100",
            "\n\"1\",\"-2.5\"\n\n3e-7,0.1\n  \n7,100\n\n",
            "\u{feff}a,b\n1,-2.5\n3e-7,0.1\n7,100\n",
            "\"x\",0\n1,-2.5\n3e-7,0.1\n7,100\n",
        ] {
            assert_eq!(read(text).unwrap(), (numbers.clone(), Vec::new()), "{text}");
        }
    }

    #[test]
    fn a_first_column_of_ids_is_known_by_its_name() {
        for name in ["id", "source_atom_id", "\"id\"", " id "] {
            let (values, ids) = read(&format!("{name},0,1\n-9223372036854775808,1,2\n9,3,4\n")).unwrap();
            assert_eq!((values, ids), (vec![1.0, 2.0, 3.0, 4.0], vec![i64::MIN, 9]));
        }
        assert!(refused(read("id,a\n1.5,2\n"), Exit::Invalid).contains("line 2: \"1.5\" is no atom id"));
        assert!(refused(read("ID,a\n1,2\n,3\n"), Exit::Invalid).contains("line 3"));
    }

    #[test]
    fn a_column_without_a_name_is_taken_for_numbers_of_rows() {
        assert!(refused(read(",0,1\n0,1,2\n"), Exit::Invalid).contains("first column has no name"));
    }

    #[test]
    fn lines_that_are_no_vector_are_named() {
        let cases = [
            ("1,2\n3\n", "line 2: 1 number for 2 dimensions"),
            ("1,2\n\n3,4,5\n", "line 3: 3 numbers for 2 dimensions"),
            ("1,2\n3,x\n", "line 2: \"x\" is no number (dimension 1)"),
            ("1,2,\n", "line 1: \"\" is no number (dimension 2)"),
            ("1,a\n", "line 1: \"a\" is no number (dimension 1)"),
            ("1;2\n1;3", "line 2: \"1;3\" is no number (dimension 0)"),
        ];
        for (text, message) in cases {
            let failure = refused(read(text), Exit::Invalid);
            assert!(failure.contains(message), "{failure}");
        }
    }

    #[test]
    fn files_without_vectors_have_none_or_are_refused() {
        refused(opened(""), Exit::Invalid);
        refused(opened("\n \n"), Exit::Invalid);
        refused(opened("id\n1\n"), Exit::Invalid);
        assert_eq!(opened("a,b\n").unwrap().contents().rows, 0);
        refused(opened(&"1,".repeat(65_535)), Exit::Limit);
        assert_eq!(opened(&"1,".repeat(65_534)).unwrap().contents().dimensions, 65_535);
    }

    /// They are numbers to those who write them, and no values: which row has one, is said when it is converted.
    #[test]
    fn what_is_not_finite_is_no_name() {
        let (values, _) = read("nan,inf\n-Infinity,1\n").unwrap();
        assert!(values[0].is_nan() && values[1..] == [f64::INFINITY, f64::NEG_INFINITY, 1.0]);
    }
}
