//! What changes, replaces, deletes and drops: exactly that goes, with its provenance, and nothing else.

use pg_test::Result;
use postgres::Client;

use super::{ELEMENTS, begin, bytes_of, insert, random_floats, register, sources, stored_bytes, width};
use crate::support::oracle::value;
use crate::support::read_calls::answer;
use crate::support::refused;

/// Changes one dimension; `None` is NULL.
fn set_dimension(client: &mut Client, source: i64, dimension: i32, number: f64) -> Result<bool, postgres::Error> {
    let call = "SELECT atoms.set_dimension('m', $1, $2, $3)";
    Ok(client.query_one(call, &[&source, &dimension, &number])?.get(0))
}

#[test]
fn set_dimension_changes_one_dimension_and_no_other_bit() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 2)?;
    for element in ELEMENTS {
        register(&mut client, "m", 600, element)?;
        // Numbers that every type has: small and whole.
        let numbers: Vec<f64> = (0..1200).map(|number| f64::from(number % 7)).collect();
        let call = "SELECT atoms.insert_embeddings('m', $1, ARRAY[$2::float8[], $3::float8[]]::real[])";
        client.query(call, &[&ids, &&numbers[..600], &&numbers[600..]])?;
        let before = stored_bytes(&mut client, "m", ids[0])?;
        let untouched = stored_bytes(&mut client, "m", ids[1])?;
        for dimension in [0, 300, 599] {
            assert!(set_dimension(&mut client, ids[0], dimension, 100.0)?, "{element}");
            assert!(!set_dimension(&mut client, ids[0], dimension, 100.0)?, "{element}: it has that value");
        }
        let after = stored_bytes(&mut client, "m", ids[0])?;
        let pieces = before.chunks_exact(width(element)).zip(after.chunks_exact(width(element)));
        let changed: Vec<usize> = (0..).zip(pieces).filter(|(_, (one, other))| one != other).map(|(n, _)| n).collect();
        assert_eq!(changed, [0, 300, 599], "{element}");
        assert_eq!(stored_bytes(&mut client, "m", ids[1])?, untouched, "{element}");
        client.batch_execute("SELECT atoms.drop_embedding_model('m')")?;
    }
    Ok(())
}

#[test]
fn provenance_says_what_was_changed_by_whom_and_when() -> Result<()> {
    let (_db, mut client) = begin()?;
    let id = sources(&mut client, 1)?[0];
    register(&mut client, "m", 3, "float16")?;
    client.query("SELECT atoms.insert_embedding('m', $1, '[1,2,3]'::atoms.dimvec)", &[&id])?;
    assert!(set_dimension(&mut client, id, 1, 0.1)?);
    assert!(!set_dimension(&mut client, id, 1, 0.1)?, "rounded it is what is there");
    assert!(!set_dimension(&mut client, id, 0, 1.0)?);
    client.query("SELECT atoms.set_dimension('m', $1, 2, -0.0, 'pruner v2')", &[&id])?;
    let rows = "SELECT source_atom_id = $1, model_id, dimension_index, old_value, new_value, changed_by_model, \
                       changed_at BETWEEN now() - interval '1 minute' AND clock_timestamp() FROM atoms.dimension_change ORDER BY changed_at";
    let rows = client.query(rows, &[&id])?;
    let row = |n: usize| -> (bool, i64, i32, f64, f64, String, bool) {
        let row = &rows[n];
        (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4), row.get(5), row.get(6))
    };
    assert_eq!(rows.len(), 2);
    assert_eq!(row(0), (true, 1, 1, 2.0, 0.0999755859375, "m".to_owned(), true));
    assert_eq!(row(1), (true, 1, 2, 3.0, 0.0, "pruner v2".to_owned(), true));
    for argument in ["NULL, 1, 0, 1", "'m', NULL, 0, 1", "'m', 1, NULL, 1", "'m', 1, 0, NULL"] {
        let nothing = format!("SELECT atoms.set_dimension({argument})");
        assert_eq!(value::<Option<bool>>(&mut client, &nothing)?, None, "{argument}");
    }
    Ok(())
}

#[test]
fn an_insert_replaces_the_embedding_and_forgets_its_provenance_alone() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 2)?;
    for model in ["m", "other"] {
        register(&mut client, model, 2, "float32")?;
        insert(&mut client, model, &ids, &bytes_of(&[1.0, 2.0, 3.0, 4.0]))?;
        for id in &ids {
            client.query("SELECT atoms.set_dimension($1, $2, 0, 9)", &[&model, id])?;
        }
    }
    assert_eq!(insert(&mut client, "m", &ids[..1], &bytes_of(&[5.0, 6.0]))?, 1);
    assert_eq!(stored_bytes(&mut client, "m", ids[0])?, bytes_of(&[5.0, 6.0]));
    assert_eq!(stored_bytes(&mut client, "m", ids[1])?, bytes_of(&[9.0, 4.0]));
    let left = "SELECT source_atom_id, model_id FROM atoms.dimension_change";
    let expected = [format!("{}|2", ids[0]), format!("{}|1", ids[1]), format!("{}|2", ids[1])];
    assert_eq!(answer(&mut client, left)?, expected);
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM atoms.embedding")?, 4);
    Ok(())
}

