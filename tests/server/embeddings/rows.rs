//! `atom_embedding`: a row per dimension that statements of one row per dimension read and write.

use pg_test::Result;
use postgres::{Client, SimpleQueryMessage};

use super::{ELEMENTS, begin, bytes_of, insert, random_floats, register, sources, stored_bytes};
use crate::support::oracle::value;
use crate::support::read_calls::answer;
use crate::support::{Database, refused};

/// A model `m` of four float32, its id 1, and an embedding of the first source, id 1: 0.5, 0, -2, 0.
fn with_embedding() -> Result<(Database, Client)> {
    let (db, mut client) = begin()?;
    client.batch_execute("SET search_path = atoms, public")?;
    let ids = sources(&mut client, 3)?;
    let model = register(&mut client, "m", 4, "float32")?;
    assert_eq!((ids, model), (vec![1, 2, 3], 1));
    insert(&mut client, "m", &[1], &bytes_of(&[0.5, 0.0, -2.0, 0.0]))?;
    Ok((db, client))
}

#[track_caller]
fn assert_is(client: &mut Client, source: i64, floats: &[f32]) -> Result<()> {
    assert_eq!(stored_bytes(client, "m", source)?, bytes_of(floats));
    Ok(())
}

/// Returns the rows of a statement that writes, as text.
fn returned(client: &mut Client, statement: &str) -> Result<Vec<String>> {
    let messages = client.simple_query(statement)?;
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|column| row.get(column).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
        }
        _ => None,
    };
    Ok(messages.iter().filter_map(row).collect())
}

#[test]
fn one_dimension_at_a_time_builds_the_same_vector() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 2)?;
    let model = register(&mut client, "m", 384, "float32")?;
    let bytes = bytes_of(&random_floats(5, 384));
    insert(&mut client, "m", &ids[..1], &bytes)?;
    let statement = "INSERT INTO atoms.atom_embedding (source_atom_id, dimension_index, dimension_atom_id, model_id, spatial_key) \
        SELECT $1, d.dimension_index, atoms.upsert_dimension_atom(d.dimension_value::real), $2, \
               atoms.dim_point(d.dimension_value, d.dimension_index, $2) \
        FROM atoms.parse_vector_to_dimensions($3::bytea) d";
    assert_eq!(client.execute(statement, &[&ids[1], &model, &bytes])?, 384);
    assert_eq!(stored_bytes(&mut client, "m", ids[1])?, stored_bytes(&mut client, "m", ids[0])?);
    assert_eq!(stored_bytes(&mut client, "m", ids[1])?, bytes);
    Ok(())
}

#[test]
fn the_dimensions_of_an_embedding_are_read_in_order() -> Result<()> {
    let (_db, mut client) = with_embedding()?;
    let statement = "SELECT dimension_index, dimension_value, dimension_atom_id = upsert_dimension_atom(dimension_value::real), spatial_key::text \
        FROM atoms.atom_embedding ae WHERE source_atom_id = 1 AND model_id = 1 ORDER BY dimension_index";
    let expected = ["0|0.5|t|(0.5,0,1)", "1|0|t|(0,1,1)", "2|-2|t|(-2,2,1)", "3|0|t|(0,3,1)"];
    assert_eq!(returned(&mut client, statement)?, expected);
    let joined = "SELECT string_agg(a.atom_value, '' ORDER BY ae.dimension_index) FROM atoms.atom_embedding ae, \
        LATERAL (SELECT atoms.atom_value(ae.dimension_atom_id)) a (atom_value) WHERE ae.source_atom_id = 1 AND ae.model_id = 1";
    assert_eq!(value::<Vec<u8>>(&mut client, joined)?, bytes_of(&[0.5, 0.0, -2.0, 0.0]));
    Ok(())
}

