//! The import protocol: a client that lies is refused, one that is interrupted goes on, and a name has one model.

use std::sync::Barrier;
use std::thread;

use atom::ContentHash;
use pg_test::Result;

use crate::support::import::{file_chunks, model_chunks};
use crate::support::models::noise;
use crate::support::oracle::{assert_sound, stored, value};
use crate::support::upload::{Missing, Part, Upload, Wishes, begin};
use crate::support::{Database, refused, wait_until};

/// Pieces of this size fill their pages.
const PIECE: usize = 8112 * 128;

/// Announces, sends and hashes an import of one file, all but the last step.
fn upload_all_but_finish(db: &Database, model: &str, bytes: &[u8]) -> Result<Upload> {
    let mut upload = Upload::begin(db.client()?, model, &[("f", bytes.len() as i64)])?;
    upload.announce_file(0, &[Part::of(bytes)])?;
    upload.send_honestly(&[bytes])?;
    upload.hash(0)?;
    Ok(upload)
}

#[test]
fn an_honest_client_gets_its_model() -> Result<()> {
    let db = Database::shared()?;
    let parts = [noise(1, 3000), noise(2, 100), noise(3, 50_000)];
    let file = parts.concat();
    let announced = parts.each_ref().map(|bytes| Part::of(bytes));
    let files = [("a", file.len() as i64), ("b", 3000), ("empty", 0)];
    let mut upload = Upload::begin(db.client()?, "m", &files)?;
    assert_eq!(upload.announce(0, (0, 0), &announced[..1])?, [0]);
    assert_eq!(upload.announce(0, (1, 3000), &announced[1..])?, [1, 2]);
    assert_eq!(upload.announce(1, (0, 0), &announced[..1])?, [0]);
    let missing = |hash, size_bytes, place| Missing { hash, size_bytes, received_bytes: 0, place };
    let places = [(0, 0, 0), (0, 1, 3000), (0, 2, 3100)];
    let all: Vec<Missing> =
        announced.iter().zip(places).map(|(part, place)| missing(part.hash, part.length, place)).collect();
    assert_eq!(upload.missing()?, all, "each atom once, where it stands first");
    assert_eq!(upload.send_honestly(&[&parts[2], &parts[0]])?, 2);
    assert_eq!(upload.missing()?, all[1..2]);
    assert_eq!(upload.send_honestly(&[&parts[1]])?, 1);
    assert_eq!(upload.send_honestly(&[&parts[1]])?, 0, "sent twice, kept once");
    upload.hash(0)?;
    upload.hash(1)?;
    assert_eq!(upload.finish()?, "m");
    let found = model_chunks(&mut upload.client, "m")?;
    assert_eq!((&found["a"], &found["b"], &found["empty"]), (&file, &parts[0], &Vec::new()));
    assert_sound(&mut upload.client)
}

#[test]
fn bytes_without_the_hash_announced_are_refused() -> Result<()> {
    let db = Database::shared()?;
    for size in [0_usize, 10, 5000, 100_000] {
        let (truth, lie) = (noise(1, size.max(1)), noise(2, size.max(1)));
        let mut upload = Upload::begin(db.client()?, "m", &[("f", truth.len() as i64)])?;
        upload.announce_file(0, &[Part::of(&truth)])?;
        let before = stored(&mut upload.client)?;
        let sent = upload.send(&[(ContentHash::of(&truth), &lie)]);
        refused(sent, "22023").names(&["do not have the hash", &ContentHash::of(&truth).to_string()]);
        assert_eq!(stored(&mut upload.client)?, before, "nothing of it stays");
        let among = noise(3, 20);
        upload.announce_file(0, &[Part::of(&truth)])?;
        refused(upload.send(&[(ContentHash::of(&truth), &truth), (ContentHash::of(&among), &lie)]), "22023");
        assert_eq!(stored(&mut upload.client)?, before, "nor of what was sent beside it");
        upload.client.execute("SELECT atoms.abort_import($1)", &[&upload.id])?;
    }
    Ok(())
}

