//! Many sessions write embeddings at once: nobody deadlocks, nothing that succeeded is lost, nothing is half there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pg_test::Result;
use postgres::Client;

use super::{begin, bytes_of, insert, random_floats, register, sources, stored_bytes};
use crate::support::oracle::value;
use crate::support::{Database, refused, wait_until};

/// Writers, source atoms, dimensions and rounds.
const WRITERS: usize = 8;
const SOURCES: usize = 60;
const DIMENSIONS: usize = 96;
const ROUNDS: usize = 25;

/// Returns the vector that a writer stores for a source atom in a round: all of it is this one number.
fn uniform(writer: usize, round: usize, place: usize) -> Vec<f32> {
    vec![(1 + writer * 10_000 + round * 100 + place) as f32 / 1024.0; DIMENSIONS]
}

fn sqlstate(error: &postgres::Error) -> String {
    error.code().map_or_else(|| format!("{error:?}"), |code| code.code().to_owned())
}

#[test]
fn two_sessions_write_different_dimensions_of_one_new_embedding() -> Result<()> {
    let (db, mut client) = begin()?;
    let source = sources(&mut client, 1)?[0];
    let model = register(&mut client, "m", 3, "float32")?;
    let mut one = db.client()?;
    let mut open = one.transaction()?;
    let dimension = "INSERT INTO atoms.atom_embedding (source_atom_id, dimension_index, dimension_value, model_id) VALUES ($1, $2, $3, $4)";
    open.execute(dimension, &[&source, &0i32, &0.5f64, &model])?;
    let mut other = db.client()?;
    let second = thread::spawn(move || other.execute(dimension, &[&source, &2i32, &0.25f64, &model]));
    wait_for_waiter(&mut client)?;
    open.commit()?;
    assert_eq!(second.join().expect("no panic")?, 1);
    assert_eq!(stored_bytes(&mut client, "m", source)?, bytes_of(&[0.5, 0.0, 0.25]));
    Ok(())
}

/// The one that comes second finds the dimension written, however early it began.
#[test]
fn two_sessions_cannot_both_insert_one_dimension() -> Result<()> {
    let (db, mut client) = begin()?;
    let source = sources(&mut client, 1)?[0];
    let model = register(&mut client, "m", 3, "float32")?;
    let mut one = db.client()?;
    let mut open = one.transaction()?;
    let dimension = "INSERT INTO atoms.atom_embedding (source_atom_id, dimension_index, dimension_value, model_id) VALUES ($1, 1, $2, $3)";
    open.execute(dimension, &[&source, &0.5f64, &model])?;
    let mut other = db.client()?;
    let second = thread::spawn(move || other.execute(dimension, &[&source, &0.25f64, &model]));
    wait_for_waiter(&mut client)?;
    open.commit()?;
    refused(second.join().expect("no panic"), "23505");
    assert_eq!(stored_bytes(&mut client, "m", source)?, bytes_of(&[0.0, 0.5, 0.0]));
    Ok(())
}

fn wait_for_waiter(client: &mut Client) -> Result<()> {
    let waiting = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')";
    wait_until("a session waits for a lock", || value(client, waiting))
}

/// Provenance is of the vector that is there: replacing it forgets also what another session was just changing.
#[test]
fn an_embedding_replaced_while_a_dimension_changes_keeps_no_provenance() -> Result<()> {
    let (db, mut client) = begin()?;
    let sources = sources(&mut client, 1)?;
    register(&mut client, "m", 2, "float32")?;
    insert(&mut client, "m", &sources, &bytes_of(&[1.0, 2.0]))?;
    let mut one = db.client()?;
    let mut open = one.transaction()?;
    open.query("SELECT atoms.set_dimension('m', $1, 0, 5)", &[&sources[0]])?;
    let mut other = db.client()?;
    let replaced = sources.clone();
    let second = thread::spawn(move || insert(&mut other, "m", &replaced, &bytes_of(&[3.0, 4.0])));
    wait_for_waiter(&mut client)?;
    open.commit()?;
    assert_eq!(second.join().expect("no panic")?, 1);
    assert_eq!(stored_bytes(&mut client, "m", sources[0])?, bytes_of(&[3.0, 4.0]));
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM atoms.dimension_change")?, 0);
    Ok(())
}

/// What a writer does in a round with sources from `from` on; wraps around, so that writers meet in other orders.
fn write_round(
    client: &mut Client,
    model: i64,
    ids: &[i64],
    writer: usize,
    round: usize,
) -> Result<(), postgres::Error> {
    let places: Vec<usize> = (0..20).map(|step| (writer * 7 + round * 13 + step * 11) % SOURCES).collect();
    let of = |place: &usize| ids[*place];
    match writer % 3 {
        0 | 1 => {
            let vectors: Vec<f32> = places.iter().flat_map(|place| uniform(writer, round, *place)).collect();
            let ids: Vec<i64> = places.iter().map(of).collect();
            insert(client, "m", &ids, &bytes_of(&vectors)).map(drop)
        }
        // Dimension 0 is this kind's own: insert_embeddings replaces whole vectors, so only the last set_dimension counts.
        _ => places.iter().map(of).try_for_each(|id| write_dimension(client, model, id, writer, round)),
    }
}

