//! The numbers in stored tensors: slices, statistics, differences, and tensors in another format.

use std::path::Path;
use std::process::Command;

use fixtures::gguf;
use fixtures::safetensors::random_model;
use pg_test::Result;
use postgres::Client;
use serde_json::Value;

use crate::support::import::{Strategy, TENSOR, import_bytes};
use crate::support::oracle::value;
use crate::support::read_calls::answer;
use crate::support::{Database, refused};

const CHUNKS: Strategy = Strategy { name: "chunk", chunk_bytes: 4096 };

/// A GGUF file with a tensor of every type, large enough for several segments and chunks.
fn every_type() -> gguf::Model {
    let model = gguf::Model::new();
    gguf::DTYPES.iter().fold(model, |model, (dtype, ..)| model.tensor(&format!("t.{dtype}"), dtype, &[12, 1024]))
}

/// Bits, because NaN equals nothing.
fn bits(values: Vec<f64>) -> Vec<u64> {
    values.into_iter().map(f64::to_bits).collect()
}

/// `tests/readers` proves that `decode_values` decodes as the reference does; here every slice of a stored tensor is that slice
/// of what its bytes decode to.
#[test]
fn slices_are_slices_of_what_the_bytes_decode_to() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    for (name, strategy) in [("whole", TENSOR), ("chunks", CHUNKS)] {
        import_bytes(&mut client, name, "model.gguf", &every_type().bytes(), strategy)?;
        for row in client.query("SELECT tensor, dtype FROM atoms.extract_model_tensors($1::text)", &[&name])? {
            let (tensor, dtype): (String, String) = (row.get(0), row.get(1));
            if dtype == "I64" {
                // Noise of 64 bits exceeds what float8 holds.
                refused(client.query("SELECT atoms.tensor_values($1, $2)", &[&name, &tensor]), "22003")
                    .names(&[&tensor]);
                continue;
            }
            let all = "SELECT atoms.decode_values(atoms.reconstruct_tensor($1, $2), $3)";
            let all = bits(client.query_one(all, &[&name, &tensor, &dtype])?.get(0));
            assert_eq!(all.len(), 12 * 1024);
            let whole = client.query_one("SELECT atoms.tensor_values($1, $2)", &[&name, &tensor])?;
            assert_eq!(bits(whole.get(0)), all, "{tensor}");
            for (start, count) in
                [(0, 1), (255, 2), (5000, 3000), (12_287, 1), (12_000, 5000), (12_288, 7), (99_999, 1)]
            {
                let slice = "SELECT atoms.tensor_values($1, $2, $3, $4)";
                let slice = client.query_one(slice, &[&name, &tensor, &(start as i64), &(count as i64)])?;
                let expected = &all[start.min(all.len())..(start + count).min(all.len())];
                assert_eq!(bits(slice.get(0)), expected, "{tensor} from {start}");
            }
        }
    }
    Ok(())
}

/// A big-endian file with the same numbers as its little-endian twin.
#[test]
fn big_endian_numbers_are_the_same_numbers() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let model = || gguf::Model::new().tensor("f", "F32", &[1000]).tensor("h", "I16", &[1000]);
    let little = model().bytes();
    let mut big = model().big_endian().bytes();
    let header = model().header().len();
    for (span, width) in model().spans().into_iter().zip([4, 2]) {
        let (start, end) = (header + span.start as usize, header + span.end as usize);
        big[start..end].chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    import_bytes(&mut client, "little", "model.gguf", &little, TENSOR)?;
    import_bytes(&mut client, "big", "model.gguf", &big, TENSOR)?;
    for tensor in ["f", "h"] {
        let values = |model: &str, client: &mut Client| -> Result<Vec<u64>> {
            Ok(bits(client.query_one("SELECT atoms.tensor_values($1, $2)", &[&model, &tensor])?.get(0)))
        };
        assert_eq!(values("big", &mut client)?, values("little", &mut client)?);
    }
    let layout = "SELECT string_agg(DISTINCT layout, ' ' ORDER BY layout) FROM atoms.tensor";
    assert_eq!(value::<String>(&mut client, layout)?, "big-endian contiguous");
    let differing = "SELECT count(*) FROM atoms.diff_models('little', 'big') WHERE status = 'changed' AND distance = 0";
    assert_eq!(value::<i64>(&mut client, differing)?, 2);
    Ok(())
}

