//! Embeddings reach a standby and survive a dump and restore, with what users added to them.

use std::path::Path;
use std::process::Command;

use pg_test::{Cluster, Result};
use postgres::Client;

use super::{bytes_of, insert, random_floats, register, sources};
use crate::support::oracle::value;
use crate::support::read_calls::answer;
use crate::support::{Database, refused};

/// What must be equal in a copy.
const QUERIES: [&str; 10] = [
    "SELECT tableoid::regclass, * FROM atoms.embedding",
    "SELECT model_id, name, dimensions, element_type, metadata, created_at FROM atoms.embedding_model",
    "SELECT * FROM atoms.dimension_change",
    "SELECT * FROM atoms.atom_embedding",
    "SELECT * FROM atoms.dimension_stats('one')",
    "SELECT * FROM atoms.dimension_search('two', 1, 0, 1)",
    "SELECT model, embeddings FROM atoms.embedding_model_summary",
    "SELECT * FROM mine",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'atoms' AND tablename LIKE 'embedding%'",
    "SELECT c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid) FROM pg_constraint c WHERE c.conrelid::regclass::text LIKE 'atoms.embedding%'",
];

/// Privileges and options of the parent and the partitions.
const RELATIONS: &str = "SELECT c.relname, c.relkind, c.reloptions, obj_description(c.oid), \
        (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(c.relacl) x WHERE x::text LIKE '%reader%') \
    FROM pg_class c WHERE c.relnamespace = 'atoms'::regnamespace AND c.relname ~ '^embedding(_[0-9]+)?$'";

/// Stores three models, of which one stays empty, and what a user might add: grants, an index, a view.
fn fill(db: &Database) -> Result<Client> {
    let mut client = db.client()?;
    let ids = sources(&mut client, 40)?;
    register(&mut client, "dropped", 3, "float32")?;
    register(&mut client, "one", 20, "float32")?;
    register(&mut client, "two", 5, "float16")?;
    register(&mut client, "empty", 65_535, "float64")?;
    client.batch_execute("SELECT atoms.drop_embedding_model('dropped')")?;
    insert(&mut client, "one", &ids, &bytes_of(&random_floats(1, 800)))?;
    let halves = "SELECT atoms.insert_embeddings('two', $1, $2::real[])";
    client.query(halves, &[&ids, &random_floats(2, 200)])?;
    client.query("SELECT atoms.set_dimension('one', $1, 3, 0.5, 'somebody')", &[&ids[7]])?;
    client.execute(
        "UPDATE atoms.atom_embedding SET dimension_value = 2 WHERE source_atom_id = $1 AND dimension_index = 4",
        &[&ids[3]],
    )?;
    let reader = db.role("reader", "")?;
    client.batch_execute(&format!(
        "GRANT SELECT ON atoms.embedding TO {reader}; GRANT SELECT ON atoms.embedding_2 TO {reader}; \
         CREATE INDEX by_dimension ON atoms.embedding_2 (atoms.dimension_value(value, 3)); \
         CREATE VIEW mine AS SELECT source_atom_id, max(dimension_value) AS most FROM atoms.atom_embedding WHERE model_id = 2 GROUP BY 1"
    ))?;
    Ok(client)
}

#[test]
fn a_standby_reads_everything_and_refuses_to_write() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder())?;
    let mut primary = fill(&db)?;
    let standby = db.cluster().standby()?;
    register(&mut primary, "streamed", 3, "float32")?;
    primary.batch_execute(
        "SELECT atoms.insert_embedding('streamed', min(atom_id), '[1,2,3]'::atoms.dimvec) FROM atoms.atom",
    )?;
    db.cluster().wait_caught_up(&standby)?;
    let mut client = standby.connect(db.name())?;
    for query in
        QUERIES.into_iter().chain([RELATIONS, "SELECT layout, item, count FROM atoms.dimension_storage_report('one')"])
    {
        let found = answer(&mut client, query)?;
        assert!(!found.is_empty(), "{query}");
        assert_eq!(found, answer(&mut primary, query)?, "{query}");
    }
    for call in [
        "SELECT atoms.register_embedding_model('x', 3)",
        "SELECT atoms.drop_embedding_model('one')",
        "SELECT atoms.insert_embedding('streamed', 1, '[1,2,3]'::atoms.dimvec)",
        "SELECT atoms.insert_embeddings('streamed', '{1}', '{1,2,3}'::real[])",
        "SELECT atoms.delete_embedding('one', 1)",
        "SELECT atoms.set_dimension('one', 1, 0, 77)",
        "UPDATE atoms.atom_embedding SET dimension_value = 77 WHERE source_atom_id = 1",
        "DELETE FROM atoms.atom_embedding WHERE source_atom_id = 1",
        "INSERT INTO atoms.atom_embedding (source_atom_id, model_id, dimension_index, dimension_value) VALUES (1, 5, 0, 1)",
    ] {
        println!("{call}");
        refused(client.simple_query(call).map(drop), "25006");
    }
    Ok(())
}

