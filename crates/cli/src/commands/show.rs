//! `atoms show`: a model's files.

use serde_json::json;

use super::Context;
use crate::args::ModelArgs;
use crate::failure::Result;
use crate::output::{Align, Table, count, printable, size_i64};
use crate::server::{ModelFile, ModelSummary};

pub fn run(context: &Context, args: &ModelArgs) -> Result<()> {
    let mut server = context.server()?;
    let model = server.model(&args.model)?;
    let files = server.model_files(&args.model)?;
    let document = json!({
        "model": model.model,
        "size_bytes": model.size_bytes,
        "tensors": model.tensors,
        "created_at": model.created_at,
        "files": files,
    });
    context.output.result(&document, || text(&model, &files))
}

fn text(model: &ModelSummary, files: &[ModelFile]) -> String {
    let mut table = Table::new([
        ("FILE", Align::Left),
        ("SIZE", Align::Right),
        ("FORMAT", Align::Left),
        ("SHA-256", Align::Left),
        ("NOTE", Align::Left),
    ]);
    for file in files {
        let format = match (&file.format, &file.variant) {
            (Some(format), Some(variant)) => format!("{format} ({variant})"),
            (Some(format), None) => format.clone(),
            (None, _) => "opaque".to_owned(),
        };
        table.row([
            file.path.clone(),
            size_i64(file.size_bytes),
            format,
            file.content_hash.to_string(),
            file.note.clone().unwrap_or_default(),
        ]);
    }
    format!(
        "{}: {}, {}, {}, imported {}\n\n{}",
        printable(&model.model),
        count(files.len() as u64, "file", "files"),
        size_i64(model.size_bytes),
        count(u64::try_from(model.tensors).unwrap_or(0), "tensor", "tensors"),
        model.created_at,
        table.render()
    )
}
