//! Eight clients import overlapping models at once while the collector runs: nobody deadlocks, nothing is lost or doubled,
//! and nobody waits for another's whole import.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use atom::ContentHash;
use fixtures::safetensors::TensorSpec;
use pg_test::{Cluster, Result};

use crate::support::import::{TENSOR, hashes_of, model_chunks, stored_hashes};
use crate::support::models::{Hashes, files_below, noise, unequal_pages};
use crate::support::oracle::{assert_sound, stored, value};
use crate::support::turn::Turn;
use crate::support::upload::{Part, Upload};
use crate::support::{Database, refused, wait_until};

/// Most bytes of a batch.
const BATCH: usize = 64 << 20;
/// Tensors that models are made of, and their size.
const POOL: u64 = 24;
const TENSOR_BYTES: u64 = 4 << 20;
const CLIENTS: u64 = 8;
const ROUNDS: u64 = 2;

/// A model of one file that shares most of its tensors with others, in another order.
struct Model {
    name: String,
    /// The header, then the tensors.
    parts: Vec<Vec<u8>>,
}

impl Model {
    /// A tensor of its own that nearly fills a batch if the client speaks the protocol itself, then shared ones.
    fn new(client: u64, round: u64) -> Model {
        let turn = client * ROUNDS + round;
        let own_bytes = if speaks_protocol(client) { 60 << 20 } else { 5000 };
        // Steps of 7 through 24 visit 16 different tensors, each model from another place.
        let shared = (0..16).map(|step| (turn * 5 + step * 7) % POOL);
        let mut specs = vec![TensorSpec::new(100 + turn, "own", "U8", &[own_bytes])];
        specs.extend(shared.map(|number| TensorSpec::new(number, &format!("shared {number}"), "U8", &[TENSOR_BYTES])));
        let header = fixtures::safetensors::header(&specs, &[]);
        let payload = specs.iter().map(|spec| unequal_pages(spec.seed, spec.bytes() as usize));
        let parts = std::iter::once(fixtures::safetensors::file(header, b"")).chain(payload).collect();
        Model { name: format!("model {client} {round}"), parts }
    }

    fn hashes(&self) -> Hashes {
        Hashes::from([("model.safetensors".to_owned(), ContentHash::of(&self.parts.concat()))])
    }
}

/// Every second pair of clients speaks the protocol itself; the others are the program and the server.
fn speaks_protocol(client: u64) -> bool {
    client % 4 < 2
}

/// What a client of ours measured: full batches, and how long each took.
type Batches = Vec<Duration>;

/// Imports through the protocol, batch by batch; repeats a batch that the server asks to repeat.
fn import_by_protocol(db: &Database, model: &Model) -> Result<Batches> {
    let size: usize = model.parts.iter().map(Vec::len).sum();
    let mut upload = Upload::begin(db.client()?, &model.name, &[("model.safetensors", size as i64)])?;
    let parts: Vec<Part> = model.parts.iter().map(|bytes| Part::of(bytes)).collect();
    let bytes: BTreeMap<ContentHash, &[u8]> =
        parts.iter().zip(&model.parts).map(|(part, bytes)| (part.hash, bytes.as_slice())).collect();
    repeat(|| upload.announce_file(0, &parts))?;
    let mut batches = Batches::new();
    loop {
        // Full batches of what was missing at the announcement, so that clients meet at the same atoms.
        let missing = upload.missing()?;
        let mut batch: Vec<(ContentHash, &[u8])> = Vec::new();
        for atom in missing {
            if batch.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() + atom.size_bytes as usize <= BATCH {
                batch.push((atom.hash, bytes[&atom.hash]));
            }
        }
        if batch.is_empty() {
            break;
        }
        let full = batch.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > BATCH * 9 / 10;
        let begun = Instant::now();
        repeat(|| upload.send(&batch))?;
        if full {
            batches.push(begun.elapsed());
        }
    }
    upload.hash(0)?;
    upload.finish()?;
    Ok(batches)
}

/// Repeats what ends with 40001, and nothing else: a deadlock is a failure.
fn repeat<T>(mut batch: impl FnMut() -> Result<T, postgres::Error>) -> Result<T, postgres::Error> {
    loop {
        match batch() {
            Err(error) if error.code().is_some_and(|code| code.code() == "40001") => {}
            ended => return ended,
        }
    }
}

