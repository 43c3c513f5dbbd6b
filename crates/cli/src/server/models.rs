//! Models, their files and tensors; and files as streams of bytes.

use std::io::BufRead;

use atom::ContentHash;
use postgres::{IsolationLevel, Transaction};
use serde::Serialize;

use super::upkeep::{Damage, damage};
use super::{Server, TIME};
use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// A model in the list.
#[derive(Debug, Clone, Serialize)]
pub struct ModelSummary {
    /// Name.
    pub model: String,
    /// Number of files.
    pub files: i64,
    /// Bytes of all files.
    pub size_bytes: i64,
    /// Number of tensors.
    pub tensors: i64,
    /// Formats of its files.
    pub formats: Vec<String>,
    /// When its import was finished (ISO 8601, UTC).
    pub created_at: String,
}

/// A file of a model.
#[derive(Debug, Clone, Serialize)]
pub struct ModelFile {
    /// Path inside the model.
    pub path: String,
    /// Size in bytes.
    pub size_bytes: i64,
    /// SHA-256 of the whole file.
    #[serde(rename = "sha256", serialize_with = "hash_text")]
    pub content_hash: ContentHash,
    /// Format whose structure was read; `None` for an opaque file.
    pub format: Option<String>,
    /// Variant of the format.
    pub variant: Option<String>,
    /// Why it was not read further.
    pub note: Option<String>,
}

fn hash_text<S: serde::Serializer>(hash: &ContentHash, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(hash)
}

/// A tensor of a model.
#[derive(Debug, Clone, Serialize)]
pub struct Tensor {
    /// File it is in.
    pub file: String,
    /// Name, unique in the file.
    pub tensor: String,
    /// Element type, as the format names it.
    pub dtype: String,
    /// Dimensions; empty for a scalar.
    pub shape: Vec<i64>,
    /// First byte in the file; `None` when the bytes are not contiguous there.
    pub byte_offset: Option<i64>,
    /// Length of the stored bytes.
    pub size_bytes: i64,
    /// Parts it was cut into.
    pub chunks: i64,
}

const FILES_SQL: &str = "SELECT f.path, f.size_bytes, f.content_hash::bytea, f.format, f.variant, f.note \
                         FROM atoms.model m JOIN atoms.model_file f USING (model_id) WHERE m.name = $1 ORDER BY f.path COLLATE \"C\"";

fn model_file(row: &postgres::Row) -> Result<ModelFile> {
    Ok(ModelFile {
        path: row.try_get(0)?,
        size_bytes: row.try_get(1)?,
        content_hash: ContentHash::try_from(row.try_get::<_, &[u8]>(2)?)
            .map_err(|_| Failure::new(Exit::Extension, "the server sent a hash that has not 32 bytes"))?,
        format: row.try_get(3)?,
        variant: row.try_get(4)?,
        note: row.try_get(5)?,
    })
}

impl Tensor {
    /// Reads the columns that [`Server::tensors`] selects.
    pub(super) fn from_row(row: &postgres::Row) -> Result<Self> {
        Ok(Self {
            file: row.try_get(0)?,
            tensor: row.try_get(1)?,
            dtype: row.try_get(2)?,
            shape: row.try_get(3)?,
            byte_offset: row.try_get(4)?,
            size_bytes: row.try_get(5)?,
            chunks: row.try_get(6)?,
        })
    }
}

fn model_summary(row: &postgres::Row) -> Result<ModelSummary> {
    Ok(ModelSummary {
        model: row.try_get(0)?,
        files: row.try_get(1)?,
        size_bytes: row.try_get(2)?,
        tensors: row.try_get(3)?,
        formats: row.try_get::<_, Option<Vec<String>>>(4)?.unwrap_or_default(),
        created_at: row.try_get(5)?,
    })
}

fn no_model(model: &str) -> Failure {
    Failure::new(Exit::NotFound, format!("model \"{model}\" does not exist"))
        .hint("atoms ls lists the models, atoms imports the imports under way.")
}

impl Server {
    /// Returns all models by name.
    pub fn models(&mut self) -> Result<Vec<ModelSummary>> {
        const SQL: &str = "SELECT model, files, size_bytes, tensors, formats, to_char(created_at AT TIME ZONE 'UTC', $1) \
                           FROM atoms.model_summary ORDER BY model COLLATE \"C\"";
        self.rows(SQL, &[&TIME])?.iter().map(model_summary).collect()
    }

