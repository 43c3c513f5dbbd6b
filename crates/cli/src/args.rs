//! The command line: what can be asked, and nothing of how it is done.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use vector::Element;

/// The exit codes of every command, for `atoms --help`.
const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  any other failure
    2  wrong usage
    3  no such model, file, tensor, import or path
    4  already there
    5  damaged
    6  not allowed
    7  no connection, or it was lost
    8  a value, name or file is malformed
    9  a limit was exceeded
   10  known, and not supported
   11  not complete, or changed while it was read
   12  the database does not have the extension, or another version
   13  --strict or --exit-code found something
  130  interrupted";

/// The exit codes of `atoms inspect`, for its help.
const INSPECT_EXIT_CODES: &str = "\
Exit codes, the first that holds for any of the files:
   3  it is not there (1, 6 or another: cannot be opened or read)
   8  malformed or cut off, or a page or pointer in place of a model
   9  exceeds a limit
  10  its structure is not read (in a directory: that of no file)
  13  --strict, and a finding is a warning or an error
   0  everything was read";

/// Keeps AI models in PostgreSQL, each byte string once, and gives every file back byte for byte.
#[derive(Debug, Parser)]
#[command(name = "atoms", version, arg_required_else_help = true, propagate_version = true, after_long_help = EXIT_CODES)]
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
    /// Show the statistics and histogram of a tensor, or of each tensor of a model
    Stats(StatsArgs),
    /// Print the values of a tensor
    Values(ValuesArgs),
    /// Compare the tensors of two models
    Diff(DiffArgs),
    /// List what is worth knowing of stored files
    Findings(FindingsArgs),
    /// Show what files are and what is in them; needs no database
    Inspect(InspectArgs),
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
    /// Load embeddings from files, list their models, show what dimensions are like
    Embed(EmbedArgs),
    /// Write the completions of a shell to standard output
    Completions(CompletionsArgs),
    /// Write the manual page of atoms to standard output, or all pages to a directory
    Man(ManArgs),
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

/// `atoms stats`.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Name of the model
    pub model: String,
    /// Name of a tensor, as FILE::TENSOR where several files have it; without it, a line for each tensor
    pub tensor: Option<String>,
    /// Bars of the histogram
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub buckets: i32,
    /// Draw with ASCII characters; the default where the locale is not UTF-8
    #[arg(long)]
    pub ascii: bool,
}

/// `atoms values`.
#[derive(Debug, Args)]
pub struct ValuesArgs {
    /// Name of the model
    pub model: String,
    /// Name of the tensor, as FILE::TENSOR where several files have it
    pub tensor: String,
    /// The first value, counted from 0, row-major
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    pub start: i64,
    /// How many values; fewer at the tensor's end
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(0..))]
    pub count: i64,
}

/// `atoms diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Name of the model to compare with
    pub model_a: String,
    /// Name of the other model
    pub model_b: String,
    /// List tensors that are the same, too
    #[arg(long)]
    pub all: bool,
    /// End with exit code 13 when the models differ
    #[arg(long)]
    pub exit_code: bool,
}

/// `atoms findings`.
#[derive(Debug, Args)]
pub struct FindingsArgs {
    /// Name of a model; without it all models
    pub model: Option<String>,
    /// End with exit code 13 when a finding is a warning or an error
    #[arg(long)]
    pub strict: bool,
}

/// `atoms inspect`.
#[derive(Debug, Args)]
#[command(after_help = INSPECT_EXIT_CODES)]
pub struct InspectArgs {
    /// Files, or directories with everything below them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// List only the first N tensors of a file [default: 40]
    #[arg(long, value_name = "N", conflicts_with = "all")]
    pub tensors: Option<usize>,
    /// List all tensors
    #[arg(long)]
    pub all: bool,
    /// Show everything whole: all tensors, long texts and arrays of the metadata
    #[arg(long, conflicts_with = "tensors")]
    pub full: bool,
    /// Print only this value of the metadata of one file, whole
    #[arg(long, value_name = "KEY", conflicts_with_all = ["tensors", "all", "full", "strict"])]
    pub metadata: Option<String>,
    /// End with exit code 13 when a finding is a warning or an error
    #[arg(long)]
    pub strict: bool,
}

/// `atoms completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `atoms man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each command to this directory; made when it is not there
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
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

/// `atoms embed`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct EmbedArgs {
    /// What to do
    #[command(subcommand)]
    pub action: EmbedAction,
}

