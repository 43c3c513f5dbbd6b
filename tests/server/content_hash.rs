//! The type `content_hash`: text and binary forms, operators, indexes, joins, casts.

use std::io::{Read, Write};

use atom::ContentHash;
use pg_test::Result;
use postgres::Client;

use crate::support::oracle::value;
use crate::support::{Database, refused};

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn with_schema(db: &Database) -> Result<Client> {
    let mut client = db.client()?;
    client.batch_execute("SET search_path = public, atoms")?;
    Ok(client)
}

/// A table of 5,000 hashes, each twice, with a number.
fn with_table(db: &Database) -> Result<Client> {
    let mut client = with_schema(db)?;
    client.batch_execute(
        "CREATE TABLE t AS SELECT n % 5000 AS n, hash_bytes(convert_to((n % 5000)::text, 'UTF8')) AS h FROM generate_series(1, 10000) n; ANALYZE t",
    )?;
    Ok(client)
}

#[test]
fn text_forms() -> Result<()> {
    let db = Database::shared()?;
    let mut client = with_schema(&db)?;
    for written in [ABC.to_owned(), ABC.to_uppercase(), format!("\\x{ABC}")] {
        let read: String = client.query_one("SELECT $1::text::content_hash::text", &[&written])?.get(0);
        assert_eq!(read, ABC);
    }
    for wrong in
        ["", "x", &ABC[1..], &format!("{ABC}0"), &format!(" {ABC}"), &ABC.replace('f', "g"), &format!("0x{ABC}")]
    {
        refused(client.query("SELECT $1::text::content_hash", &[&wrong]), "22P02").names(&["content_hash"]);
    }
    assert_eq!(value::<String>(&mut client, "SELECT hash_bytes('abc')::text")?, ABC);
    Ok(())
}

#[test]
fn hashes_are_those_of_the_server_and_of_ours() -> Result<()> {
    let db = Database::shared()?;
    let mut client = with_schema(&db)?;
    for size in [0_usize, 1, 55, 56, 63, 64, 65, 1000, 3_000_000] {
        let bytes = crate::support::models::noise(size as u64, size);
        let row = client.query_one("SELECT hash_bytes($1)::text, hash_bytes($1) = sha256($1)", &[&bytes])?;
        assert_eq!((row.get::<_, String>(0).parse(), row.get(1)), (Ok(ContentHash::of(&bytes)), true), "{size}");
    }
    Ok(())
}

