//! Embeddings in the store: bytes on disk, storing, getting back.

use postgres::Client;

use super::literal::{self, Literal};
use super::{Costs, Data};
use crate::args::Args;
use crate::row::{Goal, Row, round};
use crate::support::backend::{Backend, Cost};
use crate::support::vectors::{Vectors, little_endian};
use crate::support::{Bench, Database, Failure, Result};

const BYTES: &str = "embedding/bytes-per-float";
const LOAD: &str = "embedding/load";
const RECONSTRUCT: &str = "embedding/reconstruct";

/// What a float32 takes.
const FLOAT_BYTES: f64 = 4.0;
/// Bytes for a float, with everything around it.
const BYTES_AT_MOST: f64 = 4.35;
/// Time of a vector, as a part of the literal tables'.
const TIME_AT_MOST: f64 = 0.01;

/// Vectors of a call.
const BATCH: usize = 1_000;
/// Vectors that one turn of ours stores.
const LOADED: usize = 10_000;
/// Vectors of the literal tables, whose time and bytes per vector do not shrink with more of them.
const LITERAL: usize = 1_000;
/// So often one turn of ours reads as many vectors: once is too short to be measured.
const READ_REPEATS: usize = 20;

/// Returns whether a row is asked for.
pub fn is_wanted(args: &Args) -> bool {
    [BYTES, LOAD, RECONSTRUCT].iter().any(|name| args.wants(name))
}

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench, data: &Data) -> Result<Vec<Row>> {
    let database = bench.new_database()?;
    let few = data.base.first(LITERAL)?;
    bench.say("embedding: storing");
    let mut store = Store::fill(&database, data)?;
    let mut literal = Literal::create(&database, &few)?;
    literal.load()?;
    literal.settle()?;
    let mut rows = Vec::new();
    if bench.args.wants(BYTES) {
        rows.push(bytes_row(&mut store, &mut literal, &data.base)?);
    }
    if bench.args.wants(RECONSTRUCT) {
        bench.say(RECONSTRUCT);
        rows.push(reconstruct_row(bench, &mut store, &mut literal, &few)?);
    }
    if bench.args.wants(LOAD) {
        bench.say(LOAD);
        rows.push(load_row(bench, &mut store, &mut literal, &data.base)?);
    }
    Ok(rows)
}

fn bytes_row(store: &mut Store, literal: &mut Literal, base: &Vectors) -> Result<Row> {
    let ours = store.disk_bytes()? as f64 / base.floats() as f64;
    let row = Row::new(BYTES, ours, "bytes per float").against("raw float32", FLOAT_BYTES);
    Ok(row
        .goal(Some(Goal::AtMost(BYTES_AT_MOST / FLOAT_BYTES)))
        .detail("embeddings", base.count())
        .detail("literal_bytes_per_float", round(literal.bytes_per_float()?))
        .detail("literal_embeddings", LITERAL))
}

fn load_row(bench: &Bench, store: &mut Store, literal: &mut Literal, base: &Vectors) -> Result<Row> {
    let vectors = base.first(LOADED)?;
    let costs = Costs::of_turns(bench.args.rounds, || store.load(&vectors), || literal.load())?;
    Ok(row_per_vector(LOAD, &costs, LOADED).detail("embeddings", LOADED))
}

fn reconstruct_row(bench: &Bench, store: &mut Store, literal: &mut Literal, few: &Vectors) -> Result<Row> {
    // What is read the first time is still in nobody's buffers.
    store.reconstruct(few)?;
    literal.reconstruct()?;
    let costs = Costs::of_turns(bench.args.rounds, || store.reconstruct(few), || literal.reconstruct())?;
    Ok(row_per_vector(RECONSTRUCT, &costs, few.count() * READ_REPEATS).detail("embeddings", few.count()))
}

/// Returns a row of microseconds per vector; `ours` is how many vectors our turn has.
fn row_per_vector(name: &str, costs: &Costs, ours: usize) -> Row {
    let per = |vectors: usize| move |seconds: f64| seconds * 1e6 / vectors as f64;
    let row = costs.row(name, "CPU µs per embedding", literal::NAME, [per(ours), per(LITERAL)]);
    row.goal(Some(Goal::AtMost(TIME_AT_MOST))).detail("literal_embeddings", LITERAL)
}

