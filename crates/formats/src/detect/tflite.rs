//! TensorFlow Lite: a flatbuffer whose root table and its vtable lie within the file.
//!
//! Sources: `tensorflow/compiler/mlir/lite/schema/schema.fbs`; FlatBuffers' "Internals".

use super::probe::{Probe, u16_at, u32_at};
use super::{Answer, Detection, FileFormat, confidence};
use crate::FormatError;

/// Answers on TensorFlow Lite.
pub(super) fn tflite(probe: &Probe) -> Answer {
    if probe.head().get(4..8) != Some(b"TFL3") {
        return Ok(None);
    }
    let root = u32_at(probe.head(), 0).map_or(0, u64::from);
    Ok(Some(match version(probe, root)? {
        Some(version) => {
            let reason = format!("a flatbuffer of TensorFlow Lite, schema version {version}");
            Detection::new(FileFormat::Tflite, confidence::WALKED, reason)
        }
        None if root >= probe.size() => Detection::truncated(FileFormat::Tflite, root, probe.size()),
        None => {
            let reason = "the mark TFL3, but no flatbuffer follows";
            Detection::new(FileFormat::Tflite, confidence::GUESS, reason)
        }
    }))
}

/// Returns the schema's version, the first field of the root table; None when table or vtable do not fit.
fn version(probe: &Probe, root: u64) -> Result<Option<u32>, FormatError> {
    let Some(stored) = probe.array::<4>(root)? else { return Ok(None) };
    let back = i64::from(i32::from_le_bytes(stored));
    let Some(vtable) = root.checked_add_signed(back.saturating_neg()) else { return Ok(None) };
    let entries = probe.bytes(vtable, 6)?;
    let sizes = (u16_at(&entries, 0), u16_at(&entries, 2), u16_at(&entries, 4));
    let (Some(vtable_bytes), Some(table_bytes), Some(field)) = sizes else { return Ok(None) };
    let fits = |start: u64, bytes: u16| start.checked_add(u64::from(bytes)).is_some_and(|end| end <= probe.size());
    if vtable_bytes < 6 || vtable_bytes % 2 != 0 || !fits(vtable, vtable_bytes) || !fits(root, table_bytes) {
        return Ok(None);
    }
    if field == 0 {
        return Ok(Some(0));
    }
    Ok(probe.array(root.saturating_add(u64::from(field)))?.map(u32::from_le_bytes))
}
