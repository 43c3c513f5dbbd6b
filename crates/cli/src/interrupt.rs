//! Ctrl-C and SIGTERM: cancels what the server is doing for us, removes a half-written file, says how to go on, ends.
//!
//! The handler runs in a thread of its own and ends the process, so no loop needs to ask.

use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::exit::Exit;

/// How long the server has to take the cancel requests before the program ends anyway.
const CANCEL_WAIT: Duration = Duration::from_millis(500);

/// What to do when the signal comes.
struct OnSignal {
    /// One cancel request per open connection.
    cancels: Vec<Box<dyn FnOnce() + Send>>,
    /// Files that are not complete yet.
    unfinished: Vec<PathBuf>,
    /// What to tell the user.
    advice: Option<String>,
}

static ON_SIGNAL: Mutex<OnSignal> = Mutex::new(OnSignal { cancels: Vec::new(), unfinished: Vec::new(), advice: None });

fn on_signal() -> MutexGuard<'static, OnSignal> {
    ON_SIGNAL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs the handler; once per process.
pub fn install() {
    // Without a handler the default action ends the process too; only the tidying is lost.
    let _ = ctrlc::set_handler(|| end_process(&mut on_signal()));
}

fn end_process(state: &mut OnSignal) -> ! {
    let cancels = std::mem::take(&mut state.cancels);
    let canceller = thread::spawn(move || cancels.into_iter().for_each(|cancel| cancel()));
    for path in state.unfinished.drain(..) {
        let _ = std::fs::remove_file(path);
    }
    eprintln!("\natoms: interrupted");
    if let Some(advice) = &state.advice {
        eprintln!("HINT:  {advice}");
    }
    let step = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    while !canceller.is_finished() && waited < CANCEL_WAIT {
        thread::sleep(step);
        waited += step;
    }
    process::exit(i32::from(Exit::Interrupted.code()))
}

/// Has `cancel` called when the signal comes.
pub fn cancel_with(cancel: impl FnOnce() + Send + 'static) {
    on_signal().cancels.push(Box::new(cancel));
}

/// Sets what the user is told when the signal comes.
pub fn advise(advice: Option<String>) {
    on_signal().advice = advice;
}

/// A file that is removed unless it is completed: by drop when its writer fails, by the handler when the signal comes.
#[derive(Debug)]
pub struct UnfinishedFile {
    path: PathBuf,
    completed: bool,
}

impl UnfinishedFile {
    /// Watches over `path`, which is about to be made.
    pub fn new(path: PathBuf) -> Self {
        on_signal().unfinished.push(path.clone());
        Self { path, completed: false }
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the complete file its final name.
    pub fn complete(mut self, name: &Path) -> std::io::Result<()> {
        std::fs::rename(&self.path, name)?;
        self.completed = true;
        Ok(())
    }
}

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        if !self.completed {
            let _ = std::fs::remove_file(&self.path);
        }
        on_signal().unfinished.retain(|path| *path != self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_file_vanishes_and_a_completed_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let part = dir.path().join(".x.atoms-part");
        let name = dir.path().join("x");
        let unfinished = UnfinishedFile::new(part.clone());
        std::fs::write(&part, b"half").unwrap();
        drop(unfinished);
        assert!(!part.exists());

        let unfinished = UnfinishedFile::new(part.clone());
        std::fs::write(unfinished.path(), b"whole").unwrap();
        unfinished.complete(&name).unwrap();
        assert!(!part.exists());
        assert_eq!(std::fs::read(&name).unwrap(), b"whole");
    }
}
