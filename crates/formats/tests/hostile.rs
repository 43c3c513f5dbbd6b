//! Every hostile fixture is refused for its own fault, with the words and at the place that it states.

mod refusals;

use atom::Never;
use fixtures::safetensors as files;
use formats::{Bytes, FormatError, Limits, Reading, Structure, safetensors};
use refusals::assert_refused;

fn strict(bytes: &[u8]) -> Result<Structure, FormatError> {
    safetensors::read(&Bytes(bytes), &Limits::default(), &Never)
}

#[test]
fn each_hostile_file_is_refused_for_its_fault() {
    assert_refused(files::all(), strict);
}

#[test]
fn the_largest_hostile_files_are_refused_for_their_fault() {
    assert_refused([files::header_over_limit(), files::too_many_tensors()], strict);
}

#[test]
fn hostile_files_are_opaque_to_who_does_not_say_the_format() {
    for hostile in files::all() {
        let Ok(Reading::Opaque { reason }) = formats::read(&Bytes(&hostile.bytes), &Limits::default(), &Never) else {
            panic!("{} was read", hostile.name);
        };
        let looks_like = hostile.bytes.get(8) == Some(&b'{') && hostile.name != "header_length_overflows";
        let expected = looks_like.then(|| strict(&hostile.bytes).expect_err(hostile.name).to_string());
        assert_eq!(reason, expected, "{}", hostile.name);
    }
}

#[test]
fn valid_files_are_read_whole() {
    for valid in files::valid() {
        let structure = strict(&valid.bytes).unwrap_or_else(|error| panic!("{}: {error}", valid.name));
        assert_eq!(structure.tensors.len(), valid.tensors, "{}", valid.name);
        let reading = formats::read(&Bytes(&valid.bytes), &Limits::default(), &Never).unwrap();
        assert_eq!(reading, Reading::Structured(structure), "{}", valid.name);
    }
}

#[test]
fn every_prefix_of_a_file_is_refused() {
    let bytes = files::random_model(5, &[("a", "F32", &[3]), ("b", "U8", &[2, 2]), ("c", "F64", &[])]);
    strict(&bytes).unwrap();
    for length in 0..bytes.len() {
        let error = strict(&bytes[..length]).expect_err("a prefix is not whole");
        assert!(error.offset() <= length as u64, "{length}: {error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("truncated")), "{length}: {error}");
    }
}

#[test]
fn other_files_are_opaque_without_a_reason() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".as_slice();
    for bytes in [b"".as_slice(), b"{}", b"GGUF", b"PK\x03\x04\x14\0\0\0\0\0", pointer] {
        let reading = formats::read(&Bytes(bytes), &Limits::default(), &Never).unwrap();
        assert_eq!(reading, Reading::Opaque { reason: None });
    }
}
