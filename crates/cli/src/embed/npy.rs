//! npy: one array of NumPy behind a header that is the text of a Python dictionary.
//!
//! Source: `numpy.lib.format`, versions 1.0 to 3.0.  Only what describes a matrix of numbers is read: records, objects and
//! columns that follow each other (Fortran order) are refused.

use formats::ReadAt;
use vector::Element;

use super::matrix::Matrix;
use super::{Contents, dimensions, fill, malformed};
use crate::exit::Exit;
use crate::failure::{Failure, Result};

const MAGIC: [u8; 6] = *b"\x93NUMPY";
/// Magic and version.
const FIXED_BYTES: u64 = 8;
/// The longest header that is read; that of a matrix has some 120 bytes.
const HEADER_BYTES_MAX: u64 = 64 << 10;

/// Tells whether the file begins as npy does.
pub fn looks_like(source: &dyn ReadAt) -> Result<bool> {
    let mut magic = [0; MAGIC.len()];
    if source.size() < MAGIC.len() as u64 {
        return Ok(false);
    }
    fill(source, 0, &mut magic)?;
    Ok(magic == MAGIC)
}

/// Opens an array: of two dimensions, or of one, which is one vector.
pub fn open(source: Box<dyn ReadAt>) -> Result<Matrix> {
    if !looks_like(source.as_ref())? {
        return Err(malformed("it does not begin as npy does"));
    }
    let (header, data_start) = header(source.as_ref())?;
    let array = Header::parse(&header)?;
    let (element, big_endian) = element(&array.descr)?;
    let (rows, columns) = match array.shape[..] {
        [columns] => (1, columns),
        [rows, columns] => (rows, columns),
        _ => return Err(wrong_shape(&array.shape)),
    };
    if array.fortran_order && rows > 1 && columns > 1 {
        return Err(Failure::new(Exit::Unsupported, "the array is in Fortran order: its columns follow each other")
            .hint("numpy.save(file, numpy.ascontiguousarray(array)) writes rows."));
    }
    let contents = Contents { dimensions: dimensions(columns)?, rows, element, registers_as: element, has_ids: false };
    prove_length(&contents, data_start, source.size())?;
    Ok(Matrix { source, contents, offset: data_start, big_endian, ids_offset: None })
}

fn wrong_shape(shape: &[u64]) -> Failure {
    let message = format!("the array has {} dimensions, and vectors are an array of 2, or 1", shape.len());
    Failure::new(Exit::Unsupported, message)
}

/// Compares the file's length with what the header says.
fn prove_length(contents: &Contents, data_start: u64, file_bytes: u64) -> Result<()> {
    let data_bytes = contents.rows.checked_mul(contents.row_bytes() as u64);
    let end = data_bytes.and_then(|bytes| bytes.checked_add(data_start));
    if end == Some(file_bytes) {
        return Ok(());
    }
    let Contents { rows, dimensions, element, .. } = contents;
    let message = format!("{rows} rows of {dimensions} {} values do not fit the file", element.name());
    let detail = match end {
        Some(end) => format!("They end at byte {end}; the file has {file_bytes} bytes."),
        None => format!("The file has {file_bytes} bytes."),
    };
    Err(malformed(message).detail(detail))
}

/// Returns the text of the header, and where the values begin.
fn header(source: &dyn ReadAt) -> Result<(String, u64)> {
    let truncated = || malformed(format!("its header ends past the end of the file of {} bytes", source.size()));
    let mut start = [0; FIXED_BYTES as usize + 4];
    let readable = source.size().min(start.len() as u64) as usize;
    fill(source, 0, &mut start[..readable])?;
    let [.., major, minor, a, b, c, d] = start;
    let (width, length) = match (major, minor) {
        (1, 0) => (2, u64::from(u16::from_le_bytes([a, b]))),
        (2 | 3, 0) => (4, u64::from(u32::from_le_bytes([a, b, c, d]))),
        _ => return Err(Failure::new(Exit::Unsupported, format!("version {major}.{minor} of npy is not known"))),
    };
    let data_start = FIXED_BYTES + width + length;
    if data_start > source.size() {
        return Err(truncated());
    } else if length > HEADER_BYTES_MAX {
        let message = format!("its header has {length} bytes, and {HEADER_BYTES_MAX} are the most");
        return Err(Failure::new(Exit::Limit, message));
    }
    let mut bytes = vec![0; length as usize];
    fill(source, FIXED_BYTES + width, &mut bytes)?;
    let text = String::from_utf8(bytes).map_err(|_| malformed("its header is no UTF-8"))?;
    Ok((text, data_start))
}

