//! npy: one array of NumPy, whose header is the text of a Python dictionary.
//!
//! Source: `numpy.lib.format`, versions 1.0 to 3.0.

use super::probe::{Probe, after, u16_at, u32_at};
use super::{Answer, Detection, FileFormat, confidence};
use crate::fault::Quoted;

/// Bytes of the dictionary that are looked at; that of a plain array is below 128.
const HEADER_BYTES_SHOWN: usize = 4096;

/// Answers on npy.
pub(super) fn npy(probe: &Probe) -> Answer {
    let Some(rest) = probe.head().strip_prefix(b"\x93NUMPY") else { return Ok(None) };
    let file_bytes = probe.size();
    let (start, length) = match rest {
        [1, 0, ..] => (10_u64, u16_at(rest, 2).map(u64::from)),
        [2..=3, 0, ..] => (12, u32_at(rest, 2).map(u64::from)),
        [] | [1..=3] => (10, None),
        [major, ..] => {
            let reason = format!("the magic of npy, but its version {major} is not known");
            return Ok(Some(Detection::new(FileFormat::Numpy, confidence::GUESS, reason)));
        }
    };
    let data_start = start.saturating_add(length.unwrap_or(0));
    if length.is_none() || data_start > file_bytes {
        return Ok(Some(Detection::truncated(FileFormat::Numpy, data_start, file_bytes)));
    }
    let count = usize::try_from(length.unwrap_or(0)).unwrap_or(usize::MAX).min(HEADER_BYTES_SHOWN);
    Ok(Some(of_header(&String::from_utf8_lossy(&probe.bytes(start, count)?), data_start, file_bytes)))
}

fn of_header(header: &str, data_start: u64, file_bytes: u64) -> Detection {
    let keys = ["'descr':", "'fortran_order':", "'shape':"];
    if !header.starts_with('{') || !keys.iter().all(|key| header.contains(key)) {
        let reason = "the magic of npy, but no header of descr, fortran_order and shape";
        return Detection::new(FileFormat::Numpy, confidence::GUESS, reason);
    }
    let descr = text_of(header, "'descr':");
    let data_bytes =
        descr.and_then(element_bytes).zip(elements(header)).and_then(|(each, count)| each.checked_mul(count));
    let needed = data_bytes.and_then(|bytes| bytes.checked_add(data_start));
    match needed {
        Some(needed) if needed > file_bytes => Detection::truncated(FileFormat::Numpy, needed, file_bytes),
        Some(_) => {
            let reason = format!("an npy array of type {}, all of it", Quoted(descr.unwrap_or_default()));
            Detection::new(FileFormat::Numpy, confidence::WALKED, reason)
        }
        None => Detection::new(FileFormat::Numpy, confidence::HEADER, "an npy array of objects or records"),
    }
}

/// Returns the text between quotes behind a key.
fn text_of<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let value = std::str::from_utf8(after(header.as_bytes(), key.as_bytes())?).ok()?;
    value.trim_start().strip_prefix('\'')?.split_once('\'').map(|(text, _)| text)
}

/// Returns the bytes of an element of a type such as `<f4`; text counts characters of four bytes.
fn element_bytes(descr: &str) -> Option<u64> {
    let kind = descr.trim_start_matches(['<', '>', '|', '=']);
    let (letter, count) = (kind.chars().next()?, kind.get(1..)?);
    let count = count.split('[').next()?.parse::<u64>().ok()?;
    match letter {
        'U' => count.checked_mul(4),
        'b' | 'B' | 'i' | 'u' | 'f' | 'c' | 'S' | 'a' | 'V' | 'M' | 'm' => Some(count),
        _ => None,
    }
}

/// Returns the product of the shape.
fn elements(header: &str) -> Option<u64> {
    let value = std::str::from_utf8(after(header.as_bytes(), b"'shape':")?).ok()?;
    let (dims, _) = value.trim_start().strip_prefix('(')?.split_once(')')?;
    let mut dims = dims.split(',').map(str::trim).filter(|dim| !dim.is_empty());
    dims.try_fold(1_u64, |product, dim| product.checked_mul(dim.parse().ok()?))
}
