//! Roles and embeddings: readers read all of them, writers write through functions and the view, nobody writes the tables.

use pg_test::Result;
use postgres::Client;

use super::{begin, bytes_of, insert, register, sources, stored_bytes};
use crate::support::oracle::value;
use crate::support::read_calls::answer;
use crate::support::{Database, refused};

/// Gives a new role a level and returns a session of it.
fn session_of(db: &Database, level: &str) -> Result<Client> {
    let role = db.role(level, "")?;
    db.client()?.execute("SELECT atoms.grant_access($1::text::name, $2)", &[&role, &level])?;
    db.client_as(&role)
}

/// Registers a model of two float32 and stores an embedding of atom 1.
fn fill(client: &mut Client) -> Result<()> {
    assert_eq!(sources(client, 2)?, [1, 2]);
    register(client, "m", 2, "float32")?;
    insert(client, "m", &[1], &bytes_of(&[1.0, 2.0]))?;
    Ok(())
}

/// Ways to write around the functions and the view.
const AROUND: [&str; 14] = [
    "INSERT INTO atoms.embedding VALUES (2, 1, '[1,2]')",
    "UPDATE atoms.embedding SET value = value",
    "DELETE FROM atoms.embedding",
    "TRUNCATE atoms.embedding",
    "INSERT INTO atoms.embedding_1 VALUES (2, 1, '[1,2]')",
    "UPDATE atoms.embedding_1 SET value = value",
    "DELETE FROM atoms.embedding_1",
    "DROP TABLE atoms.embedding_1",
    "UPDATE atoms.embedding_model SET dimensions = 3",
    "DELETE FROM atoms.embedding_model",
    "DELETE FROM atoms.dimension_change",
    "SELECT atoms.put_embeddings('m', '{1}', '{\"[1,2]\"}')",
    "SELECT atoms.lock_for_partition('ACCESS EXCLUSIVE')",
    "SELECT atoms.change_dimension(m, 1, 0, 5, NULL) FROM atoms.embedding_model m",
];

#[test]
fn a_level_given_before_a_model_was_registered_reads_its_embeddings() -> Result<()> {
    let (db, mut client) = begin()?;
    let mut reader = session_of(&db, "read")?;
    fill(&mut client)?;
    assert_eq!(answer(&mut reader, "SELECT * FROM atoms.embedding")?, ["1|1|[1,2]"]);
    let reads = [
        "SELECT dimension_index, dimension_value FROM atoms.atom_embedding",
        "SELECT atoms.reconstruct_vector('m', 1)",
        "SELECT * FROM atoms.reconstruct_vectors('m', '{1,2}')",
        "SELECT * FROM atoms.dimension_search('m', 0, 1)",
        "SELECT * FROM atoms.dimension_stats('m')",
        "SELECT * FROM atoms.dimension_importance('m')",
        "SELECT * FROM atoms.dimension_storage_report('m')",
        "SELECT model, embeddings, size_bytes FROM atoms.embedding_model_summary",
        "SELECT count(*) FROM atoms.dimension_change",
        "SELECT value OPERATOR(atoms.<->) '[1,1]'::atoms.dimvec FROM atoms.embedding",
    ];
    for read in reads {
        assert_eq!(answer(&mut reader, read)?, answer(&mut client, read)?, "{read}");
    }
    Ok(())
}

#[test]
fn readers_write_no_embedding() -> Result<()> {
    let (db, mut client) = begin()?;
    fill(&mut client)?;
    let mut reader = session_of(&db, "read")?;
    let writes = [
        "SELECT atoms.register_embedding_model('x', 3)",
        "SELECT atoms.drop_embedding_model('m')",
        "SELECT atoms.insert_embedding('m', 1, '[1,2]'::atoms.dimvec)",
        "SELECT atoms.insert_embeddings('m', '{1}', '{1,2}'::real[])",
        "SELECT atoms.delete_embedding('m', 1)",
        "SELECT atoms.set_dimension('m', 1, 0, 5)",
        "INSERT INTO atoms.atom_embedding (source_atom_id, model_id, dimension_index, dimension_value) VALUES (2, 1, 0, 1)",
        "UPDATE atoms.atom_embedding SET dimension_value = 5",
        "DELETE FROM atoms.atom_embedding",
    ];
    for write in writes.into_iter().chain(AROUND) {
        println!("{write}");
        refused(reader.simple_query(write).map(drop), "42501");
    }
    Ok(())
}

#[test]
fn writers_write_through_functions_and_the_view_alone() -> Result<()> {
    let (db, mut client) = begin()?;
    let mut writer = session_of(&db, "write")?;
    fill(&mut writer)?;
    for around in AROUND {
        println!("{around}");
        refused(writer.simple_query(around).map(drop), "42501");
    }
    writer.batch_execute(
        "INSERT INTO atoms.atom_embedding (source_atom_id, model_id, dimension_index, dimension_value) VALUES (2, 1, 1, 7); \
         UPDATE atoms.atom_embedding SET dimension_value = 8 WHERE source_atom_id = 2 AND dimension_index = 0; \
         DELETE FROM atoms.atom_embedding WHERE source_atom_id = 1 AND dimension_index = 0; \
         SELECT atoms.set_dimension('m', 1, 1, 9)",
    )?;
    assert_eq!(stored_bytes(&mut client, "m", 1)?, bytes_of(&[0.0, 9.0]));
    assert_eq!(stored_bytes(&mut client, "m", 2)?, bytes_of(&[8.0, 7.0]));
    assert!(value::<bool>(&mut writer, "SELECT atoms.delete_embedding('m', 2)")?);
    assert_eq!(value::<i64>(&mut writer, "SELECT atoms.drop_embedding_model('m')")?, 1);
    Ok(())
}

#[test]
fn a_stranger_sees_no_embedding() -> Result<()> {
    let (db, mut client) = begin()?;
    fill(&mut client)?;
    let role = db.role("stranger", "")?;
    let mut stranger = db.client_as(&role)?;
    for query in [
        "SELECT * FROM atoms.embedding",
        "SELECT * FROM atoms.embedding_1",
        "SELECT * FROM atoms.atom_embedding",
        "SELECT atoms.reconstruct_vector('m', 1)",
        "DELETE FROM atoms.atom_embedding",
    ] {
        refused(stranger.simple_query(query).map(drop), "42501");
    }
    Ok(())
}
