//! What goes in comes out, bit for bit, by every way in and for every element type; only -0.0 comes back as 0.0.

use fixtures::noise::Noise;
use pg_test::Result;
use postgres::Client;

use super::{ELEMENTS, begin, decoded, insert, random_element, register, sources, stored_bytes, width};
use crate::support::refused;

/// Ways to fill a vector, so that every stored form occurs.
const FILLINGS: [&str; 6] = ["dense", "sparse", "small whole numbers", "zeros", "negative zeros", "one at each end"];

/// Returns the elements of a vector, little-endian.
fn filled(element: &str, dimensions: usize, filling: &str) -> Vec<u8> {
    let mut noise = Noise::new(dimensions as u64, element);
    let zero = vec![0; width(element)];
    let one_in = |noise: &mut Noise, n: u64| noise.next_u64().is_multiple_of(n);
    let value = |dimension: usize| match filling {
        "dense" => random_element(&mut noise, element),
        "sparse" if one_in(&mut noise, 20) => random_element(&mut noise, element),
        "small whole numbers" => whole(element, noise.next_u64() % 100),
        "negative zeros" if one_in(&mut noise, 2) => negative_zero(element),
        "negative zeros" => random_element(&mut noise, element),
        "one at each end" if dimension == 0 || dimension + 1 == dimensions => random_element(&mut noise, element),
        _ => zero.clone(),
    };
    (0..dimensions).flat_map(value).collect()
}

/// Returns the bytes of a whole number below 100: every type has it.
fn whole(element: &str, number: u64) -> Vec<u8> {
    let half_bits = |number: f32| {
        let bits = number.to_bits();
        // Exponents are biased by 127 and by 15; the fraction of so small a number fits.
        if bits == 0 { 0 } else { ((bits >> 23) - 112) << 10 | (bits >> 13 & 0x3FF) }
    };
    match element {
        "float64" => (number as f64).to_le_bytes().to_vec(),
        "float32" => (number as f32).to_le_bytes().to_vec(),
        "float16" => (half_bits(number as f32) as u16).to_le_bytes().to_vec(),
        "bfloat16" => (number as f32).to_le_bytes()[2..].to_vec(),
        _ => vec![number as u8],
    }
}

fn negative_zero(element: &str) -> Vec<u8> {
    let mut bytes = vec![0; width(element)];
    if element.contains("float") {
        bytes[width(element) - 1] = 0x80;
    }
    bytes
}

/// Returns what must come out: the same, but for the sign of zeros.
fn expected(element: &str, bytes: &[u8]) -> Vec<u8> {
    let negative = negative_zero(element);
    let kept = |element: &[u8]| if element == negative { vec![0; element.len()] } else { element.to_vec() };
    bytes.chunks_exact(width(element)).flat_map(kept).collect()
}

fn numbers(element: &str, bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(width(element)).map(|bytes| decoded(element, bytes)).collect()
}

#[track_caller]
fn assert_stored(client: &mut Client, what: &str, element: &str, sources: &[i64], vectors: &[Vec<u8>]) -> Result<()> {
    for (source, vector) in sources.iter().zip(vectors) {
        let found = stored_bytes(client, "m", *source)?;
        assert!(found == expected(element, vector), "{element}, {what}: atom {source} has other bits");
    }
    let many = "SELECT count(*), bool_and(r.embedding OPERATOR(atoms.=) atoms.reconstruct_vector('m', r.source_atom_id)) \
                FROM atoms.reconstruct_vectors('m', $1) r";
    let row = client.query_one(many, &[&sources])?;
    assert_eq!((row.get(0), row.get(1)), (sources.len() as i64, true), "{element}, {what}");
    Ok(())
}

/// Returns array literals of rows of numbers, flat and two-dimensional; Rust writes as many digits as read back to the same.
fn literals(rows: &[Vec<f64>]) -> [String; 2] {
    let braced = |items: Vec<String>| format!("{{{}}}", items.join(","));
    let row = |row: &Vec<f64>| braced(row.iter().map(f64::to_string).collect());
    [row(&rows.concat()), braced(rows.iter().map(row).collect())]
}

/// Forgets the embeddings, so that each way in stores them itself.
fn forget(client: &mut Client) -> Result<()> {
    Ok(client.batch_execute("DELETE FROM atoms.embedding")?)
}

/// Goes each way that takes whole batches.
fn insert_batches(client: &mut Client, element: &str, sources: &[i64], vectors: &[Vec<u8>]) -> Result<()> {
    insert(client, "m", sources, &vectors.concat())?;
    assert_stored(client, "bytea", element, sources, vectors)?;
    forget(client)?;
    let call = "SELECT atoms.insert_embeddings('m', $1, ARRAY(SELECT atoms.deserialize_vector(v, $3) FROM unnest($2::bytea[]) \
                WITH ORDINALITY u (v, n) ORDER BY n))";
    client.query_one(call, &[&sources, &vectors, &element])?;
    assert_stored(client, "dimvec[]", element, sources, vectors)?;
    forget(client)?;
    let rows: Vec<Vec<f64>> = vectors.iter().map(|vector| numbers(element, vector)).collect();
    insert_arrays(client, element, sources, vectors, "double precision[]", &literals(&rows))?;
    if element == "float64" {
        return Ok(());
    }
    insert_arrays(client, element, sources, vectors, "real[]", &literals(&rows))
}

