//! What can go wrong around a server, with the output that explains it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The result of everything that touches a cluster.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed step around a cluster.
#[derive(Debug)]
pub enum Error {
    /// A file or directory could not be made, read or removed.
    Io {
        /// What was tried, as a verb phrase: "create", "read".
        action: &'static str,
        /// The path it was tried on.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A program could not be started or ended with a failure.
    Command {
        /// The command line.
        command: String,
        /// How it ended, and everything it printed.
        output: String,
    },
    /// The server did not start.
    Start {
        /// The data directory.
        data: PathBuf,
        /// The end of the server's log.
        log: String,
    },
    /// The machine lacks something, or the cluster is not in the state that the call needs.
    Unfit(String),
    /// The server refused a connection or a statement.
    Postgres(postgres::Error),
}

impl Error {
    /// Returns a closure for `map_err` that says what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { action, path: path.to_path_buf(), source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { action, path, source } => write!(f, "cannot {action} {}: {source}", path.display()),
            Error::Command { command, output } => write!(f, "{command} failed: {output}"),
            Error::Start { data, log } => {
                write!(f, "the server of {} did not start; its log ends:\n{log}", data.display())
            }
            Error::Unfit(message) => f.write_str(message),
            // The client's own Display says only "db error"; message and SQLSTATE are in the source.
            Error::Postgres(error) => match error.as_db_error() {
                Some(db) => write!(f, "{}: {} (SQLSTATE {})", db.severity(), db.message(), db.code().code()),
                None => write!(f, "{error}"),
            },
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            Error::Postgres(error) => Some(error),
            _ => None,
        }
    }
}

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Error {
        Error::Postgres(error)
    }
}

/// Runs `command` to its end and returns what it wrote to stdout. Errors: [`Error::Command`] with both outputs.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let ended = command.stdin(Stdio::null()).output();
    let output = match ended {
        Ok(output) if output.status.success() => return Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => describe(&output),
        Err(error) => error.to_string(),
    };
    Err(Error::Command { command: format!("{command:?}"), output })
}

fn describe(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    format!("{}\n{}{}", output.status, stdout.trim_end(), stderr.trim_end())
}
