//! The command line: what can be asked, and nothing of how it is done.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Keeps AI models in PostgreSQL, each byte string once, and gives every file back byte for byte.
#[derive(Debug, Parser)]
#[command(name = "atoms", version, arg_required_else_help = true, propagate_version = true)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Where the database is: postgres://user@host:port/db, "key=value ...", or the name of a database.
    /// Whatever is not said comes from PGHOST, PGPORT, PGUSER, PGDATABASE and the other libpq variables.
    #[arg(short = 'd', long = "url", global = true, value_name = "URL")]
    pub url: Option<String>,
    /// Write one JSON document to standard output instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// Write no progress and no remarks to standard error.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Store a file or a directory as a model
    Import(ImportArgs),
    /// List the models
    Ls,
    /// Show a model's files
    Show(ModelArgs),
    /// List a model's tensors
    Tensors(TensorsArgs),
    /// Write a model's files to a directory, each one's SHA-256 checked
    Export(ExportArgs),
    /// Hash stored bytes again and name what is damaged
    Verify(VerifyArgs),
    /// Show what deduplication saves
    Report(ReportArgs),
    /// Drop a model: its references only, `gc` frees the space
    Rm(ModelArgs),
    /// Delete atoms that nothing refers to
    Gc(GcArgs),
    /// List imports that are not finished, or abort one
    Imports(ImportsArgs),
}

/// How the spans of a file become atoms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StrategyName {
    /// One atom per tensor
    Tensor,
    /// Chunks of a fixed size, counted from each tensor's start
    Chunk,
    /// Content-defined chunks
    Cdc,
}

impl StrategyName {
    /// Returns the name that the server takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tensor => "tensor",
            Self::Chunk => "chunk",
            Self::Cdc => "cdc",
        }
    }
}

/// What to do when a model of that name is stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnExists {
    /// Fail with exit code 4
    Error,
    /// Do nothing, successfully
    Skip,
    /// Put the new model in its place once it is complete
    Replace,
}

impl OnExists {
    /// Returns the name that the server takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Skip => "skip",
            Self::Replace => "replace",
        }
    }
}

/// `atoms import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A file, or a directory with everything below it
    pub path: PathBuf,
    /// Name of the model [default: the name of the directory, or of the file without its extension]
    #[arg(long)]
    pub name: Option<String>,
    /// How files are cut into atoms
    #[arg(long, value_enum, default_value_t = StrategyName::Tensor)]
    pub strategy: StrategyName,
    /// Size of a chunk: a power of two from 4 KiB to 64 MiB; plain bytes or with K, KiB, M, MiB
    #[arg(long, value_name = "BYTES", value_parser = parse_chunk_bytes, default_value = "64KiB")]
    pub chunk_bytes: u32,
    /// What to do when the model exists
    #[arg(long, value_enum, default_value_t = OnExists::Error)]
    pub on_exists: OnExists,
}

/// A command on one model.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// Name of the model
    pub model: String,
}

/// `atoms tensors`.
#[derive(Debug, Args)]
pub struct TensorsArgs {
    /// Name of the model
    pub model: String,
    /// Only tensors of this file
    #[arg(long, value_name = "FILE")]
    pub file: Option<String>,
}

/// `atoms export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Name of the model
    pub model: String,
    /// Where the files go; made when it is not there
    pub dir: PathBuf,
    /// Overwrite files that are there and differ
    #[arg(long)]
    pub force: bool,
}

/// `atoms verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Name of a model; without it every atom is verified
    #[arg(conflicts_with = "sample")]
    pub model: Option<String>,
    /// Verify only this fraction of all atoms, above 0 and at most 1
    #[arg(long, value_name = "FRACTION", value_parser = parse_fraction)]
    pub sample: Option<f64>,
}

/// `atoms report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Name of a model; without it the whole store
    pub model: Option<String>,
}

/// `atoms gc`.
#[derive(Debug, Args)]
pub struct GcArgs {
    /// Keep atoms younger than this, as a PostgreSQL interval
    #[arg(long, value_name = "INTERVAL", default_value = "1 hour")]
    pub grace: String,
    /// Only count what would be deleted
    #[arg(long)]
    pub dry_run: bool,
}

/// `atoms imports`.
#[derive(Debug, Args)]
pub struct ImportsArgs {
    /// What to do; without it the imports are listed
    #[command(subcommand)]
    pub action: Option<ImportsAction>,
}

/// What can be done with an unfinished import.
#[derive(Debug, Subcommand)]
pub enum ImportsAction {
    /// Throw away what was staged for an import
    Abort {
        /// Its id, as `atoms imports` shows it
        id: i64,
    },
}

/// Reads a chunk size; whether it fits the strategy, the server says as well.
fn parse_chunk_bytes(text: &str) -> Result<u32, String> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits_end].parse().map_err(|_| "not a number of bytes".to_owned())?;
    let unit: u64 = match text[digits_end..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        other => return Err(format!("unknown unit \"{other}\": it is K, KiB, M or MiB, all powers of 1024")),
    };
    let bytes = number.checked_mul(unit).filter(|bytes| bytes.is_power_of_two()).unwrap_or(0);
    match u32::try_from(bytes) {
        Ok(bytes) if (4 << 10..=64 << 20).contains(&bytes) => Ok(bytes),
        _ => Err("a chunk size is a power of two from 4 KiB to 64 MiB".to_owned()),
    }
}

fn parse_fraction(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(fraction) if fraction > 0.0 && fraction <= 1.0 => Ok(fraction),
        _ => Err("a fraction is above 0 and at most 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn import_has_its_defaults() {
        let Command::Import(import) = parse("atoms import a/b").unwrap().command else { panic!("not import") };
        assert_eq!(import.path, PathBuf::from("a/b"));
        assert_eq!(import.name, None);
        assert_eq!(import.strategy, StrategyName::Tensor);
        assert_eq!(import.chunk_bytes, 65536);
        assert_eq!(import.on_exists, OnExists::Error);
    }

    #[test]
    fn global_options_stand_before_and_after_the_command() {
        let before = parse("atoms --json -d x ls").unwrap();
        let after = parse("atoms ls --json -d x").unwrap();
        for cli in [before, after] {
            assert!(cli.global.json);
            assert_eq!(cli.global.url.as_deref(), Some("x"));
        }
    }

    #[test]
    fn chunk_sizes_take_units() {
        assert_eq!(parse_chunk_bytes("4096"), Ok(4096));
        assert_eq!(parse_chunk_bytes("64KiB"), Ok(65536));
        assert_eq!(parse_chunk_bytes("64k"), Ok(65536));
        assert_eq!(parse_chunk_bytes("64 MiB"), Ok(64 << 20));
        for bad in ["", "KiB", "-1", "1", "2048", "65537", "128M", "1T", "18446744073709551616", "99999999999999999M"] {
            assert!(parse_chunk_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bad_fractions_and_combinations_are_usage_errors() {
        for line in [
            "atoms verify --sample 0",
            "atoms verify --sample 1.5",
            "atoms verify --sample nan",
            "atoms verify m --sample 0.5",
            "atoms import",
            "atoms import x --strategy other",
            "atoms imports abort x",
            "atoms nothing",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse("atoms imports abort 7").is_ok());
        assert!(parse("atoms gc --grace=0s --dry-run").is_ok());
    }
}
