//! Each payload is stored once, dropping a model takes nothing from another, and the collector takes exactly the rest.

use std::collections::{BTreeMap, BTreeSet};

use atom::ContentHash;
use fixtures::safetensors::random_model;
use pg_test::Result;
use postgres::Client;

use crate::support::import::{TENSOR, hashes_of, import_bytes, model_chunks};
use crate::support::models::{self, noise};
use crate::support::oracle::{assert_sound, stored, value};
use crate::support::{Database, wait_until};

const A: u64 = 100_000;
const B: u64 = 50_000;
const C: u64 = 1_500;
const D: u64 = 30_000;

/// One and two share the tensors a and c; b belongs to one, d to two.
fn one_and_two() -> (Vec<u8>, Vec<u8>) {
    let one = random_model(7, &[("a", "U8", &[A]), ("b", "U8", &[B]), ("c", "U8", &[C])]);
    let two = random_model(7, &[("c", "U8", &[C]), ("d", "U8", &[D]), ("a", "U8", &[A])]);
    (one, two)
}

fn import_one_and_two(client: &mut Client) -> Result<(Vec<u8>, Vec<u8>)> {
    let (one, two) = one_and_two();
    import_bytes(client, "one", "model.safetensors", &one, TENSOR)?;
    import_bytes(client, "two", "model.safetensors", &two, TENSOR)?;
    Ok((one, two))
}

/// The figures of a line of `dedup_report`: files, logical, unique, own, shared, freed.
fn report(client: &mut Client) -> Result<BTreeMap<Option<String>, [i64; 6]>> {
    let rows = client.query(
        "SELECT model, files, logical_bytes, unique_bytes, own_bytes, shared_bytes, freed_bytes FROM atoms.dedup_report()",
        &[],
    )?;
    Ok(rows.iter().map(|row| (row.get(0), std::array::from_fn(|column| row.get(column + 1)))).collect())
}

fn line(model: &str) -> Option<String> {
    Some(model.to_owned())
}

fn atom_ids(client: &mut Client) -> Result<BTreeSet<i64>> {
    Ok(client.query("SELECT atom_id FROM atoms.atom", &[])?.iter().map(|row| row.get(0)).collect())
}

#[test]
fn models_with_common_tensors_share_their_atoms() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let (one, two) = import_one_and_two(&mut client)?;
    let payload = A + B + C + D;
    let headers = (one.len() as u64 - A - B - C) + (two.len() as u64 - A - C - D);
    assert_eq!(stored(&mut client)?.bytes as u64, payload + headers);
    let shared =
        client.query("SELECT content_hash::text, size_bytes, modality FROM atoms.shared_atoms('one', 'two')", &[])?;
    let shared: Vec<(String, i64, String)> = shared.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let hash = |name: &str, size: u64| {
        let file = random_model(7, &[(name, "U8", &[size])]);
        ContentHash::of(&file[file.len() - size as usize..]).to_string()
    };
    let tensor = "tensor".to_owned();
    assert_eq!(shared, [(hash("a", A), A as i64, tensor.clone()), (hash("c", C), C as i64, tensor)]);
    assert_sound(&mut client)
}

