//! Text form and type modifiers.

use std::io::Write;

use pg_test::Result;

use super::{assert_answers, rows, session};
use crate::support::oracle::value;
use crate::support::{Database, refused};

#[test]
fn each_element_type_is_written_as_it_is_read() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    assert_answers(
        &mut client,
        &[
            ("'[1,2.5,-3]'::dimvec", "[1,2.5,-3]"),
            ("' [ 1e0 ,\t.5,\n+3. ] '::dimvec", "[1,0.5,3]"),
            ("'float32:[1]'::dimvec", "[1]"),
            ("'float16:[1,0.1]'::dimvec", "float16:[1,0.099975586]"),
            ("'bfloat16:[1,0.1]'::dimvec", "bfloat16:[1,0.100097656]"),
            ("'int8:[-128,127,0]'::dimvec", "int8:[-128,127,0]"),
            ("'uint8:[0,255]'::dimvec", "uint8:[0,255]"),
            ("'float64:[0.1,1e-300,1e15]'::dimvec", "float64:[0.1,1e-300,1e+15]"),
            ("'{1:0.5,3:2}/5'::dimvec", "[0.5,0,2,0,0]"),
            ("'int8:{2:7}/3'::dimvec", "int8:[0,7,0]"),
            ("sparse_text('int8:[0,7,0]')", "int8:{2:7}/3"),
            ("'{}/2'::dimvec", "[0,0]"),
            ("'[-0,0]'::dimvec", "[0,0]"),
            ("'[3.4028235e38,1e-45]'::dimvec", "[3.4028235e+38,1e-45]"),
            ("element_type('bfloat16:[1]')", "bfloat16"),
            ("vector_dims('{}/65535'::dimvec)", "65535"),
            ("stored_form('[1,2,3]')", "uint8"),
            ("stored_form('[0.1,2,3]')", "float32"),
            ("stored_form('float64:{9:-1}/99')", "sparse int8"),
        ],
    );
    Ok(())
}

/// SQLSTATE, the text form, and what the message says: what is wrong, and at which character (from 1) or dimension (from 0).
const MALFORMED: [(&str, &str, &str); 47] = [
    ("22P02", "", "character 1"),
    ("22P02", "   ", "character 4"),
    ("22P02", "1,2", "begins with [ or { or the name of an element type at character 1"),
    ("22P02", "[", "a number is expected at character 2"),
    ("22P02", "[]", "a number is expected at character 2"),
    ("22P02", "[ ", "a number is expected at character 3"),
    ("22P02", "[,]", "a number is expected at character 2"),
    ("22P02", "[1,]", "a number is expected at character 4"),
    ("22P02", "[1,,2]", "a number is expected at character 4"),
    ("22P02", "[1 2]", "a comma or ] is expected at character 4"),
    ("22P02", "[1,2", "a comma or ] is expected at character 5"),
    ("22P02", "[1,2}", "a comma or ] is expected at character 5"),
    ("22P02", "[1,2]]", "nothing more is expected at character 6"),
    ("22P02", "[1]x", "nothing more is expected at character 4"),
    ("22P02", "[hello]", "a number is expected at character 2"),
    ("22P02", "[1a]", "a number is expected at character 2"),
    ("22P02", "[0x10]", "a number is expected at character 2"),
    ("22P02", "[1_000]", "a number is expected at character 2"),
    ("22P02", "[--1]", "a number is expected at character 2"),
    ("22P02", "[1e]", "a number is expected at character 2"),
    ("22P02", "[ä,x]", "a number is expected at character 2"),
    ("22P02", "[1,ä]", "a number is expected at character 4"),
    ("22P02", "float17:[1]", "no element type has this name at character 1"),
    ("22P02", "  float:[1]", "no element type has this name at character 3"),
    ("22P02", "float16[1]", "a colon is expected at character 8"),
    ("22P02", "float16:", "an opening bracket is expected at character 9"),
    ("22P02", "float16:float16:[1]", "an opening bracket is expected at character 9"),
    ("22P02", "int8:[1.5]", "a whole number is expected at character 7"),
    ("22P02", "uint8:[1,1e-9]", "a whole number is expected at character 10"),
    ("22P02", "{1:2}", "a slash is expected at character 6"),
    ("22P02", "{1:2}/", "the number of dimensions is expected at character 7"),
    ("22P02", "{1}/2", "a colon is expected at character 3"),
    ("22P02", "{x:1}/2", "a position is expected at character 2"),
    ("22P02", "{1:2,1:3}/2", "the position is there twice at character 6"),
    ("22P02", "{0:1}/2", "positions count from 1 at character 2"),
    ("22P02", "{-1:1}/2", "positions count from 1 at character 2"),
    ("22P02", "{3:1}/2", "the position is beyond the dimensions at character 2"),
    ("22P02", "{1:2]/2", "a comma or } is expected at character 5"),
    ("22023", "{}/0", "at least 1 dimension"),
    ("54000", "{}/65536", "at most 65535 dimensions, not 65536"),
    ("22003", "[1,NaN]", "NaN is no value of a vector (dimension 1)"),
    ("22003", "[1,2,-Infinity]", "(dimension 2)"),
    ("22003", "[0,4e38]", "4e+38 is out of range for float32 (dimension 1)"),
    ("22003", "[1e-46]", "1e-46 is out of range for float32 (dimension 0)"),
    ("22003", "float16:[1,65520]", "65520 is out of range for float16 (dimension 1)"),
    ("22003", "int8:{2:128}/3", "128 is out of range for int8 (dimension 1)"),
    ("22003", "float64:[1e309]", "out of range for float64 (dimension 0)"),
];

