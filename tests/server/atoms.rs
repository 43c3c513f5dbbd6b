//! Atoms as SQL users handle them: stored once, pinned, related, read in whole and in slices, identity atoms included.

use atom::{ContentHash, DimensionValue};
use pg_test::Result;
use postgres::Client;

use crate::support::models::noise;
use crate::support::oracle::{assert_sound, stored, value};
use crate::support::{Database, refused, wait_until};

fn upsert(client: &mut Client, bytes: &[u8], kind: &str) -> Result<i64, postgres::Error> {
    Ok(client.query_one("SELECT atoms.upsert_atom($1::bytea, $2)", &[&bytes, &kind])?.get(0))
}

fn reference_count(client: &mut Client, id: i64) -> Result<i64, postgres::Error> {
    Ok(client.query_one("SELECT atoms.reference_count($1)", &[&id])?.get(0))
}

#[test]
fn every_form_of_upsert_stores_once_and_pins() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let (small, large) = (noise(1, 2000), noise(2, 2001));
    let (first, second) = (upsert(&mut client, &small, "text")?, upsert(&mut client, &large, "tensor")?);
    assert_ne!(first, second);
    assert_eq!(upsert(&mut client, &small, "CODE")?, first);
    let checked = "SELECT atoms.upsert_atom(sha256($1), $1::bytea, 'text')";
    assert_eq!(client.query_one(checked, &[&small])?.get::<_, i64>(0), first);
    let many = client.query("SELECT atoms.upsert_atoms(ARRAY[$1::bytea, $2, $1], 'text')", &[&small, &large])?;
    assert_eq!(many.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [first, second, first]);
    let insert = "SELECT atoms.insert_atom('text', 'poem', $1, 'readable', '{\"a\": 1}')";
    assert_eq!(client.query_one(insert, &[&small])?.get::<_, i64>(0), first);
    assert_eq!((reference_count(&mut client, first)?, reference_count(&mut client, second)?), (6, 2));
    assert_eq!(stored(&mut client)?.atoms, 2);
    let row = client.query_one(
        "SELECT atom_type, modality, modalities, subtype FROM atoms.atom_detail WHERE atom_id = $1",
        &[&first],
    )?;
    let modalities: Vec<String> = row.get(2);
    assert_eq!((row.get(0), row.get(1), row.get::<_, Option<&str>>(3)), ("Text", "text", None), "as first stored");
    assert_eq!(modalities, ["code", "text"]);
    assert_sound(&mut client)
}

#[test]
fn what_the_first_store_says_is_kept() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    client.batch_execute("SELECT atoms.insert_atom('code', 'python', 'x = 1', 'x = 1', '{\"line\": 7}')")?;
    let row = client.query_one(
        "SELECT modality, subtype, canonical_text, metadata->>'line', atomic_value, content_hash::text, size_bytes, reference_count FROM atoms.atom_detail",
        &[],
    )?;
    let texts: [&str; 4] = [0, 1, 2, 3].map(|column| row.get(column));
    assert_eq!(texts, ["code", "python", "x = 1", "7"]);
    assert_eq!(row.get::<_, &[u8]>(4), b"x = 1");
    assert_eq!(row.get::<_, String>(5).parse(), Ok(ContentHash::of(b"x = 1")));
    assert_eq!((row.get::<_, i64>(6), row.get::<_, i64>(7)), (5, 1));
    refused(client.query("SELECT atoms.insert_atom(NULL, NULL, 'x')", &[]), "22023");
    refused(client.query("SELECT atoms.insert_atom('text', NULL, NULL)", &[]), "22023");
    Ok(())
}

#[test]
fn pins_are_given_back_one_by_one() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let id = upsert(&mut client, b"pinned", "text")?;
    upsert(&mut client, b"pinned", "text")?;
    let release = "SELECT atoms.release_atom($1)";
    assert_eq!(client.query_one(release, &[&id])?.get::<_, i64>(0), 1);
    assert_eq!(client.query_one(release, &[&id])?.get::<_, i64>(0), 0);
    refused(client.query_one(release, &[&id]), "55000").names(&["no pin"]);
    assert_eq!(reference_count(&mut client, id)?, 0);
    db.collect_all()?;
    refused(client.query_one(release, &[&id]), "42704");
    refused(client.query_one("SELECT atoms.atom_value($1::bigint)", &[&id]), "42704");
    assert_ne!(upsert(&mut client, b"pinned", "text")?, id, "stored anew under another id");
    Ok(())
}

