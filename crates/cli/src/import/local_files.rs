//! The files below a path: found, named as inside the model, remembered so that a change is noticed.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::mapped_file::MappedFile;

/// Deepest nesting of directories that is walked.
const DEPTH_MAX: usize = 100;

/// A regular file of this machine and its name inside the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// Where it is.
    pub location: PathBuf,
    /// Path inside the model: relative, `/` between names.
    pub path: String,
    /// Size in bytes when it was found.
    pub size_bytes: u64,
    /// Tells this state of the file from a later one.
    pub stamp: String,
}

impl LocalFile {
    fn found(location: PathBuf, path: String, metadata: &Metadata) -> Self {
        Self { location, path, size_bytes: metadata.len(), stamp: stamp(metadata) }
    }

    /// Maps the file; its size must still be what it was.
    pub fn map(&self) -> Result<MappedFile> {
        let map = MappedFile::open(&self.location).map_err(|error| Failure::io("open", &self.location, &error))?;
        if map.len() as u64 == self.size_bytes { Ok(map) } else { Err(self.changed()) }
    }

    /// Fails when the file is no longer what was found.
    pub fn check_unchanged(&self) -> Result<()> {
        let metadata =
            std::fs::metadata(&self.location).map_err(|error| Failure::io("look at", &self.location, &error))?;
        if metadata.len() == self.size_bytes && stamp(&metadata) == self.stamp { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> Failure {
        Failure::new(Exit::State, format!("\"{}\" changed while it was read", self.location.display()))
            .hint("Import again when nothing writes to it; parts that are stored already are not sent again.")
    }
}

#[cfg(unix)]
fn stamp(metadata: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("{}:{}:{}.{:09}", metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

#[cfg(not(unix))]
fn stamp(metadata: &Metadata) -> String {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    modified.map_or_else(String::new, |time| format!("{}.{:09}", time.as_secs(), time.subsec_nanos()))
}

/// Returns the file, or all files below the directory, sorted by their path inside the model.
///
/// Symbolic links to regular files are followed.  Errors: anything else than files and directories, names that are not
/// UTF-8, a directory without files.
pub fn local_files(path: &Path) -> Result<Vec<LocalFile>> {
    let metadata = std::fs::metadata(path).map_err(|error| Failure::io("open", path, &error))?;
    if metadata.is_dir() {
        let mut files = Vec::new();
        walk(path, "", 0, &mut files)?;
        if files.is_empty() {
            return Err(Failure::new(Exit::NotFound, format!("no file is in \"{}\"", path.display())));
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        return Ok(files);
    }
    refuse_special(path, &metadata)?;
    let name = path.file_name().ok_or_else(|| Failure::new(Exit::Usage, "the path has no file name"))?;
    Ok(vec![LocalFile::found(path.to_owned(), utf8(path, name)?.to_owned(), &metadata)])
}

fn walk(directory: &Path, prefix: &str, depth: usize, files: &mut Vec<LocalFile>) -> Result<()> {
    if depth > DEPTH_MAX {
        let message = format!("\"{}\" is nested deeper than {DEPTH_MAX} directories", directory.display());
        return Err(Failure::new(Exit::Limit, message));
    }
    let failed = |error: io::Error| Failure::io("list", directory, &error);
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let location = entry.path();
        let name = entry.file_name();
        let path = format!("{prefix}{}", utf8(&location, &name)?);
        let metadata = std::fs::metadata(&location).map_err(|error| Failure::io("open", &location, &error))?;
        let is_link = entry.file_type().map_err(failed)?.is_symlink();
        match (metadata.is_dir(), is_link) {
            (true, true) => {
                let message = format!("\"{}\" is a symbolic link to a directory", location.display());
                return Err(Failure::new(Exit::Unsupported, message)
                    .hint("Only links to files are followed.  Import that directory by itself."));
            }
            (true, false) => walk(&location, &format!("{path}/"), depth + 1, files)?,
            (false, _) => {
                refuse_special(&location, &metadata)?;
                files.push(LocalFile::found(location, path, &metadata));
            }
        }
    }
    Ok(())
}

/// Fails for a pipe, a socket and a device.
pub fn refuse_special(path: &Path, metadata: &Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let message = format!("\"{}\" is a {}, not a file", path.display(), special_kind(metadata));
    Err(Failure::new(Exit::Unsupported, message).hint("Only regular files and directories can be read."))
}

#[cfg(unix)]
fn special_kind(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    if kind.is_fifo() {
        "pipe"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    }
}

#[cfg(not(unix))]
fn special_kind(_: &Metadata) -> &'static str {
    "special file"
}

fn utf8<'a>(path: &Path, name: &'a std::ffi::OsStr) -> Result<&'a str> {
    name.to_str().ok_or_else(|| {
        Failure::new(Exit::Invalid, format!("the name of \"{}\" is not UTF-8", path.display()))
            .hint("Rename it: paths inside a model are text.")
    })
}

/// Returns the name a model gets when none is given: the directory's name, or the file's without its extension.
pub fn default_model_name(path: &Path) -> Result<String> {
    let whole = std::fs::canonicalize(path).map_err(|error| Failure::io("open", path, &error))?;
    // A link is named by itself and not by what it points to.
    let named = if path.file_name().is_some() { path } else { whole.as_path() };
    let name = if whole.is_dir() { named.file_name() } else { named.file_stem() };
    match name {
        Some(name) => Ok(utf8(path, name)?.to_owned()),
        None => Err(Failure::new(Exit::Usage, "the path gives the model no name").hint("Name it with --name.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn paths(files: &[LocalFile]) -> Vec<&str> {
        files.iter().map(|file| file.path.as_str()).collect()
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_is_walked_in_order_and_links_to_files_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("b/c")).unwrap();
        fs::write(dir.path().join("z"), b"zz").unwrap();
        fs::write(dir.path().join("b/c/x"), b"").unwrap();
        fs::write(dir.path().join("b.x"), b"1").unwrap();
        std::os::unix::fs::symlink(dir.path().join("z"), dir.path().join("a")).unwrap();
        let files = local_files(dir.path()).unwrap();
        assert_eq!(paths(&files), ["a", "b.x", "b/c/x", "z"]);
        assert_eq!(files.iter().map(|file| file.size_bytes).collect::<Vec<_>>(), [2, 1, 0, 2]);
    }

    #[test]
    fn a_file_alone_has_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.v2.safetensors");
        fs::write(&path, b"x").unwrap();
        assert_eq!(paths(&local_files(&path).unwrap()), ["m.v2.safetensors"]);
        assert_eq!(default_model_name(&path).unwrap(), "m.v2");
        assert_eq!(default_model_name(dir.path()).unwrap(), dir.path().file_name().unwrap().to_str().unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(local_files(Path::new("/dev/null")).unwrap_err().exit(), Exit::Unsupported);
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(local_files(dir.path()).unwrap_err().exit(), Exit::NotFound);
        std::os::unix::fs::symlink("/", dir.path().join("root")).unwrap();
        assert_eq!(local_files(dir.path()).unwrap_err().exit(), Exit::Unsupported);
        fs::remove_file(dir.path().join("root")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("zero")).unwrap();
        assert_eq!(local_files(dir.path()).unwrap_err().exit(), Exit::Unsupported);
        fs::remove_file(dir.path().join("zero")).unwrap();
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff")), b"").unwrap();
        assert_eq!(local_files(dir.path()).unwrap_err().exit(), Exit::Invalid);
    }

    #[test]
    fn a_changed_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"abc").unwrap();
        let file = local_files(&path).unwrap().remove(0);
        file.check_unchanged().unwrap();
        fs::write(&path, b"abcd").unwrap();
        assert_eq!(file.check_unchanged().unwrap_err().exit(), Exit::State);
        assert!(file.map().is_err());
    }
}
