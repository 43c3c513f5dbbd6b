//! What deduplication saves on real models made by others, by tensor, by chunk of either kind, and by whole file.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::Report;
use crate::args::Args;
use crate::row::Row;
use crate::support::atoms::Strategy;
use crate::support::hashing::hash_file;
use crate::support::{Bench, Failure, Result, folder};
use crate::table::grid;

/// Models that have something in common, by the beginnings of their paths below the directory of real models.
struct Family {
    name: &'static str,
    prefixes: &'static [&'static str],
}

const FAMILIES: [Family; 8] = [
    // One version as ONNX and as TorchScript.
    Family { name: "silero-6.2.0", prefixes: &["onnx/silero-vad-6.2.0/", "torchscript/silero-vad-jit-6.2.0/"] },
    // Three versions.
    Family { name: "magika", prefixes: &["onnx/magika-"] },
    // One model as SavedModel, ONNX, TFLite and CoreML.
    Family {
        name: "basic-pitch-0.4.0",
        prefixes: &["tf-savedmodel/basic-pitch-0.4.0/", "onnx/basic-pitch-", "other/basic-pitch-"],
    },
    // And with the SavedModel of an earlier version.
    Family {
        name: "basic-pitch",
        prefixes: &["tf-savedmodel/basic-pitch-", "onnx/basic-pitch-", "other/basic-pitch-"],
    },
    // Three models, of which one is fine-tuned from another.
    Family { name: "chgnet", prefixes: &["pytorch-zip/chgnet-"] },
    // Four checkpoints.
    Family { name: "musicnn", prefixes: &["tf-checkpoint/musicnn-"] },
    // Sixteen files that hold a vocabulary each.
    Family { name: "vocabularies", prefixes: &["gguf/"] },
    Family { name: "all", prefixes: &[""] },
];

const STRATEGIES: [(&str, Option<Strategy>); 5] = [
    ("whole-file", None),
    ("tensor", Some(Strategy::Tensor)),
    ("chunk-64kib", Some(Strategy::Chunk)),
    ("cdc-64kib", Some(Strategy::Cdc)),
    ("cdc-8kib", Some(Strategy::SmallCdc)),
];

/// What is left of some files when each part is kept once.
struct Saving {
    bytes: u64,
    unique_bytes: u64,
    /// Parts, and so hashes, that the files were cut into.
    parts: u64,
    /// Those of them that differ.
    distinct: u64,
}

impl Saving {
    fn percent(&self) -> f64 {
        100.0 * (1.0 - self.unique_bytes as f64 / self.bytes as f64)
    }
}

/// Fails if the models that are asked for are not there.
pub fn check(args: &Args) -> Result<()> {
    let wanted = FAMILIES.iter().any(|family| STRATEGIES.iter().any(|(name, _)| args.wants(&row_name(family, name))));
    if wanted { models_dir(args).map(drop) } else { Ok(()) }
}

/// Measures the rows that are asked for.
pub fn measure(bench: &Bench) -> Result<Report> {
    let mut rows = Vec::new();
    for family in &FAMILIES {
        for (strategy_name, strategy) in STRATEGIES {
            let name = row_name(family, strategy_name);
            if bench.args.wants(&name) {
                bench.say(&name);
                rows.push(row(&name, &measure_family(bench, family, strategy)?));
            }
        }
    }
    let remarks = if rows.is_empty() { Vec::new() } else { vec![side_by_side(&rows)] };
    Ok(Report { rows, remarks, ..Report::default() })
}

fn row_name(family: &Family, strategy: &str) -> String {
    format!("dedup/{}/{strategy}", family.name)
}

fn row(name: &str, saving: &Saving) -> Row {
    Row::new(name, saving.percent(), "% saved")
        .detail("bytes", saving.bytes)
        .detail("unique_bytes", saving.unique_bytes)
        .detail("hashes", saving.parts)
        .detail("distinct_hashes", saving.distinct)
}

