//! Agreement with the official reader: what it refuses we refuse; what it accepts we accept, but for the exceptions below,
//! which are those of `docs/formats.md`.

use atom::Never;
use fixtures::safetensors as files;
use formats::{Bytes, Fault, Limits, Structure};
use proptest::prelude::*;
use safetensors::SafeTensors;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::HashSet;
use std::sync::LazyLock;

/// Tells whether a fault is one that we refuse on purpose although the official reader does not.
fn is_stricter(fault: &Fault) -> bool {
    match fault {
        Fault::Limit { .. } | Fault::DuplicateTensor { .. } | Fault::DuplicateKey { .. } => true,
        // White space before the header.
        Fault::HeaderStart { found } => found.is_some_and(|byte| byte.is_ascii_whitespace()),
        // An array for an entry, `{"F32":null}` for a dtype.
        Fault::HeaderValue { key: None, problem, .. } => problem.contains("sequence"),
        Fault::HeaderValue { key: Some(key), problem, .. } => &**key == "dtype" && problem.contains("map"),
        _ => false,
    }
}

/// Compares both readers over one file; returns whether both accept it.
fn compare(bytes: &[u8]) -> Result<bool, String> {
    let ours = formats::safetensors::read(&Bytes(bytes), &Limits::default(), &Never);
    match (ours, SafeTensors::deserialize(bytes)) {
        (Ok(structure), Ok(official)) => same_view(&structure, &official, bytes).map(|()| true),
        (Err(_), Err(_)) => Ok(false),
        (Err(error), Ok(_)) if error.fault().is_some_and(is_stricter) => Ok(false),
        // The official reader keeps the last of two entries, so a fault of the first escapes it.
        (Err(_), Ok(_)) if has_name_twice(bytes) => Ok(false),
        (Err(error), Ok(_)) => Err(format!("only the official reader accepts: {error}, {error:?}")),
        (Ok(_), Err(error)) => Err(format!("only we accept: {error}")),
    }
}

/// Tells whether the header has a key twice.
fn has_name_twice(bytes: &[u8]) -> bool {
    let header_bytes = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let Keys(keys) = serde_json::from_slice(&bytes[8..8 + header_bytes]).unwrap();
    keys.iter().collect::<HashSet<_>>().len() < keys.len()
}

/// The keys of an object, each as often as it comes.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Keys, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<String>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, IgnoredAny)) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(keys)
            }
        }
        json.deserialize_map(Collect).map(Keys)
    }
}

fn same_view(structure: &Structure, official: &SafeTensors<'_>, bytes: &[u8]) -> Result<(), String> {
    if structure.tensors.len() != official.len() {
        return Err("another number of tensors".to_owned());
    }
    for tensor in &structure.tensors {
        let view = official.tensor(&tensor.name).map_err(|error| error.to_string())?;
        let shape: Vec<_> = view.shape().iter().map(|dim| *dim as u64).collect();
        let data = &bytes[tensor.offset as usize..tensor.end().unwrap() as usize];
        let same_place = data.is_empty() || std::ptr::eq(data, view.data());
        if *tensor.shape != *shape || view.dtype().to_string() != tensor.dtype.name() || !same_place {
            return Err(format!("another view of {:?}", tensor.name));
        }
    }
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let theirs = header.metadata().clone().unwrap_or_default();
    let same = structure
        .metadata
        .iter()
        .all(|(key, value)| theirs.get(&**key).is_some_and(|other| value.as_text() == Some(other)));
    match same && theirs.len() == structure.metadata.len() {
        true => Ok(()),
        false => Err("other metadata".to_owned()),
    }
}

#[test]
fn fixtures_get_the_official_verdict() {
    for valid in files::valid() {
        assert_eq!(compare(&valid.bytes), Ok(true), "{}", valid.name);
    }
    for hostile in files::all() {
        assert_eq!(compare(&hostile.bytes), Ok(false), "{}", hostile.name);
    }
}

/// The exceptions, by fixture: a change of the official reader shows here.
#[test]
fn the_official_reader_accepts_just_these_hostile_files() {
    let accepted: Vec<_> = files::all()
        .into_iter()
        .filter(|hostile| SafeTensors::deserialize(&hostile.bytes).is_ok())
        .map(|hostile| hostile.name)
        .collect();
    let expected = [
        "header_begins_with_space",
        "duplicate_tensor",
        "duplicate_tensor_by_escape",
        "duplicate_tensor_hides_fault",
        "duplicate_unknown_key",
        "duplicate_key_in_unknown_value",
        "duplicate_metadata_key",
        "entry_is_array",
        "dtype_is_object",
        "too_many_dimensions",
        "name_too_long",
        "too_many_metadata_entries",
        "too_many_unknown_keys",
        "nested_too_deep",
    ];
    assert_eq!(accepted, expected);
}

