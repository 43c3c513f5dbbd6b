//! Folders of files: made, removed, counted.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Failure, Result};

/// `st_blocks` counts in these, whatever the file system.
const BLOCK_BYTES: u64 = 512;

/// Makes a new empty folder, in place of what was there.
pub fn make_empty(path: &Path) -> Result<()> {
    remove(path)?;
    fs::create_dir_all(path).map_err(|error| Failure::io("make", path, &error))
}

/// Removes a folder with everything in it; one that is not there is no failure.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::io("remove", path, &error)),
        _ => Ok(()),
    }
}

/// Returns all files below a folder, in the order of their paths.
pub fn files_below(path: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Failure::io("read", path, &error);
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Returns what the files below a folder take on disk.
pub fn disk_bytes(path: &Path) -> Result<u64> {
    let size = |file: PathBuf| {
        let metadata = file.symlink_metadata().map_err(|error| Failure::io("look at", &file, &error))?;
        Ok(metadata.blocks() * BLOCK_BYTES)
    };
    files_below(path)?.into_iter().map(size).sum()
}

/// Returns the size of a file.
pub fn file_bytes(path: &Path) -> Result<u64> {
    path.metadata().map(|metadata| metadata.len()).map_err(|error| Failure::io("look at", path, &error))
}
