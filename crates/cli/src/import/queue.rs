//! The jobs between the thread that announces, the threads that send and the thread that has files hashed.
//!
//! A job has a ticket from the moment its first piece is known.  A file may be hashed once every ticket that was drawn
//! before its last part was announced is settled.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use atom::ContentHash;

use crate::failure::{Failure, Result};
use crate::mapped_file::MappedFile;

/// Jobs that wait for a free connection; more would only hold memory.
const JOBS_WAITING_MAX: usize = 4;

/// Bytes of a mapped file that are one atom.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The file.
    pub map: Arc<MappedFile>,
    /// First byte in it.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
    /// SHA-256.
    pub hash: ContentHash,
}

impl Piece {
    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.map[self.offset as usize..][..self.length as usize]
    }
}

/// Something to be sent over one connection.
#[derive(Debug)]
pub enum Job {
    /// Whole atoms, together.
    Atoms(Vec<Piece>),
    /// One large atom from this byte on.
    LargeAtom(Piece, u64),
}

/// Number of a job, in the order in which jobs were begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What the thread that has files hashed should do.
#[derive(Debug, PartialEq, Eq)]
pub enum HashTurn {
    /// Have this file hashed as far as it is there; true when all of it was sent.
    File(i32, bool),
    /// Everything was sent: stop.
    Stop,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<(Ticket, Job)>,
    tickets: u64,
    unsettled: BTreeSet<Ticket>,
    /// Files to be hashed, and the first ticket that does not matter for each.
    to_hash: VecDeque<(i32, Ticket)>,
    /// Jobs settled so far.
    settled: u64,
    closed: bool,
    failure: Option<Failure>,
}

/// The jobs, shared by all threads of a transfer.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, condition: impl FnMut(&mut State) -> bool) -> MutexGuard<'_, State> {
        self.changed.wait_while(self.lock(), condition).unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws the ticket of a job whose first piece is known.
    pub fn begin(&self) -> Ticket {
        let mut state = self.lock();
        let ticket = Ticket(state.tickets);
        state.tickets += 1;
        state.unsettled.insert(ticket);
        ticket
    }

    /// Hands a job over; waits while too many are waiting.  Fails when another thread failed.
    pub fn push(&self, ticket: Ticket, job: Job) -> Result<()> {
        let mut state = self.wait_while(|state| state.failure.is_none() && state.jobs.len() >= JOBS_WAITING_MAX);
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        state.jobs.push_back((ticket, job));
        self.changed.notify_all();
        Ok(())
    }

    /// Returns the next job; `None` when there will be none.
    pub fn take(&self) -> Option<(Ticket, Job)> {
        let mut state = self.wait_while(|state| state.failure.is_none() && state.jobs.is_empty() && !state.closed);
        let job = if state.failure.is_some() { None } else { state.jobs.pop_front() };
        self.changed.notify_all();
        job
    }

    /// Waits for a job and leaves it there; false when there will be none.
    pub fn wait_for_job(&self) -> bool {
        let state = self.wait_while(|state| state.failure.is_none() && state.jobs.is_empty() && !state.closed);
        state.failure.is_none() && !state.jobs.is_empty()
    }

    /// Notes that a job's bytes are on the server.
    pub fn settle(&self, ticket: Ticket) {
        let mut state = self.lock();
        state.unsettled.remove(&ticket);
        state.settled += 1;
        self.changed.notify_all();
    }

    /// Notes that all parts of a file are announced.
    pub fn hash_later(&self, file_no: i32) {
        let mut state = self.lock();
        let border = Ticket(state.tickets);
        state.to_hash.push_back((file_no, border));
        self.changed.notify_all();
    }

    /// Returns the file to have hashed next; waits until more jobs than `seen` are settled or one is all there.
    pub fn next_to_hash(&self, seen: &mut u64) -> HashTurn {
        let state = self.wait_while(|state| {
            let ready = state.first_is_sent() || (!state.to_hash.is_empty() && state.settled > *seen);
            state.failure.is_none() && !state.is_drained() && !ready
        });
        *seen = state.settled;
        match state.to_hash.front() {
            Some((file_no, _)) if state.failure.is_none() && !state.is_drained() => {
                HashTurn::File(*file_no, state.first_is_sent())
            }
            _ => HashTurn::Stop,
        }
    }

    /// Takes a file off the list: it is hashed, or cannot be yet.
    pub fn hashed(&self, file_no: i32) {
        self.lock().to_hash.retain(|(other, _)| *other != file_no);
        self.changed.notify_all();
    }

    /// Says that no more jobs come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Ends all threads; the first failure is the one that is told.
    pub fn fail(&self, failure: Failure) {
        self.lock().failure.get_or_insert(failure);
        self.changed.notify_all();
    }

    /// Returns how it went.
    pub fn into_result(self) -> Result<()> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.failure.map_or(Ok(()), Err)
    }
}

impl State {
    fn is_drained(&self) -> bool {
        self.closed && self.unsettled.is_empty()
    }

    /// Whether all that the first file needs was sent.
    fn first_is_sent(&self) -> bool {
        self.to_hash.front().is_some_and(|(_, border)| self.unsettled.first().is_none_or(|first| first >= border))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn job() -> Job {
        Job::Atoms(Vec::new())
    }

    #[test]
    fn a_file_is_ready_when_all_jobs_begun_before_are_settled() {
        let queue = Queue::default();
        let (first, second) = (queue.begin(), queue.begin());
        queue.hash_later(7);
        let later = queue.begin();
        for ticket in [first, second, later] {
            queue.push(ticket, job()).unwrap();
        }
        let mut seen = 0;
        queue.settle(second);
        assert_eq!(queue.next_to_hash(&mut seen), HashTurn::File(7, false));
        queue.settle(first);
        assert_eq!(queue.next_to_hash(&mut seen), HashTurn::File(7, true));
        queue.hashed(7);
        queue.close();
        queue.settle(later);
        assert_eq!(queue.next_to_hash(&mut seen), HashTurn::Stop);
    }

    #[test]
    fn jobs_come_in_order_and_end_after_closing() {
        let queue = Queue::default();
        let tickets = [queue.begin(), queue.begin()];
        queue.push(tickets[1], job()).unwrap();
        queue.push(tickets[0], job()).unwrap();
        queue.close();
        assert_eq!(queue.take().unwrap().0, tickets[1]);
        assert_eq!(queue.take().unwrap().0, tickets[0]);
        assert!(queue.take().is_none());
    }

    #[test]
    fn the_first_failure_ends_everything() {
        let queue = Queue::default();
        let ticket = queue.begin();
        queue.fail(Failure::new(Exit::Connection, "first"));
        queue.fail(Failure::new(Exit::Other, "second"));
        assert_eq!(queue.push(ticket, job()).unwrap_err().message, "first");
        assert!(queue.take().is_none());
        assert_eq!(queue.next_to_hash(&mut 0), HashTurn::Stop);
        assert_eq!(queue.into_result().unwrap_err().message, "first");
    }
}
