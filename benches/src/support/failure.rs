//! Why something could not be measured: a message for the person who runs the bench.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::Command;

/// Shorthand for results of this program.
pub type Result<T> = std::result::Result<T, Failure>;

/// Something that ends the bench.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// Returns a failure with this message.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure(message.into())
    }

    /// Returns the failure of an action on a path.
    pub fn io(action: &str, path: &Path, error: &io::Error) -> Failure {
        Failure(format!("cannot {action} {}: {error}", path.display()))
    }

    /// Says what was being done.
    pub fn during(self, what: &str) -> Failure {
        Failure(format!("{what}: {}", self.0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<pg_test::Error> for Failure {
    fn from(error: pg_test::Error) -> Failure {
        Failure(error.to_string())
    }
}

impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Failure {
        pg_test::Error::from(error).into()
    }
}

/// An `io::Error` without a path: of a stream, where the driver hides its own errors inside.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.downcast::<postgres::Error>() {
            Ok(error) => error.into(),
            Err(error) => Failure(error.to_string()),
        }
    }
}

/// Runs a program to its end and returns what it wrote to stdout.
pub fn run(command: &mut Command) -> Result<String> {
    let ended = command.output();
    let failed = |why: String| Failure::new(format!("{command:?} {why}"));
    let output = ended.map_err(|error| failed(format!("could not be started: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(failed(format!("failed, {}\n{}\n{}", output.status, stdout.trim_end(), stderr.trim_end())))
}
