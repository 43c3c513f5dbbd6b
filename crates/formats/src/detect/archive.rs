//! tar and gzip.  A tar of `pickle`, `storages` and `tensors` is what PyTorch wrote before version 0.1.10.
//!
//! Sources: POSIX.1-2024, pax, "ustar Interchange Format"; RFC 1952; `torch/serialization.py`, `legacy_load`.

use super::probe::{Probe, u16_at};
use super::{Answer, Detection, FileFormat, TRUNCATED, confidence};
use crate::FormatError;
use crate::fault::Quoted;

const BLOCK_BYTES: u64 = 512;

/// Members that are walked; each is one read.
const MEMBERS_MAX: u64 = 4096;

/// Where a header holds its checksum.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Bytes of the shortest gzip file: header, an empty block, trailer.
const GZIP_BYTES_MIN: u64 = 20;

/// Answers on tar archives, old ones without `ustar` too.
pub(super) fn tar(probe: &Probe) -> Answer {
    match block_at(probe, 0)?.as_ref().and_then(member) {
        Some(_) => walk(probe).map(|walk| Some(walk.detection(probe.size()))),
        None => Ok(None),
    }
}

fn block_at(probe: &Probe, offset: u64) -> Result<Option<[u8; 512]>, FormatError> {
    probe.array(offset)
}

/// Name and size of the member that a header describes, None when the header's checksum is another.
fn member(block: &[u8; 512]) -> Option<(&[u8], u64)> {
    let sum = block.iter().enumerate().fold(0_u64, |sum, (at, byte)| {
        let counted = if CHECKSUM.contains(&at) { b' ' } else { *byte };
        sum.saturating_add(u64::from(counted))
    });
    let name = block.get(..100)?.split(|byte| *byte == 0).next().filter(|name| !name.is_empty())?;
    let stored = octal(block.get(CHECKSUM)?)?;
    let size = number(block.get(124..136)?)?;
    (stored == sum).then_some((name, size))
}

/// Returns a number in octal digits, white space or NUL around them.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches([' ', '\0']), 8).ok()
}

/// Returns a number in octal, or after a byte 0x80 in binary, as GNU tar writes large ones.
fn number(field: &[u8]) -> Option<u64> {
    match field {
        [0x80, _, _, _, low @ ..] => low.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)),
        field => octal(field),
    }
}

/// How walking the members ended.
enum End {
    /// At the blocks of zeros that end an archive, or at the limit.
    Whole,
    /// The file ends behind a member, without the blocks of zeros.
    Unmarked,
    /// The file ends before this position.
    Cut(u64),
    /// What follows is no header.
    Broken,
}

struct Walk {
    members: u64,
    /// Whether `pickle`, `storages` and `tensors` were there.
    torch: [bool; 3],
    end: End,
}

fn walk(probe: &Probe) -> Result<Walk, FormatError> {
    let mut walk = Walk { members: 0, torch: [false; 3], end: End::Whole };
    let mut at = 0;
    while walk.members < MEMBERS_MAX {
        let Some(block) = block_at(probe, at)? else {
            walk.end = if at >= probe.size() { End::Unmarked } else { End::Cut(at.saturating_add(BLOCK_BYTES)) };
            break;
        };
        let Some((name, size)) = member(&block) else {
            walk.end = if block.iter().all(|byte| *byte == 0) { End::Whole } else { End::Broken };
            break;
        };
        walk.note(name);
        let data_end = at.saturating_add(BLOCK_BYTES).saturating_add(size);
        if data_end > probe.size() {
            walk.end = End::Cut(data_end);
            break;
        }
        at = data_end.checked_next_multiple_of(BLOCK_BYTES).unwrap_or(u64::MAX);
    }
    Ok(walk)
}

impl Walk {
    fn note(&mut self, name: &[u8]) {
        self.members = self.members.saturating_add(1);
        let name = name.strip_prefix(b"./").unwrap_or(name);
        for (known, seen) in ["pickle", "storages", "tensors"].iter().zip(&mut self.torch) {
            *seen |= name == known.as_bytes();
        }
    }

    fn detection(&self, file_bytes: u64) -> Detection {
        let torch = self.torch == [true; 3];
        let (format, kind) = if torch { (FileFormat::PyTorch, "tar") } else { (FileFormat::Tar, "") };
        let detection = match self.end {
            End::Cut(needed) => Detection::truncated(format, needed, file_bytes),
            End::Whole => Detection::new(format, confidence::WALKED, self.reason("")),
            End::Unmarked => Detection::new(format, confidence::HEADER, self.reason(", without the mark of its end")),
            End::Broken => Detection::new(format, confidence::EVIDENCE, self.reason(", then bytes that are no header")),
        };
        match (torch, detection.variant.is_some()) {
            (true, false) => detection.variant(kind),
            (true, true) => detection.variant(format!("{kind}, {TRUNCATED}")),
            (false, _) => detection,
        }
    }

    fn reason(&self, then: &str) -> String {
        format!("a tar archive of {} members with right checksums{then}", self.members)
    }
}

/// Answers on gzip; what is compressed is not looked at.
pub(super) fn gzip(probe: &Probe) -> Answer {
    let [0x1F, 0x8B, 8, flags, _, _, _, _, _, system, rest @ ..] = probe.head() else { return Ok(None) };
    let known_system = *system <= 13 || *system == 255;
    if flags & 0xE0 != 0 || !known_system {
        return Ok(None);
    }
    if probe.size() < GZIP_BYTES_MIN {
        return Ok(Some(Detection::truncated(FileFormat::Gzip, GZIP_BYTES_MIN, probe.size())));
    }
    let name = stored_name(*flags, rest).map_or_else(String::new, |name| format!(" of {name}"));
    let reason = format!("gzip{name}; what it holds is not looked at");
    Ok(Some(Detection::new(FileFormat::Gzip, confidence::HEADER, reason)))
}

/// Returns the name of the compressed file, quoted, when the header has one.
fn stored_name(flags: u8, rest: &[u8]) -> Option<String> {
    let extra_bytes = match flags & 4 {
        0 => 0,
        _ => usize::from(u16_at(rest, 0)?).checked_add(2)?,
    };
    let rest = rest.get(extra_bytes..).filter(|_| flags & 8 != 0)?;
    let name = rest.get(..rest.iter().position(|byte| *byte == 0)?)?;
    Some(Quoted(&String::from_utf8_lossy(name)).to_string())
}
