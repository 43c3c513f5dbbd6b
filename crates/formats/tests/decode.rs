//! Decoding by formulas and figures worked out by hand.  Agreement with the official packages is tested in `tests/readers`.

use atom::FaultKind;
use fixtures::noise::Noise;
use formats::ByteOrder::{self, Big, Little};
use formats::Dtype;
use formats::decode::{Blocks, DecodeError, blocks_of, values};
use proptest::prelude::*;

fn all() -> impl Iterator<Item = Dtype> {
    Dtype::PLAIN.into_iter().chain(Dtype::QUANTIZED)
}

/// Returns the elements of whole blocks, or the error.
fn try_decode(dtype: Dtype, order: ByteOrder, bytes: &[u8]) -> Result<Vec<f64>, DecodeError> {
    let block = dtype.block();
    let mut out = vec![f64::from(0xBAD); bytes.len() / block.bytes as usize * block.elements as usize];
    values(dtype, order, bytes, &mut out).map(|()| out)
}

fn decode(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    try_decode(dtype, Little, bytes).unwrap_or_else(|error| panic!("{dtype}: {error}"))
}

/// NaN compares by sign only, and 0 by sign too.
fn same(a: f64, b: f64) -> bool {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => a.to_bits() == b.to_bits(),
        both => both == (true, true) && a.is_sign_negative() == b.is_sign_negative(),
    }
}

#[track_caller]
fn assert_same(dtype: Dtype, own: &[f64], expected: &[f64]) {
    assert_eq!(own.len(), expected.len(), "{dtype}");
    for (index, (own, expected)) in own.iter().zip(expected).enumerate() {
        assert!(same(*own, *expected), "{dtype}: {own:e} for {expected:e} at {index}");
    }
}

#[test]
fn integers_and_truth_values() {
    assert_eq!(decode(Dtype::BOOL, &[0, 1, 2, 255]), [0.0, 1.0, 1.0, 1.0]);
    assert_eq!(decode(Dtype::U8, &[0, 127, 128, 255]), [0.0, 127.0, 128.0, 255.0]);
    assert_eq!(decode(Dtype::I8, &[0, 127, 128, 255]), [0.0, 127.0, -128.0, -1.0]);
    assert_eq!(decode(Dtype::U16, &[1, 2, 255, 255]), [513.0, 65535.0]);
    assert_eq!(decode(Dtype::I16, &[1, 2, 0, 128]), [513.0, -32768.0]);
    assert_eq!(decode(Dtype::U32, &[4, 3, 2, 1, 255, 255, 255, 255]), [16_909_060.0, 4_294_967_295.0]);
    assert_eq!(decode(Dtype::I32, &[4, 3, 2, 1, 0, 0, 0, 128]), [16_909_060.0, -2_147_483_648.0]);
    assert_eq!(decode(Dtype::U64, &[8, 7, 6, 5, 4, 3, 2, 0]), [566_265_752_454_920.0]);
    assert_eq!(decode(Dtype::I64, &[255; 8]), [-1.0]);
}

#[test]
fn integers_are_exact_up_to_two_to_the_53() {
    const MAX: i64 = 1 << 53;
    let last = |dtype, order, value: i64| {
        let bytes = [0, 1, value].map(|value| match order {
            Little => value.to_le_bytes(),
            Big => value.to_be_bytes(),
        });
        try_decode(dtype, order, bytes.as_flattened()).map(|values| values[2])
    };
    for order in [Little, Big] {
        for value in [MAX, MAX - 1, -MAX, 1 - MAX] {
            assert_eq!(last(Dtype::I64, order, value), Ok(value as f64));
        }
        for value in [MAX + 1, -MAX - 1, i64::MAX, i64::MIN] {
            let error = DecodeError::IntegerTooLarge { index: 2, value: value.into() };
            assert_eq!(last(Dtype::I64, order, value), Err(error));
        }
        assert_eq!(last(Dtype::U64, order, MAX), Ok(MAX as f64));
        for value in [MAX + 1, -1] {
            let error = DecodeError::IntegerTooLarge { index: 2, value: value.cast_unsigned().into() };
            assert_eq!(last(Dtype::U64, order, value), Err(error));
        }
    }
}

