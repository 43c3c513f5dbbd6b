//! A call of every routine that only reads.  A standby must answer them, and so must a role of the level `read`.

use pg_test::Result;
use postgres::{Client, SimpleQueryMessage};

use super::import::{TENSOR, import_bytes};
use super::vector_calls::{VECTOR_CALLS, prepare_embeddings};

/// Returns each routine that only reads with a call; the calls ask about what [`prepare`] stores.
pub fn read_calls() -> impl Iterator<Item = (&'static str, &'static str)> {
    READ_CALLS.into_iter().chain(VECTOR_CALLS)
}

const READ_CALLS: [(&str, &str); 63] = [
    ("access_rules", "SELECT * FROM atoms.access_rules()"),
    ("atom_hash", "SELECT atoms.atom_hash(atom_id) FROM atoms.atom"),
    ("atom_problem", "SELECT atoms.atom_problem(atom_id) FROM atoms.atom"),
    ("atom_slice", "SELECT atoms.atom_slice(atom_id, 1, 10) FROM atoms.atom"),
    ("atom_value", "SELECT atoms.hash_bytes(atoms.atom_value(atom_id)) FROM atoms.atom"),
    ("atom_value", "SELECT octet_length(atoms.atom_value(content_hash)) FROM atoms.atom"),
    ("backend_start", "SELECT atoms.backend_start() IS NULL"),
    ("bytea", "SELECT atoms.bytea(content_hash) FROM atoms.atom"),
    ("check_import", "SELECT atoms.check_import('x', '{a}', '{1}', 'tensor', 65536, 'error')"),
    ("check_model_name", "SELECT atoms.check_model_name('x')"),
    ("check_strategy", "SELECT atoms.check_strategy('cdc', 65536)"),
    ("chunk_tensor", "SELECT * FROM atoms.chunk_tensor('abc'::bytea)"),
    ("compare_tensors", "SELECT c.* FROM atoms.tensor t, atoms.compare_tensors(t.tensor_id, t.tensor_id) c"),
    ("content_hash", "SELECT atoms.content_hash(sha256('x'))"),
    ("content_hash_cmp", "SELECT atoms.content_hash_cmp(content_hash, content_hash) FROM atoms.atom"),
    ("content_hash_eq", "SELECT atoms.content_hash_eq(content_hash, content_hash) FROM atoms.atom"),
    ("content_hash_ge", "SELECT atoms.content_hash_ge(content_hash, content_hash) FROM atoms.atom"),
    ("content_hash_gt", "SELECT atoms.content_hash_gt(content_hash, content_hash) FROM atoms.atom"),
    ("content_hash_hash", "SELECT atoms.content_hash_hash(content_hash) FROM atoms.atom"),
    ("content_hash_hash_extended", "SELECT atoms.content_hash_hash_extended(content_hash, 7) FROM atoms.atom"),
    ("content_hash_le", "SELECT atoms.content_hash_le(content_hash, content_hash) FROM atoms.atom"),
    ("content_hash_lt", "SELECT atoms.content_hash_lt(content_hash, content_hash) FROM atoms.atom"),
    ("content_hash_ne", "SELECT atoms.content_hash_ne(content_hash, content_hash) FROM atoms.atom"),
    ("decode_values", "SELECT atoms.decode_values('\\x003c00c0', 'F16')"),
    ("dedup_report", "SELECT * FROM atoms.dedup_report()"),
    ("dedup_report", "SELECT * FROM atoms.dedup_report('one')"),
    ("describe_file", "SELECT atoms.describe_file('\\x02000000000000007b7d'::bytea)"),
    ("describe_file", "SELECT atoms.describe_file('one', 'model.safetensors', true)"),
    ("detect_format", "SELECT * FROM atoms.detect_format('GGUF'::bytea)"),
    ("detect_format", "SELECT * FROM atoms.detect_format('one'::text)"),
    ("diff_models", "SELECT * FROM atoms.diff_models('one', 'two')"),
    ("export_file_chunks", "SELECT sha256(atoms.export_file_chunks('one', 'model.safetensors'))"),
    ("export_model_chunks", "SELECT file, start, sha256(bytes) FROM atoms.export_model_chunks('two')"),
    ("extract_model_tensors", "SELECT * FROM atoms.extract_model_tensors('one'::text)"),
    ("extract_model_tensors", "SELECT * FROM atoms.extract_model_tensors('\\x02000000000000007b7d'::bytea)"),
    ("file_findings", "SELECT * FROM atoms.file_findings('one')"),
    ("file_id", "SELECT atoms.file_id('one', 'model.safetensors')"),
    ("find_tensor", "SELECT atoms.find_tensor('one', 'a')"),
    ("hash_bytes", "SELECT atoms.hash_bytes('x')"),
    ("import_grace", "SELECT atoms.import_grace()"),
    ("import_is_active", "SELECT atoms.import_is_active(1)"),
    ("is_referenced", "SELECT atoms.is_referenced(atom_id) FROM atoms.atom"),
    ("list_imports", "SELECT * FROM atoms.list_imports()"),
    ("model_formats", "SELECT * FROM atoms.model_formats()"),
    ("model_id", "SELECT atoms.model_id('one')"),
    ("model_metadata", "SELECT * FROM atoms.model_metadata('one')"),
    ("physical_bytes", "SELECT atoms.physical_bytes() > 0"),
    ("reconstruct_tensor", "SELECT sha256(atoms.reconstruct_tensor('one', 'a'))"),
    ("reference_count", "SELECT atom_id, atoms.reference_count(atom_id) FROM atoms.atom"),
    ("refuse_transaction_block", "CALL atoms.refuse_transaction_block('x', 'y')"),
    ("shared_atoms", "SELECT * FROM atoms.shared_atoms('one', 'two')"),
    ("tensor_slice", "SELECT atoms.tensor_slice('two', 'd', 100, 10)"),
    ("tensor_stats", "SELECT * FROM atoms.tensor_stats('one', 'b', 4)"),
    ("tensor_values", "SELECT atoms.tensor_values('one', 'b', 10, 5)"),
    ("verify_atoms", "SELECT * FROM atoms.verify_atoms()"),
    ("verify_atoms", "SELECT * FROM atoms.verify_atoms(0.5, now())"),
    ("verify_model", "SELECT * FROM atoms.verify_model('one')"),
    ("view atom_detail", "SELECT * FROM atoms.atom_detail"),
    ("view tensor_atom_coefficient", "SELECT * FROM atoms.tensor_atom_coefficient"),
    ("view tensor_detail", "SELECT * FROM atoms.tensor_detail"),
    ("view model_findings", "SELECT * FROM atoms.model_findings"),
    ("view model_summary", "SELECT * FROM atoms.model_summary"),
    (
        "operators",
        "SELECT content_hash FROM atoms.atom WHERE content_hash OPERATOR(atoms.=) atoms.hash_bytes('pinned')",
    ),
];

