//! The server's processes as `/proc` shows them, and signals to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result, run};

/// How long a process may take to vanish after SIGKILL; it cannot refuse, but it may be in a long write.
const KILL_SECONDS_MAX: u64 = 60;

/// Returns the postmaster of `data`; `None` when none runs.
///
/// The file postmaster.pid survives a crash, and its number may belong to another process by now: only a living process that
/// stands in `data` counts.
pub(crate) fn postmaster(data: &Path) -> Option<u32> {
    let file = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid: u32 = file.lines().next()?.trim().parse().ok()?;
    (is_alive(pid) && working_dir(pid)? == data.canonicalize().ok()?).then_some(pid)
}

/// Kills the postmaster and everything it started with SIGKILL, and waits until all of them are gone.
pub(crate) fn kill_all(postmaster: u32) -> Result<()> {
    // Stopped, it can neither start another child nor react to the death of one.
    signal("STOP", &[postmaster])?;
    let mut pids = children(postmaster)?;
    pids.push(postmaster);
    signal("KILL", &pids)?;
    wait_until_gone(&pids)
}

/// Returns true while `pid` runs; a zombie that nobody has reaped is dead.
pub(crate) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| stat.state != 'Z' && stat.state != 'X')
}

fn wait_until_gone(pids: &[u32]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(KILL_SECONDS_MAX);
    while let Some(pid) = pids.iter().find(|pid| is_alive(**pid)) {
        if Instant::now() > deadline {
            return Err(Error::Unfit(format!("process {pid} is still there {KILL_SECONDS_MAX} s after SIGKILL")));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// `kill` is a word of the shell; a program of that name is not on every machine.
fn signal(name: &str, pids: &[u32]) -> Result<()> {
    let mut kill = Command::new("sh");
    kill.args(["-c", r#"kill -s "$0" "$@""#, name]).args(pids.iter().map(u32::to_string));
    match run(&mut kill) {
        // A child may end between the look and the signal.
        Err(error) if pids.iter().any(|pid| is_alive(*pid)) && name != "KILL" => Err(error),
        _ => Ok(()),
    }
}

fn children(parent: u32) -> Result<Vec<u32>> {
    let proc = Path::new("/proc");
    let entries = fs::read_dir(proc).map_err(Error::io("read", proc))?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids.filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == parent)).collect())
}

fn working_dir(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

struct Stat {
    state: char,
    parent: u32,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // "pid (name) state ppid ...": the name may hold anything, also spaces and brackets.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some(Stat { state: fields.next()?.chars().next()?, parent: fields.next()?.parse().ok()? })
}
