//! A directory: what its names tell, and a line for each of its files.

use std::path::Path;

use formats::{Detection, FileFormat, detect_directory};
use serde_json::{Value as Json, json};

use super::file::{self, InspectedFile};
use super::text::{FileView, named};
use super::worse;
use crate::exit::Exit;
use crate::failure::Result;
use crate::figures::{grouped, parameters};
use crate::import::local_files;
use crate::output::{Align, Table, count, printable, size};

/// A directory and the files below it.
pub struct InspectedDirectory {
    path: String,
    detection: Detection,
    /// Names as inside a model, and what came out.
    files: Vec<(String, Result<InspectedFile>)>,
}

/// Reads the files below a directory, those that an import would store.
pub fn inspect(path: &Path, elements_max: u64) -> Result<InspectedDirectory> {
    let found = local_files(path)?;
    let names: Vec<&str> = found.iter().map(|file| file.path.as_str()).collect();
    let detection = detect_directory(&names);
    let files = found.into_iter().map(|found| {
        let inspected = file::inspect(&found.location, elements_max);
        (found.path, inspected)
    });
    Ok(InspectedDirectory { path: path.to_string_lossy().into_owned(), detection, files: files.collect() })
}

impl InspectedDirectory {
    /// Returns how the directory makes the program end.
    ///
    /// Files whose structure is not read lie beside every model, so they count only where nothing was read.
    pub fn exit(&self, strict: bool) -> Option<Exit> {
        let anything_read = self.inspected().any(InspectedFile::is_read);
        let exits = self.files.iter().filter_map(|(_, inspected)| match inspected {
            Ok(file) => file.exit(strict).filter(|exit| !(anything_read && *exit == Exit::Unsupported)),
            Err(failure) => Some(failure.exit()),
        });
        exits.reduce(worse)
    }

    fn inspected(&self) -> impl Iterator<Item = &InspectedFile> {
        self.files.iter().filter_map(|(_, inspected)| inspected.as_ref().ok())
    }

    /// Returns the document; nothing of the files stays here.
    pub fn take_document(&mut self) -> Json {
        let files = self.files.iter_mut().map(|(name, inspected)| match inspected {
            Ok(file) => file.document.take(),
            Err(failure) => json!({ "path": format!("{}/{name}", self.path), "error": failure }),
        });
        let files: Vec<Json> = files.collect();
        json!({
            "path": self.path,
            "format": self.detection.format.name(),
            "variant": self.detection.variant,
            "confidence": self.detection.confidence,
            "reason": self.detection.reason,
            "files": files,
        })
    }

    /// Returns the text.
    pub fn text(&self) -> Result<String> {
        let mut table = Table::new([
            ("FILE", Align::Left),
            ("FORMAT", Align::Left),
            ("SIZE", Align::Right),
            ("TENSORS", Align::Right),
            ("PARAMETERS", Align::Right),
            ("FINDINGS", Align::Left),
        ]);
        let mut failures = String::new();
        let (mut bytes, mut tensors, mut elements) = (0_u64, 0_u64, 0_u64);
        for (name, inspected) in &self.files {
            let file = match inspected {
                Ok(file) => file,
                Err(failure) => {
                    failures.push_str(&format!("\n{}: {}\n", printable(name), printable(&failure.message)));
                    continue;
                }
            };
            let view = FileView::of(&file.document)?;
            bytes = bytes.saturating_add(view.size_bytes);
            tensors = tensors.saturating_add(view.tensors.as_ref().map_or(0, |tensors| tensors.len() as u64));
            elements = elements.saturating_add(view.parameters.unwrap_or(0));
            table.row([
                name.clone(),
                named(view.format, view.variant),
                size(view.size_bytes),
                view.tensors.as_ref().map(|tensors| grouped(tensors.len() as u64)).unwrap_or_default(),
                view.parameters.map(parameters).unwrap_or_default(),
                file.findings(),
            ]);
        }
        Ok(format!(
            "{}: {}{}, {}, {}, {} parameters\n\n{}{failures}",
            printable(&self.path),
            self.detected(),
            count(self.files.len() as u64, "file", "files"),
            size(bytes),
            count(tensors, "tensor", "tensors"),
            parameters(elements),
            table.render(),
        ))
    }

    /// Returns what the names tell, as a line to put before the figures; nothing when they tell nothing.
    fn detected(&self) -> String {
        let Detection { format, variant, reason, .. } = &self.detection;
        if *format == FileFormat::Unknown {
            return String::new();
        }
        format!("{}, {}\n", named(format.name(), variant.as_deref()), printable(reason))
    }
}
