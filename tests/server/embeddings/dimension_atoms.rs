//! A dimension's value is an atom of its own: its id says the value, and a join with `atom_value` gives it.

use fixtures::noise::Noise;
use pg_test::Result;
use postgres::Client;

use super::{ELEMENTS, begin, bytes_of, decoded, insert, random_element, register, sources, width};
use crate::support::oracle::value;
use crate::support::refused;

/// The formula of the documentation.
fn id_of(bytes: &[u8]) -> i64 {
    let bits = bytes.iter().rev().fold(0, |bits, byte| bits << 8 | i64::from(*byte));
    -(1 + bytes.len() as i64 * (1 << 32) + bits)
}

/// Returns elements of a vector: zeros, the extremes of the type, and whatever comes.
fn elements(element: &str, count: usize) -> Vec<Vec<u8>> {
    let mut noise = Noise::new(3, element);
    let mut elements = extremes(element);
    elements.resize_with(count, || random_element(&mut noise, element));
    let negative_zero = |bytes: &[u8]| element.contains("float") && decoded(element, bytes) == 0.0;
    for bytes in &mut elements {
        if negative_zero(bytes) {
            bytes.fill(0);
        }
    }
    elements
}

/// Zero, the smallest and the largest magnitudes, and one.
fn extremes(element: &str) -> Vec<Vec<u8>> {
    let bits: &[u64] = match element {
        "float64" => &[0, 1, 1 << 63 | 1, 0x7FEF_FFFF_FFFF_FFFF, 0xFFEF_FFFF_FFFF_FFFF, 0x3FF0_0000_0000_0000],
        "float32" => &[0, 1, 0x8000_0001, 0x7F7F_FFFF, 0xFF7F_FFFF, 0x3F80_0000],
        "float16" => &[0, 1, 0x8001, 0x7BFF, 0xFBFF, 0x3C00],
        "bfloat16" => &[0, 1, 0x8001, 0x7F7F, 0xFF7F, 0x3F80],
        _ => &[0, 1, 0x7F, 0x80, 0xFF],
    };
    bits.iter().map(|bits| bits.to_le_bytes()[..width(element)].to_vec()).collect()
}

#[test]
fn a_join_with_atom_value_gives_the_same_numbers() -> Result<()> {
    let (_db, mut client) = begin()?;
    let source = sources(&mut client, 1)?[0];
    for element in ELEMENTS.into_iter().filter(|element| width(element) <= 4) {
        let elements = elements(element, 500);
        register(&mut client, element, 500, element)?;
        insert(&mut client, element, &[source], &elements.concat())?;
        let query = "SELECT dimension_index, dimension_atom_id, dimension_value, atoms.atom_value(dimension_atom_id), \
                            dimension_atom_id = atoms.upsert_dimension_atom(dimension_value, $1) \
                     FROM atoms.atom_embedding WHERE model_id = atoms.embedding_model_id($1) ORDER BY dimension_index";
        let rows = client.query(query, &[&element])?;
        assert_eq!(rows.len(), 500);
        for (row, (index, bytes)) in rows.iter().zip((0i32..).zip(&elements)) {
            let found: (i32, i64, f64, &[u8], bool) = (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4));
            assert_eq!(found, (index, id_of(bytes), decoded(element, bytes), bytes.as_slice(), true), "{element}");
        }
    }
    Ok(())
}

#[test]
fn dimensions_of_float64_are_no_atoms_but_have_their_value() -> Result<()> {
    let (_db, mut client) = begin()?;
    let source = sources(&mut client, 1)?[0];
    let elements = elements("float64", 100);
    register(&mut client, "wide", 100, "float64")?;
    insert(&mut client, "wide", &[source], &elements.concat())?;
    let query = "SELECT dimension_atom_id, dimension_value FROM atoms.atom_embedding ORDER BY dimension_index";
    for (row, bytes) in client.query(query, &[])?.iter().zip(&elements) {
        assert_eq!((row.get(0), row.get(1)), (None::<i64>, decoded("float64", bytes)));
    }
    refused(client.simple_query("SELECT atoms.upsert_dimension_atom(0.5, 'float64')").map(drop), "22023");
    Ok(())
}

