//! The formats that can be told apart, in one table: what they are called and what is done with them.

/// A kind of file that [`detect`](super::detect) can tell from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the notes of TABLE describe them")]
pub enum FileFormat {
    Safetensors,
    Gguf,
    Ggml,
    Onnx,
    PyTorch,
    TensorFlowSavedModel,
    TensorFlowGraph,
    TensorFlowCheckpoint,
    Keras,
    Hdf5,
    Tflite,
    CoreMl,
    Numpy,
    Npz,
    Pickle,
    Zip,
    Tar,
    Gzip,
    ShardedIndex,
    DiffusersIndex,
    OllamaManifest,
    Json,
    LfsPointer,
    Html,
    Text,
    Empty,
    Unknown,
}

impl FileFormat {
    /// Returns the lower-case name that is stored and shown, e.g. `tensorflow-savedmodel`.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Returns the row of the table.
    pub fn info(self) -> &'static FormatInfo {
        // The rows stand in the order of the enum; a test sees to it.
        TABLE.get(self as usize).unwrap_or(&UNKNOWN)
    }
}

/// How far a format is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Support {
    /// Its structure is read: tensors and metadata.
    Read,
    /// It is recognised, and kept as bytes.
    Recognised,
}

impl Support {
    /// Returns the lower-case name that is shown.
    pub fn name(self) -> &'static str {
        match self {
            Support::Read => "read",
            Support::Recognised => "recognised",
        }
    }
}

/// What is known of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatInfo {
    /// The format.
    pub format: FileFormat,
    /// Its name.
    pub name: &'static str,
    /// The endings that its files usually have, without the dot, the most usual first.  Never used to detect a file.
    pub extensions: &'static [&'static str],
    /// How far it is supported.
    pub support: Support,
    /// Whether it is a good choice for new files: data only, no code, every tensor found from the header.
    pub recommended: bool,
    /// What it is, its variants and its traps, in a sentence or two.
    pub notes: &'static str,
}

/// Returns every format that can be told apart; each [`FileFormat`] has one row.
pub fn known_formats() -> &'static [FormatInfo] {
    TABLE
}

const fn row(
    format: FileFormat,
    name: &'static str,
    extensions: &'static [&'static str],
    notes: &'static str,
) -> FormatInfo {
    FormatInfo { format, name, extensions, support: Support::Recognised, recommended: false, notes }
}

/// A row of a format whose structure is read; these are the recommended ones too.
const fn read(row: FormatInfo) -> FormatInfo {
    FormatInfo { support: Support::Read, recommended: true, ..row }
}

const UNKNOWN: FormatInfo =
    row(FileFormat::Unknown, "unknown", &[], "Bytes of no known structure; raw tensor data too.");