/// Runs a statement; returns how many blocks it found in the buffers.
fn blocks_hit(client: &mut Client, statement: &str) -> Result<i64> {
    let plan = answer(client, &format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"))?;
    let plan: Value = serde_json::from_str(&plan[0]).expect("JSON");
    Ok(plan[0]["Plan"]["Shared Hit Blocks"].as_i64().expect("a count"))
}

#[test]
fn a_slice_reads_only_the_segments_it_needs() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let bytes = random_model(1, &[("t", "U8", &[(16 << 20) + 1])]);
    import_bytes(&mut client, "m", "model.safetensors", &bytes, TENSOR)?;
    // The first run fills the caches of the catalogs.
    let slice = "SELECT atoms.tensor_values('m', 't', 9000000, 10)";
    client.query(slice, &[])?;
    let blocks = blocks_hit(&mut client, slice)?;
    assert!(blocks < 100, "{blocks} blocks for ten values of a tensor of 2,000");
    let all = refused(client.query("SELECT atoms.tensor_values('m', 't')", &[]), "54000");
    assert!(all.hint.contains("start"), "{all:?}");
    let most = "SELECT cardinality(atoms.tensor_values('m', 't', 1))";
    assert_eq!(value::<i32>(&mut client, most)?, 16 << 20);
    Ok(())
}

#[test]
fn statistics_are_those_of_the_values() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    import_bytes(&mut client, "m", "model.gguf", &every_type().bytes(), CHUNKS)?;
    for dtype in ["Q4_0", "F16", "I8", "F64", "BF16"] {
        let tensor = format!("t.{dtype}");
        let query = "WITH v AS (SELECT v FROM unnest(atoms.tensor_values('m', $1)) v), \
                f AS (SELECT v FROM v WHERE v NOT IN ('NaN', 'Infinity', '-Infinity')) \
            SELECT s.count = (SELECT count(*) FROM v) AND s.zeros = (SELECT count(*) FROM v WHERE v = 0) \
               AND s.nans = (SELECT count(*) FROM v WHERE v = 'NaN') AND s.infinities = (SELECT count(*) FROM v WHERE abs(v) = 'Infinity'), \
               s.min = (SELECT min(v) FROM f) AND s.max = (SELECT max(v) FROM f), \
               (SELECT sum(h) FROM unnest(s.histogram) h) = (SELECT count(*) FROM f), cardinality(s.histogram) = 7, s.mean, s.deviation, \
               (SELECT avg(v::numeric) FROM f WHERE abs(v) < 1e100)::float8, (SELECT stddev_pop(v::numeric) FROM f WHERE abs(v) < 1e100)::float8 \
            FROM atoms.tensor_stats('m', $1, 7) s";
        let row = client.query_one(query, &[&tensor])?;
        for column in 0..4 {
            assert!(row.get::<_, bool>(column), "{dtype}: condition {column}");
        }
        let close = |ours: f64, exact: f64| (ours - exact).abs() <= 1e-9 * exact.abs().max(f64::MIN_POSITIVE);
        // The values of F64 are noise of all exponents: their sum exceeds every number.
        let (mean, deviation): (f64, f64) = (row.get(4), row.get(5));
        assert!(dtype == "F64" || close(mean, row.get(6)), "{dtype}: mean {mean}");
        assert!(dtype == "F64" || close(deviation, row.get(7)), "{dtype}: deviation {deviation}");
    }
    Ok(())
}

#[test]
fn a_tensor_is_found_among_thousands_by_the_index() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let names: Vec<String> = (0..5000).map(|n| format!("t{n}")).collect();
    let tensors: Vec<(&str, &[f32])> = names.iter().map(|name| (name.as_str(), &[1.0][..])).collect();
    import_bytes(&mut client, "m", "model.safetensors", &floats(&tensors), TENSOR)?;
    client.batch_execute("ANALYZE atoms.tensor")?;
    for name in ["t77", "model.safetensors::t77"] {
        let find = format!("SELECT atoms.find_tensor('m', '{name}')");
        // The first run fills the caches of the catalogs.
        client.query(&find, &[])?;
        let blocks = blocks_hit(&mut client, &find)?;
        assert!(blocks < 30, "{blocks} blocks to find one tensor");
    }
    Ok(())
}

