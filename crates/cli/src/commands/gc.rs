//! `atoms gc`: deletes atoms that nothing refers to.

use serde_json::json;

use super::Context;
use crate::args::GcArgs;
use crate::failure::Result;
use crate::output::{count, size_i64};

pub fn run(context: &Context, args: &GcArgs) -> Result<()> {
    let mut server = context.server()?;
    let collected =
        if args.dry_run { server.count_collectable(&args.grace)? } else { server.vacuum_all_atoms(&args.grace)? };
    let document =
        json!({ "atoms": collected.atoms, "bytes": collected.bytes, "grace": args.grace, "dry_run": args.dry_run });
    context.output.result(&document, || {
        let done = if args.dry_run { "would delete" } else { "deleted" };
        let atoms = count(u64::try_from(collected.atoms).unwrap_or(0), "atom", "atoms");
        let mut text = format!("{done} {atoms}, {}, unused for {}", size_i64(collected.bytes), args.grace);
        if !args.dry_run && collected.atoms > 0 {
            text.push_str("\nVACUUM (or autovacuum) makes their space usable again");
        }
        text
    })
}
