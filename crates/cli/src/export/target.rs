//! Where exported files go.  Paths come from a database, so each is checked again: nothing is written outside the
//! directory that the user named, and nothing half-written ever has a final name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Component, Path, PathBuf};

use atom::ContentHash;

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::import::{LocalFile, hash_file, local_files};
use crate::interrupt::UnfinishedFile;
use crate::server::ModelFile;

/// Longest name that common file systems take.
const NAME_BYTES_MAX: usize = 255;
const PREFIX: &str = ".";
const SUFFIX: &str = ".atoms-part";

/// The directory that files are exported to.
#[derive(Debug)]
pub struct TargetDir {
    root: PathBuf,
}

/// A file that is about to be written.
#[derive(Debug)]
pub struct TargetFile {
    unfinished: UnfinishedFile,
    name: PathBuf,
    /// Where the bytes go until they are complete.
    pub file: File,
}

impl TargetDir {
    /// Takes a directory, making it when it is not there.
    pub fn new(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).map_err(|error| Failure::io("make", root, &error))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Returns where the file will be.  Errors: the path leads out, or through a symbolic link.
    pub fn location(&self, path: &str) -> Result<PathBuf> {
        let relative = checked(path)?;
        let mut parent = self.root.clone();
        for name in relative.parent().into_iter().flat_map(Path::components) {
            parent.push(name);
            match fs::symlink_metadata(&parent) {
                Ok(metadata) if !metadata.is_dir() => {
                    let message = format!("\"{}\" is not a directory of its own", parent.display());
                    return Err(Failure::new(Exit::Invalid, message)
                        .hint("Files are not exported through symbolic links.  Export to another directory."));
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Failure::io("look at", &parent, &error));
                }
                _ => {}
            }
        }
        Ok(self.root.join(relative))
    }

    /// Returns whether the file is there already, with the same bytes.
    pub fn has_equal(&self, file: &ModelFile) -> Result<bool> {
        let location = self.location(&file.path)?;
        let is_candidate = fs::symlink_metadata(&location)
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() == file.size_bytes as u64);
        if !is_candidate {
            return Ok(false);
        }
        let found: Vec<LocalFile> = local_files(&location)?;
        Ok(found.first().map(hash_file).transpose()? == Some(file.content_hash))
    }

    /// Returns whether something has the name of the file.
    pub fn is_taken(&self, path: &str) -> Result<bool> {
        Ok(fs::symlink_metadata(self.location(path)?).is_ok())
    }

    /// Begins a file under its temporary name; `overwrite` allows its final name to be taken.
    pub fn begin(&self, path: &str, overwrite: bool) -> Result<TargetFile> {
        let name = self.location(path)?;
        match fs::symlink_metadata(&name) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(Failure::new(Exit::Exists, format!("\"{}\" is a directory", name.display())));
            }
            Ok(_) if !overwrite => {
                return Err(Failure::new(Exit::Exists, format!("\"{}\" exists and differs", name.display()))
                    .hint("Use --force to overwrite files, or export to another directory."));
            }
            _ => {}
        }
        if let Some(parent) = name.parent() {
            fs::create_dir_all(parent).map_err(|error| Failure::io("make", parent, &error))?;
        }
        let temporary = temporary_name(&name);
        // One that an earlier run left behind; never followed if it is a link.
        let _ = fs::remove_file(&temporary);
        let unfinished = UnfinishedFile::new(temporary);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(unfinished.path())
            .map_err(|error| Failure::io("create", unfinished.path(), &error))?;
        Ok(TargetFile { unfinished, name, file })
    }
}

impl TargetFile {
    /// Gives the file its name if it has the hash, durably; else it is removed.
    pub fn complete(self, found: ContentHash, expected: ContentHash) -> Result<()> {
        let Self { unfinished, name, file } = self;
        if found != expected {
            return Err(Failure::new(
                Exit::Damaged,
                format!("\"{}\" came with other bytes than stored", name.display()),
            )
            .detail(format!("Its SHA-256 is {found}; it should be {expected}.")));
        }
        file.sync_all().map_err(|error| Failure::io("write", &name, &error))?;
        drop(file);
        unfinished.complete(&name).map_err(|error| Failure::io("name", &name, &error))
    }
}

