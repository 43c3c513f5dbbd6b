//! What a file is, asked in every way SQL offers: given as bytes, stored, or lying on the server.

use std::collections::BTreeMap;
use std::path::Path;

use fixtures::detect::heads;
use fixtures::gguf::{Model, Value};
use pg_test::Result;
use postgres::Client;

use crate::support::import::import_bytes;
use crate::support::import::{TENSOR, file_chunks};
use crate::support::oracle::value;
use crate::support::{Database, refused};

/// Format, variant and reason.
type Detection = (String, Option<String>, String);

fn detected(client: &mut Client, query: &str, argument: &(dyn postgres::types::ToSql + Sync)) -> Result<Detection> {
    let row = client.query_one(&format!("SELECT format, variant, reason, confidence FROM {query}"), &[argument])?;
    let confidence: f64 = row.get(3);
    assert!((0.0..=1.0).contains(&confidence), "{confidence}");
    Ok((row.get(0), row.get(1), row.get(2)))
}

#[test]
fn every_kind_of_file_is_told_alike_as_bytes_stored_and_on_the_server() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    for head in heads() {
        println!("{}", head.name);
        let as_bytes = detected(&mut client, "atoms.detect_format($1::bytea)", &head.bytes)?;
        assert_eq!((&*as_bytes.0, as_bytes.1.as_deref()), (head.format, head.variant), "{}", head.name);
        assert!(head.reason.iter().all(|word| as_bytes.2.contains(word)), "{}: {}", head.name, as_bytes.2);
        let path = db.file("head");
        std::fs::write(&path, &head.bytes).expect("writable");
        let on_server = detected(&mut client, "atoms.detect_server_file_format($1)", &path.to_str())?;
        assert_eq!(on_server, as_bytes, "{}", head.name);
        import_bytes(&mut client, head.name, "f", &head.bytes, TENSOR)?;
        let stored = detected(&mut client, "atoms.detect_format($1::text)", &head.name)?;
        assert_eq!(stored, as_bytes, "{}", head.name);
    }
    Ok(())
}

#[test]
fn a_folder_is_told_by_its_names() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let folder = db.make_dir("pipeline");
    std::fs::write(folder.join("model_index.json"), "{}").expect("writable");
    let (format, ..) = detected(&mut client, "atoms.detect_server_file_format($1)", &folder.to_str())?;
    assert!(format.contains("diffusers"), "{format}");
    Ok(())
}

/// The README's table of formats, cell by cell.
fn table_of_readme() -> BTreeMap<String, Vec<String>> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).expect("readable");
    let lines = readme.lines().skip_while(|line| !line.starts_with("| format |")).skip(2);
    lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<String> = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
            (cells[0].clone(), cells[1..].to_vec())
        })
        .collect()
}

#[test]
fn the_readme_says_what_model_formats_says() -> Result<()> {
    let db = Database::shared()?;
    let query = "SELECT format, array_to_string(extensions, ', '), support FROM atoms.model_formats()";
    let rows = db.client()?.query(query, &[])?;
    let said: BTreeMap<String, Vec<String>> =
        rows.iter().map(|row| (row.get(0), vec![row.get(1), row.get(2)])).collect();
    assert_eq!(table_of_readme(), said);
    Ok(())
}

/// Support is what the functions do, not what a table says.
#[test]
fn formats_said_to_be_read_are_read_and_no_others() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    for row in client.query("SELECT format, support FROM atoms.model_formats()", &[])? {
        let (format, support): (String, String) = (row.get(0), row.get(1));
        let read = client.query("SELECT * FROM atoms.extract_model_tensors('x'::bytea, $1)", &[&format]);
        let state = read.expect_err("one byte is no file").code().expect("the server's").code().to_owned();
        assert_eq!(state == "22P03", support == "read", "{format}: {support}, {state}");
    }
    Ok(())
}

