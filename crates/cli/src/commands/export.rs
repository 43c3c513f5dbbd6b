//! `atoms export`: a model's files, each hashed on its way.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

use super::Context;
use super::verify::damage_table;
use crate::args::ExportArgs;
use crate::exit::Exit;
use crate::export::{Received, TargetDir, TargetFile, receive_file};
use crate::failure::{Failure, Result};
use crate::output::{count, printable, size};
use crate::progress::Progress;
use crate::server::{Damage, ModelFile, ModelSnapshot};

/// Files whose bytes arrived and that wait for the disk; more would only hold file handles.
const FILES_COMPLETING: usize = 16;
/// Conflicting files that are named in a message.
const CONFLICTS_NAMED: usize = 5;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Written,
    Unchanged,
    Failed,
}

/// A file in the JSON document of the command.
#[derive(Debug, Serialize)]
struct ExportedFile {
    #[serde(flatten)]
    file: ModelFile,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Damage>,
}

/// The JSON document of the command.
#[derive(Debug, Serialize)]
struct Exported<'a> {
    model: &'a str,
    directory: &'a Path,
    files: Vec<ExportedFile>,
    written_bytes: u64,
    seconds: f64,
}

pub fn run(context: &Context, args: &ExportArgs) -> Result<Option<Exit>> {
    let started = Instant::now();
    let mut server = context.server()?;
    let mut snapshot = server.snapshot()?;
    let files = snapshot.files(&args.model)?;
    let target = TargetDir::new(&args.dir)?;
    let unchanged = compare(&target, &files, args.force)?;
    let mut exported = write_files(context, args, &mut snapshot, &target, &files, &unchanged)?;
    name_damage(&args.model, &mut snapshot, &mut exported);
    let written = exported.iter().filter(|exported| exported.status == Status::Written);
    let document = Exported {
        model: &args.model,
        directory: &args.dir,
        written_bytes: written.map(|exported| exported.file.size_bytes as u64).sum(),
        seconds: started.elapsed().as_secs_f64(),
        files: exported,
    };
    tell_failures(&document.files);
    context.output.result(&document, || text(&document))?;
    Ok(worst(&document.files))
}

/// Returns which files are there already; fails before anything is written when one is in the way.
fn compare(target: &TargetDir, files: &[ModelFile], force: bool) -> Result<Vec<bool>> {
    let unchanged: Vec<bool> = files.par_iter().map(|file| target.has_equal(file)).collect::<Result<_>>()?;
    if force {
        return Ok(unchanged);
    }
    let mut conflicts = Vec::new();
    for (file, unchanged) in files.iter().zip(&unchanged) {
        if !unchanged && target.is_taken(&file.path)? {
            conflicts.push(file.path.as_str());
        }
    }
    if conflicts.is_empty() {
        return Ok(unchanged);
    }
    let named: Vec<String> =
        conflicts.iter().take(CONFLICTS_NAMED).map(|path| format!("\"{}\"", printable(path))).collect();
    let more = if conflicts.len() > CONFLICTS_NAMED { " and others" } else { "" };
    Err(Failure::new(
        Exit::Exists,
        format!("{} with other bytes", count(conflicts.len() as u64, "file exists", "files exist")),
    )
    .detail(format!("In the way: {}{more}.", named.join(", ")))
    .hint("Use --force to overwrite, or export to another directory."))
}