/// Runs a program that must succeed without a word.
fn quiet(command: &mut Command) {
    let output = command.output().expect("it is a program");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{command:?}: {said}");
}

/// Dumps and restores with so many jobs.  Several jobs need the option that keeps keys from being checked while tables load: the
/// extension's tables have theirs from the beginning, and pg_restore does not know in which order.
fn dump_and_restore(db: &Database, to: &str, dump: &Path, format: &str, jobs: &str) -> Result<()> {
    quiet(db.cluster().command("pg_dump", db.name()).args([format, jobs, "-f"]).arg(dump));
    db.cluster().create_database(to)?;
    let mut restore = db.cluster().command("pg_restore", to);
    if jobs != "-j1" {
        restore.env("PGOPTIONS", "-c session_replication_role=replica");
    }
    quiet(restore.args(["-d", to, jobs]).arg(dump));
    Ok(())
}

#[test]
fn a_restored_dump_has_equal_embeddings_and_lives_on() -> Result<()> {
    let db = Database::shared()?;
    let mut here = fill(&db)?;
    let dir = tempfile::tempdir().expect("/tmp is writable");
    for (way, format, jobs) in [("custom", "-Fc", "-j1"), ("directory", "-Fd", "-j1"), ("jobs", "-Fd", "-j4")] {
        let copy = format!("{}_{way}", db.name());
        dump_and_restore(&db, &copy, &dir.path().join(way), format, jobs)?;
        let mut there = db.cluster().connect(&copy)?;
        for query in QUERIES.into_iter().chain([RELATIONS]) {
            assert_eq!(answer(&mut there, query)?, answer(&mut here, query)?, "{way}: {query}");
        }
        lives_on(&mut there)?;
        drop(there);
        here.batch_execute(&format!("DROP DATABASE {copy} WITH (FORCE)"))?;
    }
    Ok(())
}

/// Ids go on, checks hold, models come and go, the collector takes embeddings along.
fn lives_on(client: &mut Client) -> Result<()> {
    let id: i64 = value(client, "SELECT min(atom_id) FROM atoms.atom")?;
    assert_eq!(register(client, "new here", 2, "int8")?, 5, "the sequence goes on");
    insert(client, "new here", &[id], &[1, 2])?;
    for row in ["2, '[1]'", "2, 'float16:[1]'", "3, '[1,2,3,4,5]'", "5, '[1,2]'"] {
        refused(client.simple_query(&format!("INSERT INTO atoms.embedding VALUES ({id}, {row})")).map(drop), "23514");
    }
    refused(
        client.simple_query("INSERT INTO atoms.embedding_3 VALUES (999999, 3, 'float16:[1,2,3,4,5]')").map(drop),
        "23503",
    );
    assert_eq!(insert(client, "one", &[id], &bytes_of(&random_floats(9, 20)))?, 1, "it replaces");
    assert!(value::<bool>(client, &format!("SELECT atoms.set_dimension('two', {id}, 0, 33)"))?);
    client.execute("SELECT atoms.release_atom($1)", &[&id])?;
    client.batch_execute("CALL atoms.vacuum_all_atoms('0')")?;
    for table in ["embedding", "dimension_change"] {
        let left = format!("SELECT count(*) FROM atoms.{table} WHERE source_atom_id = {id}");
        assert_eq!(value::<i64>(client, &left)?, 0, "{table}");
    }
    client.batch_execute("DROP VIEW mine")?;
    assert_eq!(value::<i64>(client, "SELECT atoms.drop_embedding_model('one')")?, 39);
    assert_eq!(value::<i64>(client, "SELECT atoms.drop_embedding_model('empty')")?, 0);
    Ok(())
}

#[test]
fn a_dump_as_text_restores_embeddings_too() -> Result<()> {
    let db = Database::shared()?;
    let mut here = fill(&db)?;
    let dir = tempfile::tempdir().expect("/tmp is writable");
    let script = dir.path().join("dump.sql");
    quiet(db.cluster().command("pg_dump", db.name()).arg("-f").arg(&script));
    let copy = format!("{}_text", db.name());
    db.cluster().create_database(&copy)?;
    let psql = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f"];
    quiet(db.cluster().command("psql", &copy).args(psql).arg(&script));
    let mut there = db.cluster().connect(&copy)?;
    for query in QUERIES {
        assert_eq!(answer(&mut there, query)?, answer(&mut here, query)?, "{query}");
    }
    drop(there);
    here.batch_execute(&format!("DROP DATABASE {copy} WITH (FORCE)"))?;
    Ok(())
}
