//! `atoms ls`: the models.

use serde_json::json;

use super::Context;
use crate::failure::Result;
use crate::output::{Align, Table, size_i64};
use crate::server::ModelSummary;

pub fn run(context: &Context) -> Result<()> {
    let models = context.server()?.models()?;
    context.output.result(&json!({ "models": models }), || text(&models))
}

fn text(models: &[ModelSummary]) -> String {
    if models.is_empty() {
        return "no models are stored; atoms import PATH stores one".to_owned();
    }
    let mut table = Table::new([
        ("MODEL", Align::Left),
        ("FILES", Align::Right),
        ("SIZE", Align::Right),
        ("TENSORS", Align::Right),
        ("FORMATS", Align::Left),
        ("IMPORTED (UTC)", Align::Left),
    ]);
    for model in models {
        table.row([
            model.model.clone(),
            model.files.to_string(),
            size_i64(model.size_bytes),
            model.tensors.to_string(),
            model.formats.join(", "),
            model.created_at.trim_end_matches('Z').replace('T', " "),
        ]);
    }
    table.render()
}
