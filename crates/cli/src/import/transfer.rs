//! Announcing, sending and hashing at the same time.
//!
//! Threads: one scans ahead, this one announces and makes jobs, some send over connections of their own, one has the
//! server hash files that are all there.  All meet in the queue.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use atom::ContentHash;
use store::Strategy;

use super::local_files::LocalFile;
use super::queue::{HashTurn, Job, Piece, Queue, Ticket};
use super::scan::{HashedPart, ScannedParts, Scanner};
use super::send::{BATCH_ATOMS, BATCH_BYTES, Sent, send_jobs};
use super::work::FileWork;
use crate::connection::Connector;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::mapped_file::MappedFile;
use crate::progress::Progress;
use crate::server::{Announcement, MissingAtom, Server};

/// Connections that send at the same time: while one waits for the server's disk, the other's bytes are on their way.
const SENDERS: usize = 2;
/// Parts announced with one call.
const ANNOUNCED_PARTS: usize = 16_384;

/// An import under way, for the threads that work on it.
pub struct Transfer<'a> {
    /// Opens the connections.
    pub connector: &'a Connector,
    /// The import.
    pub import_id: i64,
    /// Its files by number.
    pub files: &'a [LocalFile],
    /// How they are cut.
    pub strategy: Strategy,
    /// Counts bytes that are on the server.
    pub progress: &'a Progress,
}

/// What is to be moved.
#[derive(Debug, Default)]
pub struct Load<'a> {
    /// Files to be cut, hashed and announced.
    pub new: Vec<FileWork<'a>>,
    /// Atoms that were announced before and are not there yet.
    pub missing: Vec<MissingAtom>,
    /// Files that were announced before and are to be hashed.
    pub announced: Vec<i32>,
}

impl Load<'_> {
    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.missing.is_empty() && self.announced.is_empty()
    }
}

/// What a transfer moved.
#[derive(Debug, Default, Clone, Copy)]
pub struct Moved {
    /// Bytes sent.
    pub bytes: u64,
    /// Atoms that the server did not have.
    pub atoms: u64,
}

