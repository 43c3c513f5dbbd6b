//! What can be asked on the command line.

use std::env;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::support::{Failure, Result};

/// Measures pg_atoms beside its peers; docs/bench.md says what each row is.
#[derive(Clone, Debug, Parser)]
#[command(name = "benches")]
pub struct Args {
    /// Measure only rows whose names begin so: a family (import, again, export, space, listing, values, versions, dedup, embedding, dimspace) or one row.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// How often each contestant takes its turn; medians are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,
    /// Size of the model that is measured with, as 1GB, 64MiB or a number of bytes; at least 1MB.
    #[arg(long, default_value = "1GB", value_parser = parse_bytes)]
    pub bytes: u64,
    /// Leave out the rows of a peer that is not installed.
    #[arg(long, value_name = "PEER")]
    pub without: Vec<Peer>,
    /// Where the results go; without it bench/results.json in the directory that this program was built into.
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// The program atoms.
    #[arg(long, env = "ATOMS_BIN", value_name = "PROGRAM")]
    pub atoms: PathBuf,
    /// The program dvc.
    #[arg(long, env = "DVC_BIN", value_name = "PROGRAM", default_value = "dvc")]
    pub dvc: PathBuf,
    /// A Python interpreter with the packages of tests/python/requirements.txt.
    #[arg(long, env = "PG_ATOMS_PYTHON", value_name = "PROGRAM")]
    pub python: Option<PathBuf>,
    /// The directory of the real model files, as tests/models/fetch.py lays them.
    #[arg(long, env = "PG_ATOMS_MODELS", value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// The directory of the embeddings, as benches/python/make_embeddings.py leaves them.
    #[arg(long, env = "PG_ATOMS_EMBEDDINGS", value_name = "DIR")]
    pub embeddings: Option<PathBuf>,
}

/// A program that somebody else wrote, and that a machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// git with git-lfs.
    GitLfs,
    /// dvc.
    Dvc,
    /// pgvector in the server that is measured.
    Pgvector,
}

impl Args {
    /// Returns whether a row is asked for.
    pub fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| row.starts_with(name.as_str()))
    }

    /// Returns whether a peer takes part.
    pub fn has(&self, peer: Peer) -> bool {
        !self.without.contains(&peer)
    }

    /// Returns where the results go.
    pub fn results(&self) -> Result<PathBuf> {
        if let Some(path) = &self.results {
            return Ok(path.clone());
        }
        // The program is target/release/benches.
        let program = env::current_exe().map_err(|error| Failure::new(format!("cannot find myself: {error}")))?;
        let target = program.parent().and_then(|release| release.parent());
        target
            .map(|target| target.join("bench/results.json"))
            .ok_or_else(|| Failure::new("there is no directory above this program: say --results"))
    }
}

/// Models below this size do not have enough tensors to change half of them.
const BYTES_MIN: u64 = 1_000_000;

fn parse_bytes(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" => 1,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => return Err(format!("\"{other}\" is no unit; known are kB, MB, GB, KiB, MiB and GiB")),
    };
    let count: u64 = digits.parse().map_err(|_| "not a number of bytes".to_owned())?;
    match count.checked_mul(unit) {
        Some(bytes) if bytes >= BYTES_MIN => Ok(bytes),
        _ => Err(format!("not from {BYTES_MIN} bytes to what fits into 64 bits")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Args, parse_bytes};
    use clap::Parser;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse_bytes("1GB"), Ok(1_000_000_000));
        assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("1000000"), Ok(1_000_000));
        for wrong in ["", "GB", "1 GB", "12XB", "999999", "99999999999GB", "-5MB"] {
            parse_bytes(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn only_names_families_and_rows() {
        let args = Args::parse_from(["benches", "--atoms", "a", "--only", "import/", "--only", "space"]);
        assert!(args.wants("import/cli-vs-copy-1mib") && args.wants("space/chunk-64kib"));
        assert!(!args.wants("export/cli-vs-copy-written"));
    }
}
