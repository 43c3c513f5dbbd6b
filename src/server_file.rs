//! Files of the server: who may open them, and where they may lie.
//!
//! A caller needs PostgreSQL's own role for server files, and a path under one of `pg_atoms.allowed_dirs`.  What counts is where
//! the opened file really lies (the kernel's name of the descriptor), so a path that is swapped between a look and the
//! opening, or a link that leads out, gains nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use formats::FileSource;
use pgrx::pg_sys::panic::ErrorReport;

use crate::pg::error::{PgResult, code, fault};
use crate::pg::interrupt;
use crate::pg::role::{self, Predefined};

/// A file of the server, open for reading.
pub struct ServerFile {
    /// The open file; a regular one.
    pub file: File,
    /// Its size when it was opened.
    pub size_bytes: u64,
    /// Device, inode, size and time of modification: tells that it is still the same file.
    pub stamp: String,
}

impl ServerFile {
    /// Opens a file as the caller.
    ///
    /// Errors: 42501 role or place, 58P01 no such file, 22023 not a regular file.
    pub fn open(path: &Path) -> PgResult<Self> {
        require(Predefined::ReadServerFiles)?;
        let real = resolve(path)?;
        let look = std::fs::metadata(&real).map_err(|error| io_fault("look at", path, &error))?;
        refuse_special(path, &look)?;
        // Should the path have been swapped for a pipe meanwhile, opening must not wait for a writer.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&real)
            .map_err(|error| io_fault("open", path, &error))?;
        let look = file.metadata().map_err(|error| io_fault("look at", path, &error))?;
        refuse_special(path, &look)?;
        require_allowed(path, &descriptor_path(&file, path)?)?;
        let stamp = format!("{}:{}:{}:{}.{:09}", look.dev(), look.ino(), look.len(), look.mtime(), look.mtime_nsec());
        Ok(Self { file, size_bytes: look.len(), stamp })
    }

    /// Returns the file as the readers of formats want it.
    pub fn into_source(self) -> PgResult<FileSource> {
        FileSource::new(self.file).map_err(|error| fault(code::IO, format!("could not read an open file: {error}")))
    }
}

/// Tells whether a path is a folder that the caller may look into.
pub fn is_folder(path: &Path) -> PgResult<bool> {
    require(Predefined::ReadServerFiles)?;
    Ok(resolve(path)?.is_dir())
}

/// Returns the regular files at a path: the file itself, or all below a folder; with their paths inside the model, sorted.
pub fn list(path: &Path) -> PgResult<Vec<(String, PathBuf)>> {
    require(Predefined::ReadServerFiles)?;
    let real = resolve(path)?;
    let mut files = Vec::new();
    if real.is_dir() {
        walk(path, "", 0, &mut files)?;
        files.sort();
        if files.is_empty() {
            return Err(fault(code::ARGUMENT, format!("folder \"{}\" holds no files", path.display())));
        }
    } else {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| fault(code::ARGUMENT, format!("\"{}\" has no name in UTF-8", path.display())))?;
        files.push((name.to_owned(), path.to_owned()));
    }
    Ok(files)
}

/// Folders within each other; more is a loop of links.
const DEPTH_MAX: usize = 64;

fn walk(dir: &Path, prefix: &str, depth: usize, files: &mut Vec<(String, PathBuf)>) -> PgResult<()> {
    interrupt::check();
    if depth > DEPTH_MAX {
        return Err(fault(code::LIMIT, format!("folder \"{}\" lies deeper than {DEPTH_MAX} folders", dir.display())));
    }
    require_allowed(dir, &resolve(dir)?)?;
    for entry in std::fs::read_dir(dir).map_err(|error| io_fault("read", dir, &error))? {
        let path = entry.map_err(|error| io_fault("read", dir, &error))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| fault(code::ARGUMENT, format!("\"{}\" is not in UTF-8", path.display())))?;
        let inside = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let look = std::fs::metadata(&path).map_err(|error| io_fault("look at", &path, &error))?;
        if look.is_dir() {
            walk(&path, &inside, depth + 1, files)?;
        } else {
            refuse_special(&path, &look)?;
            files.push((inside, path));
        }
    }
    Ok(())
}

/// A folder of the server that files are written under.
pub struct WritableDir {
    path: PathBuf,
}

impl WritableDir {
    /// Opens a folder as the caller; makes it when only its last name is missing.
    pub fn open_or_create(path: &str) -> PgResult<Self> {
        require(Predefined::WriteServerFiles)?;
        let path = Path::new(path);
        make_dir(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Begins a file at a relative path that was checked when its model was imported; makes the folders between.
    pub fn create(&self, relative: &str) -> PgResult<NewFile> {
        let mut dir = self.path.clone();
        let mut names = relative.split('/').peekable();
        while let Some(name) = names.next() {
            if name.is_empty() || name == "." || name == ".." {
                return Err(fault(code::DAMAGED, format!("stored path \"{relative}\" leads out of its model")));
            }
            dir.push(name);
            if names.peek().is_some() {
                make_dir(&dir)?;
            }
        }
        NewFile::create_at(&dir)
    }
}

fn make_dir(path: &Path) -> PgResult<()> {
    let parent = path.parent().ok_or_else(|| not_absolute(path))?;
    require_allowed(path, &resolve(parent)?.join(path.file_name().ok_or_else(|| not_absolute(path))?))?;
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(io_fault("make", path, &error)),
        _ => require_allowed(path, &resolve(path)?),
    }
}

/// A file being written: under a temporary name until [`NewFile::keep`], removed when dropped before.
pub struct NewFile {
    file: File,
    /// The folder, held open, so that nobody swaps it.
    dir: File,
    temporary: String,
    wanted: PathBuf,
    kept: bool,
}

impl NewFile {
    /// Begins a file as the caller: 42501 role or place, 42710 when the name is taken.
    pub fn create(path: &str) -> PgResult<Self> {
        require(Predefined::WriteServerFiles)?;
        Self::create_at(Path::new(path))
    }

