//! The program over files of every kind, good and bad, without any database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use atom::FaultKind;
use fixtures::gguf::{self, Model, Value as Entry, types};
use fixtures::{detect, safetensors};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// A directory with the files of one test.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }
}

fn atoms() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atoms"));
    // An address that no command on a database would get past.
    command.env("PGPORT", "none").env("PGSSLMODE", "none").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

fn inspect(paths: &[&Path], options: &[&str]) -> Output {
    atoms().arg("inspect").args(paths).args(options).output().unwrap()
}

#[track_caller]
fn json(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[track_caller]
fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn three_tensors() -> Model {
    let model = Model::new().with("general.architecture", Entry::text("llama"));
    model.tensor("a.weight", "F32", &[2, 3]).tensor("b.weight", "Q4_0", &[64]).tensor("c\u{1b}[31m", "F32", &[1])
}

#[test]
fn every_good_file_is_read() {
    let files = Files::new();
    for (format, valid) in [("gguf", gguf::valid()), ("safetensors", safetensors::valid())] {
        for file in valid {
            let path = files.put("file", &file.bytes);
            let output = inspect(&[&path], &["--json"]);
            assert_eq!(output.status.code(), Some(0), "{}: {output:?}", file.name);
            let document = json(&output);
            assert_eq!(document["format"], format, "{}", file.name);
            assert_eq!(document["path"], path.to_str().unwrap());
            assert_eq!(document["size_bytes"], file.bytes.len());
            assert_eq!(document["tensors"].as_array().unwrap().len(), file.tensors, "{}", file.name);
            let shown = inspect(&[&path], &["--full"]);
            assert_eq!(shown.status.code(), Some(0), "{}: {shown:?}", file.name);
            assert!(text(&shown).lines().all(|line| !line.contains(char::is_control)), "{}", file.name);
        }
    }
}

fn code(kind: FaultKind) -> i32 {
    match kind {
        FaultKind::Malformed => 8,
        FaultKind::Limit => 9,
        FaultKind::Unsupported => 10,
        other => panic!("no reader refuses bytes as {other:?}"),
    }
}

#[test]
fn every_broken_file_ends_with_the_code_of_its_fault() {
    let files = Files::new();
    for file in [gguf::all(), safetensors::all()].concat() {
        let path = files.put("file", &file.bytes);
        let output = inspect(&[&path], &["--json"]);
        let document = json(&output);
        let message = document["error"]["message"].as_str();
        match message {
            Some(message) => {
                assert_eq!(output.status.code(), Some(code(file.kind)), "{}: {document}", file.name);
                let shown = inspect(&[&path], &[]);
                assert_eq!(shown.status.code(), output.status.code(), "{}", file.name);
                assert!(text(&shown).contains(&format!("ERROR:  {message}\n")), "{}: {shown:?}", file.name);
            }
            // What lost its magic looks like nothing, or like an empty file or something that was cut off.
            None => assert!(matches!(output.status.code(), Some(8 | 10)), "{}: {document}", file.name),
        }
        assert_eq!(document.get("tensors"), None, "{}", file.name);
    }
}

#[test]
fn every_other_kind_of_file_is_told_apart() {
    let files = Files::new();
    for head in detect::heads() {
        let path = files.put("file", &head.bytes);
        let output = inspect(&[&path], &["--json"]);
        let document = json(&output);
        assert_eq!(document["format"], head.format, "{}: {document}", head.name);
        let truncated = head.variant.is_some_and(|variant| variant.ends_with("truncated"));
        let expected = match head.format {
            _ if document.get("tensors").is_some() => 0,
            "lfs-pointer" | "html" | "empty" => 8,
            _ if truncated => 8,
            _ if document.get("error").is_some() => continue,
            _ => 10,
        };
        assert_eq!(output.status.code(), Some(expected), "{}: {document}", head.name);
    }
}

#[test]
fn of_several_files_the_worst_decides_and_all_are_told() {
    let files = Files::new();
    let good = files.put("good.gguf", &three_tensors().bytes());
    let cut = files.put("cut.gguf", &gguf::file_cut_in_data().bytes);
    let plain = files.put("readme.txt", b"This is a text, of some length, about nothing.\n");
    let missing = files.0.path().join("missing");
    let codes = |paths: &[&Path]| inspect(paths, &["--json"]).status.code();
    assert_eq!(codes(&[&good, &good]), Some(0));
    assert_eq!(codes(&[&plain, &good]), Some(10));
    assert_eq!(codes(&[&good, &plain, &cut]), Some(8));
    assert_eq!(codes(&[&cut, &plain]), Some(8));
    assert_eq!(codes(&[&cut, &missing, &plain]), Some(3));

    let output = inspect(&[&good, &missing, &cut], &["--json"]);
    let document = json(&output);
    let paths: Vec<&str> = document.as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(paths, [&good, &missing, &cut].map(|path| path.to_str().unwrap()));
    assert_eq!(document[1]["error"]["exit_code"], 3);
    assert!(String::from_utf8_lossy(&output.stderr).contains("missing"), "{output:?}");
    let shown = text(&inspect(&[&good, &missing, &cut], &[]));
    assert!(shown.contains("good.gguf: gguf (v3)") && shown.contains("cut.gguf: gguf"), "{shown}");
}

#[test]
fn what_is_no_file_has_its_own_code() {
    let files = Files::new();
    let missing = files.0.path().join("missing");
    let output = inspect(&[&missing], &["--json"]);
    assert_eq!((output.status.code(), &json(&output)["error"]["exit_code"]), (Some(3), &json!(3)));
    assert_eq!(inspect(&[files.0.path()], &[]).status.code(), Some(3), "an empty directory");
    assert_eq!(inspect(&[Path::new("/dev/null")], &[]).status.code(), Some(10));
    let pipe = files.0.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(inspect(&[&pipe], &[]).status.code(), Some(10), "and nobody waits for a writer");
    assert_eq!(inspect(&[], &[]).status.code(), Some(2));
}

#[test]
fn a_directory_has_a_line_for_each_file() {
    let files = Files::new();
    let index = br#"{"metadata":{"total_size":24},"weight_map":{"a":"model-00001-of-00002.safetensors"}}"#;
    files.put("model.safetensors.index.json", index);
    files.put("model-00001-of-00002.safetensors", &safetensors::random_model(1, &[("a", "F32", &[2, 3])]));
    files.put("original/b.gguf", &three_tensors().bytes());
    let dir = files.0.path();
    let output = inspect(&[dir], &["--json"]);
    assert_eq!(output.status.code(), Some(0), "files beside the model do not count: {output:?}");
    let document = json(&output);
    assert_eq!((&document["format"], &document["variant"]), (&json!("sharded-index"), &json!("safetensors")));
    let found: Vec<&str> = document["files"].as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap()).collect();
    let names = ["model-00001-of-00002.safetensors", "model.safetensors.index.json", "original/b.gguf"];
    assert_eq!(found, names.map(|name| dir.join(name).to_str().unwrap().to_owned()));
    let shown = text(&inspect(&[dir], &[]));
    assert!(shown.contains("sharded-index (safetensors)") && shown.contains("3 files"), "{shown}");
    assert!(names.iter().all(|name| shown.contains(name)), "{shown}");

    files.put("original/b.gguf", &gguf::file_cut_in_data().bytes);
    assert_eq!(inspect(&[dir], &[]).status.code(), Some(8));
    let nothing_read = Files::new();
    nothing_read.put("config.json", b"{}");
    assert_eq!(inspect(&[nothing_read.0.path()], &[]).status.code(), Some(10));
}