#[test]
fn the_first_of_several_large_integers_is_named() {
    let bytes: Vec<u8> = [3, 1 << 60, 1 << 61].into_iter().flat_map(u64::to_le_bytes).collect();
    let error = try_decode(Dtype::U64, Little, &bytes).unwrap_err();
    assert_eq!(error, DecodeError::IntegerTooLarge { index: 1, value: 1 << 60 });
    assert_eq!(error.kind(), FaultKind::Limit);
    let words = "the integer 1152921504606846976 is beyond 2^53, up to which double precision is exact";
    assert_eq!(error.to_string(), words);
    assert!(error.hint().is_some_and(|hint| hint.contains("2^53")));
}

/// What codes of a small float are not numbers.
#[derive(Clone, Copy)]
enum Special {
    Ieee,
    AllOnes,
    NegativeZero,
    None,
}

/// The meaning of a code by its definition: (-1)^s 2^(e - bias) (1 + m / 2^bits), or 2^(1 - bias) m / 2^bits where e is 0.
fn meaning(code: u32, exponent_bits: u32, mantissa_bits: u32, bias: i32, special: Special) -> f64 {
    let exponent = (code >> mantissa_bits) % (1 << exponent_bits);
    let mantissa = code % (1 << mantissa_bits);
    let sign = if code >> (exponent_bits + mantissa_bits) == 1 { -1.0 } else { 1.0 };
    let greatest = exponent == (1 << exponent_bits) - 1;
    let fraction = f64::from(mantissa) / 2_f64.powi(mantissa_bits as i32);
    let magnitude = match special {
        Special::Ieee if greatest && mantissa == 0 => f64::INFINITY,
        Special::Ieee if greatest => f64::NAN,
        Special::AllOnes if greatest && mantissa == (1 << mantissa_bits) - 1 => f64::NAN,
        Special::NegativeZero if sign < 0.0 && exponent == 0 && mantissa == 0 => f64::NAN,
        _ if exponent == 0 => 2_f64.powi(1 - bias) * fraction,
        _ => 2_f64.powi(exponent as i32 - bias) * (1.0 + fraction),
    };
    magnitude.copysign(sign)
}

#[test]
fn every_code_of_8_bits() {
    let codes: Vec<u8> = (0..=255).collect();
    for (dtype, exponent_bits, bias, special) in [
        (Dtype::F8_E4M3, 4, 7, Special::AllOnes),
        (Dtype::F8_E5M2, 5, 15, Special::Ieee),
        (Dtype::F8_E4M3FNUZ, 4, 8, Special::NegativeZero),
        (Dtype::F8_E5M2FNUZ, 5, 16, Special::NegativeZero),
    ] {
        let expected: Vec<_> =
            codes.iter().map(|code| meaning((*code).into(), exponent_bits, 7 - exponent_bits, bias, special)).collect();
        assert_same(dtype, &decode(dtype, &codes), &expected);
    }
    let expected: Vec<_> = (0..255).map(|code| 2_f64.powi(code - 127)).chain([f64::NAN]).collect();
    assert_same(Dtype::F8_E8M0, &decode(Dtype::F8_E8M0, &codes), &expected);
}

#[test]
fn every_code_of_16_bits() {
    let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    for (dtype, exponent_bits, bias) in [(Dtype::F16, 5, 15), (Dtype::BF16, 8, 127)] {
        let expected: Vec<_> =
            (0..0x1_0000).map(|code| meaning(code, exponent_bits, 15 - exponent_bits, bias, Special::Ieee)).collect();
        assert_same(dtype, &decode(dtype, &bytes), &expected);
    }
}

#[test]
fn every_code_below_8_bits_in_every_place() {
    for (dtype, bits, mantissa_bits, bias) in
        [(Dtype::F4, 4, 1, 1), (Dtype::F6_E2M3, 6, 3, 1), (Dtype::F6_E3M2, 6, 2, 3)]
    {
        let block = dtype.block();
        for code in 0..1_u32 << bits {
            let expected = meaning(code, bits - 1 - mantissa_bits, mantissa_bits, bias, Special::None);
            for place in 0..block.elements as usize {
                let packed = (code << (bits * place as u32)).to_le_bytes();
                let values = decode(dtype, &packed[..block.bytes as usize]);
                let mut others = vec![0.0; block.elements as usize];
                others[place] = expected;
                assert_same(dtype, &values, &others);
            }
        }
    }
}

