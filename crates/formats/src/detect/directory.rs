//! What a directory is, by the names in it: formats that are several files.
//!
//! Names are all that is known here, hence evidence at best.

use super::{Detection, FileFormat, confidence};
use crate::fault::Quoted;
use std::collections::BTreeMap;

/// Returns what a directory is, given the names of its files relative to it, folders divided by `/`.
pub fn detect_directory(names: &[&str]) -> Detection {
    let own: Vec<&str> = names.iter().copied().filter(|name| !name.contains('/')).collect();
    let known = saved_model(names)
        .or_else(|| diffusers(names))
        .or_else(|| core_ml(names))
        .or_else(|| index(&own))
        .or_else(|| checkpoint(&own))
        .or_else(|| shards(&own));
    known.unwrap_or_else(|| Detection::new(FileFormat::Unknown, confidence::NONE, "its names tell no known format"))
}

fn evidence(format: FileFormat, reason: impl Into<String>) -> Detection {
    Detection::new(format, confidence::EVIDENCE, reason)
}

fn saved_model(names: &[&str]) -> Option<Detection> {
    let graph = names.iter().find(|name| matches!(**name, "saved_model.pb" | "saved_model.pbtxt"))?;
    let variables = names.iter().any(|name| name.starts_with("variables/"));
    let weights = if variables { "with variables/" } else { "without variables/" };
    Some(evidence(FileFormat::TensorFlowSavedModel, format!("{graph} {weights}")))
}

fn diffusers(names: &[&str]) -> Option<Detection> {
    let index = names.contains(&"model_index.json");
    index.then(|| evidence(FileFormat::DiffusersIndex, "model_index.json of a diffusers pipeline").variant("pipeline"))
}

fn core_ml(names: &[&str]) -> Option<Detection> {
    let model = names.iter().any(|name| name.starts_with("Data/com.apple.CoreML/") && name.ends_with(".mlmodel"));
    let package = model && names.contains(&"Manifest.json");
    package.then(|| evidence(FileFormat::CoreMl, "Manifest.json and Data/com.apple.CoreML/").variant("package"))
}

/// A sharded model with its index; `transformers` names both kinds.
fn index(names: &[&str]) -> Option<Detection> {
    let index = |ending: &str| names.iter().find(|name| name.ends_with(ending));
    let (index, variant) = match (index(".safetensors.index.json"), index(".bin.index.json")) {
        (Some(index), _) => (index, "safetensors"),
        (None, Some(index)) => (index, "pytorch"),
        (None, None) => return None,
    };
    let detection = evidence(FileFormat::ShardedIndex, format!("{} names the files of a sharded model", Quoted(index)));
    Some(detection.variant(variant))
}

/// A checkpoint of TensorFlow: an index, and data that are numbered from 0.
fn checkpoint(names: &[&str]) -> Option<Detection> {
    let indexed = |prefix: &str| names.iter().any(|name| name.strip_suffix(".index") == Some(prefix));
    let prefix = names.iter().find_map(|name| {
        let (prefix, numbers) = name.rsplit_once(".data-")?;
        (numbered(numbers).is_some() && indexed(prefix)).then_some(prefix)
    })?;
    let reason = format!("an index and data of the checkpoint {}", Quoted(prefix));
    Some(evidence(FileFormat::TensorFlowCheckpoint, reason))
}

/// Files `X-00001-of-0000N.Y` without an index.
fn shards(names: &[&str]) -> Option<Detection> {
    let mut sets: BTreeMap<(&str, u64, &str), u64> = BTreeMap::new();
    for (stem, total, ending) in names.iter().filter_map(|name| shard(name)) {
        let present = sets.entry((stem, total, ending)).or_default();
        *present = present.saturating_add(1);
    }
    let ((stem, total, ending), present) =
        sets.into_iter().find(|((_, _, ending), _)| shard_format(ending).is_some())?;
    let reason = format!("{present} of the {total} files of {}", Quoted(stem));
    let variant = if present < total { "sharded, incomplete" } else { "sharded" };
    Some(evidence(shard_format(ending)?, reason).variant(variant))
}

/// Splits the name of one of several files: what comes before the numbers, how many there are, the ending.
fn shard(name: &str) -> Option<(&str, u64, &str)> {
    let (rest, ending) = name.rsplit_once('.')?;
    let (rest, total) = rest.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let (number, total) = (count(number)?, count(total)?);
    (1..=total).contains(&number).then_some((stem, total, ending))
}

fn shard_format(ending: &str) -> Option<FileFormat> {
    match ending {
        "safetensors" => Some(FileFormat::Safetensors),
        "gguf" => Some(FileFormat::Gguf),
        "bin" | "pt" | "pth" => Some(FileFormat::PyTorch),
        _ => None,
    }
}

/// Reads `00000-of-00001`.
fn numbered(text: &str) -> Option<(u64, u64)> {
    let (number, total) = text.split_once("-of-")?;
    Some((count(number)?, count(total)?))
}

/// Reads a number of five digits, as all these names have.
fn count(digits: &str) -> Option<u64> {
    let plain = digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}