/// Samples who waits for a lock, until told to stop; returns the longest wait.
fn watch_waits(db: &Database, stop: &AtomicBool) -> Result<Duration> {
    let mut client = db.client()?;
    let waiting =
        "SELECT max(extract(epoch FROM clock_timestamp() - waitstart))::float8 FROM pg_locks WHERE NOT granted";
    let mut longest = 0.0_f64;
    while !stop.load(Ordering::Relaxed) {
        let wait: Option<f64> = client.query_one(waiting, &[])?.get(0);
        longest = longest.max(wait.unwrap_or_default());
        thread::sleep(Duration::from_millis(5));
    }
    Ok(Duration::from_secs_f64(longest))
}

/// Collects everything that nothing references, over and over.
fn collect_until(db: &Database, stop: &AtomicBool) -> Result<u64> {
    let mut client = db.client()?;
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        client.batch_execute("CALL atoms.vacuum_all_atoms('0')")?;
        rounds += 1;
    }
    Ok(rounds)
}

/// Imports a client's models one after the other; each way of importing is some client's.
fn run_client(db: &Database, number: u64, models: &[Model], dir: &Path) -> Result<Batches> {
    let mut batches = Batches::new();
    for model in models {
        let folder = dir.join(&model.name);
        match number % 4 {
            _ if speaks_protocol(number) => batches.extend(import_by_protocol(db, model)?),
            2 => drop(db.import_by_cli(&model.name, &folder, TENSOR)),
            _ => db.import(&model.name, &folder)?,
        }
    }
    // What a client drops, the collector takes from under the others.
    db.client()?.execute("SELECT atoms.drop_model($1)", &[&models[0].name])?;
    Ok(batches)
}

/// What a run of all clients, the collector and the watcher measured.
struct Measured {
    batches: Batches,
    longest_wait: Duration,
    collections: u64,
}

/// Runs everything at once, until the last client has ended.
fn run_all(db: &Database, models: &[Vec<Model>], dir: &Path) -> Result<Measured> {
    let stop = &AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(move || watch_waits(db, stop));
        let collector = scope.spawn(move || collect_until(db, stop));
        let run = |(number, models)| scope.spawn(move || run_client(db, number, models, dir));
        let clients: Vec<_> = (0..).zip(models.iter().map(Vec::as_slice)).map(run).collect();
        let ended: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        // Only now may a failed client end the test: the others would run on for ever.
        stop.store(true, Ordering::Relaxed);
        let (watched, collected) = (watcher.join(), collector.join());
        let batches: Vec<Batches> =
            ended.into_iter().map(|batches| batches.expect("no panic")).collect::<Result<_>>()?;
        let (longest_wait, collections) = (watched.expect("no panic")?, collected.expect("no panic")?);
        Ok(Measured { batches: batches.concat(), longest_wait, collections })
    })
}

#[test]
fn eight_importers_and_the_collector_neither_deadlock_nor_lose_nor_double() -> Result<()> {
    let _turn = Turn::alone();
    let db = Database::in_own_cluster(Cluster::builder().setting("max_wal_size = 8GB"))?;
    let dir = db.make_dir("models");
    let of_client = |client| (0..ROUNDS).map(|round| Model::new(client, round)).collect();
    let models: Vec<Vec<Model>> = (0..CLIENTS).map(of_client).collect();
    for model in models.iter().flatten() {
        write(&dir.join(&model.name), model);
    }
    let Measured { batches, longest_wait, collections } = run_all(&db, &models, &dir)?;
    let longest_batch = batches.iter().max().copied().unwrap_or_default();
    println!("{} full batches, the longest {longest_batch:?}; longest lock wait {longest_wait:?}", batches.len());
    println!("{collections} collections");
    assert!(!batches.is_empty() && collections > 1, "too little happened at once");
    assert!(longest_wait < longest_batch * 8, "somebody waited {longest_wait:?}; a batch took {longest_batch:?}");
    let left: Vec<&Model> = models.iter().flat_map(|models| &models[1..]).collect();
    assert_store_holds(&db, &left)
}

