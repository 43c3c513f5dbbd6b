//! Casts from and to arrays and bytes, and between element types.

use pg_test::Result;

use super::{ELEMENTS, assert_answers, rows, session};
use crate::support::oracle::value;
use crate::support::{Database, refused};

#[test]
fn arrays_and_bytes_become_vectors() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    assert_answers(
        &mut client,
        &[
            ("'{1,0.1}'::real[]::dimvec", "[1,0.1]"),
            ("'{1,0.1}'::float8[]::dimvec", "float64:[1,0.1]"),
            ("'{1,0.1}'::float8[]::dimvec(float32)", "[1,0.1]"),
            ("'{1,0.1}'::real[]::dimvec(2,float16)", "float16:[1,0.099975586]"),
            ("ARRAY[1,2,-3]::dimvec", "[1,2,-3]"),
            ("ARRAY[16777217]::dimvec", "[1.6777216e+07]"),
            ("ARRAY[16777217]::dimvec(float64)", "float64:[16777217]"),
            ("ARRAY[1,2]::dimvec(int8)", "int8:[1,2]"),
            ("ARRAY[0.1,1]::numeric[]::dimvec", "[0.1,1]"),
            ("ARRAY[0.1]::numeric[]::dimvec(float64)", "float64:[0.1]"),
            ("'[5:6]={1,2}'::real[]::dimvec", "[1,2]"),
            ("'{-0}'::real[]::dimvec", "[0]"),
            ("'\\x0000803f00000040'::bytea::dimvec", "[1,2]"),
            ("'\\x01ff'::bytea::dimvec(int8)", "int8:[1,-1]"),
            ("'\\x003c'::bytea::dimvec(1,float16)", "float16:[1]"),
            ("deserialize_vector('\\x803f', 'bfloat16')", "bfloat16:[1]"),
            ("deserialize_vector('\\x0000803f')", "[1]"),
            ("NULL::real[]::dimvec IS NULL", "t"),
        ],
    );
    Ok(())
}

/// As pgvector's tests ask of its casts; `IN` and joins look for the same operators.
#[test]
fn arrays_compare_and_concatenate_as_without_the_type() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    for array in ["real[]", "double precision[]", "integer[]", "numeric[]"] {
        for operator in ["=", "<>", "<", "<=", ">", ">=", "||", "@>", "&&", "IS DISTINCT FROM"] {
            let expression = format!("'{{1,2}}'::{array} {operator} '{{1,2}}'::{array}");
            let beside = rows(&mut client, &format!("SELECT {expression}"));
            client.batch_execute("SET search_path = public")?;
            let without = rows(&mut client, &format!("SELECT {expression}"));
            client.batch_execute("SET search_path = public, atoms")?;
            assert_eq!(beside, without, "{expression}");
        }
    }
    Ok(())
}

#[test]
fn vectors_become_arrays_and_bytes() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    assert_answers(
        &mut client,
        &[
            ("'{1:0.5}/3'::dimvec::real[]", "{0.5,0,0}"),
            ("'float64:[0.1]'::dimvec::float8[]", "{0.1}"),
            ("'float64:[0.1,1e-60]'::dimvec::real[]", "{0.1,0}"),
            ("'[0.1]'::dimvec::float8[]", "{0.10000000149011612}"),
            ("'float16:[1,-2]'::dimvec::bytea", "\\x003c00c0"),
            ("serialize_vector('{2:1}/2')", "\\x000000000000803f"),
            ("'float64:[1]'::dimvec::bytea", "\\x000000000000f03f"),
        ],
    );
    client.batch_execute("CREATE TABLE a (r real[], d float8[], b bytea); INSERT INTO a SELECT v, v, v FROM (VALUES ('[1]'::dimvec)) x (v)")?;
    assert_eq!(rows(&mut client, "SELECT * FROM a"), ["{1}|{1}|\\x0000803f"]);
    let refusal = refused(client.simple_query("SELECT 'float64:[1,1e60]'::dimvec::real[]"), "22003");
    assert!(refusal.names(&["1e+60", "(dimension 1)"]).hint.contains("double precision[]"));
    Ok(())
}

