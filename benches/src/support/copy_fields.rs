//! Binary COPY of rows of a few small fields, for tables whose filling is not measured.

use std::io::Write;

use postgres::Client;

use super::Result;
use super::copy_in::{HEADER, TRAILER};

/// A block is sent when it has so many bytes.
const BLOCK_BYTES: usize = 1 << 18;

/// Runs a COPY ... FROM STDIN (FORMAT binary) of these rows, whose fields are as the receive functions of their types want them.
pub fn copy<const N: usize>(
    client: &mut Client,
    statement: &str,
    rows: impl Iterator<Item = [Vec<u8>; N]>,
) -> Result<()> {
    let mut writer = client.copy_in(statement)?;
    let mut block = HEADER.to_vec();
    for fields in rows {
        put_row(&fields, &mut block);
        if block.len() >= BLOCK_BYTES {
            writer.write_all(&block)?;
            block.clear();
        }
    }
    block.extend_from_slice(&TRAILER);
    writer.write_all(&block)?;
    writer.finish()?;
    Ok(())
}

fn put_row(fields: &[Vec<u8>], block: &mut Vec<u8>) {
    block.extend_from_slice(&(fields.len() as i16).to_be_bytes());
    for field in fields {
        block.extend_from_slice(&(field.len() as i32).to_be_bytes());
        block.extend_from_slice(field);
    }
}