fn write(dir: &Path, model: &Model) {
    std::fs::create_dir(dir).expect("new");
    std::fs::write(dir.join("model.safetensors"), model.parts.concat()).expect("writable");
}

/// Compares everything with what the models themselves say must be there.
fn assert_store_holds(db: &Database, models: &[&Model]) -> Result<()> {
    let mut client = db.client()?;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(value::<i64>(&mut client, deadlocks)?, 0);
    db.collect_all()?;
    assert_sound(&mut client)?;
    let mut references: BTreeMap<String, i64> = BTreeMap::new();
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    for part in models.iter().flat_map(|model| &model.parts) {
        let hash = ContentHash::of(part).to_string();
        *references.entry(hash.clone()).or_default() += 1;
        sizes.insert(hash, part.len());
    }
    let counted = client.query("SELECT content_hash::text, atoms.reference_count(atom_id) FROM atoms.atom", &[])?;
    let counted: BTreeMap<String, i64> = counted.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(counted, references, "every atom, once, with every reference");
    let segments: usize = sizes.values().filter(|size| **size > 2000).map(|size| size.div_ceil(8112)).sum();
    assert_eq!(stored(&mut client)?.segments, segments as i64, "every payload once");
    for model in models {
        assert_eq!(stored_hashes(&mut client, &model.name)?, model.hashes());
        assert_eq!(hashes_of(&model_chunks(&mut client, &model.name)?), model.hashes(), "{}", model.name);
    }
    Ok(())
}

/// A reader that began before a model was dropped and collected still gets the whole of it.
#[test]
fn an_export_under_way_survives_drop_and_collection() -> Result<()> {
    let db = Database::shared()?;
    let bytes = noise(1, 20 << 20);
    db.import_bytes("m", "f", &bytes)?;
    let mut reader = db.client()?;
    let mut export = reader.transaction()?;
    let portal = export.bind("SELECT atoms.export_file_chunks('m', 'f')", &[])?;
    let mut found: Vec<u8> = Vec::new();
    for row in export.query_portal(&portal, 1)? {
        found.extend_from_slice(row.get(0));
    }
    let mut other = db.client()?;
    other.batch_execute("SELECT atoms.drop_model('m')")?;
    other.batch_execute("CALL atoms.vacuum_all_atoms('0')")?;
    other.batch_execute("VACUUM atoms.atom, atoms.atom_segment")?;
    assert_eq!(stored(&mut other)?.atoms, 0);
    for row in export.query_portal(&portal, 0)? {
        found.extend_from_slice(row.get(0));
    }
    assert!(found == bytes, "the reader got {} bytes, or others", found.len());
    Ok(())
}

/// Writing the same small atoms from many sessions at once stores each once.
#[test]
fn upserts_at_once_end_with_one_atom() -> Result<()> {
    let db = Database::shared()?;
    let db_ref = &db;
    let values: Vec<Vec<u8>> = (0..50).map(|seed| noise(seed, 1000 + 200 * seed as usize)).collect();
    let values_ref = &values;
    let ids: Vec<Vec<i64>> = thread::scope(|scope| {
        let upsert = move || -> Result<Vec<i64>> {
            let mut client = db_ref.client()?;
            let rows = repeat(|| client.query("SELECT atoms.upsert_atoms($1, 'text')", &[values_ref]))?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(upsert)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic").expect("no error")).collect()
    });
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "all got the same ids");
    let mut client = db.client()?;
    assert_eq!(stored(&mut client)?.atoms, 50);
    let pins = "SELECT count(*) FROM atoms.atom_pin";
    assert_eq!(value::<i64>(&mut client, pins)?, 400);
    assert_sound(&mut client)
}

/// The folder that a server-side import reads may be read by the program at the same time.
#[test]
fn the_same_model_by_server_and_program_at_once_is_one_payload() -> Result<()> {
    let db = Database::shared()?;
    let dir = db.make_dir("model");
    std::fs::write(dir.join("f"), noise(1, 30 << 20)).expect("writable");
    let (db_ref, dir_ref) = (&db, &dir);
    thread::scope(|scope| {
        let server = scope.spawn(move || db_ref.import("by the server", dir_ref).expect("it imports"));
        let program = scope.spawn(move || db_ref.import_by_cli("by the program", dir_ref, TENSOR));
        server.join().expect("no panic");
        program.join().expect("no panic");
    });
    let mut client = db.client()?;
    for model in ["by the server", "by the program"] {
        assert_eq!(hashes_of(&model_chunks(&mut client, model)?), files_below(&dir), "{model}");
    }
    assert_eq!(stored(&mut client)?.bytes, 30 << 20);
    assert_sound(&mut client)
}

