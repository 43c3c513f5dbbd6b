//! `atoms stats`: what the numbers in tensors look like.

use serde::Serialize;
use serde_json::json;

use super::Context;
use crate::args::StatsArgs;
use crate::chart::Pen;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::figures::{float, float_or_blank, grouped_i64};
use crate::output::{Align, Table, printable, shape, size_i64};
use crate::progress::Progress;
use crate::server::{Server, Tensor, TensorStats};

/// A tensor with its statistics, or why it has none.
#[derive(Debug, Serialize)]
struct Line {
    file: String,
    tensor: String,
    dtype: String,
    shape: Vec<i64>,
    size_bytes: i64,
    #[serde(flatten)]
    stats: Option<TensorStats>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

impl Line {
    fn new(tensor: Tensor, stats: Result<TensorStats>) -> Self {
        let Tensor { file, tensor, dtype, shape, size_bytes, .. } = tensor;
        let (stats, error) = match stats {
            Ok(stats) => (Some(stats), None),
            Err(error) => (None, Some(error)),
        };
        Self { file, tensor, dtype, shape, size_bytes, stats, error }
    }
}

pub fn run(context: &Context, args: &StatsArgs) -> Result<()> {
    let mut server = context.server()?;
    let lines = match &args.tensor {
        Some(tensor) => vec![one(&mut server, args, tensor)?],
        None => all(context, &mut server, args)?,
    };
    let pen = Pen::for_stdout(args.ascii);
    context.output.result(&json!({ "model": args.model, "tensors": lines }), || {
        match (&args.tensor, lines.as_slice()) {
            (Some(_), [line]) => list(line, &pen),
            _ => table(&lines, &pen),
        }
    })
}

fn one(server: &mut Server, args: &StatsArgs, name: &str) -> Result<Line> {
    let tensor = server.tensor(&args.model, name)?;
    Ok(Line::new(tensor, Ok(server.tensor_stats(&args.model, name, args.buckets)?)))
}

fn all(context: &Context, server: &mut Server, args: &StatsArgs) -> Result<Vec<Line>> {
    let tensors = server.tensors(&args.model, None)?;
    if tensors.is_empty() {
        // Nothing may also mean a wrong name.
        server.model(&args.model)?;
    }
    let bytes = tensors.iter().map(|tensor| u64::try_from(tensor.size_bytes).unwrap_or(0));
    let progress = Progress::bytes(context.output, bytes.sum(), "reading");
    let mut lines = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let name = format!("{}::{}", tensor.file, tensor.tensor);
        let stats = server.tensor_stats(&args.model, &name, args.buckets);
        if let Some(failure) = stats.as_ref().err().filter(|failure| !is_of_the_tensor(failure)) {
            return Err(failure.clone());
        }
        progress.add(u64::try_from(tensor.size_bytes).unwrap_or(0));
        lines.push(Line::new(tensor, stats));
    }
    Ok(lines)
}

/// Whether other tensors may still have statistics: this one's type has no values, or its integers fit no float.
fn is_of_the_tensor(failure: &Failure) -> bool {
    matches!(failure.exit(), Exit::Unsupported | Exit::Invalid)
}

fn list(line: &Line, pen: &Pen) -> String {
    let Some(stats) = &line.stats else { return String::new() };
    let rows = [
        ("tensor", printable(&line.tensor)),
        ("file", printable(&line.file)),
        ("dtype", printable(&line.dtype)),
        ("shape", shape(&line.shape)),
        ("size", size_i64(line.size_bytes)),
        ("values", grouped_i64(stats.count)),
        ("min", stats.min.map_or_else(none, float)),
        ("max", stats.max.map_or_else(none, float)),
        ("mean", stats.mean.map_or_else(none, float)),
        ("deviation", stats.deviation.map_or_else(none, float)),
        ("zeros", share(stats.zeros, stats.count)),
        ("NaN", share(stats.nans, stats.count)),
        ("infinities", share(stats.infinities, stats.count)),
    ];
    let mut text: String = rows.iter().map(|(name, value)| format!("{name:<10}  {value}\n")).collect();
    if let (Some(min), Some(max)) = (stats.min, stats.max) {
        text.push('\n');
        text.push_str(&pen.histogram(min, max, &stats.histogram));
    }
    text
}

fn none() -> String {
    "none is finite".to_owned()
}

/// Returns a count, and its share where there is one.
fn share(count: i64, of: i64) -> String {
    if count == 0 || of == 0 {
        return grouped_i64(count);
    }
    format!("{} ({} %)", grouped_i64(count), float((count as f64 / of as f64 * 1000.0).round() / 10.0))
}

fn table(lines: &[Line], pen: &Pen) -> String {
    if lines.is_empty() {
        return "no tensors: the files are kept as bytes only".to_owned();
    }
    let mut table = Table::new([
        ("TENSOR", Align::Left),
        ("DTYPE", Align::Left),
        ("SHAPE", Align::Left),
        ("MIN", Align::Right),
        ("MAX", Align::Right),
        ("MEAN", Align::Right),
        ("DEVIATION", Align::Right),
        ("ZEROS", Align::Right),
        ("NAN", Align::Right),
        ("INF", Align::Right),
        ("HISTOGRAM", Align::Left),
        ("FILE", Align::Left),
    ]);
    for line in lines {
        let stats = line.stats.as_ref();
        let figure = |of: fn(&TensorStats) -> Option<f64>| float_or_blank(stats.and_then(of));
        let counted = |of: fn(&TensorStats) -> i64| stats.map(of).map(grouped_i64).unwrap_or_default();
        table.row([
            line.tensor.clone(),
            line.dtype.clone(),
            shape(&line.shape),
            figure(|stats| stats.min),
            figure(|stats| stats.max),
            figure(|stats| stats.mean),
            figure(|stats| stats.deviation),
            counted(|stats| stats.zeros),
            counted(|stats| stats.nans),
            counted(|stats| stats.infinities),
            stats.map(|stats| pen.sparkline(&stats.histogram)).unwrap_or_default(),
            line.file.clone(),
        ]);
    }
    let mut text = table.render();
    for line in lines {
        if let Some(error) = &line.error {
            text.push_str(&format!("\n{}: {}\n", printable(&line.tensor), printable(&error.message)));
        }
    }
    text
}
