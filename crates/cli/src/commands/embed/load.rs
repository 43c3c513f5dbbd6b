//! `atoms embed load`: the vectors of a file become embeddings.

use std::time::Instant;

use serde::Serialize;

use super::Context;
use crate::args::{EmbedLoadArgs, VectorFormat};
use crate::embed::{Batch, Contents, Origin, Sources, VectorFile, converted, open, rows_within};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::import::repeated;
use crate::interrupt;
use crate::output::{count, printable};
use crate::progress::Progress;
use crate::server::{Server, SourceAtoms, VectorType};

/// Bytes of vectors in a batch, and rows: ids and texts of many short vectors count too.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_ROWS: usize = 16_384;
/// The most bytes of vectors in a batch, whatever is asked for: the server holds one several times.
const BATCH_BYTES_MAX: usize = 64 << 20;
const BATCH_ROWS_MAX: usize = 1 << 20;
const AGAIN: &str = "What was sent stays; the same command again puts the same vectors in its place.";

/// The JSON document of the command.
#[derive(Debug, Serialize)]
struct Loaded {
    model: String,
    file: String,
    format: &'static str,
    /// How many vectors were stored.
    vectors: u64,
    dimensions: usize,
    /// That of the model.
    element_type: &'static str,
    /// Whether the model is new.
    registered: bool,
    seconds: f64,
}

pub fn run(context: &Context, args: &EmbedLoadArgs) -> Result<()> {
    let started = Instant::now();
    let (format, mut file) =
        open(&args.file, args.format, args.tensor.as_deref()).map_err(|failure| of_file(args, failure))?;
    let contents = file.contents();
    let sources = Sources::open(origin(args), &contents)?;
    let mut server = context.server()?;
    let (vectors, is_new) = model(&mut server, args, &contents)?;
    let progress =
        Progress::bytes(context.output, contents.rows.saturating_mul(contents.row_bytes() as u64), "loading");
    interrupt::advise(Some(AGAIN.to_owned()));
    let mut load = Load { args, server, vectors, to_register: is_new, contents, sources, done: 0 };
    load.run(file.as_mut(), &progress).map_err(|failure| load.tell_done(failure))?;
    interrupt::advise(None);
    drop(progress);
    let loaded = Loaded { seconds: started.elapsed().as_secs_f64(), ..loaded(args, format, &load, is_new) };
    context.output.result(&loaded, || text(&loaded))
}

fn loaded(args: &EmbedLoadArgs, format: VectorFormat, load: &Load<'_>, registered: bool) -> Loaded {
    Loaded {
        model: args.model.clone(),
        file: args.file.to_string_lossy().into_owned(),
        format: format.name(),
        vectors: load.done,
        dimensions: load.vectors.dimensions,
        element_type: load.vectors.element.name(),
        registered,
        seconds: 0.0,
    }
}

fn text(loaded: &Loaded) -> String {
    let registered = if loaded.registered { ", which is new" } else { "" };
    format!(
        "loaded {} of {} dimensions ({}) into model \"{}\"{registered}; {:.2} s",
        count(loaded.vectors, "vector", "vectors"),
        loaded.dimensions,
        loaded.element_type,
        printable(&loaded.model),
        loaded.seconds
    )
}

fn origin(args: &EmbedLoadArgs) -> Origin<'_> {
    match (&args.texts, &args.ids) {
        (Some(texts), _) => Origin::Texts(texts),
        (None, Some(ids)) => Origin::Ids(ids),
        (None, None) => Origin::Vectors(&args.file),
    }
}

fn of_file(args: &EmbedLoadArgs, failure: Failure) -> Failure {
    // Errors of the operating system name the file already.
    let name = format!("\"{}\"", args.file.display());
    if failure.message.contains(&name) { failure } else { failure.context(name) }
}

/// Returns what vectors of the model have to be like, and whether it is still to be registered.
fn model(server: &mut Server, args: &EmbedLoadArgs, contents: &Contents) -> Result<(VectorType, bool)> {
    match server.vector_type(&args.model)? {
        Some(vectors) => prove_fits(args, contents, vectors).map(|()| (vectors, false)),
        None if args.register => {
            let element = args.element_type.unwrap_or(contents.registers_as);
            Ok((VectorType { dimensions: contents.dimensions, element }, true))
        }
        None => Err(Failure::new(Exit::NotFound, format!("embedding model \"{}\" does not exist", args.model))
            .hint("--register registers it with the dimensions of the file.")),
    }
}

/// Compares the file with the model, and the model with what is said of it.
fn prove_fits(args: &EmbedLoadArgs, contents: &Contents, vectors: VectorType) -> Result<()> {
    let (found, expected) = (contents.dimensions, vectors.dimensions);
    if found != expected {
        let message = format!("model \"{}\" has {expected} dimensions, and the vectors have {found}", args.model);
        return Err(of_file(args, Failure::new(Exit::Invalid, message)));
    }
    match args.element_type {
        Some(element) if element != vectors.element => {
            let message = format!("model \"{}\" is there with values of {}", args.model, vectors.element.name());
            Err(Failure::new(Exit::Exists, message).hint("Without --element-type the vectors are loaded as these."))
        }
        _ => Ok(()),
    }
}

/// A file on its way into a model.
struct Load<'a> {
    args: &'a EmbedLoadArgs,
    server: Server,
    vectors: VectorType,
    to_register: bool,
    contents: Contents,
    sources: Sources,
    /// Vectors that are stored.
    done: u64,
}

impl Load<'_> {
    /// Sends batches until all rows are stored.
    fn run(&mut self, file: &mut dyn VectorFile, progress: &Progress) -> Result<()> {
        let mut batch = Batch::default();
        let rows_max = self.batch_rows();
        while self.done < self.contents.rows {
            let rows = usize::try_from(self.contents.rows - self.done).map_or(rows_max, |rest| rest.min(rows_max));
            let sources = self.sources.next(rows)?;
            let rows = sources.as_ref().map_or(rows, SourceAtoms::len);
            file.read(rows, &mut batch).map_err(|failure| of_file(self.args, failure))?;
            let sources = sources.unwrap_or_else(|| SourceAtoms::Ids(std::mem::take(&mut batch.ids)));
            self.send(&sources, &batch)?;
            self.done += rows as u64;
            progress.add(batch.values.len() as u64);
        }
        self.register()
    }

    /// Registers the model, once: not before a batch has its values, so that a type that does not hold them leaves nothing.
    fn register(&mut self) -> Result<()> {
        if self.to_register {
            self.server.register_embedding_model(&self.args.model, self.vectors)?;
            self.to_register = false;
        }
        Ok(())
    }

    fn batch_rows(&self) -> usize {
        let row_bytes = self.contents.row_bytes();
        match self.args.batch {
            Some(rows) => (rows as usize).min(rows_within(BATCH_BYTES_MAX, row_bytes)).min(BATCH_ROWS_MAX),
            None => rows_within(BATCH_BYTES, row_bytes).min(BATCH_ROWS),
        }
    }

    fn send(&mut self, sources: &SourceAtoms, batch: &Batch) -> Result<()> {
        let values = converted(&batch.values, &self.contents, self.vectors.element, self.done)
            .map_err(|failure| of_file(self.args, failure))?;
        self.register()?;
        repeated(|| self.server.insert_embeddings(&self.args.model, sources, &values))
    }

    /// Says how much is stored when not all is.
    fn tell_done(&self, failure: Failure) -> Failure {
        if self.done == 0 || failure.hint.is_some() {
            return failure;
        }
        failure.hint(format!("Vectors stored before that: {}.  {AGAIN}", self.done))
    }
}
