//! The peers that are Python packages: scripts that time themselves, so that nobody pays for the interpreter's start.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::failure::run;
use super::{Failure, Result};
use crate::args::Args;

/// What a script says of its work.
pub struct Timed {
    /// Things it counted.
    pub count: u64,
    /// Wall clock.
    pub seconds: f64,
}

/// Runs a script of `benches/python` that prints a count and seconds.
pub fn time(args: &Args, script: &str, arguments: &[&dyn AsRef<OsStr>]) -> Result<Timed> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script);
    let python = args.python.as_ref().ok_or_else(|| Failure::new("set PG_ATOMS_PYTHON; scripts/bench does"))?;
    let mut command = Command::new(python);
    command.arg(path).args(arguments.iter().map(|argument| argument.as_ref()));
    let printed = run(&mut command)?;
    let mut words = printed.split_whitespace();
    let (count, seconds) = (words.next(), words.next());
    match (count.and_then(|word| word.parse().ok()), seconds.and_then(|word| word.parse().ok())) {
        (Some(count), Some(seconds)) => Ok(Timed { count, seconds }),
        _ => Err(Failure::new(format!("{script} printed {printed:?}, not a count and seconds"))),
    }
}