#[test]
fn longer_floats_keep_their_value() {
    let single = [1.5_f32, -0.0, f32::MIN_POSITIVE / 8.0, f32::MAX, f32::NEG_INFINITY, f32::NAN, -f32::NAN];
    let bytes: Vec<u8> = single.into_iter().flat_map(f32::to_le_bytes).collect();
    assert_same(Dtype::F32, &decode(Dtype::F32, &bytes), &single.map(f64::from));
    let double = [0x7FF0_0000_0000_0001, 0xFFF8_0000_0000_0002, 1, 0x8000_0000_0000_0000_u64];
    let bytes: Vec<u8> = double.into_iter().flat_map(u64::to_le_bytes).collect();
    assert_eq!(decode(Dtype::F64, &bytes).into_iter().map(f64::to_bits).collect::<Vec<_>>(), double);
}

/// Returns a block of a half-precision 0.5 (0x3800), further halves, and a rest.
fn block(halves: &[u16], rest: &[u8]) -> Vec<u8> {
    halves.iter().flat_map(|half| half.to_le_bytes()).chain(rest.iter().copied()).collect()
}

#[test]
fn small_blocks_by_hand() {
    // The low halves come first: byte 3 is elements 3 and 19.
    let mut quanta = [0x88; 16];
    quanta[3] = 0xF0;
    let found = decode(Dtype::Q4_0, &block(&[0x3800], &quanta));
    assert_eq!((found[3], found[19], found[4]), (-4.0, 3.5, 0.0));
    // 0.5 q + 2
    let found = decode(Dtype::Q4_1, &block(&[0x3800, 0x4000], &quanta));
    assert_eq!((found[3], found[19], found[4]), (2.0, 9.5, 6.0));
    // The fifth bits of elements 3 and 31.
    let found = decode(Dtype::Q5_0, &[block(&[0x3800], &[8, 0, 0, 128]), quanta.to_vec()].concat());
    assert_eq!((found[3], found[19], found[31]), (0.0, -0.5, 4.0));
    let found = decode(Dtype::Q8_0, &block(&[0x3800], &[0x81; 32]));
    assert_eq!(found, [-63.5; 32]);
    // The second half is a sum.
    let found = decode(Dtype::Q8_1, &block(&[0x3800, 0x1234], &[0x81; 32]));
    assert_eq!(found, [-63.5; 32]);
    let found = decode(Dtype::Q1_0, &block(&[0x3800], &[0b0000_0110; 16]));
    assert_eq!(found[..8], [-0.5, 0.5, 0.5, -0.5, -0.5, -0.5, -0.5, -0.5]);
    let found = decode(Dtype::Q2_0, &block(&[0x3800], &[0b11_10_01_00; 16]));
    assert_eq!(found[..4], [-0.5, 0.0, 0.5, 1.0]);
    let found = decode(Dtype::IQ4_NL, &block(&[0x3800], &quanta));
    assert_eq!((found[3], found[19], found[4]), (-63.5, 56.5, 0.5));
    // 2^(128 - 127) times 1 and -6, the codes 2 and 15 of F4.
    let found = decode(Dtype::MXFP4, &[&[128][..], &[0xF2; 16]].concat());
    assert_eq!((found[0], found[16]), (2.0, -12.0));
    // Exponents at the ends of the range: denormal in single precision, and no NaN.
    for exponent in [0, 1, 2, 255] {
        let found = decode(Dtype::MXFP4, &[&[exponent][..], &[0xF1; 16]].concat());
        assert_eq!(found[0], 2_f64.powi(i32::from(exponent) - 128));
    }
    // E4M3 scales of 1, the least, the code that ggml takes for 0, and 480.
    let found = decode(Dtype::NVFP4, &[&[0x38, 1, 0x7F, 0xFF][..], &[0xF2; 32]].concat());
    assert_eq!([found[0], found[8], found[16], found[32], found[48]], [1.0, -6.0, 2_f64.powi(-9), 0.0, 480.0]);
}

#[test]
fn large_blocks_by_hand() {
    // 0.5 * 3 * 1 - 0.5 * 2, the pairs of byte 0 at 0, 32, 64 and 96.
    let found = decode(Dtype::Q2_K, &[&[0x23; 16][..], &[0b11_10_01_00; 64], &[0, 0x38, 0, 0x38]].concat());
    assert_eq!([found[0], found[32], found[64], found[96]], [-1.0, 0.5, 2.0, 3.5]);
    // Scales of 0x21 - 32 = 1; where the high bit is set nothing is taken away.
    let scales = [&[0x11; 8][..], &[0xAA; 4]].concat();
    let found = decode(Dtype::Q3_K, &[&[0b0000_0001; 32][..], &[0b01; 64], &scales, &[0, 0x38]].concat());
    assert_eq!([found[0], found[32], found[128]], [0.5, -2.0, -1.5]);
    // Scale 33 = 0b10_0001 and minimum 18 = 0b01_0010 for all eight runs.
    let scales = [[0b1010_0001; 4], [0b0101_0010; 4], [0x21; 4]].concat();
    let found = decode(Dtype::Q4_K, &[&block(&[0x3800, 0x3800], &scales)[..], &[0x10; 128]].concat());
    assert_eq!([found[0], found[32]], [-9.0, 33.0 * 0.5 - 9.0]);
    assert_eq!([found[128], found[160]], [-9.0, 7.5]);
}