#[test]
fn a_false_length_is_refused() -> Result<()> {
    let db = Database::shared()?;
    let bytes = noise(1, 5000);
    let hash = ContentHash::of(&bytes);
    let announce = |length| Part { length, ..Part::of(&bytes) };
    // Announced too long or too short, sent as it is.
    for length in [4999, 5001] {
        let mut upload = Upload::begin(db.client()?, "m", &[("f", length)])?;
        upload.announce_file(0, &[announce(length)])?;
        refused(upload.send(&[(hash, &bytes)]), "22023").names(&["length", &hash.to_string()]);
    }
    let mut upload = Upload::begin(db.client()?, "short", &[("f", 4999)])?;
    upload.announce_file(0, &[announce(4999)])?;
    refused(upload.send_part(hash, 0, &bytes), "22023").names(&["length"]);
    refused(upload.send_part(hash, 0, &bytes[..4999]), "22023").names(&["hash"]);

    // Of an atom that is stored already, the length is known.
    db.import_bytes("known", "f", &bytes)?;
    let mut upload = Upload::begin(db.client()?, "m", &[("f", 4000)])?;
    refused(upload.announce_file(0, &[announce(4000)]), "22023").names(&["length"]);
    assert_sound(&mut upload.client)
}

#[test]
fn parts_out_of_place_are_refused() -> Result<()> {
    let db = Database::shared()?;
    let part = |size: usize| Part::of(&noise(size as u64, size));
    let mut upload = Upload::begin(db.client()?, "m", &[("f", 100)])?;
    refused(upload.announce(0, (1, 0), &[part(10)]), "22023");
    refused(upload.announce(0, (0, 10), &[part(10)]), "22023").names(&["begin at byte 10"]);
    refused(upload.announce(0, (0, 0), &[part(101)]), "22023").names(&["past its size"]);
    refused(upload.announce(0, (0, 0), &[part(60), part(41)]), "22023").names(&["101"]);
    upload.announce(0, (0, 0), &[part(60)])?;
    for first in [(1, 59), (1, 61), (2, 60), (-1, 0), (1, -60)] {
        refused(upload.announce(0, first, &[part(10)]), "22023");
    }
    refused(upload.announce(1, (0, 0), &[part(10)]), "42704").names(&["has no file 1"]);
    for length in [0, -5, i64::MAX - 60] {
        refused(upload.announce(0, (1, 60), &[Part { length, ..part(10) }]), "22023");
    }
    refused(upload.announce(0, (1, 60), &[Part { modality: "text", ..part(10) }]), "22023");
    refused(upload.announce(0, (1, 60), &vec![part(1); 65_537]), "22023");
    refused(upload.announce(0, (1, 60), &[]), "22023");
    upload.announce(0, (1, 60), &[part(40)])?;
    Ok(())
}

#[test]
fn what_was_not_announced_is_refused() -> Result<()> {
    let db = Database::shared()?;
    let (said, other) = (noise(1, 5000), noise(2, 5000));
    let mut upload = Upload::begin(db.client()?, "m", &[("f", 5000)])?;
    upload.announce_file(0, &[Part::of(&said)])?;
    refused(upload.send_honestly(&[&other]), "22023").names(&["not announced", &ContentHash::of(&other).to_string()]);
    refused(upload.send_part(ContentHash::of(&other), 0, &other), "22023").names(&["not announced"]);
    let unequal = "SELECT atoms.send_atoms($1, '{}', ARRAY['x'::bytea])";
    refused(upload.client.query(unequal, &[&upload.id]), "22023");
    let null = "SELECT atoms.send_atoms($1, ARRAY[NULL::atoms.content_hash], ARRAY['x'::bytea])";
    refused(upload.client.query(null, &[&upload.id]), "22023").names(&["NULL"]);
    let null = "SELECT atoms.send_atoms($1, ARRAY[atoms.hash_bytes('x')], ARRAY[NULL::bytea])";
    refused(upload.client.query(null, &[&upload.id]), "22023").names(&["NULL"]);
    assert_eq!(stored(&mut upload.client)?.atoms, 0);
    Ok(())
}

