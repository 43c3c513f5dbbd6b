//! The peer of stored embeddings: every value of every vector a row that names an atom of four bytes, as the schema of single
//! dimensions would have it word for word. Its statements take whole sets, so that nobody pays for single calls.

use postgres::Client;

use crate::support::backend::{Backend, Cost};
use crate::support::vectors::Vectors;
use crate::support::{Database, Failure, Result, copy_fields};

/// What the rows call it.
pub const NAME: &str = "literal tables";

const SCHEMA: &str = "
    CREATE SCHEMA literal;
    CREATE TABLE literal.stage (source_atom_id bigint, dimension_index smallint, value real);
    CREATE TABLE literal.atom (
        atom_id bigserial PRIMARY KEY,
        content_hash bytea NOT NULL UNIQUE,
        atomic_value bytea NOT NULL,
        modality text NOT NULL,
        subtype text,
        reference_count bigint NOT NULL DEFAULT 1
    );
    CREATE TABLE literal.atom_embedding (
        atom_embedding_id bigserial PRIMARY KEY,
        source_atom_id bigint NOT NULL,
        dimension_index smallint NOT NULL,
        dimension_atom_id bigint NOT NULL,
        model_id int NOT NULL,
        spatial_key point NOT NULL,
        UNIQUE (source_atom_id, dimension_index, model_id)
    );
    CREATE INDEX ON literal.atom_embedding USING gist (spatial_key);
    CREATE INDEX ON literal.atom_embedding (model_id, dimension_index, (spatial_key[1]))";

const EMPTY: &str = "TRUNCATE literal.atom, literal.atom_embedding";

const LOAD: [&str; 2] = [
    "INSERT INTO literal.atom (content_hash, atomic_value, modality, subtype)
     SELECT sha256(bytes), bytes, 'embedding', 'float32'
     FROM (SELECT DISTINCT float4send(value) AS bytes FROM literal.stage) AS found
     ON CONFLICT (content_hash) DO NOTHING",
    "INSERT INTO literal.atom_embedding (source_atom_id, dimension_index, dimension_atom_id, model_id, spatial_key)
     SELECT s.source_atom_id, s.dimension_index, a.atom_id, 1, point(s.dimension_index, s.value)
     FROM literal.stage s JOIN literal.atom a ON a.content_hash = sha256(float4send(s.value))",
];

/// The values' bytes in their order: there is nothing cheaper to make a vector of.
const RECONSTRUCT: &str = "
    SELECT e.source_atom_id, string_agg(a.atomic_value, ''::bytea ORDER BY e.dimension_index)
    FROM literal.atom_embedding e JOIN literal.atom a ON a.atom_id = e.dimension_atom_id
    WHERE e.model_id = 1 AND e.source_atom_id = ANY($1)
    GROUP BY e.source_atom_id ORDER BY e.source_atom_id";

/// The tables, in a database of ours, with a connection.
pub struct Literal<'a> {
    backend: Backend,
    vectors: &'a Vectors,
}

impl Literal<'_> {
    /// Makes the tables, empty but for the stage that they are loaded from.
    pub fn create<'a>(database: &Database, vectors: &'a Vectors) -> Result<Literal<'a>> {
        let mut backend = Backend::connect(database, "SET work_mem = '256MB'; SET maintenance_work_mem = '256MB'")?;
        backend.client().batch_execute(SCHEMA)?;
        fill_stage(backend.client(), vectors)?;
        backend.client().batch_execute("ANALYZE literal.stage")?;
        Ok(Literal { backend, vectors })
    }

    /// Loads everything anew, in one transaction.
    pub fn load(&mut self) -> Result<Cost> {
        self.backend.client().batch_execute(EMPTY)?;
        let expected = self.vectors.floats() as u64;
        self.backend.measure(|client| {
            let mut transaction = client.transaction()?;
            transaction.execute(LOAD[0], &[])?;
            let rows = transaction.execute(LOAD[1], &[])?;
            transaction.commit()?;
            match rows == expected {
                true => Ok(()),
                false => Err(Failure::new(format!("the literal tables took {rows} values of {expected}"))),
            }
        })
    }

    /// Makes the tables as good to read as they can be.
    pub fn settle(&mut self) -> Result<()> {
        Ok(self.backend.client().batch_execute("VACUUM ANALYZE literal.atom, literal.atom_embedding")?)
    }

    /// Reads every vector.
    pub fn reconstruct(&mut self) -> Result<Cost> {
        let ids: Vec<i64> = (1..).take(self.vectors.count()).collect();
        let expected = self.vectors;
        self.backend.measure(|client| {
            let rows = client.query(RECONSTRUCT, &[&ids])?;
            let is_right = rows.len() == expected.count()
                && rows.iter().zip(expected.iter()).all(|(row, vector)| row.get::<_, &[u8]>(1) == big_endian(vector));
            if is_right { Ok(()) } else { Err(Failure::new("the literal tables returned other values")) }
        })
    }

    /// Returns what the tables take for a float, indexes included.
    pub fn bytes_per_float(&mut self) -> Result<f64> {
        let sizes = "SELECT pg_total_relation_size('literal.atom') + pg_total_relation_size('literal.atom_embedding')";
        let bytes: i64 = self.backend.client().query_one(sizes, &[])?.get(0);
        Ok(bytes as f64 / self.vectors.floats() as f64)
    }
}

fn fill_stage(client: &mut Client, vectors: &Vectors) -> Result<()> {
    let values = (1i64..).zip(vectors.iter()).flat_map(|(id, vector)| {
        let fields = |(place, value): (i16, &f32)| {
            [id.to_be_bytes().to_vec(), place.to_be_bytes().to_vec(), value.to_be_bytes().to_vec()]
        };
        (0i16..).zip(vector).map(fields).collect::<Vec<_>>()
    });
    copy_fields::copy(client, "COPY literal.stage FROM STDIN (FORMAT binary)", values)
}

/// As float4send writes them.
fn big_endian(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_be_bytes()).collect()
}