#[test]
fn digits_to_the_base_of_three() {
    // 0.20212 to the base of three is 185 / 243, stored as 195 / 256.
    let found = decode(Dtype::TQ1_0, &[&[195; 52][..], &[0, 0x38]].concat());
    assert_eq!([0, 32, 64, 96, 128].map(|at| found[at]), [0.5, -0.5, 0.5, 0.0, 0.5]);
    assert_eq!([160, 176, 192, 208, 224].map(|at| found[at]), [0.5, -0.5, 0.5, 0.0, 0.5]);
    assert_eq!([240, 244, 248, 252].map(|at| found[at]), [0.5, -0.5, 0.5, 0.0]);
    let found = decode(Dtype::TQ2_0, &[&[0b11_10_01_00; 64][..], &[0, 0x38]].concat());
    assert_eq!([0, 32, 64, 96].map(|at| found[at]), [-0.5, 0.0, 0.5, 1.0]);
}

/// Each type's numbers of more than one byte: (at, width, count), as the structs in ggml-common.h declare them or, where these
/// say bytes, as `quantize_row_*_ref` copies words into them.
fn numbers(dtype: Dtype) -> Vec<(usize, usize, usize)> {
    match dtype.name() {
        "I16" | "U16" | "F16" | "BF16" => vec![(0, 2, 1)],
        "I32" | "U32" | "F32" => vec![(0, 4, 1)],
        "I64" | "U64" | "F64" => vec![(0, 8, 1)],
        "Q1_0" | "Q2_0" | "Q4_0" | "Q8_0" | "IQ4_NL" | "IQ2_S" | "IQ3_S" => vec![(0, 2, 1)],
        "Q4_1" | "Q8_1" | "Q4_K" | "Q5_K" | "IQ4_XS" => vec![(0, 2, 2)],
        "Q5_0" => vec![(0, 2, 1), (2, 4, 1)],
        "Q5_1" => vec![(0, 2, 2), (4, 4, 1)],
        "Q2_K" => vec![(80, 2, 2)],
        "Q3_K" => vec![(108, 2, 1)],
        "Q6_K" => vec![(208, 2, 1)],
        "Q8_K" => vec![(0, 4, 1), (260, 2, 16)],
        "TQ1_0" => vec![(52, 2, 1)],
        "TQ2_0" => vec![(64, 2, 1)],
        "IQ1_S" => vec![(0, 2, 1), (34, 2, 8)],
        "IQ1_M" => vec![(48, 2, 4)],
        "IQ2_XXS" => vec![(0, 2, 1), (2, 4, 16)],
        "IQ2_XS" => vec![(0, 2, 1), (2, 2, 32)],
        "IQ3_XXS" => vec![(0, 2, 1), (66, 4, 8)],
        _ => vec![],
    }
}

#[test]
fn big_endian_is_little_endian_of_swapped_numbers() {
    for dtype in all().filter(|dtype| *dtype != Dtype::C64) {
        let block_bytes = dtype.block().bytes as usize;
        let mut little = vec![0; 64 * block_bytes];
        Noise::new(3, dtype.name()).fill(&mut little);
        if matches!(dtype, Dtype::I64 | Dtype::U64) {
            little.as_chunks_mut::<8>().0.iter_mut().for_each(|integer| integer[6..].fill(0));
        }
        let mut big = little.clone();
        for block in big.chunks_exact_mut(block_bytes) {
            for (at, width, count) in numbers(dtype) {
                block[at..at + width * count].chunks_exact_mut(width).for_each(<[u8]>::reverse);
            }
        }
        assert_same(dtype, &try_decode(dtype, Big, &big).unwrap(), &decode(dtype, &little));
    }
}

