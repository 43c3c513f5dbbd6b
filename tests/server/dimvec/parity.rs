//! What pgvector's types answer, `dimvec` answers, but where it was decided otherwise; the cases go over the ground of pgvector's
//! own regression tests (0.8.0: vector_type, halfvec, sparsevec, cast, copy, btree).

use pg_test::Result;
use postgres::Client;

use super::{rows, session_beside_pgvector};
use crate::support::Database;

/// Relative: pgvector sums in float32, in an order of its own.
const DISTANCE_TOLERANCE: f64 = 1e-6;

/// Expressions whose result is the same text; `T` is the type.
const EQUAL: [&str; 79] = [
    "'[1,2,3]'::T",
    "'[-1,-2,-3]'::T",
    "'[1.,2.,3.]'::T",
    "' [ 1,  2 ,    3  ] '::T",
    "'[1.5e38,-1.5e38]'::T",
    "'[1.5e+38,-1.5e-38]'::T",
    "'[1.23456]'::T",
    "'[0.1,1e5,1e6,123456.7,1e-4,1e-5,33554432]'::T",
    "'[3.4028235e38,1.1754944e-38,1e-45]'::T",
    "'[1,2,3]'::T(3)",
    "unnest('{\"[1,2,3]\", \"[4,5,6]\"}'::T[])",
    "'{\"[1,2,3]\"}'::T(3)[]",
    "'[1,2,3]'::T + '[4,5,6]'",
    "'[1,2,3]'::T - '[4,5,6]'",
    "'[1,2,3]'::T * '[4,5,6]'",
    "'[0.1,0.2]'::T + '[0.3,1e9]'",
    "'[0.1,0.2]'::T - '[0.3,1e-9]'",
    "'[0.1,0.2]'::T * '[0.3,1e9]'",
    "'[1e-20]'::T * '[1e-20]'",
    "'[3e38]'::T - '[-1e37]'",
    "'[1,2,3]'::T || '[4,5]'",
    "'[1,2,3]'::T < '[1,2,3]'",
    "'[1,2,3]'::T < '[1,2]'",
    "'[1,2,3]'::T <= '[1,2,3]'",
    "'[1,2,3]'::T <= '[1,2]'",
    "'[1,2,3]'::T = '[1,2,3]'",
    "'[1,2,3]'::T = '[1,2]'",
    "'[1,2,3]'::T <> '[1,2,3]'",
    "'[1,2,3]'::T <> '[1,2]'",
    "'[1,2,3]'::T >= '[1,2,3]'",
    "'[1,2,3]'::T >= '[1,2]'",
    "'[1,2,3]'::T > '[1,2,3]'",
    "'[1,2,3]'::T > '[1,2]'",
    "'[0]'::T = '[-0]'",
    "'[-1]'::T < '[0]'",
    "'[-1,5]'::T < '[0]'",
    "T_cmp('[1,2,3]', '[1,2,3]')",
    "T_cmp('[1,2,3]', '[0,0,0]')",
    "T_cmp('[0,0,0]', '[1,2,3]')",
    "T_cmp('[1,2]', '[1,2,3]')",
    "T_cmp('[1,2,3]', '[1,2]')",
    "T_cmp('[1,2]', '[2,3,4]')",
    "T_cmp('[2,3]', '[1,2,3]')",
    "vector_dims('[1,2,3]'::T)",
    "l2_normalize('[3,4]'::T)",
    "l2_normalize('[3,0]'::T)",
    "l2_normalize('[0,0.1]'::T)",
    "l2_normalize('[0,0]'::T)",
    "l2_normalize('[3e38]'::T)",
    "l2_normalize('[1,2,3,4,5,6,7,8,9]'::T)",
    "subvector('[1,2,3,4,5]'::T, 1, 3)",
    "subvector('[1,2,3,4,5]'::T, 3, 2)",
    "subvector('[1,2,3,4,5]'::T, 0, 3)",
    "subvector('[1,2,3,4,5]'::T, -1, 3)",
    "subvector('[1,2,3,4,5]'::T, 3, 9)",
    "subvector('[1,2,3,4,5]'::T, 3, 2147483647)",
    "subvector('[1,2,3,4,5]'::T, -2147483644, 2147483647)",
    "avg(v) FROM unnest(ARRAY['[1,2,3]'::T, '[3,5,7]']) v",
    "avg(v) FROM unnest(ARRAY['[1,2,3]'::T, '[3,5,7]', NULL]) v",
    "avg(v) FROM unnest(ARRAY[]::T[]) v",
    "avg(v) FROM unnest(ARRAY['[0.1]'::T, '[0.2]', '[0.4]']) v",
    // The mean of sums beyond float32.
    "avg(v) FROM unnest(ARRAY['[3e38]'::T, '[3e38]']) v",
    "sum(v) FROM unnest(ARRAY['[1,2,3]'::T, '[3,5,7]']) v",
    "sum(v) FROM unnest(ARRAY['[1,2,3]'::T, '[3,5,7]', NULL]) v",
    "sum(v) FROM unnest(ARRAY[]::T[]) v",
    "max(v::text) FROM unnest(ARRAY['[1,2,3]'::T, '[3,5,7]', NULL]) v",
    "ARRAY[1,2,3]::T",
    "ARRAY[1.0,2.0,3.0]::T",
    "ARRAY[1,2,3]::float4[]::T",
    "ARRAY[1,2,3]::numeric[]::T",
    "'{0.1,1e30}'::real[]::T(2)",
    "ARRAY[0.1,16777217]::float8[]::T::real[]",
    "'[1,2,3]'::T::real[]",
    "'[1,2,3]'::T::halfvec",
    "'[1e-8]'::T::halfvec",
    "'[0,1.5,0,3.5,0]'::T::sparsevec",
    "'{2:1.5,4:3.5}/5'::sparsevec::T",
    "'{2:1.5,4:3.5}/5'::sparsevec::T(5)",
    "ARRAY[1,2,3] = ARRAY[1,2,3]",
];