#[test]
fn ids_of_rows_are_distinct_and_as_documented() -> Result<()> {
    let (_db, mut client) = with_embedding()?;
    insert(&mut client, "m", &[2, 3], &bytes_of(&[0.0; 8]))?;
    register(&mut client, "other", 65_535, "uint8")?;
    insert(&mut client, "other", &[1], &[0; 65_535])?;
    let ids = "SELECT count(*), count(DISTINCT atom_embedding_id), \
        bool_and(atom_embedding_id = (model_id * 9223372036854775808::numeric + source_atom_id) * 65536 + dimension_index) FROM atoms.atom_embedding";
    assert_eq!(answer(&mut client, ids)?, ["65547|65547|t"]);
    Ok(())
}

#[test]
fn sources_are_found_by_the_value_of_one_dimension() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 300)?;
    register(&mut client, "m", 50, "float32")?;
    let floats = random_floats(8, 300 * 50);
    insert(&mut client, "m", &ids, &bytes_of(&floats))?;
    let statement = "SELECT DISTINCT source_atom_id FROM atoms.atom_embedding WHERE dimension_index = 42 AND dimension_value BETWEEN -0.25 AND 0.5 \
                     ORDER BY 1";
    let found: Vec<i64> = client.query(statement, &[])?.iter().map(|row| row.get(0)).collect();
    let vectors = ids.iter().zip(floats.chunks_exact(50));
    let expected: Vec<i64> =
        vectors.filter(|(_, vector)| (-0.25..=0.5).contains(&vector[42])).map(|(id, _)| *id).collect();
    assert!(expected.len() > 10 && expected.len() < 290);
    assert_eq!(found, expected);
    Ok(())
}

#[test]
fn every_dimension_shows_in_every_stored_form() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 3)?;
    let mut forms = std::collections::BTreeSet::new();
    for element in ELEMENTS {
        register(&mut client, element, 100, element)?;
        let vectors = "SELECT atoms.insert_embeddings($1, $2, ARRAY[ \
            (SELECT array_agg(n) FROM generate_series(1, 100) n)::real[], array_fill(0, ARRAY[100])::real[], \
            array_fill(0, ARRAY[98])::real[] || ARRAY[7, 1]::real[]])";
        client.query(vectors, &[&element, &ids])?;
        let counts = "SELECT count(*), sum(dimension_value)::bigint, count(DISTINCT dimension_index) FROM atoms.atom_embedding \
                      WHERE model_id = atoms.embedding_model_id($1) GROUP BY source_atom_id ORDER BY source_atom_id";
        let counts = client.query(counts, &[&element])?;
        let counts: Vec<(i64, i64, i64)> = counts.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        assert_eq!(counts, [(100, 5050, 100), (100, 0, 100), (100, 8, 100)], "{element}");
        forms.extend(answer(&mut client, "SELECT DISTINCT atoms.stored_form(value) FROM atoms.embedding")?);
    }
    assert!(forms.contains("uint8") && forms.contains("sparse uint8"), "{forms:?}");
    Ok(())
}

#[test]
fn an_insert_sets_a_dimension_that_is_zero_and_nothing_else() -> Result<()> {
    let (_db, mut client) = with_embedding()?;
    let insert = "INSERT INTO atom_embedding (source_atom_id, model_id, dimension_index, ";
    let all =
        "RETURNING source_atom_id, dimension_index, dimension_value, spatial_key, model_id, atom_embedding_id % 65536";
    let rows = returned(&mut client, &format!("{insert} dimension_value) VALUES (1, 1, 1, 0.1) {all}"))?;
    assert_eq!(rows, ["1|1|0.10000000149011612|(0.10000000149011612,1,1)|1|1"], "rounded to float32");
    let atom = format!("{insert} dimension_atom_id) VALUES (1, 1, 3, upsert_dimension_atom(8)) {all}");
    assert_eq!(returned(&mut client, &atom)?, ["1|3|8|(8,3,1)|1|3"]);
    assert_is(&mut client, 1, &[0.5, 0.1, -2.0, 8.0])?;
    let again = client.simple_query(&format!("{insert} dimension_value) VALUES (1, 1, 3, 9)")).map(drop);
    let again = refused(again, "23505").names(&["dimension 3", "atom 1", "\"m\""]);
    assert!(again.hint.contains("UPDATE"), "{again:?}");
    client
        .batch_execute(&format!("{insert} spatial_key) VALUES (2, 1, 2, dim_point(-1, 2, 1)), (2, 1, 0, '(3,0,1)')"))?;
    assert_is(&mut client, 2, &[3.0, 0.0, -1.0, 0.0])?;
    // A zero makes the embedding, and is not in the way.
    client.batch_execute(&format!("{insert} dimension_value) VALUES (3, 1, 2, 0), (3, 1, 2, 0), (3, 1, 2, 6)"))?;
    assert_is(&mut client, 3, &[0.0, 0.0, 6.0, 0.0])
}