fn described() -> Model {
    Model::new()
        .with("general.architecture", Value::text("llama"))
        .with("general.name", Value::text("naïve"))
        .with("a.u64", Value::U64(u64::MAX))
        .with("a.i64", Value::I64(i64::MIN))
        .with("a.f32", Value::F32(0.1))
        .with("a.nan", Value::F64(f64::NAN))
        .with("a.bool", Value::Bool(true))
        .with("a.bytes", Value::text([0xFF, 0xFE]))
        .with("a.nul", Value::text("a\0b"))
        .with("a.list", Value::texts(["x", "", "y"]))
        .with("a.vocabulary", Value::texts((0..2000).map(|number| format!("token {number}"))))
        .tensor("blk.0.weight", "Q4_K", &[2, 256])
        .tensor("norm", "F32", &[3])
}

#[test]
fn a_description_is_exact_and_the_same_everywhere() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let bytes = described().bytes();
    import_bytes(&mut client, "m", "model.gguf", &bytes, TENSOR)?;
    let path = db.file("model.gguf");
    std::fs::write(&path, &bytes).expect("writable");
    client.batch_execute("CREATE TEMP TABLE d (j jsonb)")?;
    client.execute("INSERT INTO d SELECT atoms.describe_file($1::bytea)", &[&bytes])?;
    client.execute("INSERT INTO d SELECT atoms.describe_file('m', 'model.gguf')", &[])?;
    client.execute("INSERT INTO d SELECT atoms.describe_server_file($1)", &[&path.to_str()])?;
    assert_eq!(value::<i64>(&mut client, "SELECT count(DISTINCT j) FROM d")?, 1);
    let said: Vec<(&str, &str)> = vec![
        ("format", "\"gguf\""),
        ("variant", "\"v3\""),
        ("byte_order", "\"little\""),
        ("parameters", "515"),
        ("metadata,general.name", "\"naïve\""),
        ("metadata,a.u64", "18446744073709551615"),
        ("metadata,a.i64", "-9223372036854775808"),
        ("metadata,a.f32", "0.1"),
        ("metadata,a.nan", "\"NaN\""),
        ("metadata,a.bool", "true"),
        ("metadata,a.bytes", "{\"$hex\": \"fffe\"}"),
        ("metadata,a.nul", "{\"$hex\": \"610062\"}"),
        ("metadata,a.list", "[\"x\", \"\", \"y\"]"),
        ("metadata,a.vocabulary", "{\"$array\": \"string\", \"length\": 2000}"),
        ("tensors,0,dtype", "\"Q4_K\""),
        ("tensors,0,shape", "[2, 256]"),
        ("tensors,0,size_bytes", "288"),
        ("tensors,1,name", "\"norm\""),
        ("findings,0,rule", "\"string_not_utf8\""),
    ];
    for (path, expected) in said {
        let found: Option<String> = value(&mut client, &format!("SELECT (j #> '{{{path}}}')::text FROM d LIMIT 1"))?;
        assert_eq!(found.as_deref(), Some(expected), "{path}");
    }
    let full = "SELECT jsonb_array_length(atoms.describe_file('m', 'model.gguf', true) #> '{metadata,a.vocabulary}')";
    assert_eq!(value::<i32>(&mut client, full)?, 2000);
    let offset: i64 = value(&mut client, "SELECT (j #>> '{tensors,1,byte_offset}')::bigint FROM d LIMIT 1")?;
    let stored: i64 = value(&mut client, "SELECT byte_offset FROM atoms.tensor WHERE name = 'norm'")?;
    assert_eq!(offset, stored);
    let metadata = "SELECT value FROM atoms.model_metadata('m') WHERE key = 'a.list'";
    assert_eq!(value::<String>(&mut client, metadata)?, "[\"x\",\"\",\"y\"]");
    Ok(())
}

#[test]
fn a_refused_file_is_described_with_its_fault() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let bytes = described().bytes();
    let cut = &bytes[..bytes.len() - 64];
    let row = client.query_one(
        "SELECT j->>'format', j #>> '{error,message}', j #>> '{error,hint}', j #>> '{findings,0,rule}' \
         FROM atoms.describe_file($1::bytea) j",
        &[&cut],
    )?;
    let said = [0, 1, 2, 3].map(|column| row.get::<_, String>(column));
    assert_eq!((&*said[0], &*said[3]), ("gguf", "structure_refused"));
    assert!(said[1].contains("past the end of the file") && said[2].contains("truncated"), "{said:?}");
    Ok(())
}

