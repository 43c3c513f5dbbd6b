//! The commands: each asks the server through typed calls and says what came out, for people or as JSON.

mod export;
mod gc;
mod import;
mod imports;
mod ls;
mod report;
mod rm;
mod show;
mod tensors;
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
    fn server(&self) -> Result<Server> {
        Server::connect(&self.connector)
    }
}

/// Runs the command.  `Some` means: the result was written, and it is not a clean one.
pub fn run(cli: &Cli, output: Output) -> Result<Option<Exit>> {
    let settings = Settings::find(cli.global.url.as_deref())?;
    let context = Context { connector: Connector::new(&settings, output.quiet)?, output };
    match &cli.command {
        Command::Import(args) => import::run(&context, args).map(|()| None),
        Command::Ls => ls::run(&context).map(|()| None),
        Command::Show(args) => show::run(&context, args).map(|()| None),
        Command::Tensors(args) => tensors::run(&context, args).map(|()| None),
        Command::Export(args) => export::run(&context, args),
        Command::Verify(args) => verify::run(&context, args),
        Command::Report(args) => report::run(&context, args).map(|()| None),
        Command::Rm(args) => rm::run(&context, args).map(|()| None),
        Command::Gc(args) => gc::run(&context, args).map(|()| None),
        Command::Imports(args) => imports::run(&context, args).map(|()| None),
    }
}
