//! The key/value pairs.  Arrays are walked, to know where they end, and left in the file.

use super::Dialect;
use crate::reader::Reader;
use crate::seen::Seen;
use crate::{Array, ElementType, Fault, FormatError, ReadAt, Value};
use atom::Interrupt;

/// The longest key that the format allows.
const KEY_BYTES_MAX: u64 = 65_535;
/// Arrays within arrays; the format sets no bound, writers make none.
const NESTING_MAX: u64 = 4;
/// Bytes of a type's number.
const TYPE_BYTES: u64 = 4;

/// One pair, and where its value begins.
pub(super) struct Pair {
    pub(super) key: Box<str>,
    pub(super) value: Value,
    pub(super) offset: u64,
}

/// Returns the bytes that the shortest pair takes: a length, a type and one byte.
pub(super) fn bytes_min(dialect: Dialect) -> u64 {
    dialect.length_bytes().saturating_add(TYPE_BYTES).saturating_add(1)
}

/// Reads so many pairs; the count was proved.
pub(super) fn read(reader: &mut Reader<'_>, dialect: Dialect, count: u64) -> Result<Vec<Pair>, FormatError> {
    let mut pairs: Vec<Pair> = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    let mut seen = Seen::default();
    for _ in 0..count {
        let start = reader.position();
        let key = read_key(reader, dialect)?;
        if seen.twice(&key, pairs.iter().map(|pair| &*pair.key)) {
            return Err(Fault::DuplicateKey { within: None, key }.at(start));
        }
        let (value, offset) =
            Values { reader, dialect, key: &key }.typed_value().map_err(|error| error.within(&key))?;
        pairs.push(Pair { key, value, offset });
    }
    Ok(pairs)
}

fn read_key(reader: &mut Reader<'_>, dialect: Dialect) -> Result<Box<str>, FormatError> {
    let start = reader.position();
    let length = dialect.length(reader, "length of a key")?;
    if length > KEY_BYTES_MAX && length <= reader.left() {
        return Err(Fault::KeyTooLong { bytes: length }.at(start));
    }
    utf8(reader.bytes(length, "key")?, "key").map_err(|fault| fault.at(start))
}

/// Returns the text of a name or key.
pub(super) fn utf8(bytes: Vec<u8>, what: &'static str) -> Result<Box<str>, Fault> {
    String::from_utf8(bytes)
        .map(String::into_boxed_str)
        .map_err(|error| Fault::NotUtf8 { what, name: String::from_utf8_lossy(error.as_bytes()).into() })
}

/// The number of each type, as the format gives it.
fn element_type(number: u32) -> Option<ElementType> {
    Some(match number {
        0 => ElementType::U8,
        1 => ElementType::I8,
        2 => ElementType::U16,
        3 => ElementType::I16,
        4 => ElementType::U32,
        5 => ElementType::I32,
        6 => ElementType::F32,
        7 => ElementType::Bool,
        8 => ElementType::Text,
        9 => ElementType::Array,
        10 => ElementType::U64,
        11 => ElementType::I64,
        12 => ElementType::F64,
        _ => return None,
    })
}

/// Bytes of each element, None where they differ.
fn fixed_bytes(element: ElementType) -> Option<u64> {
    match element {
        ElementType::U8 | ElementType::I8 | ElementType::Bool => Some(1),
        ElementType::U16 | ElementType::I16 => Some(2),
        ElementType::U32 | ElementType::I32 | ElementType::F32 => Some(4),
        ElementType::U64 | ElementType::I64 | ElementType::F64 => Some(8),
        ElementType::Text | ElementType::Array => None,
    }
}

/// Reads the values of one key.
struct Values<'r, 'a> {
    reader: &'r mut Reader<'a>,
    dialect: Dialect,
    /// The key, for messages.
    key: &'r str,
}

impl Values<'_, '_> {
    /// Returns a value that its type stands before, and the position behind the type.
    fn typed_value(&mut self) -> Result<(Value, u64), FormatError> {
        let element = self.element_type("type of a value")?;
        let offset = self.reader.position();
        Ok((self.value(element)?, offset))
    }

    fn element_type(&mut self, what: &'static str) -> Result<ElementType, FormatError> {
        let start = self.reader.position();
        let found = self.reader.u32(what)?;
        element_type(found).ok_or_else(|| Fault::UnknownValueType { key: self.key.into(), found }.at(start))
    }

