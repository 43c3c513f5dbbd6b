//! The SQL functions and views of the extension as typed calls.  Nothing else in the program issues SQL, and every
//! name is qualified with the schema `atoms`, so the search path of the session does not matter.

mod embeddings;
mod import;
mod models;
mod upkeep;
mod values;

use std::collections::HashMap;

use postgres::types::ToSql;
use postgres::{Client, Row, Statement};

pub use embeddings::{DimensionStats, EmbeddingModel, SourceAtoms, StorageLine, VectorType};
pub use import::{Announcement, BeginImport, ImportFile, MissingAtom};
pub use models::{ModelFile, ModelSnapshot, ModelSummary, Tensor};
pub use upkeep::{Damage, ReportLine, UnfinishedImport};
pub use values::{Finding, Pair, TensorStats};

use crate::connection::Connector;
use crate::failure::Result;

/// How times are written, as `to_char` takes it; the time is UTC.
const TIME: &str = "YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"";

/// One session with the server.
pub struct Server {
    client: Client,
    prepared: HashMap<&'static str, Statement>,
}

impl Server {
    /// Opens a session.
    pub fn connect(connector: &Connector) -> Result<Self> {
        Ok(Self { client: connector.connect()?, prepared: HashMap::new() })
    }

    /// Returns a statement, prepared once per session.
    fn statement(&mut self, sql: &'static str) -> Result<Statement> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql)?;
        self.prepared.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Runs a statement and returns its rows.
    fn rows(&mut self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let statement = self.statement(sql)?;
        Ok(self.client.query(&statement, parameters)?)
    }

    /// Runs a statement that gives exactly one row.
    fn row(&mut self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row> {
        let mut rows = self.rows(sql, parameters)?;
        match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => Ok(row),
            _ => Err(crate::failure::Failure::new(
                crate::exit::Exit::Extension,
                format!("the server did not answer with one row to: {sql}"),
            )),
        }
    }
}
