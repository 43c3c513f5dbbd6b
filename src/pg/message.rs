//! Messages of the wire protocol, as type receive functions get them.

use pgrx::datum::Internal;
use pgrx::pg_sys;

/// Takes all bytes that are left of the message in an `internal` argument of a receive function.
pub fn take_all(message: Internal) -> Vec<u8> {
    let Some(datum) = message.unwrap() else { return Vec::new() };
    let info = datum.cast_mut_ptr::<pg_sys::StringInfoData>();
    // SAFETY: the server passes a StringInfo to receive functions; cursor and len bound the bytes that are left, and moving the
    // cursor to the end tells it that they were read.
    unsafe {
        let left = ((*info).len - (*info).cursor).max(0);
        let first = (*info).data.cast::<u8>().add((*info).cursor as usize);
        let bytes = std::slice::from_raw_parts(first, left as usize).to_vec();
        (*info).cursor = (*info).len;
        bytes
    }
}
