//! One connection whose backend's CPU time is measured: it says what a statement costs also while others use the machine.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;

use super::clock::process_cpu;
use super::{Database, Failure, Result};

/// The kernel adds a running process's time up at its ticks, of a waiting one exactly: a backend is given time to lie down.
const REST: Duration = Duration::from_millis(10);

/// What a piece of work cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// CPU seconds of the backend.
    pub cpu_seconds: f64,
    /// Wall clock, as the client sees it.
    pub seconds: f64,
}

/// A connection on which nothing runs in parallel and nothing is compiled.
pub struct Backend {
    client: Client,
    pid: i32,
}

impl Backend {
    /// Connects, and runs a few settings.
    pub fn connect(database: &Database, settings: &str) -> Result<Backend> {
        let mut client = database.client()?;
        client.batch_execute("SET jit = off; SET max_parallel_workers_per_gather = 0")?;
        client.batch_execute(settings)?;
        let pid = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
        Ok(Backend { client, pid })
    }

    /// Returns the connection, for what is not measured.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Runs some work and returns what it cost.
    pub fn measure(&mut self, work: impl FnOnce(&mut Client) -> Result<()>) -> Result<Cost> {
        let cpu_before = self.cpu_seconds()?;
        let began = Instant::now();
        work(&mut self.client)?;
        let seconds = began.elapsed().as_secs_f64();
        Ok(Cost { cpu_seconds: self.cpu_seconds()? - cpu_before, seconds })
    }

    /// The same for work of seconds whose other threads count too, by the kernel's coarser clock.
    pub fn measure_threads(&mut self, work: impl FnOnce(&mut Client) -> Result<()>) -> Result<Cost> {
        let cpu_before = process_cpu(self.pid)?;
        let began = Instant::now();
        work(&mut self.client)?;
        let seconds = began.elapsed().as_secs_f64();
        Ok(Cost { cpu_seconds: process_cpu(self.pid)? - cpu_before, seconds })
    }

    fn cpu_seconds(&self) -> Result<f64> {
        thread::sleep(REST);
        let path = format!("/proc/{}/schedstat", self.pid);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let nanoseconds = text.split_whitespace().next().and_then(|field| field.parse::<f64>().ok());
        nanoseconds.map(|number| number / 1e9).ok_or_else(|| Failure::new(format!("{path} has no CPU time")))
    }
}
