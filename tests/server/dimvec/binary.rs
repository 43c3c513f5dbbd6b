//! Binary form: COPY, parameters and results of clients that speak binary.

use std::error::Error;
use std::io::{Read, Write};

use pg_test::Result;
use postgres::Client;
use postgres::types::private::BytesMut;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::{make_vectors, rows, session, session_beside_pgvector};
use crate::support::oracle::value;
use crate::support::{Database, refused};

/// The binary form of a value of any type, as a driver would make and read it.
#[derive(Debug, PartialEq)]
pub struct Wire(pub Vec<u8>);

impl ToSql for Wire {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Wire {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Wire(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Returns a binary form: dimensions, number of the element type, form, then what follows.
fn wire(dimensions: u16, element: u8, form: u8, rest: &[u8]) -> Wire {
    Wire([&dimensions.to_be_bytes()[..], &[element, form], rest].concat())
}

fn copy_out(client: &mut Client, query: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    client.copy_out(query)?.read_to_end(&mut bytes).expect("it streams");
    Ok(bytes)
}

fn copy_in(client: &mut Client, query: &str, bytes: &[u8]) -> Result<u64, postgres::Error> {
    let mut writer = client.copy_in(query)?;
    // What the server refuses early it says at the end.
    let _ = writer.write_all(bytes);
    writer.finish()
}

/// A file of COPY with one row of one column.
fn one_row(field: &[u8]) -> Vec<u8> {
    let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x01".to_vec();
    bytes.extend((field.len() as u32).to_be_bytes());
    bytes.extend(field);
    bytes.extend([0xFF, 0xFF]);
    bytes
}

#[test]
fn binary_copy_gives_every_bit_back() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_vectors(&mut client)?;
    let out = copy_out(&mut client, "COPY t TO STDOUT (FORMAT binary)")?;
    client.batch_execute("CREATE TABLE back (LIKE t)")?;
    assert_eq!(copy_in(&mut client, "COPY back FROM STDIN (FORMAT binary)", &out)?, 360);
    let same = "SELECT count(*) FROM t JOIN back b USING (n) WHERE serialize_vector(t.v) = serialize_vector(b.v) \
        AND stored_form(t.v) = stored_form(b.v) AND element_type(t.v) = element_type(b.v)";
    assert_eq!(value::<i64>(&mut client, same)?, 360);
    let forms = "SELECT count(DISTINCT stored_form(v)) FROM t WHERE stored_form(v) LIKE 'sparse%'";
    assert!(value::<i64>(&mut client, forms)? >= 3, "no sparse vectors of several types among them");
    Ok(())
}

#[test]
fn the_binary_form_of_float32_is_pgvectors() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    make_vectors(&mut client)?;
    let differing =
        "SELECT count(*) FILTER (WHERE dimvec_send(v::dimvec(float32)) <> vector_send(v::vector)), count(*) FROM t";
    assert_eq!(rows(&mut client, differing), ["0|360"]);
    client.batch_execute("CREATE TABLE ours (n int, v dimvec); CREATE TABLE theirs (n int, v vector)")?;
    let out = copy_out(&mut client, "COPY (SELECT n, v::vector FROM t ORDER BY n) TO STDOUT (FORMAT binary)")?;
    assert_eq!(copy_in(&mut client, "COPY ours FROM STDIN (FORMAT binary)", &out)?, 360);
    let again = copy_out(&mut client, "COPY (SELECT * FROM ours ORDER BY n) TO STDOUT (FORMAT binary)")?;
    assert!(out == again, "the files of COPY differ");
    assert_eq!(copy_in(&mut client, "COPY theirs FROM STDIN (FORMAT binary)", &again)?, 360);
    Ok(())
}

#[test]
fn the_binary_form_is_as_documented() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    for (text, form) in [
        ("[1,-2]", wire(2, 0, 0, &[0x3F, 0x80, 0, 0, 0xC0, 0, 0, 0])),
        ("float16:[1,-2]", wire(2, 1, 0, &[0x3C, 0, 0xC0, 0])),
        ("bfloat16:[1,-2]", wire(2, 2, 0, &[0x3F, 0x80, 0xC0, 0])),
        ("int8:[1,-2]", wire(2, 3, 0, &[1, 0xFE])),
        ("uint8:[1,254]", wire(2, 4, 0, &[1, 0xFE])),
        ("float64:[1]", wire(1, 5, 0, &[0x3F, 0xF0, 0, 0, 0, 0, 0, 0])),
        // Sparse in the row, dense on the wire.
        ("int8:{2:1}/9", wire(9, 3, 0, &[0, 1, 0, 0, 0, 0, 0, 0, 0])),
    ] {
        let sent: Wire = client.query_one("SELECT $1::text::dimvec", &[&text])?.get(0);
        assert_eq!(sent, form, "{text}");
        let read: String = client.query_one("SELECT $1::dimvec::text", &[&form])?.get(0);
        assert_eq!(read, text.replace("{2:1}/9", "[0,1,0,0,0,0,0,0,0]"));
    }
    for (form, text) in [
        (wire(9, 3, 1, &[0, 1, 0, 8, 5, 0xFB]), "int8:[0,5,0,0,0,0,0,0,-5]"),
        (wire(3, 0, 1, &[]), "[0,0,0]"),
        (wire(2, 0, 1, &[0, 1, 0x80, 0, 0, 0]), "[0,0]"),
    ] {
        let read: String = client.query_one("SELECT $1::dimvec::text", &[&form])?.get(0);
        assert_eq!(read, text);
    }
    Ok(())
}

