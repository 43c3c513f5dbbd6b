//! The import protocol: one function per call of it.  `docs/design.md` says what each call promises.

use atom::{ContentHash, Modality};

use super::Server;
use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// What an import is begun with.
#[derive(Debug, Clone)]
pub struct BeginImport<'a> {
    /// Name of the model.
    pub model: &'a str,
    /// Paths inside the model.
    pub paths: Vec<&'a str>,
    /// Sizes of the files, in bytes.
    pub sizes: Vec<i64>,
    /// What tells that a file was changed since.
    pub stamps: Vec<&'a str>,
    /// How files are cut.
    pub strategy: &'a str,
    /// Size of a chunk.
    pub chunk_bytes: i32,
    /// What happens when the model exists.
    pub on_exists: &'a str,
}

/// How far a file of an import is.
#[derive(Debug, Clone)]
pub struct ImportFile {
    /// Number of the file, from 0, in the order of the manifest.
    pub file_no: i32,
    /// SHA-256, when the server knows it already.
    pub content_hash: Option<ContentHash>,
    /// Bytes from the start whose parts are announced.
    pub announced_bytes: u64,
    /// Whether a stored file has the same size.
    pub size_known: bool,
}

/// Announced parts of one file that follow each other.
#[derive(Debug, Clone, Default)]
pub struct Announcement {
    /// Number of the file.
    pub file_no: i32,
    /// Number of the first part.
    pub first_part: i32,
    /// First byte of the first part in the file.
    pub first_offset: u64,
    /// Length of each part.
    pub lengths: Vec<i64>,
    /// SHA-256 of each part.
    pub hashes: Vec<ContentHash>,
    /// What each part is.
    pub modalities: Vec<Modality>,
}

/// An atom that is still to be sent.
#[derive(Debug, Clone)]
pub struct MissingAtom {
    /// SHA-256.
    pub content_hash: ContentHash,
    /// Length in bytes.
    pub size_bytes: u64,
    /// How many bytes of a large atom the server has.
    pub received_bytes: u64,
    /// File in which it occurs first.
    pub file_no: i32,
    /// Where it begins there.
    pub part_offset: u64,
}

impl Server {
    /// Makes commits of this session not wait for the disk.
    ///
    /// For staged work only: commits reach the disk in order, so the durable commit that finishes an import makes
    /// everything before it durable, and what a crash takes from the end is sent again.
    pub fn commit_without_waiting(&mut self) -> Result<()> {
        Ok(self.client.batch_execute("SET synchronous_commit = off")?)
    }

    /// Begins or resumes an import; `None` when the model exists and is to be skipped.
    pub fn begin_import(&mut self, import: &BeginImport<'_>) -> Result<Option<i64>> {
        const SQL: &str = "SELECT atoms.begin_import($1::text, $2::text[], $3::bigint[], $4::text, $5::integer, \
                           $6::text, $7::text[])";
        let row = self.row(
            SQL,
            &[
                &import.model,
                &import.paths,
                &import.sizes,
                &import.strategy,
                &import.chunk_bytes,
                &import.on_exists,
                &import.stamps,
            ],
        )?;
        Ok(row.try_get(0)?)
    }

    /// Returns how far each file is, in the order of the manifest.
    pub fn import_files(&mut self, import_id: i64) -> Result<Vec<ImportFile>> {
        const SQL: &str = "SELECT file_no, content_hash::bytea, announced_bytes, size_known \
                           FROM atoms.import_files($1::bigint) ORDER BY file_no";
        self.rows(SQL, &[&import_id])?
            .iter()
            .map(|row| {
                Ok(ImportFile {
                    file_no: row.try_get(0)?,
                    content_hash: row.try_get::<_, Option<&[u8]>>(1)?.map(content_hash).transpose()?,
                    announced_bytes: unsigned(row.try_get(2)?)?,
                    size_known: row.try_get(3)?,
                })
            })
            .collect()
    }

    /// Takes over the parts of a stored file with this hash; false when there is none.
    pub fn link_import_file(&mut self, import_id: i64, file_no: i32, hash: ContentHash) -> Result<bool> {
        const SQL: &str = "SELECT atoms.link_import_file($1::bigint, $2::integer, $3::bytea::atoms.content_hash)";
        Ok(self.row(SQL, &[&import_id, &file_no, &hash.as_bytes().as_slice()])?.try_get(0)?)
    }