#[test]
fn an_update_takes_the_value_the_atom_or_the_point() -> Result<()> {
    let (_db, mut client) = with_embedding()?;
    let place = "WHERE source_atom_id = 1 AND model_id = 1 AND dimension_index = 2 RETURNING dimension_value, dimension_atom_id = upsert_dimension_atom(dimension_value::real), spatial_key";
    let sets = [
        ("dimension_value = 0.1", "0.10000000149011612"),
        ("dimension_atom_id = upsert_dimension_atom(7)", "7"),
        ("spatial_key = '(-6,2,1)'", "-6"),
        ("dimension_value = 4, dimension_atom_id = upsert_dimension_atom(4), spatial_key = dim_point(4, 2, 1)", "4"),
        ("dimension_value = dimension_value * 2", "8"),
        ("dimension_value = 0", "0"),
    ];
    for (set, kept) in sets {
        let rows = returned(&mut client, &format!("UPDATE atom_embedding SET {set} {place}"))?;
        assert_eq!(rows, [format!("{kept}|t|({kept},2,1)")], "{set}");
        assert_is(&mut client, 1, &[0.5, 0.0, kept.parse().expect("a number"), 0.0])?;
    }
    let many =
        "UPDATE atom_embedding SET dimension_value = dimension_index + 1 WHERE source_atom_id = 1 AND model_id = 1";
    assert_eq!(client.execute(many, &[])?, 4);
    assert_is(&mut client, 1, &[1.0, 2.0, 3.0, 4.0])
}

#[test]
fn an_update_that_disagrees_or_moves_is_refused() -> Result<()> {
    let (_db, mut client) = with_embedding()?;
    let place = "WHERE source_atom_id = 1 AND model_id = 1 AND dimension_index = 2";
    let refusals = [
        ("22023", "dimension_value = 1, spatial_key = dim_point(3, 2, 1)"),
        ("22023", "dimension_value = 1, dimension_atom_id = upsert_dimension_atom(3)"),
        ("22023", "dimension_atom_id = upsert_dimension_atom(1), spatial_key = dim_point(3, 2, 1)"),
        ("22023", "spatial_key = dim_point(1, 3, 1)"),
        ("22023", "spatial_key = dim_point(1, 2, 2)"),
        ("22023", "dimension_atom_id = upsert_dimension_atom(1, 'float16')"),
        ("22003", "dimension_value = 'NaN'"),
        ("22003", "dimension_value = 'infinity'"),
        ("22003", "dimension_value = 1e39"),
        ("23502", "dimension_value = NULL, dimension_atom_id = NULL, spatial_key = NULL"),
        ("0A000", "dimension_index = 3"),
        ("0A000", "source_atom_id = 2"),
    ];
    for (sqlstate, set) in refusals {
        println!("{set}");
        refused(client.simple_query(&format!("UPDATE atom_embedding SET {set} {place}")).map(drop), sqlstate);
        assert_is(&mut client, 1, &[0.5, 0.0, -2.0, 0.0])?;
    }
    register(&mut client, "other", 4, "float32")?;
    refused(client.simple_query(&format!("UPDATE atom_embedding SET model_id = 2 {place}")).map(drop), "0A000");
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM dimension_change")?, 0);
    Ok(())
}