/// Returns `.NAME.atoms-part` beside the file; a name too long for that is shortened, which a hash keeps distinct.
fn temporary_name(name: &Path) -> PathBuf {
    let file_name = name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = if PREFIX.len() + file_name.len() + SUFFIX.len() <= NAME_BYTES_MAX {
        format!("{PREFIX}{file_name}{SUFFIX}")
    } else {
        format!("{PREFIX}{}{SUFFIX}", ContentHash::of(file_name.as_bytes()))
    };
    name.with_file_name(temporary)
}

/// Returns the path if it stays below where it begins.
fn checked(path: &str) -> Result<&Path> {
    let plain = |component: Component<'_>| matches!(component, Component::Normal(_));
    let is_good = !path.is_empty()
        && !path.contains('\0')
        && !path.contains('\\')
        && path.split('/').all(|name| !name.is_empty() && name != "." && name != "..")
        && Path::new(path).components().all(plain);
    if is_good {
        return Ok(Path::new(path));
    }
    Err(Failure::new(Exit::Invalid, format!("the model has a file with the unsafe path \"{path}\""))
        .detail("Paths are relative, with / between names, and never lead upwards."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_out_are_refused() {
        for bad in ["", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", "./a", "a//b", "a/", "a\0b", "a\\b", "."] {
            assert_eq!(checked(bad).unwrap_err().exit(), Exit::Invalid, "{bad:?}");
        }
        for good in ["a", "a/b", "..a", "a..", "a/.b", "ä/ß", "con fig.json"] {
            assert!(checked(good).is_ok(), "{good}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_links_are_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
        let target = TargetDir::new(dir.path()).unwrap();
        assert_eq!(target.location("link/x").unwrap_err().exit(), Exit::Invalid);
        assert!(target.begin("link/x", true).is_err());
        // A link in the place of the file itself is replaced, not followed.
        let victim = outside.path().join("victim");
        fs::write(&victim, b"keep").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("f")).unwrap();
        assert_eq!(target.begin("f", false).unwrap_err().exit(), Exit::Exists);
        let hash = ContentHash::of(b"");
        target.begin("f", true).unwrap().complete(hash, hash).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"keep");
        assert!(fs::symlink_metadata(dir.path().join("f")).unwrap().is_file());
    }

    #[test]
    fn a_file_gets_its_name_only_with_its_hash() {
        let dir = tempfile::tempdir().unwrap();
        let target = TargetDir::new(dir.path()).unwrap();
        let (good, bad) = (ContentHash::of(b""), ContentHash::of(b"x"));
        let failure = target.begin("a/b", false).unwrap().complete(good, bad).unwrap_err();
        assert_eq!(failure.exit(), Exit::Damaged);
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 0);
        target.begin("a/b", false).unwrap().complete(good, good).unwrap();
        assert!(dir.path().join("a/b").is_file());
    }

    #[test]
    fn long_names_have_short_temporary_names() {
        let long = "x".repeat(250);
        assert_eq!(temporary_name(Path::new("d/model.bin")), Path::new("d/.model.bin.atoms-part"));
        assert!(temporary_name(Path::new(&long)).as_os_str().len() <= NAME_BYTES_MAX);
    }

    #[test]
    fn an_equal_file_is_recognised() {
        let dir = tempfile::tempdir().unwrap();
        let target = TargetDir::new(dir.path()).unwrap();
        let file = |content_hash| ModelFile {
            path: "f".into(),
            size_bytes: 3,
            content_hash,
            format: None,
            variant: None,
            note: None,
        };
        assert!(!target.has_equal(&file(ContentHash::of(b"abc"))).unwrap());
        fs::write(dir.path().join("f"), b"abc").unwrap();
        assert!(target.has_equal(&file(ContentHash::of(b"abc"))).unwrap());
        assert!(!target.has_equal(&file(ContentHash::of(b"abd"))).unwrap());
    }
}