    /// Announces parts and returns the numbers of those whose atoms are missing.
    pub fn announce_parts(&mut self, import_id: i64, parts: &Announcement) -> Result<Vec<i32>> {
        const SQL: &str = "SELECT atoms.announce_parts($1::bigint, $2::integer, $3::integer, $4::bigint, $5::bigint[], \
                           $6::bytea[]::atoms.content_hash[], $7::text[])";
        let hashes: Vec<&[u8]> = parts.hashes.iter().map(|hash| hash.as_bytes().as_slice()).collect();
        let modalities: Vec<&str> = parts.modalities.iter().map(|modality| modality.name()).collect();
        let first_offset = signed(parts.first_offset)?;
        let rows = self.rows(
            SQL,
            &[&import_id, &parts.file_no, &parts.first_part, &first_offset, &parts.lengths, &hashes, &modalities],
        )?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Returns what is still to be sent, each atom once.
    pub fn missing_atoms(&mut self, import_id: i64) -> Result<Vec<MissingAtom>> {
        const SQL: &str = "SELECT content_hash::bytea, size_bytes, received_bytes, file_no, part_offset \
                           FROM atoms.missing_atoms($1::bigint)";
        self.rows(SQL, &[&import_id])?
            .iter()
            .map(|row| {
                Ok(MissingAtom {
                    content_hash: content_hash(row.try_get(0)?)?,
                    size_bytes: unsigned(row.try_get(1)?)?,
                    received_bytes: unsigned(row.try_get::<_, Option<i64>>(2)?.unwrap_or(0))?,
                    file_no: row.try_get(3)?,
                    part_offset: unsigned(row.try_get(4)?)?,
                })
            })
            .collect()
    }

    /// Sends whole atoms and returns how many were new.
    pub fn send_atoms(&mut self, import_id: i64, atoms: &[(ContentHash, &[u8])]) -> Result<i32> {
        const SQL: &str = "SELECT atoms.send_atoms($1::bigint, $2::bytea[]::atoms.content_hash[], $3::bytea[])";
        let hashes: Vec<&[u8]> = atoms.iter().map(|(hash, _)| hash.as_bytes().as_slice()).collect();
        let values: Vec<&[u8]> = atoms.iter().map(|(_, value)| *value).collect();
        Ok(self.row(SQL, &[&import_id, &hashes, &values])?.try_get(0)?)
    }

    /// Sends the next bytes of one large atom and returns how many the server has now.
    pub fn send_atom_part(&mut self, import_id: i64, hash: ContentHash, start: u64, bytes: &[u8]) -> Result<u64> {
        const SQL: &str =
            "SELECT atoms.send_atom_part($1::bigint, $2::bytea::atoms.content_hash, $3::bigint, $4::bytea)";
        let row = self.row(SQL, &[&import_id, &hash.as_bytes().as_slice(), &signed(start)?, &bytes])?;
        unsigned(row.try_get(0)?)
    }

    /// Has the server hash a file from its atoms for a second or so; true when the hash is complete.
    pub fn hash_import_file(&mut self, import_id: i64, file_no: i32) -> Result<bool> {
        const SQL: &str = "SELECT atoms.hash_import_file($1::bigint, $2::integer)";
        Ok(self.row(SQL, &[&import_id, &file_no])?.try_get(0)?)
    }

    /// Makes the model visible, durably, and returns its name.
    pub fn finish_import(&mut self, import_id: i64) -> Result<String> {
        const SQL: &str = "SELECT atoms.finish_import($1::bigint)";
        self.client.batch_execute("RESET synchronous_commit")?;
        Ok(self.row(SQL, &[&import_id])?.try_get(0)?)
    }
}

fn content_hash(bytes: &[u8]) -> Result<ContentHash> {
    ContentHash::try_from(bytes)
        .map_err(|_| Failure::new(Exit::Extension, format!("the server sent a hash of {} bytes", bytes.len())))
}

fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number)
        .map_err(|_| Failure::new(Exit::Extension, format!("the server sent {number} where a count of bytes belongs")))
}

fn signed(number: u64) -> Result<i64> {
    i64::try_from(number)
        .map_err(|_| Failure::new(Exit::Limit, format!("{number} bytes are more than a file can have")))
}