#[test]
fn findings_count_with_strict_only() {
    let files = Files::new();
    let big_endian = files.put("big.gguf", &three_tensors().big_endian().bytes());
    let clean = Model::new().with("general.architecture", Entry::text("llama")).tensor("a", "F32", &[8]);
    let clean = files.put("clean.gguf", &clean.bytes());
    let shown = inspect(&[&big_endian], &[]);
    assert_eq!(shown.status.code(), Some(0));
    assert!(text(&shown).contains("\n  warning: "), "{shown:?}");
    assert_eq!(inspect(&[&big_endian], &["--strict"]).status.code(), Some(13));
    assert_eq!(inspect(&[&clean], &["--strict"]).status.code(), Some(0), "{:?}", inspect(&[&clean], &[]));
    let info = files.put("vocabulary.gguf", &Model::new().with("general.architecture", Entry::text("llama")).bytes());
    assert_eq!(inspect(&[&info], &["--strict"]).status.code(), Some(0), "an info is no warning");
    let cut = files.put("cut.gguf", &gguf::file_cut_in_data().bytes);
    assert_eq!(inspect(&[&cut, &big_endian], &["--strict"]).status.code(), Some(8));
}

#[test]
fn text_shows_as_much_as_is_asked_for() {
    let files = Files::new();
    let names = (0..50).map(|number| format!("blk.{number:02}.weight"));
    let model = names.fold(Model::new().with("general.architecture", Entry::text("llama")), |model, name| {
        model.tensor(&name, "F32", &[8, 16])
    });
    let model = model.with("long", Entry::text("x".repeat(2000) + "end"));
    let model = model.with("words", Entry::texts((0..20).map(|number| format!("word{number}"))));
    let path = files.put("model.gguf", &model.bytes());
    let tensors = |options: &[&str]| text(&inspect(&[&path], options)).matches("blk.").count();
    assert_eq!(tensors(&[]), 40);
    assert_eq!(tensors(&["--tensors", "7"]), 7);
    assert_eq!(tensors(&["--tensors", "0"]), 0);
    assert_eq!(tensors(&["--tensors", "50"]), 50);
    assert_eq!(tensors(&["--all"]), 50);
    let short = text(&inspect(&[&path], &[]));
    assert!(short.contains("50 tensors, 6.40 k (6,400) parameters"), "{short}");
    assert!(short.contains("... and 10 more (--all lists them)"), "{short}");
    assert!(short.contains("... (2,003 characters)") && !short.contains("xend"), "{short}");
    assert!(short.contains("words: string array, 20 elements") && !short.contains("word19"), "{short}");
    assert!(short.contains("\nF32         50      6.40 k  25.6 kB\n"), "{short}");
    let full = text(&inspect(&[&path], &["--full"]));
    assert!(full.contains("xend") && full.contains("word19") && full.contains("blk.49"), "{full}");
    let document = json(&inspect(&[&path], &["--json"]));
    assert_eq!(document["tensors"].as_array().unwrap().len(), 50);
    assert_eq!(document["parameters"], 6400);
}

