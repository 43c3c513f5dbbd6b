//! Receiving one file: COPY data in, bytes written and hashed on their way, each in a thread of its own; a fourth keeps the disk busy meanwhile.

use std::fs::File;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use atom::ContentHash;
use sha2::{Digest, Sha256};

use super::copy_binary::{CopyError, CopyReader};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::progress::Progress;

/// Bytes handed from the receiving thread to the others at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// Blocks that may wait for a thread.
const BLOCKS_WAITING: usize = 8;
/// After so many bytes the disk is told to begin, so that little is left to wait for at the end.
const SYNC_BYTES: u64 = 32 << 20;

/// What arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Number of bytes.
    pub bytes: u64,
    /// Their SHA-256.
    pub hash: ContentHash,
}

/// Reads COPY data to its end, writes the values to `file` and hashes them.
pub fn receive_file(input: &mut dyn BufRead, file: &File, progress: &Progress) -> Result<Received> {
    thread::scope(|scope| {
        let (to_hash, hashed) = sync_channel(BLOCKS_WAITING);
        let (to_write, written) = sync_channel(BLOCKS_WAITING);
        let (to_sync, synced) = sync_channel(1);
        let hasher = scope.spawn(move || hash_blocks(&hashed));
        let writer = scope.spawn(move || write_blocks(file, &written, &to_sync));
        let syncer = scope.spawn(move || sync_again_and_again(file, &synced));
        let outcome = deal_out(input, &to_hash, &to_write, progress);
        drop((to_hash, to_write));
        let hash = hasher.join().map_err(|_| Failure::panicked())?;
        writer.join().map_err(|_| Failure::panicked())??;
        syncer.join().map_err(|_| Failure::panicked())??;
        let bytes = outcome?;
        Ok(Received { bytes, hash })
    })
}

type Block = Arc<Vec<u8>>;

fn hash_blocks(blocks: &Receiver<Block>) -> ContentHash {
    let mut sha = Sha256::new();
    blocks.iter().for_each(|block| sha.update(block.as_slice()));
    ContentHash::from_bytes(sha.finalize().into())
}

fn write_blocks(mut file: &File, blocks: &Receiver<Block>, to_sync: &SyncSender<()>) -> Result<()> {
    let mut unsynced = 0;
    for block in blocks {
        file.write_all(&block).map_err(|error| not_written(&error))?;
        unsynced += block.len() as u64;
        // While a sync is under way and one waits, a third would do nothing.
        if unsynced >= SYNC_BYTES && to_sync.try_send(()).is_ok() {
            unsynced = 0;
        }
    }
    Ok(())
}

/// The system tells a write that failed in the background to one sync only, so none of these may be ignored.
fn sync_again_and_again(file: &File, wishes: &Receiver<()>) -> Result<()> {
    wishes.iter().try_for_each(|()| file.sync_data().map_err(|error| not_written(&error)))
}

fn not_written(error: &std::io::Error) -> Failure {
    Failure::new(Exit::of_io(error.kind()), format!("could not write: {error}"))
}

/// Takes the values out of the COPY data and hands them to both threads in blocks.
fn deal_out(
    input: &mut dyn BufRead,
    to_hash: &SyncSender<Block>,
    to_write: &SyncSender<Block>,
    progress: &Progress,
) -> Result<u64> {
    let mut reader = CopyReader::new();
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    let mut bytes = 0;
    // A thread that ended early has a failure to tell, so nobody listens and this one stops too.
    let hand_over = |block: Vec<u8>| {
        let block = Arc::new(block);
        to_hash.send(Arc::clone(&block)).is_ok() && to_write.send(block).is_ok()
    };
    loop {
        let mut received = input.fill_buf().map_err(lost)?;
        if received.is_empty() {
            break;
        }
        let length = received.len();
        while let Some(piece) = reader.next_piece(&mut received).map_err(garbled)? {
            block.extend_from_slice(piece);
            bytes += piece.len() as u64;
            progress.add(piece.len() as u64);
            if block.len() >= BLOCK_BYTES && !hand_over(std::mem::replace(&mut block, Vec::with_capacity(BLOCK_BYTES)))
            {
                return Ok(bytes);
            }
        }
        input.consume(length);
    }
    reader.finish().map_err(garbled)?;
    hand_over(block);
    Ok(bytes)
}

/// The driver hands its errors through `io::Error`: the server's own words are inside.
fn lost(error: std::io::Error) -> Failure {
    match error.downcast::<postgres::Error>() {
        Ok(error) => Failure::from(error),
        Err(error) => Failure::new(Exit::Connection, format!("the connection was lost: {error}")),
    }
}

fn garbled(error: CopyError) -> Failure {
    Failure::new(Exit::Connection, format!("the server's data cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Output;

    fn copy_data(values: &[&[u8]]) -> Vec<u8> {
        let mut data = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        for value in values {
            data.extend_from_slice(&[0, 1]);
            data.extend_from_slice(&(value.len() as u32).to_be_bytes());
            data.extend_from_slice(value);
        }
        data.extend_from_slice(&[0xff, 0xff]);
        data
    }

    fn receive(data: &[u8], buffer: usize) -> (Result<Received>, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = File::create(&path).unwrap();
        let progress = Progress::bytes(Output { json: false, quiet: true }, 0, "");
        let mut input = std::io::BufReader::with_capacity(buffer, data);
        let received = receive_file(&mut input, &file, &progress);
        (received, std::fs::read(&path).unwrap())
    }

    #[test]
    fn bytes_are_written_and_hashed() {
        let big = vec![7u8; 3 * BLOCK_BYTES + 5];
        for values in [&[][..], &[&b"a"[..], b"bc"], &[&big[..], b"x", &big[..]]] {
            let expected = values.concat();
            for buffer in [1000, 1 << 21] {
                let (received, written) = receive(&copy_data(values), buffer);
                let hash = ContentHash::of(&expected);
                assert_eq!(received.unwrap(), Received { bytes: expected.len() as u64, hash });
                assert_eq!(written, expected);
            }
        }
    }

    #[test]
    fn a_stream_that_ends_early_is_a_failure() {
        let data = copy_data(&[b"abc"]);
        let (received, _) = receive(&data[..data.len() - 1], 100);
        assert_eq!(received.unwrap_err().exit(), Exit::Connection);
    }
}