/// A document takes many times the bytes of its file, so it is bounded before it is made.
#[test]
fn a_description_has_bounds() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let flags = |count| Value::Array(fixtures::gguf::types::BOOL, vec![Value::Bool(true); count]);
    let file = Model::new().with("a", flags(2 << 20)).with("b", flags((2 << 20) + 1)).bytes();
    let full = "SELECT jsonb_array_length(atoms.describe_file($1::bytea, $2) #> '{metadata,a}')";
    refused(client.query(full, &[&file, &true]), "54000").names(&["elements"]);
    client.query("SELECT atoms.describe_file($1::bytea)", &[&file])?;
    let names: Vec<String> = (0..100_001).map(|number| number.to_string()).collect();
    let tensors: Vec<_> = names.iter().map(|name| (name.as_str(), "U8", [0_u64].as_slice())).collect();
    let many = fixtures::safetensors::random_model(1, &tensors);
    refused(client.query("SELECT atoms.describe_file($1::bytea)", &[&many]), "54000").names(&["tensors"]);
    Ok(())
}

/// Two keys that SQL would show alike: neither hides the other.
#[test]
fn keys_with_nul_keep_their_values() -> Result<()> {
    let db = Database::shared()?;
    let file = Model::new().with("a\u{2400}", Value::U8(1)).with("a\0", Value::U8(2)).bytes();
    let query = "SELECT count(*) FROM jsonb_each(atoms.describe_file($1::bytea) -> 'metadata')";
    assert_eq!(db.client()?.query_one(query, &[&file])?.get::<_, i64>(0), 2);
    Ok(())
}

#[test]
fn findings_name_model_file_and_rule() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let odd = Model::new().aligned(4).tensor_at("a", "F32", &[1], 8).tensor_at(&"n".repeat(64), "F32", &[1], 64);
    import_bytes(&mut client, "odd", "model.gguf", &odd.bytes(), TENSOR)?;
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:\
        0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\nsize 42\n";
    import_bytes(&mut client, "pointer", "model.safetensors", pointer.as_bytes(), TENSOR)?;
    let rows =
        client.query("SELECT model, file, rule, severity FROM atoms.model_findings ORDER BY model, rule", &[])?;
    let found: Vec<String> =
        rows.iter().map(|row| [0, 1, 2, 3].map(|column| row.get::<_, &str>(column)).join(" ")).collect();
    let expected = [
        "odd model.gguf alignment_no_multiple_of_8 warning",
        "odd model.gguf architecture_missing error",
        "odd model.gguf name_too_long_for_ggml error",
        "odd model.gguf tensor_out_of_place error",
        "pointer model.safetensors lfs_pointer error",
    ];
    assert_eq!(found, expected);
    Ok(())
}

/// Two files that differ in metadata only: what they have in common is stored once, and each comes back.
#[test]
fn files_that_differ_in_metadata_share_vocabulary_and_tensors() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let of = |name: &str| described().with("general.finetune", Value::text(name));
    for name in ["chat", "a much longer name"] {
        import_bytes(&mut client, name, "model.gguf", &of(name).bytes(), TENSOR)?;
        assert_eq!(file_chunks(&mut client, name, "model.gguf")?, of(name).bytes());
    }
    let shared: Vec<i64> = client
        .query("SELECT size_bytes FROM atoms.shared_atoms('chat', 'a much longer name')", &[])?
        .iter()
        .map(|row| row.get(0))
        .collect();
    // The strings of the vocabulary with their lengths: "token 0" to "token 1999".
    let vocabulary: i64 = (0..2000).map(|number| 8 + format!("token {number}").len() as i64).sum();
    assert!(shared.iter().sum::<i64>() >= vocabulary + 288 + 12, "{shared:?} of {vocabulary}");
    Ok(())
}