const TABLE: &[FormatInfo] = &[
    read(row(
        FileFormat::Safetensors,
        "safetensors",
        &["safetensors", "sft"],
        "A JSON header, then tensors without gaps. Variants, by tensors' names: stable-diffusion checkpoint, lora.",
    )),
    read(row(
        FileFormat::Gguf,
        "gguf",
        &["gguf"],
        "Typed metadata and quantized tensors of llama.cpp. Variants: the version, big-endian named.",
    )),
    row(
        FileFormat::Ggml,
        "ggml",
        &["bin", "ggml"],
        "What llama.cpp and whisper.cpp wrote before GGUF. Variants: ggml, ggmf, ggjt, ggla with the version.",
    ),
    row(
        FileFormat::Onnx,
        "onnx",
        &["onnx"],
        "A graph with its weights in protobuf; weights above 2 GiB lie in other files.",
    ),
    row(
        FileFormat::PyTorch,
        "pytorch",
        &["pt", "pth", "bin", "ckpt", "jit"],
        "Tensors within a Python pickle, which can run code when loaded. Variants: zip, legacy, tar, torchscript.",
    ),
    row(
        FileFormat::TensorFlowSavedModel,
        "tensorflow-savedmodel",
        &["pb"],
        "saved_model.pb: graphs and signatures; the weights lie in variables/ beside it.",
    ),
    row(
        FileFormat::TensorFlowGraph,
        "tensorflow-graph",
        &["pb", "meta"],
        "Variants: graphdef, a graph by itself and often with frozen weights; metagraph, the .meta of a checkpoint.",
    ),
    row(
        FileFormat::TensorFlowCheckpoint,
        "tensorflow-checkpoint",
        &["index", "ckpt"],
        "Variants: index, the table of a checkpoint's tensors; v1, tensors in the table itself. Data shards are unknown.",
    ),
    row(FileFormat::Keras, "keras", &["keras"], "A zip of config.json, metadata.json and model.weights.h5."),
    row(
        FileFormat::Hdf5,
        "hdf5",
        &["h5", "hdf5", "mat"],
        "Hierarchical data. Variant keras, by the names of attributes.",
    ),
    row(FileFormat::Tflite, "tflite", &["tflite", "lite"], "A TensorFlow Lite flatbuffer."),
    row(
        FileFormat::CoreMl,
        "coreml",
        &["mlmodel"],
        "An Apple Core ML model in protobuf; those of a package keep weights beside it.",
    ),
    row(FileFormat::Numpy, "numpy", &["npy"], "One array of NumPy."),
    row(FileFormat::Npz, "npz", &["npz"], "A zip in which every member is an array of NumPy."),
    row(
        FileFormat::Pickle,
        "pickle",
        &["pkl", "pickle", "joblib"],
        "Any Python objects, protocol 2 or later; loading it can run code.",
    ),
    row(FileFormat::Zip, "zip", &["zip"], "A zip archive of nothing more special."),
    row(FileFormat::Tar, "tar", &["tar"], "A tar archive."),
    row(FileFormat::Gzip, "gzip", &["gz", "tgz"], "Compressed bytes; what is inside is not looked at."),
    row(
        FileFormat::ShardedIndex,
        "sharded-index",
        &["index.json"],
        "JSON that maps tensors to the files of a sharded model. Variants: safetensors, pytorch.",
    ),
    row(
        FileFormat::DiffusersIndex,
        "diffusers-index",
        &["json"],
        "model_index.json of a diffusers pipeline. The variant is the pipeline's class.",
    ),
    row(
        FileFormat::OllamaManifest,
        "ollama-manifest",
        &[],
        "JSON that names the layers of a model in an Ollama store.",
    ),
    row(
        FileFormat::Json,
        "json",
        &["json", "jsonl"],
        "JSON, an object or array. Variant lines: one value after the other.",
    ),
    row(
        FileFormat::LfsPointer,
        "lfs-pointer",
        &[],
        "A Git LFS pointer that stands where the real file should; git lfs pull fetches it.",
    ),
    row(FileFormat::Html, "html", &["html"], "An HTML page or XML error document, usually of a failed download."),
    row(FileFormat::Text, "text", &["txt", "md"], "UTF-8 text. Variant: the checkpoint state file of TensorFlow."),
    row(FileFormat::Empty, "empty", &[], "A file of no bytes."),
    UNKNOWN,
];

#[cfg(test)]
mod tests {
    use super::{FileFormat, Support, known_formats};

    #[test]
    fn each_format_has_one_row_in_the_order_of_the_enum() {
        for (number, row) in known_formats().iter().enumerate() {
            assert_eq!(row.format as usize, number, "{}", row.name);
            assert_eq!(row.format.name(), row.name);
        }
        assert_eq!(known_formats().len(), FileFormat::Unknown as usize + 1);
    }

    #[test]
    fn only_what_is_read_says_so() {
        let read = known_formats().iter().filter(|row| row.support == Support::Read).map(|row| row.name);
        assert_eq!(read.collect::<Vec<_>>(), ["safetensors", "gguf"]);
    }
}
