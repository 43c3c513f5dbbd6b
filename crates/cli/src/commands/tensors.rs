//! `atoms tensors`: a model's tensors.

use serde_json::json;

use super::Context;
use crate::args::TensorsArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{Align, Table, shape, size_i64};
use crate::server::Tensor;

pub fn run(context: &Context, args: &TensorsArgs) -> Result<()> {
    let mut server = context.server()?;
    let tensors = server.tensors(&args.model, args.file.as_deref())?;
    if tensors.is_empty() {
        // Nothing may also mean a wrong name.
        server.model(&args.model)?;
        if let Some(file) = &args.file {
            let files = server.model_files(&args.model)?;
            if !files.iter().any(|known| known.path == *file) {
                return Err(Failure::new(Exit::NotFound, format!("model \"{}\" has no file \"{file}\"", args.model))
                    .hint("atoms show lists its files."));
            }
        }
    }
    context.output.result(&json!({ "model": args.model, "tensors": tensors }), || text(&tensors))
}

fn text(tensors: &[Tensor]) -> String {
    if tensors.is_empty() {
        return "no tensors: the files are kept as bytes only".to_owned();
    }
    let mut table = Table::new([
        ("TENSOR", Align::Left),
        ("DTYPE", Align::Left),
        ("SHAPE", Align::Left),
        ("SIZE", Align::Right),
        ("CHUNKS", Align::Right),
        ("FILE", Align::Left),
    ]);
    for tensor in tensors {
        table.row([
            tensor.tensor.clone(),
            tensor.dtype.clone(),
            shape(&tensor.shape),
            size_i64(tensor.size_bytes),
            tensor.chunks.to_string(),
            tensor.file.clone(),
        ]);
    }
    table.render()
}
