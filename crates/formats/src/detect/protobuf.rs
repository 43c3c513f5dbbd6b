//! Walks the fields of a protobuf message without reading what they hold.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.  Groups, which no format here uses, count as broken.

use super::probe::{Probe, Window};
use crate::FormatError;
use std::ops::Range;

/// Fields of one message that are walked; a message of more is judged by these.
const FIELDS_MAX: u32 = 16_384;

/// Bytes read at a time: as a rule the heads of a few fields.
const READ_BYTES: usize = 512;

/// No message is longer, says the specification.
const MESSAGE_BYTES_END: u64 = 1 << 31;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number.
    Varint,
    /// Text, bytes or a message.
    Bytes,
}

/// A field of a message: its number, and its value.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) value: FieldValue,
}

/// The value of a field.
#[derive(Clone, Debug)]
pub(super) enum FieldValue {
    /// A number.
    Varint(u64),
    /// The place of what it holds; it may end behind the end of the file.
    Bytes(Range<u64>),
}

/// How walking a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At its end.
    Whole,
    /// At the limit of fields.
    Limit,
    /// The file ends before the message does.
    Cut,
}

/// The fields that a message may have: the kind of each by its number.
pub(super) type Schema = fn(u64) -> Option<Kind>;

/// What one step found.
enum Step {
    Field(Field),
    End(End),
    Broken,
}

/// Walks a message and shows each field to `visit`, which answers false to refuse it.
///
/// None: a field is refused, not in the schema or of another kind there, or the bytes are no protobuf.
pub(super) fn walk(
    probe: &Probe,
    message: Range<u64>,
    schema: Schema,
    visit: &mut dyn FnMut(&Field) -> Result<bool, FormatError>,
) -> Result<Option<End>, FormatError> {
    let mut fields = Fields::new(probe, message);
    for _ in 0..FIELDS_MAX {
        let field = match fields.step()? {
            Step::Field(field) => field,
            Step::End(end) => return Ok(Some(end)),
            Step::Broken => return Ok(None),
        };
        if schema(field.number) != Some(field.kind()) || !visit(&field)? {
            return Ok(None);
        }
    }
    Ok(Some(End::Limit))
}

impl Field {
    fn kind(&self) -> Kind {
        match self.value {
            FieldValue::Varint(_) => Kind::Varint,
            FieldValue::Bytes(_) => Kind::Bytes,
        }
    }

    /// Returns the place of what the field holds; an empty one for a number.
    pub(super) fn place(&self) -> Range<u64> {
        match &self.value {
            FieldValue::Varint(_) => 0..0,
            FieldValue::Bytes(place) => place.clone(),
        }
    }
}

struct Fields<'a> {
    window: Window<'a>,
    at: u64,
    end: u64,
    file_bytes: u64,
    /// Whether the message is the whole file: only its fields may end behind the file.
    outermost: bool,
}

impl<'a> Fields<'a> {
    fn new(probe: &'a Probe<'a>, message: Range<u64>) -> Fields<'a> {
        let window = Window::new(probe, READ_BYTES);
        let file_bytes = probe.size();
        let outermost = message == (0..file_bytes);
        Fields { window, at: message.start, end: message.end, file_bytes, outermost }
    }

    fn step(&mut self) -> Result<Step, FormatError> {
        match () {
            () if self.at == self.end => return Ok(Step::End(End::Whole)),
            () if self.at >= self.file_bytes => return Ok(Step::End(End::Cut)),
            () => {}
        }
        let Some(key) = self.varint()? else { return Ok(self.ended_early()) };
        let Some(value) = self.varint()? else { return Ok(self.ended_early()) };
        // Numbers of fixed width are in no schema here, so that what follows the key is a varint in any case.
        let value = match key & 7 {
            0 => FieldValue::Varint(value),
            2 if value < MESSAGE_BYTES_END => FieldValue::Bytes(self.at..self.at.saturating_add(value)),
            _ => return Ok(Step::Broken),
        };
        Ok(self.advance(Field { number: key.checked_shr(3).unwrap_or(0), value }))
    }

    /// Moves behind a field's value.
    fn advance(&mut self, field: Field) -> Step {
        if let FieldValue::Bytes(place) = &field.value {
            self.at = place.end;
        }
        match self.at > self.end && !self.outermost {
            true => Step::Broken,
            false => Step::Field(field),
        }
    }

    /// A number that is not whole: the file ends within it, or it is none.
    fn ended_early(&self) -> Step {
        match self.at >= self.file_bytes {
            true => Step::End(End::Cut),
            false => Step::Broken,
        }
    }

    fn varint(&mut self) -> Result<Option<u64>, FormatError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.window.byte(self.at)?.filter(|_| self.at < self.end) else { return Ok(None) };
            self.at = self.at.saturating_add(1);
            value |= u64::from(byte & 0x7F).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

/// Tells whether a message begins with these texts, in fields 1 and 2, the second one like a name of an operation.
pub(super) fn begins_with_name_and_operation(probe: &Probe, message: &Range<u64>) -> Result<Begun, FormatError> {
    let mut fields = Fields::new(probe, message.clone());
    let mut texts = Vec::new();
    for number in [1, 2] {
        match fields.step()? {
            Step::Field(field) if field.number == number && field.kind() == Kind::Bytes => texts.push(field.place()),
            Step::End(End::Cut) => return Ok(Begun::Cut),
            _ => return Ok(Begun::Otherwise),
        }
    }
    for place in texts {
        if place.end > probe.size() {
            return Ok(Begun::Cut);
        }
        let count = usize::try_from(place.end.saturating_sub(place.start)).unwrap_or(usize::MAX);
        let text = fields.window.slice(place.start, count)?;
        if text.is_empty() || !text.iter().all(is_name_byte) {
            return Ok(Begun::Otherwise);
        }
    }
    Ok(Begun::Right)
}

/// How a message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// As asked.
    Right,
    /// The file ends too early to tell.
    Cut,
    /// Otherwise.
    Otherwise,
}

/// Tells whether a byte may stand in the name of a node or operation of TensorFlow.
fn is_name_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._/>-\\".contains(byte)
}
