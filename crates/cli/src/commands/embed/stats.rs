//! `atoms embed stats`: what an embedding model holds, what it costs, and what its dimensions are like.

use serde::Serialize;

use super::Context;
use crate::args::EmbedStatsArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::figures::{float, float_or_blank, grouped_i64};
use crate::output::{Align, Table, printable, size_i64};
use crate::server::{DimensionStats, EmbeddingModel, StorageLine};

/// Dimensions that text lists unless it is told otherwise.
const DIMENSIONS_SHOWN: i64 = 10;
/// The item of the report that holds what a layout costs in all.
const TOTAL: &str = "total";

/// The JSON document of the command.
#[derive(Debug, Serialize)]
struct Stats {
    #[serde(flatten)]
    model: EmbeddingModel,
    storage: Vec<StorageLine>,
    dimension_stats: Vec<DimensionStats>,
}

pub fn run(context: &Context, args: &EmbedStatsArgs) -> Result<()> {
    let mut server = context.server()?;
    let model = server.embedding_model(&args.model)?;
    if let Some(dimension) = args.dimension.filter(|dimension| *dimension >= model.dimensions) {
        let message = format!("embedding model \"{}\" has no dimension {dimension}", args.model);
        return Err(Failure::new(Exit::NotFound, message).detail(format!("It has 0 to {}.", model.dimensions - 1)));
    }
    let storage = server.dimension_storage_report(&args.model)?;
    let top = args.top.or((!context.output.json).then_some(DIMENSIONS_SHOWN));
    let dimension_stats = server.dimension_stats(&args.model, args.dimension, top, args.distinct)?;
    let stats = Stats { model, storage, dimension_stats };
    context.output.result(&stats, || text(&stats, args.distinct))
}

fn text(stats: &Stats, distinct: bool) -> String {
    let model = &stats.model;
    let rows = [
        ("model", printable(&model.model)),
        ("dimensions", model.dimensions.to_string()),
        ("type", printable(&model.element_type)),
        ("vectors", grouped_i64(model.embeddings)),
        ("size", size_i64(model.size_bytes)),
        ("registered", model.created_at.trim_end_matches('Z').replace('T', " ")),
    ];
    let mut text: String = rows.iter().map(|(name, value)| format!("{name:<10}  {value}\n")).collect();
    text.push('\n');
    text.push_str(&storage(&stats.storage));
    if !stats.dimension_stats.is_empty() {
        text.push('\n');
        text.push_str(&dimensions(&stats.dimension_stats, distinct));
    }
    text
}

/// Returns what each layout costs: its total, or where it has none, the first line.
fn storage(lines: &[StorageLine]) -> String {
    let mut table = Table::new([
        ("LAYOUT", Align::Left),
        ("ITEM", Align::Left),
        ("SIZE", Align::Right),
        ("BYTES PER VALUE", Align::Right),
    ]);
    for layout in lines.chunk_by(|a, b| a.layout == b.layout) {
        let Some(line) = layout.iter().find(|line| line.item == TOTAL).or(layout.first()) else { continue };
        let size = line.bytes.map(size_i64).unwrap_or_default();
        table.row([line.layout.clone(), line.item.clone(), size, float_or_blank(line.bytes_per_value)]);
    }
    table.render()
}

fn dimensions(dimensions: &[DimensionStats], distinct: bool) -> String {
    let mut table = Table::new([
        ("DIMENSION", Align::Right),
        ("VARIANCE", Align::Right),
        ("SHARE", Align::Right),
        ("MIN", Align::Right),
        ("MAX", Align::Right),
        ("MEAN", Align::Right),
        ("DEVIATION", Align::Right),
        ("ZEROS", Align::Right),
        (if distinct { "DISTINCT" } else { "" }, Align::Right),
    ]);
    for dimension in dimensions {
        table.row([
            dimension.dimension_index.to_string(),
            float_or_blank(dimension.variance),
            dimension.variance_share.map(percent).unwrap_or_default(),
            float_or_blank(dimension.min),
            float_or_blank(dimension.max),
            float_or_blank(dimension.mean),
            float_or_blank(dimension.deviation),
            grouped_i64(dimension.zeros),
            dimension.distinct_values.map(grouped_i64).unwrap_or_default(),
        ]);
    }
    table.render()
}

fn percent(share: f64) -> String {
    format!("{} %", float((share * 10_000.0).round() / 100.0))
}
