//! Levels of roles: what each may call, listed here by name, so that a new routine is refused until somebody decides.

use std::collections::BTreeMap;

use pg_test::Result;
use postgres::Client;

use crate::support::cli::run;
use crate::support::import::{TENSOR, import_bytes};
use crate::support::models::noise;
use crate::support::read_calls::{SERVER_FILE_CALLS, prepare, read_calls};
use crate::support::upload::{Part, Upload};
use crate::support::{Database, refused};

/// Input and output of types: for everybody, or no client could see a value.
const PUBLIC: [&str; 18] = [
    "content_hash_in",
    "content_hash_out",
    "content_hash_recv",
    "content_hash_send",
    "dim_point_in",
    "dim_point_out",
    "dim_point_recv",
    "dim_point_send",
    "dim_range_in",
    "dim_range_out",
    "dim_range_recv",
    "dim_range_send",
    "dimvec_in",
    "dimvec_out",
    "dimvec_recv",
    "dimvec_send",
    "dimvec_typmod_in",
    "dimvec_typmod_out",
];

const WRITE: [&str; 32] = [
    "abort_import",
    "announce_parts",
    "begin_import",
    "begin_server_import",
    "claim_import",
    "delete_embedding",
    "drop_embedding_model",
    "drop_model",
    "finish_import",
    "hash_import_file",
    "import_bytes",
    "import_files",
    "import_model",
    "import_model_at_once",
    "import_step",
    "import_strategy",
    "insert_atom",
    "insert_atom_relation",
    "insert_embedding",
    "insert_embeddings",
    "link_import_file",
    "missing_atoms",
    "next_missing",
    "register_embedding_model",
    "release_atom",
    "rename_model",
    "reread_model",
    "send_atom_part",
    "send_atoms",
    "set_dimension",
    "upsert_atom",
    "upsert_atoms",
];

const ADMIN: [&str; 8] = [
    "collect_atoms",
    "collect_imports",
    "grant_access",
    "revoke_access",
    "vacuum_all_atoms",
    "vacuum_atoms",
    "verify_all_atoms",
    "verify_step",
];

/// Called by other routines only.
const INTERNAL: [&str; 10] = [
    "change_dimension",
    "drop_segments",
    "hold_source_atoms",
    "index_embeddings",
    "index_tensors",
    "lock_for_partition",
    "put_embeddings",
    "record_parts",
    "record_verification",
    "write_atom_embedding",
];

/// What writers may do besides calling: the one view that takes rows.
const WRITTEN: [&str; 4] =
    ["atom_embedding DELETE", "atom_embedding INSERT", "atom_embedding UPDATE", "atom_embedding any column"];

/// Returns the lowest level that may call a routine: 0 everybody, 1 to 3 the levels, 4 nobody.
fn rank(name: &str) -> i32 {
    let reads = read_calls().any(|(called, _)| called == name) || SERVER_FILE_CALLS.contains(&name);
    match name {
        _ if PUBLIC.contains(&name) => 0,
        _ if reads => 1,
        _ if WRITE.contains(&name) => 2,
        _ if ADMIN.contains(&name) => 3,
        _ if INTERNAL.contains(&name) => 4,
        _ => panic!("nobody has decided who may call {name}"),
    }
}

/// Returns each routine of the schema and whether the role may call it.
fn may_call(client: &mut Client, role: &str) -> Result<BTreeMap<String, (String, bool)>> {
    let query = "SELECT p.oid::regprocedure::text, p.proname::text, has_function_privilege($1::text::name, p.oid, 'EXECUTE') \
                 FROM pg_proc p WHERE p.pronamespace = 'atoms'::regnamespace";
    let rows = client.query(query, &[&role])?;
    Ok(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect())
}

/// Returns every privilege that the role has on tables, views, sequences, columns and the schema.
fn relation_privileges(client: &mut Client, role: &str) -> Result<Vec<String>> {
    let query = "SELECT c.relname || ' ' || p.kind FROM pg_class c, \
             unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p (kind) \
         WHERE c.relnamespace = 'atoms'::regnamespace AND c.relkind IN ('r', 'v', 'p') AND has_table_privilege($1::text::name, c.oid, p.kind) \
         UNION ALL SELECT c.relname || ' any column' FROM pg_class c \
         WHERE c.relnamespace = 'atoms'::regnamespace AND c.relkind IN ('r', 'v', 'p') AND has_any_column_privilege($1::text::name, c.oid, 'INSERT, UPDATE, REFERENCES') \
         UNION ALL SELECT c.relname || ' sequence' FROM pg_class c \
         WHERE c.relnamespace = 'atoms'::regnamespace AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege($1::text::name, c.oid, 'USAGE, SELECT, UPDATE') END \
         UNION ALL SELECT 'schema ' || p.kind FROM unnest(ARRAY['USAGE', 'CREATE']) p (kind) WHERE has_schema_privilege($1::text::name, 'atoms', p.kind) \
         ORDER BY 1";
    Ok(client.query(query, &[&role])?.iter().map(|row| row.get(0)).collect())
}

