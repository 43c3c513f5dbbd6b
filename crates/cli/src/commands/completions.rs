//! `atoms completions`: what a shell needs to complete the command line.

use clap::CommandFactory;
use serde_json::json;

use crate::args::{Cli, CompletionsArgs};
use crate::failure::Result;
use crate::output::Output;

pub fn run(output: Output, args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "atoms", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    output.result(&json!({ "shell": args.shell.to_string(), "script": script }), || script.clone())
}