fn write_dimension(
    client: &mut Client,
    model: i64,
    id: i64,
    writer: usize,
    round: usize,
) -> Result<(), postgres::Error> {
    let number = -((1 + writer * 100 + round) as f64);
    if round.is_multiple_of(2) {
        let call = "SELECT atoms.set_dimension('m', $1, 0, $2, 'writer')";
        return client.query(call, &[&id, &number]).map(drop);
    }
    let update = "UPDATE atoms.atom_embedding SET dimension_value = $2 WHERE source_atom_id = $1 AND model_id = $3 AND dimension_index = 0";
    loop {
        match client.execute(update, &[&id, &number, &model]) {
            // Somebody changed it between what the statement saw and the write.
            Err(error) if sqlstate(&error) == "40001" => {}
            ended => return ended.map(drop),
        }
    }
}

/// What a statement saw and what it writes are one, or it says so: no increment is lost.
#[test]
fn increments_through_the_view_are_made_or_refused() -> Result<()> {
    let (db, mut client) = begin()?;
    let source = sources(&mut client, 1)?[0];
    register(&mut client, "m", 3, "float32")?;
    client.execute("SELECT atoms.insert_embedding('m', $1, '[0,1,2]')", &[&source])?;
    let increment = || {
        let mut client = db.client().expect("the server runs");
        let mut made = 0;
        for _ in 0..50 {
            let update =
                "UPDATE atoms.atom_embedding SET dimension_value = dimension_value + 1 WHERE dimension_index = 0";
            match client.execute(update, &[]) {
                Ok(_) => made += 1,
                Err(error) => assert_eq!(sqlstate(&error), "40001", "{error:?}"),
            }
        }
        made
    };
    let made: i32 = thread::scope(|scope| {
        let sessions: Vec<_> = (0..4).map(|_| scope.spawn(increment)).collect();
        sessions.into_iter().map(|session| session.join().expect("no panic")).sum()
    });
    assert!(made >= 50, "{made}");
    assert_eq!(stored_bytes(&mut client, "m", source)?, bytes_of(&[made as f32, 1.0, 2.0]));
    let changes: i64 = client.query_one("SELECT count(*) FROM atoms.dimension_change", &[])?.get(0);
    assert_eq!(changes, i64::from(made));
    Ok(())
}

/// Registers and drops other models until told to stop; returns how often.
fn register_and_drop(db: &Database, stop: &AtomicBool) -> Result<usize, postgres::Error> {
    let mut client = db.client().expect("the server runs");
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        for statement in
            ["SELECT atoms.register_embedding_model('other', 8)", "SELECT atoms.drop_embedding_model('other')"]
        {
            // Busy writers may keep the tables locked for longer than it waits; then nothing has happened.
            while let Err(error) = client.batch_execute(statement) {
                if sqlstate(&error) != "55P03" {
                    return Err(error);
                }
            }
        }
        rounds += 1;
    }
    Ok(rounds)
}

#[test]
fn eight_writers_into_one_model_neither_deadlock_nor_mix_vectors() -> Result<()> {
    let (db, mut client) = begin()?;
    let ids = sources(&mut client, SOURCES)?;
    let model = register(&mut client, "m", DIMENSIONS, "float32")?;
    let first: Vec<f32> = (0..SOURCES).flat_map(|place| uniform(9, 0, place)).collect();
    insert(&mut client, "m", &ids, &bytes_of(&first))?;
    let (stop, db, ids) = (&AtomicBool::new(false), &db, &ids);
    let registered = thread::scope(|scope| {
        let others = scope.spawn(move || register_and_drop(db, stop));
        let run = |writer| {
            scope.spawn(move || {
                let mut client = db.client().expect("the server runs");
                (0..ROUNDS).try_for_each(|round| write_round(&mut client, model, ids, writer, round))
            })
        };
        let writers: Vec<_> = (0..WRITERS).map(run).collect();
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        stop.store(true, Ordering::Relaxed);
        ended.into_iter().try_for_each(|ended| ended.expect("no panic"))?;
        others.join().expect("no panic")
    })?;
    println!("{registered} models came and went");
    assert!(registered > 0);
    for (place, id) in ids.iter().enumerate() {
        assert_one_of_the_inputs(&mut client, place, *id)?;
    }
    Ok(())
}

