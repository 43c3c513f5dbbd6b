//! The text form: `[1,2.5,-3]`, behind `NAME:` where the elements are not float32; pgvector's `{1:0.5,3:2}/5` on input too.
//!
//! Numbers are read as PostgreSQL reads them: correctly rounded, and out of range where they would become infinite or,
//! not being zero, zero.  float16 and bfloat16 are rounded from the nearest float64.  They are written in the fewest digits
//! that read back as the same value, laid out as PostgreSQL lays out real and double precision; of several such (a value in
//! 300 or so) it may choose another.

use std::fmt::{LowerExp, Write};
use std::num::IntErrorKind;

use crate::{DIMENSIONS_MAX, Element, Packed, VectorError, pack_f32, pack_f64};

/// Reads the dense or the sparse form; elements are of type `default` where no prefix says otherwise.
///
/// Errors: [`VectorError::Text`] with the character, from 1; values that are not finite or not in the type's range; no or too
/// many dimensions.
pub fn parse(text: &str, default: Element) -> Result<Vec<u8>, VectorError> {
    let mut cursor = Cursor { text, at: 0 };
    match cursor.prefix()?.unwrap_or(default) {
        Element::Float32 => pack_f32(Element::Float32, &cursor.vector(read_float32)?),
        element => pack_f64(element, &cursor.vector(|token, dimension| read_number(element, token, dimension))?),
    }
}

/// Returns the dense form.
pub fn format(packed: &Packed<'_>) -> String {
    // Twelve characters hold most numbers of embeddings; longer ones make the string grow.
    let mut text = String::with_capacity(16 + packed.dimensions() * 12);
    push_prefix(&mut text, packed.element());
    text.push('[');
    match packed.element() {
        Element::Float64 | Element::Int8 | Element::Uint8 => push_all(&mut text, packed.to_f64(), push_float64),
        Element::Float32 | Element::Float16 | Element::Bfloat16 => push_all(&mut text, packed.to_f32(), push_float32),
    }
    text.push(']');
    text
}

/// Returns the sparse form: the values that are not zero, their positions from 1, and the number of dimensions.
pub fn sparse_format(packed: &Packed<'_>) -> String {
    let mut text = String::new();
    push_prefix(&mut text, packed.element());
    text.push('{');
    let mut separator = "";
    for (dimension, value) in packed.entries().filter(|(_, value)| *value != 0.0) {
        push(&mut text, format_args!("{separator}{}:", dimension + 1));
        match packed.element() {
            Element::Float64 => push_float64(&mut text, value),
            _ => push_float32(&mut text, value as f32),
        }
        separator = ",";
    }
    push(&mut text, format_args!("}}/{}", packed.dimensions()));
    text
}

/// Returns a number as the text form writes a float64.
pub(crate) fn number(value: f64) -> String {
    let mut text = String::new();
    push_float64(&mut text, value);
    text
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string has no way to fail.
    let _ = text.write_fmt(what);
}

fn push_prefix(text: &mut String, element: Element) {
    if element != Element::Float32 {
        push(text, format_args!("{}:", element.name()));
    }
}

fn push_all<T>(text: &mut String, values: Vec<T>, push_value: fn(&mut String, T)) {
    for (place, value) in values.into_iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        push_value(text, value);
    }
}

/// As real is written: without an exponent from 1e-4 to below 1e6.
fn push_float32(text: &mut String, value: f32) {
    push_float(text, value, value == 0.0 || (1e-4..1e6).contains(&value.abs()));
}

/// As double precision is written: without an exponent from 1e-4 to below 1e15.
fn push_float64(text: &mut String, value: f64) {
    push_float(text, value, value == 0.0 || !value.is_finite() || (1e-4..1e15).contains(&value.abs()));
}