/// Asserts that the role may call exactly the routines up to a rank, and read every table if that is above 0.
fn assert_reach(client: &mut Client, role: &str, reach: i32) -> Result<()> {
    for (routine, (name, allowed)) in may_call(client, role)? {
        assert_eq!(allowed, rank(&name) <= reach, "{role} and {routine}");
    }
    let relations =
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'atoms'::regnamespace AND relkind IN ('r', 'v', 'p')";
    let relations: i64 = client.query_one(relations, &[])?.get(0);
    let privileges = relation_privileges(client, role)?;
    if reach == 0 {
        assert_eq!(privileges, Vec::<String>::new());
    } else {
        let (reads, others): (Vec<&str>, Vec<&str>) = privileges
            .iter()
            .map(String::as_str)
            .partition(|kind| kind.ends_with(" SELECT") || *kind == "schema USAGE");
        assert_eq!(others, if reach > 1 { WRITTEN.as_slice() } else { &[] });
        assert_eq!(reads.len() as i64, relations + 1);
    }
    Ok(())
}

fn grant(client: &mut Client, role: &str, level: &str) -> Result<u64, postgres::Error> {
    client.execute("SELECT atoms.grant_access($1::text::name, $2)", &[&role, &level])
}

#[test]
fn a_plain_role_has_nothing() -> Result<()> {
    let db = Database::shared()?;
    let role = db.role("plain", "")?;
    let mut client = db.client()?;
    prepare(&mut client)?;
    assert_reach(&mut client, &role, 0)?;
    let mut plain = db.client_as(&role)?;
    for (_, call) in read_calls() {
        refused(plain.simple_query(call).map(drop), "42501");
    }
    for table in ["atom", "atom_segment", "model", "model_file", "atom_detail"] {
        refused(plain.query(&format!("SELECT * FROM atoms.{table}"), &[]), "42501");
    }
    // What PUBLIC has is what a role without any grant has.
    refused(plain.query("SELECT atoms.upsert_atom('x', 'text')", &[]), "42501");
    Ok(())
}

#[test]
fn a_level_gives_exactly_its_routines_and_revoking_takes_them() -> Result<()> {
    let db = Database::shared()?;
    let role = db.role("someone", "")?;
    let mut client = db.client()?;
    for (level, reach) in [("read", 1), ("write", 2), ("admin", 3), ("read", 1)] {
        grant(&mut client, &role, level)?;
        assert_reach(&mut client, &role, reach)?;
    }
    client.execute("SELECT atoms.revoke_access($1::text::name)", &[&role])?;
    assert_reach(&mut client, &role, 0)?;
    refused(grant(&mut client, &role, "superuser"), "22023").names(&["superuser"]);
    refused(grant(&mut client, "nobody_of_that_name", "read"), "42704").names(&["nobody_of_that_name"]);
    Ok(())
}

#[test]
fn the_documented_levels_are_the_ones_granted() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let rules = client.query(
        "SELECT p.proname::text, r.level FROM atoms.access_rules() r JOIN pg_proc p ON p.oid = r.routine",
        &[],
    )?;
    for row in rules {
        let (name, level): (String, String) = (row.get(0), row.get(1));
        let named = ["public", "read", "write", "admin", "internal"][rank(&name) as usize];
        assert_eq!(level, named, "{name}");
    }
    Ok(())
}

#[test]
fn readers_read_everything_and_write_nothing() -> Result<()> {
    let db = Database::shared()?;
    let role = db.role("reader", "")?;
    let mut client = db.client()?;
    prepare(&mut client)?;
    grant(&mut client, &role, "read")?;
    let mut reader = db.client_as(&role)?;
    for (name, call) in read_calls() {
        reader.simple_query(call).unwrap_or_else(|error| panic!("{name}: {call}: {error:?}"));
    }
    for call in [
        "SELECT atoms.upsert_atom('x', 'text')",
        "SELECT atoms.begin_import('m', '{f}', '{1}')",
        "SELECT atoms.drop_model('one')",
        "SELECT atoms.vacuum_atoms('0')",
        "SELECT atoms.grant_access(current_user, 'admin')",
        "SELECT atoms.record_verification(1, 2, now())",
        "INSERT INTO atoms.model (name) VALUES ('x')",
        "UPDATE atoms.atom SET size_bytes = 1",
        "DELETE FROM atoms.file_part",
        "TRUNCATE atoms.atom_segment",
        "SELECT nextval('atoms.atom_id_seq')",
        "SELECT atoms.register_embedding_model('x', 3)",
        "SELECT atoms.insert_embedding('words', 1, '[1,2,3,4]')",
        "SELECT atoms.set_dimension('words', 1, 0, 1)",
        "INSERT INTO atoms.atom_embedding (source_atom_id, dimension_index, dimension_value, model_id) VALUES (1, 0, 1, 1)",
        "DELETE FROM atoms.atom_embedding",
        "DELETE FROM atoms.embedding",
        "SELECT * FROM atoms.atom FOR KEY SHARE",
    ] {
        refused(reader.simple_query(call).map(drop), "42501");
    }
    let dir = tempfile::tempdir().expect("/tmp is writable");
    let ended = run(db.atoms_command().env("PGUSER", &role).args(["export", "one"]).arg(dir.path()));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    Ok(())
}