/// A safetensors file of F32 tensors with these values.
fn floats(tensors: &[(&str, &[f32])]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (name, values) in tensors {
        let begin = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let (shape, offsets) = (format!("[{}]", values.len()), format!("[{begin},{}]", data.len()));
        entries.push(fixtures::safetensors::entry(name, "F32", &shape, &offsets));
    }
    fixtures::safetensors::file(format!("{{{}}}", entries.join(",")), &data)
}

#[test]
fn models_differ_where_their_tensors_do() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let large = vec![1.5; 10_000];
    let first =
        floats(&[("same", &large), ("moved", &[3.0, 4.0]), ("grown", &[1.0]), ("gone", &[1.0]), ("zero", &[0.0])]);
    let second =
        floats(&[("new", &[2.0]), ("same", &large), ("moved", &[3.0, 4.5]), ("grown", &[1.0, 2.0]), ("zero", &[1.0])]);
    import_bytes(&mut client, "a", "model.safetensors", &first, TENSOR)?;
    // Other parts, the same bytes: they have to be read to be seen as equal.
    import_bytes(&mut client, "b", "other.safetensors", &second, CHUNKS)?;
    let rows = client.query("SELECT tensor, status, distance FROM atoms.diff_models('a', 'b')", &[])?;
    let found: Vec<(&str, &str, Option<f64>)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let expected = [
        ("gone", "only in a", None),
        ("grown", "changed", None),
        ("moved", "changed", Some(0.1)),
        ("new", "only in b", None),
        ("same", "same", Some(0.0)),
        ("zero", "changed", Some(f64::INFINITY)),
    ];
    assert_eq!(found, expected);
    let itself = "SELECT bool_and(status = 'same' AND distance = 0) FROM atoms.diff_models('a', 'a')";
    assert!(value::<bool>(&mut client, itself)?);
    Ok(())
}

#[test]
fn tensors_of_the_same_atoms_are_not_read_to_be_compared() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    refused(client.query("SELECT * FROM atoms.diff_models('m', 'none')", &[]), "42704").names(&["m"]);
    let bytes = random_model(1, &[("t", "U8", &[16 << 20])]);
    for name in ["m", "copy"] {
        import_bytes(&mut client, name, "model.safetensors", &bytes, TENSOR)?;
    }
    let same = "SELECT tensor FROM atoms.diff_models('m', 'copy') WHERE status = 'same' AND distance = 0";
    // The first run fills the caches of the catalogs.
    assert_eq!(answer(&mut client, same)?, ["t"]);
    let blocks = blocks_hit(&mut client, same)?;
    assert!(blocks < 500, "{blocks} blocks to see that a tensor of 2,000 is the same");
    Ok(())
}

/// What the official package reads of a file.
fn read_by_python(path: &Path) -> Value {
    let python = std::env::var_os("PG_ATOMS_PYTHON").expect("PG_ATOMS_PYTHON is an interpreter; make test sets it");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/read_safetensors.py");
    let output = Command::new(python).arg(script).arg(path).output().expect("PG_ATOMS_PYTHON is a program");
    serde_json::from_slice(&output.stdout).expect("a document")
}