#[test]
fn the_report_is_exact() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let (one, two) = import_one_and_two(&mut client)?;
    // Model three holds file one twice and an empty file.
    let dir = db.file("three");
    let files = [("x", one.clone()), ("y", one.clone()), ("z", Vec::new())];
    models::write(&dir, &files.map(|(name, bytes)| (name.to_owned(), bytes)).into());
    db.import("three", &dir)?;
    let [a, b, c, d] = [A as i64, B as i64, C as i64, D as i64];
    let (size_one, size_two) = (one.len() as i64, two.len() as i64);
    let header_two = size_two - a - c - d;
    let own_two = header_two + d;
    let mut expected = BTreeMap::from([
        (line("one"), [1, size_one, size_one, 0, size_one, 0]),
        (line("two"), [1, size_two, size_two, own_two, a + c, own_two]),
        (line("three"), [3, 2 * size_one, size_one, 0, size_one, 0]),
        (None, [5, 3 * size_one + size_two, size_one + own_two, own_two, size_one, size_one + own_two]),
    ]);
    assert_eq!(report(&mut client)?, expected);

    // Without three, what one alone has is its own again; a pin keeps it from being freed.
    client.batch_execute("SELECT atoms.drop_model('three')")?;
    expected.remove(&line("three"));
    let own_one = size_one - a - c;
    expected.insert(line("one"), [1, size_one, size_one, own_one, a + c, own_one]);
    let all = size_one + own_two;
    expected.insert(None, [2, size_one + size_two, all, own_one + own_two, a + c, all]);
    assert_eq!(report(&mut client)?, expected);
    let tensor_b = &one[one.len() - (B + C) as usize..one.len() - C as usize];
    client.execute("SELECT atoms.upsert_atom($1::bytea, 'tensor')", &[&tensor_b])?;
    expected.insert(line("one"), [1, size_one, size_one, own_one, a + c, own_one - b]);
    expected.insert(None, [2, size_one + size_two, all, own_one + own_two, a + c, all - b]);
    assert_eq!(report(&mut client)?, expected);

    let alone = client.query("SELECT model, logical_bytes FROM atoms.dedup_report('two')", &[])?;
    assert_eq!(alone.iter().map(|row| (row.get(0), row.get(1))).collect::<Vec<_>>(), [("two".to_owned(), size_two)]);
    let physical: i64 = value(&mut client, "SELECT physical_bytes FROM atoms.dedup_report() WHERE model IS NULL")?;
    let sizes: i64 = value(
        &mut client,
        "SELECT sum(pg_total_relation_size(('atoms.' || tablename)::regclass))::bigint FROM pg_tables WHERE schemaname = 'atoms'",
    )?;
    assert_eq!(physical, sizes);
    Ok(())
}

#[test]
fn the_dropped_frees_what_the_report_says() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    import_one_and_two(&mut client)?;
    let freed = report(&mut client)?[&line("one")][5];
    client.batch_execute("SELECT atoms.drop_model('one')")?;
    let row = client.query_one("SELECT bytes FROM atoms.vacuum_atoms('0')", &[])?;
    assert_eq!(row.get::<_, i64>(0), freed);
    Ok(())
}

#[test]
fn importing_again_stores_no_new_payload() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let model = models::real_named("fracast-0.1.0");
    let path = db.lend(&model.dir);
    db.import("first", &path)?;
    let before = stored(&mut client)?;
    db.import("by the server", &path)?;
    let by_cli = db.import_by_cli("by the program", &model.dir, TENSOR);
    assert_eq!((&by_cli["sent_bytes"], &by_cli["new_atoms"]), (&0.into(), &0.into()), "{by_cli}");
    for file in model.files.keys() {
        let bytes = std::fs::read(model.dir.join(file)).expect("it was fetched");
        import_bytes(&mut client, file, "as bytes", &bytes, TENSOR)?;
    }
    assert_eq!(stored(&mut client)?, before);
    for name in ["first", "by the server", "by the program"] {
        assert_eq!(hashes_of(&model_chunks(&mut client, name)?), model.files, "{name}");
    }
    assert_sound(&mut client)
}

#[test]
fn dropping_one_keeps_the_other_and_the_collector_takes_the_rest() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let (one, two) = one_and_two();
    import_bytes(&mut client, "two", "model.safetensors", &two, TENSOR)?;
    let of_two = atom_ids(&mut client)?;
    import_bytes(&mut client, "one", "model.safetensors", &one, TENSOR)?;
    let of_both = atom_ids(&mut client)?;
    assert_eq!((of_two.len(), of_both.len()), (4, 6));

    let collected = |client: &mut Client, call: &str| -> Result<(i64, i64)> {
        let row = client.query_one(&format!("SELECT atoms, bytes FROM atoms.vacuum_atoms({call})"), &[])?;
        Ok((row.get(0), row.get(1)))
    };
    assert_eq!(collected(&mut client, "'0'")?, (0, 0), "everything is referenced");
    client.batch_execute("SELECT atoms.drop_model('one')")?;
    let orphan_bytes = (one.len() as u64 - A - C) as i64;
    assert_eq!(collected(&mut client, "'1 hour'")?, (0, 0), "nothing is an hour old");
    assert_eq!(collected(&mut client, "'0', 10000, true")?, (2, orphan_bytes), "a dry run counts");
    assert_eq!(atom_ids(&mut client)?, of_both, "and deletes nothing");
    assert_eq!(collected(&mut client, "'0', 1")?.0, 1, "at most as many as asked for");
    assert_eq!(collected(&mut client, "'0'")?.0, 1);
    assert_eq!(atom_ids(&mut client)?, of_two);
    assert_eq!(model_chunks(&mut client, "two")?["model.safetensors"], two);
    assert_sound(&mut client)
}

