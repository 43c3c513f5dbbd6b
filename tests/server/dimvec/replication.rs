//! Logical replication of tables with vectors, in text and in binary.

use pg_test::{Cluster, Result};
use postgres::Client;

use super::{make_vectors, rows, session};
use crate::support::{Database, refused, wait_until};

/// Everything of a table, in which equal text could hide other bits.
const ALL: &str = "SELECT n, element_type(v), stored_form(v), md5(serialize_vector(v)), w FROM t ORDER BY n, w";

fn wait_for_equal(publisher: &mut Client, subscriber: &mut Client, what: &str) -> Result<()> {
    let expected = rows(publisher, ALL);
    wait_until(what, || Ok(rows(subscriber, ALL) == expected))?;
    assert!(expected.len() > 100, "{}", expected.len());
    Ok(())
}

/// Subscribes, with the first copy, and follows INSERT, UPDATE and DELETE.
fn follow(binary: bool, identity: &str) -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder().setting("wal_level = logical"))?;
    let copy = db.sibling("")?;
    let (mut publisher, mut subscriber) = (session(&db)?, session(&copy)?);
    make_vectors(&mut publisher)?;
    let more =
        format!("ALTER TABLE t ADD w dimvec(2, float16) DEFAULT '[0.5,1]'; ALTER TABLE t REPLICA IDENTITY {identity}");
    publisher.batch_execute(&format!("{more}; CREATE PUBLICATION p FOR TABLE t"))?;
    let key = if identity == "FULL" { "" } else { "PRIMARY KEY" };
    subscriber.batch_execute(&format!("CREATE TABLE t (n int {key}, v dimvec, w dimvec(2, float16))"))?;
    if identity == "FULL" {
        publisher.batch_execute("ALTER TABLE t DROP CONSTRAINT t_pkey")?;
    }
    // In one cluster CREATE SUBSCRIPTION would wait for itself, were it to make the slot.
    publisher.query("SELECT pg_create_logical_replication_slot('s', 'pgoutput')", &[])?;
    let connection = db.cluster().dsn(db.name());
    subscriber.batch_execute(&format!(
        "CREATE SUBSCRIPTION s CONNECTION '{connection}' PUBLICATION p WITH (create_slot = false, slot_name = 's', binary = {binary})"
    ))?;
    wait_for_equal(&mut publisher, &mut subscriber, "the first copy is there")?;
    publisher.batch_execute(
        "INSERT INTO t SELECT n + 1000, v, '[1,2]' FROM t WHERE n % 4 = 0; \
         UPDATE t SET v = v || 'int8:[1,2,3]' WHERE n % 7 = 0; UPDATE t SET w = NULL WHERE n % 11 = 0; \
         UPDATE t SET n = -n WHERE n % 13 = 0; UPDATE t SET v = NULL WHERE n % 50 = 0; DELETE FROM t WHERE n % 5 = 0 OR v < 'uint8:[7]'",
    )?;
    wait_for_equal(&mut publisher, &mut subscriber, "the changes are there")?;
    publisher.batch_execute("DELETE FROM t WHERE v = (SELECT v FROM t WHERE n = 301)")?;
    wait_for_equal(&mut publisher, &mut subscriber, "the row is gone")?;
    subscriber.batch_execute(
        "ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s",
    )?;
    Ok(())
}

#[test]
fn changes_arrive_in_text() -> Result<()> {
    follow(false, "DEFAULT")
}

#[test]
fn changes_arrive_in_binary() -> Result<()> {
    follow(true, "DEFAULT")
}

/// Rows are found by all their columns, vectors included.
#[test]
fn changes_arrive_where_whole_rows_are_the_identity() -> Result<()> {
    follow(true, "FULL")
}

#[test]
fn a_vector_can_be_the_replica_identity() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder().setting("wal_level = logical"))?;
    let mut client = session(&db)?;
    client.batch_execute("CREATE TABLE k (v dimvec NOT NULL, n int); CREATE UNIQUE INDEX k_v ON k (v); ALTER TABLE k REPLICA IDENTITY USING INDEX k_v")?;
    client.query("SELECT pg_create_logical_replication_slot('s', 'test_decoding')", &[])?;
    client.batch_execute("INSERT INTO k VALUES ('int8:[1,2]', 1); UPDATE k SET v = 'float16:[1,0.1]'")?;
    let changes =
        rows(&mut client, "SELECT data FROM pg_logical_slot_get_changes('s', NULL, NULL) WHERE data LIKE 'table%'");
    assert_eq!(changes[0], "table public.k: INSERT: v[dimvec]:'int8:[1,2]' n[integer]:1");
    assert!(
        changes[1].contains("old-key: v[dimvec]:'int8:[1,2]' new-tuple: v[dimvec]:'float16:[1,0.099975586]'"),
        "{changes:?}"
    );
    refused(client.batch_execute("INSERT INTO k VALUES ('[1,0.099975586]', 2)"), "23505");
    client.query("SELECT pg_drop_replication_slot('s')", &[])?;
    Ok(())
}
