//! One file: opened, read by position, and how that makes the program end.

use std::path::Path;

use atom::{FaultKind, Never};
use formats::{Limits, describe};
use serde_json::{Value as Json, json};

use crate::exit::Exit;
use crate::failure::Result;
use crate::source_file::{open, unread};

/// A file as `formats` describes it.
pub struct InspectedFile {
    /// The description, and `path`.
    pub document: Json,
    fault: Option<Exit>,
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
    let fault = fault(&document);
    Ok(InspectedFile { document, fault })
}

/// Returns how a file ends the program whose structure was not read.
fn fault(document: &Json) -> Option<Exit> {
    if document.get("tensors").is_some() {
        return None;
    }
    if let Some(error) = document.get("error") {
        let kind = error["kind"].as_str().and_then(FaultKind::from_name);
        return Some(kind.map_or(Exit::Invalid, Exit::of_fault));
    }
    let broken = severities(document).any(|severity| severity == "error");
    Some(if broken { Exit::Invalid } else { Exit::Unsupported })
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
