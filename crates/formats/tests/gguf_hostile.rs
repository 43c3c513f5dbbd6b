//! Every hostile GGUF file is refused for its own fault, with the words and at the place that it states; odd but valid files
//! are read for what they hold.

mod refusals;

use atom::{FaultKind, Never};
use fixtures::gguf::{self as files, Model};
use formats::{Bytes, FormatError, Limits, Reading, Structure, gguf};
use refusals::assert_refused;

fn strict(bytes: &[u8]) -> Result<Structure, FormatError> {
    gguf::read(&Bytes(bytes), &Limits::default(), &Never)
}

#[test]
fn each_hostile_file_is_refused_for_its_fault() {
    let all = files::all();
    assert!(all.len() >= 45);
    assert_refused(all, strict);
}

#[test]
fn the_largest_hostile_files_are_refused_for_their_fault() {
    assert_refused([files::too_many_tensors(), files::too_many_entries()], strict);
}

/// A small file with a value of each kind, as which only the whole is read.
fn small() -> Model {
    Model::new()
        .with("text", files::Value::text("value"))
        .with("texts", files::Value::texts(["a", "bc"]))
        .with("bool", files::Value::Bool(true))
        .tensor("a", "F32", &[3])
        .tensor("b", "Q8_0", &[2, 32])
        .tensor("c", "I8", &[33])
        .unpadded()
}