#[test]
fn an_import_that_is_not_complete_does_not_finish() -> Result<()> {
    let db = Database::shared()?;
    let parts = [noise(1, 5000), noise(2, 3000)];
    let mut upload = Upload::begin(db.client()?, "m", &[("one", 8000), ("two", 5000)])?;
    upload.announce_file(0, &parts.each_ref().map(|bytes| Part::of(bytes)))?;
    upload.announce_file(1, &[Part::of(&parts[0])])?;
    upload.send_honestly(&[&parts[0]])?;
    refused(upload.finish(), "55000").names(&["not complete", "1 parts", "\"one\""]);
    let hashed = upload.client.query_one("SELECT atoms.hash_import_file($1, 0)", &[&upload.id])?;
    assert!(!hashed.get::<_, bool>(0), "a part is missing");
    upload.send_honestly(&[&parts[1]])?;
    refused(upload.finish(), "55000").names(&["not hashed"]);
    upload.hash(0)?;
    upload.hash(1)?;
    // Fewer parts than the file has bytes.
    upload.announce(0, (0, 0), &[Part::of(&parts[1])])?;
    refused(upload.finish(), "55000");
    assert_eq!(value::<i64>(&mut upload.client, "SELECT count(*) FROM atoms.model")?, 0);
    upload.announce_file(0, &parts.each_ref().map(|bytes| Part::of(bytes)))?;
    upload.hash(0)?;
    upload.finish()?;
    assert_eq!(file_chunks(&mut upload.client, "m", "one")?, parts.concat());
    Ok(())
}

#[test]
fn announcing_other_parts_forgets_the_hash_of_the_file() -> Result<()> {
    let db = Database::shared()?;
    let (first, second) = (noise(1, 5000), noise(2, 5000));
    let mut upload = upload_all_but_finish(&db, "m", &first)?;
    upload.announce_file(0, &[Part::of(&second)])?;
    upload.send_honestly(&[&second])?;
    refused(upload.finish(), "55000").names(&["not hashed"]);
    upload.hash(0)?;
    upload.finish()?;
    assert_eq!(file_chunks(&mut upload.client, "m", "f")?, second);
    let hash: String = value(&mut upload.client, "SELECT content_hash::text FROM atoms.model_file")?;
    assert_eq!(hash.parse(), Ok(ContentHash::of(&second)));
    Ok(())
}

#[test]
fn a_large_atom_goes_on_where_it_stopped() -> Result<()> {
    let db = Database::shared()?;
    let bytes = noise(1, 3 * PIECE + 5000);
    let (hash, files) = (ContentHash::of(&bytes), [("f", bytes.len() as i64)]);
    let mut upload = Upload::begin(db.client()?, "m", &files)?;
    let id = upload.id;
    upload.announce_file(0, &[Part::of(&bytes)])?;
    assert_eq!(upload.send_part(hash, 0, &bytes[..PIECE])?, PIECE as i64);
    drop(upload);

    let mut upload = resume(&db, id, &files)?;
    assert_eq!(upload.missing()?[0].received_bytes, PIECE as i64);
    for start in [1, PIECE as i64 - 1, 2 * PIECE as i64, -1] {
        refused(upload.send_part(hash, start, &bytes[PIECE..2 * PIECE]), "22023");
    }
    upload.send_part(hash, PIECE as i64, &bytes[PIECE..2 * PIECE])?;
    refused(upload.send_part(hash, 2 * PIECE as i64, &bytes[PIECE..]), "22023").names(&["length"]);
    // A lie in the last call leaves what was there before it.
    let mut lie = bytes[2 * PIECE..].to_vec();
    lie[17] ^= 1;
    refused(upload.send_part(hash, 2 * PIECE as i64, &lie), "22023").names(&["hash", &hash.to_string()]);
    assert_eq!(upload.missing()?[0].received_bytes, 2 * PIECE as i64);
    assert_sound(&mut upload.client)?;
    upload.send_part(hash, 2 * PIECE as i64, &bytes[2 * PIECE..])?;
    assert_eq!(upload.missing()?, []);
    upload.hash(0)?;
    upload.finish()?;
    assert_eq!(file_chunks(&mut upload.client, "m", "f")?, bytes);
    assert_sound(&mut upload.client)
}

/// Begins an import again once the session that had it is gone.
fn resume(db: &Database, id: i64, files: &[(&str, i64)]) -> Result<Upload> {
    let mut client = db.client()?;
    let gone = format!("SELECT NOT atoms.import_is_active({id})");
    wait_until("the first session is gone", || value(&mut client, &gone))?;
    let upload = Upload::begin(client, "m", files)?;
    assert_eq!(upload.id, id, "the same import goes on");
    Ok(upload)
}