/// Expressions of float8, compared within the tolerance.  NaN is NaN.
const CLOSE: [&str; 33] = [
    "NORM('[2]'::T)",
    "l2_distance('[0,0]'::T, '[3,4]')",
    "l2_distance('[0,0]'::T, '[0,1]')",
    "l2_distance('[1,1,1,1,1,1,1,1,1]'::T, '[1,1,1,1,1,1,1,4,5]')",
    "l2_distance('[0.1,0.7,-1e3]'::T, '[0.3,1e3,17.25]')",
    "l2_distance('[1e-30]'::T, '[1e-30]')",
    "'[0,0]'::T <-> '[3,4]'",
    "inner_product('[1,2]'::T, '[3,4]')",
    "inner_product('[1,1,1,1,1,1,1,1,1]'::T, '[1,2,3,4,5,6,7,8,9]')",
    "inner_product('[1,-1]'::T, '[1,1]')",
    "'[1,2]'::T <#> '[3,4]'",
    "'[0]'::T <#> '[3]'",
    "cosine_distance('[1,2]'::T, '[2,4]')",
    "cosine_distance('[1,2]'::T, '[0,0]')",
    "cosine_distance('[0,0]'::T, '[0,0]')",
    "cosine_distance('[1,1]'::T, '[1,1]')",
    "cosine_distance('[1,0]'::T, '[0,2]')",
    "cosine_distance('[1,1]'::T, '[-1,-1]')",
    "cosine_distance('[1,1]'::T, '[1.1,1.1]')",
    "cosine_distance('[1,1]'::T, '[-1.1,-1.1]')",
    "cosine_distance('[1,2,3]'::T, '[3,2,1]')",
    "cosine_distance('[1,2,3,4,5,6,7,8,9]'::T, '[1,2,3,4,5,6,7,8,9]')",
    "cosine_distance('[1,2,3,4,5,6,7,8,9]'::T, '[-1,-2,-3,-4,-5,-6,-7,-8,-9]')",
    "'[1,2]'::T <=> '[2,4]'",
    "l1_distance('[0,0]'::T, '[3,4]')",
    "l1_distance('[0,0]'::T, '[0,1]')",
    "l1_distance('[1,2,3,4,5,6,7,8,9]'::T, '[1,2,3,4,5,6,7,8,9]')",
    "l1_distance('[1,2,3,4,5,6,7,8,9]'::T, '[0,3,2,5,4,7,6,9,8]')",
    "'[0,0]'::T <+> '[3,4]'",
    "NORM('[3,4]'::T)",
    "NORM('[1,1]'::T)",
    "NORM('[0,0]'::T)",
    "NORM('[3e37,4e37]'::T)",
];

