//! A client that fills a peer's table by binary COPY as fast as it can: one thread reads the file and lays out rows, another
//! sends them.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use postgres::Client;

use super::peer_table::PeerTable;
use super::{Failure, Result, folder};

/// Signature, flags, and the length of the extension area.
pub const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The field count that ends the data.
pub const TRAILER: [u8; 2] = (-1i16).to_be_bytes();

/// A block is sent when it has so many bytes.
const BLOCK_BYTES: usize = 1 << 18;
/// Blocks that may wait to be sent.
const BLOCKS_WAITING: usize = 8;

/// Copies a file into the table `peer`; when this returns it is committed.
pub fn copy_file(client: &mut Client, table: PeerTable, path: &Path) -> Result<()> {
    let file = File::open(path).map_err(|error| Failure::io("open", path, &error))?;
    let bytes = folder::file_bytes(path)?;
    thread::scope(|scope| {
        let (to_send, blocks) = sync_channel(BLOCKS_WAITING);
        // Sent blocks come back, so that memory is not asked for, and touched first, again and again.
        let (give_back, empty) = channel();
        let preparer = scope.spawn(move || prepare(file, bytes, table, &to_send, &empty));
        let mut writer = client.copy_in("COPY peer FROM STDIN (FORMAT binary)")?;
        for mut block in blocks {
            writer.write_all(&block)?;
            block.clear();
            // The preparer may have ended already.
            let _ = give_back.send(block);
        }
        preparer.join().expect("the preparing thread does not panic")?;
        writer.finish()?;
        Ok(())
    })
}

fn prepare(
    mut file: File,
    bytes: u64,
    table: PeerTable,
    to_send: &SyncSender<Vec<u8>>,
    empty: &Receiver<Vec<u8>>,
) -> Result<()> {
    let mut block = HEADER.to_vec();
    let row_bytes = table.row_bytes() as u64;
    for row in 0..bytes.div_ceil(row_bytes) {
        put_row(&mut file, row, row_bytes.min(bytes - row * row_bytes), table, &mut block)?;
        if block.len() >= BLOCK_BYTES {
            let next = empty.try_recv().unwrap_or_default();
            // Nobody takes blocks after a failure of the connection, which is told there.
            if to_send.send(std::mem::replace(&mut block, next)).is_err() {
                return Ok(());
            }
        }
    }
    block.extend_from_slice(&TRAILER);
    let _ = to_send.send(block);
    Ok(())
}

/// Appends one row, whose payload is the next `length` bytes of the file.
fn put_row(file: &mut File, row: u64, length: u64, table: PeerTable, block: &mut Vec<u8>) -> Result<()> {
    table.put_leading_fields(row, block);
    block.extend_from_slice(&i32::try_from(length).expect("a row is at most 1 MiB").to_be_bytes());
    block.reserve(length as usize);
    match file.take(length).read_to_end(block) {
        Ok(read) if read as u64 == length => Ok(()),
        Ok(_) => Err(Failure::new("the file became shorter while it was read")),
        Err(error) => Err(error.into()),
    }
}