#[test]
fn tensors_leave_as_a_safetensors_file_that_the_official_reader_takes() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let model = every_type().with("format", gguf::Value::U8(7)).with("general.name", gguf::Value::text("every type"));
    import_bytes(&mut client, "m", "model.gguf", &model.bytes(), CHUNKS)?;
    let path = db.file("out.safetensors");
    let exported = "SELECT atoms.export_tensors('m', $1)";
    let bytes: i64 = client.query_one(exported, &[&path.to_str()])?.get(0);
    assert_eq!(std::fs::metadata(&path).expect("written").len() as i64, bytes);
    refused(client.query(exported, &[&path.to_str()]), "42710");
    let document = read_by_python(&path);
    let tensors = document["tensors"].as_array().unwrap_or_else(|| panic!("refused: {document}"));
    assert_eq!(tensors.len(), gguf::DTYPES.len());
    // What transformers asks for, and what the source says of itself.
    assert_eq!(document["metadata"], serde_json::json!({"format": "pt", "general.name": "every type"}));
    // Read back by ourselves: values are those of the source, types are kept but for blocks, which become F32.
    db.import("back", &path)?;
    for (dtype, _, block_elements, _) in gguf::DTYPES {
        let tensor = format!("t.{dtype}");
        let query = "SELECT b.dtype, atoms.reconstruct_tensor('m', $1) = atoms.reconstruct_tensor('back', $1) \
            FROM atoms.tensor_detail b WHERE b.model = 'back' AND b.tensor = $1";
        let row = client.query_one(query, &[&tensor])?;
        let (found, same_bytes): (&str, bool) = (row.get(0), row.get(1));
        let is_block = block_elements > 1;
        assert_eq!(found, if is_block { "F32" } else { dtype }, "{tensor}");
        assert!(is_block || same_bytes, "{tensor}");
        if dtype != "I64" {
            let query = "SELECT bool_and(x IS NOT DISTINCT FROM y) \
                FROM unnest(atoms.tensor_values('m', $1), atoms.tensor_values('back', $1)) v (x, y)";
            assert!(client.query_one(query, &[&tensor])?.get::<_, bool>(0), "{tensor}");
        }
    }
    let findings = "SELECT count(*) FROM atoms.model_findings WHERE model = 'back'";
    assert_eq!(value::<i64>(&mut client, findings)?, 0, "what we write has nothing to find");
    Ok(())
}

#[test]
fn what_a_safetensors_file_cannot_hold_does_not_leave() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let out = db.file("out.safetensors");
    let export = "SELECT atoms.export_tensors($1, $2)";
    let named = gguf::random_model(1, &[("__metadata__", "F32", &[1])]);
    import_bytes(&mut client, "named", "model.gguf", &named, TENSOR)?;
    refused(client.query(export, &[&"named", &out.to_str()]), "22023").names(&["__metadata__"]);
    import_bytes(&mut client, "damaged", "model.safetensors", &floats(&[("a", &[1.0; 100])]), TENSOR)?;
    client.execute("UPDATE atoms.atom SET payload = set_byte(payload, 7, 1) WHERE size_bytes = 400", &[])?;
    refused(client.query(export, &[&"damaged", &out.to_str()]), "XX001").names(&["damaged"]);
    assert!(!out.exists());
    // What is missing is damage wherever it is met.
    client.execute(
        "UPDATE atoms.atom SET payload = substr(payload, 1, 8) WHERE size_bytes <> 400 AND modality = 'file'",
        &[],
    )?;
    refused(client.query("SELECT atoms.describe_file('damaged', 'model.safetensors')", &[]), "XX001");
    Ok(())
}

/// A file whose tensor has the name that tells apart the namesakes of two others.
#[test]
fn names_that_look_like_places_are_compared_with_their_like() -> Result<()> {
    let db = Database::shared()?;
    let dir = db.make_dir("m");
    for (file, tensor) in [("a.safetensors", "x"), ("b.safetensors", "x"), ("c.safetensors", "a.safetensors::x")] {
        std::fs::write(dir.join(file), floats(&[(tensor, &[1.0])])).expect("writable");
    }
    db.import("m", &dir)?;
    let same = "SELECT count(*) FROM atoms.diff_models('m', 'm') WHERE status = 'same'";
    assert_eq!(value::<i64>(&mut db.client()?, same)?, 3);
    Ok(())
}

#[test]
fn shards_leave_as_one_file_and_namesakes_not_at_all() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    for (name, with) in [("shards", "b"), ("namesakes", "a")] {
        let dir = db.make_dir(name);
        std::fs::write(dir.join("1.safetensors"), floats(&[("a", &[1.0, 2.0])])).expect("writable");
        std::fs::write(dir.join("2.safetensors"), floats(&[(with, &[3.0])])).expect("writable");
        db.import(name, &dir)?;
    }
    let out = db.file("joined.safetensors");
    client.query("SELECT atoms.export_tensors('shards', $1)", &[&out.to_str()])?;
    let names: Vec<String> = read_by_python(&out)["tensors"]
        .as_array()
        .expect("read")
        .iter()
        .map(|tensor| tensor["name"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(names, ["a", "b"]);
    let out = db.file("twice.safetensors");
    refused(client.query("SELECT atoms.export_tensors('namesakes', $1)", &[&out.to_str()]), "22023").names(&["\"a\""]);
    assert!(!out.exists());
    Ok(())
}