/// The cases where halves have answers of their own; `H` is halfvec, or a dimvec of float16.
const HALVES: [&str; 17] = [
    "'[1.23456,65519,-65519]'::H",
    "'{1e-8,6e-8}'::real[]::H",
    "'[0.1,0.2]'::H + '[0.3,1000]'::H",
    "'[0.1,0.2]'::H - '[0.3,1000]'::H",
    "'[0.1,0.2]'::H * '[0.3,1000]'::H",
    "'[1,2]'::H || '[0.1]'::H",
    "'[0.1]'::H = '[0.1]'::H",
    "'[0.1]'::H < '[0.10001]'::H",
    "l2_normalize('[3,4]'::H)",
    "l2_normalize('[65504]'::H)",
    "subvector('[0.1,2,3,4,5]'::H, -1, 3)",
    "avg(v) FROM unnest(ARRAY['[1,2,0.5]'::H, '[3,5,7]'::H]) v",
    "sum(v) FROM unnest(ARRAY['[1,2,0.1]'::H, '[3,5,7]'::H, NULL]) v",
    "'[0.1,2]'::H::real[]",
    "l2_distance('[0,0]'::H, '[3,4]'::H)",
    "inner_product('[1,2]'::H, '[3,4]'::H)",
    "l1_distance('[0,0]'::H, '[3,4]'::H)",
];

/// What both refuse, with pgvector's SQLSTATE and ours: pgvector has 22000 for most, which says no more than "data exception".
const REFUSED: [(&str, &str, &str); 49] = [
    ("22P02", "22P02", "'[hello,1]'::T"),
    ("22000", "22003", "'[NaN,1]'::T"),
    ("22000", "22003", "'[Infinity,1]'::T"),
    ("22000", "22003", "'[-Infinity,1]'::T"),
    ("22003", "22003", "'[4e38,1]'::T"),
    ("22003", "22003", "'[-4e38,1]'::T"),
    ("22P02", "22P02", "'[1,2,3'::T"),
    ("22P02", "22P02", "'[1,2,3]9'::T"),
    ("22P02", "22P02", "'1,2,3'::T"),
    ("22P02", "22P02", "''::T"),
    ("22P02", "22P02", "'['::T"),
    ("22P02", "22P02", "'[ '::T"),
    ("22P02", "22P02", "'[,'::T"),
    ("22000", "22P02", "'[]'::T"),
    ("22000", "22P02", "'[ ]'::T"),
    ("22P02", "22P02", "'[,]'::T"),
    ("22P02", "22P02", "'[1,]'::T"),
    ("22P02", "22P02", "'[1a]'::T"),
    ("22P02", "22P02", "'[1,,3]'::T"),
    ("22P02", "22P02", "'[1, ,3]'::T"),
    ("22000", "22023", "'[1,2,3]'::T(2)"),
    ("22023", "22023", "'[1,2,3]'::T(3, 2)"),
    ("22P02", "22023", "'[1,2,3]'::T('a')"),
    ("22023", "22023", "'[1,2,3]'::T(0)"),
    ("22000", "22023", "'{\"[1,2,3]\"}'::T(2)[]"),
    ("22003", "22003", "'[3e38]'::T + '[3e38]'"),
    ("22000", "22023", "'[1,2]'::T + '[3]'"),
    ("22003", "22003", "'[-3e38]'::T - '[3e38]'"),
    ("22000", "22023", "'[1,2]'::T - '[3]'"),
    ("22003", "22003", "'[1e37]'::T * '[1e37]'"),
    ("22003", "22003", "'[1e-37]'::T * '[1e-37]'"),
    ("22000", "22023", "'[1,2]'::T * '[3]'"),
    ("22000", "22023", "l2_distance('[1,2]'::T, '[3]')"),
    ("22000", "22023", "inner_product('[1,2]'::T, '[3]')"),
    ("22000", "22023", "cosine_distance('[1,2]'::T, '[3]')"),
    ("22000", "22023", "l1_distance('[1,2]'::T, '[3]')"),
    ("22000", "22023", "subvector('[1,2,3,4,5]'::T, 1, 0)"),
    ("22000", "22023", "subvector('[1,2,3,4,5]'::T, 3, -1)"),
    ("22000", "22023", "subvector('[1,2,3,4,5]'::T, -1, 2)"),
    ("22000", "22023", "subvector('[1,2,3,4,5]'::T, 2147483647, 10)"),
    ("22000", "22023", "avg(v) FROM unnest(ARRAY['[1,2]'::T, '[3]']) v"),
    ("22000", "22023", "sum(v) FROM unnest(ARRAY['[1,2]'::T, '[3]']) v"),
    ("22003", "22003", "sum(v) FROM unnest(ARRAY['[3e38]'::T, '[3e38]']) v"),
    ("22004", "22023", "'{NULL}'::real[]::T"),
    ("22000", "22003", "'{NaN}'::real[]::T"),
    ("22000", "22003", "'{-Infinity}'::real[]::T"),
    ("22000", "22023", "'{}'::real[]::T"),
    ("22000", "22023", "'{{1}}'::real[]::T"),
    ("22003", "22003", "'[65520]'::T::halfvec"),
];

