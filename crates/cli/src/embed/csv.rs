//! CSV: a vector a line, its numbers between commas; names of columns before them, and ids in the first column, where there are any.
//!
//! A field may stand between double quotes, but has no comma.  Lines without anything on them are passed over.

use std::path::Path;

use vector::Element;

use super::lines::Lines;
use super::{Batch, Contents, VectorFile, dimensions, malformed};
use crate::failure::{Failure, Result};

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
    Err(malformed(format!("it has {found} numbers, and the first line says {} dimensions", contents.dimensions)))
}

fn no_number(text: &str, dimension: usize) -> Failure {
    malformed(format!("{text:?} is no number (dimension {dimension})"))
}
