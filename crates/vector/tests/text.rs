//! The text form: what goes out comes back, and what is malformed is refused where it is.

use half::{bf16, f16};
use proptest::prelude::*;
use vector::{Element, Packed, VectorError, pack_f32, pack_f64, text};

/// Checks both written forms of a vector.
fn check_round_trip(element: Element, values: &[f64]) {
    let bytes = pack_f64(element, values).unwrap();
    let packed = Packed::read(&bytes).unwrap();
    packed.check().unwrap();
    for written in [text::format(&packed), text::sparse_format(&packed)] {
        assert_eq!(text::parse(&written, Element::Float32).as_ref(), Ok(&bytes), "{written:.200}");
        let without_prefix = written.split_once(':').filter(|_| element != Element::Float32);
        let bare = without_prefix.map_or(written.as_str(), |(_, bare)| bare);
        assert_eq!(text::parse(bare, element).as_ref(), Ok(&bytes), "{bare:.200}");
    }
}

fn refused(input: &str, default: Element) -> VectorError {
    match text::parse(input, default) {
        Err(error) => error,
        Ok(bytes) => panic!("{input:?} was read as {}", text::format(&Packed::read(&bytes).unwrap())),
    }
}

#[test]
fn every_value_of_the_narrow_types_round_trips() {
    let halves: Vec<f64> = (0..=u16::MAX).map(|bits| f16::from_bits(bits).to_f64()).filter(|v| v.is_finite()).collect();
    let brains: Vec<f64> =
        (0..=u16::MAX).map(|bits| bf16::from_bits(bits).to_f64()).filter(|v| v.is_finite()).collect();
    assert_eq!((halves.len(), brains.len()), (63_488, 65_280));
    for (element, values) in [(Element::Float16, halves), (Element::Bfloat16, brains)] {
        check_round_trip(element, &values);
        // As float32 and float64 the same numbers are written with other digits.
        check_round_trip(Element::Float32, &values);
        check_round_trip(Element::Float64, &values);
    }
    check_round_trip(Element::Int8, &(-128..=127).map(f64::from).collect::<Vec<_>>());
    check_round_trip(Element::Uint8, &(0..=255).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn extremes_round_trip() {
    let tiny = [f32::from_bits(1), f32::from_bits(0x007F_FFFF), f32::MIN_POSITIVE, f32::MAX, f32::MIN, 16_777_216.0];
    let edges = [1e-4, 9.999999e-5, 999_999.94, 1e6, 1e-5, 0.1, 1e10, 33_554_432.0].map(|v: f32| v);
    check_round_trip(Element::Float32, &tiny.into_iter().chain(edges).map(f64::from).collect::<Vec<_>>());
    let values =
        [f64::from_bits(1), f64::MIN_POSITIVE, f64::MAX, f64::MIN, 1e15, 999_999_999_999_999.9, 1e-4, 0.1, 5e-324];
    check_round_trip(Element::Float64, &values);
    check_round_trip(Element::Float32, &[0.0; 65_535]);
    check_round_trip(Element::Float64, &[0.1; 65_535]);
}

#[test]
fn decimals_are_rounded_once() {
    let read = |input| Packed::read(&text::parse(input, Element::Float32).unwrap()).unwrap().to_f32();
    // The middle between 1 and the next float32, and a little more; as float64 both are the middle.
    assert_eq!(read("[1.000000059604644775390625]"), [1.0]);
    assert_eq!(read("[1.0000000596046447753906250001]"), [1.0000001]);
    assert_eq!(read("[1.000000178813934326171875]"), [1.0000002]);
    assert_eq!(read("[3.4028235e38,3.40282356e38]"), [f32::MAX, f32::MAX]);
}

#[test]
fn what_pgvector_reads_is_read() {
    for (input, values) in [
        ("[1,2,3]", &[1.0, 2.0, 3.0][..]),
        ("[-1,-2,-3]", &[-1.0, -2.0, -3.0]),
        ("[1.,2.,3.]", &[1.0, 2.0, 3.0]),
        (" [ 1,  2 ,    3  ] ", &[1.0, 2.0, 3.0]),
        ("\t\n\r\x0B\x0C[1\t,\n2]\x0B", &[1.0, 2.0]),
        ("[1.23456]", &[1.23456]),
        ("[1.5e38,-1.5e+38,1.5e-38,1E2,+7,.25]", &[1.5e38, -1.5e38, 1.5e-38, 100.0, 7.0, 0.25]),
        ("[0e99999,-0.000e-5]", &[0.0, 0.0]),
        ("{1:1.5,3:3.5}/5", &[1.5, 0.0, 3.5, 0.0, 0.0]),
        (" { 1 : 1.5 ,  3  :  3.5  } / 5 ", &[1.5, 0.0, 3.5, 0.0, 0.0]),
        ("{1:2.,3:4.}/5", &[2.0, 0.0, 4.0, 0.0, 0.0]),
        ("{3:1,+1:2}/ +3", &[2.0, 0.0, 1.0]),
        ("{1:0,2:1,3:0}/3", &[0.0, 1.0, 0.0]),
        ("{}/3", &[0.0, 0.0, 0.0]),
        ("{ }/1", &[0.0]),
        (" float32 : [ 5 ] ", &[5.0]),
    ] {
        let expected = pack_f32(Element::Float32, &values.iter().map(|&v: &f64| v as f32).collect::<Vec<_>>());
        assert_eq!(text::parse(input, Element::Float32), expected, "{input:?}");
    }
}

/// Each text, what is refused, and the character where it is.
const MALFORMED: [(&str, &str, usize); 76] = [
    ("", BEGIN, 1),
    ("   ", BEGIN, 4),
    ("1,2,3", BEGIN, 1),
    ("]", BEGIN, 1),
    ("}", BEGIN, 1),
    ("(1,2)", BEGIN, 1),
    (":[1]", BEGIN, 1),
    ("\u{fc}:[1]", BEGIN, 1),
    ("  \u{a0}[1]", BEGIN, 3),
    ("\0", BEGIN, 1),
    ("float:[1]", NAME, 1),
    (" Float16:[1]", NAME, 2),
    ("float16x:[1]", NAME, 1),
    ("int4:[1]", NAME, 1),
    ("NaN", NAME, 1),
    ("float16", COLON, 8),
    ("float16[1]", COLON, 8),
    ("float16 [1]", COLON, 9),
    ("float16:", OPEN, 9),
    ("float16: ", OPEN, 10),
    ("float16:1", OPEN, 9),
    ("float16::[1]", OPEN, 9),
    ("float16:float16:[1]", OPEN, 9),
    ("[", NUMBER, 2),
    ("[ ", NUMBER, 3),
    ("[]", NUMBER, 2),
    ("[ ]", NUMBER, 3),
    ("[,", NUMBER, 2),
    ("[,]", NUMBER, 2),
    ("[1,]", NUMBER, 4),
    ("[1,", NUMBER, 4),
    ("[1,,3]", NUMBER, 4),
    ("[1, ,3]", NUMBER, 5),
    ("[hello,1]", NUMBER, 2),
    ("[1,hello]", NUMBER, 4),
    ("[1a]", NUMBER, 2),
    ("[1,2.5.5]", NUMBER, 4),
    ("[1e]", NUMBER, 2),
    ("[1e+]", NUMBER, 2),
    ("[e5]", NUMBER, 2),
    ("[.]", NUMBER, 2),
    ("[-]", NUMBER, 2),
    ("[--1]", NUMBER, 2),
    ("[+-1]", NUMBER, 2),
    ("[1_000]", NUMBER, 2),
    ("[0x10]", NUMBER, 2),
    ("[1,\u{661}]", NUMBER, 4),
    ("[\u{fc}\u{fc},1]", NUMBER, 2),
    ("[\"1\"]", NUMBER, 2),
    ("[[1]]", NUMBER, 2),
    ("[1", LIST, 3),
    ("[1 ", LIST, 4),
    ("[1 2]", LIST, 4),
    ("[- 1]", NUMBER, 2),
    ("[1}", LIST, 3),
    ("[1:2]", LIST, 3),
    ("[1,2,3]9", MORE, 8),
    ("[1,2,3] ]", MORE, 9),
    ("[1][2]", MORE, 4),
    ("[1]/1", MORE, 4),
    ("[1],", MORE, 4),
    ("{", POSITION, 2),
    ("{,}/1", POSITION, 2),
    ("{1:1,}/2", POSITION, 6),
    ("{x:1}/2", POSITION, 2),
    ("{1.5:1}/2", POSITION, 2),
    ("{1}/2", COLON, 3),
    ("{1:}/2", NUMBER, 4),
    ("{1:hello,2:1}/2", NUMBER, 4),
    ("{1:1 2:1}/2", ENTRIES, 6),
    ("{1:1]/2", ENTRIES, 5),
    ("{1:1}", SLASH, 6),
    ("{1:1}2", SLASH, 6),
    ("{1:1}/", COUNT, 7),
    ("{1:1}/x", COUNT, 7),
    ("{1:1}/2 x", MORE, 9),
];

const BEGIN: &str = "a vector begins with [ or { or the name of an element type";
const NAME: &str = "no element type has this name";
const COLON: &str = "a colon is expected";
const OPEN: &str = "an opening bracket is expected";
const NUMBER: &str = "a number is expected";
const LIST: &str = "a comma or ] is expected";
const MORE: &str = "nothing more is expected";
const POSITION: &str = "a position is expected";
const ENTRIES: &str = "a comma or } is expected";
const SLASH: &str = "a slash is expected";
const COUNT: &str = "the number of dimensions is expected";

#[test]
fn malformed_texts_are_refused_where_they_are() {
    for (input, what, position) in MALFORMED {
        for default in Element::ALL {
            assert_eq!(refused(input, default), VectorError::Text { what, position }, "{input:?} {default:?}");
        }
    }
}

#[test]
fn positions_of_the_sparse_form_exist_and_are_there_once() {
    for (input, what, position) in [
        ("{0:1}/1", "positions count from 1", 2),
        ("{2:1,-1:1}/3", "positions count from 1", 6),
        ("{-9223372036854775809:1}/1", "positions count from 1", 2),
        ("{2:1}/1", "the position is beyond the dimensions", 2),
        ("{1:1,65536:1}/65535", "the position is beyond the dimensions", 6),
        ("{9223372036854775808:0}/1", "the position is beyond the dimensions", 2),
        ("{1:1,1:2}/2", "the position is there twice", 6),
        ("{3:1,1:2, 3:1}/3", "the position is there twice", 11),
        ("{1:0,1:0}/2", "the position is there twice", 6),
    ] {
        assert_eq!(refused(input, Element::Float32), VectorError::Text { what, position }, "{input}");
    }
}

#[test]
fn a_vector_has_1_to_65535_dimensions() {
    for input in ["{}/0", "{}/-1", "{1:1}/-9223372036854775809", "{2147483648:1}/0"] {
        assert_eq!(refused(input, Element::Float32), VectorError::NoDimensions, "{input}");
    }
    for (input, dimensions) in [("{}/65536", 65_536), ("{}/99999999999999999999", i64::MAX as usize)] {
        assert_eq!(refused(input, Element::Float32), VectorError::TooManyDimensions { dimensions }, "{input}");
    }
    let many = format!("[{}1]", "1,".repeat(65_535));
    assert_eq!(refused(&many, Element::Int8), VectorError::TooManyDimensions { dimensions: 65_536 });
    let most = format!("[{}1]", "1,".repeat(65_534));
    assert!(text::parse(&most, Element::Int8).is_ok());
}

#[test]
fn names_are_not_finite_and_decimals_out_of_range() {
    for name in ["NaN", "nan", "Infinity", "-Infinity", "inf", "+INF", "-nan"] {
        for element in Element::ALL {
            let error = refused(&format!("[1,{name}]"), element);
            assert!(matches!(error, VectorError::NotFinite { dimension: 1, .. }), "{name} {element:?} {error:?}");
        }
        let error = refused(&format!("{{5:{name}}}/9"), Element::Float32);
        assert!(matches!(error, VectorError::NotFinite { dimension: 4, .. }), "{name} {error:?}");
    }
    use Element::*;
    for (element, decimal) in [
        (Float32, "4e38"),
        (Float32, "-3.4028236e38"),
        (Float32, "1e999999999999"),
        (Float32, "1e-46"),
        (Float32, "-7e-46"),
        (Float32, "0.0000000000000000000000000000000000000000000000000001"),
        (Float16, "65520"),
        (Float16, "-1e9"),
        (Float16, "1e-8"),
        (Float16, "2.98023223876953125e-8"),
        (Bfloat16, "3.4e38"),
        (Bfloat16, "4e-41"),
        (Int8, "128"),
        (Int8, "-129"),
        (Int8, "1e400"),
        (Uint8, "256"),
        (Uint8, "-1"),
        (Float64, "1e309"),
        (Float64, "-1e400"),
        (Float64, "1e-400"),
    ] {
        let error = refused(&format!("[0,{decimal}]"), element);
        let range = matches!(error, VectorError::OutOfRange { dimension: 1, element: of, .. } if of == element);
        assert!(range, "{decimal} {error:?}");
    }
    for (element, decimal) in [(Float32, "8e-46"), (Float16, "65519.999"), (Float16, "3e-8"), (Bfloat16, "1e-40")] {
        assert!(text::parse(&format!("[{decimal}]"), element).is_ok(), "{decimal}");
    }
}

#[test]
fn integers_are_whole() {
    for (input, position) in [("[1.5]", 2), ("[1,0.5]", 4), ("[-0.001]", 2), ("[1, 1e-400]", 5), ("{2:1,1:2.5}/2", 8)] {
        for element in [Element::Int8, Element::Uint8] {
            let what = "a whole number is expected";
            assert_eq!(refused(input, element), VectorError::Text { what, position }, "{input}");
        }
    }
    assert_eq!(text::parse("[1.0,2e1,0.5e1]", Element::Uint8), pack_f64(Element::Uint8, &[1.0, 20.0, 5.0]));
}

#[test]
fn errors_are_sentences() {
    let said = |input, element| refused(input, element).to_string();
    assert_eq!(said("[1,x]", Element::Float32), "malformed vector: a number is expected at character 4");
    assert_eq!(said("[4e38]", Element::Float32), "4e+38 is out of range for float32 (dimension 0)");
    assert_eq!(said("[1,1e-50]", Element::Float32), "1e-50 is out of range for float32 (dimension 1)");
    assert_eq!(said("[70000]", Element::Float16), "70000 is out of range for float16 (dimension 0)");
    assert_eq!(said("[NaN]", Element::Float16), "NaN is no value of a vector (dimension 0)");
}

proptest! {
    #[test]
    fn random_bits_round_trip(bits in prop::collection::vec(any::<u64>(), 1..50)) {
        let doubles: Vec<f64> = bits.iter().map(|&bits| f64::from_bits(bits)).map(|v| if v.is_finite() { v } else { 0.0 }).collect();
        let singles = bits.iter().map(|&bits| f32::from_bits(bits as u32)).map(|v| if v.is_finite() { v } else { 0.0 });
        check_round_trip(Element::Float64, &doubles);
        check_round_trip(Element::Float32, &singles.map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn no_text_panics(input in "[\\[\\]{}:/,. 0-9e+\\-fnitö]{0,24}", cut in "\\PC{0,12}") {
        for element in Element::ALL {
            for input in [input.as_str(), &format!("[{input}]"), &format!("{{{input}}}/9"), &cut, &format!("float16:[1,{cut}")] {
                let position_max = input.chars().count() + 1;
                match text::parse(input, element) {
                    Ok(bytes) => Packed::read(&bytes).unwrap().check().unwrap(),
                    Err(VectorError::Text { position, .. }) => prop_assert!((1..=position_max).contains(&position)),
                    Err(_) => {}
                }
            }
        }
    }
}