/// What pgvector answers and what we do, and why that was decided.
const DECIDED: [(&str, &str, &str, &str); 17] = [
    (
        "distances beyond float32 are summed again in float64",
        "l2_distance('[3e38]'::T, '[-3e38]')",
        "Infinity",
        "6.0000000109955115e+38",
    ),
    (
        "distances beyond float32 are summed again in float64",
        "inner_product('[3e38]'::T, '[3e38]')",
        "Infinity",
        "9.000000032986535e+76",
    ),
    ("distances beyond float32 are summed again in float64", "cosine_distance('[3e38]'::T, '[3e38]')", "NaN", "0"),
    (
        "distances beyond float32 are summed again in float64",
        "l1_distance('[3e38]'::T, '[-3e38]')",
        "Infinity",
        "6.0000000109955115e+38",
    ),
    ("no digit is lost in silence", "'[1e-46,1]'::T", "[0,1]", "(22003)"),
    ("equal vectors have equal bytes", "'[-0,1]'::T", "[-0,1]", "[0,1]"),
    ("equal vectors have equal bytes", "'{-0}'::real[]::T", "[-0]", "[0]"),
    ("double precision stays what it is", "ARRAY[1,2,3]::float8[]::T", "[1,2,3]", "float64:[1,2,3]"),
    ("double precision stays what it is", "'{4e38}'::float8[]::T", "(22000)", "float64:[4e+38]"),
    ("double precision stays what it is", "'{1e-46}'::float8[]::T", "[0]", "float64:[1e-46]"),
    ("halves stay halves", "'[1,2,3]'::halfvec::T", "[1,2,3]", "float16:[1,2,3]"),
    ("the sparse form is read too", "'{1:2}/3'::T", "(22P02)", "[2,0,0]"),
    ("65,535 dimensions, not 16,000", "vector_dims(array_fill(0, ARRAY[16000])::T || '[1]')", "(54000)", "16001"),
    ("65,535 dimensions, not 16,000", "vector_dims(array_fill(0, ARRAY[16001])::T)", "(54000)", "16001"),
    ("65,535 dimensions, not 16,000", "vector_dims('{}/16001'::sparsevec::T)", "(54000)", "16001"),
    ("65,535 dimensions, not 16,000", "'[1,2,3]'::T(16001)", "(22023)", "(22023)"),
    ("65,535 dimensions, not 16,000", "'[1,2,3]'::T(65536)", "(22023)", "(54000)"),
];

/// An expression of pgvector's type, and the same of ours.
fn both(expression: &str) -> (String, String) {
    let norm = |name: &str, of: &str| expression.replace("NORM", name).replace("T_cmp", &format!("{of}_cmp"));
    (typed(&norm("vector_norm", "vector"), "vector"), typed(&norm("l2_norm", "dimvec"), "dimvec"))
}

/// Puts a type's name where `T` stands by itself.
fn typed(expression: &str, name: &str) -> String {
    format!("SELECT {}", expression.replace("::T", &format!("::{name}")))
}

fn answers(client: &mut Client, expression: &str) -> (Vec<String>, Vec<String>) {
    let (theirs, ours) = both(expression);
    (rows(client, &theirs), rows(client, &ours))
}

#[test]
fn texts_arithmetic_order_aggregates_and_casts_are_pgvectors() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    for expression in EQUAL {
        let (theirs, ours) = answers(&mut client, expression);
        assert!(!theirs.is_empty() && !theirs[0].starts_with('('), "{expression}: {theirs:?}");
        assert_eq!(ours, theirs, "{expression}");
    }
    Ok(())
}

