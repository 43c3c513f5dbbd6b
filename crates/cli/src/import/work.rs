//! What has to be done for which file of an import.

use std::sync::Mutex;

use atom::ContentHash;
use rayon::prelude::*;

use super::local_files::LocalFile;
use super::scan::hash_file;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::progress::Progress;
use crate::server::{ImportFile, Server};

/// A file that is to be cut, hashed and announced.
#[derive(Debug, Clone)]
pub struct FileWork<'a> {
    /// Its number in the import.
    pub file_no: i32,
    /// Where it is.
    pub file: &'a LocalFile,
    /// SHA-256 of the file, if it was hashed here as a whole.
    pub own_hash: Option<ContentHash>,
}

/// The files of an import by what has to be done.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// Complete on the server: nothing to do.
    pub done: Vec<FileWork<'a>>,
    /// Announced by an earlier run: only what is missing is sent.
    pub announced: Vec<FileWork<'a>>,
    /// A stored file has the same size: hash it, it may be the same.
    pub maybe_known: Vec<FileWork<'a>>,
    /// To be cut, hashed and announced.
    pub new: Vec<FileWork<'a>>,
}

impl<'a> Plan<'a> {
    /// Deals the files out by what the server says about each.
    pub fn new(files: &'a [LocalFile], states: &[ImportFile]) -> Result<Self> {
        if files.len() != states.len() {
            return Err(Failure::new(
                Exit::Extension,
                "the server does not list the files that the import was begun with",
            ));
        }
        let mut plan = Self::default();
        for (file, state) in files.iter().zip(states) {
            let work = FileWork { file_no: state.file_no, file, own_hash: None };
            let kind = if state.content_hash.is_some() {
                &mut plan.done
            } else if state.announced_bytes == file.size_bytes {
                &mut plan.announced
            } else if state.size_known && state.announced_bytes == 0 {
                &mut plan.maybe_known
            } else {
                &mut plan.new
            };
            kind.push(work);
        }
        Ok(plan)
    }
}

/// Hashes files on all cores and links those that the server has; returns first the linked ones, then the others.
pub fn link_known_files<'a>(
    server: &mut Server,
    import_id: i64,
    mut files: Vec<FileWork<'a>>,
    progress: &Progress,
) -> Result<(Vec<FileWork<'a>>, Vec<FileWork<'a>>)> {
    // Largest first, one at a time: the cores end at about the same moment.
    files.sort_by_key(|work| std::cmp::Reverse(work.file.size_bytes));
    let server = Mutex::new(server);
    let tried: Vec<(bool, FileWork<'a>)> = files
        .into_iter()
        .par_bridge()
        .map(|mut work| {
            let hash = hash_file(work.file)?;
            work.own_hash = Some(hash);
            let linked = lock(&server).link_import_file(import_id, work.file_no, hash)?;
            if linked {
                progress.add(work.file.size_bytes);
            }
            Ok((linked, work))
        })
        .collect::<Result<_>>()?;
    let (mut linked, mut others) = (Vec::new(), Vec::new());
    for (is_linked, work) in tried {
        if is_linked { linked.push(work) } else { others.push(work) }
    }
    others.sort_by_key(|work| work.file_no);
    Ok((linked, others))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_dealt_out_by_their_state() {
        let file =
            |path: &str| LocalFile { location: path.into(), path: path.into(), size_bytes: 10, stamp: String::new() };
        let files = ["a", "b", "c", "d", "e"].map(file);
        let state = |file_no, hashed: bool, announced_bytes, size_known| ImportFile {
            file_no,
            content_hash: hashed.then(|| ContentHash::of(b"")),
            announced_bytes,
            size_known,
        };
        let states = [
            state(0, true, 10, true),
            state(1, false, 10, true),
            state(2, false, 0, true),
            state(3, false, 4, true),
            state(4, false, 0, false),
        ];
        let plan = Plan::new(&files, &states).unwrap();
        let numbers = |work: &[FileWork<'_>]| work.iter().map(|work| work.file_no).collect::<Vec<_>>();
        assert_eq!(numbers(&plan.done), [0]);
        assert_eq!(numbers(&plan.announced), [1]);
        assert_eq!(numbers(&plan.maybe_known), [2]);
        assert_eq!(numbers(&plan.new), [3, 4]);
        assert!(Plan::new(&files, &states[1..]).is_err());
    }
}
