//! A file of this machine, opened to be read by position, and what is said when it cannot be read.

use std::fs::{self, File};
use std::path::Path;

use formats::{FileSource, FormatError};

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::import::refuse_special;

/// Opens a regular file for reading by position.
pub fn open(path: &Path) -> Result<FileSource> {
    let failed = |error| Failure::io("open", path, &error);
    refuse_special(path, &fs::metadata(path).map_err(failed)?)?;
    let file = File::open(path).map_err(failed)?;
    FileSource::new(file).map_err(|error| Failure::new(Exit::of_io(error.io_kind()), error.to_string()))
}

/// Returns the failure of reading a file that is open.
pub fn unread(path: &Path, error: &FormatError) -> Failure {
    of_format(error).context(format!("\"{}\"", path.display()))
}

/// Returns the failure of reading a structure, without the name of its file.
pub fn of_format(error: &FormatError) -> Failure {
    let exit = match error {
        FormatError::Source { error, .. } => Exit::of_io(error.io_kind()),
        _ => Exit::of_fault(error.kind()),
    };
    let mut failure = Failure::new(exit, error.to_string());
    failure.detail = error.detail();
    failure.hint = error.hint();
    failure
}
