//! `atoms verify`: hashes stored bytes again.

use serde_json::json;

use super::Context;
use crate::args::VerifyArgs;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output::{Align, Table, count, printable};
use crate::server::Damage;

pub fn run(context: &Context, args: &VerifyArgs) -> Result<Option<Exit>> {
    let mut server = context.server()?;
    let sample = args.sample.unwrap_or(1.0);
    let problems = match &args.model {
        Some(model) => server.verify_model(model, None)?,
        None => server.verify_atoms(sample)?,
    };
    let document = json!({ "model": args.model, "sample": sample, "sound": problems.is_empty(), "problems": problems });
    context.output.result(&document, || text(args.model.as_deref(), sample, &problems))?;
    Ok((!problems.is_empty()).then_some(Exit::Damaged))
}

fn text(model: Option<&str>, sample: f64, problems: &[Damage]) -> String {
    if !problems.is_empty() {
        let found = count(problems.len() as u64, "problem", "problems");
        return format!("{found}\n\n{}", damage_table(problems));
    }
    match model {
        Some(model) => format!("model \"{}\" is sound", printable(model)),
        None if sample < 1.0 => format!("all atoms looked at are sound (a sample of {sample})"),
        None => "all atoms are sound".to_owned(),
    }
}

/// Returns the table of what is damaged and where it is needed.
pub fn damage_table(problems: &[Damage]) -> String {
    let mut table = Table::new([
        ("ATOM", Align::Right),
        ("MODEL", Align::Left),
        ("FILE", Align::Left),
        ("PROBLEM", Align::Left),
        ("SHA-256", Align::Left),
    ]);
    for damage in problems {
        table.row([
            damage.atom_id.map(|id| id.to_string()).unwrap_or_default(),
            damage.model.clone().unwrap_or_default(),
            damage.file.clone().unwrap_or_default(),
            damage.problem.clone(),
            damage.content_hash.clone().unwrap_or_default(),
        ]);
    }
    table.render()
}
