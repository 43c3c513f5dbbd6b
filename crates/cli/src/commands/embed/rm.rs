//! `atoms embed rm`: drops an embedding model.

use serde_json::json;

use super::Context;
use crate::args::EmbeddingModelArgs;
use crate::failure::Result;
use crate::figures::grouped_i64;
use crate::output::printable;

pub fn run(context: &Context, args: &EmbeddingModelArgs) -> Result<()> {
    let embeddings = context.server()?.drop_embedding_model(&args.model)?;
    context.output.result(&json!({ "model": args.model, "dropped": true, "embeddings": embeddings }), || {
        format!("dropped embedding model \"{}\" with {} vectors", printable(&args.model), grouped_i64(embeddings))
    })
}
