//! The program `atoms` as users run it: a process with arguments, libpq variables, outputs and an exit code.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pg_test::Cluster;
use serde_json::Value;

use super::Database;

/// A run of the program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The document on standard output; null when there is none.
    pub json: Value,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Database {
    /// Returns a command of the program for this database, with JSON output.
    pub fn atoms_command(&self) -> Command {
        command_on(self.cluster(), self.name())
    }

    /// Runs the program to its end.
    pub fn run_atoms(&self, args: &[&dyn AsRef<OsStr>]) -> Ended {
        let mut command = self.atoms_command();
        command.args(args.iter().map(|arg| arg.as_ref()));
        run(&mut command)
    }

    /// Runs the program, which must succeed, and returns its document.
    #[track_caller]
    pub fn atoms(&self, args: &[&dyn AsRef<OsStr>]) -> Value {
        let ended = self.run_atoms(args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.json
    }
}

/// Returns a command of the program for a database of any cluster, with JSON output.
pub fn command_on(cluster: &Cluster, dbname: &str) -> Command {
    let mut command = cluster.command(program(), dbname);
    command.args(["--json", "--quiet"]).stdin(Stdio::null());
    command
}

/// Runs a command of the program to its end.
pub fn run(command: &mut Command) -> Ended {
    let output = command.output().expect("ATOMS_BIN is a program");
    Ended {
        code: output.status.code(),
        json: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn program() -> PathBuf {
    let program =
        PathBuf::from(env::var_os("ATOMS_BIN").expect("ATOMS_BIN names the program atoms; make test sets it"));
    assert!(program.is_absolute() && program.is_file(), "ATOMS_BIN is {}, no such program", program.display());
    program
}
