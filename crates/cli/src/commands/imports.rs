//! `atoms imports`: imports that are not finished.

use serde_json::json;

use super::Context;
use crate::args::{ImportsAction, ImportsArgs};
use crate::failure::Result;
use crate::output::{Align, Table, size_i64};
use crate::server::UnfinishedImport;

pub fn run(context: &Context, args: &ImportsArgs) -> Result<()> {
    let mut server = context.server()?;
    if let Some(ImportsAction::Abort { id }) = &args.action {
        server.abort_import(*id)?;
        return context.output.result(&json!({ "import_id": id, "aborted": true }), || {
            format!("gave up import {id}; atoms gc frees the space of what it stored")
        });
    }
    let imports = server.list_imports()?;
    context.output.result(&json!({ "imports": imports }), || text(&imports))
}

fn text(imports: &[UnfinishedImport]) -> String {
    if imports.is_empty() {
        return "no imports are unfinished".to_owned();
    }
    let mut table = Table::new([
        ("ID", Align::Right),
        ("MODEL", Align::Left),
        ("OWNER", Align::Left),
        ("STATE", Align::Left),
        ("FILES", Align::Right),
        ("SIZE", Align::Right),
        ("ANNOUNCED", Align::Right),
        ("MISSING", Align::Right),
        ("LAST WORK (UTC)", Align::Left),
    ]);
    for import in imports {
        table.row([
            import.import_id.to_string(),
            import.model.clone(),
            import.owner.clone(),
            if import.active { "running" } else { "interrupted" }.to_owned(),
            import.files.to_string(),
            size_i64(import.size_bytes),
            size_i64(import.announced_bytes),
            size_i64(import.missing_bytes),
            import.touched_at.trim_end_matches('Z').replace('T', " "),
        ]);
    }
    table.render()
}