/// All but dimension 0 is one writer's number, and dimension 0 is that or what the last provenance says.
fn assert_one_of_the_inputs(client: &mut Client, place: usize, id: i64) -> Result<()> {
    let bytes = stored_bytes(client, "m", id)?;
    let floats: Vec<f32> =
        bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four"))).collect();
    let inputs = (0..10).flat_map(|writer| (0..ROUNDS).map(move |round| uniform(writer, round, place)[0]));
    assert!(inputs.into_iter().any(|input| input == floats[1]), "{} is nobody's", floats[1]);
    assert!(floats[1..].iter().all(|float| *float == floats[1]), "{floats:?} is of several");
    let last = "SELECT (SELECT new_value FROM atoms.dimension_change WHERE source_atom_id = $1 ORDER BY changed_at DESC LIMIT 1)";
    let last: Option<f64> = client.query_one(last, &[&id])?.get(0);
    assert_eq!(f64::from(floats[0]), last.unwrap_or(floats[1].into()), "{place}");
    Ok(())
}

#[test]
fn no_set_dimension_is_lost() -> Result<()> {
    let (db, mut client) = begin()?;
    let source = sources(&mut client, 1)?[0];
    register(&mut client, "m", 240, "float32")?;
    insert(&mut client, "m", &[source], &[0; 960])?;
    let db = &db;
    thread::scope(|scope| {
        let run = |writer: i32| {
            scope.spawn(move || {
                let mut client = db.client().expect("the server runs");
                (0..30).try_for_each(|step| {
                    let (dimension, number) = (step * 8 + writer, f64::from(step * 8 + writer + 1));
                    client
                        .query("SELECT atoms.set_dimension('m', $1, $2, $3)", &[&source, &dimension, &number])
                        .map(drop)
                })
            })
        };
        let writers: Vec<_> = (0..8).map(run).collect();
        writers.into_iter().try_for_each(|writer| writer.join().expect("no panic"))
    })?;
    let expected: Vec<f32> = (1..=240u16).map(f32::from).collect();
    assert_eq!(stored_bytes(&mut client, "m", source)?, bytes_of(&expected));
    let provenance =
        "SELECT count(*) FROM atoms.dimension_change WHERE old_value = 0 AND new_value = dimension_index + 1";
    assert_eq!(value::<i64>(&mut client, provenance)?, 240);
    Ok(())
}

