//! Stored bytes that are no vector are refused as damage, and what lies behind a sound header never harms the server.

use pg_test::Result;
use postgres::Client;

use super::{rows, session};
use crate::support::{Database, refused};

/// Makes a type with the bytes of bytea that PostgreSQL takes for a dimvec as it is, and the other way round.
fn make_raw_type(client: &mut Client) -> Result<()> {
    Ok(client.batch_execute(
        "SET client_min_messages = warning; CREATE TYPE raw; \
         CREATE FUNCTION raw_in(cstring) RETURNS raw LANGUAGE internal IMMUTABLE STRICT AS 'byteain'; \
         CREATE FUNCTION raw_out(raw) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'byteaout'; \
         CREATE TYPE raw (INPUT = raw_in, OUTPUT = raw_out, INTERNALLENGTH = VARIABLE, ALIGNMENT = int4, STORAGE = external); \
         CREATE CAST (raw AS dimvec) WITHOUT FUNCTION; CREATE CAST (dimvec AS raw) WITHOUT FUNCTION; \
         RESET client_min_messages",
    )?)
}

#[test]
fn stored_bytes_are_as_documented() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_raw_type(&mut client)?;
    for (text, bytes) in [
        ("[0.1,2]", "02000010cdcccc3d00000040"),
        ("[1,255]", "0200401001ff"),
        ("[1,-1]", "0200301001ff"),
        ("[1,256]", "02001010003c005c"),
        ("[1,65536]", "02002010803f8047"),
        ("float16:[1,256]", "02001110003c005c"),
        ("bfloat16:[1,65536]", "02002210803f8047"),
        ("int8:[1,255]", "(22003)"),
        ("int8:[1,127]", "02003310017f"),
        ("uint8:[1,255]", "0200441001ff"),
        ("float64:[0.1]", "010055109a9999999999b93f"),
        ("float64:[0.5]", "010015100038"),
        ("{3:1}/9", "09004011020001"),
        ("float16:{}/65535", "ffff4111"),
        // As many bytes either way: dense.
        ("{1:1}/3", "03004010010000"),
    ] {
        let found = rows(&mut client, &format!("SELECT '{text}'::dimvec::raw"));
        assert_eq!(found[0].trim_start_matches("\\x"), bytes, "{text}");
        if !bytes.starts_with('(') {
            let back = rows(&mut client, &format!("SELECT '\\x{bytes}'::raw::dimvec = '{text}'"));
            assert_eq!(back, ["t"], "{text}");
        }
    }
    Ok(())
}

/// Calls that read a vector `v`, one or two each of text, binary form, casts, parts, arithmetic, distances, ranges, order, hash and
/// aggregates.
const CALLS: [&str; 40] = [
    "v::text",
    "dimvec_send(v)",
    "v::dimvec(3)",
    "v::dimvec(float16)",
    "v::real[]",
    "v::float8[]",
    "v::bytea",
    "vector_dims(v)",
    "element_type(v)",
    "stored_form(v)",
    "sparse_text(v)",
    "dimension_value(v, 0)",
    "with_dimension(v, 0, 1)",
    "(SELECT count(*) FROM vector_dimensions(v))",
    "(SELECT count(*) FROM parse_vector_to_dimensions(v))",
    "subvector(v, 1, 1)",
    "v + v",
    "v - v",
    "v * v",
    "v || v",
    "l1_norm(v)",
    "l2_norm(v)",
    "l2_normalize(v)",
    "v <-> v",
    "v <#> v",
    "v <=> v",
    "v <+> v",
    "cosine_similarity(v, v)",
    "v <@ dim_range(2, 0, 1)",
    "dim_range(0, '-Infinity', 'Infinity') @> v",
    "v = v",
    "v < v",
    "dimvec_cmp(v, v)",
    "dimvec_hash(v)",
    "dimvec_hash_extended(v, 1)",
    "sum(v)",
    "avg(v)",
    "count_distinct_values(v)",
    "dimension_moments(v)",
    "fit_vector(v, 3, 'float64')",
];

#[test]
fn damaged_headers_are_xx001_in_every_call() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_raw_type(&mut client)?;
    for (bytes, says) in [
        ("", "too short"),
        ("010000", "too short"),
        ("0100000000000000", "unknown version"),
        ("0100002000000000", "unknown version"),
        ("0100001200000000", "unknown version"),
        ("0100001400000000", "unknown version"),
        ("0100001800000000", "unknown version"),
        ("00000010", "no dimensions"),
        ("0100061000000000", "unknown element type"),
        ("0100f01000000000", "unknown stored type"),
        ("0200001000000000", "the length"),
        ("01000010000000", "the length"),
        ("010000100000000000", "the length"),
        ("010000110000", "the length"),
        ("01004011000001000101", "the length"),
    ] {
        for call in CALLS {
            let query = format!("SELECT {call} FROM (SELECT '\\x{bytes}'::raw::dimvec AS v OFFSET 0) d");
            let said = client.simple_query(&query);
            refused(said, "XX001").names(&["stored bytes are no vector", says]);
        }
    }
    Ok(())
}

/// Reading proves the header only, so each call must bear any numbers: a wrong answer or an error, no other harm.
#[test]
fn damaged_numbers_do_no_harm() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_raw_type(&mut client)?;
    let pid = rows(&mut client, "SELECT pg_backend_pid()");
    for bytes in [
        // NaN, infinities and -0, dense and sparse.
        "030000100000c07f0000807f000080ff",
        "03000010000000800000c07f00000000",
        "03001110007e007c00fc",
        "03005510000000000000f87f000000000000f07f000000000000f0ff",
        "09000011010002000000c07f0000807f",
        // A form that is not the narrowest, and one that its declared type has not.
        "030000100000803f0000004000004040",
        "030043100102ff",
        "03005310000000000000f03f000000000000f03fffffffffffffef7f",
        // Positions beyond the dimensions, twice, descending; zeros that are stored.
        "03004011ffff01",
        "0300401103000400ffff010203",
        "03004011010001000102",
        "03004011020001000102",
        "030040110000010002000000000000",
    ] {
        for call in CALLS {
            let query = format!("SELECT {call} FROM (SELECT '\\x{bytes}'::raw::dimvec AS v OFFSET 0) d");
            if let Err(error) = client.simple_query(&query) {
                let error = error.as_db_error().unwrap_or_else(|| panic!("{call} of {bytes}: {error:?}"));
                let known = ["XX001", "22003", "22023"].contains(&error.code().code());
                assert!(known, "{call} of {bytes}: {error:?}");
            }
        }
    }
    assert_eq!(rows(&mut client, "SELECT pg_backend_pid()"), pid, "the session lives");
    Ok(())
}
