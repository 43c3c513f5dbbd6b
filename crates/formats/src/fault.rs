//! The rules that a file can break, each with what and how much.  The place is added by [`Fault::at`].

use crate::{Dtype, FormatError};
use atom::FaultKind;
use std::fmt;

/// Characters of a name that a message shows.
const NAME_CHARS_SHOWN: usize = 120;

/// A broken rule.  Names are the file's own words, whole and unescaped; messages shorten and escape them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are said by the variant's line")]
pub enum Fault {
    /// The file has no room for the length of a header.
    FileTooShort { file_bytes: u64 },
    /// The header ends behind the end of the file.
    HeaderPastEnd { header_bytes: u64, file_bytes: u64 },
    /// The header begins with another byte than `{`; None when it is empty.
    HeaderStart { found: Option<u8> },
    /// The header is not JSON; `problem` is the parser's word.
    HeaderJson { problem: String },
    /// The header is JSON of another shape: `problem` in the value of `key`, in the entry of `within`.
    HeaderValue { within: Option<Box<str>>, key: Option<Box<str>>, problem: String },
    /// Two tensors have one name.
    DuplicateTensor { name: Box<str> },
    /// A key stands twice in one object: in the entry of `within`, or in the metadata or the header itself.
    DuplicateKey { within: Option<Box<str>>, key: Box<str> },
    /// A tensor's entry lacks a key.
    MissingKey { name: Box<str>, key: &'static str },
    /// A tensor has a type that is not known.
    UnknownDtype { name: Box<str>, dtype: Box<str> },
    /// A tensor ends before it begins; the numbers are those of the header.
    OffsetsReversed { name: Box<str>, begin: u64, end: u64 },
    /// Dimensions times bits exceed 64 bits.
    SizeOverflow { name: Box<str>, dtype: Dtype, dims: u64 },
    /// The elements do not fill the last block of the type; for types below a byte, whole bytes.
    PartialBlock { name: Box<str>, dtype: Dtype, elements: u64 },
    /// Shape and type need another number of bytes than the entry declares.
    SizeMismatch { name: Box<str>, dtype: Dtype, needed: u64, declared: u64 },
    /// A tensor ends behind the end of the file.
    TensorPastEnd { name: Box<str>, end: u64, file_bytes: u64 },
    /// A tensor begins before the one before it ends; absolute positions.
    Overlap { name: Box<str>, begin: u64, previous: Box<str>, previous_end: u64 },
    /// Bytes before a tensor belong to none; absolute positions.
    Hole { name: Box<str>, begin: u64, expected: u64 },
    /// A tensor does not begin at a multiple of the alignment.
    Misaligned { name: Box<str>, begin: u64, alignment: u64 },
    /// Bytes at the end of the file belong to no tensor.
    DataUncovered { end: u64, file_bytes: u64 },
    /// The file ends within `what`, in the entry of `within`.
    CutShort { what: &'static str, within: Option<Box<str>>, needed: u64, left: u64 },
    /// So many `what`, in the entry of `within`, do not fit the rest of the file.
    CountPastEnd { what: &'static str, within: Option<Box<str>>, count: u64, left: u64 },
    /// The file does not begin with `GGUF`.
    Magic { found: [u8; 4] },
    /// A version of the format that is not known.
    UnknownVersion { version: u32 },
    /// A key is longer than the format allows.
    KeyTooLong { bytes: u64 },
    /// A name or key is not UTF-8: `what` with its bytes, the wrong ones replaced.
    NotUtf8 { what: &'static str, name: Box<str> },
    /// A value, or the elements of an array, are of a type that the format does not have.
    UnknownValueType { key: Box<str>, found: u32 },
    /// A truth value is neither 0 nor 1.
    NotBool { key: Box<str>, found: u8 },
    /// The alignment is neither a power of two nor a multiple of 8.
    Alignment { found: Option<u64> },
    /// A tensor has more dimensions than the format allows.
    TooManyDims { name: Box<str>, dims: u32 },
    /// A limit was exceeded: `what` was at least `value`.
    Limit { what: &'static str, within: Option<Box<str>>, value: u64, limit: u64 },
}

impl Fault {
    /// Adds the absolute position in the file.
    pub fn at(self, offset: u64) -> FormatError {
        FormatError::Refused { fault: Box::new(self), offset }
    }

    /// Adds whose entry the fault lies in, to faults that have no name yet.
    pub(crate) fn within(mut self, name: &str) -> Fault {
        if let Fault::CutShort { within, .. } | Fault::CountPastEnd { within, .. } = &mut self {
            *within = Some(name.into());
        }
        self
    }

    /// Returns the kind: malformed, a limit, or (a dtype of tomorrow) unsupported.
    pub fn kind(&self) -> FaultKind {
        match self {
            Fault::Limit { .. } => FaultKind::Limit,
            Fault::UnknownDtype { .. } | Fault::UnknownVersion { .. } => FaultKind::Unsupported,
            _ => FaultKind::Malformed,
        }
    }

    /// Returns the figures, without full stop.
    pub(crate) fn detail(&self) -> Option<String> {
        Some(match self {
            Fault::FileTooShort { file_bytes } => format!("The file has {file_bytes} bytes, the length alone takes 8"),
            Fault::HeaderPastEnd { header_bytes, file_bytes } => {
                format!(
                    "The header is said to have {header_bytes} bytes, behind 8 for its length; the file has {file_bytes}"
                )
            }
            Fault::HeaderStart { found: Some(byte) } => format!("The byte is 0x{byte:02X}"),
            Fault::HeaderStart { found: None } => "The header is empty".to_owned(),
            Fault::HeaderJson { problem } | Fault::HeaderValue { problem, .. } => {
                format!("JSON parser: {}", Shown(problem))
            }
            Fault::OffsetsReversed { begin, end, .. } => format!("It begins at {begin} and ends at {end} of the data"),
            Fault::SizeOverflow { dtype, dims, .. } => format!("It has {dims} dimensions of {dtype}"),
            Fault::PartialBlock { dtype, elements, .. } => {
                format!(
                    "{elements} elements are no multiple of the {} that a block of {dtype} has",
                    dtype.block().elements
                )
            }
            Fault::SizeMismatch { dtype, needed, declared, .. } => {
                format!("The shape needs {needed} bytes of {dtype}; data_offsets span {declared}")
            }
            Fault::TensorPastEnd { end, file_bytes, .. } => {
                format!("Its data ends at byte {end}; the file has {file_bytes} bytes")
            }
            Fault::Overlap { begin, previous_end, .. } => {
                format!("It begins at byte {begin}; the other ends at byte {previous_end}")
            }
            Fault::Hole { begin, expected, .. } => {
                format!("It begins at byte {begin}; the data before it ends at {expected}")
            }
            Fault::Misaligned { begin, alignment, .. } => {
                format!("It begins at byte {begin}; the alignment is {alignment}")
            }
            Fault::DataUncovered { end, file_bytes } => {
                format!("The data ends at byte {end}; the file has {file_bytes} bytes")
            }
            Fault::CutShort { needed, left, .. } => format!("It takes {needed} bytes; the file has {left} left"),
            Fault::CountPastEnd { count, left, .. } => {
                format!("There are said to be {count}; the file has {left} bytes left")
            }
            Fault::Magic { found } => format!("The first bytes are {found:02X?}"),
            Fault::UnknownVersion { version } => {
                format!("Versions 1 to 3 are read, in both byte orders; this is {version}")
            }
            Fault::KeyTooLong { bytes } => format!("It has {bytes} bytes; the format allows 65535"),
            Fault::UnknownValueType { found, .. } => format!("The type has the number {found}; 0 to 12 are known"),
            Fault::NotBool { found, .. } => format!("The byte is 0x{found:02X}"),
            Fault::Alignment { found: Some(found) } => format!("general.alignment is {found}"),
            Fault::Alignment { found: None } => "general.alignment is not of the type uint32".to_owned(),
            Fault::TooManyDims { dims, .. } => format!("It has {dims}; the format allows 4"),
            Fault::Limit { value, limit, .. } => format!("It is at least {value}; the limit is {limit}"),
            Fault::DuplicateTensor { .. }
            | Fault::DuplicateKey { .. }
            | Fault::MissingKey { .. }
            | Fault::NotUtf8 { .. }
            | Fault::UnknownDtype { .. } => return None,
        })
    }

    /// Returns what to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Fault::FileTooShort { .. }
            | Fault::HeaderPastEnd { .. }
            | Fault::TensorPastEnd { .. }
            | Fault::CutShort { .. }
            | Fault::CountPastEnd { .. } => {
                "The file looks truncated.  Compare its size and SHA-256 with the publisher's."
            }
            Fault::DataUncovered { .. } => {
                "Something was appended, or the file holds more than its header lists.  Compare its SHA-256 with the publisher's."
            }
            Fault::HeaderStart { .. } => "The file may not be a safetensors file at all.",
            Fault::Magic { .. } => "The file may not be a GGUF file at all.",
            Fault::UnknownDtype { .. } | Fault::UnknownVersion { .. } => {
                "A newer version may know it; until then the file can be stored as bytes."
            }
            Fault::Limit { .. } => "The file can be stored as bytes.",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::FileTooShort { .. } => f.write_str("file is too short for the length of a safetensors header"),
            Fault::HeaderPastEnd { .. } => f.write_str("header ends past the end of the file"),
            Fault::HeaderStart { .. } => f.write_str("header does not begin with \"{\""),
            Fault::HeaderJson { .. } => f.write_str("header is not valid JSON"),
            Fault::HeaderValue { within, key, .. } => header_value(f, within.as_deref(), key.as_deref()),
            Fault::DuplicateTensor { name } => write!(f, "tensor {} stands twice in the header", Quoted(name)),
            Fault::DuplicateKey { within: Some(name), key } => {
                write!(f, "key {} stands twice in the entry of tensor {}", Quoted(key), Quoted(name))
            }
            Fault::DuplicateKey { within: None, key } => write!(f, "key {} stands twice in the header", Quoted(key)),
            Fault::MissingKey { name, key } => write!(f, "tensor {} has no \"{key}\"", Quoted(name)),
            Fault::UnknownDtype { name, dtype } => {
                write!(f, "tensor {} has the unknown dtype {}", Quoted(name), Quoted(dtype))
            }
            Fault::OffsetsReversed { name, .. } => write!(f, "tensor {} ends before it begins", Quoted(name)),
            Fault::SizeOverflow { name, .. } => write!(f, "size of tensor {} exceeds 64 bits", Quoted(name)),
            Fault::PartialBlock { name, dtype, .. } => {
                write!(f, "tensor {} does not fill whole blocks of {dtype}", Quoted(name))
            }
            Fault::SizeMismatch { name, .. } => {
                write!(f, "shape and data_offsets of tensor {} do not agree", Quoted(name))
            }
            Fault::TensorPastEnd { name, .. } => {
                write!(f, "tensor {} ends past the end of the file", Quoted(name))
            }
            Fault::Overlap { name, previous, .. } => {
                write!(f, "tensor {} overlaps tensor {}", Quoted(name), Quoted(previous))
            }
            Fault::Hole { name, begin, expected } => {
                let bytes = begin.saturating_sub(*expected);
                write!(f, "{bytes} bytes before tensor {} belong to no tensor", Quoted(name))
            }
            Fault::Misaligned { name, .. } => write!(f, "tensor {} is not aligned", Quoted(name)),
            Fault::DataUncovered { end, file_bytes } => {
                let bytes = file_bytes.saturating_sub(*end);
                write!(f, "{bytes} bytes at the end of the file belong to no tensor")
            }
            Fault::CutShort { what, within, .. } => write!(f, "file ends within the {what}{}", Within(within)),
            Fault::CountPastEnd { what, within, .. } => {
                write!(f, "more {what} are declared than the file has room for{}", Within(within))
            }
            Fault::Magic { .. } => f.write_str("file does not begin with \"GGUF\""),
            Fault::UnknownVersion { version } => write!(f, "GGUF version {version} is not known"),
            Fault::KeyTooLong { .. } => f.write_str("a key is too long"),
            Fault::NotUtf8 { what, name } => write!(f, "{what} {} is not UTF-8", Quoted(name)),
            Fault::UnknownValueType { key, .. } => write!(f, "value of key {} has an unknown type", Quoted(key)),
            Fault::NotBool { key, .. } => write!(f, "truth value of key {} is neither 0 nor 1", Quoted(key)),
            Fault::Alignment { .. } => f.write_str("alignment is neither a power of two nor a multiple of 8"),
            Fault::TooManyDims { name, .. } => write!(f, "tensor {} has too many dimensions", Quoted(name)),
            Fault::Limit { what, within, .. } => write!(f, "too many {what}{}", Within(within)),
        }
    }
}

/// Writes which value has the wrong type.
fn header_value(f: &mut fmt::Formatter<'_>, within: Option<&str>, key: Option<&str>) -> fmt::Result {
    match (within, key) {
        (Some(name), Some(key)) => write!(f, "tensor {} has a wrong value of {}", Quoted(name), Quoted(key)),
        (Some(name), None) => write!(f, "entry of tensor {} has the wrong type", Quoted(name)),
        (None, Some(key)) => write!(f, "metadata entry {} is not a string", Quoted(key)),
        (None, None) => f.write_str("\"__metadata__\" is not an object of strings"),
    }
}

/// The tensor or key whose entry a fault lies in, where it is known.
struct Within<'a>(&'a Option<Box<str>>);

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, " in the entry of {}", Quoted(name)),
            None => Ok(()),
        }
    }
}

/// A name from outside between quotes, short and without control characters: messages pass through C strings and terminals.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", Shown(self.0))
    }
}

/// The same without quotes, for the words of another parser, which may quote the file.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(NAME_CHARS_SHOWN) {
            match c.is_control() {
                true => write!(f, "{}", c.escape_unicode())?,
                false => f.write_char(c)?,
            }
        }
        match chars.next() {
            Some(_) => f.write_str("..."),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, NAME_CHARS_SHOWN};

    #[test]
    fn messages_escape_and_shorten_names() {
        let name = format!("a\0\n{}", "ü".repeat(5000)).into_boxed_str();
        let text = Fault::DuplicateTensor { name }.to_string();
        assert!(text.starts_with("tensor \"a\\u{0}\\u{a}üü"), "{text}");
        assert!(text.ends_with("...\" stands twice in the header"), "{text}");
        assert!(text.chars().count() < NAME_CHARS_SHOWN + 60);
    }
}