#[test]
fn long_arrays_are_summarised_unless_all_is_asked_for() {
    let files = Files::new();
    let words: Vec<String> = (0..1025).map(|number| number.to_string()).collect();
    let path = files.put("model.gguf", &Model::new().with("words", Entry::texts(&words)).bytes());
    let document = json(&inspect(&[&path], &["--json"]));
    assert_eq!(document["metadata"]["words"], json!({ "$array": "string", "length": 1025 }));
    let document = json(&inspect(&[&path], &["--json", "--full"]));
    assert_eq!(document["metadata"]["words"], json!(words));
}

#[test]
fn one_value_of_the_metadata_is_printed_whole() {
    let files = Files::new();
    let template = "{% for message in messages %}\n\t{{ message }}\u{7}\n{% endfor %}\n".repeat(100);
    let words = (0..5000).map(|number| if number == 7 { "\n".to_owned() } else { number.to_string() });
    let words: Vec<String> = words.collect();
    let ids = Entry::Array(types::I32, vec![Entry::I32(-1), Entry::I32(2)]);
    let model = Model::new().with("template", Entry::text(&template)).with("words", Entry::texts(&words));
    let path = files.put("model.gguf", &model.with("ids", ids).with("rate", Entry::F32(0.1)).bytes());
    let value = |key: &str| text(&inspect(&[&path], &["--metadata", key]));
    assert_eq!(value("template"), template);
    assert_eq!(value("ids"), "-1\n2\n");
    assert_eq!(value("rate"), "0.1\n");
    let lines: Vec<String> = value("words").lines().map(str::to_owned).collect();
    assert_eq!((lines.len(), lines[7].as_str(), lines[4999].as_str()), (5000, "\\n", "4999"));
    let document = json(&inspect(&[&path], &["--metadata", "words", "--json"]));
    assert_eq!(document, json!({ "path": path.to_str().unwrap(), "key": "words", "value": words }));

    let refused = |paths: &[&Path], key: &str| inspect(paths, &["--metadata", key]).status.code();
    assert_eq!(refused(&[&path], "none"), Some(3));
    assert_eq!(refused(&[&path, &path], "ids"), Some(2));
    assert_eq!(refused(&[&files.put("x", b"text, and nothing else")], "ids"), Some(10));
    assert_eq!(refused(&[&files.put("y", &gguf::file_cut_in_data().bytes)], "ids"), Some(8));
}

#[test]
fn names_of_a_file_do_not_steer_the_terminal() {
    let files = Files::new();
    let path = files.put("model\u{1b}[2J.gguf", &three_tensors().bytes());
    let shown = text(&inspect(&[&path], &["--full"]));
    assert!(!shown.contains('\u{1b}') && shown.contains("c\\u{1b}[31m"), "{shown}");
}

/// A file of 64 GiB, of which only the header is there.
#[test]
fn payload_is_not_read() {
    let files = Files::new();
    let bytes = 64_u64 << 30;
    let header = format!("{{{}}}", safetensors::entry("a", "U8", &format!("[{bytes}]"), &format!("[0,{bytes}]")));
    let start = safetensors::file(&header, &[]);
    let path = files.put("large.safetensors", &start);
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(start.len() as u64 + bytes).unwrap();
    let output = inspect(&[&path], &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output).contains("68.7 GB (68,719,"), "{output:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let files = Files::new();
    let names = (0..3000).map(|number| format!("blk.{number}.weight"));
    let model = names.fold(Model::new(), |model, name| model.tensor(&name, "F32", &[1]));
    let path = files.put("model.gguf", &model.bytes());
    for options in [["--all"], ["--json"]] {
        let mut command = atoms();
        command.arg("inspect").arg(&path).args(options).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // More is written than a pipe holds, so the program meets the closed end.
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), b"".as_slice()), "{options:?}");
    }
}