    fn value(&mut self, element: ElementType) -> Result<Value, FormatError> {
        const WHAT: &str = "value of a key";
        let reader = &mut *self.reader;
        Ok(match element {
            ElementType::U8 => Value::U8(reader.u8(WHAT)?),
            ElementType::I8 => Value::I8(reader.u8(WHAT)?.cast_signed()),
            ElementType::U16 => Value::U16(reader.u16(WHAT)?),
            ElementType::I16 => Value::I16(reader.u16(WHAT)?.cast_signed()),
            ElementType::U32 => Value::U32(reader.u32(WHAT)?),
            ElementType::I32 => Value::I32(reader.u32(WHAT)?.cast_signed()),
            ElementType::U64 => Value::U64(reader.u64(WHAT)?),
            ElementType::I64 => Value::I64(reader.u64(WHAT)?.cast_signed()),
            ElementType::F32 => Value::F32(f32::from_bits(reader.u32(WHAT)?)),
            ElementType::F64 => Value::F64(f64::from_bits(reader.u64(WHAT)?)),
            ElementType::Bool => Value::Bool(self.truth()?),
            ElementType::Text => self.text()?,
            ElementType::Array => Value::Array(self.array(1)?),
        })
    }

    fn truth(&mut self) -> Result<bool, FormatError> {
        let offset = self.reader.position();
        match self.reader.u8("truth value")? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(Fault::NotBool { key: self.key.into(), found }.at(offset)),
        }
    }

    fn text(&mut self) -> Result<Value, FormatError> {
        let length = self.dialect.length(self.reader, "length of a string")?;
        let bytes = self.reader.bytes(length, "string")?;
        Ok(match String::from_utf8(bytes) {
            Ok(text) => Value::Text(text.into_boxed_str()),
            Err(error) => Value::Bytes(error.into_bytes().into_boxed_slice()),
        })
    }

    /// Walks through an array; `depth` counts the arrays around the elements.
    fn array(&mut self, depth: u64) -> Result<Array, FormatError> {
        let start = self.reader.position();
        if depth > NESTING_MAX {
            let within = Some(self.key.into());
            return Err(Fault::Limit { what: "nested arrays", within, value: depth, limit: NESTING_MAX }.at(start));
        }
        let (element, count) = self.array_start()?;
        let offset = self.reader.position();
        match (element, fixed_bytes(element)) {
            (ElementType::Bool, _) => {
                for _ in 0..count {
                    self.truth()?;
                }
            }
            (_, Some(bytes)) => self.reader.skip(count.saturating_mul(bytes), "array")?,
            (ElementType::Text, None) => self.skip_texts(count)?,
            (_, None) => {
                for _ in 0..count {
                    self.array(depth.saturating_add(1))?;
                }
            }
        }
        Ok(Array { element, count, offset, length: self.reader.position().saturating_sub(offset) })
    }

    /// Reads type and count of an array; so many elements fit the file.
    fn array_start(&mut self) -> Result<(ElementType, u64), FormatError> {
        let element = self.element_type("type of an array")?;
        let count = self.dialect.length(self.reader, "length of an array")?;
        let length_bytes = self.dialect.length_bytes();
        let element_bytes_min = match element {
            ElementType::Array => length_bytes.saturating_add(TYPE_BYTES),
            _ => fixed_bytes(element).unwrap_or(length_bytes),
        };
        self.reader.prove_count(count, element_bytes_min, u64::MAX, "elements of an array")?;
        Ok((element, count))
    }

    fn skip_texts(&mut self, count: u64) -> Result<(), FormatError> {
        for _ in 0..count {
            let length = self.dialect.length(self.reader, "length of a string")?;
            self.reader.skip(length, "string")?;
        }
        Ok(())
    }
}

/// Reads the elements of an array that was proved, one by one.
pub(crate) struct ArrayReader<'a> {
    reader: Reader<'a>,
    dialect: Dialect,
    element: ElementType,
    left: u64,
}

impl<'a> ArrayReader<'a> {
    /// Begins with the first element.
    pub(crate) fn new(source: &'a dyn ReadAt, dialect: Dialect, array: &Array, interrupt: &'a dyn Interrupt) -> Self {
        let span = array.offset..array.offset.saturating_add(array.length);
        let mut reader = Reader::new(source, span, u64::MAX, interrupt);
        reader.set_order(dialect.order);
        ArrayReader { reader, dialect, element: array.element, left: array.count }
    }

    /// Returns the next element; an inner array as where it lies.
    pub(crate) fn next(&mut self) -> Result<Option<Value>, FormatError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        Values { reader: &mut self.reader, dialect: self.dialect, key: "" }.value(self.element).map(Some)
    }
}