#[test]
fn halves_are_pgvectors() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    for expression in HALVES {
        let theirs = rows(&mut client, &format!("SELECT {}", expression.replace("::H", "::halfvec")));
        let ours = rows(&mut client, &format!("SELECT {}", expression.replace("::H", "::dimvec(float16)")));
        assert!(!theirs[0].starts_with('('), "{expression}: {theirs:?}");
        assert_eq!(ours[0].trim_start_matches("float16:"), theirs[0], "{expression}");
    }
    Ok(())
}

fn is_close(ours: f64, theirs: f64) -> bool {
    ours.is_nan() && theirs.is_nan() || (ours - theirs).abs() <= DISTANCE_TOLERANCE * theirs.abs()
}

#[test]
fn distances_are_pgvectors_within_its_rounding() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    for expression in CLOSE {
        let (theirs, ours) = answers(&mut client, expression);
        let number = |rows: &[String]| rows[0].parse::<f64>().unwrap_or_else(|_| panic!("{expression}: {rows:?}"));
        assert!(is_close(number(&ours), number(&theirs)), "{expression}: {ours:?}, not {theirs:?}");
    }
    // Random vectors, where float32 sums differ in the last digits.
    client.batch_execute(
        "SELECT setseed(0.5); CREATE TABLE r AS SELECT n, (SELECT array_agg(random() - 0.3) FROM generate_series(1, 1 + n * 3))::real[]::vector AS v, \
             (SELECT array_agg(random()) FROM generate_series(1, 1 + n * 3))::real[]::vector AS w FROM generate_series(0, 300) n",
    )?;
    for operator in ["<->", "<#>", "<=>", "<+>"] {
        let query = format!("SELECT v {operator} w, v::dimvec {operator} w::dimvec FROM r");
        for row in client.query(&query, &[])? {
            let (theirs, ours): (f64, f64) = (row.get(0), row.get(1));
            // Beside the terms of the sum, which may cancel.
            let scale = ours.abs().max(1.0);
            assert!((ours - theirs).abs() <= DISTANCE_TOLERANCE * scale, "{operator}: {ours}, not {theirs}");
        }
    }
    Ok(())
}

#[test]
fn both_refuse_the_same() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    for (theirs, ours, expression) in REFUSED {
        let said = answers(&mut client, expression);
        assert_eq!(said, (vec![format!("({theirs})")], vec![format!("({ours})")]), "{expression}");
    }
    Ok(())
}

#[test]
fn what_differs_was_decided() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    for (why, expression, theirs, ours) in DECIDED {
        let said = answers(&mut client, expression);
        assert_eq!(said, (vec![theirs.to_owned()], vec![ours.to_owned()]), "{expression}: {why}");
    }
    Ok(())
}

/// With both schemas in the search path no statement of pgvector's becomes ambiguous or another.
#[test]
fn pgvectors_statements_are_not_touched() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    for expression in EQUAL.into_iter().chain(CLOSE).chain(REFUSED.map(|(_, _, expression)| expression)) {
        let (theirs, _) = both(expression);
        let beside = rows(&mut client, &theirs);
        client.batch_execute("SET search_path = public")?;
        assert_eq!(rows(&mut client, &theirs), beside, "{expression}");
        client.batch_execute("SET search_path = public, atoms")?;
    }
    Ok(())
}

/// Copy and btree of pgvector's tests: NULLs among the rows, a modifier, an index.
#[test]
fn tables_and_indexes_answer_as_pgvectors() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    client.batch_execute("SET enable_seqscan = off")?;
    let mut answers = |name: &str| -> Result<Vec<String>> {
        client.batch_execute(&format!(
            "CREATE TABLE b (v {name}(3)); INSERT INTO b VALUES ('[0,0,0]'), ('[1,2,3]'), ('[1,1,1]'), (NULL); CREATE INDEX ON b (v)"
        ))?;
        let mut found = Vec::new();
        for query in [
            "SELECT * FROM b WHERE v = '[1,2,3]'",
            "SELECT * FROM b ORDER BY v",
            "SELECT * FROM b ORDER BY v DESC NULLS LAST",
            "SELECT * FROM b WHERE v > '[0,5]' ORDER BY v",
            "SELECT count(DISTINCT v), count(v) FROM b",
            "SELECT * FROM b ORDER BY v <-> '[1,1,2]' LIMIT 2",
        ] {
            found.extend(rows(&mut client, query));
        }
        client.batch_execute("DROP TABLE b")?;
        Ok(found)
    };
    assert_eq!(answers("dimvec")?, answers("vector")?);
    Ok(())
}
