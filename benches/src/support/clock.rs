//! Wall clock and CPU seconds of a piece of work, as `/proc` counts them.

use std::fs;
use std::time::Instant;

use super::{Failure, Result};
use crate::contest::Lap;

/// Ticks of the CPU times in `/proc`, on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Runs `work`, which stores, reads or hashes `bytes`, and returns how long it took.
///
/// `postmaster` is the server whose processes are counted.
pub fn measure(postmaster: u32, bytes: u64, work: impl FnOnce() -> Result<()>) -> Result<Lap> {
    let (server_before, client_before) = (server_cpu(postmaster)?, client_cpu()?);
    let started = Instant::now();
    work()?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Lap {
        bytes,
        seconds,
        server_cpu_seconds: server_cpu(postmaster)? - server_before,
        client_cpu_seconds: client_cpu()? - client_before,
    })
}

/// CPU seconds of a postmaster, of its living children, and of those it has buried.
fn server_cpu(postmaster: u32) -> Result<f64> {
    let own = stat(&postmaster.to_string()).ok_or_else(|| Failure::new("the server has ended"))?;
    let entries = fs::read_dir("/proc").map_err(|error| Failure::new(format!("cannot read /proc: {error}")))?;
    let processes = entries.flatten().filter_map(|entry| stat(entry.file_name().to_str()?));
    let children: f64 = processes.filter(|process| process.parent == postmaster).map(|process| process.own).sum();
    Ok(own.own + own.buried + children)
}

/// Returns the CPU seconds of a process, of all threads that it has or had.
pub fn process_cpu(pid: i32) -> Result<f64> {
    let process = stat(&pid.to_string()).ok_or_else(|| Failure::new(format!("process {pid} has ended")))?;
    Ok(process.own)
}

/// CPU seconds of this process and of the children that it has waited for.
fn client_cpu() -> Result<f64> {
    let own = stat("self").ok_or_else(|| Failure::new("cannot read /proc/self/stat"))?;
    Ok(own.own + own.buried)
}

struct Stat {
    parent: u32,
    /// CPU seconds of the process.
    own: f64,
    /// CPU seconds of children that have ended and were waited for.
    buried: f64,
}

fn stat(process: &str) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // "pid (name) state ppid ...": the name may hold anything, also spaces and brackets. The fields are those of proc(5),
    // counted from state, which is its third.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
        buried: (ticks(16)? + ticks(17)?) / TICKS_PER_SECOND,
    })
}

#[cfg(test)]
mod tests {
    use super::{client_cpu, parse_stat};

    #[test]
    fn the_line_of_a_process_is_read() {
        let line = "12 (a) b (c)) S 7 1 1 0 -1 4194560 1 2 3 4 150 50 30 20 20 0 1 0 100 200";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.parent, stat.own, stat.buried), (7, 2.0, 0.5));
        assert!(parse_stat("12 (a) S 7").is_none());
    }

    #[test]
    fn cpu_time_passes() {
        let before = client_cpu().unwrap();
        let mut x = 0u64;
        while client_cpu().unwrap() - before < 0.02 {
            x = std::hint::black_box(x.wrapping_add(1));
        }
    }
}
