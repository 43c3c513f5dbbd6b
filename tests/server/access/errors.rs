//! The SQLSTATEs that are promised for what goes wrong.

use pg_test::Result;
use postgres::Client;

use crate::support::import::{TENSOR, import_bytes};
use crate::support::read_calls::prepare;
use crate::support::{Database, refused};

/// SQLSTATE and statement; each names a thing that is not there, or says something false about one that is.
const REFUSED: [(&str, &str); 102] = [
    // No such model.
    ("42704", "SELECT atoms.model_id('none')"),
    ("42704", "SELECT atoms.file_id('none', 'f')"),
    ("42704", "SELECT atoms.drop_model('none')"),
    ("42704", "SELECT atoms.rename_model('none', 'other')"),
    ("42704", "SELECT * FROM atoms.shared_atoms('none', 'one')"),
    ("42704", "SELECT * FROM atoms.shared_atoms('one', 'none')"),
    ("42704", "SELECT * FROM atoms.extract_model_tensors('none'::text)"),
    ("42704", "SELECT atoms.find_tensor('none', 'a')"),
    ("42704", "SELECT atoms.reconstruct_tensor('none', 'a')"),
    ("42704", "SELECT atoms.tensor_slice('none', 'a', 0, 1)"),
    ("42704", "SELECT * FROM atoms.model_metadata('none')"),
    ("42704", "SELECT atoms.export_file_chunks('none', 'f')"),
    ("42704", "SELECT * FROM atoms.export_model_chunks('none')"),
    ("42704", "SELECT atoms.export_file('none', 'f', '/x')"),
    ("42704", "SELECT atoms.export_model('none', '/x')"),
    ("42704", "SELECT * FROM atoms.verify_model('none')"),
    ("42704", "SELECT * FROM atoms.dedup_report('none')"),
    ("42704", "SELECT * FROM atoms.detect_format('none'::text)"),
    ("42704", "SELECT atoms.describe_file('none', 'f')"),
    ("42704", "SELECT atoms.describe_file('one', 'none')"),
    ("42704", "SELECT * FROM atoms.file_findings('none')"),
    ("42704", "SELECT atoms.reread_model('none')"),
    ("42704", "SELECT atoms.tensor_values('none', 'a')"),
    ("42704", "SELECT atoms.tensor_values('one', 'none')"),
    ("42704", "SELECT * FROM atoms.tensor_stats('one', 'none')"),
    ("42704", "SELECT * FROM atoms.compare_tensors(0, 0)"),
    ("42704", "SELECT * FROM atoms.diff_models('one', 'none')"),
    ("42704", "SELECT atoms.export_tensors('none', '/x')"),
    // No such file of it.
    ("42704", "SELECT atoms.file_id('one', 'none')"),
    ("42704", "SELECT atoms.export_file_chunks('one', 'none')"),
    ("42704", "SELECT atoms.export_file('one', 'none', '/x')"),
    ("42704", "SELECT * FROM atoms.extract_model_tensors('one', 'none')"),
    ("42704", "SELECT * FROM atoms.model_metadata('one', 'none')"),
    ("42704", "SELECT * FROM atoms.verify_model('one', 'none')"),
    // No such tensor, atom, import.
    ("42704", "SELECT atoms.reconstruct_tensor('one', 'none')"),
    ("42704", "SELECT atoms.tensor_slice('one', 'none', 0, 1)"),
    ("42704", "SELECT atoms.find_tensor('one', 'model.safetensors::none')"),
    ("42704", "SELECT atoms.atom_value(9999999)"),
    ("42704", "SELECT atoms.atom_value(atoms.hash_bytes('none'))"),
    ("42704", "SELECT atoms.atom_slice(9999999, 0, 1)"),
    ("42704", "SELECT atoms.atom_hash(0)"),
    ("42704", "SELECT atoms.atom_hash(-1)"),
    ("42704", "SELECT atoms.atom_problem(9999999)"),
    ("42704", "SELECT atoms.reference_count(9999999)"),
    ("42704", "SELECT atoms.release_atom(9999999)"),
    ("42704", "SELECT atoms.insert_atom_relation(9999999, 1, 'HAS')"),
    ("42704", "SELECT atoms.abort_import(9999999)"),
    ("42704", "SELECT atoms.finish_import(9999999)"),
    // Out of the domain.
    ("22023", "SELECT atoms.upsert_atom(atoms.hash_bytes('x'), 'y', 'text')"),
    ("22023", "SELECT atoms.upsert_atom('x', 'poem')"),
    ("22023", "SELECT atoms.atom_slice(min(atom_id), -1, 1) FROM atoms.atom"),
    ("22023", "SELECT atoms.atom_slice(min(atom_id), 0, -1) FROM atoms.atom"),
    ("22023", "SELECT atoms.tensor_slice('one', 'a', -1, 1)"),
    ("22023", "SELECT * FROM atoms.chunk_tensor('x', 1000)"),
    ("22023", "SELECT * FROM atoms.verify_atoms(1.5)"),
    ("22023", "SELECT * FROM atoms.verify_atoms('NaN')"),
    ("22023", "SELECT * FROM atoms.vacuum_atoms('-1 second')"),
    ("22023", "SELECT atoms.find_tensor('twin', 'w')"),
    ("22023", "SELECT atoms.content_hash('short'::bytea)"),
    ("22023", "SELECT atoms.rename_model('one', '')"),
    ("22023", "SELECT atoms.tensor_values('one', 'a', -1, 1)"),
    ("22023", "SELECT atoms.tensor_values('one', 'a', 0, -1)"),
    ("22023", "SELECT * FROM atoms.tensor_stats('one', 'a', 0)"),
    ("22023", "SELECT * FROM atoms.tensor_stats('one', 'a', 10001)"),
    ("22023", "SELECT atoms.decode_values('xyz', 'F16')"),
    ("22023", "SELECT atoms.decode_values('xy', 'F17')"),
    ("22003", "SELECT atoms.decode_values('\\x0100000000002000', 'I64')"),
    ("0A000", "SELECT atoms.decode_values('12345678', 'C64')"),
    ("0A000", "SELECT atoms.export_tensors('one', '/x', 'onnx')"),
    ("0A000", "SELECT * FROM atoms.extract_model_tensors('x'::bytea, 'onnx')"),
    ("54000", "SELECT atoms.decode_values(convert_to(repeat('x', (16 << 20) + 1), 'UTF8'), 'U8')"),
    ("22P03", "SELECT * FROM atoms.extract_model_tensors('GGUF'::bytea, 'gguf')"),
    // Malformed.
    ("22P02", "SELECT 'xyz'::atoms.content_hash"),
    ("22P03", "SELECT * FROM atoms.extract_model_tensors('\\x0a000000000000007b'::bytea, 'safetensors')"),
    ("22P03", "SELECT * FROM atoms.extract_model_tensors('\\x03000000000000007b7d7d'::bytea)"),
    ("22P03", "SELECT * FROM atoms.extract_model_tensors(''::bytea, 'safetensors')"),
    // Already there, not supported, wrong state, not here.
    ("42710", "SELECT atoms.rename_model('one', 'two')"),
    ("42710", "SELECT atoms.import_model_at_once('one', 'f', 'x'::bytea)"),
    ("0A000", "SELECT * FROM atoms.extract_model_tensors('\\x00'::bytea, 'pickle')"),
    ("0A000", "SELECT * FROM atoms.extract_model_tensors('nothing known'::bytea)"),
    ("55000", "SELECT atoms.release_atom(min(atom_id)) FROM atoms.file_part"),
    ("2D000", "BEGIN; CALL atoms.import_model('m', '/x')"),
    ("2D000", "BEGIN; CALL atoms.vacuum_all_atoms()"),
    ("2D000", "BEGIN; CALL atoms.verify_all_atoms()"),
    ("55000", "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT atoms.vacuum_atoms('0')"),
    // Embeddings and vectors.
    ("42704", "SELECT atoms.embedding_model_id('none')"),
    ("42704", "SELECT atoms.reconstruct_vector('words', 9999999)"),
    ("42704", "SELECT atoms.insert_embedding('words', 9999999, '[1,2,3,4]'::atoms.dimvec)"),
    ("42704", "SELECT atoms.set_dimension('words', 9999999, 0, 1)"),
    ("42704", "SELECT * FROM atoms.dimension_stats('none')"),
    ("42710", "SELECT atoms.register_embedding_model('words', 4)"),
    ("54000", "SELECT atoms.register_embedding_model('new', 65536)"),
    ("22023", "SELECT atoms.register_embedding_model('new', 4, 'float8')"),
    ("22023", "SELECT atoms.insert_embeddings('words', '{1,NULL}', '{{1,2,3,4},{5,6,7,8}}'::real[])"),
    ("22023", "SELECT atoms.insert_embeddings('words', '{1}', '{1,2,3}'::real[])"),
    ("22023", "SELECT * FROM atoms.dimension_search('words', 4, 0)"),
    ("22023", "SELECT atoms.upsert_dimension_atom(0.5, 'float64')"),
    ("22023", "SELECT atoms.dimension_atom_value(1)"),
    ("22003", "SELECT atoms.upsert_dimension_atom('NaN'::real)"),
    ("22003", "SELECT atoms.upsert_dimension_atom(128, 'int8')"),
    ("0A000", "UPDATE atoms.atom_embedding SET dimension_index = 3 WHERE dimension_index = 0"),
    ("23502", "UPDATE atoms.atom_embedding SET dimension_value = NULL, dimension_atom_id = NULL, spatial_key = NULL"),
];

