//! The extension `pg_atoms_vector`: casts between dimvec and pgvector's types.

use std::path::Path;
use std::process::Command;

use pg_test::Result;

use super::{assert_answers, rows, session, session_beside_pgvector};
use crate::support::oracle::value;
use crate::support::{Database, refused};

#[test]
fn casts_go_both_ways() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    assert_answers(
        &mut client,
        &[
            ("'[1,2.5]'::vector::dimvec", "[1,2.5]"),
            ("'[1,0.1]'::halfvec::dimvec", "float16:[1,0.099975586]"),
            ("'{1:0.1,3:2}/5'::sparsevec::dimvec", "[0.1,0,2,0,0]"),
            ("stored_form('{1:0.1}/500'::sparsevec::dimvec)", "sparse float32"),
            ("'[1,2.5]'::dimvec::vector", "[1,2.5]"),
            ("'[1,0.1]'::dimvec::halfvec", "[1,0.099975586]"),
            ("'[0.1,0,2]'::dimvec::sparsevec", "{1:0.1,3:2}/3"),
            ("'{3:1}/900'::dimvec::sparsevec", "{3:1}/900"),
            ("'float64:[0.1,1e-60]'::dimvec::vector", "[0.1,0]"),
            ("'float64:[0.1,1e-60]'::dimvec::sparsevec", "{1:0.1}/2"),
            ("'int8:[-7,7]'::dimvec::vector", "[-7,7]"),
            // Modifiers on either side.
            ("'[1,0.1]'::vector::dimvec(2,float16)", "float16:[1,0.099975586]"),
            ("'[1,2]'::vector::dimvec(int8)", "int8:[1,2]"),
            ("'[1,2]'::halfvec::dimvec(2)", "float16:[1,2]"),
            ("'[1,2]'::halfvec::dimvec(float32)", "[1,2]"),
            ("'{1:1}/2'::sparsevec::dimvec(2,uint8)", "uint8:[1,0]"),
            ("'[1,2]'::dimvec::vector(2)", "[1,2]"),
            ("'[1,2]'::dimvec::halfvec(2)", "[1,2]"),
            ("'[1,0]'::dimvec::sparsevec(2)", "{1:1}/2"),
            ("'[1,2]'::vector::dimvec(3)", "(22023)"),
            ("'[1,2]'::halfvec::dimvec(3)", "(22023)"),
            ("'{}/2'::sparsevec::dimvec(3)", "(22023)"),
            ("'[1,2]'::dimvec::vector(3)", "(22000)"),
            ("NULL::vector::dimvec IS NULL AND NULL::dimvec::vector IS NULL", "t"),
            // Implicit towards dimvec only.
            ("'[1,2]'::vector <-> '[4,6]'::dimvec", "5"),
            ("'[4,6]'::dimvec = '[4,6]'::halfvec", "t"),
            ("stored_form('[1,2]'::vector)", "uint8"),
            ("vector_norm('[3,4]'::dimvec)", "(42883)"),
        ],
    );
    Ok(())
}

#[test]
fn columns_take_the_other_type_by_assignment() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    client.batch_execute(
        "CREATE TABLE ours (v dimvec(3), h dimvec(3, float16), i dimvec(int8)); CREATE TABLE theirs (v vector(3), h halfvec(3), s sparsevec(3)); \
         INSERT INTO theirs VALUES ('[1,2,0]', '[3,4,5]', '{2:7}/3'); INSERT INTO ours SELECT v, v, s FROM theirs; INSERT INTO ours SELECT h, h, h FROM theirs; \
         INSERT INTO theirs SELECT v, v, v FROM ours; INSERT INTO theirs SELECT h, i, h FROM ours",
    )?;
    assert_eq!(
        rows(&mut client, "SELECT * FROM ours"),
        ["[1,2,0]|float16:[1,2,0]|int8:[0,7,0]", "float16:[3,4,5]|float16:[3,4,5]|int8:[3,4,5]"]
    );
    assert_eq!(
        rows(&mut client, "SELECT * FROM theirs"),
        [
            "[1,2,0]|[3,4,5]|{2:7}/3",
            "[1,2,0]|[1,2,0]|{1:1,2:2}/3",
            "[3,4,5]|[3,4,5]|{1:3,2:4,3:5}/3",
            "[1,2,0]|[0,7,0]|{1:1,2:2}/3",
            "[3,4,5]|[3,4,5]|{1:3,2:4,3:5}/3"
        ]
    );
    refused(client.batch_execute("INSERT INTO theirs (v) VALUES ('int8:[1]'::dimvec)"), "22000");
    refused(client.batch_execute("INSERT INTO ours (v) VALUES ('[1]'::vector)"), "22023")
        .names(&["expected 3 dimensions, not 1"]);
    client.batch_execute("ALTER TABLE theirs ALTER v TYPE dimvec(3); ALTER TABLE ours ALTER v TYPE vector(3)")?;
    assert_eq!(rows(&mut client, "SELECT v FROM ours"), ["[1,2,0]", "[3,4,5]"]);
    Ok(())
}

