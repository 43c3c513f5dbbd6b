//! What was broken once.

use pg_test::Result;

use crate::dimvec::{rows, session};
use crate::support::Database;

#[test]
fn a_check_runs_the_functions_of_an_index_as_its_owner() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    let owner = db.role("owner", "")?;
    client.batch_execute(&format!(
        "SELECT grant_access('{owner}', 'read'); GRANT CREATE ON SCHEMA public TO {owner}; SET ROLE {owner}; \
         CREATE FUNCTION same(v dimvec) RETURNS dimvec LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN \
             IF current_user <> '{owner}' THEN RAISE '% runs what is not theirs', current_user; END IF; \
             PERFORM set_config('work_mem', '77MB', false); RETURN v; END $$; \
         CREATE TABLE t (v dimvec); CREATE INDEX i ON t USING dimspace ((same(v))); \
         INSERT INTO t VALUES ('[1,2]'), (NULL); RESET ROLE; RESET work_mem"
    ))?;
    let user = rows(&mut client, "SELECT current_user");
    assert!(rows(&mut client, "SELECT dimspace_check('i', true)").is_empty());
    assert_eq!(rows(&mut client, "SELECT current_user, current_setting('work_mem')"), [user.concat() + "|4MB"]);
    client.batch_execute("CREATE OR REPLACE FUNCTION same(v dimvec) RETURNS dimvec LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'no'; END $$")?;
    assert_eq!(rows(&mut client, "SELECT dimspace_check('i', true)"), ["(P0001)"]);
    assert_eq!(rows(&mut client, "SELECT current_user"), user);
    Ok(())
}
