//! Ends the clusters of this process when the process ends, however it ends.
//!
//! A cluster in a `static` is never dropped, and a test run killed by a time limit drops nothing at all. So a small shell in
//! its own process group reads the directories of our clusters from a pipe; when the pipe closes because we are gone, it stops
//! what still runs and removes the directories.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::account::Account;
use crate::error::{Error, Result};

/// `"$@"` is `pg_ctl` with whatever is needed to run it as the server's user.
const SCRIPT: &str = r#"
bases=
while IFS= read -r base; do bases="$bases$base
"; done
printf %s "$bases" | while IFS= read -r base; do
    [ -d "$base" ] || continue
    "$@" -D "$base/data" -m immediate -t 20 stop </dev/null
    rm -rf -- "$base"
done
"#;

static WATCHDOG: OnceLock<Mutex<Child>> = OnceLock::new();

/// Hands `base` over: when this process ends, the server in `base/data` is stopped and `base` removed.
pub(crate) fn watch(account: &Account, base: &Path) -> Result<()> {
    let watchdog = match WATCHDOG.get() {
        Some(watchdog) => watchdog,
        None => {
            let started = Mutex::new(start(account)?);
            // Two threads may get here at once; the child of the loser reads an empty list and ends.
            WATCHDOG.get_or_init(|| started)
        }
    };
    let mut child = watchdog.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = child.stdin.as_mut().expect("stdin was piped in start() and is never taken");
    writeln!(pipe, "{}", base.display()).map_err(Error::io("hand to the watchdog", base))
}

fn start(account: &Account) -> Result<Child> {
    let stop = account.server_command("pg_ctl");
    Command::new("sh")
        .args(["-c", SCRIPT, "pg_test-watchdog"])
        .arg(stop.get_program())
        .args(stop.get_args())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C reaches the whole group of the terminal; the watchdog has to outlive us.
        .process_group(0)
        .spawn()
        .map_err(Error::io("start the watchdog", Path::new("sh")))
}
