//! One file: opened, read by position, and how that makes the program end.

use std::fs::{self, File};
use std::path::Path;

use atom::Never;
use formats::{FileSource, Format, FormatError, Limits, ReadAt, describe};
use serde_json::{Value as Json, json};

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::import::refuse_special;

/// A file as `formats` describes it.
pub struct InspectedFile {
    /// The description, and `path`.
    pub document: Json,
    fault: Option<Exit>,
}

/// Opens a regular file for reading by position.
pub fn open(path: &Path) -> Result<FileSource> {
    let failed = |error| Failure::io("open", path, &error);
    refuse_special(path, &fs::metadata(path).map_err(failed)?)?;
    let file = File::open(path).map_err(failed)?;
    FileSource::new(file).map_err(|error| Failure::new(Exit::of_io(error.io_kind()), error.to_string()))
}

/// Returns the failure of reading a file that is open.
pub fn unread(path: &Path, error: &FormatError) -> Failure {
    let exit = match error {
        FormatError::Source { error, .. } => Exit::of_io(error.io_kind()),
        _ => Exit::of_fault(error.kind()),
    };
    let mut failure = Failure::new(exit, error.to_string()).context(format!("\"{}\"", path.display()));
    failure.detail = error.detail();
    failure.hint = error.hint();
    failure
}

/// Reads a file; arrays of its metadata above `elements_max` elements are summarised.
///
/// Errors: the file cannot be opened or read.  A file that breaks rules is none.
pub fn inspect(path: &Path, elements_max: u64) -> Result<InspectedFile> {
    let source = open(path)?;
    let failed = |error| unread(path, &error);
    let mut document = describe::file_json(&source, &Limits::default(), elements_max, &Never).map_err(failed)?;
    document.insert("path".to_owned(), json!(path.to_string_lossy()));
    let document = Json::Object(document);
    let fault = fault(&source, &document).map_err(failed)?;
    Ok(InspectedFile { document, fault })
}

/// Returns how a file ends the program whose structure was not read.
fn fault(source: &dyn ReadAt, document: &Json) -> std::result::Result<Option<Exit>, FormatError> {
    let limits = Limits::default();
    if document.get("tensors").is_some() {
        return Ok(None);
    }
    if document.get("error").is_none() {
        let broken = severities(document).any(|severity| severity == "error");
        return Ok(Some(if broken { Exit::Invalid } else { Exit::Unsupported }));
    }
    // The document has the words of the error and not its kind.
    let Some(format) = Format::of(source, &limits)? else { return Ok(Some(Exit::Invalid)) };
    Ok(format.read(source, &limits, &Never).err().map(|error| Exit::of_fault(error.kind())))
}

/// Returns the severity of each finding.
fn severities(document: &Json) -> impl Iterator<Item = &str> {
    let findings = document["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    findings.iter().filter_map(|finding| finding["severity"].as_str())
}

impl InspectedFile {
    /// Returns how the file makes the program end; `None` when there is nothing to say.
    pub fn exit(&self, strict: bool) -> Option<Exit> {
        let flagged = strict && severities(&self.document).any(|severity| severity != "info");
        self.fault.or(flagged.then_some(Exit::Findings))
    }

    /// Returns whether the structure was read.
    pub fn is_read(&self) -> bool {
        self.fault.is_none()
    }

    /// Returns how many findings there are of each severity: `1 error, 2 warnings`.
    pub fn findings(&self) -> String {
        let count = |severity: &str| severities(&self.document).filter(|found| *found == severity).count();
        let kinds = [("error", "errors"), ("warning", "warnings"), ("info", "infos")];
        let counts = kinds.map(|(one, many)| (count(one), one, many));
        let said = counts.iter().filter(|(count, ..)| *count > 0);
        said.map(|(count, one, many)| crate::output::count(*count as u64, one, many)).collect::<Vec<_>>().join(", ")
    }
}
