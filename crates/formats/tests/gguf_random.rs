//! Random models are read back as they were written; whatever is changed in a file, a reading keeps its promises.

use atom::Never;
use fixtures::gguf::{self as files, ByteOrder, DTYPES, Fields, Model, TensorSpec, Value, types};
use formats::{Array, Bytes, Limits, Structure, gguf};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::LazyLock;

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<u16>().prop_map(Value::U16),
        any::<i16>().prop_map(Value::I16),
        any::<u32>().prop_map(Value::U32),
        any::<i32>().prop_map(Value::I32),
        any::<f32>().prop_map(Value::F32),
        any::<bool>().prop_map(Value::Bool),
        "\\PC{0,6}".prop_map(Value::text),
        prop::collection::vec(any::<u8>(), 0..5).prop_map(Value::Text),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        any::<f64>().prop_map(Value::F64),
    ]
}

/// Arrays of one type each: of a value several times, of strings, of other arrays, of nothing.
fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            (inner.clone(), 0..4_usize)
                .prop_map(|(value, count)| Value::Array(value.type_number(), vec![value; count])),
            prop::collection::vec("[a-c]{0,3}", 0..4).prop_map(Value::texts),
            prop::collection::vec(inner, 0..4).prop_map(|values| {
                let arrays = values.into_iter().filter(|value| value.type_number() == types::ARRAY).collect();
                Value::Array(types::ARRAY, arrays)
            }),
        ]
    })
}

/// How many arrays lie within each other.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(_, values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn tensor() -> impl Strategy<Value = TensorSpec> {
    let dims = prop::collection::vec(prop_oneof![8 => 1..4_u64, 1 => Just(0)], 0..=4);
    (0..DTYPES.len(), dims, any::<u64>()).prop_map(|(row, mut shape, seed)| {
        let (dtype, _, elements, _) = DTYPES[row];
        match shape.last_mut() {
            Some(run) => *run *= elements,
            None if elements > 1 => shape.push(elements),
            None => {}
        }
        TensorSpec::new(seed, "", dtype, &shape)
    })
}

fn model() -> impl Strategy<Value = Model> {
    let metadata = prop::collection::btree_map("[a-z.]{0,8}", value(), 0..6);
    let tensors = prop::collection::btree_map("\\PC{0,8}", tensor(), 0..6);
    let alignment = prop::sample::select(vec![1_u32, 2, 4, 8, 16, 24, 32, 64, 4096]);
    let form = (1..=3_u32, any::<bool>(), any::<bool>(), prop::option::of(alignment));
    (form, metadata, tensors).prop_map(|((version, big, padded, alignment), metadata, tensors)| {
        let metadata: BTreeMap<String, Value> =
            metadata.into_iter().filter(|(key, value)| key != "general.alignment" && depth(value) <= 4).collect();
        let tensors = tensors.into_iter().map(|(name, spec)| TensorSpec { name, ..spec }).collect();
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        let model = Model { version, order, padded, tensors, metadata: metadata.into_iter().collect(), ..Model::new() };
        // A file whose only tensors are empty ends before its data would begin, unless it is padded.
        let padded = padded || model.tensors.iter().all(|tensor| tensor.bytes() == 0);
        let model = Model { padded, ..model };
        match alignment {
            Some(alignment) => model.aligned(alignment),
            None => model,
        }
    })
}

/// Returns the bytes that a value takes in a file of the model's kind.
fn encoded(model: &Model, write: impl FnOnce(&mut Fields)) -> Vec<u8> {
    let mut fields = Fields::new(model.version, model.order);
    write(&mut fields);
    fields.into_bytes()[8..].to_vec()
}

fn assert_same_value(model: &Model, bytes: &[u8], written: &Value, read: &formats::Value) {
    let expected = match written {
        Value::U8(value) => formats::Value::U8(*value),
        Value::I8(value) => formats::Value::I8(*value),
        Value::U16(value) => formats::Value::U16(*value),
        Value::I16(value) => formats::Value::I16(*value),
        Value::U32(value) => formats::Value::U32(*value),
        Value::I32(value) => formats::Value::I32(*value),
        Value::F32(value) => formats::Value::F32(*value),
        Value::Bool(value) => formats::Value::Bool(*value),
        Value::Text(text) => match String::from_utf8(text.clone()) {
            Ok(text) => formats::Value::Text(text.into()),
            Err(error) => formats::Value::Bytes(error.into_bytes().into()),
        },
        Value::U64(value) => formats::Value::U64(*value),
        Value::I64(value) => formats::Value::I64(*value),
        Value::F64(value) => formats::Value::F64(*value),
        Value::Array(element, values) => return assert_same_array(model, bytes, *element, values, read),
    };
    assert_eq!(format!("{read:?}"), format!("{expected:?}"));
}

/// An array stays in the file; what the reader says of its place is what was written there.
fn assert_same_array(model: &Model, bytes: &[u8], element: u32, values: &[Value], read: &formats::Value) {
    const NAMES: [&str; 13] = [
        "uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "bool", "string", "array", "uint64", "int64",
        "float64",
    ];
    let formats::Value::Array(Array { element: found, count, offset, length }) = *read else {
        panic!("{read:?} is no array");
    };
    assert_eq!((found.name(), count), (NAMES[element as usize], values.len() as u64));
    let expected = encoded(model, |fields| {
        fields.elements(values);
    });
    assert_eq!(bytes[offset as usize..(offset + length) as usize], expected);
}