/// Words of which headers are made, so that mutations stay near the format.
const WORDS: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\"a\"",
    "\"b\"",
    "\"dtype\"",
    "\"shape\"",
    "\"data_offsets\"",
    "\"F32\"",
    "\"U8\"",
    "\"F4\"",
    "\"__metadata__\"",
    "\"x\"",
    "null",
    "true",
    "0",
    "1",
    "2",
    "4",
    "8",
    "-1",
    "-0",
    "1.0",
    "1e0",
    "18446744073709551615",
    "18446744073709551616",
    " ",
    "\n",
    "\\u0061",
    "\\ud800",
    "\u{FC}",
    "[0,4]",
    "[]",
    "{}",
    "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},",
    "1e999",
];

/// One change of a file.
#[derive(Clone, Debug)]
enum Change {
    SetByte(prop::sample::Index, u8),
    InsertWord(prop::sample::Index, usize),
    Remove(prop::sample::Index, usize),
    SwapValues(prop::sample::Index, prop::sample::Index),
    Data(i8),
    Length(i8),
}

fn change() -> impl Strategy<Value = Change> {
    use prop::sample::Index;
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::SetByte(at, byte)),
        (any::<Index>(), 0..WORDS.len()).prop_map(|(at, word)| Change::InsertWord(at, word)),
        (any::<Index>(), 1..12_usize).prop_map(|(at, bytes)| Change::Remove(at, bytes)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Change::SwapValues(a, b)),
        (-9..9_i8).prop_map(Change::Data),
        (-9..9_i8).prop_map(Change::Length),
    ]
}

/// Applies changes to the header's text and mends the header's length, unless that is what changes.
fn changed(file: &[u8], changes: &[Change]) -> Vec<u8> {
    let header_bytes = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let (mut header, mut data) = (file[8..8 + header_bytes].to_vec(), file[8 + header_bytes..].to_vec());
    let mut length_error = 0;
    for change in changes {
        match change {
            Change::SetByte(at, byte) if !header.is_empty() => {
                let at = at.index(header.len());
                header[at] = *byte;
            }
            Change::InsertWord(at, word) => {
                let at = at.index(header.len() + 1);
                header.splice(at..at, WORDS[*word].bytes());
            }
            Change::Remove(at, bytes) if !header.is_empty() => {
                let at = at.index(header.len());
                header.drain(at..(at + bytes).min(header.len()));
            }
            Change::SwapValues(a, b) if !header.is_empty() => {
                let (a, b) = (a.index(header.len()), b.index(header.len()));
                header.swap(a, b);
            }
            Change::Data(by) => data.resize(data.len().saturating_add_signed(isize::from(*by)), 0),
            Change::Length(by) => length_error = i64::from(*by),
            _ => {}
        }
    }
    let length = (header.len() as u64).wrapping_add_signed(length_error);
    [length.to_le_bytes().as_slice(), &header, &data].concat()
}

fn tensors() -> impl Strategy<Value = Vec<(String, &'static str, Vec<u64>)>> {
    let dtype = prop::sample::select(vec!["U8", "F16", "F32", "C64", "F4", "F6_E2M3", "BOOL"]);
    let tensor = ("[a-c]{0,2}", dtype, prop::collection::vec(prop::sample::select(vec![0_u64, 1, 2, 4]), 0..4));
    prop::collection::vec(tensor, 0..4).prop_map(|tensors| {
        tensors
            .into_iter()
            .map(|(name, dtype, mut shape)| {
                if dtype.starts_with("F4") || dtype.starts_with("F6") {
                    shape.push(4);
                }
                (name, dtype, shape)
            })
            .collect()
    })
}

/// Valid files that are worth changing.
static SMALL_FIXTURES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| files::valid().into_iter().map(|valid| valid.bytes).filter(|bytes| bytes.len() < 4096).collect());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn changed_files_get_the_official_verdict(
        tensors in tensors(), changes in prop::collection::vec(change(), 0..4), seed in any::<u64>(),
    ) {
        let tensors: Vec<_> = tensors.iter().map(|(n, d, s)| (n.as_str(), *d, s.as_slice())).collect();
        let bytes = changed(&files::random_model(seed, &tensors), &changes);
        let verdict = compare(&bytes);
        prop_assert!(verdict.is_ok(), "{}: {}", verdict.unwrap_err(), String::from_utf8_lossy(&bytes));
        formats::fuzz::safetensors(&bytes);
    }

    #[test]
    fn changed_fixtures_get_the_official_verdict(
        fixture in any::<prop::sample::Index>(), changes in prop::collection::vec(change(), 0..3),
    ) {
        let bytes = changed(fixture.get::<Vec<u8>>(&SMALL_FIXTURES), &changes);
        let verdict = compare(&bytes);
        prop_assert!(verdict.is_ok(), "{}: {}", verdict.unwrap_err(), String::from_utf8_lossy(&bytes));
        formats::fuzz::safetensors(&bytes);
    }

    #[test]
    fn any_header_text_is_refused_or_proved(header in "\\PC*", data in prop::collection::vec(any::<u8>(), 0..9)) {
        formats::fuzz::safetensors(&files::file(&header, &data));
    }
}
