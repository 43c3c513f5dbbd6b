//! `atoms embed rm`: drops an embedding model.

use serde_json::json;

use super::Context;
use crate::args::EmbeddingModelArgs;
use crate::failure::Result;
use crate::output::{count, printable};

pub fn run(context: &Context, args: &EmbeddingModelArgs) -> Result<()> {
    let embeddings = context.server()?.drop_embedding_model(&args.model)?;
    context.output.result(&json!({ "model": args.model, "dropped": true, "embeddings": embeddings }), || {
        let vectors = count(u64::try_from(embeddings).unwrap_or(0), "vector", "vectors");
        format!("dropped embedding model \"{}\" with {vectors}", printable(&args.model))
    })
}
