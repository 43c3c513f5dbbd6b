//! The type `dimvec` as clients of a server see it: `crates/vector` proves the numbers, here they pass through SQL.

mod aggregates;
pub mod binary;
mod casts;
mod cost;
mod damage;
mod distances;
mod dump;
mod parity;
mod pgvector;
mod plans;
mod point;
mod replication;
mod text;

use pg_test::Result;
use postgres::{Client, SimpleQueryMessage};

use crate::support::Database;

/// The element types in the order of their numbers.
const ELEMENTS: [&str; 6] = ["float32", "float16", "bfloat16", "int8", "uint8", "float64"];

/// Returns a session that finds the type without its schema.
pub fn session(db: &Database) -> Result<Client> {
    let mut client = db.client()?;
    client.batch_execute("SET search_path = public, atoms")?;
    Ok(client)
}

/// Returns a session in a database that has pgvector and the casts too.
pub fn session_beside_pgvector(db: &Database) -> Result<Client> {
    let mut client = session(db)?;
    client.batch_execute("CREATE EXTENSION vector; CREATE EXTENSION pg_atoms_vector")?;
    Ok(client)
}

/// Makes the table `t` of vectors of all element types, `n` being their number: 1 to 700 dimensions, so that some lie in the
/// row behind a short length word, some behind a long one, and some in TOAST; the last 60 are mostly zeros.
pub fn make_vectors(client: &mut Client) -> Result<()> {
    client.batch_execute(
        "SELECT setseed(0.25); \
         CREATE TABLE t (n int PRIMARY KEY, v dimvec); \
         INSERT INTO t SELECT n, (SELECT array_agg(CASE WHEN n > 300 AND random() < 0.9 THEN 0 ELSE random() * 100 END + 0 * d) \
                 FROM generate_series(1, CASE n % 3 WHEN 0 THEN 1 + n / 20 WHEN 1 THEN 40 + n / 10 ELSE 600 + n / 4 END) d)::float8[] \
             FROM generate_series(1, 360) n",
    )?;
    for (number, element) in ELEMENTS.iter().enumerate() {
        client.batch_execute(&format!("UPDATE t SET v = v::dimvec({element}) WHERE n / 3 % 6 = {number}"))?;
    }
    client.batch_execute("VACUUM FULL t")?;
    Ok(client.batch_execute("ANALYZE t")?)
}

/// Returns the rows of a query as text, in their order; the SQLSTATE in brackets where it fails.
pub fn rows(client: &mut Client, query: &str) -> Vec<String> {
    let messages = match client.simple_query(query) {
        Ok(messages) => messages,
        Err(error) => {
            let sqlstate = error.code().unwrap_or_else(|| panic!("{query}: {error:?}"));
            return vec![format!("({})", sqlstate.code())];
        }
    };
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let columns: Vec<&str> = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL")).collect();
            Some(columns.join("|"))
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// Asserts that each query gives one value, as text, or fails with the SQLSTATE in brackets.
#[track_caller]
pub fn assert_answers(client: &mut Client, cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        assert_eq!(rows(client, &format!("SELECT {expression}")), [*expected], "{expression}");
    }
}