#[test]
fn what_the_other_type_cannot_hold_is_refused() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    for (sqlstate, expression, says) in [
        ("54000", "array_fill(1, ARRAY[16001])::dimvec::vector", "at most 16000, not 16001"),
        ("54000", "array_fill(1, ARRAY[16001])::dimvec::halfvec", "at most 16000, not 16001"),
        ("54000", "array_fill(1, ARRAY[16001])::dimvec::sparsevec", "at most 16000, not 16001"),
        ("54000", "'{}/65536'::sparsevec::dimvec", "at most 65535 dimensions, not 65536"),
        ("54000", "'{}/1000000000'::sparsevec::dimvec", "not 1000000000"),
        ("22003", "'float64:[0,1e39]'::dimvec::vector", "1e+39 is out of range for float32 (dimension 1)"),
        ("22003", "'float64:[0,1e39]'::dimvec::sparsevec", "1e+39 is out of range for float32 (dimension 1)"),
        ("22003", "'[0,0,65520]'::dimvec::halfvec", "65520 is out of range for float16 (dimension 2)"),
        ("22003", "'[128]'::vector::dimvec(int8)", "128 is out of range for int8 (dimension 0)"),
    ] {
        println!("{expression}");
        refused(client.simple_query(&format!("SELECT {expression}")), sqlstate).names(&[says]);
    }
    for (expression, dimensions) in [
        ("array_fill(1, ARRAY[16000])::dimvec::vector::dimvec", 16_000),
        ("array_fill(0.1::real, ARRAY[16000])::dimvec::halfvec::dimvec", 16_000),
        ("'{65535:1}/65535'::dimvec::sparsevec::dimvec", 65_535),
        ("'{65535:1}/65535'::sparsevec::dimvec", 65_535),
    ] {
        assert_eq!(
            value::<i32>(&mut client, &format!("SELECT vector_dims({expression})"))?,
            dimensions,
            "{expression}"
        );
    }
    Ok(())
}

#[test]
fn casts_keep_every_bit_of_random_vectors() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    super::make_vectors(&mut client)?;
    let differing = "SELECT count(*) FILTER (WHERE serialize_vector(f::vector::dimvec) <> serialize_vector(f) OR serialize_vector(f::sparsevec::dimvec) <> serialize_vector(f) \
            OR serialize_vector(h::halfvec::dimvec) <> serialize_vector(h) OR (f::vector::real[])::text <> (f::real[])::text OR (h::halfvec::real[])::text <> (h::real[])::text \
            OR stored_form(f::vector::dimvec) <> stored_form(f) OR f::sparsevec::vector <> f::vector), count(*) \
        FROM (SELECT v::dimvec(float32) AS f, v::dimvec(float16) AS h FROM t) c";
    assert_eq!(rows(&mut client, differing), ["0|360"]);
    // From and into TOAST, of tables in the other type.
    client.batch_execute("CREATE TABLE theirs AS SELECT n, v::vector AS v FROM t; CREATE TABLE ours AS SELECT n, v::dimvec AS v FROM theirs")?;
    let differing = "SELECT count(*) FROM t JOIN ours o USING (n) WHERE t.v::dimvec(float32) <> o.v OR stored_form(t.v::dimvec(float32)) <> stored_form(o.v)";
    assert_eq!(value::<i64>(&mut client, differing)?, 0);
    Ok(())
}

