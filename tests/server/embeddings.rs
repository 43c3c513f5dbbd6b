//! Embeddings: a vector per source atom and model, each of its dimensions an atom, and what is promised of them.

mod bits;
mod cancelled;
mod changes;
mod dimension_atoms;
mod elsewhere;
mod figures;
mod refusals;
mod roles;
mod rows;
mod together;

use fixtures::noise::Noise;
use pg_test::Result;
use postgres::Client;

use crate::support::Database;

/// The element types.
const ELEMENTS: [&str; 6] = ["float32", "float16", "bfloat16", "int8", "uint8", "float64"];

/// Returns a new database and a session in it.
fn begin() -> Result<(Database, Client)> {
    let db = Database::shared()?;
    let client = db.client()?;
    Ok((db, client))
}

/// Stores atoms that a pin keeps, and returns their ids, ascending.
fn sources(client: &mut Client, count: usize) -> Result<Vec<i64>> {
    let values: Vec<Vec<u8>> = (0..count).map(|number| format!("source {number}").into_bytes()).collect();
    let rows = client.query("SELECT atoms.upsert_atoms($1, 'text')", &[&values])?;
    let mut ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Registers a model and returns its id.
fn register(client: &mut Client, model: &str, dimensions: usize, element: &str) -> Result<i64, postgres::Error> {
    let call = "SELECT atoms.register_embedding_model($1, $2, $3)";
    Ok(client.query_one(call, &[&model, &(dimensions as i32), &element])?.get(0))
}

/// Stores vectors that stand one after the other as elements of the model's type.
fn insert(client: &mut Client, model: &str, sources: &[i64], bytes: &[u8]) -> Result<i64, postgres::Error> {
    let call = "SELECT atoms.insert_embeddings($1, $2, $3::bytea)";
    Ok(client.query_one(call, &[&model, &sources, &bytes])?.get(0))
}

/// Returns the embedding of an atom as elements of the model's type.
fn stored_bytes(client: &mut Client, model: &str, source: i64) -> Result<Vec<u8>, postgres::Error> {
    let call = "SELECT atoms.serialize_vector(atoms.reconstruct_vector($1, $2))";
    Ok(client.query_one(call, &[&model, &source])?.get(0))
}

/// Returns how many bytes an element has.
fn width(element: &str) -> usize {
    match element {
        "float64" => 8,
        "float32" => 4,
        "float16" | "bfloat16" => 2,
        _ => 1,
    }
}

/// Bits that are neither sign nor magnitude: all of them set mean infinity or NaN.
fn exponent_mask(element: &str) -> u64 {
    match element {
        "float64" => 0x7FF0_0000_0000_0000,
        "float32" => 0x7F80_0000,
        "float16" => 0x7C00,
        "bfloat16" => 0x7F80,
        _ => u64::MAX,
    }
}

/// Returns the little-endian bytes of some finite element, any of them.
fn random_element(noise: &mut Noise, element: &str) -> Vec<u8> {
    let (width, mask) = (width(element), exponent_mask(element));
    loop {
        let bits = noise.next_u64() & (u64::MAX >> (64 - 8 * width));
        if bits & mask != mask {
            return bits.to_le_bytes()[..width].to_vec();
        }
    }
}

/// Decodes one little-endian element, by the definition of its type alone.
fn decoded(element: &str, bytes: &[u8]) -> f64 {
    let word = |bytes: &[u8]| u16::from_le_bytes(bytes.try_into().expect("two bytes"));
    match element {
        "float64" => f64::from_le_bytes(bytes.try_into().expect("eight bytes")),
        "float32" => f32::from_le_bytes(bytes.try_into().expect("four bytes")).into(),
        "float16" => half(word(bytes)),
        "bfloat16" => f32::from_bits(u32::from(word(bytes)) << 16).into(),
        "int8" => f64::from(bytes[0] as i8),
        _ => f64::from(bytes[0]),
    }
}

/// IEEE 754 binary16: a sign, five bits of exponent, ten of fraction.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1F), f64::from(bits & 0x3FF));
    match exponent {
        0 => sign * fraction * 2f64.powi(-24),
        _ => sign * (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

/// Returns floats between -1 and 1, a share of them zeros, with ties among the others.
fn random_floats(seed: u64, count: usize) -> Vec<f32> {
    let mut noise = Noise::new(seed, "floats");
    let float = move |_| match noise.next_u64() % 10 {
        0 => 0.0,
        1..=3 => (noise.next_u64() % 9) as f32 / 4.0 - 1.0,
        _ => noise.next_u64() as f32 / u64::MAX as f32 * 2.0 - 1.0,
    };
    (0..count).map(float).collect()
}

/// Returns the little-endian bytes of floats.
fn bytes_of(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|float| float.to_le_bytes()).collect()
}