#[test]
fn relations_are_ordered_and_never_a_cycle() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let ids: Vec<i64> = (0..4).map(|seed| upsert(&mut client, &noise(seed, 10), "code")).collect::<Result<_, _>>()?;
    let mut relate = |from: usize, to: usize, place: Option<i32>| -> Result<i32, postgres::Error> {
        let query = "SELECT atoms.insert_atom_relation($1, $2, 'HAS', $3)";
        Ok(client.query_one(query, &[&ids[from], &ids[to], &place])?.get(0))
    };
    assert_eq!((relate(0, 1, None)?, relate(0, 2, None)?, relate(0, 1, Some(7))?, relate(0, 3, None)?), (0, 1, 7, 8));
    refused(relate(0, 2, Some(7)), "42710");
    refused(relate(0, 2, Some(-1)), "22023");
    assert_eq!((relate(1, 2, None)?, relate(2, 3, None)?), (0, 0));
    for (from, to) in [(3, 0), (3, 2), (2, 0), (1, 1)] {
        refused(relate(from, to, None), "22023").names(&["cycle"]);
    }
    // Counted where they point to; gone with where they come from.
    assert_eq!(reference_count(&mut client, ids[2])?, 1 + 2);
    assert_eq!(reference_count(&mut client, ids[0])?, 1);
    client.execute("SELECT atoms.release_atom($1)", &[&ids[0]])?;
    db.collect_all()?;
    assert_eq!(reference_count(&mut client, ids[2])?, 1 + 1);
    Ok(())
}

/// Two relations that close a cycle only together, from two sessions at once.
#[test]
fn two_sessions_cannot_close_a_cycle_together() -> Result<()> {
    let db = Database::shared()?;
    let (mut one, mut two) = (db.client()?, db.client()?);
    let (a, b) = (upsert(&mut one, b"a", "text")?, upsert(&mut one, b"b", "text")?);
    let relate = "SELECT atoms.insert_atom_relation($1, $2, 'HAS')";
    let mut open = one.transaction()?;
    open.query_one(relate, &[&a, &b])?;
    let second = std::thread::spawn(move || two.query_one(relate, &[&b, &a]));
    let mut watcher = db.client()?;
    let waiting = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
    wait_until("the second waits for the first", || value(&mut watcher, waiting))?;
    open.commit()?;
    refused(second.join().expect("no panic"), "22023").names(&["cycle"]);
    Ok(())
}

#[test]
fn values_and_slices_are_the_bytes() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    for size in [0_usize, 1, 2000, 2001, 8112, 8113, 100_000] {
        let bytes = noise(size as u64, size);
        let id = upsert(&mut client, &bytes, "file")?;
        let row = client.query_one(
            "SELECT atoms.atom_value($1::bigint), atoms.atom_value(atoms.atom_hash($1)), atoms.atom_hash($1)::text",
            &[&id],
        )?;
        assert_eq!((row.get::<_, &[u8]>(0), row.get::<_, &[u8]>(1)), (&*bytes, &*bytes), "{size}");
        assert_eq!(row.get::<_, String>(2).parse(), Ok(ContentHash::of(&bytes)));
        for (start, count) in
            [(0, 0), (0, 10), (size / 2, 8113), (8111, 2), (size, 5), (size + 100, 5), (0, usize::from(u16::MAX) * 2)]
        {
            let row =
                client.query_one("SELECT atoms.atom_slice($1, $2, $3)", &[&id, &(start as i64), &(count as i32)])?;
            let (from, to) = (start.min(size), (start + count).min(size));
            assert_eq!(row.get::<_, &[u8]>(0), &bytes[from..to], "{size}: {start} {count}");
        }
    }
    Ok(())
}