#[test]
fn what_is_no_vector_is_refused_with_its_place() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    for (sqlstate, expression, says) in [
        ("22023", "'{1,NULL}'::real[]::dimvec", "NULL"),
        ("22023", "'{1,NULL}'::float8[]::dimvec", "NULL"),
        ("22023", "'{1,NULL}'::int[]::dimvec", "NULL"),
        ("22023", "'{1,NULL}'::numeric[]::dimvec", "NULL"),
        ("22023", "'{{1,2}}'::real[]::dimvec", "one index"),
        ("22023", "'{{1,2}}'::float8[]::dimvec", "one index"),
        ("22023", "'{{1,2}}'::int[]::dimvec", "one index"),
        ("22023", "'{}'::real[]::dimvec", "at least 1 dimension"),
        ("22023", "'{}'::float8[]::dimvec", "at least 1 dimension"),
        ("22023", "'{}'::int[]::dimvec", "at least 1 dimension"),
        ("22003", "'{1,NaN}'::real[]::dimvec", "NaN is no value of a vector (dimension 1)"),
        ("22003", "'{1,NaN}'::numeric[]::dimvec", "NaN is no value of a vector (dimension 1)"),
        ("22003", "'{Infinity}'::real[]::dimvec", "(dimension 0)"),
        ("22003", "'{1,2,-Infinity}'::float8[]::dimvec", "(dimension 2)"),
        ("22003", "'{1,4e38}'::float8[]::dimvec(float32)", "4e+38 is out of range for float32 (dimension 1)"),
        ("22003", "ARRAY[1e39]::numeric[]::dimvec", "1e+39 is out of range for float32 (dimension 0)"),
        ("22003", "ARRAY[1,-129]::dimvec(int8)", "-129 is out of range for int8 (dimension 1)"),
        ("22003", "'[1,2,-1]'::dimvec::dimvec(uint8)", "-1 is out of range for uint8 (dimension 2)"),
        ("22003", "'float64:[1e39]'::dimvec::dimvec(bfloat16)", "out of range for bfloat16 (dimension 0)"),
        ("22023", "'{1,2}'::real[]::dimvec(3)", "expected 3 dimensions, not 2"),
        ("22023", "'\\x00000000'::bytea::dimvec(2)", "expected 2 dimensions, not 1"),
        ("22P03", "'\\x0000803f00'::bytea::dimvec", "byte 4"),
        ("22P03", "'\\x000000'::bytea::dimvec(float16)", "byte 2"),
        ("22023", "''::bytea::dimvec", "at least 1 dimension"),
        ("22003", "'\\x000000000000807f'::bytea::dimvec", "(dimension 1)"),
        ("22003", "'\\x007e'::bytea::dimvec(float16)", "NaN is no value of a vector (dimension 0)"),
        ("54000", "array_fill(0::real, ARRAY[65536])::dimvec", "at most 65535 dimensions, not 65536"),
        ("54000", "convert_to(repeat('x', 65536), 'UTF8')::dimvec(int8)", "not 65536"),
        ("22023", "deserialize_vector('x', 'F32')", "\"F32\""),
        ("22023", "dimension_value('[1,2]', 2)", "dimension 2 is not one of 0 to 1"),
        ("22023", "dimension_value('[1,2]', -1)", "dimension -1 is not one of 0 to 1"),
        ("22003", "with_dimension('int8:[1,2]', 1, 300)", "300 is out of range for int8 (dimension 1)"),
        ("22003", "with_dimension('[1,2]', 0, 'NaN')", "NaN is no value of a vector (dimension 0)"),
        ("22023", "with_dimension('[1,2]', 2, 0)", "dimension 2 is not one of 0 to 1"),
        ("22P03", "(SELECT count(*) FROM parse_vector_to_dimensions('\\x00'::bytea))", "byte 0"),
    ] {
        println!("{expression}");
        refused(client.simple_query(&format!("SELECT {expression}")), sqlstate).names(&[says]);
    }
    Ok(())
}

#[test]
fn every_element_type_casts_to_every_other() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    for from in ELEMENTS {
        for to in ELEMENTS {
            let cast = format!("'{from}:[0,1,100]'::dimvec::dimvec({to})");
            let query = format!("SELECT {cast} = '{from}:[0,1,100]', element_type({cast}), stored_form({cast})");
            let stored = if to == "int8" { "int8" } else { "uint8" };
            assert_eq!(rows(&mut client, &query), [format!("t|{to}|{stored}")], "{cast}");
        }
    }
    assert_answers(
        &mut client,
        &[
            // To nearest, ties to even.
            ("'[0.5,1.5,2.5,-0.5]'::dimvec::dimvec(int8)", "int8:[0,2,2,0]"),
            ("'[2049,2051]'::dimvec::dimvec(float16)", "float16:[2048,2052]"),
            ("'float64:[1e-300]'::dimvec::dimvec(float16)", "float16:[0]"),
        ],
    );
    Ok(())
}

#[test]
fn the_parts_of_every_vector_are_those_of_its_array() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    super::make_vectors(&mut client)?;
    let differing = "SELECT count(*) FROM (SELECT v, (v::float8[])::text AS numbers FROM t) n WHERE \
        numbers <> (SELECT array_agg(dimension_value(v, d))::text FROM generate_series(0, vector_dims(v) - 1) d) \
        OR numbers <> (SELECT array_agg(dimension_value ORDER BY dimension_index)::text FROM parse_vector_to_dimensions(v)) \
        OR numbers <> (SELECT array_agg(dimension_value ORDER BY dimension_index)::text FROM vector_dimensions(v)) \
        OR v::float8[]::dimvec <> v OR with_dimension(v, 0, dimension_value(v, 0)) <> v \
        OR deserialize_vector(v::bytea, element_type(v)) <> v \
        OR stored_form(deserialize_vector(v::bytea, element_type(v))) <> stored_form(v) \
        OR subvector(v, 1, 1) || subvector(v || v, 2, 2 * vector_dims(v)) <> v || v";
    assert_eq!(value::<i64>(&mut client, differing)?, 0);
    let atoms = "SELECT count(*) FROM t, vector_dimensions(v) d WHERE (d.dimension_atom_id IS NULL) <> (element_type(v) = 'float64')";
    assert_eq!(value::<i64>(&mut client, atoms)?, 0);
    Ok(())
}