/// Compares ids and values in one statement for all of these elements.
fn assert_inverse(client: &mut Client, element: &str, elements: &[Vec<u8>]) -> Result<()> {
    let ids: Vec<i64> = elements.iter().map(|bytes| id_of(bytes)).collect();
    let values: Vec<f64> = elements.iter().map(|bytes| decoded(element, bytes)).collect();
    let query = "SELECT atoms.dimension_atom_value(u.id, $3), atoms.upsert_dimension_atom(u.value, $3) \
                 FROM unnest($1::bigint[], $2::float8[]) WITH ORDINALITY u (id, value, n) ORDER BY n";
    for (row, (id, value)) in client.query(query, &[&ids, &values, &element])?.iter().zip(ids.iter().zip(&values)) {
        assert_eq!((row.get::<_, f64>(0).to_bits(), row.get(1)), (value.to_bits(), *id), "{element}");
    }
    Ok(())
}

#[test]
fn the_id_of_a_dimension_atom_and_its_value_are_inverse() -> Result<()> {
    let (_db, mut client) = begin()?;
    for element in ELEMENTS.into_iter().filter(|element| width(element) <= 4) {
        assert_inverse(&mut client, element, &elements(element, 5000))?;
    }
    let all: Vec<Vec<u8>> = (0..=u16::MAX)
        .filter(|bits| bits & 0x7C00 != 0x7C00 && *bits != 0x8000)
        .map(|bits| bits.to_le_bytes().to_vec())
        .collect();
    assert_inverse(&mut client, "float16", &all)
}

#[test]
fn the_id_of_a_real_needs_no_element_type() -> Result<()> {
    let (_db, mut client) = begin()?;
    for float in [0.0f32, -0.0, 0.1, -1.5, f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::from_bits(1)] {
        let id: i64 = client.query_one("SELECT atoms.upsert_dimension_atom($1::real)", &[&float])?.get(0);
        assert_eq!(id, id_of(&bytes_of(&[float + 0.0])), "{float}");
        let back: f64 = client.query_one("SELECT atoms.dimension_atom_value($1)", &[&id])?.get(0);
        assert_eq!(back, f64::from(float));
    }
    Ok(())
}

#[test]
fn a_dimension_atom_takes_no_row_and_has_the_hash_of_its_bytes() -> Result<()> {
    let (_db, mut client) = begin()?;
    let hashes = "SELECT atoms.atom_hash(atoms.upsert_dimension_atom(0.5)) OPERATOR(atoms.=) atoms.hash_bytes('\\x0000003f'::bytea)";
    assert!(value::<bool>(&mut client, hashes)?);
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM atoms.atom")?, 0);
    Ok(())
}

#[test]
fn what_is_no_value_of_the_type_is_refused() -> Result<()> {
    let (_db, mut client) = begin()?;
    let infinite = [id_of(&f32::INFINITY.to_le_bytes()), id_of(&f32::NAN.to_le_bytes())];
    for id in [0, 1, i64::MAX, i64::MIN, id_of(&[1, 2]), id_of(&[1, 2, 3]), infinite[0], infinite[1]] {
        refused(client.query("SELECT atoms.dimension_atom_value($1)", &[&id]), "22023").names(&[&id.to_string()]);
    }
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused(client.query("SELECT atoms.upsert_dimension_atom($1, 'float32')", &[&value]), "22003");
        refused(client.query("SELECT atoms.upsert_dimension_atom($1::float8::real)", &[&value]), "22003");
    }
    for (element, value) in [("float16", 65_520.0), ("int8", 128.0), ("uint8", -1.0), ("float32", 3.5e38)] {
        refused(client.query("SELECT atoms.upsert_dimension_atom($1, $2)", &[&value, &element]), "22003");
    }
    Ok(())
}
