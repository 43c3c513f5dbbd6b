//! The type `dim_point`.

use std::io::{Read, Write};

use pg_test::Result;

use super::binary::Wire;
use super::{assert_answers, rows, session};
use crate::content_hash::by_plan;
use crate::support::oracle::value;
use crate::support::{Database, refused};

#[test]
fn text_and_parts() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    assert_answers(
        &mut client,
        &[
            ("'(0.5,2,3)'::dim_point", "(0.5,2,3)"),
            ("' ( -1e-3 , 0 , -9223372036854775808 ) '::dim_point", "(-0.001,0,-9223372036854775808)"),
            ("dim_point(0.1, 65534, 9223372036854775807)", "(0.1,65534,9223372036854775807)"),
            ("dim_point('-0', 0, 0) = dim_point(0, 0, 0)", "t"),
            ("dim_value('(0.1,2,3)')", "0.1"),
            ("dim_index('(0.1,2,3)')", "2"),
            ("dim_model('(0.1,2,3)')", "3"),
            ("dim_value(dim_point(1e300, 0, 0)::text::dim_point)", "1e+300"),
            ("dim_value(dim_point(5e-324, 0, 0)::text::dim_point)", "5e-324"),
            ("pg_column_size(dim_point(1, 2, 3))", "20"),
        ],
    );
    for (sqlstate, text, says) in [
        ("22P02", "", "no opening parenthesis at character 1"),
        ("22P02", "x", "no opening parenthesis at character 1"),
        ("22P02", "(1,2,3", "no closing parenthesis at character 7"),
        ("22P02", "(1,2,3)x", "no closing parenthesis at character 9"),
        ("22P02", "(1,2)", "not three numbers at character 6"),
        ("22P02", "(1,2,3,4)", "not three numbers"),
        ("22P02", "(x,2,3)", "not a number at character 2"),
        ("22P02", "(ä,2,3)", "not a number at character 2"),
        ("22P02", "(1,2.5,3)", "not a dimension at character 4"),
        ("22P02", "(1,,3)", "not a dimension at character 4"),
        ("22P02", "(1,2,9223372036854775808)", "not the id of a model at character 6"),
        ("22003", "(NaN,2,3)", "NaN"),
        ("22003", "(-Infinity,2,3)", "-inf"),
        ("22003", "(1e999,2,3)", "inf"),
        ("22023", "(1,-1,3)", "dimension -1 is not one of 0 to 65534"),
        ("22023", "(1,65535,3)", "dimension 65535 is not one of 0 to 65534"),
    ] {
        println!("{text:?}");
        refused(client.query("SELECT $1::text::dim_point", &[&text]), sqlstate).names(&[says]);
    }
    refused(client.simple_query("SELECT dim_point('NaN', 0, 1)"), "22003");
    refused(client.simple_query("SELECT dim_point(1, 65535, 1)"), "22023").names(&["65535"]);
    Ok(())
}

#[test]
fn binary_form() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    let point = |value: f64, dimension: i32, model: i64| {
        Wire([&value.to_be_bytes()[..], &dimension.to_be_bytes(), &model.to_be_bytes()].concat())
    };
    let sent: Wire = client.query_one("SELECT '(0.5,2,-3)'::dim_point", &[])?.get(0);
    assert_eq!(sent, point(0.5, 2, -3));
    let read: String = client.query_one("SELECT $1::dim_point::text", &[&sent])?.get(0);
    assert_eq!(read, "(0.5,2,-3)");
    for (sqlstate, form, says) in [
        ("22P03", Wire(vec![0; 19]), "at byte 19"),
        ("22P03", Wire(vec![0; 21]), "20 bytes"),
        ("22003", point(f64::NAN, 0, 0), "NaN"),
        ("22023", point(0.0, 65_535, 0), "65535"),
        ("22023", point(0.0, i32::MIN, 0), "-2147483648"),
    ] {
        refused(client.query("SELECT $1::dim_point", &[&form]), sqlstate).names(&[says]);
    }
    client.batch_execute("CREATE TABLE p AS SELECT dim_point(n / 7.0, n, -n) AS p FROM generate_series(0, 999) n; CREATE TABLE back (p dim_point)")?;
    let mut bytes = Vec::new();
    client.copy_out("COPY p TO STDOUT (FORMAT binary)")?.read_to_end(&mut bytes).expect("it streams");
    assert_eq!(bytes.len(), 19 + 1000 * (2 + 4 + 20) + 2);
    let mut writer = client.copy_in("COPY back FROM STDIN (FORMAT binary)")?;
    writer.write_all(&bytes).expect("it streams");
    assert_eq!(writer.finish()?, 1000);
    assert_eq!(rows(&mut client, "SELECT count(*) FROM p NATURAL JOIN back"), ["1000"]);
    Ok(())
}

