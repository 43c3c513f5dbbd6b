//! Long calls about embeddings end within a second of a cancel, and leave nothing.

use std::time::Duration;

use pg_test::Result;
use postgres::Client;

use super::{register, sources};
use crate::cancel::{cancel_at, quiet_cluster};
use crate::support::oracle::value;

const DIMENSIONS: usize = 65_535;
const EMBEDDINGS: usize = 1000;
const MOMENTS: [Duration; 3] = [Duration::from_millis(30), Duration::from_millis(200), Duration::from_millis(600)];

/// Puts a batch into a table of its own, so that the call has nothing to wait for but itself.
fn make_batch(client: &mut Client) -> Result<()> {
    let ids = sources(client, EMBEDDINGS)?;
    register(client, "m", DIMENSIONS, "float32")?;
    let vector: Vec<u8> = crate::support::models::noise(1, DIMENSIONS * 4).iter().map(|byte| byte & 0x3F).collect();
    client.batch_execute("CREATE TABLE batch (ids bigint[], one bytea, many bytea, numbers real[])")?;
    let put = "INSERT INTO batch SELECT $1, $2, (SELECT string_agg($2, ''::bytea) FROM generate_series(1, $3)), \
               (SELECT array_agg(atoms.float4_array(atoms.deserialize_vector($2))) FROM generate_series(1, 500))";
    client.execute(put, &[&ids, &vector, &(EMBEDDINGS as i32)])?;
    Ok(())
}

fn embeddings(client: &mut Client) -> Result<i64> {
    value(client, "SELECT (SELECT count(*) FROM atoms.embedding) + (SELECT count(*) FROM atoms.dimension_change)")
}

#[test]
fn a_batch_of_embeddings_leaves_nothing() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let mut client = db.client()?;
    make_batch(&mut client)?;
    let calls = [
        "SELECT atoms.insert_embeddings('m', ids, many) FROM batch",
        "SELECT atoms.insert_embeddings('m', ids[1:500], numbers) FROM batch",
        "SELECT atoms.insert_embeddings('m', ids, ARRAY(SELECT atoms.deserialize_vector(one) FROM generate_series(1, 1000))) FROM batch",
    ];
    for call in calls {
        for moment in MOMENTS {
            cancel_at(&db, call, moment)?;
            assert_eq!(embeddings(&mut client)?, 0);
        }
    }
    Ok(())
}

#[test]
fn figures_of_many_embeddings() -> Result<()> {
    let (_turn, db) = quiet_cluster()?;
    let mut client = db.client()?;
    make_batch(&mut client)?;
    client.batch_execute("SELECT atoms.insert_embeddings('m', ids, many) FROM batch")?;
    let calls = [
        "SELECT * FROM atoms.dimension_stats('m')",
        "SELECT dimension_index, mean FROM atoms.dimension_stats('m')",
        "SELECT * FROM atoms.dimension_importance('m')",
        "SELECT * FROM atoms.dimension_storage_report('m')",
        "SELECT count(dimension_atom_id) FROM atoms.atom_embedding",
    ];
    for call in calls {
        for moment in MOMENTS {
            // These need less than a second as a whole.
            cancel_at(&db, call, moment / 4)?;
            assert_eq!(embeddings(&mut client)?, EMBEDDINGS as i64);
        }
    }
    Ok(())
}