/// Statements that reference the atom that nothing references; `{parent}` and `{orphan}` are ids.
const REFERENCING: [&str; 3] = [
    "SELECT atoms.announce_parts(atoms.begin_import('m', '{f}', '{6}'), 0, 0, 0, '{6}', ARRAY[atoms.hash_bytes('orphan')], '{file}')::bigint",
    "SELECT atoms.upsert_atom('orphan', 'text')",
    "SELECT atoms.insert_atom_relation({parent}, {orphan}, 'HAS')::bigint",
];

/// Stores an atom that nothing references; returns the statement with its ids, and its id.
fn with_orphan(db: &Database, statement: &str) -> Result<(String, i64)> {
    let mut client = db.client()?;
    let parent: i64 = value(&mut client, "SELECT atoms.upsert_atom('parent', 'text')")?;
    let orphan: i64 = value(&mut client, "SELECT atoms.upsert_atom('orphan', 'text')")?;
    client.execute("SELECT atoms.release_atom($1)", &[&orphan])?;
    let statement = statement.replace("{parent}", &parent.to_string()).replace("{orphan}", &orphan.to_string());
    Ok((statement, orphan))
}

#[test]
fn the_collector_passes_over_what_is_being_referenced() -> Result<()> {
    for statement in REFERENCING {
        let db = Database::shared()?;
        let (statement, orphan) = with_orphan(&db, statement)?;
        let (mut one, mut collector) = (db.client()?, db.client()?);
        let mut open = one.transaction()?;
        open.query(&statement, &[])?;
        collector.batch_execute("SET lock_timeout = '5s'")?;
        let collected: i64 = value(&mut collector, "SELECT atoms FROM atoms.vacuum_atoms('0')")?;
        assert_eq!(collected, 0, "{statement}");
        open.commit()?;
        let bytes = collector.query_one("SELECT atoms.atom_value($1::bigint)", &[&orphan])?;
        assert_eq!(bytes.get::<_, &[u8]>(0), b"orphan", "{statement}");
    }
    Ok(())
}

/// Whoever references an atom that the collector is about to delete waits for it, and then has no atom, or a new one.
#[test]
fn what_the_collector_takes_counts_as_missing() -> Result<()> {
    for (statement, collected) in REFERENCING.into_iter().flat_map(|statement| [(statement, true), (statement, false)])
    {
        let db = Database::shared()?;
        let (statement, orphan) = with_orphan(&db, statement)?;
        let (mut one, mut other) = (db.client()?, db.client()?);
        let mut open = one.transaction()?;
        open.query("SELECT atoms.vacuum_atoms('0')", &[])?;
        let text = statement.clone();
        let referencing = thread::spawn(move || -> Result<Option<i64>, postgres::Error> {
            let rows = repeat(|| other.query(&text, &[]))?;
            Ok(rows.first().map(|row| row.get(0)))
        });
        let waiting = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')";
        let mut watcher = db.client()?;
        wait_until("it waits for the collector", || value(&mut watcher, waiting))?;
        if collected {
            open.commit()?
        } else {
            open.rollback()?
        }
        let ended = referencing.join().expect("no panic");
        println!("{statement}, collected: {collected}: {ended:?}");
        match (statement.contains("announce"), statement.contains("upsert"), collected) {
            (true, _, true) => assert_eq!(ended?, Some(0), "part 0 is missing"),
            (true, _, false) => assert_eq!(ended?, None, "nothing is missing"),
            (_, true, true) => assert_ne!(ended?, Some(orphan), "it is stored anew"),
            (_, true, false) => assert_eq!(ended?, Some(orphan)),
            (_, _, true) => drop(refused(ended, "42704")),
            (_, _, false) => assert_eq!(ended?, Some(0), "the first child"),
        }
        assert_sound(&mut watcher)?;
    }
    Ok(())
}