#[test]
fn a_large_atom_is_sent_again_from_its_first_byte() -> Result<()> {
    let db = Database::shared()?;
    let bytes = noise(1, 2 * PIECE);
    let hash = ContentHash::of(&bytes);
    let mut upload = Upload::begin(db.client()?, "m", &[("f", bytes.len() as i64)])?;
    upload.announce_file(0, &[Part::of(&bytes)])?;
    // A lie early on shows at the end only; then 0 begins again.
    upload.send_part(hash, 0, &noise(9, PIECE))?;
    refused(upload.send_part(hash, PIECE as i64, &bytes[PIECE..]), "22023").names(&["hash"]);
    upload.send_part(hash, 0, &bytes[..PIECE + 100])?;
    assert_sound(&mut upload.client)?;
    upload.send_part(hash, 0, &bytes[..PIECE])?;
    upload.send_part(hash, PIECE as i64, &bytes[PIECE..])?;
    assert_eq!(upload.send_part(hash, PIECE as i64, &bytes[PIECE..])?, 2 * PIECE as i64, "sent again: no lie");
    upload.hash(0)?;
    upload.finish()?;
    assert_eq!(file_chunks(&mut upload.client, "m", "f")?, bytes);
    assert_sound(&mut upload.client)
}

#[test]
fn the_loser_of_a_race_for_a_large_atom_takes_the_winners() -> Result<()> {
    let db = Database::shared()?;
    let bytes = noise(1, 2 * PIECE);
    let hash = ContentHash::of(&bytes);
    let mut uploads = ["m1", "m2"].map(|model| {
        let client = db.client().expect("it runs");
        Upload::begin(client, model, &[("f", bytes.len() as i64)]).expect("a new name")
    });
    for upload in &mut uploads {
        upload.announce_file(0, &[Part::of(&bytes)])?;
        upload.send_part(hash, 0, &bytes[..PIECE])?;
    }
    for upload in &mut uploads {
        upload.send_part(hash, PIECE as i64, &bytes[PIECE..])?;
        upload.hash(0)?;
        upload.finish()?;
    }
    let mut client = db.client()?;
    assert_eq!(stored(&mut client)?.segments, (2 * PIECE).div_ceil(8112) as i64, "kept once");
    for model in ["m1", "m2"] {
        assert_eq!(file_chunks(&mut client, model, "f")?, bytes);
    }
    assert_sound(&mut client)
}

#[test]
fn two_clients_finishing_one_name_get_one_model_and_one_error() -> Result<()> {
    let db = Database::shared()?;
    for round in 0..5 {
        let model = format!("m{round}");
        let uploads =
            [1, 2].map(|seed| upload_all_but_finish(&db, &model, &noise(seed, 5000)).expect("both may begin"));
        let start = &Barrier::new(2);
        let finish = |mut upload: Upload| {
            start.wait();
            upload.finish()
        };
        let ended = thread::scope(|scope| {
            uploads.map(|upload| scope.spawn(move || finish(upload))).map(|thread| thread.join().expect("it ends"))
        });
        let (won, lost): (Vec<_>, Vec<_>) = ended.into_iter().partition(Result::is_ok);
        let (Ok([won]), Ok([lost])) = (<[_; 1]>::try_from(won), <[_; 1]>::try_from(lost)) else {
            panic!("not one won and one lost");
        };
        assert_eq!(won?, model);
        let refusal = refused(lost, "42710").names(&["exists already", &model]);
        assert!(refusal.hint.contains("abort_import"), "{refusal:?}");
        let visible = file_chunks(&mut db.client()?, &model, "f")?;
        assert!([1, 2].map(|seed| noise(seed, 5000)).contains(&visible), "one of the two, whole");
    }
    Ok(())
}

#[test]
fn only_its_owner_works_on_an_import() -> Result<()> {
    let db = Database::shared()?;
    let mut upload = upload_all_but_finish(&db, "m", &noise(1, 5000))?;
    let other = db.role("other", "")?;
    upload.client.execute("SELECT atoms.grant_access($1::text::name, 'write')", &[&other])?;
    let mut client = db.client_as(&other)?;
    let calls = [
        "SELECT atoms.claim_import($1)",
        "SELECT * FROM atoms.import_files($1)",
        "SELECT atoms.import_strategy($1)",
        "SELECT atoms.link_import_file($1, 0, atoms.hash_bytes('x'))",
        "SELECT atoms.announce_parts($1, 0, 0, 0, '{5}', ARRAY[atoms.hash_bytes('x')], '{file}')",
        "SELECT * FROM atoms.missing_atoms($1)",
        "SELECT * FROM atoms.next_missing($1, 0, 1)",
        "SELECT atoms.send_atoms($1, ARRAY[atoms.hash_bytes('x')], '{x}')",
        "SELECT atoms.send_atom_part($1, atoms.hash_bytes('x'), 0, 'x')",
        "SELECT atoms.import_bytes($1, 0, 0, 'x', '{1}', '{file}')",
        "SELECT atoms.hash_import_file($1, 0)",
        "SELECT atoms.finish_import($1)",
        "SELECT atoms.abort_import($1)",
    ];
    for call in calls {
        refused(client.query(call, &[&upload.id]), "42501").names(&["belongs to postgres"]);
        refused(client.query(call, &[&-1_i64]), "42704").names(&["import -1 does not exist"]);
    }
    // The same manifest is another import for somebody else.
    assert_ne!(Upload::begin(client, "m", &[("f", 5000)])?.id, upload.id);
    upload.finish()?;
    Ok(())
}

