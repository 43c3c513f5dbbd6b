//! HDF5: a superblock at byte 0 or, behind a block of the user's, at 512, 1024 and so on.
//!
//! Source: HDF5 File Format Specification 3.0, section II.A.  Keras is told by the names of attributes near the start.

use super::probe::{Probe, after};
use super::{Answer, Detection, FileFormat, confidence};
use crate::FormatError;

const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1A\n";

/// The first place of the superblock but byte 0; the next ones are twice as far each.
const USER_BLOCK_BYTES_MIN: u64 = 512;

/// Bytes of the superblock that are read, more than any version has before the end of file address.
const SUPERBLOCK_BYTES: usize = 96;

/// Bytes that are looked through for the names that Keras writes.
const SCANNED_BYTES: usize = 256 << 10;

/// Answers on HDF5.
pub(super) fn hdf5(probe: &Probe) -> Answer {
    let mut at = 0;
    while at < probe.size() {
        let superblock = probe.bytes(at, SUPERBLOCK_BYTES)?;
        if superblock.starts_with(SIGNATURE) {
            return of_superblock(probe, at, &superblock).map(Some);
        }
        at = at.saturating_mul(2).max(USER_BLOCK_BYTES_MIN);
    }
    Ok(None)
}

fn of_superblock(probe: &Probe, at: u64, superblock: &[u8]) -> Result<Detection, FormatError> {
    let Some((version, file_end)) = fields(superblock) else {
        return Ok(not_known(superblock));
    };
    let Some(file_end) = file_end else {
        let needed = at.saturating_add(SUPERBLOCK_BYTES as u64);
        return Ok(Detection::truncated(FileFormat::Hdf5, needed, probe.size()));
    };
    if file_end > probe.size() {
        return Ok(Detection::truncated(FileFormat::Hdf5, file_end, probe.size()));
    }
    let reason = format!("an HDF5 superblock of version {version} at byte {at}, whose end lies within the file");
    let detection = Detection::new(FileFormat::Hdf5, confidence::HEADER, reason);
    let keras = of_keras(&probe.bytes(at, SCANNED_BYTES)?);
    Ok(if keras { detection.variant("keras") } else { detection })
}

fn not_known(superblock: &[u8]) -> Detection {
    let version = superblock.get(8).map_or_else(|| "missing".to_owned(), u8::to_string);
    let reason = format!("the signature of HDF5, but the superblock's version ({version}) or sizes are not known");
    Detection::new(FileFormat::Hdf5, confidence::GUESS, reason)
}

/// Returns the version and the end of file address, that one None where the file ends before it.
fn fields(superblock: &[u8]) -> Option<(u8, Option<u64>)> {
    let version = *superblock.get(8)?;
    // Where the size of an offset stands, and the first of the addresses; the third is that of the end of the file.
    let (width_at, addresses_at) = match version {
        0 => (13, 24_usize),
        1 => (13, 28),
        2 | 3 => (9, 12),
        _ => return None,
    };
    let Some(width) = superblock.get(width_at).map(|width| usize::from(*width)) else { return Some((version, None)) };
    if !matches!(width, 2 | 4 | 8) {
        return None;
    }
    let at = width.checked_mul(2)?.checked_add(addresses_at)?;
    Some((version, address(superblock, at, width)))
}

fn address(superblock: &[u8], at: usize, width: usize) -> Option<u64> {
    let stored = superblock.get(at..at.checked_add(width)?)?;
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(stored).for_each(|(to, from)| *to = *from);
    Some(u64::from_le_bytes(bytes))
}

fn of_keras(start: &[u8]) -> bool {
    const NAMES: [&[u8]; 4] = [b"keras_version", b"model_weights", b"layer_names", b"_layer_checkpoint_dependencies"];
    NAMES.iter().any(|name| after(start, name).is_some())
}