/// Compares everything that was written with what is read.
fn assert_same(model: &Model) {
    let bytes = model.bytes();
    let structure = gguf::read(&Bytes(&bytes), &Limits::default(), &Never).unwrap();
    let header_bytes = model.header().len() as u64;
    assert_eq!(structure.structure_bytes, header_bytes);
    let order = if model.order == ByteOrder::Big { formats::ByteOrder::Big } else { formats::ByteOrder::Little };
    assert_eq!(structure.byte_order, order);
    assert!(structure.variant.as_ref().unwrap().starts_with(&format!("v{}", model.version)));
    assert_eq!(structure.metadata.len(), model.metadata.len());
    for ((key, read), (name, written)) in structure.metadata.iter().zip(&model.metadata) {
        assert_eq!(**key, **name);
        assert_same_value(model, &bytes, written, read);
    }
    assert_same_tensors(model, &structure);
    formats::fuzz::gguf(&bytes);
}

fn assert_same_tensors(model: &Model, structure: &Structure) {
    let spans = model.spans();
    let mut expected: Vec<_> = model.tensors.iter().zip(&spans).collect();
    expected.sort_by_key(|(tensor, span)| (span.start, span.end, tensor.name.clone()));
    assert_eq!(structure.tensors.len(), expected.len());
    for (read, (written, span)) in structure.tensors.iter().zip(expected) {
        assert_eq!(*read.name, *written.name);
        assert_eq!((read.dtype.name(), &*read.shape), (&*written.dtype, &*written.shape));
        assert_eq!(read.offset - structure.structure_bytes, span.start);
        assert_eq!(read.length, span.end - span.start);
    }
}

/// One change of a file.
#[derive(Clone, Debug)]
enum Change {
    SetByte(prop::sample::Index, u8),
    FlipBit(prop::sample::Index, u8),
    SetNumber(prop::sample::Index, u64, bool),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Cut(prop::sample::Index),
}

/// Numbers at the borders of what a field can hold or mean.
const NUMBERS: [u64; 16] = [0, 1, 2, 8, 9, 12, 13, 24, 32, 255, 1 << 16, 1 << 31, 1 << 32, 1 << 61, 1 << 63, u64::MAX];

fn change() -> impl Strategy<Value = Change> {
    use prop::sample::{Index, select};
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::SetByte(at, byte)),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::FlipBit(at, bit)),
        (any::<Index>(), select(NUMBERS.to_vec()), any::<bool>())
            .prop_map(|(at, number, big)| Change::SetNumber(at, number, big)),
        (any::<Index>(), 1..32_usize).prop_map(|(at, bytes)| Change::Remove(at, bytes)),
        (any::<Index>(), 1..64_usize).prop_map(|(at, bytes)| Change::Repeat(at, bytes)),
        any::<Index>().prop_map(Change::Cut),
    ]
}

/// Applies changes, to the first `header_bytes` mostly.
fn changed(mut bytes: Vec<u8>, header_bytes: usize, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let within = header_bytes.min(bytes.len());
        if within == 0 {
            return bytes;
        }
        let end = |at: usize, count: usize| (at + count).min(bytes.len());
        match change {
            Change::SetByte(at, byte) => bytes[at.index(within)] = *byte,
            Change::FlipBit(at, bit) => bytes[at.index(within)] ^= 1 << bit,
            Change::SetNumber(at, number, big) => {
                let at = at.index(within);
                let number = if *big { number.to_be_bytes() } else { number.to_le_bytes() };
                let count = end(at, 8) - at;
                bytes[at..at + count].copy_from_slice(&number[..count]);
            }
            Change::Remove(at, count) => drop(bytes.drain(at.index(within)..end(at.index(within), *count))),
            Change::Repeat(at, count) => {
                let at = at.index(within);
                let again = bytes[at..end(at, *count)].to_vec();
                bytes.splice(at..at, again);
            }
            Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
    bytes
}

/// Fixtures that are worth changing, each with the bytes of its header.
static SMALL_FIXTURES: LazyLock<Vec<(Vec<u8>, usize)>> = LazyLock::new(|| {
    let valid = files::valid().into_iter().map(|valid| valid.bytes);
    let hostile = files::all().into_iter().map(|hostile| hostile.bytes);
    let small = valid.chain(hostile).filter(|bytes| bytes.len() < 8192);
    small
        .map(|bytes| {
            let read = gguf::read(&Bytes(&bytes), &Limits::default(), &Never);
            let header_bytes = read.map_or(bytes.len(), |structure| structure.structure_bytes as usize);
            (bytes, header_bytes)
        })
        .collect()
});

#[test]
fn every_dtype_value_type_version_and_order_is_read_back() {
    for version in 1..=3 {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for (_, model) in files::models() {
                assert_same(&Model { version, order, ..model });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_models_are_read_back(model in model()) {
        assert_same(&model);
    }

    #[test]
    fn changed_models_are_refused_or_keep_every_promise(
        model in model(), changes in prop::collection::vec(change(), 1..4),
    ) {
        formats::fuzz::gguf(&changed(model.bytes(), model.header().len(), &changes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn changed_fixtures_are_refused_or_keep_every_promise(
        fixture in any::<prop::sample::Index>(), changes in prop::collection::vec(change(), 1..4),
    ) {
        let (bytes, header_bytes) = fixture.get::<(Vec<u8>, usize)>(&SMALL_FIXTURES);
        formats::fuzz::gguf(&changed(bytes.clone(), *header_bytes, &changes));
    }

    #[test]
    fn any_bytes_behind_a_start_are_refused_or_keep_every_promise(
        version in 1..=3_u8, counts in (0..3_u8, 0..4_u8), rest in prop::collection::vec(prop_oneof![3 => 0..14_u8, 1 => any::<u8>()], 0..200),
    ) {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend([version, 0, 0, 0, counts.0, 0, 0, 0, 0, 0, 0, 0, counts.1, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(rest);
        formats::fuzz::gguf(&bytes);
    }
}