/// Returns the element type of a descriptor such as `<f4`, and whether its bytes are big-endian.
fn element(descr: &str) -> Result<(Element, bool)> {
    let mut rest = descr.chars();
    let order = rest.next();
    let element = match rest.as_str() {
        "f4" => Some(Element::Float32),
        "f2" => Some(Element::Float16),
        "f8" => Some(Element::Float64),
        "i1" => Some(Element::Int8),
        "u1" => Some(Element::Uint8),
        _ => None,
    };
    match (element, order) {
        (Some(element), Some('<' | '>' | '|')) if element.width() == 1 => Ok((element, false)),
        (Some(element), Some('<')) => Ok((element, false)),
        (Some(element), Some('>')) => Ok((element, true)),
        _ => {
            Err(Failure::new(Exit::Unsupported, format!("the array has the type {descr:?}, which vectors do not have"))
                .hint("f4, f2, f8, i1 and u1 are read: numpy.save(file, array.astype(\"float32\"))."))
        }
    }
}

/// What the dictionary of the header says.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<u64>,
}

impl Header {
    /// Reads the dictionary: its three keys, each once, in any order.
    fn parse(text: &str) -> Result<Self> {
        let mut words = Words { text, rest: text };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        words.expect('{')?;
        while !words.take('}') {
            let key = words.quoted()?;
            words.expect(':')?;
            let again = match key {
                "descr" => descr.replace(words.descr()?.to_owned()).is_some(),
                "fortran_order" => fortran_order.replace(words.truth()?).is_some(),
                "shape" => shape.replace(words.shape()?).is_some(),
                _ => return Err(words.wrong("an unknown key")),
            };
            if again {
                return Err(words.wrong("a key that was there"));
            }
            if !words.take(',') {
                words.expect('}')?;
                break;
            }
        }
        if !words.rest.trim().is_empty() {
            return Err(words.wrong("more than the dictionary"));
        }
        match (descr, fortran_order, shape) {
            (Some(descr), Some(fortran_order), Some(shape)) => Ok(Self { descr, fortran_order, shape }),
            _ => Err(malformed("its header lacks one of descr, fortran_order and shape")),
        }
    }
}

/// The header's text, taken word by word.
struct Words<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn wrong(&self, what: &str) -> Failure {
        malformed(format!("its header has {what} before character {}", self.text.len() - self.rest.len()))
    }

    /// Takes a sign if it is the next one.
    fn take(&mut self, sign: char) -> bool {
        let rest = self.rest.trim_start();
        let found = rest.strip_prefix(sign);
        self.rest = found.unwrap_or(rest);
        found.is_some()
    }

    fn expect(&mut self, sign: char) -> Result<()> {
        if self.take(sign) { Ok(()) } else { Err(self.wrong(&format!("no {sign:?}"))) }
    }

    /// Takes a string between quotes of either kind; one with a backslash is none that is known.
    fn quoted(&mut self) -> Result<&'a str> {
        let quote = if self.take('\'') { '\'' } else { '"' };
        if quote == '"' {
            self.expect('"')?;
        }
        let (text, rest) = self.rest.split_once(quote).ok_or_else(|| self.wrong("a string without end"))?;
        self.rest = rest;
        Ok(text)
    }

    /// Takes the type; that of records is a list.
    fn descr(&mut self) -> Result<&'a str> {
        if self.take('[') {
            return Err(Failure::new(Exit::Unsupported, "the array is one of records, not of numbers"));
        }
        self.quoted()
    }

    fn truth(&mut self) -> Result<bool> {
        self.rest = self.rest.trim_start();
        for (word, truth) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(truth);
            }
        }
        Err(self.wrong("neither True nor False"))
    }

    /// Takes a tuple of numbers; those of Python 2 may end with an L.
    fn shape(&mut self) -> Result<Vec<u64>> {
        let mut shape = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            shape.push(self.number()?);
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(shape)
    }

    fn number(&mut self) -> Result<u64> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        let number = digits.parse().map_err(|_| self.wrong("no count in its shape"))?;
        self.rest = rest.strip_prefix('L').unwrap_or(rest);
        Ok(number)
    }
}