#[test]
fn an_insert_that_names_nothing_is_refused_and_leaves_nothing() -> Result<()> {
    let (_db, mut client) = with_embedding()?;
    let refusals = [
        ("42704", "(source_atom_id, model_id, dimension_index, dimension_value) VALUES (2, 7, 0, 1)"),
        ("42704", "(source_atom_id, model_id, dimension_index, dimension_value) VALUES (99, 1, 0, 1)"),
        ("22023", "(source_atom_id, model_id, dimension_index, dimension_value) VALUES (2, 1, 4, 1)"),
        ("22023", "(source_atom_id, model_id, dimension_index, dimension_value) VALUES (2, 1, -1, 1)"),
        (
            "22023",
            "(source_atom_id, model_id, dimension_index, dimension_value, spatial_key) VALUES (2, 1, 0, 1, '(1,1,1)')",
        ),
        ("22003", "(source_atom_id, model_id, dimension_index, dimension_value) VALUES (2, 1, 0, 'NaN')"),
        ("23502", "(source_atom_id, model_id, dimension_index) VALUES (2, 1, 0)"),
        ("23502", "(source_atom_id, model_id, dimension_value) VALUES (2, 1, 0)"),
        ("23502", "(model_id, dimension_index, dimension_value) VALUES (1, 0, 1)"),
        ("42704", "(source_atom_id, dimension_index, dimension_value) VALUES (2, 0, 1)"),
    ];
    for (sqlstate, row) in refusals {
        println!("{row}");
        refused(client.simple_query(&format!("INSERT INTO atom_embedding {row}")).map(drop), sqlstate);
        assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM embedding")?, 1);
    }
    Ok(())
}

#[test]
fn a_delete_sets_dimensions_to_zero_and_keeps_the_embedding() -> Result<()> {
    let (_db, mut client) = with_embedding()?;
    let one = "DELETE FROM atom_embedding WHERE source_atom_id = 1 AND model_id = 1 AND dimension_index = 0 RETURNING dimension_index, dimension_value";
    assert_eq!(returned(&mut client, one)?, ["0|0.5"], "the row that was there");
    assert_is(&mut client, 1, &[0.0, 0.0, -2.0, 0.0])?;
    assert_eq!(client.execute("DELETE FROM atom_embedding", &[])?, 4);
    assert_is(&mut client, 1, &[0.0; 4])?;
    let provenance = "SELECT dimension_index, old_value, new_value, changed_by_model FROM dimension_change";
    assert_eq!(answer(&mut client, provenance)?, ["0|0.5|0|m", "2|-2|0|m"]);
    Ok(())
}

#[test]
fn predicates_on_source_and_model_reach_the_key_of_the_partition() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 2000)?;
    let other = register(&mut client, "other", 8, "float32")?;
    let model = register(&mut client, "m", 8, "float32")?;
    for name in ["m", "other"] {
        insert(&mut client, name, &ids, &bytes_of(&random_floats(1, 8 * ids.len())))?;
    }
    client.batch_execute("ANALYZE atoms.embedding")?;
    let query = format!(
        "SELECT dimension_index, dimension_value FROM atoms.atom_embedding ae WHERE source_atom_id = 77 AND model_id = {model} ORDER BY dimension_index"
    );
    let plan = answer(&mut client, &format!("EXPLAIN {query}"))?.join("\n");
    assert!(plan.contains(&format!("embedding_{model}_pkey")), "{plan}");
    assert!(!plan.contains(&format!("embedding_{other}")) && !plan.contains("Seq Scan"), "{plan}");
    let of_all =
        answer(&mut client, "EXPLAIN SELECT * FROM atoms.atom_embedding WHERE source_atom_id = 77")?.join("\n");
    assert!(of_all.contains("embedding_1_pkey") && of_all.contains("embedding_2_pkey"), "{of_all}");
    let read = "EXPLAIN SELECT * FROM atoms.reconstruct_vectors('m', ARRAY[5, 7]::bigint[])";
    let read = answer(&mut client, read)?.join("\n");
    assert!(read.contains("_pkey"), "{read}");
    Ok(())
}
