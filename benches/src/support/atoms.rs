//! The program `atoms`, and the server's own import.

use std::path::Path;

use postgres::Client;

use super::failure::run;
use super::{Database, Result};

/// How files are cut into atoms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// One atom per tensor.
    Tensor,
    /// Chunks of 64 KiB.
    Chunk,
    /// Content-defined chunks of 64 KiB on average.
    Cdc,
    /// The same of 8 KiB.
    SmallCdc,
}

impl Strategy {
    /// Returns its name in SQL and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Tensor => "tensor",
            Strategy::Chunk => "chunk",
            Strategy::Cdc | Strategy::SmallCdc => "cdc",
        }
    }

    /// Returns the size of chunks, or their average size.
    pub fn chunk_bytes(self) -> i32 {
        match self {
            Strategy::Tensor | Strategy::Chunk | Strategy::Cdc => 64 << 10,
            Strategy::SmallCdc => 8 << 10,
        }
    }
}

impl Database<'_> {
    /// `CALL import_model`, on a connection that is there already.
    pub fn import_on_server(client: &mut Client, model: &str, path: &Path, strategy: Strategy) -> Result<()> {
        let path = path.to_str().expect("the bench chose the path");
        client.execute(
            "CALL atoms.import_model($1, $2, $3, $4)",
            &[&model, &path, &strategy.name(), &strategy.chunk_bytes()],
        )?;
        Ok(())
    }

    /// `atoms import`.
    pub fn import_by_cli(&self, model: &str, path: &Path, strategy: Strategy) -> Result<()> {
        let mut command = self.atoms();
        command.arg("import").arg(path).args(["--name", model, "--strategy", strategy.name()]);
        run(command.args(["--chunk-bytes", &strategy.chunk_bytes().to_string()])).map(drop)
    }

    /// `atoms export` into a new folder.
    pub fn export_by_cli(&self, model: &str, dir: &Path) -> Result<()> {
        run(self.atoms().args(["export", model]).arg(dir)).map(drop)
    }
}