#[test]
fn delete_embedding_takes_one_embedding_and_its_provenance() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 2)?;
    register(&mut client, "m", 2, "float32")?;
    insert(&mut client, "m", &ids, &bytes_of(&[1.0, 2.0, 3.0, 4.0]))?;
    for id in &ids {
        set_dimension(&mut client, *id, 0, 9.0)?;
    }
    let delete = "SELECT atoms.delete_embedding('m', $1)";
    for expected in [true, false] {
        assert_eq!(client.query_one(delete, &[&ids[0]])?.get::<_, bool>(0), expected);
    }
    assert!(!client.query_one(delete, &[&999_999i64])?.get::<_, bool>(0), "no such atom, no embedding");
    refused(stored_bytes(&mut client, "m", ids[0]), "42704");
    refused(set_dimension(&mut client, ids[0], 0, 1.0), "42704");
    for table in ["embedding", "dimension_change"] {
        let left = format!("SELECT source_atom_id FROM atoms.{table}");
        assert_eq!(answer(&mut client, &left)?, [ids[1].to_string()], "{table}");
    }
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM atoms.atom")?, 2, "the atoms stay");
    Ok(())
}

/// Counts what the catalogs hold, and the rows of every table of the schema.
fn inventory(client: &mut Client) -> Result<Vec<String>> {
    let catalogs = [
        "pg_class",
        "pg_constraint",
        "pg_depend",
        "pg_type",
        "pg_trigger",
        "pg_attribute",
        "pg_index",
        "pg_inherits",
        "pg_description",
        "pg_attrdef",
        "pg_shdepend",
        "pg_statistic",
    ];
    let mut found = Vec::new();
    for catalog in catalogs {
        found.push(format!("{catalog}: {}", value::<i64>(client, &format!("SELECT count(*) FROM {catalog}"))?));
    }
    let tables =
        "SELECT oid::regclass FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'atoms'::regnamespace";
    for table in answer(client, tables)? {
        found.push(format!("{table}: {}", value::<i64>(client, &format!("SELECT count(*) FROM {table}"))?));
    }
    Ok(found)
}

#[test]
fn a_dropped_model_leaves_nothing() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 50)?;
    register(&mut client, "stays", 3, "float32")?;
    insert(&mut client, "stays", &ids[..5], &bytes_of(&random_floats(1, 15)))?;
    client.query("SELECT atoms.set_dimension('stays', $1, 0, 9)", &[&ids[0]])?;
    let before = inventory(&mut client)?;
    for element in ELEMENTS {
        let model = register(&mut client, "m", 40, element)?;
        let zeros = vec![0; 50 * 40 * width(element)];
        insert(&mut client, "m", &ids, &zeros)?;
        set_dimension(&mut client, ids[0], 0, 9.0)?;
        client.batch_execute(&format!("CREATE INDEX ON atoms.embedding_{model} (atoms.dimension_value(value, 3))"))?;
        assert_ne!(inventory(&mut client)?, before);
        let dropped: i64 = value(&mut client, "SELECT atoms.drop_embedding_model('m')")?;
        assert_eq!(dropped, 50, "{element}");
        assert_eq!(inventory(&mut client)?, before, "{element}");
    }
    refused(client.query("SELECT atoms.drop_embedding_model('m')", &[]), "42704");
    Ok(())
}

#[test]
fn what_the_collector_takes_takes_its_embeddings_and_provenance_along() -> Result<()> {
    let (db, mut client) = begin()?;
    let ids = sources(&mut client, 4)?;
    for model in ["m", "other"] {
        register(&mut client, model, 2, "float32")?;
        insert(&mut client, model, &ids, &bytes_of(&[1.0; 8]))?;
        for id in &ids {
            client.query("SELECT atoms.set_dimension($1, $2, 1, 3)", &[&model, id])?;
        }
    }
    db.collect_all()?;
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM atoms.embedding")?, 8, "pinned atoms stay");
    client.query("SELECT atoms.release_atom(u) FROM unnest($1::bigint[]) u", &[&&ids[..3]])?;
    assert!(!value::<bool>(&mut client, "SELECT atoms.is_referenced(min(source_atom_id)) FROM atoms.embedding")?);
    db.collect_all()?;
    for table in ["atom", "embedding", "dimension_change"] {
        let column = if table == "atom" { "atom_id" } else { "source_atom_id" };
        let left = format!("SELECT DISTINCT {column} FROM atoms.{table}");
        assert_eq!(answer(&mut client, &left)?, [ids[3].to_string()], "{table}");
    }
    Ok(())
}

