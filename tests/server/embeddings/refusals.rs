//! What is refused, with which SQLSTATE; and of a batch with one fault nothing is stored.

use pg_test::Result;
use postgres::Client;

use super::{begin, bytes_of, insert, register, sources};
use crate::support::read_calls::answer;
use crate::support::{Database, refused};

/// SQLSTATE and statement.  There are the atoms 1 to 3, model `m` of two float32 with embeddings of 1 and 2, and `small` of two int8.
const REFUSED: [(&str, &str); 55] = [
    // No such model, atom, embedding.
    ("42704", "SELECT atoms.embedding_model_id('none')"),
    ("42704", "SELECT atoms.drop_embedding_model('none')"),
    ("42704", "SELECT atoms.insert_embedding('none', 1, '[1,2]'::atoms.dimvec)"),
    ("42704", "SELECT atoms.insert_embeddings('none', '{1}', '{\"[1,2]\"}'::atoms.dimvec[])"),
    ("42704", "SELECT atoms.insert_embeddings('none', '{1}', '{1,2}'::real[])"),
    ("42704", "SELECT atoms.insert_embeddings('none', '{1}', '\\x00'::bytea)"),
    ("42704", "SELECT atoms.insert_embedding('m', 99, '[1,2]'::atoms.dimvec)"),
    ("42704", "SELECT atoms.insert_embeddings('m', '{1,99}', '{{1,2},{3,4}}'::real[])"),
    ("42704", "SELECT atoms.insert_embeddings('m', '{1,0}', '{{1,2},{3,4}}'::real[])"),
    ("42704", "SELECT atoms.insert_embeddings('m', '{-4294967297}', '{1,2}'::real[])"),
    ("42704", "SELECT atoms.reconstruct_vector('none', 1)"),
    ("42704", "SELECT atoms.reconstruct_vector('m', 3)"),
    ("42704", "SELECT atoms.reconstruct_vector('m', 99)"),
    ("42704", "SELECT * FROM atoms.reconstruct_vectors('none', '{1}')"),
    ("42704", "SELECT atoms.delete_embedding('none', 1)"),
    ("42704", "SELECT atoms.set_dimension('none', 1, 0, 1)"),
    ("42704", "SELECT atoms.set_dimension('m', 3, 0, 1)"),
    ("42704", "SELECT atoms.set_dimension('m', 99, 0, 1)"),
    ("42704", "SELECT * FROM atoms.dimension_search('none', 0, 1)"),
    ("42704", "SELECT * FROM atoms.dimension_stats('none')"),
    ("42704", "SELECT * FROM atoms.dimension_importance('none')"),
    ("42704", "SELECT * FROM atoms.dimension_storage_report('none')"),
    // Already there.
    ("42710", "SELECT atoms.register_embedding_model('m', 2)"),
    ("42710", "SELECT atoms.register_embedding_model('small', 3, 'float16')"),
    // Out of the domain.
    ("22023", "SELECT atoms.register_embedding_model('x', 0)"),
    ("22023", "SELECT atoms.register_embedding_model('x', -1)"),
    ("22023", "SELECT atoms.register_embedding_model('x', 3, 'float8')"),
    ("22023", "SELECT atoms.register_embedding_model('', 3)"),
    ("54000", "SELECT atoms.register_embedding_model('x', 65536)"),
    ("54000", "SELECT atoms.register_embedding_model('x', 2147483647)"),
    ("22023", "SELECT atoms.insert_embedding('m', 1, '[1,2,3]'::atoms.dimvec)"),
    ("22023", "SELECT atoms.insert_embedding('m', 1, '[1]'::atoms.dimvec)"),
    ("22023", "SELECT atoms.insert_embeddings('m', '{1,2}', '{\"[1,2]\",\"[3]\"}'::atoms.dimvec[])"),
    ("22023", "SELECT atoms.insert_embeddings('m', '{1,2}', '{\"[1,2]\"}'::atoms.dimvec[])"),
    ("22023", "SELECT atoms.insert_embeddings('m', '{1,2}', '{1,2}'::real[])"),
    ("22023", "SELECT atoms.insert_embeddings('m', '{1,2}', '{1,2,3}'::real[])"),
    ("22023", "SELECT atoms.insert_embeddings('m', '{1}', '{{1,2},{3,4}}'::real[])"),
    ("22023", "SELECT atoms.insert_embeddings('m', '{1}', '\\x0000803f0000'::bytea)"),
    ("22023", "SELECT atoms.insert_embeddings('m', '{1}', '\\x0000803f'::bytea)"),
    ("22023", "SELECT atoms.insert_embeddings('m', '{1,2}', '\\x0000803f0000803f'::bytea)"),
    ("22023", "SELECT atoms.insert_embeddings('m', '{}', '\\x0000803f0000803f'::bytea)"),
    ("22023", "SELECT atoms.insert_embeddings('m', '{1,NULL}', '{{1,2},{3,4}}'::real[])"),
    ("22023", "SELECT atoms.insert_embeddings('m', '{1,2,1}', '{{1,2},{3,4},{5,6}}'::real[])"),
    ("22023", "SELECT atoms.insert_embeddings('m', '{1}', '{1,NULL}'::real[])"),
    ("22023", "SELECT atoms.set_dimension('m', 1, 2, 1)"),
    ("22023", "SELECT atoms.set_dimension('m', 1, -1, 1)"),
    // Out of the range of the element type.
    ("22003", "SELECT atoms.insert_embeddings('m', '{1}', '{1,NaN}'::real[])"),
    ("22003", "SELECT atoms.insert_embeddings('m', '{1}', '\\x0000803f0000807f'::bytea)"),
    ("22003", "SELECT atoms.insert_embedding('m', 1, ARRAY[1, 1e39]::float8[]::atoms.dimvec)"),
    ("22003", "SELECT atoms.insert_embeddings('m', '{1}', '{1,1e39}'::float8[])"),
    ("22023", "SELECT atoms.insert_embeddings('m', '{1}', '{1,2,3}'::float8[])"),
    ("42704", "SELECT atoms.insert_embeddings('none', '{1}', '{1,2}'::float8[])"),
    ("22003", "SELECT atoms.insert_embeddings('small', '{1}', '{1,128}'::real[])"),
    ("22003", "SELECT atoms.set_dimension('m', 1, 0, 'infinity')"),
    ("22003", "SELECT atoms.set_dimension('small', 1, 0, -129)"),
];

