//! The peers that are programs: git with git-lfs, and dvc, each in a repository of its own.

use std::path::PathBuf;
use std::process::Command;

use super::failure::run;
use super::{Result, folder};
use crate::args::{Args, Peer};

/// A repository of a peer, in a folder of its own.
pub struct Repository {
    peer: Peer,
    program: PathBuf,
    root: PathBuf,
}

/// Fails, saying what to do, if a peer is not installed.
pub fn check(args: &Args, peer: Peer) -> Result<()> {
    let (mut version, remedy) = match peer {
        Peer::GitLfs => {
            let mut git = Command::new("git");
            git.args(["lfs", "version"]);
            (git, "install the packages git and git-lfs, or say --without git-lfs")
        }
        Peer::Dvc => {
            let mut dvc = Command::new(&args.dvc);
            dvc.arg("--version");
            (dvc, "set DVC_BIN to the program, or say --without dvc")
        }
    };
    run(&mut version).map(drop).map_err(|failure| failure.during(remedy))
}

impl Repository {
    /// Makes a repository in a new folder `root`.
    pub fn init(args: &Args, peer: Peer, root: PathBuf) -> Result<Repository> {
        folder::make_empty(&root)?;
        let program = match peer {
            Peer::GitLfs => PathBuf::from("git"),
            Peer::Dvc => args.dvc.clone(),
        };
        let repository = Repository { peer, program, root };
        let commands: &[&[&str]] = match peer {
            Peer::GitLfs => &[&["init", "--quiet"], &["lfs", "install", "--local"], &["lfs", "track", "*.safetensors"]],
            Peer::Dvc => &[&["init", "--quiet", "--no-scm"], &["config", "core.analytics", "false"]],
        };
        commands.iter().try_for_each(|command| repository.run(command))?;
        Ok(repository)
    }

    /// Puts a file of the repository, given by its name, into the peer's store.
    pub fn add(&self, name: &str) -> Result<()> {
        match self.peer {
            Peer::GitLfs => self.run(&["add", name]),
            Peer::Dvc => self.run(&["add", "--quiet", name]),
        }
    }

    /// Makes a file again that was added and then removed.
    pub fn checkout(&self, name: &str) -> Result<()> {
        match self.peer {
            Peer::GitLfs => self.run(&["checkout", "--quiet", "--", name]),
            Peer::Dvc => self.run(&["checkout", "--quiet", &format!("{name}.dvc")]),
        }
    }

    /// Returns where a file of this name is in the repository.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Returns what the peer's store takes on disk, without the files beside it.
    pub fn stored_bytes(&self) -> Result<u64> {
        folder::disk_bytes(&self.root.join(match self.peer {
            Peer::GitLfs => ".git",
            Peer::Dvc => ".dvc",
        }))
    }

    fn run(&self, args: &[&str]) -> Result<()> {
        let home = self.root.join(".home");
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(&self.root);
        // Nothing of the user's own settings, and nothing outside of this folder.
        command.env("HOME", &home).env("GIT_CONFIG_NOSYSTEM", "1").env("XDG_CONFIG_HOME", &home);
        command.env("XDG_CACHE_HOME", &home).env("DVC_SITE_CACHE_DIR", home.join("site")).env("DVC_NO_ANALYTICS", "1");
        command.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").env_remove("GIT_INDEX_FILE");
        run(&mut command).map(drop)
    }
}
