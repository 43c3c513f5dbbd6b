//! What the tests stand on: clusters and databases, clients, models, and oracles that do not ask the code under test.

pub mod cli;
pub mod database;
pub mod import;
pub mod models;
pub mod oracle;
pub mod read_calls;
pub mod refusal;
pub mod turn;
pub mod upload;

pub use database::Database;
pub use refusal::refused;
