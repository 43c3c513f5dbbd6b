//! Indexes over the types of pgvector.

use pg_test::Result;

use super::{add_rows, assert_sound, figure, make_table};
use crate::dimvec::session_beside_pgvector;
use crate::support::{Database, refused};

#[test]
fn columns_of_pgvector_are_indexed() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    for column in ["vector", "vector(8)", "halfvec", "halfvec(8)"] {
        for metric in ["cosine", "l2", "ip"] {
            let of = &column[..column.find('(').unwrap_or(column.len())];
            make_table(&mut client, &format!("DROP TABLE IF EXISTS t; CREATE TABLE t (n int, v {column})"), 3000)?;
            client.batch_execute(&format!("CREATE INDEX i ON t USING dimspace (v {of}_{metric}_ops)"))?;
            assert_sound(&mut client, "i")?;
            add_rows(&mut client, 3001, 4000)?;
            client.batch_execute("DELETE FROM t WHERE n % 7 = 0")?;
            client.batch_execute("VACUUM t")?;
            assert_sound(&mut client, "i")?;
        }
    }
    Ok(())
}

#[test]
fn dimensions_come_from_the_column() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session_beside_pgvector(&db)?;
    client.batch_execute("CREATE TABLE d (v vector(5), w vector); CREATE INDEX i ON d USING dimspace (v); CREATE INDEX j ON d USING dimspace (w)")?;
    assert_eq!((figure(&mut client, "i", "dimensions")?, figure(&mut client, "j", "dimensions")?), (5, 0));
    client.batch_execute("INSERT INTO d (w) VALUES ('[1,2]')")?;
    refused(client.batch_execute("INSERT INTO d (w) VALUES ('[1,2,3]')"), "22023");
    Ok(())
}