#[test]
fn pins_relations_and_imports_under_way_keep_atoms() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let pinned: i64 = value(&mut client, "SELECT atoms.upsert_atom('pinned'::bytea, 'text')")?;
    let parent: i64 = value(&mut client, "SELECT atoms.upsert_atom('parent'::bytea, 'text')")?;
    let child: i64 = value(&mut client, "SELECT atoms.upsert_atom('child'::bytea, 'text')")?;
    client.execute("SELECT atoms.insert_atom_relation($1, $2, 'HAS')", &[&parent, &child])?;
    client.execute("SELECT atoms.release_atom($1)", &[&child])?;
    let import = "SELECT atoms.begin_import('staged', '{f}', '{5}')";
    let import: i64 = value(&mut client, import)?;
    let announce = "SELECT atoms.announce_parts($1, 0, 0, 0, '{5}', ARRAY[atoms.hash_bytes('bytes')], '{file}')";
    client.query(announce, &[&import])?;
    client.execute("SELECT atoms.send_atoms($1, ARRAY[atoms.hash_bytes('bytes')], '{bytes}')", &[&import])?;
    db.collect_all()?;
    assert_eq!(stored(&mut client)?.atoms, 4);

    // The parent's row goes with its pin, and the relation with the parent; then nothing names the child.
    client.execute("SELECT atoms.release_atom($1)", &[&parent])?;
    client.execute("SELECT atoms.abort_import($1)", &[&import])?;
    db.collect_all()?;
    db.collect_all()?;
    assert_eq!(atom_ids(&mut client)?, BTreeSet::from([pinned]));
    client.execute("SELECT atoms.release_atom($1)", &[&pinned])?;
    db.collect_all()?;
    assert_eq!(stored(&mut client)?.atoms, 0);
    Ok(())
}

#[test]
fn abandoned_imports_are_collected_after_their_grace_time() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let mut gone = db.client()?;
    gone.batch_execute("SELECT atoms.begin_import('left', '{f}', '{5}')")?;
    let imports = "SELECT count(*) FROM atoms.list_imports()";
    client.batch_execute("SET pg_atoms.import_grace = '0'")?;
    client.batch_execute("CALL atoms.vacuum_all_atoms('0')")?;
    assert_eq!(value::<i64>(&mut client, imports)?, 1, "its session lives");
    drop(gone);
    let inactive = "SELECT NOT bool_or(active) FROM atoms.list_imports()";
    wait_until("its session is gone", || value(&mut client, inactive))?;
    client.batch_execute("RESET pg_atoms.import_grace")?;
    client.batch_execute("CALL atoms.vacuum_all_atoms('0')")?;
    assert_eq!(value::<i64>(&mut client, imports)?, 1, "it is younger than a day");
    client.batch_execute("SET pg_atoms.import_grace = '0'")?;
    client.batch_execute("CALL atoms.vacuum_all_atoms('0')")?;
    assert_eq!(value::<i64>(&mut client, imports)?, 0);
    Ok(())
}

/// Each round stores other bytes, so space is used again only if what was dropped is really free.
#[test]
fn ten_rounds_of_import_and_drop_do_not_grow_the_store() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let mut first = 0;
    for round in 0..10 {
        let path = db.file("round.bin");
        let mut bytes = random_model(round, &[("w", "F32", &[1000, 4000]), ("v", "U8", &[3_000_000])]);
        bytes.extend(noise(round, 5_000_000));
        std::fs::write(&path, &bytes).expect("writable");
        db.import("round", &path)?;
        let bytes: i64 = value(&mut client, "SELECT atoms.physical_bytes()")?;
        if round == 0 {
            first = bytes;
        }
        assert!(bytes * 10 < first * 12, "round {round}: {bytes} bytes, after the first {first}");
        client.batch_execute("SELECT atoms.drop_model('round')")?;
        client.batch_execute("CALL atoms.vacuum_all_atoms('0')")?;
        assert_eq!(stored(&mut client)?.atoms, 0);
        client.batch_execute("VACUUM")?;
    }
    Ok(())
}