/// What can be done with embeddings.
#[derive(Debug, Subcommand)]
pub enum EmbedAction {
    /// Store the vectors of a file: npy, fvecs, bvecs, CSV or safetensors
    Load(EmbedLoadArgs),
    /// Show what an embedding model holds, what it costs, and what its dimensions are like
    Stats(EmbedStatsArgs),
    /// List the embedding models
    Ls,
    /// Drop an embedding model with its vectors
    Rm(EmbeddingModelArgs),
}

/// `atoms embed load`.
#[derive(Debug, Args)]
pub struct EmbedLoadArgs {
    /// Name of the embedding model
    pub model: String,
    /// File of vectors
    pub file: PathBuf,
    /// What the vectors were made from: a text a line, in their order
    #[arg(long, value_name = "FILE", conflicts_with = "ids")]
    pub texts: Option<PathBuf>,
    /// The source atoms of the vectors: an atom id a line, in their order
    #[arg(long, value_name = "FILE")]
    pub ids: Option<PathBuf>,
    /// The tensor to take from a safetensors file [default: the only matrix of floats]
    #[arg(long, value_name = "NAME")]
    pub tensor: Option<String>,
    /// The format of the file [default: what its first bytes tell, else its name]
    #[arg(long, value_enum)]
    pub format: Option<VectorFormat>,
    /// Register the model, with the dimensions of the file, when it is not there
    #[arg(long)]
    pub register: bool,
    /// The type of the model's values when it is registered [default: that of the file; float32 for CSV]
    #[arg(long, value_name = "TYPE", requires = "register", value_parser = element_parser())]
    pub element_type: Option<Element>,
    /// Vectors in a transaction [default: as many as have 4 MiB]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
}

/// A format of files of vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VectorFormat {
    /// An array of NumPy
    Npy,
    /// Rows of float32, each behind its number of dimensions
    Fvecs,
    /// Rows of uint8, each behind its number of dimensions
    Bvecs,
    /// A vector a line
    Csv,
    /// A tensor
    Safetensors,
}

impl VectorFormat {
    /// Returns the name, which is also how files of this format are called at their end.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Fvecs => "fvecs",
            Self::Bvecs => "bvecs",
            Self::Csv => "csv",
            Self::Safetensors => "safetensors",
        }
    }

    /// Returns the format that the extension of a name tells.
    pub fn of_extension(extension: &str) -> Option<Self> {
        Self::value_variants().iter().copied().find(|format| format.name().eq_ignore_ascii_case(extension))
    }
}

/// `atoms embed stats`.
#[derive(Debug, Args)]
pub struct EmbedStatsArgs {
    /// Name of the embedding model
    pub model: String,
    /// Only this dimension, counted from 0
    #[arg(long, value_name = "N", conflicts_with = "top", value_parser = clap::value_parser!(i32).range(0..))]
    pub dimension: Option<i32>,
    /// How many dimensions, those with the greatest variance first [default: 10; all with --json]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub top: Option<i64>,
    /// Count the different values of each dimension, too; takes a sort of each
    #[arg(long)]
    pub distinct: bool,
}

/// A command on one embedding model.
#[derive(Debug, Args)]
pub struct EmbeddingModelArgs {
    /// Name of the embedding model
    pub model: String,
}

/// Reads the name of an element type.
fn element_parser() -> impl TypedValueParser<Value = Element> {
    PossibleValuesParser::new(Element::ALL.map(Element::name))
        .try_map(|name| Element::from_name(&name).ok_or("it is no element type"))
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
    fn help_names_every_exit_code() {
        let words: Vec<&str> = EXIT_CODES.split_whitespace().collect();
        for exit in crate::exit::Exit::ALL {
            assert!(words.contains(&exit.code().to_string().as_str()), "{exit:?}");
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
            "atoms inspect",
            "atoms inspect f --tensors 3 --all",
            "atoms inspect f --metadata k --full",
            "atoms stats",
            "atoms stats m --buckets 0",
            "atoms stats m --buckets 10001",
            "atoms values m",
            "atoms values m t --start -1",
            "atoms diff m",
            "atoms completions tcsh",
            "atoms embed",
            "atoms embed load m",
            "atoms embed load m f --texts a --ids b",
            "atoms embed load m f --element-type float32",
            "atoms embed load m f --register --element-type float",
            "atoms embed load m f --format ivecs",
            "atoms embed load m f --batch 0",
            "atoms embed stats m --dimension -1",
            "atoms embed stats m --dimension 1 --top 2",
            "atoms embed rm",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse("atoms imports abort 7").is_ok());
        assert!(parse("atoms gc --grace=0s --dry-run").is_ok());
        assert!(parse("atoms inspect a b --all --full --strict").is_ok());
        for element in Element::ALL {
            assert!(parse(&format!("atoms embed load m f --register --element-type {}", element.name())).is_ok());
        }
    }
}
