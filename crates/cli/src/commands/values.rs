//! `atoms values`: the numbers in a tensor.

use serde_json::json;

use super::Context;
use crate::args::ValuesArgs;
use crate::failure::Result;
use crate::figures::{exact, json as number};

pub fn run(context: &Context, args: &ValuesArgs) -> Result<()> {
    let values = context.server()?.tensor_values(&args.model, &args.tensor, args.start, args.count)?;
    let numbers: Vec<_> = values.iter().copied().map(number).collect();
    let document = json!({ "model": args.model, "tensor": args.tensor, "start": args.start, "values": numbers });
    context.output.result(&document, || values.iter().map(|value| exact(*value) + "\n").collect())
}