fn with_models() -> Result<(Database, Client)> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    prepare(&mut client)?;
    let file = fixtures::safetensors::random_model(1, &[("w", "U8", &[5])]);
    let dir = db.make_dir("twin");
    for name in ["x", "y"] {
        std::fs::write(dir.join(name), &file).expect("writable");
    }
    db.import("twin", &dir)?;
    Ok((db, client))
}

#[test]
fn each_fault_has_its_sqlstate() -> Result<()> {
    let (_db, mut client) = with_models()?;
    for (sqlstate, statement) in REFUSED {
        println!("{statement}");
        refused(client.simple_query(statement).map(drop), sqlstate);
        client.batch_execute("ROLLBACK")?;
    }
    Ok(())
}

#[test]
fn a_refusal_says_what_and_what_to_do() -> Result<()> {
    let (_db, mut client) = with_models()?;
    let mut hint = |statement: &str, sqlstate: &str, names: &[&str]| {
        let refusal = refused(client.simple_query(statement).map(drop), sqlstate).names(names);
        client.batch_execute("ROLLBACK").expect("it runs");
        refusal.hint
    };
    assert!(hint("SELECT atoms.model_id('none')", "42704", &["\"none\""]).contains("atoms.model"));
    let choices = hint("SELECT atoms.find_tensor('twin', 'w')", "22023", &["\"w\"", "\"twin\""]);
    assert!(choices.contains("x::w") && choices.contains("y::w"), "{choices}");
    let instead = hint("BEGIN; CALL atoms.import_model('m', '/x')", "2D000", &["import_model"]);
    assert!(instead.contains("import_model_at_once"), "{instead}");
    let how = hint("SELECT atoms.upsert_atom(atoms.hash_bytes('x'), 'y', 'text')", "22023", &["hash"]);
    assert!(how.contains("hash_bytes"), "{how}");
    hint("SELECT 'xyz'::atoms.content_hash", "22P02", &["xyz", "64"]);
    Ok(())
}

#[test]
fn an_ambiguous_tensor_is_named_with_its_file() -> Result<()> {
    let (_db, mut client) = with_models()?;
    let row = client.query_one("SELECT octet_length(atoms.reconstruct_tensor('twin', 'y::w'))", &[])?;
    assert_eq!(row.get::<_, i32>(0), 5);
    Ok(())
}

#[test]
fn a_truncated_file_is_malformed_where_it_is_asked_for_and_stored_where_it_is_stored() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let file = fixtures::safetensors::random_model(1, &[("w", "F32", &[1000])]);
    let cut = &file[..file.len() - 1];
    let refusal = refused(client.query("SELECT * FROM atoms.extract_model_tensors($1::bytea)", &[&cut]), "22P03");
    let refusal = refusal.names(&["\"w\"", "past the end of the file"]);
    assert!(refusal.hint.contains("truncated"), "{refusal:?}");
    import_bytes(&mut client, "m", "f", cut, TENSOR)?;
    let note: String = client.query_one("SELECT note FROM atoms.model_file", &[])?.get(0);
    assert!(note.contains("past the end of the file"), "{note}");
    Ok(())
}
