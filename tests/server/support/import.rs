//! The ways that a model takes into the store and out of it, each as a user would go it.

use std::collections::BTreeMap;
use std::path::Path;

use atom::ContentHash;
use pg_test::Result;
use postgres::Client;

use super::Database;
use super::models::{Hashes, files_below};

/// How files are cut.
#[derive(Clone, Copy, Debug)]
pub struct Strategy {
    /// `tensor`, `chunk` or `cdc`.
    pub name: &'static str,
    /// Chunk size of the latter two.
    pub chunk_bytes: i32,
}

/// One atom per tensor: the default.
pub const TENSOR: Strategy = Strategy { name: "tensor", chunk_bytes: 65_536 };
/// Every strategy, with the smallest chunks too.
pub const STRATEGIES: [Strategy; 4] = [
    TENSOR,
    Strategy { name: "chunk", chunk_bytes: 65_536 },
    Strategy { name: "chunk", chunk_bytes: 4096 },
    Strategy { name: "cdc", chunk_bytes: 65_536 },
];

impl Database {
    /// `CALL import_model` for a file or folder that the server can read.
    pub fn import(&self, model: &str, path: &Path) -> Result<()> {
        self.import_with(model, path, TENSOR)
    }

    /// The same with a strategy.
    pub fn import_with(&self, model: &str, path: &Path, strategy: Strategy) -> Result<()> {
        let path = path.to_str().expect("UTF-8");
        let call = "CALL atoms.import_model($1, $2, $3, $4)";
        self.client()?.execute(call, &[&model, &path, &strategy.name, &strategy.chunk_bytes])?;
        Ok(())
    }

    /// Imports a model of one file given as bytes.
    pub fn import_bytes(&self, model: &str, file: &str, bytes: &[u8]) -> Result<()> {
        import_bytes(&mut self.client()?, model, file, bytes, TENSOR)?;
        Ok(())
    }

    /// `atoms import` of a file or folder of ours.
    pub fn import_by_cli(&self, model: &str, path: &Path, strategy: Strategy) -> serde_json::Value {
        let chunk_bytes = strategy.chunk_bytes.to_string();
        self.atoms(&[
            &"import",
            &path,
            &"--name",
            &model,
            &"--strategy",
            &strategy.name,
            &"--chunk-bytes",
            &chunk_bytes,
        ])
    }

    /// `export_model` into a new folder of the server; returns what is in it, after comparing with what the function says.
    pub fn export(&self, model: &str, folder: &str) -> Result<Hashes> {
        let dir = self.make_dir(folder);
        let said = self.client()?.query(
            "SELECT path, content_hash::text, size_bytes FROM atoms.export_model($1, $2)",
            &[&model, &dir.to_str()],
        )?;
        let said: Hashes =
            said.iter().map(|row| (row.get(0), row.get::<_, String>(1).parse().expect("a hash"))).collect();
        let found = files_below(&dir);
        assert_eq!(said, found, "export_model says other hashes than the files have");
        std::fs::remove_dir_all(&dir).expect("ours");
        Ok(found)
    }

    /// `atoms export` into a new folder; returns what is in it.
    pub fn export_by_cli(&self, model: &str) -> Hashes {
        let dir = tempfile::tempdir().expect("/tmp is writable");
        self.atoms(&[&"export", &model, &dir.path()]);
        files_below(dir.path())
    }
}

/// Imports a model of one file given as bytes, in the caller's transaction.
pub fn import_bytes(
    client: &mut Client,
    model: &str,
    file: &str,
    bytes: &[u8],
    strategy: Strategy,
) -> Result<bool, postgres::Error> {
    let row = client.query_one(
        "SELECT atoms.import_model_at_once($1, $2, $3::bytea, $4, $5)",
        &[&model, &file, &bytes, &strategy.name, &strategy.chunk_bytes],
    )?;
    Ok(row.get(0))
}

/// Joins the chunks of `export_file_chunks`.
pub fn file_chunks(client: &mut Client, model: &str, file: &str) -> Result<Vec<u8>, postgres::Error> {
    let rows = client.query("SELECT atoms.export_file_chunks($1, $2)", &[&model, &file])?;
    Ok(rows.iter().flat_map(|row| row.get::<_, &[u8]>(0).to_vec()).collect())
}

/// Joins the chunks of `export_model_chunks`, checking that each begins where the one before it ends.
pub fn model_chunks(client: &mut Client, model: &str) -> Result<BTreeMap<String, Vec<u8>>, postgres::Error> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for row in client.query("SELECT file, start, bytes FROM atoms.export_model_chunks($1)", &[&model])? {
        let (file, start, bytes): (String, i64, &[u8]) = (row.get(0), row.get(1), row.get(2));
        let so_far = files.entry(file).or_default();
        assert_eq!(so_far.len() as i64, start, "chunks come in order, without holes");
        so_far.extend_from_slice(bytes);
    }
    Ok(files)
}

/// Returns the SHA-256 that the store says each file of a model has.
pub fn stored_hashes(client: &mut Client, model: &str) -> Result<Hashes, postgres::Error> {
    let query = "SELECT path, content_hash::text FROM atoms.model_file WHERE model_id = atoms.model_id($1)";
    let rows = client.query(query, &[&model])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get::<_, String>(1).parse().expect("a hash"))).collect())
}

/// Hashes joined files.
pub fn hashes_of(files: &BTreeMap<String, Vec<u8>>) -> Hashes {
    files.iter().map(|(path, bytes)| (path.clone(), ContentHash::of(bytes))).collect()
}
