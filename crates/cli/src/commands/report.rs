//! `atoms report`: what deduplication saves.

use serde_json::json;

use super::Context;
use crate::args::ReportArgs;
use crate::failure::Result;
use crate::output::{Align, Table, printable, size_i64};
use crate::server::ReportLine;

pub fn run(context: &Context, args: &ReportArgs) -> Result<()> {
    let mut lines = context.server()?.dedup_report(args.model.as_deref())?;
    // The line without a name is the whole store.
    let total = lines.iter().position(|line| line.model.is_none()).map(|index| lines.remove(index));
    context.output.result(&json!({ "models": lines, "total": total }), || text(&lines, total.as_ref()))
}

fn text(lines: &[ReportLine], total: Option<&ReportLine>) -> String {
    let mut table = Table::new([
        ("MODEL", Align::Left),
        ("FILES", Align::Right),
        ("LOGICAL", Align::Right),
        ("UNIQUE", Align::Right),
        ("OWN", Align::Right),
        ("SHARED", Align::Right),
        ("FREED BY RM", Align::Right),
        ("SAVED", Align::Right),
    ]);
    for line in lines.iter().chain(total) {
        table.row([
            line.model.clone().unwrap_or_else(|| "(all)".to_owned()),
            line.files.to_string(),
            size_i64(line.logical_bytes),
            size_i64(line.unique_bytes),
            size_i64(line.own_bytes),
            size_i64(line.shared_bytes),
            size_i64(line.freed_bytes),
            line.saved_percent.map(|percent| format!("{percent:.1} %")).unwrap_or_default(),
        ]);
    }
    let mut text = table.render();
    if let Some(bytes) = total.and_then(|total| total.physical_bytes) {
        text.push_str(&format!("\non disk, indexes and free space included: {}\n", size_i64(bytes)));
    }
    for line in lines {
        if let (Some(model), Some(note)) = (&line.model, &line.note) {
            text.push_str(&format!("\n{}: {note}\n", printable(model)));
        }
    }
    text
}