#[test]
fn order_hash_and_indexes() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute(
        "SELECT setseed(0.3); CREATE TABLE p AS SELECT n, dim_point((random() * 10)::int - 5, (random() * 3)::int, (random() * 4)::int - 2) AS p \
             FROM generate_series(1, 3000) n; ANALYZE p",
    )?;
    let parts = "(dim_model(p), dim_index(p), dim_value(p))";
    let same = format!("SELECT array_agg(n ORDER BY p, n) = array_agg(n ORDER BY {parts}, n) FROM p");
    assert!(value::<bool>(&mut client, &same)?);
    let [a, b] = ["a", "b"].map(|t| format!("(dim_model({t}.p), dim_index({t}.p), dim_value({t}.p))"));
    let operators = ["=", "<>", "<", "<=", ">", ">="];
    let differs = operators.map(|operator| format!("(a.p {operator} b.p) <> ({a} {operator} {b})")).join(" OR ");
    let disagree = format!(
        "SELECT count(*) FROM p a, p b WHERE a.n < 300 AND b.n % 10 = 0 AND ({differs} OR sign(dim_point_cmp(a.p, b.p)) <> CASE WHEN a.p < b.p THEN -1 WHEN a.p > b.p THEN 1 ELSE 0 END)"
    );
    assert_eq!(value::<i64>(&mut client, &disagree)?, 0);
    let distinct: i64 = value(&mut client, &format!("SELECT count(DISTINCT {parts}) FROM p"))?;
    let groups = "SELECT count(*) FROM (SELECT p FROM p GROUP BY p) g";
    assert_eq!(by_plan(&mut client, "seqscan hashagg", "HashAggregate", groups)?, distinct);
    assert_eq!(by_plan(&mut client, "seqscan sort", "Group", groups)?, distinct);
    let join = "SELECT count(*) FROM p a JOIN p b ON a.p = b.p";
    let joined = by_plan(&mut client, "seqscan hashjoin", "Hash Join", join)?;
    assert_eq!(by_plan(&mut client, "seqscan sort mergejoin", "Merge Join", join)?, joined);
    assert_eq!(by_plan(&mut client, "seqscan nestloop", "Nested Loop", join)?, joined);
    client.batch_execute("CREATE INDEX by_order ON p (p)")?;
    let range = "SELECT count(*) FROM p WHERE p > '(0,1,0)' AND p <= '(3,2,1)'";
    let found = by_plan(&mut client, "indexscan", "Index Scan using by_order", range)?;
    assert_eq!(found, by_plan(&mut client, "seqscan", "Seq Scan", range)?);
    client.batch_execute("DROP INDEX by_order; CREATE INDEX by_hash ON p USING hash (p)")?;
    let one = "SELECT count(*) FROM p WHERE p = (SELECT p FROM p WHERE n = 5)";
    let found = by_plan(&mut client, "seqscan indexscan", "Index Scan using by_hash", one)?;
    assert_eq!(found, by_plan(&mut client, "seqscan", "Seq Scan", one)?);
    let low = "SELECT bool_and((dim_point_hash_extended(p, 0) & 4294967295) = (dim_point_hash(p)::bigint & 4294967295)) FROM p";
    assert!(value::<bool>(&mut client, low)?);
    assert_eq!(
        rows(&mut client, "SELECT dim_point_hash('(0.5,2,3)'), dim_point_hash_extended('(0.5,2,3)', 7)"),
        ["-1227873351|4567801436091833386"]
    );
    Ok(())
}