#[test]
fn writers_import_and_admins_collect() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let (writer, admin) = (db.role("writer", "")?, db.role("admin", "")?);
    grant(&mut client, &writer, "write")?;
    grant(&mut client, &admin, "admin")?;

    let bytes = noise(1, 100_000);
    let mut upload = Upload::begin(db.client_as(&writer)?, "by protocol", &[("f", 100_000)])?;
    upload.announce_file(0, &[Part::of(&bytes)])?;
    upload.send_part(Part::of(&bytes).hash, 0, &bytes)?;
    upload.hash(0)?;
    upload.finish()?;
    let mut client = upload.client;
    import_bytes(&mut client, "as bytes", "f", &bytes, TENSOR)?;
    client.batch_execute(
        "SELECT atoms.release_atom(atoms.upsert_atom('x', 'text')); SELECT atoms.insert_atom('text', NULL, 'y'); \
         SELECT atoms.insert_atom_relation(atoms.upsert_atom('parent', 'text'), atoms.upsert_atom('child', 'text'), 'HAS'); \
         SELECT atoms.upsert_atoms('{a,b}', 'text'); SELECT atoms.rename_model('as bytes', 'renamed'); SELECT atoms.drop_model('renamed'); \
         SELECT atoms.abort_import(atoms.begin_import('given up', '{f}', '{1}'))",
    )?;
    for call in [
        "SELECT atoms.vacuum_atoms('0')",
        "CALL atoms.vacuum_all_atoms('0')",
        "CALL atoms.verify_all_atoms()",
        "SELECT atoms.record_parts(1, 0, 0, 0, '{}', '{}', '{}')",
        "SELECT atoms.index_tensors(1)",
    ] {
        refused(client.simple_query(call).map(drop), "42501");
    }
    let mut client = db.client_as(&admin)?;
    for call in ["SELECT atoms.vacuum_atoms('0')", "CALL atoms.vacuum_all_atoms('0')", "CALL atoms.verify_all_atoms()"]
    {
        client.batch_execute(call)?;
    }
    refused(client.simple_query("SELECT atoms.index_tensors(1)").map(drop), "42501");
    grant(&mut client, &writer, "read")?;
    Ok(())
}

/// A role cannot smuggle functions of its own into routines that run as the extension's owner.
#[test]
fn routines_that_run_as_their_owner_pin_their_search_path() -> Result<()> {
    let db = Database::shared()?;
    let query = "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'atoms'::regnamespace AND p.prosecdef \
        AND NOT EXISTS (SELECT 1 FROM unnest(p.proconfig) c WHERE c ~ '^search_path=pg_catalog, (atoms, )?pg_temp$')";
    let open: Vec<String> = db.client()?.query(query, &[])?.iter().map(|row| row.get(0)).collect();
    assert_eq!(open, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_search_path_of_the_caller_changes_nothing() -> Result<()> {
    let db = Database::shared()?;
    let role = db.role("trickster", "")?;
    let mut client = db.client()?;
    grant(&mut client, &role, "write")?;
    prepare(&mut client)?;
    client.batch_execute(&format!("CREATE SCHEMA trap AUTHORIZATION {role}"))?;
    let mut trickster = db.client_as(&role)?;
    trickster.batch_execute(
        "CREATE FUNCTION trap.equal(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$; \
         CREATE OPERATOR trap.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.equal); \
         CREATE FUNCTION trap.same(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$; \
         CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.same); \
         CREATE TABLE trap.model (model_id int); CREATE TABLE trap.atom (atom_id int); \
         SET search_path = trap, pg_catalog",
    )?;
    for (name, call) in read_calls() {
        trickster.simple_query(call).unwrap_or_else(|error| panic!("{name}: {call}: {error:?}"));
    }
    import_bytes(&mut trickster, "trapped", "f", &noise(3, 10_000), TENSOR)?;
    trickster.batch_execute("SELECT atoms.drop_model('trapped'); SELECT atoms.upsert_atom('x', 'text')")?;
    Ok(())
}