#[test]
fn every_prefix_of_a_file_is_refused() {
    for model in [small(), small().version(1), small().big_endian(), small().version(1).big_endian()] {
        let bytes = model.bytes();
        strict(&bytes).unwrap();
        for length in 0..bytes.len() {
            let error = strict(&bytes[..length]).expect_err("a prefix is not whole");
            assert_eq!(error.kind(), FaultKind::Malformed, "{length}: {error}");
            assert!(error.offset() <= length as u64, "{length}: {error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("truncated")), "{length}: {error}");
        }
    }
}

/// A file without tensors has nothing behind its header; it is whole when its last value is.
#[test]
fn every_prefix_of_a_header_is_refused() {
    for valid in files::valid().into_iter().filter(|valid| valid.tensors > 0) {
        let header_bytes = strict(&valid.bytes).unwrap().structure_bytes;
        let step = 1 + header_bytes / 2000;
        for length in (0..header_bytes).step_by(step as usize) {
            let error = strict(&valid.bytes[..length as usize]).expect_err(valid.name);
            assert!(error.offset() <= length, "{} {length}: {error} at {}", valid.name, error.offset());
            assert!(error.hint().is_some_and(|hint| hint.contains("truncated")), "{} {length}: {error}", valid.name);
        }
    }
}

#[test]
fn hostile_files_are_opaque_to_who_does_not_say_the_format() {
    for hostile in files::all() {
        let Ok(Reading::Opaque { reason }) = formats::read(&Bytes(&hostile.bytes), &Limits::default(), &Never) else {
            panic!("{} was read", hostile.name);
        };
        if hostile.bytes.len() >= 8 && hostile.bytes.starts_with(b"GGUF") {
            let expected = strict(&hostile.bytes).expect_err(hostile.name).to_string();
            assert_eq!(reason, Some(expected), "{}", hostile.name);
        }
    }
}

#[test]
fn valid_files_are_read_whole() {
    for valid in files::valid() {
        let structure = strict(&valid.bytes).unwrap_or_else(|error| panic!("{}: {error}", valid.name));
        assert_eq!(structure.tensors.len(), valid.tensors, "{}", valid.name);
        let reading = formats::read(&Bytes(&valid.bytes), &Limits::default(), &Never).unwrap();
        assert!(matches!(reading, Reading::Structured(same) if same == structure), "{}", valid.name);
    }
}

/// What is odd about a valid file is said; what is not odd is not.
#[test]
fn findings_tell_what_is_odd() {
    let rules_of = |name: &str| {
        let valid = files::valid().into_iter().find(|valid| valid.name == name).expect(name);
        let findings = strict(&valid.bytes).unwrap().findings;
        let rules = findings.into_iter().map(|finding| finding.rule).filter(|rule| *rule != "architecture_missing");
        rules.filter(|rule| *rule != "quantization_version_missing").collect::<Vec<_>>()
    };
    let expected: [(&str, &[&str]); 28] = [
        ("three_tensors", &[]),
        ("every_value", &["tensors_none"]),
        ("version_1", &["version_outdated"]),
        ("version_2", &[]),
        ("version_1_big_endian", &["version_outdated", "byte_order_big"]),
        ("version_3_big_endian", &["byte_order_big"]),
        ("nothing_at_all", &["tensors_none"]),
        ("alignment_1", &["alignment_no_multiple_of_8"]),
        ("alignment_4", &["alignment_no_multiple_of_8"]),
        ("alignment_24", &["alignment_no_power_of_two"]),
        ("alignment_64", &[]),
        ("alignment_4096", &[]),
        ("last_tensor_unpadded", &[]),
        ("bytes_behind_last_tensor", &["bytes_at_end"]),
        ("gap_between_tensors", &["tensor_out_of_place"]),
        ("gap_before_first_tensor", &["tensor_out_of_place"]),
        ("header_not_in_order_of_data", &["tensor_out_of_place"]),
        ("only_an_empty_tensor", &["tensor_empty"]),
        ("strings_not_utf8", &["tensors_none", "string_not_utf8"]),
        ("key_empty", &["tensors_none", "key_unusual"]),
        ("name_empty", &["name_empty"]),
        ("name_of_63_bytes", &[]),
        ("name_of_64_bytes", &["name_too_long_for_ggml"]),
        ("nul_in_strings", &["key_unusual", "name_control_characters"]),
        ("split_file", &[]),
        ("split_part_beyond_count", &["split_contradictory"]),
        ("split_of_too_few_tensors", &["split_contradictory"]),
        ("split_that_contradicts_itself", &["split_contradictory"]),
    ];
    let mut wrong = Vec::new();
    for (name, rules) in expected {
        let mut found = rules_of(name);
        found.sort_unstable();
        let mut rules = rules.to_vec();
        rules.sort_unstable();
        if found != rules {
            wrong.push(format!("{name}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Keys that llama.cpp needs of a model, and that only some files lack.
#[test]
fn missing_keys_are_findings() {
    let rules_of = |model: &Model| {
        let findings = strict(&model.bytes()).unwrap().findings;
        findings.into_iter().map(|finding| finding.rule).collect::<Vec<_>>()
    };
    let bare = Model::new().tensor("a", "Q8_0", &[32]);
    assert_eq!(rules_of(&bare), ["architecture_missing", "quantization_version_missing"]);
    let named = bare.with("general.architecture", files::Value::text("llama"));
    assert_eq!(rules_of(&named), ["quantization_version_missing"]);
    let whole = named.with("general.quantization_version", files::Value::U32(2));
    assert_eq!(rules_of(&whole), [""; 0]);
    let plain = Model::new().with("general.architecture", files::Value::text("llama")).tensor("a", "F32", &[1]);
    assert_eq!(rules_of(&plain), [""; 0]);
}

#[test]
fn the_variant_names_version_order_and_part() {
    let variant = |model: Model| strict(&model.bytes()).unwrap().variant.unwrap();
    assert_eq!(variant(small()), "v3");
    assert_eq!(variant(small().version(2).big_endian()), "v2 big-endian");
    assert_eq!(variant(small().version(1).split(1, 3, 9)), "v1, part 2 of 3");
    assert_eq!(variant(small().split(0, 1, 3)), "v3");
}

/// Arrays that are worth a store of their own are sections; short ones are not.
#[test]
fn large_arrays_are_sections() {
    let structure =
        strict(&files::valid().into_iter().find(|valid| valid.name == "vocabulary").unwrap().bytes).unwrap();
    let arrays = structure.metadata.iter().filter_map(|(_, value)| match value {
        formats::Value::Array(array) => Some(array.offset..array.offset + array.length),
        _ => None,
    });
    assert_eq!(structure.sections, arrays.collect::<Vec<_>>());
    assert_eq!(structure.sections.len(), 3);
    let array = |count| files::Value::Array(files::types::U8, vec![files::Value::U8(7); count]);
    let model = Model::new().with("short", array(8191)).with("long", array(8192));
    let structure = strict(&model.bytes()).unwrap();
    assert_eq!(structure.sections.len(), 1);
    assert_eq!(structure.sections[0].end - structure.sections[0].start, 8192);
}
