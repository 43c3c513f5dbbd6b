//! A client that reads a peer's table by binary COPY as fast as it can: one thread receives, one hashes, one writes, and one
//! keeps the disk busy meanwhile.

use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use postgres::Client;
use sha2::{Digest, Sha256};

use super::hashing::Hash;
use super::{Failure, Result};

/// Length of what stands before the first row, as long as there is no extension area.
const HEADER_BYTES: usize = 19;
/// Blocks that may wait for a thread.
const BLOCKS_WAITING: usize = 8;
/// After so many bytes the disk is told to begin, so that little is left to wait for at the end.
const SYNC_BYTES: usize = 32 << 20;

type Block = Arc<Vec<u8>>;

/// Reads the payloads of the table `peer` in the order in which they lie there, and returns the hash of all of them.
pub fn hash_table(client: &mut Client) -> Result<Hash> {
    thread::scope(|scope| {
        let (to_hash, blocks) = sync_channel(BLOCKS_WAITING);
        let hasher = scope.spawn(move || hash_blocks(&blocks));
        receive(client, &|block| to_hash.send(block).is_ok())?;
        drop(to_hash);
        Ok(hasher.join().expect("hashing does not panic"))
    })
}

/// The same, and writes them to a new file, which is on disk when this returns.
pub fn write_table(client: &mut Client, path: &Path) -> Result<Hash> {
    let failed = |error| Failure::io("write", path, &error);
    let file = File::create_new(path).map_err(failed)?;
    let hash = thread::scope(|scope| {
        let (to_hash, hashed) = sync_channel(BLOCKS_WAITING);
        let (to_write, written) = sync_channel(BLOCKS_WAITING);
        let (to_sync, synced) = sync_channel::<()>(1);
        let file = &file;
        let hasher = scope.spawn(move || hash_blocks(&hashed));
        let writer = scope.spawn(move || write_blocks(file, &written, &to_sync));
        // A failure shows again in the last sync.
        scope.spawn(move || synced.iter().for_each(|()| drop(file.sync_data())));
        receive(client, &|block: Block| to_hash.send(Arc::clone(&block)).is_ok() && to_write.send(block).is_ok())?;
        drop((to_hash, to_write));
        writer.join().expect("writing does not panic").map_err(failed)?;
        Ok::<_, Failure>(hasher.join().expect("hashing does not panic"))
    })?;
    file.sync_all().map_err(failed)?;
    Ok(hash)
}

fn hash_blocks(blocks: &Receiver<Block>) -> Hash {
    let mut sha = Sha256::new();
    blocks.iter().for_each(|block| sha.update(block.as_slice()));
    sha.finalize().into()
}

fn write_blocks(mut file: &File, blocks: &Receiver<Block>, to_sync: &SyncSender<()>) -> std::io::Result<()> {
    let mut unsynced = 0;
    for block in blocks {
        file.write_all(&block)?;
        unsynced += block.len();
        if unsynced >= SYNC_BYTES && to_sync.try_send(()).is_ok() {
            unsynced = 0;
        }
    }
    Ok(())
}

/// Hands each row's payload on, until nobody takes it any more.
fn receive(client: &mut Client, hand_over: &dyn Fn(Block) -> bool) -> Result<()> {
    let mut reader = client.copy_out("COPY peer (payload) TO STDOUT (FORMAT binary)")?;
    reader.read_exact(&mut [0; HEADER_BYTES])?;
    while let Some(payload) = next_payload(&mut reader)? {
        if !hand_over(Arc::new(payload)) {
            break;
        }
    }
    Ok(())
}

/// Returns the only field of the next row; `None` at the end.
fn next_payload(reader: &mut impl BufRead) -> Result<Option<Vec<u8>>> {
    let mut count = [0; 2];
    reader.read_exact(&mut count)?;
    if i16::from_be_bytes(count) != 1 {
        return Ok(None);
    }
    let mut length = [0; 4];
    reader.read_exact(&mut length)?;
    let length = u64::try_from(i32::from_be_bytes(length)).map_err(|_| Failure::new("a payload is NULL"))?;
    let mut payload = Vec::with_capacity(length as usize);
    reader.take(length).read_to_end(&mut payload)?;
    Ok(Some(payload))
}
