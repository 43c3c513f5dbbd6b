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
    let nearest = "SELECT convert_from(atoms.atom_value(source_atom_id), 'UTF8') FROM atoms.embedding \
        ORDER BY value OPERATOR(atoms.<=>) '[0.1,-0.5,0.3,0]' LIMIT 1";
    assert_eq!(client.query_one(nearest, &[])?.get::<_, String>(0), "a red apple");
    Ok(())
}
