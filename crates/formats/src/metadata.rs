//! What a file says about itself: values of the types that formats have.

/// A value of a file's own metadata.  Numbers keep the width they have in the file.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each name is the type")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    /// Text; it may hold U+0000.
    Text(Box<str>),
    /// A string whose bytes are no UTF-8.
    Bytes(Box<[u8]>),
    /// An array, left in the file: vocabularies have hundreds of thousands of entries.
    Array(Array),
}

/// The type of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each name is the type")]
pub enum ElementType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

/// Where an array lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    /// What it holds.
    pub element: ElementType,
    /// How many.
    pub count: u64,
    /// Absolute position of the first element.
    pub offset: u64,
    /// Bytes of all elements, the lengths of strings and inner arrays included.
    pub length: u64,
}

impl ElementType {
    /// Returns the lower-case name that is shown, e.g. `uint8`; GGUF's own names.
    pub fn name(self) -> &'static str {
        match self {
            ElementType::U8 => "uint8",
            ElementType::I8 => "int8",
            ElementType::U16 => "uint16",
            ElementType::I16 => "int16",
            ElementType::U32 => "uint32",
            ElementType::I32 => "int32",
            ElementType::F32 => "float32",
            ElementType::Bool => "bool",
            ElementType::Text => "string",
            ElementType::Array => "array",
            ElementType::U64 => "uint64",
            ElementType::I64 => "int64",
            ElementType::F64 => "float64",
        }
    }
}

impl Value {
    /// Returns the type of the value.
    pub fn element_type(&self) -> ElementType {
        match self {
            Value::U8(_) => ElementType::U8,
            Value::I8(_) => ElementType::I8,
            Value::U16(_) => ElementType::U16,
            Value::I16(_) => ElementType::I16,
            Value::U32(_) => ElementType::U32,
            Value::I32(_) => ElementType::I32,
            Value::U64(_) => ElementType::U64,
            Value::I64(_) => ElementType::I64,
            Value::F32(_) => ElementType::F32,
            Value::F64(_) => ElementType::F64,
            Value::Bool(_) => ElementType::Bool,
            Value::Text(_) | Value::Bytes(_) => ElementType::Text,
            Value::Array(_) => ElementType::Array,
        }
    }

    /// Returns a whole number that is not negative, of any width.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::U8(value) => Some(value.into()),
            Value::U16(value) => Some(value.into()),
            Value::U32(value) => Some(value.into()),
            Value::U64(value) => Some(value),
            Value::I8(value) => u64::try_from(value).ok(),
            Value::I16(value) => u64::try_from(value).ok(),
            Value::I32(value) => u64::try_from(value).ok(),
            Value::I64(value) => u64::try_from(value).ok(),
            _ => None,
        }
    }

    /// Returns text, None for any other type.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}
