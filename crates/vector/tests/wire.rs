//! The binary form: what is sent is received, and no part of it is taken for the whole.

use half::{bf16, f16};
use proptest::prelude::*;
use vector::{Element, Packed, VectorError, bytes, pack_f64, wire};

fn check_round_trip(element: Element, values: &[f64]) {
    let packed = pack_f64(element, values).unwrap();
    let sent = wire::to_wire(&Packed::read(&packed).unwrap());
    assert_eq!(sent.len(), 4 + values.len() * element.width());
    assert_eq!(wire::from_wire(&sent).as_ref(), Ok(&packed));
    let serialized = bytes::serialize(&Packed::read(&packed).unwrap());
    assert_eq!(bytes::deserialize(&serialized, element).as_ref(), Ok(&packed));
}

/// Some vectors of every type and form.
fn samples() -> Vec<Vec<u8>> {
    let dense = [1.0, 0.0, 3.0, 100.0];
    let mut sparse = [0.0; 30];
    sparse[29] = 7.0;
    Element::ALL
        .iter()
        .flat_map(|&element| [&dense[..], &sparse].map(|values| pack_f64(element, values).unwrap()))
        .collect()
}

#[test]
fn every_value_of_the_narrow_types_round_trips() {
    let halves: Vec<f64> = (0..=u16::MAX).map(|bits| f16::from_bits(bits).to_f64()).filter(|v| v.is_finite()).collect();
    let brains: Vec<f64> =
        (0..=u16::MAX).map(|bits| bf16::from_bits(bits).to_f64()).filter(|v| v.is_finite()).collect();
    for (element, values) in [(Element::Float16, halves), (Element::Bfloat16, brains)] {
        check_round_trip(element, &values);
        check_round_trip(Element::Float32, &values);
        check_round_trip(Element::Float64, &values);
    }
    check_round_trip(Element::Int8, &(-128..=127).map(f64::from).collect::<Vec<_>>());
    check_round_trip(Element::Uint8, &(0..=255).map(f64::from).collect::<Vec<_>>());
    check_round_trip(Element::Float32, &[f32::from_bits(1), f32::MAX, f32::MIN, f32::MIN_POSITIVE].map(f64::from));
    check_round_trip(Element::Float64, &[f64::from_bits(1), f64::MAX, f64::MIN, f64::MIN_POSITIVE]);
}

#[test]
fn every_beginning_of_a_form_is_refused() {
    for packed in samples() {
        let sent = wire::to_wire(&Packed::read(&packed).unwrap());
        for length in 0..sent.len() {
            let error = wire::from_wire(&sent[..length]).unwrap_err();
            assert!(matches!(error, VectorError::Wire { offset, .. } if offset == length), "{length} {error:?}");
        }
        let longer = [&sent[..], &[0]].concat();
        assert!(matches!(wire::from_wire(&longer), Err(VectorError::Wire { offset, .. }) if offset == sent.len()));
    }
}

#[test]
fn what_is_no_value_is_refused_and_negative_zero_is_zero() {
    for (value, number) in [(&[0x7F, 0xC0, 0, 0][..], 0), (&[0xFF, 0x80, 0, 0], 0), (&[0x7C, 0], 1), (&[0xFF, 0x80], 2)]
    {
        let one = pack_f64(Element::from_number(number).unwrap(), &[1.0]).unwrap();
        let mut sent = wire::to_wire(&Packed::read(&one).unwrap());
        sent[4..].copy_from_slice(value);
        assert!(matches!(wire::from_wire(&sent), Err(VectorError::NotFinite { dimension: 0, .. })), "{value:?}");
    }
    assert_eq!(wire::from_wire(&[0, 1, 0, 0, 0x80, 0, 0, 0]), pack_f64(Element::Float32, &[0.0]));
    assert_eq!(wire::from_wire(&[0, 1, 5, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]), pack_f64(Element::Float64, &[0.0]));
    // A sparse form may name a zero.
    assert_eq!(wire::from_wire(&[0, 2, 1, 1, 0, 1, 0x80, 0]), pack_f64(Element::Float16, &[0.0, 0.0]));
    assert_eq!(wire::from_wire(&[0, 2, 1, 1]), pack_f64(Element::Float16, &[0.0, 0.0]));
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
    fn sparse_forms_are_read_as_their_dense_ones(
        element in prop::sample::select(&Element::ALL[..]),
        entries in prop::collection::btree_map(0u16..300, 1u8..100, 0..20),
    ) {
        let mut sent = vec![1, 44, element.number(), 1];
        sent.extend(entries.keys().flat_map(|position| position.to_be_bytes()));
        for value in entries.values() {
            let (bytes, width) = element.to_bytes(f64::from(*value));
            sent.extend(bytes[..width].iter().rev());
        }
        let mut values = vec![0.0; 300];
        entries.iter().for_each(|(position, value)| values[usize::from(*position)] = f64::from(*value));
        prop_assert_eq!(wire::from_wire(&sent), pack_f64(element, &values));
    }

    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..40), number in 0u8..8, form in 0u8..3, dimensions in 0u16..12) {
        if bytes.len() >= 4 {
            bytes[..4].copy_from_slice(&[0, dimensions as u8, number, form]);
        }
        for read in [wire::from_wire(&bytes), bytes::deserialize(&bytes, Element::ALL[usize::from(number % 6)])].into_iter().flatten() {
            prop_assert_eq!(Packed::read(&read).unwrap().check(), Ok(()));
        }
        // Stored bytes that were damaged are walked without harm, whatever they say.
        if let Some(types) = bytes.get_mut(2..4) {
            types.copy_from_slice(&[number | number.wrapping_mul(5) << 4, 0x10 | form & 1]);
        }
        if let Ok(packed) = Packed::read(&bytes) {
            let _ = (packed.check(), wire::to_wire(&packed), bytes::serialize(&packed));
            let _ = (vector::text::format(&packed), vector::text::sparse_format(&packed));
            let _ = (vector::compare::hash(&packed, 0), vector::compare::compare(&packed, &packed));
            let _ = (vector::arithmetic::add(&packed, &packed), vector::arithmetic::l2_normalize(&packed));
            let _ = (vector::pgvector::to_sparsevec(&packed), vector::pgvector::to_halfvec(&packed));
            let _ = vector::sum::Sum::new(&packed).add(&packed);
        }
        let _ = (vector::pgvector::from_vector(&bytes), vector::pgvector::from_halfvec(&bytes));
        let _ = (vector::pgvector::from_sparsevec(&bytes), vector::sum::Sum::from_bytes(&bytes));
    }
}
