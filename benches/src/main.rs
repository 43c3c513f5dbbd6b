//! The bench of the whole system: ratios to peers, measured in one run, as a table and as `target/bench/results.json`.
//!
//! `docs/bench.md` says what each row measures. A goal that is missed is shown and is no error; exit code 1 means that
//! something could not be measured.
#![forbid(unsafe_code)]

mod args;
mod contest;
mod costs;
mod row;
mod rows;
mod support;
mod table;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use args::Args;
use row::Row;
use support::{Bench, Failure, Result};

fn main() -> ExitCode {
    let failures = run(Args::parse()).unwrap_or_else(|failure| vec![failure]);
    for failure in &failures {
        eprintln!("bench: {failure}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns what could not be measured.
fn run(args: Args) -> Result<Vec<Failure>> {
    let results = args.results()?;
    rows::check(&args)?;
    let load_before = load();
    let bench = Bench::start(args)?;
    let report = rows::measure_all(&bench);
    write_results(&results, &report.rows)?;
    print!("{}", table::render(&report.rows));
    for remark in &report.remarks {
        println!("\n{remark}");
    }
    println!("\nload of the machine: {load_before} before, {} after", load());
    println!("results: {}", results.display());
    Ok(report.failures)
}

/// The three load averages; a bench on a busy machine says little.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn write_results(path: &Path, rows: &[Row]) -> Result<()> {
    let list: Vec<_> = rows.iter().map(Row::to_json).collect();
    let text = serde_json::to_string_pretty(&list).expect("rows hold no map with keys other than text");
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text + "\n"));
    written.map_err(|error| Failure::io("write", path, &error))
}