/// A store with every embedding, as model `all`, and a connection.
struct Store {
    backend: Backend,
    model_id: i64,
    /// The sentences, in the order of the embeddings.
    atom_ids: Vec<i64>,
    /// How many models were loaded to be measured.
    loads: u32,
}

impl Store {
    fn fill(database: &Database, data: &Data) -> Result<Store> {
        let mut backend = Backend::connect(database, super::SEARCH_PATH)?;
        let atom_ids = store_texts(backend.client(), &data.texts)?;
        let model_id = register(backend.client(), "all", &data.base)?;
        let batches = batches(&atom_ids, &data.base);
        insert(backend.client(), "all", &batches)?;
        backend.client().batch_execute("VACUUM ANALYZE")?;
        Ok(Store { backend, model_id, atom_ids, loads: 0 })
    }

    /// Returns what the embeddings take, with their primary key; their index dimspace has rows of its own.
    fn disk_bytes(&mut self) -> Result<u64> {
        let partition = format!("atoms.embedding_{}", self.model_id);
        let index = format!("{partition}_dimspace");
        let size = "SELECT pg_total_relation_size($1::text::regclass) - pg_total_relation_size($2::text::regclass)";
        let bytes: i64 = self.backend.client().query_one(size, &[&partition, &index])?.get(0);
        Ok(u64::try_from(bytes).expect("sizes are not negative"))
    }

    /// Stores embeddings of a new model, which is dropped afterwards.
    fn load(&mut self, vectors: &Vectors) -> Result<Cost> {
        self.loads += 1;
        let model = format!("load {}", self.loads);
        register(self.backend.client(), &model, vectors)?;
        let batches = batches(&self.atom_ids, vectors);
        let cost = self.backend.measure(|client| insert(client, &model, &batches))?;
        self.backend.client().execute("SELECT drop_embedding_model($1)", &[&model])?;
        Ok(cost)
    }

    /// Reads the first embeddings again and again.
    fn reconstruct(&mut self, expected: &Vectors) -> Result<Cost> {
        let ids = &self.atom_ids[..expected.count()];
        let query = "SELECT source_atom_id, embedding::bytea FROM reconstruct_vectors('all', $1)";
        let mut found = Vec::new();
        let cost = self.backend.measure(|client| {
            for _ in 0..READ_REPEATS {
                found = client.query(query, &[&ids])?;
            }
            Ok(())
        })?;
        found.sort_by_key(|row| row.get::<_, i64>(0));
        let mut sorted: Vec<_> = ids.iter().zip(expected.iter()).collect();
        sorted.sort_by_key(|(id, _)| **id);
        let is_right = found.len() == sorted.len()
            && found.iter().zip(sorted).all(|(row, (_, vector))| row.get::<_, &[u8]>(1) == little_endian([vector]));
        if is_right { Ok(cost) } else { Err(Failure::new("the store returned other values")) }
    }
}

fn store_texts(client: &mut Client, texts: &[String]) -> Result<Vec<i64>> {
    let mut ids = Vec::with_capacity(texts.len());
    for batch in texts.chunks(BATCH) {
        let bytes: Vec<_> = batch.iter().map(String::as_bytes).collect();
        let rows = client.query("SELECT * FROM upsert_atoms($1, 'text')", &[&bytes])?;
        ids.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
    }
    Ok(ids)
}

fn register(client: &mut Client, model: &str, vectors: &Vectors) -> Result<i64> {
    let dimensions = vectors.floats() / vectors.count();
    let dimensions = i32::try_from(dimensions).expect("a vector of the bench has at most 65535 dimensions");
    Ok(client.query_one("SELECT register_embedding_model($1, $2)", &[&model, &dimensions])?.get(0))
}

/// Ids and values of each call.
fn batches<'a>(atom_ids: &'a [i64], vectors: &Vectors) -> Vec<(&'a [i64], Vec<u8>)> {
    let vectors: Vec<_> = vectors.iter().collect();
    let values = vectors.chunks(BATCH).map(|batch| little_endian(batch.iter().copied()));
    let ids = atom_ids[..vectors.len()].chunks(BATCH);
    ids.zip(values).collect()
}

fn insert(client: &mut Client, model: &str, batches: &[(&[i64], Vec<u8>)]) -> Result<()> {
    for (ids, values) in batches {
        client.query_one("SELECT insert_embeddings($1, $2, $3::bytea)", &[&model, ids, values])?;
    }
    Ok(())
}