/// Values of 1 to 4 bytes are named by their ids alone.
#[test]
fn identity_atoms_need_no_row() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let values: [&[u8]; 7] = [&[0], &[255], &[1, 2], &[1, 2, 3], &[0, 0, 0], &1.5_f32.to_le_bytes(), &[255; 4]];
    for bytes in values {
        let id = DimensionValue::from_bytes(bytes).expect("1 to 4 bytes").atom_id();
        let row = client.query_one(
            "SELECT atoms.atom_value($1::bigint), atoms.atom_hash($1)::text, atoms.reference_count($1), atoms.atom_slice($1, 1, 2)", &[&id])?;
        assert_eq!(row.get::<_, &[u8]>(0), bytes);
        assert_eq!(row.get::<_, String>(1).parse(), Ok(ContentHash::of(bytes)));
        assert_eq!(row.get::<_, i64>(2), 0);
        assert_eq!(row.get::<_, &[u8]>(3), &bytes[1..bytes.len().min(3)]);
    }
    // The id that the documented formula gives to the float 1.
    let id = -(1 + 4 * (1_i64 << 32) + 0x3F80_0000);
    assert_eq!(
        client.query_one("SELECT atoms.atom_value($1::bigint)", &[&id])?.get::<_, &[u8]>(0),
        1_f32.to_le_bytes()
    );
    for id in [0, -1, -(1 + (1_i64 << 32) + 256), -(1 + 5 * (1_i64 << 32)), i64::MIN] {
        refused(client.query("SELECT atoms.atom_value($1::bigint)", &[&id]), "42704");
        refused(client.query("SELECT atoms.reference_count($1)", &[&id]), "42704");
    }
    assert_eq!(stored(&mut client)?.atoms, 0);
    // By hash only stored atoms are found.
    refused(client.query("SELECT atoms.atom_value(atoms.hash_bytes('\\x00'))", &[]), "42704");
    let id = DimensionValue::from_bytes(&[7]).expect("a byte").atom_id();
    refused(client.query("SELECT atoms.insert_atom_relation($1, $1, 'HAS')", &[&id]), "42704");
    Ok(())
}

#[test]
fn chunks_join_to_the_bytes() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    for size in [0_usize, 1, 4095, 4096, 4097, 40_960, 100_000] {
        let bytes = noise(size as u64, size);
        for chunk_bytes in [4096_i32, 8192, 65_536] {
            let query = "SELECT chunk_index, total_chunks, content_hash::text, data FROM atoms.chunk_tensor($1, $2)";
            let rows = client.query(query, &[&bytes, &chunk_bytes])?;
            let expected: Vec<&[u8]> = bytes.chunks(chunk_bytes as usize).collect();
            assert_eq!(rows.len(), expected.len(), "{size} {chunk_bytes}");
            for (index, (row, chunk)) in rows.iter().zip(&expected).enumerate() {
                assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1)), (index as i32, expected.len() as i32));
                assert_eq!(row.get::<_, String>(2).parse(), Ok(ContentHash::of(chunk)));
                assert_eq!(row.get::<_, &[u8]>(3), *chunk);
            }
        }
    }
    let default = client.query("SELECT * FROM atoms.chunk_tensor($1)", &[&noise(1, 10_000)])?;
    assert_eq!(default.len(), 3, "4 KiB unless told otherwise");
    for wrong in [0, -4096, 1, 2048, 4097, 128 << 20] {
        refused(client.query("SELECT * FROM atoms.chunk_tensor('x', $1)", &[&wrong]), "22023");
    }
    Ok(())
}

/// A roll-back takes atoms and their payload with it.
#[test]
fn a_transaction_that_fails_stores_nothing() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let mut transaction = client.transaction()?;
    transaction.query_one("SELECT atoms.upsert_atom($1::bytea, 'text')", &[&noise(1, 100_000)])?;
    transaction.rollback()?;
    assert_eq!(stored(&mut client)?, crate::support::oracle::Stored { atoms: 0, segments: 0, bytes: 0 });
    upsert(&mut client, &noise(1, 100_000), "text")?;
    assert_sound(&mut client)
}
