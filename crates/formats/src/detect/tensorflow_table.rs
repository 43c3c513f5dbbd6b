//! The index of a TensorFlow checkpoint: a sorted string table as LevelDB writes it, whose first key is empty.
//!
//! Sources: `tensorflow/core/lib/io/table_format.txt`, `tensorflow/core/protobuf/tensor_bundle.proto`.

use super::probe::Probe;
use super::{Answer, Detection, FileFormat, confidence};

/// Two handles and padding, then the magic.
const FOOTER_BYTES: u64 = 48;

const MAGIC: [u8; 8] = 0xDB47_7524_8B80_FB57_u64.to_le_bytes();

/// Bytes behind each block: its compression and its checksum.
const TRAILER_BYTES: u64 = 5;

/// Answers on such tables.
pub(super) fn checkpoint_index(probe: &Probe) -> Answer {
    let Some(start) = probe.size().checked_sub(FOOTER_BYTES) else { return Ok(None) };
    let footer = probe.bytes(start, 48)?;
    if !footer.ends_with(&MAGIC) || !blocks_within(&footer, start) {
        return Ok(None);
    }
    let format = FileFormat::TensorFlowCheckpoint;
    Ok(Some(match first_value(probe.head()) {
        // A BundleHeaderProto begins with the number of shards, SavedTensorSlices with a message.
        Some(0x08) => {
            let reason =
                "a sorted string table that begins with the header of a checkpoint; the data lie in shards beside it";
            Detection::new(format, confidence::WALKED, reason).variant("index")
        }
        Some(0x0A) => {
            let reason = "a sorted string table that begins with the slices of a checkpoint of version 1";
            Detection::new(format, confidence::HEADER, reason).variant("v1")
        }
        _ => {
            let reason = "a sorted string table, but without the header of a checkpoint; LevelDB writes such files too";
            Detection::new(format, confidence::GUESS, reason)
        }
    }))
}

/// Tells whether the blocks of both handles end before the footer.
fn blocks_within(footer: &[u8], footer_at: u64) -> bool {
    let mut bytes = footer.iter().take(40).copied();
    let mut handle_fits = || {
        let (offset, size) = (varint(&mut bytes)?, varint(&mut bytes)?);
        offset.checked_add(size)?.checked_add(TRAILER_BYTES).filter(|end| *end <= footer_at)
    };
    handle_fits().is_some() && handle_fits().is_some()
}

fn varint(bytes: &mut dyn Iterator<Item = u8>) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.next()?;
        value |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Returns the first byte of the first entry's value, when its key is empty.
fn first_value(head: &[u8]) -> Option<u8> {
    let mut bytes = head.iter().copied();
    let (shared, own, value_bytes) = (varint(&mut bytes)?, varint(&mut bytes)?, varint(&mut bytes)?);
    (shared == 0 && own == 0 && value_bytes > 0).then(|| bytes.next()).flatten()
}
