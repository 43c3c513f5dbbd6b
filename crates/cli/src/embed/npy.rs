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
    if source.size() < FIXED_BYTES + 2 {
        return Err(truncated());
    }
    // Eight bytes of magic and version, then the length in two or four; a file may end between these.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::VectorFile;
    use crate::embed::written::{read_all, refused, source};

    fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let length = header.len() as u32;
        let width = if version == 1 { 2 } else { 4 };
        [&MAGIC[..], &[version, 0], &length.to_le_bytes()[..width], header.as_bytes(), data].concat()
    }

    fn array(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        file(1, &format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"), data)
    }

    fn values(bytes: &[u8]) -> Vec<f64> {
        read_all(&mut open(source(bytes)).unwrap(), 2).unwrap().0
    }

    #[test]
    fn every_type_and_order_of_bytes_is_read() {
        let numbers = [1.0, -2.0, 0.5, 100.0, 0.0, 7.0];
        type Encode = fn(f64) -> Vec<u8>;
        let floats: [(&str, Encode); 4] = [
            ("<f4", |value| (value as f32).to_le_bytes().to_vec()),
            (">f4", |value| (value as f32).to_be_bytes().to_vec()),
            ("<f8", |value| value.to_le_bytes().to_vec()),
            (">f8", |value| value.to_be_bytes().to_vec()),
        ];
        for (descr, bytes) in floats {
            let data: Vec<u8> = numbers.iter().copied().flat_map(bytes).collect();
            assert_eq!(values(&array(descr, "(3, 2)", &data)), numbers, "{descr}");
        }
        // 1 and -2 as binary16.
        assert_eq!(values(&array("<f2", "(1, 2)", &[0x00, 0x3C, 0x00, 0xC0])), [1.0, -2.0]);
        assert_eq!(values(&array(">f2", "(1, 2)", &[0x3C, 0x00, 0xC0, 0x00])), [1.0, -2.0]);
        assert_eq!(values(&array("|i1", "(2, 1)", &[1, 0xFE])), [1.0, -2.0]);
        assert_eq!(values(&array("|u1", "(2, 1)", &[1, 0xFE])), [1.0, 254.0]);
    }

    #[test]
    fn every_version_is_read() {
        for version in [1, 2, 3] {
            let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3), }  \n";
            assert_eq!(values(&file(version, header, &[1, 2, 3])), [1.0, 2.0, 3.0], "{version}");
        }
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3), }";
        refused(open(source(&file(4, header, &[1, 2, 3]))), Exit::Unsupported);
    }

    #[test]
    fn one_dimension_is_one_vector_and_no_rows_are_none() {
        let open = |bytes: &[u8]| open(source(bytes)).unwrap().contents();
        let one = open(&array("|u1", "(3,)", &[1, 2, 3]));
        assert_eq!((one.rows, one.dimensions, one.element), (1, 3, Element::Uint8));
        let none = open(&array("<f4", "(0, 3)", &[]));
        assert_eq!((none.rows, none.dimensions), (0, 3));
    }

    #[test]
    fn columns_that_follow_each_other_are_refused_where_there_are_several() {
        let fortran = |shape: &str| {
            file(1, &format!("{{'descr': '|u1', 'fortran_order': True, 'shape': {shape}, }}"), &[1, 2, 3, 4])
        };
        assert!(refused(open(source(&fortran("(2, 2)"))), Exit::Unsupported).contains("Fortran order"));
        for shape in ["(1, 4)", "(4, 1)", "(4,)"] {
            assert_eq!(values(&fortran(shape)), [1.0, 2.0, 3.0, 4.0]);
        }
    }

    #[test]
    fn headers_may_be_written_in_other_ways() {
        for header in [
            "{\"shape\":(2L,1L),\"fortran_order\":False,\"descr\":\"|u1\"}",
            "  { 'fortran_order' : False , 'shape' : ( 2 , 1 , ) , 'descr' : '|u1' }  ",
        ] {
            assert_eq!(values(&file(1, header, &[1, 2])), [1.0, 2.0], "{header}");
        }
    }

    #[test]
    fn types_and_shapes_that_vectors_have_not_are_refused() {
        for descr in ["<i8", "<c8", "|b1", "|O", "<U3", "=f4", "f4", "", "<"] {
            refused(open(source(&array(descr, "(1, 1)", &[0; 8]))), Exit::Unsupported);
        }
        for shape in ["()", "(1, 1, 1)"] {
            refused(open(source(&array("|u1", shape, &[0]))), Exit::Unsupported);
        }
        let records = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 1), }";
        refused(open(source(&file(1, records, &[0; 4]))), Exit::Unsupported);
        refused(open(source(&array("|u1", "(3, 0)", &[]))), Exit::Invalid);
        refused(open(source(&array("|u1", "(0, 65536)", &[]))), Exit::Limit);
        refused(open(source(&array("|u1", "(0, 18446744073709551615)", &[]))), Exit::Limit);
    }

    #[test]
    fn a_shape_that_does_not_fit_the_file_is_refused_before_anything_is_allocated() {
        for shape in ["(2, 2)", "(4, 2)", "(18446744073709551615, 2)", "(4611686018427387905, 4)"] {
            assert!(
                refused(open(source(&array("<f4", shape, &[0; 24]))), Exit::Invalid).contains("do not fit"),
                "{shape}"
            );
        }
        refused(open(source(&array("<f4", "(18446744073709551616, 2)", &[0; 24]))), Exit::Invalid);
    }

    #[test]
    fn hostile_headers_are_refused() {
        for header in [
            "",
            "{",
            "}",
            "{}",
            "{'descr'",
            "{'descr': ",
            "{'descr': '|u1",
            "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (1, 1)}",
            "{'descr': '|u1', 'fortran_order': False}",
            "{'descr': '|u1', 'fortran_order': Maybe, 'shape': (1, 1)}",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (1, -1)}",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (1 1)}",
            "{'descr': '|u1', 'fortran_order': False, 'shape': [1, 1]}",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1), 'more': 1}",
            "{'descr': '|u1' 'fortran_order': False, 'shape': (1, 1)}",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1)} {}",
            "{'descr': '\u{1F600}",
        ] {
            refused(open(source(&file(1, header, &[1]))), Exit::Invalid);
        }
        let mut no_text = array("|u1", "(1, 1)", &[1]);
        no_text[12] = 0xFF;
        refused(open(source(&no_text)), Exit::Invalid);
        let spaces = " ".repeat(HEADER_BYTES_MAX as usize + 1);
        refused(open(source(&file(2, &spaces, &[]))), Exit::Limit);
    }

    #[test]
    fn every_shorter_file_is_refused() {
        let whole = array("<f4", "(3, 2)", &[0; 24]);
        assert_eq!(values(&whole).len(), 6);
        for length in 0..whole.len() {
            assert!(open(source(&whole[..length])).is_err(), "{length}");
        }
        refused(open(source(&[&whole[..], &[0]].concat())), Exit::Invalid);
    }
}
