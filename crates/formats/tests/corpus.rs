//! Replays the corpus of each fuzz target: the fixtures, what a fuzzer once found, and what one left on this machine.

use std::path::Path;

/// Files in directories beside the fuzz target; one that is not there counts as empty.
fn replay(directory: &str, body: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(directory);
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let files: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    for path in files {
        // Shown when the body panics: the file to look at.
        println!("{}", path.display());
        body(&std::fs::read(&path).unwrap());
    }
}

#[test]
fn safetensors_corpus_keeps_every_promise() {
    let hostile = fixtures::safetensors::all().into_iter().map(|file| file.bytes);
    let valid = fixtures::safetensors::valid().into_iter().map(|file| file.bytes);
    hostile.chain(valid).for_each(|bytes| formats::fuzz::safetensors(&bytes));
    replay("regressions/safetensors", formats::fuzz::safetensors);
    replay("corpus/safetensors", formats::fuzz::safetensors);
}

#[test]
fn gguf_corpus_keeps_every_promise() {
    let hostile = fixtures::gguf::all().into_iter().map(|file| file.bytes);
    let valid = fixtures::gguf::valid().into_iter().map(|file| file.bytes);
    hostile.chain(valid).for_each(|bytes| formats::fuzz::gguf(&bytes));
    replay("regressions/gguf", formats::fuzz::gguf);
    replay("corpus/gguf", formats::fuzz::gguf);
}

#[test]
fn detect_corpus_keeps_every_promise() {
    fixtures::detect::heads().iter().for_each(|head| formats::fuzz::detect(&head.bytes));
    replay("regressions/detect", formats::fuzz::detect);
    replay("corpus/detect", formats::fuzz::detect);
    // What was found for one format is tried as any file.
    replay("corpus/safetensors", formats::fuzz::detect);
    replay("corpus/gguf", formats::fuzz::detect);
}
