//! Running the scripts of `tests/python`.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Runs a script to its end and returns what it printed.
pub fn run(script: &str, arguments: &[impl AsRef<OsStr>]) -> Vec<u8> {
    let python = env::var_os("PG_ATOMS_PYTHON").expect("PG_ATOMS_PYTHON is an interpreter; make test sets it");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script);
    let output = Command::new(python).arg(script).args(arguments).output().expect("PG_ATOMS_PYTHON is a program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
