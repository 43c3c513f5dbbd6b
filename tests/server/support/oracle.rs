//! What must be true of every store, asked in plain SQL over the tables.

use pg_test::Result;
use postgres::Client;

/// Statements that return rows only when something is wrong, with what that is.
const NEVER: [(&str, &str); 8] = [
    ("an atom is damaged", "SELECT * FROM atoms.verify_atoms()"),
    (
        "two atoms have one hash",
        "SELECT content_hash::text FROM (SELECT content_hash::text FROM atoms.atom) a GROUP BY 1 HAVING count(*) > 1",
    ),
    (
        "segments belong to no atom",
        "SELECT atom_id FROM atoms.atom_segment EXCEPT (SELECT atom_id FROM atoms.atom UNION ALL SELECT atom_id FROM atoms.import_atom)",
    ),
    (
        "segments do not tile their atom",
        "SELECT a.atom_id FROM atoms.atom a LEFT JOIN \
             (SELECT atom_id, sum(octet_length(payload)) AS bytes, count(DISTINCT raw_offset) AS places, count(*) AS rows, \
                     max(raw_offset + octet_length(payload)) AS last FROM atoms.atom_segment GROUP BY atom_id) s USING (atom_id) \
         WHERE a.payload IS NULL AND (s.bytes IS DISTINCT FROM a.size_bytes OR s.last <> a.size_bytes OR s.places <> s.rows) \
            OR a.payload IS NOT NULL AND (octet_length(a.payload) <> a.size_bytes OR s.bytes IS NOT NULL)",
    ),
    (
        "a received part of an atom is not there",
        "SELECT i.atom_id FROM atoms.import_atom i WHERE i.received_bytes IS DISTINCT FROM \
             (SELECT sum(octet_length(s.payload)) FROM atoms.atom_segment s WHERE s.atom_id = i.atom_id)",
    ),
    (
        "parts do not tile their file",
        "SELECT f.path FROM atoms.model_file f LEFT JOIN \
             (SELECT p.file_id, sum(p.byte_length) AS bytes, max(p.byte_offset + p.byte_length) AS last, \
                     bool_and(p.byte_length = a.size_bytes) AS fit FROM atoms.file_part p JOIN atoms.atom a USING (atom_id) GROUP BY 1) p \
             USING (file_id) \
         WHERE coalesce(p.bytes, 0) <> f.size_bytes OR coalesce(p.last, 0) <> f.size_bytes OR NOT coalesce(p.fit, true)",
    ),
    (
        "the parts of a tensor are not its bytes",
        "SELECT t.name FROM atoms.tensor t LEFT JOIN (SELECT tensor_id, sum(byte_length) AS bytes FROM atoms.tensor_part GROUP BY 1) p \
             USING (tensor_id) WHERE coalesce(p.bytes, 0) <> t.size_bytes",
    ),
    (
        "a reference names no atom",
        "SELECT p.atom_id FROM (SELECT atom_id FROM atoms.file_part UNION SELECT atom_id FROM atoms.tensor_part UNION \
             SELECT atom_id FROM atoms.import_part WHERE atom_id IS NOT NULL) p WHERE p.atom_id NOT IN (SELECT atom_id FROM atoms.atom)",
    ),
];

/// Asserts that nothing is damaged, doubled, orphaned or half there.
#[track_caller]
pub fn assert_sound(client: &mut Client) -> Result<()> {
    // Indexes could hide what the tables hold.
    client.batch_execute("SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off")?;
    for (wrong, query) in NEVER {
        let rows = client.query(&format!("SELECT row(w.*)::text FROM ({query}) w LIMIT 5"), &[])?;
        let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert!(rows.is_empty(), "{wrong}: {rows:?}");
    }
    client.batch_execute("RESET enable_indexscan; RESET enable_indexonlyscan; RESET enable_bitmapscan")?;
    Ok(())
}

/// What is stored, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Rows of `atom`.
    pub atoms: i64,
    /// Rows of `atom_segment`.
    pub segments: i64,
    /// Bytes of all atoms.
    pub bytes: i64,
}

/// Counts what is stored.
pub fn stored(client: &mut Client) -> Result<Stored> {
    let row = client.query_one(
        "SELECT (SELECT count(*) FROM atoms.atom), (SELECT count(*) FROM atoms.atom_segment), \
                (SELECT coalesce(sum(size_bytes), 0)::bigint FROM atoms.atom)",
        &[],
    )?;
    Ok(Stored { atoms: row.get(0), segments: row.get(1), bytes: row.get(2) })
}

/// Returns the one value that a query finds.
pub fn value<T: for<'a> postgres::types::FromSql<'a>>(client: &mut Client, query: &str) -> Result<T> {
    Ok(client.query_one(query, &[])?.get(0))
}
