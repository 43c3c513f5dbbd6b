//! Models in protobuf, which has no magic: ONNX, the graphs of TensorFlow, Core ML.  Each message is told by the numbers and
//! kinds of all its fields.
//!
//! Sources: `onnx/onnx.proto`; `tensorflow/core/protobuf/{saved_model,meta_graph}.proto`,
//! `tensorflow/core/framework/{graph,node_def}.proto`; `mlmodel/format/Model.proto` of coremltools.

use super::probe::Probe;
use super::protobuf::Kind::{self, Bytes, Varint};
use super::protobuf::{Begun, End, FieldValue, begins_with_name_and_operation, walk};
use super::{Answer, Detection, FileFormat, TRUNCATED, confidence};
use crate::FormatError;
use std::ops::{Range, RangeInclusive};

/// The newest version is 13; older than 1 there was none.
const ONNX_VERSIONS: RangeInclusive<u64> = 1..=20;

/// Graphs of a SavedModel that are looked into; it has one as a rule.
const META_GRAPHS_PROVED: u64 = 8;

/// Nodes of a graph that are looked into.
const NODES_PROVED: u64 = 64;

/// The fields of Core ML's Model that hold a kind of model; one of them must be there.
const CORE_ML_KINDS: RangeInclusive<u64> = 200..=3000;

/// ModelProto: ir_version, producer, model_version, doc_string, graph, opset_import, metadata_props, training_info, functions,
/// configuration.
fn onnx_model(number: u64) -> Option<Kind> {
    match number {
        1 | 5 => Some(Varint),
        2..=8 | 14 | 20 | 25 | 26 => Some(Bytes),
        _ => None,
    }
}

/// GraphProto: node, name, initializer, doc_string, input, output, value_info, annotations, sparse_initializer, metadata_props.
fn onnx_graph(number: u64) -> Option<Kind> {
    matches!(number, 1 | 2 | 5 | 10..=16).then_some(Bytes)
}

/// SavedModel: saved_model_schema_version, meta_graphs.
fn saved_model_file(number: u64) -> Option<Kind> {
    match number {
        1 => Some(Varint),
        2 => Some(Bytes),
        _ => None,
    }
}

/// MetaGraphDef: meta_info_def, graph_def, saver_def, collection_def, signature_def, asset_file_def, object_graph_def.
fn meta_graph_def(number: u64) -> Option<Kind> {
    matches!(number, 1..=7).then_some(Bytes)
}

/// GraphDef: node, library, version, versions, debug_info.
fn graph_def(number: u64) -> Option<Kind> {
    match number {
        3 => Some(Varint),
        1..=5 => Some(Bytes),
        _ => None,
    }
}

/// Model of Core ML: version, description, whether it is updatable, and a kind of model.
fn core_ml_model(number: u64) -> Option<Kind> {
    match number {
        1 | 10 => Some(Varint),
        2 => Some(Bytes),
        number => CORE_ML_KINDS.contains(&number).then_some(Bytes),
    }
}

/// Returns the message that is the whole file.
fn file(probe: &Probe) -> Range<u64> {
    0..probe.size()
}

/// Answers on ONNX.
pub(super) fn onnx(probe: &Probe) -> Answer {
    let (mut version, mut graphs) = (None, Vec::new());
    let walked = walk(probe, file(probe), onnx_model, &mut |field| {
        match (field.number, &field.value) {
            (1, FieldValue::Varint(number)) => version = Some(*number),
            (7, FieldValue::Bytes(place)) => graphs.push(place.clone()),
            _ => {}
        }
        Ok(graphs.len() < 2)
    })?;
    let known = version.filter(|version| ONNX_VERSIONS.contains(version));
    let (Some(end), Some(version), [graph]) = (walked, known, graphs.as_slice()) else { return Ok(None) };
    let mut fields = 0_u64;
    let graph = walk(probe, graph.clone(), onnx_graph, &mut |_| {
        fields = fields.saturating_add(1);
        Ok(true)
    })?;
    let what = format!("an ONNX model of IR version {version}");
    Ok(match (end, graph) {
        (End::Cut, Some(_)) if fields > 0 => Some(cut(FileFormat::Onnx, &what, probe).variant(TRUNCATED)),
        (End::Cut, _) => None,
        (end, Some(_)) => Some(Detection::new(FileFormat::Onnx, sureness(end), what)),
        (_, None) => {
            let reason = format!("{what}, but its graph has fields that are not known");
            Some(Detection::new(FileFormat::Onnx, confidence::EVIDENCE, reason))
        }
    })
}

