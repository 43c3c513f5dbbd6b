//! `atoms embed ls`: the embedding models.

use serde_json::json;

use super::Context;
use crate::failure::Result;
use crate::figures::grouped_i64;
use crate::output::{Align, Table, size_i64};
use crate::server::EmbeddingModel;

pub fn run(context: &Context) -> Result<()> {
    let models = context.server()?.embedding_models()?;
    context.output.result(&json!({ "models": models }), || text(&models))
}

fn text(models: &[EmbeddingModel]) -> String {
    if models.is_empty() {
        return "no embedding models are registered; atoms embed load MODEL FILE --register makes one".to_owned();
    }
    let mut table = Table::new([
        ("MODEL", Align::Left),
        ("DIMENSIONS", Align::Right),
        ("TYPE", Align::Left),
        ("VECTORS", Align::Right),
        ("SIZE", Align::Right),
        ("REGISTERED (UTC)", Align::Left),
    ]);
    for model in models {
        table.row([
            model.model.clone(),
            model.dimensions.to_string(),
            model.element_type.clone(),
            grouped_i64(model.embeddings),
            size_i64(model.size_bytes),
            model.created_at.trim_end_matches('Z').replace('T', " "),
        ]);
    }
    table.render()
}
