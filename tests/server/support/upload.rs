//! A client that speaks the import protocol itself, honestly or not.

use atom::ContentHash;
use postgres::{Client, Error};

/// What `begin_import` takes besides the manifest.
#[derive(Clone, Copy, Debug)]
pub struct Wishes<'a> {
    /// Name of the model.
    pub model: &'a str,
    /// `error`, `skip` or `replace`.
    pub on_exists: &'a str,
}

/// A part as a client announces it.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// SHA-256, true or not.
    pub hash: ContentHash,
    /// Length, true or not.
    pub length: i64,
    /// `tensor` or `file`.
    pub modality: &'static str,
}

impl Part {
    /// The part that these bytes are.
    pub fn of(bytes: &[u8]) -> Part {
        Part { hash: ContentHash::of(bytes), length: bytes.len() as i64, modality: "file" }
    }
}

/// What is still to be sent, as `missing_atoms` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// SHA-256.
    pub hash: ContentHash,
    /// Length.
    pub size_bytes: i64,
    /// Bytes there.
    pub received_bytes: i64,
    /// Where it stands first: file, part, offset.
    pub place: (i32, i32, i64),
}

/// An import under way in one session.
pub struct Upload {
    /// The session.
    pub client: Client,
    /// Number of the import.
    pub id: i64,
}

impl Upload {
    /// Begins an import, or goes on with it.  Panics where it is skipped.
    pub fn begin(client: Client, model: &str, files: &[(&str, i64)]) -> Result<Upload, Error> {
        let mut client = client;
        let id = begin(&mut client, Wishes { model, on_exists: "error" }, files)?;
        Ok(Upload { client, id: id.expect("on_exists is error") })
    }

    /// Announces parts; returns the numbers of the missing ones.
    pub fn announce(&mut self, file_no: i32, first: (i32, i64), parts: &[Part]) -> Result<Vec<i32>, Error> {
        let lengths: Vec<i64> = parts.iter().map(|part| part.length).collect();
        let hashes: Vec<&[u8]> = parts.iter().map(|part| part.hash.as_bytes().as_slice()).collect();
        let modalities: Vec<&str> = parts.iter().map(|part| part.modality).collect();
        let rows = self.client.query(
            "SELECT atoms.announce_parts($1, $2, $3, $4, $5, $6::bytea[]::atoms.content_hash[], $7)",
            &[&self.id, &file_no, &first.0, &first.1, &lengths, &hashes, &modalities],
        )?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Announces all parts of a file.
    pub fn announce_file(&mut self, file_no: i32, parts: &[Part]) -> Result<Vec<i32>, Error> {
        self.announce(file_no, (0, 0), parts)
    }

    /// Asks what is to be sent.
    pub fn missing(&mut self) -> Result<Vec<Missing>, Error> {
        let rows = self.client.query(
            "SELECT content_hash::bytea, size_bytes, received_bytes, file_no, part_no, part_offset FROM atoms.missing_atoms($1)",
            &[&self.id],
        )?;
        let missing = |row: &postgres::Row| Missing {
            hash: row.get::<_, &[u8]>(0).try_into().expect("32 bytes"),
            size_bytes: row.get(1),
            received_bytes: row.get(2),
            place: (row.get(3), row.get(4), row.get(5)),
        };
        Ok(rows.iter().map(missing).collect())
    }

    /// Sends whole atoms under the hashes given; returns how many were new.
    pub fn send(&mut self, atoms: &[(ContentHash, &[u8])]) -> Result<i32, Error> {
        let hashes: Vec<&[u8]> = atoms.iter().map(|(hash, _)| hash.as_bytes().as_slice()).collect();
        let values: Vec<&[u8]> = atoms.iter().map(|(_, bytes)| *bytes).collect();
        let query = "SELECT atoms.send_atoms($1, $2::bytea[]::atoms.content_hash[], $3)";
        Ok(self.client.query_one(query, &[&self.id, &hashes, &values])?.get(0))
    }

    /// Sends whole atoms under their own hashes.
    pub fn send_honestly(&mut self, atoms: &[&[u8]]) -> Result<i32, Error> {
        let atoms: Vec<(ContentHash, &[u8])> = atoms.iter().map(|bytes| (ContentHash::of(bytes), *bytes)).collect();
        self.send(&atoms)
    }

    /// Sends the next bytes of a large atom; returns how many are there.
    pub fn send_part(&mut self, hash: ContentHash, start: i64, bytes: &[u8]) -> Result<i64, Error> {
        let query = "SELECT atoms.send_atom_part($1, $2::bytea, $3, $4)";
        Ok(self.client.query_one(query, &[&self.id, &hash.as_bytes().as_slice(), &start, &bytes])?.get(0))
    }

    /// Has the server hash a file to its end.
    pub fn hash(&mut self, file_no: i32) -> Result<(), Error> {
        let query = "SELECT atoms.hash_import_file($1, $2)";
        while !self.client.query_one(query, &[&self.id, &file_no])?.get::<_, bool>(0) {}
        Ok(())
    }

    /// Makes the model visible.
    pub fn finish(&mut self) -> Result<String, Error> {
        Ok(self.client.query_one("SELECT atoms.finish_import($1)", &[&self.id])?.get(0))
    }
}

/// Calls `begin_import`.
pub fn begin(client: &mut Client, wishes: Wishes<'_>, files: &[(&str, i64)]) -> Result<Option<i64>, Error> {
    let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
    let sizes: Vec<i64> = files.iter().map(|(_, size)| *size).collect();
    let query = "SELECT atoms.begin_import($1, $2, $3, on_exists => $4)";
    Ok(client.query_one(query, &[&wishes.model, &paths, &sizes, &wishes.on_exists])?.get(0))
}
