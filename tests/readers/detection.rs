//! Every real model file is taken for what it is.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::path::PathBuf;

use atom::Never;
use formats::detect::confidence;
use formats::{Detection, FileSource, Limits, detect, detect_directory};
use serde_json::Value;

/// Returns the folder of the real files, and their paths below it.
fn pinned() -> (PathBuf, Vec<String>) {
    let root = env::var_os("PG_ATOMS_MODELS").expect("PG_ATOMS_MODELS is the folder of real models; make test sets it");
    let pins: Value = serde_json::from_str(include_str!("../models/pins.json")).expect("pins.json is JSON");
    let sources = pins["sources"].as_array().expect("a list");
    let files = sources.iter().flat_map(|source| source["files"].as_array().expect("a list"));
    (root.into(), files.map(|file| file["dest"].as_str().expect("a path").to_owned()).collect())
}

/// Returns the format and variant of a file: those of its folder, but for what lies beside a model.
fn expected(path: &str) -> (&'static str, Option<&'static str>) {
    let (family, _) = path.split_once('/').expect("a family and a model");
    let file = path.rsplit('/').next().unwrap_or_default();
    let ending = file.rsplit('.').next().unwrap_or_default();
    match (family, file, ending) {
        (_, ".gitattributes", _) | (_, _, "md" | "txt") => ("text", None),
        (_, "checkpoint", _) => ("text", Some("tensorflow checkpoint state")),
        (_, _, "json") => ("json", None),
        // Raw data of tensors: nothing in the bytes tells what they are.
        (_, "weight.bin", _) => ("unknown", None),
        (_, file, _) if file.contains(".data-00000-of-") => ("unknown", None),
        ("gguf", "ggml-vocab-aquila.gguf", _) => ("gguf", Some("v2")),
        ("gguf", _, _) => ("gguf", Some("v3")),
        ("onnx", _, _) => ("onnx", None),
        ("pytorch-legacy", _, _) => ("pytorch", Some("legacy")),
        ("pytorch-zip", _, _) => ("pytorch", Some("zip")),
        ("torchscript", _, _) => ("pytorch", Some("torchscript")),
        ("safetensors", _, "safetensors") => ("safetensors", None),
        ("tf-checkpoint" | "tf-savedmodel", _, "index") => ("tensorflow-checkpoint", Some("index")),
        ("tf-checkpoint", _, "meta") => ("tensorflow-graph", Some("metagraph")),
        ("tf-savedmodel", "saved_model.pb", _) => ("tensorflow-savedmodel", None),
        ("other", _, "tflite") => ("tflite", None),
        ("other", _, "mlmodel") => ("coreml", None),
        _ => panic!("nothing is expected of {path}"),
    }
}

/// Models are told for sure, text by evidence, raw data not at all.
fn sure(format: &str) -> f64 {
    match format {
        "unknown" => confidence::NONE,
        "text" => confidence::EVIDENCE,
        _ => confidence::WALKED,
    }
}

fn told(path: PathBuf) -> Detection {
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let source = FileSource::new(file).expect("its size is known");
    detect(&source, &Limits::default(), &Never).expect("a readable file")
}

#[test]
fn every_real_file_is_taken_for_what_it_is() {
    let (root, files) = pinned();
    for path in files {
        let told = told(root.join(&path));
        let (format, variant) = expected(&path);
        assert_eq!((told.format.name(), told.variant.as_deref()), (format, variant), "{path}: {told:?}");
        assert_eq!(told.confidence, sure(format), "{path}: {told:?}");
    }
}

#[test]
fn real_directories_are_told_by_their_names() {
    let (_, files) = pinned();
    let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in &files {
        for (at, _) in path.match_indices('/') {
            folders.entry(&path[..at]).or_default().push(&path[at + 1..]);
        }
    }
    let known: Vec<_> = folders
        .iter()
        .map(|(folder, names)| (*folder, detect_directory(names).format.name()))
        .filter(|(_, format)| *format != "unknown")
        .collect();
    let expected = [
        ("other/basic-pitch-coreml-0.4.0/nmp.mlpackage", "coreml"),
        ("tf-checkpoint/musicnn-msd-musicnn/MSD_musicnn", "tensorflow-checkpoint"),
        ("tf-checkpoint/musicnn-msd-vgg/MSD_vgg", "tensorflow-checkpoint"),
        ("tf-checkpoint/musicnn-mtt-musicnn/MTT_musicnn", "tensorflow-checkpoint"),
        ("tf-checkpoint/musicnn-mtt-vgg/MTT_vgg", "tensorflow-checkpoint"),
        ("tf-savedmodel/basic-pitch-0.2.6/nmp", "tensorflow-savedmodel"),
        ("tf-savedmodel/basic-pitch-0.2.6/nmp/variables", "tensorflow-checkpoint"),
        ("tf-savedmodel/basic-pitch-0.4.0/nmp", "tensorflow-savedmodel"),
        ("tf-savedmodel/basic-pitch-0.4.0/nmp/variables", "tensorflow-checkpoint"),
    ];
    assert_eq!(known, expected);
}
