//! Sending jobs over one connection, repeating a batch that met another transaction.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use atom::ContentHash;

use super::queue::{Job, Piece, Queue};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::progress::Progress;
use crate::server::Server;

/// Payload of a batch, and of a piece of a larger atom; a multiple of 64 bytes, which SHA-256 works in.
///
/// A backend holds a batch several times (message, array, values), each time in fresh pages once it is larger than what the
/// allocator keeps: per gigabyte, 16 MiB batches cost it a second of CPU more than these.
pub const BATCH_BYTES: u64 = 4 << 20;
/// Atoms in a batch at most: the hashes of many small ones count too.
pub const BATCH_ATOMS: usize = 16_384;
/// How often a batch is repeated when another transaction was in its way.
const REPEATS_MAX: u32 = 20;
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(640);

/// What was sent, counted by all sending threads.
#[derive(Debug, Default)]
pub struct Sent {
    /// Bytes that went over a connection.
    pub bytes: AtomicU64,
    /// Atoms that the server did not have.
    pub atoms: AtomicU64,
}

/// Sends jobs until there are no more.
pub fn send_jobs(server: &mut Server, import_id: i64, queue: &Queue, sent: &Sent, progress: &Progress) -> Result<()> {
    while let Some((ticket, job)) = queue.take() {
        match job {
            Job::Atoms(pieces) => send_atoms(server, import_id, &pieces, sent, progress)?,
            Job::LargeAtom(piece, received) => send_large_atom(server, import_id, &piece, received, sent, progress)?,
        }
        queue.settle(ticket);
    }
    Ok(())
}

fn send_atoms(server: &mut Server, import_id: i64, pieces: &[Piece], sent: &Sent, progress: &Progress) -> Result<()> {
    let atoms: Vec<(ContentHash, &[u8])> = pieces.iter().map(|piece| (piece.hash, piece.bytes())).collect();
    let bytes = pieces.iter().map(|piece| piece.length).sum();
    let new = repeated(|| server.send_atoms(import_id, &atoms))?;
    sent.atoms.fetch_add(u64::try_from(new).unwrap_or(0), Ordering::Relaxed);
    sent.bytes.fetch_add(bytes, Ordering::Relaxed);
    progress.add(bytes);
    Ok(())
}

fn send_large_atom(
    server: &mut Server,
    import_id: i64,
    piece: &Piece,
    mut received: u64,
    sent: &Sent,
    progress: &Progress,
) -> Result<()> {
    progress.add(received);
    while received < piece.length {
        let end = piece.length.min(received + BATCH_BYTES);
        let bytes = &piece.bytes()[received as usize..end as usize];
        let now = repeated(|| server.send_atom_part(import_id, piece.hash, received, bytes))?;
        if now <= received {
            let message = format!("the server has {now} bytes of atom {} after byte {end} was sent", piece.hash);
            return Err(Failure::new(Exit::State, message).hint("Import again to go on."));
        }
        sent.bytes.fetch_add(end - received, Ordering::Relaxed);
        progress.add(now - received);
        received = now;
    }
    sent.atoms.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Repeats a call that another transaction was in the way of, with growing pauses.
pub fn repeated<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    let mut pause = PAUSE_MIN;
    for _ in 0..REPEATS_MAX {
        match call() {
            Err(failure) if failure.is_retryable() => thread::sleep(pause),
            other => return other,
        }
        pause = PAUSE_MAX.min(pause * 2);
    }
    call()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(sqlstate: &str) -> Failure {
        let mut failure = Failure::new(Exit::State, "refused");
        failure.sqlstate = Some(sqlstate.to_owned());
        failure
    }

    #[test]
    fn only_conflicts_are_repeated() {
        let mut calls = 0;
        let answer = repeated(|| {
            calls += 1;
            if calls < 3 { Err(refused("40001")) } else { Ok(calls) }
        });
        assert_eq!(answer.unwrap(), 3);
        let mut calls = 0;
        let answer: Result<()> = repeated(|| {
            calls += 1;
            Err(refused("22023"))
        });
        assert!(answer.is_err());
        assert_eq!(calls, 1);
    }
}
