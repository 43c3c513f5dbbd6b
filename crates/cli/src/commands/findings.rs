//! `atoms findings`: what is worth knowing of stored files.

use serde_json::json;

use super::Context;
use crate::args::FindingsArgs;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output::{Align, Table};
use crate::server::Finding;

pub fn run(context: &Context, args: &FindingsArgs) -> Result<Option<Exit>> {
    let mut server = context.server()?;
    let findings = server.findings(args.model.as_deref())?;
    if let (true, Some(model)) = (findings.is_empty(), &args.model) {
        // Nothing may also mean a wrong name.
        server.model(model)?;
    }
    context.output.result(&json!({ "findings": findings }), || text(&findings))?;
    let flagged = findings.iter().any(|finding| finding.severity != "info");
    Ok((args.strict && flagged).then_some(Exit::Findings))
}

fn text(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "no findings".to_owned();
    }
    let mut table = Table::new([
        ("MODEL", Align::Left),
        ("FILE", Align::Left),
        ("SEVERITY", Align::Left),
        ("RULE", Align::Left),
        ("AT BYTE", Align::Right),
        ("MESSAGE", Align::Left),
    ]);
    for finding in findings {
        table.row([
            finding.model.clone(),
            finding.file.clone(),
            finding.severity.clone(),
            finding.rule.clone(),
            finding.byte_offset.map(|offset| offset.to_string()).unwrap_or_default(),
            finding.message.clone(),
        ]);
    }
    table.render()
}
