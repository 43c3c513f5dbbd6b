//! What the extension brings: every object that a user sees says what it is.

use pg_test::Result;

use crate::support::Database;

/// Finds members of the extension without a COMMENT; columns are members by their table.
const SILENT: &str = "
    WITH member AS (
        SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
        WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'pg_atoms'),
    visible AS (
        SELECT m.classid, m.objid, 0 AS part FROM member m
        LEFT JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
        LEFT JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
        -- Row and array types come with their table or type; an operator family comes with its class; a rule with its view.
        WHERE m.classid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_cast'::regclass, 'pg_opclass'::regclass)
           OR c.relkind IN ('r', 'v', 'm', 'p', 'f') OR (t.typrelid = 0 AND t.typelem = 0)
        UNION ALL
        SELECT m.classid, m.objid, a.attnum FROM member m JOIN pg_attribute a ON a.attrelid = m.objid
        JOIN pg_class c ON c.oid = m.objid
        WHERE m.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped)
    SELECT pg_describe_object(v.classid, v.objid, v.part) FROM visible v
    WHERE NOT EXISTS (SELECT 1 FROM pg_description d
                      WHERE d.classoid = v.classid AND d.objoid = v.objid AND d.objsubid = v.part AND length(d.description) > 1)
    ORDER BY 1";

#[test]
fn every_object_has_a_comment() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let silent: Vec<String> = client.query(SILENT, &[])?.iter().map(|row| row.get(0)).collect();
    assert_eq!(silent, Vec::<String>::new());
    // The query above finds what it shall find.
    client.batch_execute("BEGIN; COMMENT ON COLUMN atoms.model.name IS NULL; COMMENT ON OPERATOR atoms.= (atoms.content_hash, atoms.content_hash) IS NULL")?;
    client.batch_execute(
        "COMMENT ON FUNCTION atoms.hash_bytes(bytea) IS NULL; COMMENT ON TYPE atoms.content_hash IS NULL",
    )?;
    assert_eq!(client.query(SILENT, &[])?.len(), 4);
    client.batch_execute("ROLLBACK")?;
    Ok(())
}

#[test]
fn the_extension_goes_as_it_came() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    client.batch_execute("DROP EXTENSION pg_atoms CASCADE")?;
    let left = "SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'atoms'";
    assert_eq!(client.query_one(left, &[])?.get::<_, i64>(0), 0);
    client.batch_execute("CREATE EXTENSION pg_atoms")?;
    client.batch_execute("SELECT atoms.upsert_atom('x', 'text')")?;
    Ok(())
}

/// Every table of the store is dumped, but for what a copy must find out for itself.
#[test]
fn every_table_is_dumped() -> Result<()> {
    let db = Database::shared()?;
    let query = "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'atoms'::regnamespace AND c.relkind IN ('r', 'S') \
        AND c.oid <> ALL (SELECT unnest(e.extconfig) FROM pg_extension e WHERE e.extname = 'pg_atoms')";
    let left: Vec<String> = db.client()?.query(query, &[])?.iter().map(|row| row.get(0)).collect();
    assert_eq!(left, ["atom_verification"]);
    Ok(())
}