/// Routines that only read but open files of the server, so that they need more than a level.
pub const SERVER_FILE_CALLS: [&str; 6] = [
    "describe_server_file",
    "detect_server_file_format",
    "export_file",
    "export_model",
    "export_tensors",
    "extract_server_file_tensors",
];

/// Stores what the calls ask about.
pub fn prepare(client: &mut Client) -> Result<()> {
    prepare_models(client)?;
    prepare_embeddings(client)?;
    prepare_index(client)
}

/// Makes a table of vectors, with an index, that everybody may read, and lock against writers, as checking the index does.
fn prepare_index(client: &mut Client) -> Result<()> {
    Ok(client.batch_execute(
        "CREATE TABLE public.searched (v atoms.dimvec(2)); CREATE INDEX searched_v ON public.searched USING dimspace (v); \
         INSERT INTO public.searched VALUES ('[0.25,-1]'), ('[3,0.5]'), ('[0,0]'), (NULL); GRANT SELECT, TRUNCATE ON public.searched TO PUBLIC",
    )?)
}

/// Stores models, pins, relations and an unfinished import.
pub fn prepare_models(client: &mut Client) -> Result<()> {
    let one = fixtures::safetensors::random_model(
        7,
        &[("a", "U8", &[100_000]), ("b", "F32", &[5000, 3]), ("c", "U8", &[1500])],
    );
    let two = fixtures::safetensors::random_model(7, &[("c", "U8", &[1500]), ("d", "U8", &[30_000])]);
    import_bytes(client, "one", "model.safetensors", &one, TENSOR)?;
    import_bytes(client, "two", "model.safetensors", &two, TENSOR)?;
    client.batch_execute(
        "SELECT atoms.insert_atom_relation(atoms.upsert_atom('pinned', 'text'), atoms.insert_atom('code', 'sub', 'child', 'text', '{\"a\": 1}'), 'HAS')",
    )?;
    client.batch_execute("SELECT atoms.begin_import('unfinished', '{f,g}', '{5,7}')")?;
    Ok(())
}

/// Returns the rows of a query as text, in no order.
pub fn answer(client: &mut Client, query: &str) -> Result<Vec<String>, postgres::Error> {
    let messages = client.simple_query(query)?;
    let mut rows: Vec<String> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let columns: Vec<&str> = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL")).collect();
                Some(columns.join("|"))
            }
            _ => None,
        })
        .collect();
    rows.sort();
    Ok(rows)
}