impl Transfer<'_> {
    /// Moves everything; on return it was sent, and files are hashed as far as that could be done on the side.
    pub fn run(&self, control: &mut Server, load: &Load<'_>) -> Result<Moved> {
        let queue = Queue::default();
        let sent = Sent::default();
        thread::scope(|scope| {
            for _ in 0..SENDERS {
                scope.spawn(|| self.guard(&queue, || self.send(&queue, &sent)));
            }
            scope.spawn(|| self.guard(&queue, || self.hash_on_the_side(&queue)));
            let (scanned, groups) = sync_channel(1);
            scope.spawn(move || scan_ahead(&load.new, self.strategy, &scanned));
            self.guard(&queue, || self.announce(control, load, groups, &queue));
            queue.close();
        });
        queue.into_result()?;
        Ok(Moved { bytes: sent.bytes.into_inner(), atoms: sent.atoms.load(Ordering::Relaxed) })
    }

    fn guard(&self, queue: &Queue, work: impl FnOnce() -> Result<()>) {
        if let Err(failure) = work() {
            queue.fail(failure);
        }
    }

    fn session(&self) -> Result<Server> {
        let mut server = Server::connect(self.connector)?;
        server.commit_without_waiting()?;
        Ok(server)
    }

    fn send(&self, queue: &Queue, sent: &Sent) -> Result<()> {
        // The first job is waited for before a connection is opened: often everything is there already.
        if !queue.wait_for_job() {
            return Ok(());
        }
        send_jobs(&mut self.session()?, self.import_id, queue, sent, self.progress)
    }

    fn hash_on_the_side(&self, queue: &Queue) -> Result<()> {
        let mut seen = 0;
        let mut session = None;
        while let HashTurn::File(file_no, is_sent) = queue.next_to_hash(&mut seen) {
            let server = match &mut session {
                Some(server) => server,
                none => none.insert(self.session()?),
            };
            match server.hash_import_file(self.import_id, file_no) {
                Ok(false) => {}
                Ok(true) => queue.hashed(file_no),
                // Something is missing still; after the transfer there is another look at every file.
                Err(failure) if failure.exit() == Exit::State && is_sent => queue.hashed(file_no),
                Err(failure) if failure.exit() == Exit::State => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    fn announce(
        &self,
        control: &mut Server,
        load: &Load<'_>,
        groups: Receiver<Result<Vec<ScannedParts>>>,
        queue: &Queue,
    ) -> Result<()> {
        let mut jobs = Jobs::new(queue);
        self.send_missing(&load.missing, &mut jobs)?;
        load.announced.iter().for_each(|file_no| queue.hash_later(*file_no));
        let mut announcer = Announcer { transfer: self, control, next_part: (-1, 0) };
        for group in groups {
            for scanned in group? {
                announcer.announce(&scanned, &mut jobs)?;
            }
        }
        jobs.flush()
    }

    fn send_missing(&self, missing: &[MissingAtom], jobs: &mut Jobs<'_>) -> Result<()> {
        let mut open: Option<(i32, Arc<MappedFile>)> = None;
        for atom in missing {
            let map = match &open {
                Some((file_no, map)) if *file_no == atom.file_no => Arc::clone(map),
                _ => {
                    let map = Arc::new(self.file(atom.file_no)?.map()?);
                    open = Some((atom.file_no, Arc::clone(&map)));
                    map
                }
            };
            if atom.part_offset.checked_add(atom.size_bytes).is_none_or(|end| end > map.len() as u64) {
                return Err(Failure::new(Exit::Extension, "the server misses bytes behind the end of a file"));
            }
            let piece = Piece { map, offset: atom.part_offset, length: atom.size_bytes, hash: atom.content_hash };
            jobs.add(piece, atom.received_bytes)?;
        }
        Ok(())
    }

    fn file(&self, file_no: i32) -> Result<&LocalFile> {
        usize::try_from(file_no).ok().and_then(|index| self.files.get(index)).ok_or_else(|| {
            Failure::new(Exit::Extension, format!("the server names a file {file_no} that was not given"))
        })
    }
}

/// Scans group after group and hands them over; ends early when nobody wants more.
fn scan_ahead(files: &[FileWork<'_>], strategy: Strategy, groups: &SyncSender<Result<Vec<ScannedParts>>>) {
    let mut scanner = Scanner::new(files, strategy);
    while let Some(group) = scanner.next_group().transpose() {
        let failed = group.is_err();
        if groups.send(group).is_err() || failed {
            return;
        }
    }
}

/// Announces scanned parts, and makes jobs of those that are missing.
struct Announcer<'a, 'b> {
    transfer: &'a Transfer<'b>,
    control: &'a mut Server,
    /// File and number of the next part.
    next_part: (i32, i32),
}

impl Announcer<'_, '_> {
    fn announce(&mut self, scanned: &ScannedParts, jobs: &mut Jobs<'_>) -> Result<()> {
        if self.next_part.0 != scanned.file_no {
            self.next_part = (scanned.file_no, 0);
        }
        for parts in scanned.parts.chunks(ANNOUNCED_PARTS) {
            self.announce_batch(scanned, parts, jobs)?;
        }
        let file = self.transfer.file(scanned.file_no)?;
        if scanned.parts.last().is_some_and(|part| part.offset + part.length == file.size_bytes) {
            jobs.queue.hash_later(scanned.file_no);
        }
        Ok(())
    }

    fn announce_batch(&mut self, scanned: &ScannedParts, parts: &[HashedPart], jobs: &mut Jobs<'_>) -> Result<()> {
        let first_part = self.next_part.1;
        let announcement = Announcement {
            file_no: scanned.file_no,
            first_part,
            first_offset: parts.first().map_or(0, |part| part.offset),
            lengths: parts.iter().map(|part| part.length as i64).collect(),
            hashes: parts.iter().map(|part| part.hash).collect(),
            modalities: parts.iter().map(|part| part.modality).collect(),
        };
        let missing = self.control.announce_parts(self.transfer.import_id, &announcement)?;
        let mut present: u64 = parts.iter().map(|part| part.length).sum();
        for part_no in missing {
            let part = usize::try_from(part_no - first_part)
                .ok()
                .and_then(|index| parts.get(index))
                .ok_or_else(|| Failure::new(Exit::Extension, "the server misses a part that was not announced"))?;
            let map = Arc::clone(&scanned.map);
            let piece = Piece { map, offset: part.offset, length: part.length, hash: part.hash };
            if jobs.add(piece, 0)? {
                present -= part.length;
            }
        }
        self.transfer.progress.add(present);
        self.next_part.1 += parts.len() as i32;
        Ok(())
    }
}

/// Gathers pieces to jobs, each atom once.
struct Jobs<'a> {
    queue: &'a Queue,
    /// Every atom that is or was in a job.
    hashes: HashSet<ContentHash>,
    open: Option<(Ticket, Vec<Piece>, u64)>,
}

impl<'a> Jobs<'a> {
    fn new(queue: &'a Queue) -> Self {
        Self { queue, hashes: HashSet::new(), open: None }
    }

    /// Adds an atom of which the server has the first `received` bytes; false when it is in a job already.
    fn add(&mut self, piece: Piece, received: u64) -> Result<bool> {
        if !self.hashes.insert(piece.hash) {
            return Ok(false);
        }
        if piece.length > BATCH_BYTES {
            let ticket = self.queue.begin();
            self.queue.push(ticket, Job::LargeAtom(piece, received))?;
            return Ok(true);
        }
        if self.open.as_ref().is_some_and(|(_, _, bytes)| bytes + piece.length > BATCH_BYTES) {
            self.flush()?;
        }
        let queue = self.queue;
        let (_, pieces, bytes) = self.open.get_or_insert_with(|| (queue.begin(), Vec::new(), 0));
        *bytes += piece.length;
        pieces.push(piece);
        if pieces.len() >= BATCH_ATOMS || *bytes == BATCH_BYTES {
            self.flush()?;
        }
        Ok(true)
    }

    fn flush(&mut self) -> Result<()> {
        match self.open.take() {
            Some((ticket, pieces, _)) => self.queue.push(ticket, Job::Atoms(pieces)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(map: &Arc<MappedFile>, length: u64, seed: u8) -> Piece {
        Piece { map: Arc::clone(map), offset: 0, length, hash: ContentHash::of(&[seed]) }
    }

    #[test]
    fn small_atoms_are_gathered_and_large_ones_go_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("empty");
        std::fs::write(&path, b"").unwrap();
        let map = Arc::new(MappedFile::open(&path).unwrap());
        let queue = Queue::default();
        let mut jobs = Jobs::new(&queue);
        assert!(jobs.add(piece(&map, BATCH_BYTES / 2, 1), 0).unwrap());
        assert!(!jobs.add(piece(&map, BATCH_BYTES / 2, 1), 0).unwrap());
        assert!(jobs.add(piece(&map, BATCH_BYTES + 1, 2), 64).unwrap());
        assert!(jobs.add(piece(&map, BATCH_BYTES / 2 + 1, 3), 0).unwrap());
        jobs.flush().unwrap();
        jobs.flush().unwrap();
        queue.close();
        let mut shapes = Vec::new();
        while let Some((_, job)) = queue.take() {
            shapes.push(match job {
                Job::Atoms(pieces) => pieces.len(),
                Job::LargeAtom(piece, received) => {
                    assert_eq!((piece.length, received), (BATCH_BYTES + 1, 64));
                    1000
                }
            });
        }
        assert_eq!(shapes, [1000, 1, 1]);
    }
}