fn push_float(text: &mut String, value: impl zmij::Float + LowerExp, plain: bool) {
    if plain {
        let mut buffer = zmij::Buffer::new();
        let digits = buffer.format(value);
        return text.push_str(digits.strip_suffix(".0").unwrap_or(digits));
    }
    push(text, format_args!("{value:e}"));
    let Some(mark) = text.rfind('e') else { return };
    let exponent: i32 = text[mark + 1..].parse().unwrap_or_default();
    text.truncate(mark);
    push(text, format_args!("e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()));
}

/// Why a token is no value.
enum Refusal {
    /// The cursor knows where.
    Syntax(&'static str),
    Value(VectorError),
}

const NO_NUMBER: Refusal = Refusal::Syntax("a number is expected");

fn read_float32(token: &str, dimension: usize) -> Result<f32, Refusal> {
    let value: f32 = token.parse().map_err(|_| NO_NUMBER)?;
    if value.is_finite() && (value != 0.0 || says_zero(token)) {
        return Ok(value);
    }
    Err(refused(Element::Float32, token, dimension))
}

fn read_number(element: Element, token: &str, dimension: usize) -> Result<f64, Refusal> {
    let value: f64 = token.parse().map_err(|_| NO_NUMBER)?;
    let lost = |value: f64| value == 0.0 && !says_zero(token);
    if element.is_integer() && (lost(value) || value.is_finite() && value.fract() != 0.0) {
        return Err(Refusal::Syntax("a whole number is expected"));
    }
    let nearest = element.nearest(value);
    if nearest.is_finite() && !lost(nearest) {
        return Ok(nearest);
    }
    Err(refused(element, token, dimension))
}

/// Returns whether a number's digits are all zero.
pub(crate) fn says_zero(token: &str) -> bool {
    !token.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).any(|byte| matches!(byte, b'1'..=b'9'))
}

/// Tells a name (NaN, Infinity) from a decimal beyond the type.
fn refused(element: Element, token: &str, dimension: usize) -> Refusal {
    let value = token.parse().unwrap_or(f64::NAN);
    let is_name = token.trim_start_matches(['+', '-']).starts_with(|first: char| first.is_ascii_alphabetic());
    Refusal::Value(match is_name {
        true => VectorError::NotFinite { value, dimension },
        false => VectorError::OutOfRange { value, dimension, element },
    })
}

/// One entry of the sparse form, and the byte where it begins.
struct Entry<T> {
    position: i64,
    value: T,
    at: usize,
}

/// A place in the text, as a byte from 0.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn error(&self, what: &'static str) -> VectorError {
        self.error_at(self.at, what)
    }

    fn error_at(&self, at: usize, what: &'static str) -> VectorError {
        let before = self.text.get(..at).unwrap_or(self.text);
        VectorError::Text { what, position: before.chars().count() + 1 }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// Passes white space and that byte.
    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), VectorError> {
        self.skip_space();
        if self.peek() != Some(byte) {
            return Err(self.error(what));
        }
        self.at += 1;
        Ok(())
    }

    /// Passes white space and returns what follows up to a separator, and where it begins.
    fn token(&mut self) -> (&'a str, usize) {
        self.skip_space();
        let from = self.at;
        let rest = self.text.as_bytes().get(from..).unwrap_or_default();
        self.at += rest.iter().position(|&byte| ends_token(byte)).unwrap_or(rest.len());
        // Separators are ASCII, so no character is cut.
        (self.text.get(from..self.at).unwrap_or_default(), from)
    }

    /// Returns the element type before a colon, if the text does not begin with a bracket.
    fn prefix(&mut self) -> Result<Option<Element>, VectorError> {
        self.skip_space();
        if matches!(self.peek(), Some(b'[' | b'{')) {
            return Ok(None);
        }
        let (name, from) = self.token();
        if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(self.error_at(from, "a vector begins with [ or { or the name of an element type"));
        }
        let element = Element::from_name(name).ok_or_else(|| self.error_at(from, "no element type has this name"))?;
        self.expect(b':', "a colon is expected")?;
        Ok(Some(element))
    }

    fn vector<T: Copy + Default>(
        &mut self,
        read: impl Fn(&str, usize) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, VectorError> {
        self.skip_space();
        match self.peek() {
            Some(b'[') => self.dense(read),
            Some(b'{') => self.sparse(read),
            _ => Err(self.error("an opening bracket is expected")),
        }
    }

    fn dense<T>(&mut self, read: impl Fn(&str, usize) -> Result<T, Refusal>) -> Result<Vec<T>, VectorError> {
        self.at += 1;
        let separators = self.text.bytes().filter(|&byte| byte == b',').count();
        let mut values = Vec::with_capacity(separators.min(DIMENSIONS_MAX) + 1);
        loop {
            if values.len() == DIMENSIONS_MAX {
                return Err(VectorError::TooManyDimensions { dimensions: separators + 1 });
            }
            values.push(self.value(values.len(), &read)?);
            if !self.has_another(b']', "a comma or ] is expected")? {
                break;
            }
        }
        self.end()?;
        Ok(values)
    }

    fn sparse<T: Copy + Default>(
        &mut self,
        read: impl Fn(&str, usize) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, VectorError> {
        self.at += 1;
        let entries = self.entries(read)?;
        self.expect(b'/', "a slash is expected")?;
        let (dimensions, _) = self.whole_number("the number of dimensions is expected")?;
        self.end()?;
        let dimensions = match dimensions {
            ..=0 => return Err(VectorError::NoDimensions),
            _ => usize::try_from(dimensions).unwrap_or(usize::MAX),
        };
        if dimensions > DIMENSIONS_MAX {
            return Err(VectorError::TooManyDimensions { dimensions });
        }
        self.spread(entries, dimensions)
    }

    fn entries<T>(&mut self, read: impl Fn(&str, usize) -> Result<T, Refusal>) -> Result<Vec<Entry<T>>, VectorError> {
        let mut entries = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(entries);
        }
        loop {
            let (position, at) = self.whole_number("a position is expected")?;
            self.expect(b':', "a colon is expected")?;
            let dimension = usize::try_from(position.saturating_sub(1)).unwrap_or_default();
            entries.push(Entry { position, value: self.value(dimension, &read)?, at });
            if !self.has_another(b'}', "a comma or } is expected")? {
                return Ok(entries);
            }
        }
    }

    /// Puts entries, in any order, into their places.
    fn spread<T: Copy + Default>(&self, mut entries: Vec<Entry<T>>, dimensions: usize) -> Result<Vec<T>, VectorError> {
        entries.sort_by_key(|entry| entry.position);
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].position == pair[1].position) {
            return Err(self.error_at(pair[1].at, "the position is there twice"));
        }
        let mut values = vec![T::default(); dimensions];
        for entry in entries {
            let place = usize::try_from(entry.position).ok().and_then(|position| position.checked_sub(1));
            let Some(place) = place else { return Err(self.error_at(entry.at, "positions count from 1")) };
            match values.get_mut(place) {
                Some(value) => *value = entry.value,
                None => return Err(self.error_at(entry.at, "the position is beyond the dimensions")),
            }
        }
        Ok(values)
    }

    fn value<T>(
        &mut self,
        dimension: usize,
        read: &impl Fn(&str, usize) -> Result<T, Refusal>,
    ) -> Result<T, VectorError> {
        let (token, from) = self.token();
        read(token, dimension).map_err(|refusal| match refusal {
            Refusal::Syntax(what) => self.error_at(from, what),
            Refusal::Value(error) => error,
        })
    }

    /// Returns a whole number, one that 64 bits do not hold as the nearest that they do, and where it begins.
    fn whole_number(&mut self, what: &'static str) -> Result<(i64, usize), VectorError> {
        let (token, from) = self.token();
        let number = token.parse().or_else(|error: std::num::ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow => Ok(i64::MAX),
            IntErrorKind::NegOverflow => Ok(i64::MIN),
            _ => Err(self.error_at(from, what)),
        })?;
        Ok((number, from))
    }

    /// Passes a comma, or the end of the list.
    fn has_another(&mut self, close: u8, what: &'static str) -> Result<bool, VectorError> {
        self.skip_space();
        let byte = self.peek();
        if byte != Some(b',') && byte != Some(close) {
            return Err(self.error(what));
        }
        self.at += 1;
        Ok(byte == Some(b','))
    }

    fn end(&mut self) -> Result<(), VectorError> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.error("nothing more is expected")) }
    }
}

