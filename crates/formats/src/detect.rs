//! What a file is, told by the structure of its bytes; a name is never asked.
//!
//! One rule per format, asked in the order of [`RULES`]; the first that answers wins.  A rule reads a bounded number of bytes
//! by position, whatever the file's size, and answers on any bytes; it proves less than a reader does, and no payload is read.

mod archive;
mod directory;
mod gguf;
mod hdf5;
mod json;
mod model_protobuf;
mod numpy;
mod pickle;
mod probe;
mod protobuf;
mod safetensors;
mod table;
mod tensorflow_table;
mod text;
mod tflite;
mod zip;

use crate::{FormatError, Limits, ReadAt};
use atom::Interrupt;
use probe::Probe;

pub use directory::detect_directory;
pub use table::{FileFormat, FormatInfo, Support, known_formats};

/// The levels of [`Detection::confidence`].
pub mod confidence {
    /// The structure was walked and is consistent.
    pub const WALKED: f64 = 1.0;
    /// Magic and header fields are right; what follows was not looked at.
    pub const HEADER: f64 = 0.9;
    /// Several signs, but the structure is cut off, broken, or not told by these bytes alone.
    pub const EVIDENCE: f64 = 0.6;
    /// A magic in a file that otherwise does not fit, or too few bytes to be sure.
    pub const GUESS: f64 = 0.3;
    /// Nothing is known.
    pub const NONE: f64 = 0.0;
}

/// What a file is, and how sure that is.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// The format.
    pub format: FileFormat,
    /// A version, dialect or use within the format, e.g. `v3 big-endian`, `torchscript`, `lora`; `truncated` where the file's
    /// own header asks for more bytes than there are.
    pub variant: Option<String>,
    /// One of the levels of [`confidence`].
    pub confidence: f64,
    /// Why, in words for people: no full stop, no control characters, words of the file shortened and quoted.
    pub reason: String,
}

impl Detection {
    fn new(format: FileFormat, confidence: f64, reason: impl Into<String>) -> Detection {
        Detection { format, variant: None, confidence, reason: reason.into() }
    }

    fn variant(self, variant: impl Into<String>) -> Detection {
        Detection { variant: Some(variant.into()), ..self }
    }

    /// Returns the answer for a file whose header asks for `needed` bytes or more.
    fn truncated(format: FileFormat, needed: u64, file_bytes: u64) -> Detection {
        let reason = format!("truncated: its header asks for {needed} bytes or more, the file has {file_bytes}");
        Detection::new(format, confidence::EVIDENCE, reason).variant(TRUNCATED)
    }
}

/// The variant of a file that ends early.
const TRUNCATED: &str = "truncated";

/// What a rule answers: None leaves the file to the next rule.
type Answer = Result<Option<Detection>, FormatError>;

/// The rules, those with the surest signs first.  Text comes last: it has no structure that another format could not share.
const RULES: &[fn(&Probe) -> Answer] = &[
    text::empty,
    text::lfs_pointer,
    text::markup,
    gguf::gguf,
    gguf::ggml,
    safetensors::safetensors,
    zip::zip,
    pickle::torch_legacy,
    pickle::pickle,
    archive::tar,
    archive::gzip,
    hdf5::hdf5,
    tflite::tflite,
    numpy::npy,
    tensorflow_table::checkpoint_index,
    model_protobuf::onnx,
    model_protobuf::saved_model,
    model_protobuf::meta_graph,
    model_protobuf::graph,
    model_protobuf::core_ml,
    json::json,
    text::text,
];

/// Returns what a file is.
///
/// Any bytes have an answer, at worst [`FileFormat::Unknown`].  Errors: only a source that cannot be read, and interruption.
pub fn detect(source: &dyn ReadAt, limits: &Limits, interrupt: &dyn Interrupt) -> Result<Detection, FormatError> {
    let probe = Probe::new(source, limits, interrupt)?;
    for rule in RULES {
        if let Some(detection) = rule(&probe)? {
            return Ok(detection);
        }
    }
    Ok(unknown(&probe))
}

fn unknown(probe: &Probe) -> Detection {
    let reason = match probe.head().iter().all(|byte| *byte == 0) {
        true => "begins with zeros only, as a file does whose download was never finished".to_owned(),
        false => "matches no known format".to_owned(),
    };
    Detection::new(FileFormat::Unknown, confidence::NONE, reason)
}
