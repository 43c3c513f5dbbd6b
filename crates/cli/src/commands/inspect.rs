//! `atoms inspect`: what files are and what is in them, without a database.
//!
//! Ctrl-C needs no question within the reading: its handler ends the process.

mod directory;
mod file;
mod metadata;
mod text;

use std::path::Path;

use formats::describe::{ARRAY_ELEMENTS_SHOWN, ELEMENTS_MAX};
use serde_json::{Value as Json, json};

use crate::args::InspectArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::Output;

use directory::InspectedDirectory;
use file::InspectedFile;
use text::Shown;

/// Arrays of the metadata that are longer are told by their type and length, in text.
const TEXT_ELEMENTS_SHOWN: u64 = 8;
/// Tensors that text lists unless it is told otherwise.
const TENSORS_SHOWN: usize = 40;

/// What came out for one path of the command line.
enum Inspected {
    File(InspectedFile),
    Directory(InspectedDirectory),
    Failed { path: String, failure: Failure },
}

pub fn run(output: Output, args: &InspectArgs) -> Result<Option<Exit>> {
    if let Some(key) = &args.metadata {
        return metadata::run(output, &args.files, key).map(|()| None);
    }
    let elements_max = match (args.full, output.json) {
        (true, _) => ELEMENTS_MAX,
        (false, true) => ARRAY_ELEMENTS_SHOWN,
        (false, false) => TEXT_ELEMENTS_SHOWN,
    };
    let mut inspected: Vec<Inspected> = args.files.iter().map(|path| inspect(path, elements_max)).collect();
    if let [Inspected::Failed { failure, .. }] = inspected.as_slice() {
        return Err(failure.clone());
    }
    for failed in &inspected {
        if let Inspected::Failed { failure, .. } = failed {
            eprintln!("atoms: {failure}");
        }
    }
    let exit = inspected.iter().filter_map(|inspected| inspected.exit(args.strict)).reduce(worse);
    if output.json {
        output.result(&document(&mut inspected), String::new)?;
    } else {
        let text = text(&inspected, &shown(args))?;
        output.result(&(), || text)?;
    }
    Ok(exit)
}

fn inspect(path: &Path, elements_max: u64) -> Inspected {
    let inspected = if path.is_dir() {
        directory::inspect(path, elements_max).map(Inspected::Directory)
    } else {
        file::inspect(path, elements_max).map(Inspected::File)
    };
    inspected.unwrap_or_else(|failure| Inspected::Failed { path: path.to_string_lossy().into_owned(), failure })
}

fn shown(args: &InspectArgs) -> Shown {
    let all = args.all || args.full;
    Shown { tensors: if all { usize::MAX } else { args.tensors.unwrap_or(TENSORS_SHOWN) }, whole: args.full }
}

impl Inspected {
    fn exit(&self, strict: bool) -> Option<Exit> {
        match self {
            Inspected::File(file) => file.exit(strict),
            Inspected::Directory(directory) => directory.exit(strict),
            Inspected::Failed { failure, .. } => Some(failure.exit()),
        }
    }

    fn take_document(&mut self) -> Json {
        match self {
            Inspected::File(file) => file.document.take(),
            Inspected::Directory(directory) => directory.take_document(),
            Inspected::Failed { path, failure } => json!({ "path": path, "error": failure }),
        }
    }

    fn text(&self, shown: &Shown) -> Result<String> {
        match self {
            Inspected::File(file) => text::file(&file.document, shown),
            Inspected::Directory(directory) => directory.text(),
            Inspected::Failed { .. } => Ok(String::new()),
        }
    }
}

/// Returns the document: an object for one path, else an array in the order of the command line.
fn document(inspected: &mut [Inspected]) -> Json {
    match inspected {
        [one] => one.take_document(),
        several => several.iter_mut().map(Inspected::take_document).collect(),
    }
}

fn text(inspected: &[Inspected], shown: &Shown) -> Result<String> {
    let texts = inspected.iter().map(|inspected| inspected.text(shown)).collect::<Result<Vec<_>>>()?;
    Ok(texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n"))
}

/// Returns the worse of two results of files; of two that are alike the first.
fn worse(first: Exit, second: Exit) -> Exit {
    // A file that could not be read at all may hide anything.
    let rank = |exit: Exit| match exit {
        Exit::Findings => 0,
        Exit::Unsupported => 1,
        Exit::Limit => 2,
        Exit::Invalid => 3,
        _ => 4,
    };
    if rank(second) > rank(first) { second } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_file_decides() {
        let order = [Exit::NotFound, Exit::Invalid, Exit::Limit, Exit::Unsupported, Exit::Findings];
        for (index, exit) in order.iter().enumerate() {
            for milder in &order[index..] {
                assert_eq!((worse(*exit, *milder), worse(*milder, *exit)), (*exit, *exit));
            }
        }
        assert_eq!(worse(Exit::Denied, Exit::NotFound), Exit::Denied);
    }
}
