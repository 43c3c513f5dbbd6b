//! What files are, stored or not: formats, descriptions, findings.

use formats::describe::{self, ARRAY_ELEMENTS_SHOWN};
use formats::{Bytes, Detection, ReadAt};
use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::Value as Json;

use crate::pg::error::{PgResult, format_fault};
use crate::pg::guc;
use crate::pg::interrupt::Backend;
use crate::server_file::{self, ServerFile};
use crate::stored_file::StoredFile;

/// The row of `detect_format` for a file that is not stored.
type Detected = TableIterator<
    'static,
    (name!(format, String), name!(variant, Option<String>), name!(confidence, f64), name!(reason, String)),
>;

#[pg_extern(stable, parallel_safe)]
fn detect_format_of_bytes(file_data: Option<&[u8]>) -> PgResult<Detected> {
    let Some(bytes) = file_data else { return Ok(TableIterator::new(Vec::new())) };
    Ok(detected(detect(&Bytes(bytes))?))
}

#[pg_extern(stable)]
fn detect_server_file_format(path: Option<&str>) -> PgResult<Detected> {
    let Some(path) = path else { return Ok(TableIterator::new(Vec::new())) };
    if server_file::is_folder(path.as_ref())? {
        let files = server_file::list(path.as_ref())?;
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        return Ok(detected(formats::detect_directory(&names)));
    }
    Ok(detected(detect(&ServerFile::open(path.as_ref())?.into_source()?)?))
}

fn detected(detection: Detection) -> Detected {
    let Detection { format, variant, confidence, reason, .. } = detection;
    TableIterator::once((format.name().to_owned(), variant, confidence, reason))
}

/// Rows of `detect_format` for the files of a stored model.
type DetectedFiles = TableIterator<
    'static,
    (
        name!(file, String),
        name!(format, String),
        name!(variant, Option<String>),
        name!(confidence, f64),
        name!(reason, String),
    ),
>;

#[pg_extern(stable, parallel_safe)]
fn detect_format_of_model(model: Option<&str>, file: default!(Option<&str>, "NULL")) -> PgResult<DetectedFiles> {
    let Some(model) = model else { return Ok(TableIterator::new(Vec::new())) };
    let mut rows = Vec::new();
    for stored in StoredFile::of_model(model, file)? {
        let Detection { format, variant, confidence, reason, .. } = detect(&stored)?;
        rows.push((stored.path, format.name().to_owned(), variant, confidence, reason));
    }
    Ok(TableIterator::new(rows))
}

fn detect(source: &dyn ReadAt) -> PgResult<Detection> {
    formats::detect(source, &guc::limits(), &Backend).map_err(|error| format_fault(&error))
}

/// Rows of `model_formats`.
type Formats = TableIterator<
    'static,
    (
        name!(format, String),
        name!(extensions, Vec<String>),
        name!(support, String),
        name!(recommended, bool),
        name!(notes, String),
    ),
>;

#[pg_extern(immutable, parallel_safe)]
fn model_formats() -> Formats {
    TableIterator::new(formats::known_formats().iter().map(|info| {
        let extensions = info.extensions.iter().map(|&extension| extension.to_owned()).collect();
        (info.name.to_owned(), extensions, info.support.name().to_owned(), info.recommended, info.notes.to_owned())
    }))
}

#[pg_extern(stable, strict, parallel_safe)]
fn describe_bytes(file_data: &[u8], full_metadata: default!(bool, false)) -> PgResult<JsonB> {
    description(&Bytes(file_data), full_metadata)
}

#[pg_extern(stable, strict, parallel_safe)]
fn describe_stored_file(model: &str, file: &str, full_metadata: default!(bool, false)) -> PgResult<JsonB> {
    description(&StoredFile::find(model, file)?, full_metadata)
}

#[pg_extern(stable, strict)]
fn describe_server_file(path: &str, full_metadata: default!(bool, false)) -> PgResult<JsonB> {
    description(&ServerFile::open(path.as_ref())?.into_source()?, full_metadata)
}

/// Returns all that is known of a file as one document.
fn description(source: &dyn ReadAt, full_metadata: bool) -> PgResult<JsonB> {
    let elements_max = if full_metadata { u64::MAX } else { ARRAY_ELEMENTS_SHOWN };
    let document = describe::file_json(source, &guc::limits(), elements_max, &Backend);
    document.map(|document| JsonB(Json::Object(document))).map_err(|error| format_fault(&error))
}

/// Rows of `file_findings`.
type Findings = TableIterator<
    'static,
    (
        name!(file, String),
        name!(rule, String),
        name!(severity, String),
        name!(byte_offset, i64),
        name!(message, String),
    ),
>;

#[pg_extern(stable, strict, parallel_safe)]
fn file_findings(model: &str) -> PgResult<Findings> {
    let limits = guc::limits();
    let mut rows = Vec::new();
    for stored in StoredFile::of_model(model, None)? {
        for finding in describe::findings(&stored, &limits, &Backend).map_err(|error| format_fault(&error))? {
            let severity = finding.severity.name().to_owned();
            rows.push((stored.path.clone(), finding.rule.to_owned(), severity, finding.offset as i64, finding.message));
        }
    }
    Ok(TableIterator::new(rows))
}
