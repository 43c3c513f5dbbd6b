//! What the files of a model say about themselves.

use formats::Reading;
use pgrx::prelude::*;

use crate::pg::error::PgResult;
use crate::stored_file::StoredFile;
use crate::tensor::structure_for_import;

/// Rows of `model_metadata`.
type Metadata = TableIterator<'static, (name!(file, String), name!(key, String), name!(value, String))>;

#[pg_extern(stable, parallel_safe)]
fn model_metadata(model: Option<&str>, file: default!(Option<&str>, "NULL")) -> PgResult<Metadata> {
    let Some(model) = model else { return Ok(TableIterator::new(Vec::new())) };
    let mut rows = Vec::new();
    for stored in StoredFile::of_model(model, file)? {
        if let Reading::Structured(structure) = structure_for_import(&stored)? {
            rows.extend(
                structure.metadata.into_iter().map(|(key, value)| (stored.path.clone(), text(&key), text(value.as_text().unwrap_or_default()))),
            );
        }
    }
    Ok(TableIterator::new(rows))
}

/// SQL text cannot hold U+0000: it is shown as U+2400, the picture of it.
fn text(value: &str) -> String {
    value.replace('\0', "\u{2400}")
}
