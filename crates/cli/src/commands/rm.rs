//! `atoms rm`: drops a model.

use serde_json::json;

use super::Context;
use crate::args::ModelArgs;
use crate::failure::Result;
use crate::output::printable;

pub fn run(context: &Context, args: &ModelArgs) -> Result<()> {
    context.server()?.drop_model(&args.model)?;
    context.output.result(&json!({ "model": args.model, "dropped": true }), || {
        format!("dropped model \"{}\"; atoms gc frees the space of what no other model uses", printable(&args.model))
    })
}
