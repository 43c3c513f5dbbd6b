//! The peers that are programs: git with git-lfs, and dvc, each in a repository of its own.

use std::path::PathBuf;
use std::process::Command;

use super::failure::run;
use super::{Result, folder};
use crate::args::{Args, Peer};

/// A peer that keeps versions of files.
#[derive(Clone, Copy, Debug)]
pub enum VersionTool {
    /// git with git-lfs.
    GitLfs,
    /// dvc.
    Dvc,
}

impl VersionTool {
    /// Returns what the command line calls it.
    pub fn peer(self) -> Peer {
        match self {
            VersionTool::GitLfs => Peer::GitLfs,
            VersionTool::Dvc => Peer::Dvc,
        }
    }
}

/// A repository of a peer, in a folder of its own.
pub struct Repository {
    tool: VersionTool,
    program: PathBuf,
    root: PathBuf,
}

/// Fails, saying what to do, if a peer is not installed.
pub fn check(args: &Args, tool: VersionTool) -> Result<()> {
    let (mut version, remedy) = match tool {
        VersionTool::GitLfs => {
            let mut git = Command::new("git");
            git.args(["lfs", "version"]);
            (git, "install the packages git and git-lfs, or say --without git-lfs")
        }
        VersionTool::Dvc => {
            let mut dvc = Command::new(&args.dvc);
            dvc.arg("--version");
            (dvc, "set DVC_BIN to the program, or say --without dvc")
        }
    };
    run(&mut version).map(drop).map_err(|failure| failure.during(remedy))
}

impl Repository {
    /// Makes a repository in a new folder `root`.
    pub fn init(args: &Args, tool: VersionTool, root: PathBuf) -> Result<Repository> {
        folder::make_empty(&root)?;
        let program = match tool {
            VersionTool::GitLfs => PathBuf::from("git"),
            VersionTool::Dvc => args.dvc.clone(),
        };
        let repository = Repository { tool, program, root };
        let commands: &[&[&str]] = match tool {
            VersionTool::GitLfs => {
                &[&["init", "--quiet"], &["lfs", "install", "--local"], &["lfs", "track", "*.safetensors"]]
            }
            VersionTool::Dvc => &[&["init", "--quiet", "--no-scm"], &["config", "core.analytics", "false"]],
        };
        commands.iter().try_for_each(|command| repository.run(command))?;
        Ok(repository)
    }

    /// Puts a file of the repository, given by its name, into the peer's store.
    pub fn add(&self, name: &str) -> Result<()> {
        match self.tool {
            VersionTool::GitLfs => self.run(&["add", name]),
            VersionTool::Dvc => self.run(&["add", "--quiet", name]),
        }
    }

    /// Makes a file again that was added and then removed.
    pub fn checkout(&self, name: &str) -> Result<()> {
        match self.tool {
            VersionTool::GitLfs => self.run(&["checkout", "--quiet", "--", name]),
            VersionTool::Dvc => self.run(&["checkout", "--quiet", &format!("{name}.dvc")]),
        }
    }

    /// Returns where a file of this name is in the repository.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Returns what the peer's store takes on disk, without the files beside it.
    pub fn stored_bytes(&self) -> Result<u64> {
        folder::disk_bytes(&self.root.join(match self.tool {
            VersionTool::GitLfs => ".git",
            VersionTool::Dvc => ".dvc",
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
