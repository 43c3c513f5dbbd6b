//! One value of a file's metadata, whole: a chat template, a vocabulary.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use atom::Never;
use formats::describe::MetadataWriter;
use formats::{Format, FormatError, Limits, Value};
use serde_json::{Value as Json, json};

use super::ELEMENTS_MAX;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{Output, printable, printable_lines};
use crate::source_file::{open, unread};

/// Prints the value of `key`.
pub fn run(output: Output, paths: &[PathBuf], key: &str) -> Result<()> {
    let [path] = paths else { return Err(Failure::new(Exit::Usage, "--metadata takes one file")) };
    let value = value(path, key)?;
    let document = json!({ "path": path.to_string_lossy(), "key": key, "value": value });
    output.result(&document, || text(&value, io::stdout().is_terminal()))
}

fn value(path: &Path, key: &str) -> Result<Json> {
    let source = open(path)?;
    let limits = Limits::default();
    let failed = |error: FormatError| unread(path, &error);
    let Some(format) = Format::of(&source, &limits).map_err(failed)? else {
        let message = format!("the structure of \"{}\" is not read", path.display());
        return Err(Failure::new(Exit::Unsupported, message).hint("atoms inspect FILE says what it is."));
    };
    let structure = format.read(&source, &limits, &Never).map_err(failed)?;
    // Keys are shown with this sign for U+0000, so they are asked for by it.
    let shown = |known: &str| known.replace('\0', "\u{2400}") == key;
    let Some((_, value)) = structure.metadata.iter().find(|(known, _)| shown(known)) else {
        let message = format!("\"{}\" has no metadata \"{key}\"", path.display());
        return Err(Failure::new(Exit::NotFound, message).hint("atoms inspect FILE lists the keys."));
    };
    refuse_too_long(value)?;
    let writer = MetadataWriter::new(&source, &structure, ELEMENTS_MAX, &Never).map_err(failed)?;
    writer.json(value).map_err(failed)
}

fn refuse_too_long(value: &Value) -> Result<()> {
    match value {
        Value::Array(array) if array.count > ELEMENTS_MAX => {
            let message = format!("an array of {} elements is too long to be shown", array.count);
            Err(Failure::new(Exit::Limit, message).detail(format!("The limit is {ELEMENTS_MAX} elements.")))
        }
        _ => Ok(()),
    }
}

/// Returns text as it is, for a terminal without what would steer it; an array with an element a line.
fn text(value: &Json, terminal: bool) -> String {
    match value {
        Json::String(text) if terminal => printable_lines(text),
        Json::String(text) => text.clone(),
        Json::Array(elements) => elements.iter().map(|element| line(element) + "\n").collect(),
        other => other.to_string(),
    }
}

/// Returns an element; one that holds line breaks must not look like two.
fn line(element: &Json) -> String {
    match element {
        Json::String(text) => printable(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_whole_and_arrays_have_a_line_per_element() {
        let template = json!("{% if a %}\n\t\u{1b}[1m{% endif %}");
        assert_eq!(text(&template, false), template.as_str().unwrap());
        assert_eq!(text(&template, true), "{% if a %}\n\t\\u{1b}[1m{% endif %}");
        assert_eq!(text(&json!(["a", "b\nc", 1, [2, "x"]]), false), "a\nb\\nc\n1\n[2,\"x\"]\n");
        assert_eq!(text(&json!(0.5), false), "0.5");
    }
}