/// Goes the ways of arrays: flat and two-dimensional.
fn insert_arrays(
    client: &mut Client,
    element: &str,
    sources: &[i64],
    vectors: &[Vec<u8>],
    array: &str,
    literals: &[String],
) -> Result<()> {
    for literal in literals {
        let call = format!("SELECT atoms.insert_embeddings('m', $1, '{literal}'::{array})");
        client.query_one(&call, &[&sources])?;
        assert_stored(client, &format!("{array}: {}", &literal[..2]), element, sources, vectors)?;
        forget(client)?;
    }
    Ok(())
}

/// Goes each way that takes one embedding.
fn insert_one_by_one(client: &mut Client, element: &str, sources: &[i64], vectors: &[Vec<u8>]) -> Result<()> {
    for (source, vector) in sources.iter().zip(vectors) {
        let call = "SELECT atoms.insert_embedding('m', $1, atoms.deserialize_vector($2, $3))";
        client.query_one(call, &[source, vector, &element])?;
    }
    assert_stored(client, "dimvec", element, sources, vectors)?;
    forget(client)?;
    for (source, vector) in sources.iter().zip(vectors) {
        let call = "SELECT atoms.insert_embedding('m', $1, $2::double precision[]::atoms.dimvec)";
        client.query_one(call, &[source, &numbers(element, vector)])?;
    }
    assert_stored(client, "float8[]", element, sources, vectors)?;
    forget(client)?;
    if element == "float64" {
        return Ok(());
    }
    for (source, vector) in sources.iter().zip(vectors) {
        let floats: Vec<f32> = numbers(element, vector).iter().map(|number| *number as f32).collect();
        client.query_one("SELECT atoms.insert_embedding('m', $1, $2::real[]::atoms.dimvec)", &[source, &floats])?;
    }
    assert_stored(client, "real[]", element, sources, vectors)
}

#[test]
fn every_way_in_keeps_the_bits_of_every_element_type() -> Result<()> {
    let (_db, mut client) = begin()?;
    let sources = sources(&mut client, FILLINGS.len())?;
    for element in ELEMENTS {
        for dimensions in [1, 384, 1998] {
            register(&mut client, "m", dimensions, element)?;
            let vectors: Vec<Vec<u8>> = FILLINGS.iter().map(|filling| filled(element, dimensions, filling)).collect();
            insert_batches(&mut client, element, &sources, &vectors)?;
            insert_one_by_one(&mut client, element, &sources, &vectors)?;
            client.batch_execute("SELECT atoms.drop_embedding_model('m')")?;
        }
    }
    Ok(())
}

#[test]
fn vectors_of_many_dimensions_keep_their_bits() -> Result<()> {
    let (_db, mut client) = begin()?;
    let sources = sources(&mut client, FILLINGS.len())?;
    for element in ELEMENTS {
        for dimensions in [1536, 32_768, 65_535] {
            register(&mut client, "m", dimensions, element)?;
            let vectors: Vec<Vec<u8>> = FILLINGS.iter().map(|filling| filled(element, dimensions, filling)).collect();
            insert(&mut client, "m", &sources, &vectors.concat())?;
            assert_stored(&mut client, "bytea", element, &sources, &vectors)?;
            client.batch_execute("SELECT atoms.drop_embedding_model('m')")?;
        }
    }
    Ok(())
}

/// What goes in wider is rounded to the nearest of the model's type, ties to even.
#[test]
fn wider_numbers_are_rounded_to_the_element_type() -> Result<()> {
    let (_db, mut client) = begin()?;
    let source = sources(&mut client, 1)?[0];
    let cases: [(&str, f64, f64); 7] = [
        ("float32", 0.1, 0.1f32 as f64),
        ("float16", 2049.0, 2048.0),
        ("float16", 2051.0, 2052.0),
        ("bfloat16", 257.0, 256.0),
        ("int8", -3.4, -3.0),
        ("uint8", 254.6, 255.0),
        ("float64", 0.1, 0.1),
    ];
    for (element, given, kept) in cases {
        register(&mut client, "m", 1, element)?;
        client.query("SELECT atoms.insert_embedding('m', $1, ARRAY[$2::float8]::atoms.dimvec)", &[&source, &given])?;
        assert_eq!(numbers(element, &stored_bytes(&mut client, "m", source)?), [kept], "{element} of {given}");
        client.batch_execute("SELECT atoms.drop_embedding_model('m')")?;
    }
    Ok(())
}

#[test]
fn a_model_has_at_most_65535_dimensions() -> Result<()> {
    let (_db, mut client) = begin()?;
    refused(register(&mut client, "m", 65_536, "float32"), "54000").names(&["65536"]);
    refused(register(&mut client, "m", 0, "float32"), "22023");
    register(&mut client, "m", 65_535, "float32")?;
    Ok(())
}

#[test]
fn embeddings_that_are_not_there_are_left_out_of_many() -> Result<()> {
    let (_db, mut client) = begin()?;
    let sources = sources(&mut client, 3)?;
    register(&mut client, "m", 1, "uint8")?;
    insert(&mut client, "m", &sources[..2], &[7, 8])?;
    let mut asked = sources.clone();
    asked.extend([sources[0], -1]);
    let rows = client.query("SELECT source_atom_id FROM atoms.reconstruct_vectors('m', $1) ORDER BY 1", &[&asked])?;
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), sources[..2]);
    Ok(())
}
