//! Verifying, reporting, collecting, and the imports that are not finished.

use serde::Serialize;

use super::{Server, TIME};
use crate::failure::Result;

/// Stored bytes that are not what they should be, and where they are needed.
#[derive(Debug, Clone, Serialize)]
pub struct Damage {
    /// A model that uses the bytes.
    pub model: Option<String>,
    /// The file of that model.
    pub file: Option<String>,
    /// The atom; `None` when each atom is sound and their order is not.
    pub atom_id: Option<i64>,
    /// SHA-256 the bytes should have.
    pub content_hash: Option<String>,
    /// What is wrong.
    pub problem: String,
}

/// A line of the deduplication report; the one without a model is the whole store.
#[derive(Debug, Clone, Serialize)]
pub struct ReportLine {
    /// Name of the model.
    pub model: Option<String>,
    /// Number of files.
    pub files: i64,
    /// Bytes of all files.
    pub logical_bytes: i64,
    /// Bytes of their distinct atoms.
    pub unique_bytes: i64,
    /// Bytes of atoms that no other model uses.
    pub own_bytes: i64,
    /// Bytes of atoms that other models use too.
    pub shared_bytes: i64,
    /// Bytes that dropping the model would free.
    pub freed_bytes: i64,
    /// Bytes on disk with indexes; of the whole store only.
    pub physical_bytes: Option<i64>,
    /// Share of the logical bytes that deduplication saved within the line.
    pub saved_percent: Option<f64>,
    /// Advice.
    pub note: Option<String>,
}

/// What a collection deleted, or would delete.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Collected {
    /// Number of atoms.
    pub atoms: i64,
    /// Bytes of them.
    pub bytes: i64,
}

/// An import that is not finished.
#[derive(Debug, Clone, Serialize)]
pub struct UnfinishedImport {
    /// Id, for `atoms imports abort`.
    pub import_id: i64,
    /// Name the model will have.
    pub model: String,
    /// Session user who began it.
    pub owner: String,
    /// Whether a live session works on it.
    pub active: bool,
    /// Number of files.
    pub files: i64,
    /// Bytes of all files.
    pub size_bytes: i64,
    /// Bytes whose parts are announced.
    pub announced_bytes: i64,
    /// Announced bytes that are still to be sent.
    pub missing_bytes: i64,
    /// When it was begun (ISO 8601, UTC).
    pub started_at: String,
    /// When work was last done on it, to ten seconds.
    pub touched_at: String,
}

impl Server {
    /// Hashes the files of a model, or one of them, again and returns what is damaged.
    pub fn verify_model(&mut self, model: &str, file: Option<&str>) -> Result<Vec<Damage>> {
        const SQL: &str = "SELECT $1::text, file, atom_id, content_hash::text, problem \
                           FROM atoms.verify_model($1::text, $2::text)";
        self.rows(SQL, &[&model, &file])?.iter().map(damage).collect()
    }

    /// Hashes all atoms, or a random share of them, again and returns what is damaged.
    pub fn verify_atoms(&mut self, fraction: f64) -> Result<Vec<Damage>> {
        const SQL: &str =
            "SELECT model, file, atom_id, content_hash::text, problem FROM atoms.verify_atoms($1::float8)";
        self.rows(SQL, &[&fraction])?.iter().map(damage).collect()
    }

    /// Returns what deduplication saves: a line for the model, or one for each and one for the whole store.
    pub fn dedup_report(&mut self, model: Option<&str>) -> Result<Vec<ReportLine>> {
        const SQL: &str = "SELECT model, files, logical_bytes, unique_bytes, own_bytes, shared_bytes, freed_bytes, \
                           physical_bytes, saved_percent::float8, note FROM atoms.dedup_report($1::text)";
        self.rows(SQL, &[&model])?
            .iter()
            .map(|row| {
                Ok(ReportLine {
                    model: row.try_get(0)?,
                    files: row.try_get(1)?,
                    logical_bytes: row.try_get(2)?,
                    unique_bytes: row.try_get(3)?,
                    own_bytes: row.try_get(4)?,
                    shared_bytes: row.try_get(5)?,
                    freed_bytes: row.try_get(6)?,
                    physical_bytes: row.try_get(7)?,
                    saved_percent: row.try_get(8)?,
                    note: row.try_get(9)?,
                })
            })
            .collect()
    }

    /// Counts the atoms that a collection would delete now.
    pub fn count_collectable(&mut self, grace: &str) -> Result<Collected> {
        const SQL: &str = "SELECT atoms, bytes FROM atoms.vacuum_atoms($1::text::interval, 2147483647, true)";
        let row = self.row(SQL, &[&grace])?;
        Ok(Collected { atoms: row.try_get(0)?, bytes: row.try_get(1)? })
    }

    /// Deletes all atoms older than `grace` that nothing refers to, in many small transactions.
    pub fn vacuum_all_atoms(&mut self, grace: &str) -> Result<Collected> {
        let row = self.row("CALL atoms.vacuum_all_atoms($1::text::interval)", &[&grace])?;
        Ok(Collected { atoms: row.try_get(0)?, bytes: row.try_get(1)? })
    }

    /// Returns the imports that are not finished, oldest first.
    pub fn list_imports(&mut self) -> Result<Vec<UnfinishedImport>> {
        const SQL: &str = "SELECT import_id, model, owner::text, active, files, size_bytes, announced_bytes, missing_bytes, \
                           to_char(started_at AT TIME ZONE 'UTC', $1), to_char(touched_at AT TIME ZONE 'UTC', $1) \
                           FROM atoms.list_imports() ORDER BY import_id";
        self.rows(SQL, &[&TIME])?
            .iter()
            .map(|row| {
                Ok(UnfinishedImport {
                    import_id: row.try_get(0)?,
                    model: row.try_get(1)?,
                    owner: row.try_get(2)?,
                    active: row.try_get(3)?,
                    files: row.try_get(4)?,
                    size_bytes: row.try_get(5)?,
                    announced_bytes: row.try_get(6)?,
                    missing_bytes: row.try_get(7)?,
                    started_at: row.try_get(8)?,
                    touched_at: row.try_get(9)?,
                })
            })
            .collect()
    }

    /// Gives an import up: its files and references go, the atoms it stored are collected later.
    pub fn abort_import(&mut self, import_id: i64) -> Result<()> {
        self.rows("SELECT atoms.abort_import($1::bigint)", &[&import_id])?;
        Ok(())
    }
}

pub(super) fn damage(row: &postgres::Row) -> Result<Damage> {
    Ok(Damage {
        model: row.try_get(0)?,
        file: row.try_get(1)?,
        atom_id: row.try_get(2)?,
        content_hash: row.try_get(3)?,
        problem: row.try_get(4)?,
    })
}
