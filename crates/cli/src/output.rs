//! What goes to standard output: tables and lines for people, one JSON document for programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::figures::in_thousands;

/// Where results and remarks go, and in which form.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// One JSON document instead of text.
    pub json: bool,
    /// No remarks, no progress.
    pub quiet: bool,
}

impl Output {
    /// Writes the result: the document when JSON was asked for, else the text.
    pub fn result(&self, document: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let mut written = if self.json {
            serde_json::to_string(document).map_err(|error| Failure::new(Exit::Other, error.to_string()))?
        } else {
            text()
        };
        if !written.is_empty() && !written.ends_with('\n') {
            written.push('\n');
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(written.as_bytes()).and_then(|()| stdout.flush()) {
            // The reader has seen enough (`| head`): no failure of ours.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => {
                other.map_err(|error| Failure::new(Exit::of_io(error.kind()), format!("standard output: {error}")))
            }
        }
    }

    /// Writes a remark to standard error, unless quiet or JSON was asked for.
    pub fn remark(&self, text: &str) {
        if !self.quiet && !self.json {
            eprintln!("{text}");
        }
    }

    /// Writes the failure that ends the program.
    pub fn failure(&self, failure: &Failure) {
        eprintln!("atoms: {failure}");
        if self.json {
            // Nothing is left to do when this cannot be written either.
            let _ = self.result(&serde_json::json!({ "error": failure }), String::new);
        }
    }
}

/// How the cells of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table for people: a heading, a rule, rows; two blanks between columns.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Begins a table with these columns.
    pub fn new<const N: usize>(columns: [(&'static str, Align); N]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; it has a cell for each column.  Control characters in cells are shown escaped.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(cells.iter().map(|cell| printable(cell)).collect());
    }

    /// Returns the text.
    pub fn render(&self) -> String {
        let widths = self.widths();
        let mut text = String::new();
        let heads: Vec<String> = self.columns.iter().map(|(head, _)| (*head).to_owned()).collect();
        self.render_row(&heads, &widths, &mut text);
        let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        self.render_row(&rules, &widths, &mut text);
        for row in &self.rows {
            self.render_row(row, &widths, &mut text);
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|(head, _)| head.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }

    fn render_row(&self, cells: &[String], widths: &[usize], text: &mut String) {
        let mut line = String::new();
        for ((cell, width), (_, align)) in cells.iter().zip(widths).zip(&self.columns) {
            let blanks = " ".repeat(width - cell.chars().count());
            match align {
                Align::Left => line.extend([cell, &blanks, "  "]),
                Align::Right => line.extend([&blanks, cell.as_str(), "  "]),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// Returns the text with control characters escaped: names from a database must not steer the terminal.
pub fn printable(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// Returns text of several lines with all other control characters escaped.
pub fn printable_lines(text: &str) -> String {
    let line = |line: &str| line.split('\t').map(printable).collect::<Vec<_>>().join("\t");
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the dimensions of a tensor, outermost first; `[]` is a scalar.
pub fn shape(dimensions: &[impl ToString]) -> String {
    let dimensions: Vec<String> = dimensions.iter().map(ToString::to_string).collect();
    format!("[{}]", dimensions.join(", "))
}

/// Returns a size in decimal units with three digits, as disks are labelled: `999 B`, `1.05 GB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    in_thousands(bytes, &UNITS)
}

/// Returns a count from SQL, which is never negative, as a size.
pub fn size_i64(bytes: i64) -> String {
    size(u64::try_from(bytes).unwrap_or(0))
}

/// Returns a count with the noun in its singular or plural form.
pub fn count(number: u64, singular: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { singular } else { plural })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_and_end_without_blanks() {
        let mut table = Table::new([("name", Align::Left), ("size", Align::Right), ("note", Align::Left)]);
        table.row(["a".into(), "1 B".into(), String::new()]);
        table.row(["längs".into(), "12.3 MB".into(), "x".into()]);
        let expected = "name      size  note\n-----  -------  ----\na          1 B\nlängs  12.3 MB  x\n";
        assert_eq!(table.render(), expected);
    }

    #[test]
    fn sizes_have_three_digits_and_decimal_units() {
        let table = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_994, "9.99 kB"),
            (9_995, "10.0 kB"),
            (99_960, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (1_048_576, "1.05 MB"),
            (2_500_000_000, "2.50 GB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (bytes, text) in table {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(printable("plain – ok"), "plain – ok");
        assert_eq!(printable_lines("a\tb\r\n\u{7}\n"), "a\tb\\r\n\\u{7}\n");
    }

    #[test]
    fn shapes_are_listed_from_the_outermost_dimension() {
        assert_eq!(shape(&[0_u64; 0]), "[]");
        assert_eq!(shape(&[32_i64, 0, 7]), "[32, 0, 7]");
    }

    #[test]
    fn counts_have_their_noun() {
        assert_eq!(count(1, "file", "files"), "1 file");
        assert_eq!(count(0, "file", "files"), "0 files");
    }
}
