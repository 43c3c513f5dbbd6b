//! `atoms import`: a file or a directory becomes a model.

use std::time::Instant;

use atom::ContentHash;
use serde::Serialize;
use store::Strategy;

use super::Context;
use crate::args::ImportArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::import::{Load, LocalFile, Moved, Plan, Transfer, default_model_name, link_known_files, local_files};
use crate::interrupt;
use crate::output::{count, printable, size};
use crate::progress::Progress;
use crate::server::{BeginImport, MissingAtom, Server};

/// How often what is still missing is sent again, before it is called a failure.
const ROUNDS_MAX: usize = 5;
const AGAIN: &str = "Run the same command again to go on: what is stored stays, only what is missing is sent.";

/// The JSON document of the command.
#[derive(Debug, Serialize)]
struct Imported {
    model: String,
    /// `imported` or `skipped`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    import_id: Option<i64>,
    /// Whether an interrupted import was continued.
    resumed: bool,
    files: usize,
    /// Files of which the store had the same bytes.
    linked_files: usize,
    size_bytes: u64,
    sent_bytes: u64,
    /// Bytes that did not have to be sent.
    present_bytes: u64,
    /// Atoms that are new in the store.
    new_atoms: u64,
    seconds: f64,
}

pub fn run(context: &Context, args: &ImportArgs) -> Result<()> {
    let started = Instant::now();
    let files = local_files(&args.path)?;
    let model = match &args.name {
        Some(name) => name.clone(),
        None => default_model_name(&args.path)?,
    };
    let strategy = Strategy::parse(args.strategy.name(), i64::from(args.chunk_bytes))
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let mut server = context.server()?;
    let begun = server.begin_import(&BeginImport {
        model: &model,
        paths: files.iter().map(|file| file.path.as_str()).collect(),
        sizes: files.iter().map(|file| i64::try_from(file.size_bytes).unwrap_or(i64::MAX)).collect(),
        stamps: files.iter().map(|file| file.stamp.as_str()).collect(),
        strategy: args.strategy.name(),
        chunk_bytes: i32::try_from(args.chunk_bytes).unwrap_or(i32::MAX),
        on_exists: args.on_exists.name(),
    })?;
    let mut imported = Imported {
        model,
        status: "skipped",
        import_id: begun,
        resumed: false,
        files: files.len(),
        linked_files: 0,
        size_bytes: files.iter().map(|file| file.size_bytes).sum(),
        sent_bytes: 0,
        present_bytes: 0,
        new_atoms: 0,
        seconds: 0.0,
    };
    if let Some(import_id) = begun {
        interrupt::advise(Some(AGAIN.to_owned()));
        let work = Import { context, files: &files, strategy, import_id };
        work.run(&mut server, &mut imported).map_err(advise_again)?;
        interrupt::advise(None);
    }
    imported.seconds = started.elapsed().as_secs_f64();
    context.output.result(&imported, || text(&imported))
}

/// A lost connection leaves everything that was committed.
fn advise_again(failure: Failure) -> Failure {
    if failure.exit() == Exit::Connection && failure.hint.is_none() { failure.hint(AGAIN) } else { failure }
}

fn text(imported: &Imported) -> String {
    let model = printable(&imported.model);
    if imported.status == "skipped" {
        return format!("model \"{model}\" exists already, skipped");
    }
    format!(
        "imported model \"{model}\": {}, {}\n{} sent ({}), {} were there already; {:.2} s",
        count(imported.files as u64, "file", "files"),
        size(imported.size_bytes),
        size(imported.sent_bytes),
        count(imported.new_atoms, "new atom", "new atoms"),
        size(imported.present_bytes),
        imported.seconds
    )
}

/// An import that was begun.
struct Import<'a> {
    context: &'a Context,
    files: &'a [LocalFile],
    strategy: Strategy,
    import_id: i64,
}

