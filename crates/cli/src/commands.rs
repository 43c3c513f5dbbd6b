//! The commands: each asks the server through typed calls and says what came out, for people or as JSON.

mod completions;
mod diff;
mod embed;
mod export;
mod findings;
mod gc;
mod import;
mod imports;
mod inspect;
mod ls;
mod man;
mod report;
mod rm;
mod show;
mod stats;
mod tensors;
mod values;
mod verify;

use crate::args::{Cli, Command};
use crate::connection::{Connector, Settings};
use crate::exit::Exit;
use crate::failure::Result;
use crate::output::Output;
use crate::server::Server;

/// What every command works with.
struct Context {
    connector: Connector,
    output: Output,
}

impl Context {
    /// Finds out where the database is; opens no connection.
    fn new(cli: &Cli, output: Output) -> Result<Self> {
        let settings = Settings::find(cli.global.url.as_deref())?;
        Ok(Self { connector: Connector::new(&settings, output.quiet)?, output })
    }

    fn server(&self) -> Result<Server> {
        Server::connect(&self.connector)
    }
}

/// Runs the command.  `Some` means: the result was written, and it is not a clean one.
pub fn run(cli: &Cli, output: Output) -> Result<Option<Exit>> {
    // Asked only by commands on a database, so that nothing wrong with its address keeps the others from working.
    let context = || Context::new(cli, output);
    match &cli.command {
        Command::Import(args) => import::run(&context()?, args).map(|()| None),
        Command::Ls => ls::run(&context()?).map(|()| None),
        Command::Show(args) => show::run(&context()?, args).map(|()| None),
        Command::Tensors(args) => tensors::run(&context()?, args).map(|()| None),
        Command::Stats(args) => stats::run(&context()?, args).map(|()| None),
        Command::Values(args) => values::run(&context()?, args).map(|()| None),
        Command::Diff(args) => diff::run(&context()?, args),
        Command::Findings(args) => findings::run(&context()?, args),
        Command::Inspect(args) => inspect::run(output, args),
        Command::Export(args) => export::run(&context()?, args),
        Command::Verify(args) => verify::run(&context()?, args),
        Command::Report(args) => report::run(&context()?, args).map(|()| None),
        Command::Rm(args) => rm::run(&context()?, args).map(|()| None),
        Command::Gc(args) => gc::run(&context()?, args).map(|()| None),
        Command::Imports(args) => imports::run(&context()?, args).map(|()| None),
        Command::Embed(args) => embed::run(&context()?, args).map(|()| None),
        Command::Completions(args) => completions::run(output, args).map(|()| None),
        Command::Man(args) => man::run(output, args).map(|()| None),
    }
}
