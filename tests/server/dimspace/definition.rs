//! Operator classes, options, and what an index refuses.

use pg_test::Result;

use super::{figure, make_table};
use crate::dimvec::{rows, session, session_beside_pgvector};
use crate::support::{Database, refused};

#[test]
fn operator_classes_are_valid() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    let classes = "SELECT c.opcintype::regtype || ' ' || c.opcname || ' ' || c.opcdefault || ' ' || amvalidate(c.oid) FROM pg_opclass c \
        JOIN pg_am a ON a.oid = c.opcmethod WHERE a.amname = 'dimspace' ORDER BY 1";
    let expected: Vec<String> = ["dimvec", "halfvec", "vector"]
        .iter()
        .flat_map(|of| {
            ["cosine", "ip", "l2"].map(|metric| format!("{of} {of}_{metric}_ops {} true", metric == "cosine"))
        })
        .collect();
    assert_eq!(rows(&mut client, classes), expected);
    Ok(())
}

#[test]
fn an_operator_class_that_does_not_fit_is_found() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute(
        "CREATE OPERATOR CLASS bare FOR TYPE dimvec USING dimspace AS OPERATOR 1 <@ (dimvec, dim_range); \
         CREATE OPERATOR CLASS wrong FOR TYPE real[] USING dimspace AS OPERATOR 1 <@ (dimvec, dim_range), OPERATOR 2 <@ (anyarray, anyarray), \
             FUNCTION 1 dim_value(dim_point), FUNCTION 2 vector_dims(dimvec)",
    )?;
    let valid = "SELECT opcname, amvalidate(oid) FROM pg_opclass WHERE opcname IN ('bare', 'wrong') ORDER BY 1";
    assert_eq!(rows(&mut client, valid), ["bare|f", "wrong|f"]);
    Ok(())
}

#[test]
fn options_have_bounds() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_table(&mut client, "CREATE TABLE t (n int, v dimvec)", 3000)?;
    let options = [("cells", 0, 65_536), ("planes", 1, 2), ("fold_rows", 0, 100_000), ("dimensions", 0, 16_000)];
    for (option, least, most) in options {
        for beyond in [least - 1, most + 1] {
            let create = format!("CREATE INDEX ON t USING dimspace (v) WITH ({option} = {beyond})");
            refused(client.batch_execute(&create), "22023").names(&[option, &least.to_string(), &most.to_string()]);
        }
    }
    refused(client.batch_execute("CREATE INDEX ON t USING dimspace (v) WITH (lists = 3)"), "22023").names(&["lists"]);
    refused(client.batch_execute("CREATE INDEX ON t USING dimspace (v) WITH (one_bit = true)"), "0A000");
    client.batch_execute(
        "CREATE INDEX i ON t USING dimspace (v) WITH (cells = 9, planes = 1, fold_rows = 20, one_bit = false, dimensions = 8)",
    )?;
    assert_eq!(figure(&mut client, "i", "cells")?, 9);
    super::assert_sound(&mut client, "i")?;
    client.batch_execute("CREATE INDEX j ON t USING dimspace (v)")?;
    assert_eq!(figure(&mut client, "j", "cells")?, 6);
    assert!(figure(&mut client, "i", "pages")? < figure(&mut client, "j", "pages")?, "one plane takes less than two");
    Ok(())
}

#[test]
fn dimensions_are_those_of_column_option_or_first_row() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    for (column, option, expected) in [
        ("dimvec(3)", "", 3),
        ("dimvec(3, float16)", "", 3),
        ("dimvec", "WITH (dimensions = 3)", 3),
        ("dimvec(float64)", "", 0),
    ] {
        client.batch_execute(&format!(
            "DROP TABLE IF EXISTS d; CREATE TABLE d (v dimvec); ALTER TABLE d ALTER v TYPE {column}; CREATE INDEX i ON d USING dimspace (v) {option}"
        ))?;
        assert_eq!(figure(&mut client, "i", "dimensions")?, expected, "{column} {option}");
        client.batch_execute("INSERT INTO d VALUES (NULL), ('[1,2,3]'), ('[0,0,0]')")?;
        assert_eq!(figure(&mut client, "i", "dimensions")?, 3, "{column} {option}");
        refused(client.batch_execute("INSERT INTO d VALUES ('[1,2]')"), "22023");
    }
    client.batch_execute("CREATE TABLE mixed AS VALUES ('[1,2]'::dimvec), ('[1,2,3]')")?;
    let refusal = refused(client.batch_execute("CREATE INDEX ON mixed USING dimspace (column1)"), "22023");
    assert!(refusal.message.contains('2') && refusal.message.contains('3'), "{refusal:?}");
    Ok(())
}

#[test]
fn too_many_dimensions_are_refused() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute("CREATE TABLE wide (v dimvec(16001)); CREATE TABLE free (v dimvec); CREATE INDEX free_v ON free USING dimspace (v)")?;
    refused(client.batch_execute("CREATE INDEX ON wide USING dimspace (v)"), "54000").names(&["16000", "16001"]);
    let insert = |count| format!("INSERT INTO free VALUES (array_fill(0.5::real, ARRAY[{count}]))");
    refused(client.batch_execute(&insert(16_001)), "54000");
    client.batch_execute(&insert(16_000))?;
    assert_eq!(rows(&mut client, "SELECT count(*) FROM free WHERE v <@ dim_range(15999, 0.5, 0.5)"), ["1"]);
    Ok(())
}

#[test]
fn what_the_access_method_cannot_do_is_refused() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute("CREATE TABLE t (n int, v dimvec, w dimvec)")?;
    for (sqlstate, create) in [
        ("0A000", "CREATE UNIQUE INDEX ON t USING dimspace (v)"),
        ("0A000", "CREATE INDEX ON t USING dimspace (v, w)"),
        ("0A000", "CREATE INDEX ON t USING dimspace (v) INCLUDE (n)"),
        ("0A000", "CREATE INDEX ON t USING dimspace (v DESC)"),
        ("42704", "CREATE INDEX ON t USING dimspace (n)"),
    ] {
        refused(client.batch_execute(create), sqlstate);
    }
    Ok(())
}