/// Receives file after file; while the disk completes one, the next one arrives.
fn write_files(
    context: &Context,
    args: &ExportArgs,
    snapshot: &mut ModelSnapshot<'_>,
    target: &TargetDir,
    files: &[ModelFile],
    unchanged: &[bool],
) -> Result<Vec<ExportedFile>> {
    let total =
        files.iter().zip(unchanged).filter(|(_, unchanged)| !**unchanged).map(|(file, _)| file.size_bytes as u64);
    let progress = Progress::bytes(context.output, total.sum(), "exporting");
    thread::scope(|scope| {
        let (arrived, completing) = sync_channel(FILES_COMPLETING);
        let completer = scope.spawn(move || complete_files(&completing, files));
        let mut outcomes: Vec<Option<Result<Status>>> = Vec::with_capacity(files.len());
        for (index, (file, unchanged)) in files.iter().zip(unchanged).enumerate() {
            if *unchanged {
                outcomes.push(Some(Ok(Status::Unchanged)));
                continue;
            }
            let outcome = receive(snapshot, args, target, file, &progress).and_then(|(target_file, received)| {
                arrived.send((index, target_file, received)).map_err(|_| Failure::panicked())
            });
            match outcome {
                // Without a connection no other file can come.
                Err(failure) if failure.exit() == Exit::Connection => return Err(failure),
                outcome => outcomes.push(outcome.err().map(Err)),
            }
        }
        drop(arrived);
        for (index, outcome) in completer.join().map_err(|_| Failure::panicked())? {
            outcomes[index] = Some(outcome.map(|()| Status::Written));
        }
        Ok(files.iter().zip(outcomes).map(|(file, outcome)| exported_file(file, outcome)).collect())
    })
}

fn exported_file(file: &ModelFile, outcome: Option<Result<Status>>) -> ExportedFile {
    let (status, error) = match outcome {
        Some(Ok(status)) => (status, None),
        Some(Err(failure)) => (Status::Failed, Some(failure)),
        None => (Status::Failed, Some(Failure::new(Exit::Other, "the file was not completed"))),
    };
    ExportedFile { file: file.clone(), status, error, problems: Vec::new() }
}

fn receive(
    snapshot: &mut ModelSnapshot<'_>,
    args: &ExportArgs,
    target: &TargetDir,
    file: &ModelFile,
    progress: &Progress,
) -> Result<(TargetFile, Received)> {
    let target_file = target.begin(&file.path, args.force)?;
    let received =
        snapshot.stream_file(&args.model, &file.path, |input| receive_file(input, &target_file.file, progress))?;
    Ok((target_file, received))
}

fn complete_files(arrived: &Receiver<(usize, TargetFile, Received)>, files: &[ModelFile]) -> Vec<(usize, Result<()>)> {
    arrived
        .iter()
        .map(|(index, file, received)| (index, file.complete(received.hash, files[index].content_hash)))
        .collect()
}

/// Asks the server which atoms of the failed files are damaged.
fn name_damage(model: &str, snapshot: &mut ModelSnapshot<'_>, exported: &mut [ExportedFile]) {
    let is_damaged =
        |exported: &&mut ExportedFile| exported.error.as_ref().is_some_and(|failure| failure.exit() == Exit::Damaged);
    for exported in exported.iter_mut().filter(is_damaged) {
        match snapshot.verify_file(model, &exported.file.path) {
            Ok(problems) => exported.problems = problems,
            // The export has failed anyway; this only names less.
            Err(_) => return,
        }
    }
}

fn tell_failures(files: &[ExportedFile]) {
    for exported in files {
        if let Some(error) = &exported.error {
            eprintln!("atoms: {}: {error}", printable(&exported.file.path));
            if !exported.problems.is_empty() {
                eprintln!("\n{}", damage_table(&exported.problems));
            }
        }
    }
}

fn text(exported: &Exported<'_>) -> String {
    let with = |status| exported.files.iter().filter(|file| file.status == status).count() as u64;
    let mut text = format!(
        "exported {}, {}, to \"{}\", every SHA-256 as stored; {:.2} s",
        count(with(Status::Written), "file", "files"),
        size(exported.written_bytes),
        exported.directory.display(),
        exported.seconds
    );
    if with(Status::Unchanged) > 0 {
        text.push_str(&format!(
            "\n{} there already with the same bytes",
            count(with(Status::Unchanged), "file was", "files were")
        ));
    }
    if with(Status::Failed) > 0 {
        text.push_str(&format!("\n{} NOT exported", count(with(Status::Failed), "file was", "files were")));
    }
    text
}

/// Returns how the program ends: damage before anything else that failed.
fn worst(files: &[ExportedFile]) -> Option<Exit> {
    let exits: Vec<Exit> = files.iter().filter_map(|exported| Some(exported.error.as_ref()?.exit())).collect();
    exits.iter().copied().find(|exit| *exit == Exit::Damaged).or(exits.first().copied())
}