    /// Returns one model.
    pub fn model(&mut self, model: &str) -> Result<ModelSummary> {
        const SQL: &str = "SELECT model, files, size_bytes, tensors, formats, to_char(created_at AT TIME ZONE 'UTC', $2) \
                           FROM atoms.model_summary WHERE model = $1";
        let rows = self.rows(SQL, &[&model, &TIME])?;
        model_summary(rows.first().ok_or_else(|| no_model(model))?)
    }

    /// Returns the files of a model by path.
    pub fn model_files(&mut self, model: &str) -> Result<Vec<ModelFile>> {
        self.rows(FILES_SQL, &[&model])?.iter().map(model_file).collect()
    }

    /// Returns the tensors of a model, or of one file of it, in the order of the file.
    pub fn tensors(&mut self, model: &str, file: Option<&str>) -> Result<Vec<Tensor>> {
        const SQL: &str = "SELECT file, tensor, dtype, shape, byte_offset, size_bytes, chunks FROM atoms.tensor_detail \
                           WHERE model = $1 AND ($2::text IS NULL OR file = $2) \
                           ORDER BY file COLLATE \"C\", byte_offset, size_bytes, tensor COLLATE \"C\"";
        self.rows(SQL, &[&model, &file])?.iter().map(Tensor::from_row).collect()
    }

    /// Drops a model; its atoms stay until they are collected.
    pub fn drop_model(&mut self, model: &str) -> Result<()> {
        self.rows("SELECT atoms.drop_model($1::text)", &[&model])?;
        Ok(())
    }

    /// Begins reading a model under one snapshot.
    pub fn snapshot(&mut self) -> Result<ModelSnapshot<'_>> {
        let builder = self.client.build_transaction();
        let transaction = builder.isolation_level(IsolationLevel::RepeatableRead).read_only(true).start()?;
        Ok(ModelSnapshot { transaction })
    }
}

/// The store as it was at one moment: everything read from it belongs together.
pub struct ModelSnapshot<'a> {
    transaction: Transaction<'a>,
}

impl ModelSnapshot<'_> {
    /// Returns the files of a model by path; 42704's exit code when there is no such model.
    pub fn files(&mut self, model: &str) -> Result<Vec<ModelFile>> {
        if self.transaction.query_opt("SELECT 1 FROM atoms.model WHERE name = $1", &[&model])?.is_none() {
            return Err(no_model(model));
        }
        self.transaction.query(FILES_SQL, &[&model])?.iter().map(model_file).collect()
    }

    /// Hashes a stored file again and returns what is damaged; as the last thing before the snapshot is given up.
    pub fn verify_file(&mut self, model: &str, file: &str) -> Result<Vec<Damage>> {
        const SQL: &str = "SELECT $1::text, file, atom_id, content_hash::text, problem \
                           FROM atoms.verify_model($1::text, $2::text)";
        self.transaction.query(SQL, &[&model, &file])?.iter().map(damage).collect()
    }

    /// Hands the bytes of a file, as binary COPY data, to `receive`.
    ///
    /// A failure inside leaves the snapshot usable for other files.
    pub fn stream_file<T>(
        &mut self,
        model: &str,
        file: &str,
        receive: impl FnOnce(&mut dyn BufRead) -> Result<T>,
    ) -> Result<T> {
        // COPY takes no parameters.  The client hashes the whole file itself, so the server need not hash the atoms.
        let sql = format!(
            "COPY (SELECT atoms.export_file_chunks({}, {}, false)) TO STDOUT (FORMAT binary)",
            literal(model),
            literal(file)
        );
        let mut savepoint = self.transaction.savepoint("atoms_export_file")?;
        let received = {
            let mut reader = savepoint.copy_out(sql.as_str())?;
            receive(&mut reader)
        };
        // A reader that is dropped early leaves the driver to skip the rest, which ends in the next statement.
        match received {
            Ok(received) => {
                savepoint.commit()?;
                Ok(received)
            }
            Err(failure) => {
                savepoint.rollback()?;
                Err(failure)
            }
        }
    }
}

/// Quotes a string literal that is right whatever `standard_conforming_strings` says.
fn literal(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 4);
    quoted.push_str(if text.contains('\\') { " E'" } else { "'" });
    for character in text.chars() {
        if matches!(character, '\'' | '\\') {
            quoted.push(character);
        }
        quoted.push(character);
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_quoted() {
        assert_eq!(literal("plain"), "'plain'");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'; DROP"), r" E'a\\''; DROP'");
        assert_eq!(literal(""), "''");
    }
}