/// White space as PostgreSQL's scanner and pgvector know it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C)
}

fn ends_token(byte: u8) -> bool {
    matches!(byte, b',' | b':' | b'/' | b'[' | b']' | b'{' | b'}') || is_space(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> String {
        let bytes = parse(text, Element::Float32).unwrap();
        format(&Packed::read(&bytes).unwrap())
    }

    #[test]
    fn numbers_are_laid_out_as_postgresql_does() {
        for (text, written) in [
            ("[1,2,3]", "[1,2,3]"),
            (" [ 1,  2 ,    3  ] ", "[1,2,3]"),
            ("[1.,.5,+2,-0]", "[1,0.5,2,0]"),
            ("[1.5e38,-1.5e-38]", "[1.5e+38,-1.5e-38]"),
            ("[100000,1000000,0.0001,0.00001]", "[100000,1e+06,0.0001,1e-05]"),
            ("float64:[1e14,1e15,1e-300]", "float64:[100000000000000,1e+15,1e-300]"),
            ("float16:[1.23456,65519]", "float16:[1.234375,65504]"),
            ("bfloat16 : [0.1]", "bfloat16:[0.100097656]"),
            ("int8:[1e2,-5.0]", "int8:[100,-5]"),
            ("{}/3", "[0,0,0]"),
            (" { 3 : 1.5 ,  1  :  3.5  } / 5 ", "[3.5,0,1.5,0,0]"),
        ] {
            assert_eq!(round_trip(text), written, "{text}");
        }
    }

    #[test]
    fn the_sparse_form_counts_from_1() {
        let bytes = parse("float16:[0.5,0,2,0,0]", Element::Float32).unwrap();
        assert_eq!(sparse_format(&Packed::read(&bytes).unwrap()), "float16:{1:0.5,3:2}/5");
        assert_eq!(parse("{1:0.5,3:2}/5", Element::Float16), Ok(bytes));
    }
}