fn with_embeddings() -> Result<(Database, Client)> {
    let (db, mut client) = begin()?;
    assert_eq!(sources(&mut client, 3)?, [1, 2, 3]);
    register(&mut client, "m", 2, "float32")?;
    register(&mut client, "small", 2, "int8")?;
    insert(&mut client, "m", &[1, 2], &bytes_of(&[1.0, 2.0, 3.0, 4.0]))?;
    insert(&mut client, "small", &[1], &[1, 2])?;
    client.batch_execute("SELECT atoms.set_dimension('m', 1, 0, 7)")?;
    Ok((db, client))
}

/// Returns all that is stored of embeddings.
fn state(client: &mut Client) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for table in ["embedding_model", "embedding", "dimension_change"] {
        all.extend(answer(client, &format!("SELECT * FROM atoms.{table}"))?);
    }
    Ok(all)
}

#[test]
fn each_fault_has_its_sqlstate_and_changes_nothing() -> Result<()> {
    let (_db, mut client) = with_embeddings()?;
    let before = state(&mut client)?;
    for (sqlstate, statement) in REFUSED {
        println!("{statement}");
        refused(client.simple_query(statement).map(drop), sqlstate);
        assert_eq!(state(&mut client)?, before, "{statement}");
    }
    Ok(())
}

/// The fault is in the last of a hundred; all others would replace an embedding or be new.
#[test]
fn a_batch_with_one_fault_stores_nothing_and_forgets_nothing() -> Result<()> {
    let (_db, mut client) = with_embeddings()?;
    let ids = sources(&mut client, 100)?;
    let before = state(&mut client)?;
    let good: Vec<f32> = (0..200u16).map(f32::from).collect();
    let mut nan = good.clone();
    nan[199] = f32::NAN;
    let refusal = refused(insert(&mut client, "m", &ids, &bytes_of(&nan)), "22003");
    assert!(refusal.detail.contains("99"), "it says which: {refusal:?}");
    let mut missing = ids.clone();
    missing[99] = 1_000_000;
    refused(insert(&mut client, "m", &missing, &bytes_of(&good)), "42704").names(&["1000000"]);
    let mut twice = ids.clone();
    twice[99] = ids[3];
    refused(insert(&mut client, "m", &twice, &bytes_of(&good)), "22023").names(&["twice", &ids[3].to_string()]);
    assert_eq!(state(&mut client)?, before);
    assert_eq!(insert(&mut client, "m", &ids, &bytes_of(&good))?, 100);
    Ok(())
}

#[test]
fn a_refusal_names_the_thing_and_what_to_do() -> Result<()> {
    let (_db, mut client) = with_embeddings()?;
    let mut hint = |statement: &str, sqlstate: &str, names: &[&str]| {
        refused(client.simple_query(statement).map(drop), sqlstate).names(names).hint
    };
    assert!(
        hint("SELECT atoms.embedding_model_id('none')", "42704", &["\"none\""]).contains("register_embedding_model")
    );
    assert!(
        hint("SELECT atoms.register_embedding_model('m', 2)", "42710", &["\"m\""]).contains("drop_embedding_model")
    );
    assert!(hint("SELECT atoms.insert_embedding('m', 99, '[1,2]')", "42704", &["99"]).contains("upsert_atom"));
    hint("SELECT atoms.reconstruct_vector('m', 3)", "42704", &["atom 3", "\"m\""]);
    hint("SELECT atoms.insert_embedding('m', 1, '[1,2,3]')", "22023", &["3", "2"]);
    hint("SELECT atoms.register_embedding_model('x', 3, 'float8')", "22023", &["float8"]);
    Ok(())
}

/// The table's own checks hold even against its owner.
#[test]
fn a_partition_refuses_vectors_of_another_form() -> Result<()> {
    let (_db, mut client) = with_embeddings()?;
    for row in ["(3, 1, '[1,2,3]')", "(3, 1, 'float16:[1,2]')", "(3, 2, '[1,2]')"] {
        let statement = format!("INSERT INTO atoms.embedding VALUES {row}");
        refused(client.simple_query(&statement).map(drop), "23514");
    }
    refused(client.simple_query("INSERT INTO atoms.embedding VALUES (3, 9, '[1,2]')").map(drop), "23514");
    refused(client.simple_query("INSERT INTO atoms.embedding VALUES (99, 1, '[1,2]')").map(drop), "23503");
    refused(client.simple_query("INSERT INTO atoms.embedding VALUES (1, 1, '[1,2]')").map(drop), "23505");
    refused(
        client.simple_query("INSERT INTO atoms.embedding_model (name, dimensions) VALUES ('x', 0)").map(drop),
        "23514",
    );
    Ok(())
}