#[test]
fn each_malformed_binary_form_is_refused_with_its_place() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute("CREATE TABLE m (v dimvec)")?;
    let nan = 0x7FC0_0000_u32.to_be_bytes();
    for (sqlstate, form, says) in [
        ("22P03", Wire(vec![]), "too short at byte 0"),
        ("22P03", Wire(vec![0, 1, 0]), "too short at byte 3"),
        ("22P03", wire(1, 6, 0, &[0; 4]), "unknown element type at byte 2"),
        ("22P03", wire(1, 255, 0, &[0; 4]), "unknown element type at byte 2"),
        ("22P03", wire(1, 0, 2, &[0; 4]), "unknown form at byte 3"),
        ("22P03", wire(2, 0, 0, &[0; 4]), "at byte 8"),
        ("22P03", wire(1, 0, 0, &[0; 5]), "at byte 8"),
        ("22P03", wire(65_535, 5, 0, &[0; 8]), "at byte 12"),
        ("22P03", wire(3, 3, 1, &[0, 0]), "at byte 6"),
        ("22P03", wire(1, 3, 1, &[0, 0, 0, 1, 1, 1]), "at byte 10"),
        ("22P03", wire(3, 3, 1, &[0, 1, 0, 1, 1, 1]), "do not ascend at byte 6"),
        ("22P03", wire(3, 3, 1, &[0, 2, 0, 1, 1, 1]), "do not ascend at byte 6"),
        ("22P03", wire(3, 3, 1, &[0, 3, 1]), "beyond the dimensions at byte 4"),
        ("22023", wire(0, 0, 0, &[]), "at least 1 dimension"),
        ("22023", wire(0, 0, 1, &[]), "at least 1 dimension"),
        ("22003", wire(1, 0, 0, &nan), "NaN is no value of a vector (dimension 0)"),
        ("22003", wire(2, 1, 0, &[0, 0, 0x7C, 0]), "(dimension 1)"),
        ("22003", wire(3, 2, 1, &[0, 2, 0xFF, 0x80]), "(dimension 2)"),
        ("22003", wire(1, 5, 0, &f64::NEG_INFINITY.to_be_bytes()), "(dimension 0)"),
    ] {
        println!("{form:?}");
        let copied = copy_in(&mut client, "COPY m FROM STDIN (FORMAT binary)", &one_row(&form.0));
        refused(copied, sqlstate).names(&[says]);
        refused(client.query("SELECT $1::dimvec", &[&form]), sqlstate).names(&[says]);
    }
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM m")?, 0);
    Ok(())
}

#[test]
fn binary_forms_obey_the_columns_modifier() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute("CREATE TABLE m (v dimvec(1, float16))")?;
    let copy = "COPY m FROM STDIN (FORMAT binary)";
    copy_in(&mut client, copy, &one_row(&wire(1, 0, 0, &0.1_f32.to_be_bytes()).0))?;
    client.execute("INSERT INTO m VALUES ($1)", &[&wire(1, 3, 0, &[7])])?;
    assert_eq!(rows(&mut client, "SELECT v FROM m"), ["float16:[0.099975586]", "float16:[7]"]);
    let two = wire(2, 3, 0, &[1, 2]);
    refused(copy_in(&mut client, copy, &one_row(&two.0)), "22023").names(&["expected 1 dimensions, not 2"]);
    refused(client.execute("INSERT INTO m VALUES ($1)", &[&two]), "22023").names(&["expected 1 dimensions, not 2"]);
    let large = wire(1, 0, 0, &65_520_f32.to_be_bytes());
    refused(copy_in(&mut client, copy, &one_row(&large.0)), "22003").names(&["65520 is out of range for float16"]);
    Ok(())
}

#[test]
fn prepared_statements_take_binary_parameters_in_custom_and_generic_plans() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_vectors(&mut client)?;
    client.batch_execute("CREATE INDEX ON t USING hash (v)")?;
    for mode in ["force_custom_plan", "force_generic_plan", "auto"] {
        client.batch_execute(&format!("SET plan_cache_mode = {mode}; SET enable_seqscan = off"))?;
        let find = client.prepare("SELECT n FROM t WHERE v = $1")?;
        let near = "SELECT v <-> $1 FROM t WHERE vector_dims(v) = vector_dims($1) ORDER BY v <-> $1 LIMIT 1";
        let near = client.prepare(near)?;
        for row in client.query("SELECT n, v FROM t WHERE n % 9 < 3", &[])? {
            let (n, v): (i32, Wire) = (row.get(0), row.get(1));
            let found = client.query(&find, &[&v])?;
            assert!(found.iter().any(|row| row.get::<_, i32>(0) == n), "{mode}: {n} is not found");
            let distance: f64 = client.query_one(&near, &[&v])?.get(0);
            assert_eq!(distance, 0.0, "{mode}: {n}");
        }
    }
    Ok(())
}
