//! `atoms embed load` reads and judges its files before it asks for a server: bad ones end it with their own exit code,
//! good ones only where it finds no server.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use fixtures::safetensors::{entry, file};
use tempfile::TempDir;

const NO_CONNECTION: i32 = 7;

fn load(dir: &TempDir, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atoms"));
    // A directory without a socket in it.
    command.current_dir(dir.path()).env("PGHOST", dir.path()).env("PGSSLMODE", "disable");
    command.args(["embed", "load", "m"]).args(args).output().unwrap()
}

#[track_caller]
fn assert_ends(dir: &TempDir, args: &[&str], code: i32, said: &str) {
    let output = load(dir, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    assert!(stderr.contains(said), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty());
}

fn written(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

#[test]
fn good_files_of_every_format_get_as_far_as_the_server() {
    let tensors = file(format!("{{{}}}", entry("e", "F32", "[2,1]", "[0,8]")), &[0; 8]);
    let dir = written(&[
        ("a.npy", &npy("<f4", "(2, 1)", &[0; 8])),
        ("a.fvecs", &[1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        ("a.bvecs", &[1, 0, 0, 0, 9, 1, 0, 0, 0, 9]),
        ("a.csv", b"1\n2\n"),
        ("a.safetensors", &tensors),
        ("two", b"one\ntwo\n"),
        ("ids", b"1\n2\n"),
    ]);
    for name in ["a.npy", "a.fvecs", "a.bvecs", "a.csv", "a.safetensors"] {
        assert_ends(&dir, &[name, "--register"], NO_CONNECTION, "");
        assert_ends(&dir, &[name, "--texts", "two"], NO_CONNECTION, "");
        assert_ends(&dir, &[name, "--ids", "ids", "--batch", "1"], NO_CONNECTION, "");
    }
    assert_ends(&dir, &["a.safetensors", "--tensor", "e"], NO_CONNECTION, "");
    fs::rename(dir.path().join("a.csv"), dir.path().join("a")).unwrap();
    assert_ends(&dir, &["a", "--format", "csv"], NO_CONNECTION, "");
    assert_ends(&dir, &["a"], 10, "--format");
}

#[test]
fn bad_files_are_named_and_end_it_with_their_own_code() {
    let dir = written(&[
        ("cut.npy", &npy("<f4", "(2, 1)", &[0; 7])),
        ("ints.npy", &npy("<i8", "(1, 1)", &[0; 8])),
        ("none.npy", b"\x93NUMPY"),
        ("cut.fvecs", &[1, 0, 0, 0, 0]),
        ("wide.fvecs", &[0, 0, 1, 0, 0, 0, 0, 0]),
        ("empty.csv", b""),
        ("cut.safetensors", b"\x40\0\0\0\0\0\0\0{"),
        ("model.gguf", b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ]);
    for (name, code) in [
        ("cut.npy", 8),
        ("ints.npy", 10),
        ("none.npy", 8),
        ("cut.fvecs", 8),
        ("wide.fvecs", 9),
        ("empty.csv", 8),
        ("cut.safetensors", 8),
        ("model.gguf", 10),
        ("missing.npy", 3),
        (".", 2),
    ] {
        assert_ends(&dir, &[name], code, &format!("\"{name}\""));
    }
}

#[test]
fn sources_are_counted_before_anything_is_sent() {
    let dir = written(&[
        ("a.npy", &npy("|u1", "(2, 1)", &[0; 2])),
        ("one", b"one\n"),
        ("three", b"1\n2\n3\n"),
        ("words", b"1\ntwo\n"),
        ("latin", b"a\n\xe4\n"),
    ]);
    assert_ends(&dir, &["a.npy", "--texts", "one"], 8, "\"one\" has 1 line for 2 vectors");
    assert_ends(&dir, &["a.npy", "--ids", "three"], 8, "\"three\" has 3 lines for 2 vectors");
    assert_ends(&dir, &["a.npy", "--ids", "words"], 8, "line 2: \"two\" is no atom id");
    assert_ends(&dir, &["a.npy", "--texts", "latin"], 8, "line 2 is no UTF-8");
    assert_ends(&dir, &["a.npy", "--texts", "missing"], 3, "\"missing\"");
    assert_ends(&dir, &["a.npy", "--tensor", "e"], 2, "--tensor is for safetensors");
}

#[test]
fn every_beginning_of_a_file_is_refused_or_read_and_nothing_panics() {
    let whole = npy("<f4", "(2, 1)", &[0; 8]);
    let dir = tempfile::tempdir().unwrap();
    for length in (0..whole.len()).step_by(7) {
        fs::write(Path::new(dir.path()).join("a.npy"), &whole[..length]).unwrap();
        let output = load(&dir, &["a.npy"]);
        assert!(matches!(output.status.code(), Some(8 | 10)), "{length}: {output:?}");
    }
}