impl<'a> Import<'a> {
    fn run(&self, server: &mut Server, imported: &mut Imported) -> Result<()> {
        server.commit_without_waiting()?;
        let progress = Progress::bytes(self.context.output, imported.size_bytes, "looking");
        let load = self.prepare(server, imported, &progress)?;
        let own_hashes: Vec<(i32, ContentHash)> =
            load.new.iter().filter_map(|work| Some((work.file_no, work.own_hash?))).collect();
        if !load.is_empty() {
            progress.doing("sending");
            let moved = self.move_all(server, load, &progress)?;
            imported.sent_bytes = moved.bytes;
            imported.new_atoms = moved.atoms;
            progress.doing("hashing");
            self.hash_rest(server, &own_hashes)?;
        }
        self.files.iter().try_for_each(LocalFile::check_unchanged)?;
        progress.doing("finishing");
        server.finish_import(self.import_id)?;
        imported.status = "imported";
        imported.present_bytes = imported.size_bytes.saturating_sub(imported.sent_bytes);
        Ok(())
    }

    /// Finds out what has to be moved; files that the store has are linked at once.
    fn prepare(&self, server: &mut Server, imported: &mut Imported, progress: &Progress) -> Result<Load<'a>> {
        let states = server.import_files(self.import_id)?;
        let plan = Plan::new(self.files, &states)?;
        imported.resumed = states.iter().any(|state| state.announced_bytes > 0);
        let missing = if imported.resumed { server.missing_atoms(self.import_id)? } else { Vec::new() };
        if imported.resumed {
            let announced = states.iter().map(|state| state.announced_bytes).sum();
            self.tell_resumed(present_bytes(announced, &missing), imported.size_bytes);
        }
        // A file that was announced in part is read again and counted then.
        let whole = plan.done.iter().chain(&plan.announced).map(|work| work.file.size_bytes).sum();
        progress.add(present_bytes(whole, &missing));
        let (linked, others) = link_known_files(server, self.import_id, plan.maybe_known, progress)?;
        imported.linked_files = linked.len();
        let mut new = others;
        new.extend(plan.new);
        new.sort_by_key(|work| work.file_no);
        Ok(Load { new, missing, announced: plan.announced.iter().map(|work| work.file_no).collect() })
    }

    fn tell_resumed(&self, present_bytes: u64, size_bytes: u64) {
        let (present, all) = (size(present_bytes), size(size_bytes));
        self.context.output.remark(&format!("going on with import {}: {present} of {all} are there", self.import_id));
    }

    /// Sends until nothing is missing: an import beside this one may have changed what is there.
    fn move_all(&self, server: &mut Server, mut load: Load<'a>, progress: &Progress) -> Result<Moved> {
        let transfer = Transfer {
            connector: &self.context.connector,
            import_id: self.import_id,
            files: self.files,
            strategy: self.strategy,
            progress,
        };
        let mut moved = Moved::default();
        for _ in 0..ROUNDS_MAX {
            let round = transfer.run(server, &load)?;
            moved.bytes += round.bytes;
            moved.atoms += round.atoms;
            load = Load { missing: server.missing_atoms(self.import_id)?, ..Load::default() };
            if load.is_empty() {
                return Ok(moved);
            }
        }
        Err(Failure::new(Exit::State, "atoms are still missing after they were sent several times").hint(AGAIN))
    }

    /// Has the server hash what it has not hashed yet, and compares with the hashes that were computed here.
    fn hash_rest(&self, server: &mut Server, own_hashes: &[(i32, ContentHash)]) -> Result<()> {
        for state in server.import_files(self.import_id)? {
            while state.content_hash.is_none() && !server.hash_import_file(self.import_id, state.file_no)? {}
        }
        if own_hashes.is_empty() {
            return Ok(());
        }
        for (state, file) in server.import_files(self.import_id)?.iter().zip(self.files) {
            let own = own_hashes.iter().find(|(file_no, _)| *file_no == state.file_no);
            if own.is_some_and(|(_, own)| state.content_hash != Some(*own)) {
                file.check_unchanged()?;
                return Err(Failure::new(
                    Exit::Damaged,
                    format!("\"{}\" arrived with other bytes than it has", file.path),
                )
                .hint("Did the file change while it was read?  Import it again."));
            }
        }
        Ok(())
    }
}

/// Returns how many of the announced bytes need not be sent any more.
fn present_bytes(announced: u64, missing: &[MissingAtom]) -> u64 {
    let to_send: u64 = missing.iter().map(|atom| atom.size_bytes - atom.received_bytes.min(atom.size_bytes)).sum();
    announced.saturating_sub(to_send)
}