#[test]
fn every_wrong_length_is_refused() {
    for dtype in all().filter(|dtype| *dtype != Dtype::C64) {
        let block = dtype.block();
        let (bytes, elements) = (2 * block.bytes as usize, 2 * block.elements as usize);
        for (bytes, elements) in
            [(bytes - 1, elements), (bytes + 1, elements), (0, elements), (bytes, elements - 1), (bytes, 0)]
        {
            let error = values(dtype, Little, &vec![0; bytes], &mut vec![0.0; elements]).unwrap_err();
            assert_eq!(error, DecodeError::WrongLength { dtype, bytes, elements });
            assert_eq!((error.kind(), error.hint()), (FaultKind::Mismatch, None));
            assert_eq!(error.to_string(), format!("{bytes} bytes are not {elements} elements of type {dtype}"));
        }
        assert_eq!(values(dtype, Little, &[], &mut []), Ok(()));
    }
}

#[test]
fn complex_numbers_are_not_supported() {
    for bytes in [&[][..], &[0; 8]] {
        let error = try_decode(Dtype::C64, Little, bytes).unwrap_err();
        assert_eq!((error, error.kind()), (DecodeError::Unsupported { dtype: Dtype::C64 }, FaultKind::Unsupported));
        assert_eq!(error.to_string(), "elements of type C64 cannot be shown as numbers");
        assert!(error.hint().is_some());
    }
}

#[test]
fn blocks_of_a_few_elements() {
    let found =
        |dtype, start, count| blocks_of(dtype, start, count).map(|found| (found.bytes, found.elements, found.skip));
    assert_eq!(found(Dtype::F32, 3, 2), Some((12..20, 2, 0)));
    assert_eq!(found(Dtype::F4, 3, 2), Some((1..3, 4, 1)));
    assert_eq!(found(Dtype::F6_E2M3, 3, 1), Some((0..3, 4, 3)));
    assert_eq!(found(Dtype::Q4_K, 255, 2), Some((0..288, 512, 255)));
    assert_eq!(found(Dtype::Q4_K, 256, 256), Some((144..288, 256, 0)));
    assert_eq!(found(Dtype::Q4_K, 300, 0), Some((144..144, 0, 0)));
    assert_eq!(found(Dtype::U8, 0, 1 << 61), None);
    assert_eq!(found(Dtype::U8, u64::MAX, 1), None);
    assert_eq!(found(Dtype::F4, u64::MAX, 0), None);
    assert_eq!(found(Dtype::Q4_0, u64::MAX - 3, 1), None);
}

proptest! {
    /// The blocks hold what was asked for, and one block less would not.
    #[test]
    fn blocks_are_enough_and_no_more(index in 0_usize..49, start in 0_u64..1 << 55, count in 1_u64..1 << 55) {
        let dtype = all().nth(index).unwrap();
        let (block, Blocks { bytes, elements, skip }) = (dtype.block(), blocks_of(dtype, start, count).unwrap());
        prop_assert_eq!(dtype.size(elements), Ok(bytes.end - bytes.start));
        prop_assert_eq!(dtype.size(start - skip), Ok(bytes.start));
        prop_assert!(skip < block.elements);
        prop_assert!((skip + count..skip + count + block.elements).contains(&elements));
    }

    /// A part of a tensor decodes as it does within the whole.
    #[test]
    fn parts_are_parts_of_the_whole(index in 0_usize..49, start in 0_u64..600, count in 0_u64..600) {
        let dtype = all().nth(index).unwrap();
        prop_assume!(!matches!(dtype, Dtype::C64 | Dtype::I64 | Dtype::U64));
        let mut bytes = vec![0; dtype.size(1536).unwrap() as usize];
        Noise::new(4, dtype.name()).fill(&mut bytes);
        let found = blocks_of(dtype, start, count).unwrap();
        let part = decode(dtype, &bytes[found.bytes.start as usize..found.bytes.end as usize]);
        prop_assert_eq!(part.len() as u64, found.elements);
        let part = &part[found.skip as usize..][..count as usize];
        assert_same(dtype, part, &decode(dtype, &bytes)[start as usize..][..count as usize]);
    }

    /// Whatever the bytes and lengths are, nothing panics.
    #[test]
    fn no_bytes_panic(index in 0_usize..49, bytes in prop::collection::vec(any::<u8>(), 0..600), elements in 0_usize..600) {
        let dtype = all().nth(index).unwrap();
        for order in [Little, Big] {
            let fits = values(dtype, order, &bytes, &mut vec![0.0; elements]).is_ok();
            prop_assert!(!fits || dtype.size(elements as u64) == Ok(bytes.len() as u64));
        }
    }
}
