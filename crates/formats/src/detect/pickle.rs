//! Pickles of Python, and those that PyTorch wrote before it took to zip.  Instructions are measured, never obeyed.
//!
//! Sources: `Lib/pickletools.py` of CPython 3.13 for the instructions; `torch/serialization.py` for the legacy file, which
//! begins with pickles of a magic number, of the protocol 1001, and of the writer's byte order and sizes.

use super::probe::{Probe, Window};
use super::{Answer, Detection, FileFormat, TRUNCATED, confidence};
use crate::FormatError;

/// The magic number of a legacy file, 0x1950a86a20f9469cfc6c, as a pickled integer and the end of its pickle.
const TORCH_MAGIC: &[u8] = b"\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.";

/// The protocol 1001, pickled alike.
const TORCH_PROTOCOL: &[u8] = b"M\xE9\x03.";

/// Instructions that are walked.
const INSTRUCTIONS_MAX: u64 = 16_384;

/// Instructions that make a pickle likely though its end was not reached.
const INSTRUCTIONS_LIKELY: u64 = 8;

/// Bytes read at a time.
const READ_BYTES: usize = 1024;

/// Bytes of the longest line that an instruction may have: the names of a module and of a class are shorter.
const LINE_BYTES_MAX: usize = 256;

/// Answers on a legacy file of PyTorch.
pub(super) fn torch_legacy(probe: &Probe) -> Answer {
    let Some(rest) = pickle_body(probe.head()).and_then(|body| body.strip_prefix(TORCH_MAGIC)) else { return Ok(None) };
    let protocol = pickle_body(rest).is_some_and(|body| body.starts_with(TORCH_PROTOCOL));
    let (sure, what) = match protocol {
        true => (confidence::WALKED, "magic number and protocol 1001"),
        false => (confidence::HEADER, "magic number"),
    };
    let reason = format!("a pickle of the {what} of PyTorch; loading it can run code");
    Ok(Some(Detection::new(FileFormat::PyTorch, sure, reason).variant("legacy")))
}

/// Returns what follows the protocol, 2 to 5, and the frame that newer ones announce.
fn pickle_body(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [0x80, 2..=3, body @ ..] => Some(body),
        [0x80, 4..=5, 0x95, rest @ ..] => rest.get(8..),
        [0x80, 4..=5, body @ ..] => Some(body),
        _ => None,
    }
}

/// Answers on other pickles, as far as they name their protocol.
pub(super) fn pickle(probe: &Probe) -> Answer {
    let [0x80, protocol @ 0..=5, ..] = probe.head() else { return Ok(None) };
    let walk = walk(probe)?;
    let last = probe.array::<1>(probe.size().saturating_sub(1))?;
    let likely = walk.instructions >= INSTRUCTIONS_LIKELY;
    let what = format!("a pickle of protocol {protocol}; loading it can run code");
    Ok(match walk.end {
        End::Stop(at) if at == probe.size() => Some(Detection::new(FileFormat::Pickle, confidence::HEADER, what)),
        End::Past if likely => {
            let reason = format!("truncated: {what}, but its end is missing");
            Some(Detection::new(FileFormat::Pickle, confidence::GUESS, reason).variant(TRUNCATED))
        }
        _ if last == Some([b'.']) && likely => Some(Detection::new(FileFormat::Pickle, confidence::EVIDENCE, what)),
        _ => None,
    })
}

/// How walking the instructions ended.
enum End {
    /// Behind the instruction that ends a pickle.
    Stop(u64),
    /// At the end of the file, or an operand lies behind it.
    Past,
    /// At a byte that is no instruction, or at the limit.
    Elsewhere,
}

struct Walk {
    instructions: u64,
    end: End,
}

fn walk(probe: &Probe) -> Result<Walk, FormatError> {
    let mut window = Window::new(probe, READ_BYTES);
    let mut at = 0_u64;
    for instructions in 0..INSTRUCTIONS_MAX {
        let Some(code) = window.byte(at)? else { return Ok(Walk { instructions, end: End::Past }) };
        at = at.saturating_add(1);
        let operand_bytes = match operand(code) {
            _ if code == b'.' => return Ok(Walk { instructions, end: End::Stop(at) }),
            Some(Operand::Fixed(count)) => Some(count),
            Some(Operand::Counted(width)) => counted(&mut window, at, width)?,
            Some(Operand::Lines(count)) => lines(&mut window, at, count)?,
            None => None,
        };
        let Some(operand_bytes) = operand_bytes else { return Ok(Walk { instructions, end: End::Elsewhere }) };
        at = at.saturating_add(operand_bytes);
    }
    Ok(Walk { instructions: INSTRUCTIONS_MAX, end: End::Elsewhere })
}

/// What follows the byte of an instruction.
enum Operand {
    /// This many bytes.
    Fixed(u64),
    /// A length of this many bytes, then so many bytes.
    Counted(usize),
    /// This many lines.
    Lines(u64),
}

/// Returns the operand of an instruction, None for a byte that is none.
fn operand(code: u8) -> Option<Operand> {
    Some(match code {
        b'(' | b')' | b'0' | b'1' | b'2' | b'N' | b'Q' | b'R' | b']' | b'}' | b'.' => Operand::Fixed(0),
        b'a' | b'b' | b'd' | b'e' | b'l' | b'o' | b's' | b't' | b'u' => Operand::Fixed(0),
        0x81 | 0x85..=0x89 | 0x8F..=0x94 | 0x97 | 0x98 => Operand::Fixed(0),
        b'K' | b'h' | b'q' | 0x80 | 0x82 => Operand::Fixed(1),
        b'M' | 0x83 => Operand::Fixed(2),
        b'J' | b'j' | b'r' | 0x84 => Operand::Fixed(4),
        b'G' | 0x95 => Operand::Fixed(8),
        b'U' | b'C' | 0x8A | 0x8C => Operand::Counted(1),
        b'T' | b'X' | b'B' | 0x8B => Operand::Counted(4),
        0x8D | 0x8E | 0x96 => Operand::Counted(8),
        b'F' | b'I' | b'L' | b'P' | b'S' | b'V' | b'g' | b'p' => Operand::Lines(1),
        b'c' | b'i' => Operand::Lines(2),
        _ => return None,
    })
}

/// Returns the bytes of a length and of what it counts; a length that the file cuts off counts to its end.
fn counted(window: &mut Window, at: u64, width: usize) -> Result<Option<u64>, FormatError> {
    let mut length = [0; 8];
    let stored = window.slice(at, width)?;
    length.iter_mut().zip(stored).for_each(|(to, from)| *to = *from);
    Ok((width as u64).checked_add(u64::from_le_bytes(length)))
}

/// Returns the bytes of so many lines, None when one is too long.
fn lines(window: &mut Window, at: u64, count: u64) -> Result<Option<u64>, FormatError> {
    let mut bytes = 0_u64;
    for _ in 0..count {
        let line = window.slice(at.saturating_add(bytes), LINE_BYTES_MAX)?;
        let Some(end) = line.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        bytes = bytes.saturating_add(end as u64).saturating_add(1);
    }
    Ok(Some(bytes))
}
