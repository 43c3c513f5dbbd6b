//! What the README shows runs as it stands there.

use pg_test::Result;

use crate::support::Database;

const README: &str = include_str!("../../README.md");

/// Returns the statements of the README that are marked as SQL.
fn statements() -> String {
    let blocks = README.split("```sql\n").skip(1);
    blocks.filter_map(|block| block.split_once("```").map(|(sql, _)| sql)).collect()
}

#[test]
fn the_statements_about_embeddings_run() -> Result<()> {
    let db = Database::shared()?;
    let statements = statements();
    assert!(statements.contains("register_embedding_model") && statements.contains("dimension_storage_report"));
    let mut client = db.client()?;
    client.batch_execute(&statements)?;
    let stored: i64 = client.query_one("SELECT count(*) FROM atoms.embedding", &[])?.get(0);
    assert_eq!(stored, 5);
    let changed: i64 = client.query_one("SELECT count(*) FROM atoms.dimension_change", &[])?.get(0);
    assert_eq!(changed, 1);
    Ok(())
}