/// Answers on the graph of a SavedModel.
pub(super) fn saved_model(probe: &Probe) -> Answer {
    let (mut versions, mut graphs) = (0_u64, 0_u64);
    let walked = walk(probe, file(probe), saved_model_file, &mut |field| {
        if field.number == 1 {
            versions = versions.saturating_add(1);
            return Ok(versions == 1);
        }
        graphs = graphs.saturating_add(1);
        let proved = graphs > META_GRAPHS_PROVED || meta_graph_at(probe, field.place())?.is_some();
        Ok(versions == 1 && proved)
    })?;
    let Some(end) = walked.filter(|_| versions == 1 && graphs > 0) else { return Ok(None) };
    let what = format!("a SavedModel, number of graphs: {graphs}; its variables lie beside it");
    Ok(Some(match end {
        End::Cut => cut(FileFormat::TensorFlowSavedModel, &what, probe).variant(TRUNCATED),
        end => Detection::new(FileFormat::TensorFlowSavedModel, sureness(end), what),
    }))
}

/// Answers on the graph of a checkpoint, a file `.meta`.
pub(super) fn meta_graph(probe: &Probe) -> Answer {
    let end = meta_graph_at(probe, file(probe))?;
    Ok(end.map(|end| of_graph(probe, end, "metagraph", "a graph with the meta information of a checkpoint")))
}

/// Answers on a graph by itself.
pub(super) fn graph(probe: &Probe) -> Answer {
    let end = graph_at(probe, file(probe))?;
    Ok(end.map(|end| of_graph(probe, end, "graphdef", "a graph of TensorFlow, whose nodes have names and operations")))
}

fn of_graph(probe: &Probe, end: End, variant: &str, what: &str) -> Detection {
    let format = FileFormat::TensorFlowGraph;
    match end {
        End::Cut => cut(format, what, probe).variant(format!("{variant}, {TRUNCATED}")),
        end => Detection::new(format, sureness(end), what).variant(variant),
    }
}

fn sureness(end: End) -> f64 {
    match end {
        End::Whole => confidence::WALKED,
        End::Limit => confidence::HEADER,
        End::Cut => confidence::EVIDENCE,
    }
}

fn cut(format: FileFormat, what: &str, probe: &Probe) -> Detection {
    let reason = format!("truncated: {what}, of which the file's {} bytes are only the beginning", probe.size());
    Detection::new(format, confidence::EVIDENCE, reason)
}

/// Proves a MetaGraphDef: one graph, before or behind other fields that are each there in their kind.
fn meta_graph_at(probe: &Probe, message: Range<u64>) -> Result<Option<End>, FormatError> {
    let mut graphs = 0_u64;
    let walked = walk(probe, message, meta_graph_def, &mut |field| {
        if field.number != 2 {
            return Ok(true);
        }
        graphs = graphs.saturating_add(1);
        Ok(graphs == 1 && graph_at(probe, field.place())?.is_some())
    })?;
    Ok(walked.filter(|_| graphs == 1))
}

/// Proves a GraphDef: at least one node, and the first ones have names and operations.
fn graph_at(probe: &Probe, message: Range<u64>) -> Result<Option<End>, FormatError> {
    let mut nodes = 0_u64;
    let walked = walk(probe, message, graph_def, &mut |field| {
        if field.number != 1 || nodes >= NODES_PROVED {
            return Ok(true);
        }
        let begun = begins_with_name_and_operation(probe, &field.place())?;
        nodes = nodes.saturating_add(u64::from(begun == Begun::Right));
        Ok(begun != Begun::Otherwise)
    })?;
    Ok(walked.filter(|_| nodes > 0))
}

/// Answers on Core ML: a version, a description, and one kind of model.
pub(super) fn core_ml(probe: &Probe) -> Answer {
    let (mut version, mut descriptions, mut kinds) = (None, 0_u64, 0_u64);
    let walked = walk(probe, file(probe), core_ml_model, &mut |field| {
        match (field.number, &field.value) {
            (1, FieldValue::Varint(number)) => version = Some(*number),
            (2, _) => descriptions = descriptions.saturating_add(1),
            (number, _) => kinds = kinds.saturating_add(u64::from(CORE_ML_KINDS.contains(&number))),
        }
        Ok(descriptions < 2 && kinds < 2)
    })?;
    let version = version.filter(|version| (1..=20).contains(version));
    let whole = walked == Some(End::Whole) && descriptions == 1 && kinds == 1;
    Ok(version.filter(|_| whole).map(|version| {
        let reason = format!("a Core ML model of specification version {version}");
        Detection::new(FileFormat::CoreMl, confidence::WALKED, reason)
    }))
}