#[test]
fn a_plain_role_calls_nothing_until_it_is_granted_access() -> Result<()> {
    let db = Database::shared()?;
    let mut admin = session_beside_pgvector(&db)?;
    let role = db.role("plain", "")?;
    admin.batch_execute(&format!("GRANT USAGE ON SCHEMA atoms TO {role}; CREATE TABLE o (v dimvec); INSERT INTO o VALUES ('[1]'); GRANT SELECT ON o TO {role}"))?;
    let functions = "SELECT objid::regprocedure::text FROM pg_depend d JOIN pg_extension e ON e.oid = refobjid WHERE e.extname = 'pg_atoms_vector' AND deptype = 'e' AND classid = 'pg_proc'::regclass ORDER BY 1";
    let functions = rows(&mut admin, functions);
    assert_eq!(functions.len(), 10, "{functions:?}");
    for function in functions {
        let may = format!("SELECT has_function_privilege('{role}', '{function}', 'execute')");
        assert_eq!(rows(&mut admin, &may), ["f"], "{function}");
    }
    let mut plain = db.client_as(&role)?;
    plain.batch_execute("SET search_path = public, atoms")?;
    for expression in [
        "'[1]'::vector::dimvec",
        "'[1]'::halfvec::dimvec",
        "'{}/1'::sparsevec::dimvec",
        "v::vector FROM o",
        "v::halfvec FROM o",
        "v::sparsevec FROM o",
        "'[1]'::vector <@ '(0,0,1)'",
        "'(0,0,1)' @> '[1]'::halfvec",
    ] {
        refused(plain.simple_query(&format!("SELECT {expression}")), "42501");
    }
    admin.batch_execute(&format!("SELECT atoms.grant_access('{role}', 'read')"))?;
    let granted = rows(&mut plain, "SELECT v::vector::dimvec FROM o");
    admin.batch_execute(&format!(
        "SELECT atoms.revoke_access('{role}'); REVOKE ALL ON o FROM {role}; REVOKE USAGE ON SCHEMA atoms FROM {role}"
    ))?;
    assert_eq!(granted, ["[1]"], "the level reaches the casts");
    drop(plain);
    admin.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))?;
    Ok(())
}

#[test]
fn the_extension_comes_and_goes() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    refused(client.batch_execute("CREATE EXTENSION pg_atoms_vector"), "42704").names(&["vector"]);
    client.batch_execute("CREATE EXTENSION pg_atoms_vector CASCADE")?;
    client.batch_execute("CREATE VIEW uses_cast AS SELECT '[1]'::vector::dimvec AS v, 1 AS n")?;
    refused(client.batch_execute("DROP EXTENSION vector"), "2BP01");
    refused(client.batch_execute("DROP EXTENSION pg_atoms_vector"), "2BP01").names(&["uses_cast"]);
    client.batch_execute("DROP VIEW uses_cast; DROP EXTENSION pg_atoms_vector")?;
    refused(client.simple_query("SELECT '[1]'::vector::dimvec"), "42846");
    let left = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'atoms'::regnamespace AND prosrc LIKE '%\\_vec%wrapper' AND prosrc LIKE 'dimvec\\_%vec%wrapper'";
    assert_eq!(rows(&mut client, left), ["0"]);
    client.batch_execute("CREATE EXTENSION pg_atoms_vector; DROP EXTENSION vector CASCADE")?;
    assert_eq!(rows(&mut client, "SELECT extname FROM pg_extension WHERE extname LIKE '%vec%'"), [""; 0]);
    // In another schema than public too.
    client
        .batch_execute("CREATE SCHEMA other; CREATE EXTENSION vector SCHEMA other; CREATE EXTENSION pg_atoms_vector")?;
    assert_eq!(rows(&mut client, "SELECT '[1]'::other.vector::dimvec"), ["[1]"]);
    Ok(())
}

#[test]
fn pgvectors_client_uses_dimvec_columns() -> Result<()> {
    let db = Database::shared()?;
    drop(session_beside_pgvector(&db)?);
    let python = std::env::var_os("PG_ATOMS_PYTHON").expect("PG_ATOMS_PYTHON is an interpreter; make test sets it");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/pgvector_client.py");
    let output = Command::new(python)
        .arg(script)
        .arg(db.cluster().dsn(db.name()))
        .output()
        .expect("PG_ATOMS_PYTHON is a program");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let compared: u32 = said.split_whitespace().next().and_then(|count| count.parse().ok()).expect("a count");
    assert!(compared > 200, "{said}");
    Ok(())
}