#[test]
fn each_malformed_text_is_refused_with_its_place() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    for (sqlstate, text, says) in MALFORMED {
        println!("{text:?}");
        refused(client.query("SELECT $1::text::cstring::text::dimvec::text", &[&text]), sqlstate).names(&[says]);
    }
    let many = format!("[{}1]", "1,".repeat(65_535));
    refused(client.query("SELECT $1::text::dimvec::text", &[&many]), "54000").names(&["65536"]);
    Ok(())
}

#[test]
fn type_modifiers_are_read_written_and_refused() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute(
        "CREATE TABLE m (a dimvec, b dimvec(3), c dimvec(3, float16), d dimvec(int8), e dimvec(Float64, 65535), f dimvec(2)[])",
    )?;
    let columns = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'm'::regclass AND attnum > 0 ORDER BY attnum";
    let expected = ["dimvec", "dimvec(3)", "dimvec(3,float16)", "dimvec(int8)", "dimvec(65535,float64)", "dimvec(2)[]"];
    assert_eq!(rows(&mut client, columns), expected);
    for (sqlstate, modifier, says) in [
        ("22023", "0", "at least 1"),
        ("22023", "-1", "at least 1"),
        ("54000", "65536", "65535"),
        ("22023", "3, 2", "invalid type modifier"),
        ("22023", "int8, int8", "invalid type modifier"),
        ("22023", "3, int8, 3", "invalid type modifier"),
        ("22023", "float17", "\"float17\""),
        ("22023", "''", "\"\""),
        ("22023", "1.5", "\"1.5\""),
        ("54000", "99999999999999999999", "65535"),
    ] {
        println!("dimvec({modifier})");
        let refusal = refused(client.batch_execute(&format!("CREATE TABLE no (v dimvec({modifier}))")), sqlstate);
        refusal.names(&[says]);
    }
    Ok(())
}