/// Lays the files of a family together as one model, and cuts it.
fn measure_family(bench: &Bench, family: &Family, strategy: Option<Strategy>) -> Result<Saving> {
    let dir = bench.folder().join("dedup");
    folder::make_empty(&dir)?;
    lay_together(models_dir(&bench.args)?, family, &dir)?;
    let saving = match strategy {
        Some(strategy) => in_store(bench, &dir, strategy)?,
        None => of_whole_files(&dir)?,
    };
    folder::remove(&dir)?;
    Ok(saving)
}

fn models_dir(args: &Args) -> Result<&Path> {
    let missing = || Failure::new("PG_ATOMS_MODELS does not name the directory that tests/models/fetch.py fills");
    args.models.as_deref().filter(|dir| dir.is_dir()).ok_or_else(missing)
}

fn lay_together(models: &Path, family: &Family, dir: &Path) -> Result<()> {
    let models = models.canonicalize().map_err(|error| Failure::io("find", models, &error))?;
    let belongs = |path: &&PathBuf| family.prefixes.iter().any(|prefix| relative(path, &models).starts_with(prefix));
    let files = folder::files_below(&models)?;
    let mut count = 0;
    for file in files.iter().filter(belongs) {
        let link = dir.join(relative(file, &models));
        let parent = link.parent().unwrap_or(dir);
        let linked = fs::create_dir_all(parent).and_then(|()| symlink(file, &link));
        linked.map_err(|error| Failure::io("link", &link, &error))?;
        count += 1;
    }
    match count {
        0 => Err(Failure::new(format!("{} has no files of {}", models.display(), family.name))),
        _ => Ok(()),
    }
}

fn relative<'a>(file: &'a Path, dir: &Path) -> &'a str {
    let path = file.strip_prefix(dir).expect("files_below stays below");
    path.to_str().expect("the names in pins.json are ASCII")
}

fn in_store(bench: &Bench, dir: &Path, strategy: Strategy) -> Result<Saving> {
    let database = bench.new_database()?;
    database.import_by_cli("family", dir, strategy)?;
    let report =
        "SELECT logical_bytes, unique_bytes, (SELECT count(*) FROM atoms.file_part), (SELECT count(*) FROM atoms.atom)
                  FROM atoms.dedup_report('family')";
    let row = database.client()?.query_one(report, &[])?;
    let count = |column| u64::try_from(row.get::<_, i64>(column)).expect("counts are not negative");
    Ok(Saving { bytes: count(0), unique_bytes: count(1), parts: count(2), distinct: count(3) })
}

fn of_whole_files(dir: &Path) -> Result<Saving> {
    let files = folder::files_below(dir)?;
    let mut distinct = HashMap::new();
    let mut bytes = 0;
    for file in &files {
        let size = folder::file_bytes(file)?;
        bytes += size;
        distinct.insert(hash_file(file)?, size);
    }
    let unique_bytes = distinct.values().sum();
    Ok(Saving { bytes, unique_bytes, parts: files.len() as u64, distinct: distinct.len() as u64 })
}

/// A line per family: bytes saved, and hashes needed for it.
fn side_by_side(rows: &[Row]) -> String {
    let line = |family: &Family| {
        let cell = |strategy: &str| {
            let row = rows.iter().find(|row| row.name == row_name(family, strategy))?;
            Some(format!("{:.2} % ({})", row.value, row.details["hashes"]))
        };
        let [whole, tensor, chunk, cdc, small] = STRATEGIES.map(|(strategy, _)| cell(strategy).unwrap_or_default());
        [family.name.to_owned(), whole, tensor, chunk, cdc, small]
    };
    let [whole, tensor, chunk, cdc, small] = STRATEGIES.map(|(strategy, _)| strategy.to_owned());
    let head = ["dedup: bytes saved (hashes)".to_owned(), whole, tensor, chunk, cdc, small];
    let lines: Vec<_> = FAMILIES.iter().map(line).collect();
    grid(&head, &lines, &[false, true, true, true, true, true]).trim_end().to_owned()
}
