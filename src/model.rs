//! What the files of a model say about themselves.

use formats::Reading;
use formats::describe::{ARRAY_ELEMENTS_SHOWN, MetadataWriter};
use pgrx::prelude::*;

use crate::pg::error::{PgResult, format_fault};
use crate::pg::interrupt::Backend;
use crate::stored_file::StoredFile;
use crate::tensor::structure_for_import;

/// Rows of `model_metadata`.
type Metadata = TableIterator<'static, (name!(file, String), name!(key, String), name!(value, String))>;

#[pg_extern(stable, parallel_safe)]
fn model_metadata(model: Option<&str>, file: default!(Option<&str>, "NULL")) -> PgResult<Metadata> {
    let Some(model) = model else { return Ok(TableIterator::new(Vec::new())) };
    let mut rows = Vec::new();
    for stored in StoredFile::of_model(model, file)? {
        let Reading::Structured(structure) = structure_for_import(&stored)? else { continue };
        let read = |error| format_fault(&error);
        let writer = MetadataWriter::new(&stored, &structure, ARRAY_ELEMENTS_SHOWN, &Backend).map_err(read)?;
        for (key, value) in &structure.metadata {
            let value = match value.as_text() {
                Some(value) => text(value),
                None => writer.text(value).map_err(read)?,
            };
            rows.push((stored.path.clone(), text(key), value));
        }
    }
    Ok(TableIterator::new(rows))
}

/// SQL text cannot hold U+0000: it is shown as U+2400, the picture of it.
fn text(value: &str) -> String {
    value.replace('\0', "\u{2400}")
}