/// Registering must not wait for ever, because whoever comes after it waits too.
#[test]
fn registering_waits_shortly_and_says_who_is_in_its_way() -> Result<()> {
    let (db, mut client) = begin()?;
    sources(&mut client, 1)?;
    let mut one = db.client()?;
    let mut open = one.transaction()?;
    open.query("SELECT atoms.upsert_atom('held', 'text')", &[])?;
    let before = everything(&mut client)?;
    let begun = Instant::now();
    let refusal = refused(register(&mut client, "late", 3, "float32"), "55P03");
    println!("refused after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(refusal.hint.contains("pg_stat_activity"), "{refusal:?}");
    assert_eq!(everything(&mut client)?, before);
    open.commit()?;
    register(&mut client, "late", 3, "float32")?;
    Ok(())
}

/// Counts relations, constraints, dependencies, types and rows.
fn everything(client: &mut Client) -> Result<Vec<i64>> {
    let counts = "SELECT ARRAY[(SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_constraint), (SELECT count(*) FROM pg_depend), \
                               (SELECT count(*) FROM pg_type), (SELECT count(*) FROM atoms.embedding_model)]";
    value(client, counts)
}

/// A writer that already holds its embedding and now wants atoms is not the one who loses.
#[test]
fn registering_and_dropping_give_way_to_a_writer_that_they_would_deadlock_with() -> Result<()> {
    for statement in ["SELECT atoms.register_embedding_model('new', 8)", "SELECT atoms.drop_embedding_model('old')"] {
        let (db, mut client) = begin()?;
        let ids = sources(&mut client, 1)?;
        register(&mut client, "m", 2, "float32")?;
        register(&mut client, "old", 2, "float32")?;
        insert(&mut client, "m", &ids, &bytes_of(&[1.0, 2.0]))?;
        let mut one = db.client()?;
        let mut open = one.transaction()?;
        // Locks the partition and not atom.
        open.batch_execute("UPDATE atoms.embedding SET value = value")?;
        let mut other = db.client()?;
        let second = thread::spawn(move || other.batch_execute(statement));
        wait_for_waiter(&mut client)?;
        // Wants atom, which the other has by now.
        open.batch_execute("LOCK TABLE atoms.atom IN ROW EXCLUSIVE MODE")?;
        open.commit()?;
        second.join().expect("no panic")?;
    }
    Ok(())
}

/// Atoms that nothing keeps: unlike those of `sources`, the collector takes them, with their embeddings.
fn orphans(client: &mut Client, round: usize) -> Result<Vec<i64>> {
    let values: Vec<Vec<u8>> = (0..40).map(|number| format!("orphan {round} {number}").into_bytes()).collect();
    let rows = client.query("SELECT id, atoms.release_atom(id) FROM atoms.upsert_atoms($1, 'text') id", &[&values])?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Stores embeddings of all of these atoms, or of none; until its transaction ends, all are there.
fn insert_and_look(client: &mut Client, ids: &[i64]) -> Result<bool, postgres::Error> {
    let mut open = client.transaction()?;
    let batch = open.query("SELECT atoms.insert_embeddings('m', $1, $2::bytea)", &[&ids, &vec![0u8; 8 * ids.len()]]);
    if let Err(error) = batch {
        assert_eq!(sqlstate(&error), "42704", "{error:?}");
        return Ok(false);
    }
    for _ in 0..3 {
        let there = "SELECT count(*), count(a.atom_id) FROM atoms.embedding e LEFT JOIN atoms.atom a ON a.atom_id = e.source_atom_id \
                     WHERE e.source_atom_id = ANY ($1)";
        let there = open.query_one(there, &[&ids])?;
        assert_eq!((there.get(0), there.get(1)), (ids.len() as i64, ids.len() as i64));
    }
    open.commit()?;
    Ok(true)
}

/// Writes to embeddings whose atoms may go at any moment; returns how many batches and single writes came through.
fn write_to_orphans(db: &Database, writer: usize) -> Result<(usize, usize)> {
    let mut client = db.client()?;
    let (mut batches, mut written) = (0, 0);
    for round in 0..30 {
        let ids = orphans(&mut client, writer * 1000 + round)?;
        batches += usize::from(insert_and_look(&mut client, &ids)?);
        for id in &ids {
            let calls = [
                "SELECT atoms.insert_embedding('m', $1, '[1,2]'::atoms.dimvec)",
                "SELECT atoms.set_dimension('m', $1, 0, 5)",
                "SELECT atoms.set_dimension('m', $1, 0, 6)",
                "SELECT atoms.delete_embedding('m', $1)",
            ];
            for call in calls {
                match client.query(call, &[id]) {
                    Ok(_) => written += 1,
                    Err(error) => assert_eq!(sqlstate(&error), "42704", "{call}: {error:?}"),
                }
            }
        }
    }
    Ok((batches, written))
}

#[test]
fn the_collector_and_writers_do_not_deadlock() -> Result<()> {
    let (db, mut client) = begin()?;
    register(&mut client, "m", 2, "float32")?;
    let (stop, db) = (&AtomicBool::new(false), &db);
    let written = thread::scope(|scope| -> Result<Vec<(usize, usize)>> {
        let collector = scope.spawn(move || {
            let mut client = db.client().expect("the server runs");
            let mut collected = 0;
            while !stop.load(Ordering::Relaxed) {
                let row = client.query_one("SELECT atoms FROM atoms.vacuum_atoms('0')", &[])?;
                collected += row.get::<_, i64>(0);
            }
            Ok::<i64, postgres::Error>(collected)
        });
        let writers: Vec<_> = (0..4).map(|writer| scope.spawn(move || write_to_orphans(db, writer))).collect();
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        stop.store(true, Ordering::Relaxed);
        let collected = collector.join().expect("no panic")?;
        println!("{collected} atoms were collected");
        assert!(collected > 0);
        ended.into_iter().map(|written| written.expect("no panic")).collect()
    })?;
    println!("batches and single writes that came through: {written:?}");
    assert!(written.iter().any(|(batches, _)| *batches > 0));
    db.collect_all()?;
    let left = "SELECT (SELECT count(*) FROM atoms.embedding) + (SELECT count(*) FROM atoms.dimension_change)";
    assert_eq!(value::<i64>(&mut client, left)?, 0);
    Ok(())
}

/// Until its transaction ends, an insert keeps the atoms of its embeddings.
#[test]
fn the_collector_takes_no_atom_whose_embedding_is_being_stored() -> Result<()> {
    let (db, mut client) = begin()?;
    register(&mut client, "m", 2, "float32")?;
    let ids = orphans(&mut client, 0)?;
    let mut one = db.client()?;
    let mut open = one.transaction()?;
    let vectors = bytes_of(&random_floats(1, 2 * ids.len()));
    open.query("SELECT atoms.insert_embeddings('m', $1, $2::bytea)", &[&ids, &vectors])?;
    client.batch_execute("SET lock_timeout = '5s'")?;
    assert_eq!(value::<i64>(&mut client, "SELECT atoms FROM atoms.vacuum_atoms('0')")?, 0);
    open.commit()?;
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM atoms.embedding")?, ids.len() as i64);
    Ok(())
}