#[test]
fn a_model_is_described_by_its_summary() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 3)?;
    let model = register(&mut client, "m", 2, "float16")?;
    client.batch_execute("SELECT atoms.register_embedding_model('empty', 7, metadata => '{\"of\": \"x\"}')")?;
    client.query("SELECT atoms.insert_embeddings('m', $1, '{1,2,3,4,5,6}'::real[])", &[&ids])?;
    let summary = "SELECT model, dimensions, element_type, embeddings, metadata FROM atoms.embedding_model_summary";
    assert_eq!(answer(&mut client, summary)?, ["empty|7|float32|0|{\"of\": \"x\"}", "m|2|float16|3|{}"]);
    let bytes = format!(
        "SELECT size_bytes = pg_total_relation_size('atoms.embedding_{model}') FROM atoms.embedding_model_summary WHERE model = 'm'"
    );
    assert!(value::<bool>(&mut client, &bytes)?);
    Ok(())
}

#[test]
fn the_extension_drops_with_its_embeddings_and_comes_again() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 10)?;
    for model in ["m", "other"] {
        register(&mut client, model, 20, "float32")?;
        insert(&mut client, model, &ids, &bytes_of(&random_floats(1, 200)))?;
    }
    client.batch_execute("CREATE VIEW mine AS SELECT * FROM atoms.atom_embedding")?;
    refused(client.batch_execute("DROP EXTENSION pg_atoms"), "2BP01");
    client.batch_execute("DROP EXTENSION pg_atoms CASCADE")?;
    let left = "SELECT relname FROM pg_class WHERE relnamespace = 'atoms'::regnamespace UNION ALL SELECT typname FROM pg_type WHERE typname ~ 'dimvec'";
    assert_eq!(answer(&mut client, left)?, Vec::<String>::new());
    client.batch_execute("CREATE EXTENSION pg_atoms")?;
    let ids = sources(&mut client, 1)?;
    assert_eq!(register(&mut client, "m", 2, "float32")?, 1);
    insert(&mut client, "m", &ids, &bytes_of(&[1.0, 2.0]))?;
    assert_eq!(stored_bytes(&mut client, "m", ids[0])?, bytes_of(&[1.0, 2.0]));
    Ok(())
}

/// A publication of all tables asks each for a replica identity, or forbids to delete its rows.
#[test]
fn rows_go_also_where_all_tables_are_published() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 2)?;
    register(&mut client, "m", 2, "float32")?;
    client.batch_execute("CREATE PUBLICATION everything FOR ALL TABLES")?;
    insert(&mut client, "m", &ids, &bytes_of(&[1.0, 2.0, 3.0, 4.0]))?;
    client.execute("SELECT atoms.set_dimension('m', $1, 0, 5)", &[&ids[0]])?;
    client.execute("SELECT atoms.delete_embedding('m', $1)", &[&ids[0]])?;
    client.batch_execute(
        "SELECT atoms.release_atom(atoms.upsert_atom(convert_to(repeat('large', 5000), 'UTF8'), 'text'))",
    )?;
    client.batch_execute("CALL atoms.vacuum_all_atoms('0')")?;
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM atoms.atom_segment")?, 0);
    client.batch_execute("SELECT atoms.drop_embedding_model('m')")?;
    Ok(())
}

#[test]
fn an_update_through_the_view_must_leave_a_value() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 1)?;
    register(&mut client, "m", 2, "float32")?;
    insert(&mut client, "m", &ids, &bytes_of(&[1.0, 2.0]))?;
    for column in ["dimension_value", "dimension_atom_id", "spatial_key"] {
        let update = format!("UPDATE atoms.atom_embedding SET {column} = NULL WHERE dimension_index = 0");
        refused(client.batch_execute(&update), "23502").names(&["value"]);
    }
    refused(client.batch_execute("UPDATE atoms.atom_embedding SET atom_embedding_id = 17"), "0A000").names(&["moved"]);
    assert_eq!(stored_bytes(&mut client, "m", ids[0])?, bytes_of(&[1.0, 2.0]));
    Ok(())
}

#[test]
fn arrays_of_any_number_go_in_and_a_bitmap_without_nulls_is_none() -> Result<()> {
    let (_db, mut client) = begin()?;
    let ids = sources(&mut client, 1)?;
    register(&mut client, "m", 2, "float32")?;
    for array in [
        "ARRAY[1,2]",
        "ARRAY[1.0,2.0]",
        "ARRAY[1,2]::real[]",
        "('{1,2,NULL}'::real[])[1:2]",
        "('{NULL,1,2}'::float8[])[2:3]",
    ] {
        client.execute("SELECT atoms.delete_embedding('m', $1)", &[&ids[0]])?;
        client.execute(&format!("SELECT atoms.insert_embeddings('m', ARRAY[$1::bigint], {array})"), &[&ids[0]])?;
        assert_eq!(stored_bytes(&mut client, "m", ids[0])?, bytes_of(&[1.0, 2.0]), "{array}");
        let cast = format!("SELECT atoms.serialize_vector(({array})::atoms.dimvec(float32))");
        assert_eq!(client.query_one(&cast, &[])?.get::<_, Vec<u8>>(0), bytes_of(&[1.0, 2.0]), "{array}");
    }
    refused(client.batch_execute("SELECT ('{1,2,NULL}'::real[])[2:3]::atoms.dimvec"), "22023").names(&["NULL"]);
    Ok(())
}