#[test]
fn casts() -> Result<()> {
    let db = Database::shared()?;
    let mut client = with_schema(&db)?;
    let row = client.query_one("SELECT sha256('abc')::content_hash::text, hash_bytes('abc')::bytea", &[])?;
    assert_eq!((row.get(0), hex(row.get(1))), (ABC, ABC.to_owned()));
    // Implicit to the hash, so that sha256 passes where one is wanted; by assignment only the other way.
    assert!(value::<bool>(&mut client, "SELECT hash_bytes('abc') = sha256('abc')")?);
    client.batch_execute(
        "CREATE TABLE b (bytes bytea, h content_hash); INSERT INTO b VALUES (hash_bytes('x'), sha256('x'))",
    )?;
    for length in [0, 31, 33] {
        let query = format!("SELECT convert_to(repeat('x', {length}), 'UTF8')::content_hash");
        refused(client.query(&query, &[]), "22023").names(&["32", &length.to_string()]);
    }
    assert!(value::<bool>(&mut client, "SELECT NULL::bytea::content_hash IS NULL")?);
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn comparisons_are_those_of_the_bytes() -> Result<()> {
    let db = Database::shared()?;
    let mut client = with_table(&db)?;
    let disagree = "SELECT count(*) FROM (SELECT h FROM t LIMIT 150) a, (SELECT h FROM t ORDER BY n LIMIT 150) b WHERE \
        (a.h = b.h) <> (a.h::bytea = b.h::bytea) OR (a.h <> b.h) <> (a.h::bytea <> b.h::bytea) OR (a.h < b.h) <> (a.h::bytea < b.h::bytea) \
        OR (a.h <= b.h) <> (a.h::bytea <= b.h::bytea) OR (a.h > b.h) <> (a.h::bytea > b.h::bytea) OR (a.h >= b.h) <> (a.h::bytea >= b.h::bytea) \
        OR content_hash_cmp(a.h, b.h) <> CASE WHEN a.h::bytea < b.h::bytea THEN -1 WHEN a.h::bytea > b.h::bytea THEN 1 ELSE 0 END";
    assert_eq!(value::<i64>(&mut client, disagree)?, 0);
    let same_order = "SELECT array_agg(n ORDER BY h, n) = array_agg(n ORDER BY h::bytea, n) FROM t";
    assert!(value::<bool>(&mut client, same_order)?);
    Ok(())
}

/// Runs a query with one plan allowed, asserts that it is the plan, and returns the answer.
pub fn by_plan(client: &mut Client, allow: &str, node: &str, query: &str) -> Result<i64> {
    const KINDS: [&str; 9] =
        ["seqscan", "indexscan", "indexonlyscan", "bitmapscan", "hashjoin", "mergejoin", "nestloop", "hashagg", "sort"];
    for kind in KINDS {
        let on = allow.split(' ').any(|allowed| allowed == kind);
        client.batch_execute(&format!("SET enable_{kind} = {on}"))?;
    }
    let plan = client.query(&format!("EXPLAIN {query}"), &[])?;
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    assert!(plan.iter().any(|line| line.contains(node)), "{plan:#?}");
    value(client, query)
}

#[test]
fn every_plan_gives_the_same_answer() -> Result<()> {
    let db = Database::shared()?;
    let mut client = with_table(&db)?;
    let join = "SELECT count(*) FROM t a JOIN t b ON a.h = b.h";
    for (allow, node) in [
        ("seqscan hashjoin", "Hash Join"),
        ("seqscan sort mergejoin", "Merge Join"),
        ("seqscan nestloop", "Nested Loop"),
    ] {
        assert_eq!(by_plan(&mut client, allow, node, join)?, 20_000, "{node}");
    }
    let groups = "SELECT count(*) FROM (SELECT h FROM t GROUP BY h) g";
    for (allow, node) in [("seqscan hashagg", "HashAggregate"), ("seqscan sort", "Group")] {
        assert_eq!(by_plan(&mut client, allow, node, groups)?, 5000, "{node}");
    }
    client.batch_execute("CREATE INDEX by_order ON t (h)")?;
    let one = "SELECT count(*) FROM t WHERE h = hash_bytes('77')";
    assert_eq!(by_plan(&mut client, "indexscan", "Index Scan using by_order", one)?, 2);
    let range = "SELECT count(*) FROM t WHERE h < (repeat('80', 32))::content_hash";
    let by_index = by_plan(&mut client, "indexscan", "Index Scan using by_order", range)?;
    assert_eq!(by_index, by_plan(&mut client, "seqscan", "Seq Scan", range)?);
    client.batch_execute("DROP INDEX by_order; CREATE INDEX by_hash ON t USING hash (h)")?;
    assert_eq!(by_plan(&mut client, "indexscan", "Index Scan using by_hash", one)?, 2);
    Ok(())
}

#[test]
fn unique_indexes_deduplicate_and_partitions_divide() -> Result<()> {
    let db = Database::shared()?;
    let mut client = with_table(&db)?;
    refused(client.batch_execute("CREATE UNIQUE INDEX ON t (h)"), "23505");
    client.batch_execute("CREATE TABLE u (h content_hash PRIMARY KEY, n int) PARTITION BY HASH (h)")?;
    for part in 0..4 {
        let partition = format!("CREATE TABLE u{part} PARTITION OF u FOR VALUES WITH (MODULUS 4, REMAINDER {part})");
        client.batch_execute(&partition)?;
    }
    client.batch_execute("INSERT INTO u SELECT h, n FROM t ON CONFLICT DO NOTHING")?;
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM u")?, 5000);
    let smallest: i64 = value(&mut client, "SELECT min(c) FROM (SELECT count(*) AS c FROM u GROUP BY tableoid) p")?;
    assert!(smallest > 1000, "hashes spread over the partitions, not {smallest}");
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM u WHERE h = hash_bytes('77')")?, 1);
    // PostgreSQL asks that the seeded hash agree with the plain one for seed 0 in its low half.
    let low = "SELECT bool_and((content_hash_hash_extended(h, 0) & 4294967295) = (content_hash_hash(h)::bigint & 4294967295)) FROM t";
    assert!(value::<bool>(&mut client, low)?);
    let seeded = "SELECT count(DISTINCT content_hash_hash_extended(h, n)) FROM (SELECT h FROM t LIMIT 1) t, generate_series(0, 99) n";
    assert_eq!(value::<i64>(&mut client, seeded)?, 100);
    Ok(())
}

#[test]
fn binary_copy_goes_out_and_in() -> Result<()> {
    let db = Database::shared()?;
    let mut client = with_table(&db)?;
    let mut bytes = Vec::new();
    client
        .copy_out("COPY (SELECT h FROM t ORDER BY n, h) TO STDOUT (FORMAT binary)")?
        .read_to_end(&mut bytes)
        .expect("it streams");
    // Header 19, trailer 2; each row: count of columns 2, length 4, the hash.
    assert_eq!(bytes.len(), 19 + 10_000 * (2 + 4 + 32) + 2);
    client.batch_execute("CREATE TABLE back (h content_hash)")?;
    let mut writer = client.copy_in("COPY back FROM STDIN (FORMAT binary)")?;
    writer.write_all(&bytes).expect("it streams");
    assert_eq!(writer.finish()?, 10_000);
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM (SELECT h FROM t EXCEPT ALL SELECT h FROM back) d")?, 0);

    // A hash of 31 bytes.
    let mut short = bytes[..19].to_vec();
    short.extend([0, 1, 0, 0, 0, 31]);
    short.extend([7; 31]);
    short.extend([0xFF, 0xFF]);
    let mut writer = client.copy_in("COPY back FROM STDIN (FORMAT binary)")?;
    writer.write_all(&short).expect("it streams");
    refused(writer.finish(), "22P03").names(&["31"]);
    Ok(())
}