#[test]
fn a_model_that_exists_is_an_error_skipped_or_replaced() -> Result<()> {
    let db = Database::shared()?;
    let (old, new) = (noise(1, 5000), noise(2, 6000));
    db.import_bytes("m", "f", &old)?;
    let mut client = db.client()?;
    let files = [("f", 6000)];
    let wish = |on_exists| Wishes { model: "m", on_exists };
    refused(begin(&mut client, wish("error"), &files), "42710").names(&["\"m\" exists already"]);
    assert_eq!(begin(&mut client, wish("skip"), &files)?, None);
    refused(begin(&mut client, wish("maybe"), &files), "22023");

    let id = begin(&mut client, wish("replace"), &files)?.expect("it is to be replaced");
    let mut upload = Upload { client, id };
    upload.announce_file(0, &[Part::of(&new)])?;
    upload.send_honestly(&[&new])?;
    upload.hash(0)?;
    let mut reader = db.client()?;
    assert_eq!(file_chunks(&mut reader, "m", "f")?, old, "the old one stands until the new one is whole");
    upload.finish()?;
    assert_eq!(file_chunks(&mut reader, "m", "f")?, new);
    db.collect_all()?;
    assert_eq!(stored(&mut reader)?.bytes, 6000);

    // The same through the program.
    let file = db.file("f");
    std::fs::write(&file, &old).expect("writable");
    assert_eq!(db.run_atoms(&[&"import", &file, &"--name", &"m"]).code, Some(4));
    let skipped = db.atoms(&[&"import", &file, &"--name", &"m", &"--on-exists", &"skip"]);
    assert_eq!(skipped["status"], "skipped");
    db.atoms(&[&"import", &file, &"--name", &"m", &"--on-exists", &"replace"]);
    assert_eq!(file_chunks(&mut reader, "m", "f")?, old);
    Ok(())
}

#[test]
fn a_batch_above_its_limit_is_refused() -> Result<()> {
    const LIMIT: usize = 64 << 20;
    let db = Database::shared()?;
    let half = noise(1, LIMIT / 2);
    let one_more = noise(2, LIMIT / 2 + 1);
    let size = (half.len() + one_more.len()) as i64;
    let mut upload = Upload::begin(db.client()?, "m", &[("f", size)])?;
    upload.announce_file(0, &[Part::of(&half), Part::of(&one_more)])?;
    let too_much = [half.as_slice(), &one_more].concat();
    refused(upload.send_honestly(&[&half, &one_more]), "54000").names(&["67108865", "67108864"]);
    refused(upload.send_part(ContentHash::of(&half), 0, &too_much), "54000").names(&["67108865"]);
    assert_eq!(upload.send_honestly(&[&half])?, 1);
    Ok(())
}

#[test]
fn paths_that_lead_out_of_a_model_are_refused() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let long = "x".repeat(2001);
    let bad = [
        "",
        "/",
        "/etc/passwd",
        "..",
        ".",
        "../x",
        "a/..",
        "a/../b",
        "./a",
        "a/.",
        "a//b",
        "a/",
        "/a",
        "a\\b",
        "a\nb",
        "\u{7F}",
        &long,
    ];
    for path in bad {
        refused(begin(&mut client, Wishes { model: "m", on_exists: "error" }, &[(path, 1)]), "22023");
    }
    let together: [&[(&str, i64)]; 4] = [&[("a", 1), ("a", 1)], &[("a", 1), ("a/b", 1)], &[], &[("a", -1)]];
    for files in together {
        refused(begin(&mut client, Wishes { model: "m", on_exists: "error" }, files), "22023");
    }
    for model in ["", "a\nb", &"m".repeat(1001)] {
        refused(begin(&mut client, Wishes { model, on_exists: "error" }, &[("a", 1)]), "22023");
    }
    let odd = [("...", 1), ("..a", 1), ("a..", 1), ("a b", 1), ("c:d", 1), ("~", 1), (".hidden", 1)];
    begin(&mut client, Wishes { model: "odd", on_exists: "error" }, &odd)?;
    Ok(())
}

