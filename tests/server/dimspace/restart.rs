//! What is left of an index after a crash.

use pg_test::{Cluster, Result};

use super::{add_rows, assert_sound, figure, make_table};
use crate::dimvec::session;
use crate::support::Database;

#[test]
fn a_crash_loses_nothing_that_was_committed() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder().setting("wal_consistency_checking = generic"))?;
    let mut client = session(&db)?;
    make_table(&mut client, "CREATE TABLE t (n int, v dimvec)", 5000)?;
    client.batch_execute("CREATE INDEX i ON t USING dimspace (v); CHECKPOINT")?;
    add_rows(&mut client, 5001, 9000)?;
    client.batch_execute("DELETE FROM t WHERE n % 4 = 0")?;
    client.batch_execute("VACUUM t")?;
    add_rows(&mut client, 20_000, 21_000)?;
    client.batch_execute("CREATE INDEX j ON t USING dimspace (v dimvec_l2_ops)")?;
    drop(client);
    db.cluster().kill9()?;
    db.cluster().start()?;
    let mut client = session(&db)?;
    client.batch_execute("DROP INDEX j")?;
    assert_sound(&mut client, "i")?;
    add_rows(&mut client, 30_000, 33_000)?;
    client.batch_execute("VACUUM t")?;
    assert_sound(&mut client, "i")
}

#[test]
fn an_unlogged_index_is_empty_after_a_crash_and_works() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder())?;
    let mut client = session(&db)?;
    make_table(&mut client, "CREATE UNLOGGED TABLE t (n int, v dimvec(8))", 5000)?;
    client.batch_execute("CREATE INDEX i ON t USING dimspace (v)")?;
    add_rows(&mut client, 5001, 7000)?;
    assert_sound(&mut client, "i")?;
    drop(client);
    db.cluster().kill9()?;
    db.cluster().start()?;
    let mut client = session(&db)?;
    assert_eq!(figure(&mut client, "i", "rows + odd_rows")?, 0);
    assert_sound(&mut client, "i")?;
    add_rows(&mut client, 1, 4000)?;
    assert_sound(&mut client, "i")
}
