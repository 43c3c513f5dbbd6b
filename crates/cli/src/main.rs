//! The program `atoms`: models in and out of PostgreSQL.  Everything it does goes through SQL that anyone may call;
//! `docs/cli.md` describes commands, JSON documents and exit codes.

#![deny(unsafe_code)]

mod args;
mod chart;
mod commands;
mod connection;
mod embed;
mod exit;
mod export;
mod failure;
mod figures;
mod import;
mod interrupt;
#[allow(unsafe_code)]
mod mapped_file;
mod output;
mod progress;
mod server;
mod source_file;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::output::Output;

fn main() -> ExitCode {
    // Wrong usage ends here, with exit code 2.
    let cli = Cli::parse();
    interrupt::install();
    let output = Output { json: cli.global.json, quiet: cli.global.quiet };
    match commands::run(&cli, output) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(exit)) => ExitCode::from(exit.code()),
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.exit().code())
        }
    }
}