#[test]
fn columns_round_to_their_element_type_and_refuse_other_dimensions() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute("CREATE TABLE m (h dimvec(2, float16), i dimvec(int8), d dimvec(2))")?;
    client.batch_execute("INSERT INTO m VALUES ('[0.1,1e-9]', '[2.5,-3.5,4]', 'float64:[0.1,1]')")?;
    let all = "SELECT * FROM m";
    assert_eq!(rows(&mut client, all), ["float16:[0.099975586,0]|int8:[2,-4,4]|float64:[0.1,1]"]);
    for (sqlstate, set, says) in [
        ("22023", "h = '[1,2,3]'", "expected 2 dimensions, not 3"),
        ("22023", "d = '[1]'::dimvec", "expected 2 dimensions, not 1"),
        ("22003", "h = '[0,65520]'", "65520 is out of range for float16 (dimension 1)"),
        ("22003", "i = '[0,0,128]'", "128 is out of range for int8 (dimension 2)"),
        ("22003", "i = 'uint8:[200]'", "200 is out of range for int8 (dimension 0)"),
    ] {
        println!("{set}");
        refused(client.batch_execute(&format!("UPDATE m SET {set}")), sqlstate).names(&[says]);
    }
    client.batch_execute("ALTER TABLE m ALTER d TYPE dimvec(2, bfloat16)")?;
    assert_eq!(rows(&mut client, "SELECT d FROM m"), ["bfloat16:[0.100097656,1]"]);
    refused(client.batch_execute("ALTER TABLE m ALTER i TYPE dimvec(2)"), "22023").names(&["3"]);
    client.batch_execute("CREATE DOMAIN unit AS dimvec(2) CHECK (abs(l2_norm(VALUE) - 1) < 1e-6)")?;
    assert_answers(
        &mut client,
        &[("'[0.6,0.8]'::unit", "[0.6,0.8]"), ("'[1]'::unit", "(22023)"), ("'[1,1]'::unit", "(23514)")],
    );
    assert_answers(&mut client, &[("'{\"[1.5,2]\"}'::dimvec(2,float16)[]", "{\"float16:[1.5,2]\"}")]);
    Ok(())
}

/// COPY tells the input function the modifier.  A literal or a parameter is read without it, as float32, and then cast.
#[test]
fn copy_reads_numbers_in_the_columns_element_type() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute("CREATE TABLE m (d dimvec(float64), i dimvec(int8))")?;
    let mut writer = client.copy_in("COPY m FROM STDIN")?;
    writer.write_all(b"[0.1]\t[1,2]\n{2:1e-300}/2\tuint8:[3]\n").expect("it streams");
    assert_eq!(writer.finish()?, 2);
    assert_eq!(rows(&mut client, "SELECT * FROM m"), ["float64:[0.1]|int8:[1,2]", "float64:[0,1e-300]|int8:[3]"]);
    client.batch_execute("TRUNCATE m; INSERT INTO m VALUES ('[0.1]', '[1.5]'), ('float64:[0.1]', 'int8:[2]')")?;
    let cast = ["float64:[0.10000000149011612]|int8:[2]", "float64:[0.1]|int8:[2]"];
    assert_eq!(rows(&mut client, "SELECT * FROM m"), cast);
    let mut writer = client.copy_in("COPY m (i) FROM STDIN")?;
    writer.write_all(b"[1.5]\n").expect("it streams");
    refused(writer.finish(), "22P02").names(&["a whole number is expected at character 2"]);
    Ok(())
}

#[test]
fn text_of_every_vector_reads_back_to_the_same_bytes() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    super::make_vectors(&mut client)?;
    let differing = "SELECT count(*) FROM t WHERE v::text::dimvec <> v OR stored_form(v::text::dimvec) <> stored_form(v) \
        OR serialize_vector(sparse_text(v)::dimvec) <> serialize_vector(v) OR element_type(sparse_text(v)::dimvec) <> element_type(v)";
    assert_eq!(value::<i64>(&mut client, differing)?, 0);
    assert_eq!(value::<i64>(&mut client, "SELECT count(DISTINCT element_type(v)) FROM t")?, 6);
    Ok(())
}