#[test]
fn odd_wishes_are_refused() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    for (arguments, words) in [
        ("'m', '{f}', '{1}', 'none'", "none"),
        ("'m', '{f}', '{1}', NULL", "NULL"),
        ("'m', '{f}', '{1}', 'chunk', 2048", "2048"),
        ("'m', '{f}', '{1}', 'chunk', 65537", "65537"),
        ("'m', '{f}', '{1}', 'chunk', 134217728", "134217728"),
        ("'m', '{f}', '{1,2}'", "size for each"),
        ("'m', '{f}', NULL", "size for each"),
        ("'m', '{f}', '{NULL}'", "size"),
        ("NULL, '{f}', '{1}'", "name"),
        ("'m', '{NULL}', '{1}'", "path"),
    ] {
        let begun = client.query(&format!("SELECT atoms.begin_import({arguments})"), &[]);
        let refusal = refused(begun, "22023");
        assert!(refusal.message.contains(words), "{arguments}: {refusal:?}");
    }
    Ok(())
}

#[test]
fn a_file_that_is_stored_is_linked_by_its_hash() -> Result<()> {
    let db = Database::shared()?;
    let bytes = noise(1, 50_000);
    db.import_bytes("first", "f", &bytes)?;
    let mut upload = Upload::begin(db.client()?, "m", &[("g", 50_000), ("h", 49_999)])?;
    let known = "SELECT size_known FROM atoms.import_files($1) ORDER BY file_no";
    let known: Vec<bool> = upload.client.query(known, &[&upload.id])?.iter().map(|row| row.get(0)).collect();
    assert_eq!(known, [true, false]);
    let mut link = |file_no: i32, hash: ContentHash| -> Result<bool, postgres::Error> {
        let query = "SELECT atoms.link_import_file($1, $2, $3::bytea)";
        Ok(upload.client.query_one(query, &[&upload.id, &file_no, &hash.as_bytes().as_slice()])?.get(0))
    };
    assert!(!link(0, ContentHash::of(b"other"))?);
    assert!(!link(1, ContentHash::of(&bytes))?, "the size is another");
    assert!(link(0, ContentHash::of(&bytes))?);
    refused(link(2, ContentHash::of(&bytes)), "42704");
    upload.announce_file(1, &[Part::of(&bytes[..49_999])])?;
    upload.send_honestly(&[&bytes[..49_999]])?;
    upload.hash(1)?;
    upload.finish()?;
    assert_eq!(file_chunks(&mut upload.client, "m", "g")?, bytes);
    assert_sound(&mut upload.client)
}

/// Hashing waits for the lock of another session, and a third one stores the missing part meanwhile.
#[test]
fn hashing_beside_sending_sees_whole_parts_only() -> Result<()> {
    let db = Database::shared()?;
    let bytes = noise(1, 10_000);
    let mut upload = Upload::begin(db.client()?, "m", &[("f", 10_000)])?;
    upload.announce_file(0, &[Part::of(&bytes)])?;
    let mut holder = db.client()?;
    let mut held = holder.transaction()?;
    held.query("SELECT 1 FROM atoms.import_file WHERE import_id = $1 FOR UPDATE", &[&upload.id])?;
    let (id, mut hasher) = (upload.id, db.client()?);
    let hashing = thread::spawn(move || hasher.query_one("SELECT atoms.hash_import_file($1, 0)", &[&id]));
    let waiting = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')";
    let mut watcher = db.client()?;
    wait_until("hashing waits", || value(&mut watcher, waiting))?;
    upload.send_honestly(&[&bytes])?;
    held.commit()?;
    hashing.join().expect("no panic")?;
    upload.hash(0)?;
    upload.finish()?;
    assert_eq!(file_chunks(&mut upload.client, "m", "f")?, bytes);
    Ok(())
}