    fn create_at(path: &Path) -> PgResult<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return Err(not_absolute(path));
        };
        let dir = File::open(resolve(parent)?).map_err(|error| io_fault("open", parent, &error))?;
        require_allowed(path, &descriptor_path(&dir, parent)?.join(name))?;
        if std::fs::symlink_metadata(beside(&dir, name)).is_ok() {
            return Err(exists(path));
        }
        let temporary = format!(".{}.{}.atoms-part", &name[..name.floor_char_boundary(200)], std::process::id());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(beside(&dir, &temporary))
            .map_err(|error| io_fault("create", path, &error))?;
        Ok(Self { file, dir, temporary, wanted: path.to_owned(), kept: false })
    }

    /// Returns the file to write to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// The error for an operation on it that failed.
    pub fn fault(&self, verb: &str, error: &io::Error) -> ErrorReport {
        io_fault(verb, &self.wanted, error)
    }

    /// Makes the file durable and puts it under its name, which must still be free.
    pub fn keep(mut self) -> PgResult<()> {
        let name = self.wanted.file_name().and_then(|name| name.to_str()).ok_or_else(|| not_absolute(&self.wanted))?;
        let finish = || {
            self.file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
            self.file.sync_all()?;
            std::fs::hard_link(beside(&self.dir, &self.temporary), beside(&self.dir, name))?;
            std::fs::remove_file(beside(&self.dir, &self.temporary))?;
            self.dir.sync_all()
        };
        match finish() {
            Ok(()) => {
                self.kept = true;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(exists(&self.wanted)),
            Err(error) => Err(self.fault("keep", &error)),
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing more can be done when even this fails; the name says what the file is.
            let _ = std::fs::remove_file(beside(&self.dir, &self.temporary));
        }
    }
}

/// Names a file in an open folder, wherever that folder has been moved to.
fn beside(dir: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name)
}

fn descriptor_path(file: &File, path: &Path) -> PgResult<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(|error| io_fault("look at", path, &error))
}

fn require(role: Predefined) -> PgResult<()> {
    if role::has_privileges_of(role) {
        return Ok(());
    }
    Err(fault(code::DENIED, "permission denied for files of the server")
        .set_detail(format!("Only members of the role {} may do this.", role.name()))
        .set_hint("The program atoms imports and exports files of the client instead."))
}

/// Resolves links; tells nothing about paths outside the allowed folders.
fn resolve(path: &Path) -> PgResult<PathBuf> {
    if !path.is_absolute() {
        return Err(not_absolute(path));
    }
    match path.canonicalize() {
        Ok(real) => require_allowed(path, &real).map(|()| real),
        Err(error) => {
            let known = path.ancestors().skip(1).find_map(|parent| parent.canonicalize().ok()).unwrap_or_default();
            require_allowed(path, &known)?;
            Err(io_fault("open", path, &error))
        }
    }
}

fn require_allowed(path: &Path, real: &Path) -> PgResult<()> {
    let allowed = crate::pg::guc::allowed_dirs();
    let inside = allowed.iter().filter_map(|dir| Path::new(dir).canonicalize().ok()).any(|dir| real.starts_with(dir));
    if inside {
        return Ok(());
    }
    Err(fault(code::DENIED, format!("\"{}\" lies outside the folders that pg_atoms may use", path.display()))
        .set_detail(match allowed.is_empty() {
            true => "pg_atoms.allowed_dirs is empty.".to_owned(),
            false => format!("pg_atoms.allowed_dirs is {}.", allowed.join(", ")),
        })
        .set_hint("A superuser sets pg_atoms.allowed_dirs; links that lead out are refused."))
}

fn refuse_special(path: &Path, look: &std::fs::Metadata) -> PgResult<()> {
    if look.is_file() {
        return Ok(());
    }
    Err(fault(code::ARGUMENT, format!("\"{}\" is not a regular file", path.display()))
        .set_hint("Devices, pipes and sockets cannot be imported; a folder is imported with all its files."))
}

fn not_absolute(path: &Path) -> ErrorReport {
    fault(code::ARGUMENT, format!("\"{}\" is not an absolute path of a file of the server", path.display()))
}

fn exists(path: &Path) -> ErrorReport {
    fault(code::EXISTS, format!("file \"{}\" exists already", path.display()))
        .set_hint("Nothing is overwritten: export to another name.")
}

/// The error for an operation of the file system that failed.
pub fn io_fault(verb: &str, path: &Path, error: &io::Error) -> ErrorReport {
    let state = match error.kind() {
        ErrorKind::NotFound => code::NO_FILE,
        ErrorKind::PermissionDenied => code::DENIED,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => code::DISK_FULL,
        _ => code::IO,
    };
    fault(state, format!("could not {verb} file \"{}\": {error}", path.display()))
}
