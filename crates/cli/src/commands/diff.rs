//! `atoms diff`: how the tensors of two models differ.

use std::cmp::Ordering;

use serde_json::json;

use super::Context;
use crate::args::DiffArgs;
use crate::exit::Exit;
use crate::failure::Result;
use crate::figures::float_or_blank;
use crate::output::{Align, Table, printable, shape};
use crate::server::Pair;

/// The words of the server, in the order in which tensors are listed.
const STATUSES: [&str; 4] = ["changed", "only in a", "only in b", "same"];

pub fn run(context: &Context, args: &DiffArgs) -> Result<Option<Exit>> {
    let mut pairs = context.server()?.diff_models(&args.model_a, &args.model_b)?;
    let counts = STATUSES.map(|status| pairs.iter().filter(|pair| pair.status == status).count());
    let [changed, only_in_a, only_in_b, same] = counts;
    if !args.all {
        pairs.retain(|pair| pair.status != "same");
    }
    pairs.sort_by(by_status_and_distance);
    let document = json!({
        "model_a": args.model_a,
        "model_b": args.model_b,
        "changed": changed,
        "only_in_a": only_in_a,
        "only_in_b": only_in_b,
        "same": same,
        "tensors": pairs,
    });
    context.output.result(&document, || text(args, counts, &pairs))?;
    let differ = changed + only_in_a + only_in_b > 0;
    Ok((args.exit_code && differ).then_some(Exit::Findings))
}

/// Changed tensors first, those without a distance before those far apart; then by name.
fn by_status_and_distance(a: &Pair, b: &Pair) -> Ordering {
    let status = |pair: &Pair| STATUSES.iter().position(|status| *status == pair.status);
    let distance = |pair: &Pair| pair.distance.map_or(f64::INFINITY, |distance| distance.abs());
    let by_distance = || distance(b).total_cmp(&distance(a));
    status(a).cmp(&status(b)).then_with(by_distance).then_with(|| a.tensor.cmp(&b.tensor))
}

fn text(args: &DiffArgs, [changed, only_in_a, only_in_b, same]: [usize; 4], pairs: &[Pair]) -> String {
    let (a, b) = (printable(&args.model_a), printable(&args.model_b));
    let counts =
        format!("{same} same, {changed} changed, {only_in_a} only in a (\"{a}\"), {only_in_b} only in b (\"{b}\")\n");
    if pairs.is_empty() { counts } else { format!("{counts}\n{}", table(pairs)) }
}

fn table(pairs: &[Pair]) -> String {
    let mut table = Table::new([
        ("TENSOR", Align::Left),
        ("STATUS", Align::Left),
        ("DISTANCE", Align::Right),
        ("DTYPE", Align::Left),
        ("SHAPE", Align::Left),
        ("FILE", Align::Left),
    ]);
    for pair in pairs {
        table.row([
            pair.tensor.clone(),
            pair.status.clone(),
            float_or_blank(pair.distance),
            both(pair.dtype_a.clone(), pair.dtype_b.clone()),
            both(pair.shape_a.as_deref().map(shape), pair.shape_b.as_deref().map(shape)),
            both(pair.file_a.clone(), pair.file_b.clone()),
        ]);
    }
    table.render()
}

/// Returns what both sides say: once when they agree or one is missing, else `a -> b`.
fn both(a: Option<String>, b: Option<String>) -> String {
    match (a, b) {
        (Some(a), Some(b)) if a != b => format!("{a} -> {b}"),
        (a, b) => a.or(b).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(tensor: &str, status: &str, distance: Option<f64>) -> Pair {
        Pair {
            tensor: tensor.to_owned(),
            status: status.to_owned(),
            distance,
            dtype_a: Some("F32".to_owned()),
            dtype_b: Some("F16".to_owned()),
            shape_a: Some(vec![2]),
            shape_b: Some(vec![2]),
            file_a: Some("f".to_owned()),
            file_b: None,
        }
    }

    #[test]
    fn what_differs_most_comes_first() {
        let mut pairs = [
            pair("same", "same", Some(0.0)),
            pair("b", "only in b", None),
            pair("near", "changed", Some(0.1)),
            pair("nan", "changed", Some(f64::NAN)),
            pair("far", "changed", Some(2.0)),
            pair("shape", "changed", None),
            pair("a", "only in a", None),
            pair("also near", "changed", Some(0.1)),
        ];
        pairs.sort_by(by_status_and_distance);
        let names: Vec<&str> = pairs.iter().map(|pair| pair.tensor.as_str()).collect();
        assert_eq!(names, ["nan", "shape", "far", "also near", "near", "a", "b", "same"]);
    }

    #[test]
    fn sides_that_differ_are_both_named() {
        let found = table(&[pair("t", "changed", Some(0.25))]);
        assert_eq!(found.lines().last(), Some("t       changed      0.25  F32 -> F16  [2]    f"));
    }
}
