//! Body of the fuzz target, so that `cargo test` runs it too.  Not part of the interface.

use crate::distance::{self, Path};
use crate::{Element, Packed, VectorError, arithmetic, bytes, compare, pgvector, text, wire};

/// Reads bytes in every form that a vector has, and asserts what a reading promises.  Panics when a promise is broken.
pub fn vector(data: &[u8]) {
    if let Ok(form) = std::str::from_utf8(data) {
        Element::ALL.into_iter().for_each(|element| assert_packed(text::parse(form, element)));
    }
    assert_packed(wire::from_wire(data));
    Element::ALL.into_iter().for_each(|element| assert_packed(bytes::deserialize(data, element)));
    [pgvector::from_vector, pgvector::from_halfvec, pgvector::from_sparsevec]
        .into_iter()
        .for_each(|from| assert_packed(from(data)));
    // What lies on a disk may be damaged: it is read without a panic.
    if let Ok(damaged) = Packed::read(data) {
        use_it(&damaged);
    }
}

/// What was made of any bytes is sound, and comes back from each form the same.
fn assert_packed(made: Result<Vec<u8>, VectorError>) {
    let Ok(made) = made else { return };
    let packed = Packed::read(&made).expect("what is made is read");
    packed.check().expect("what is made is sound");
    let again = |form: Result<Vec<u8>, VectorError>| assert_eq!(form.as_ref(), Ok(&made), "a form does not come back");
    again(text::parse(&text::format(&packed), Element::Float32));
    again(text::parse(&text::sparse_format(&packed), Element::Float32));
    again(wire::from_wire(&wire::to_wire(&packed)));
    again(bytes::deserialize(&bytes::serialize(&packed), packed.element()));
    use_it(&packed);
}

fn use_it(packed: &Packed<'_>) {
    let _ = packed.value(packed.dimensions());
    let _ = compare::compare(packed, packed);
    let _ = compare::hash(packed, 1);
    let _ = arithmetic::multiply(packed, packed);
    let _ = arithmetic::l2_normalize(packed);
    for path in Path::available() {
        let _ = distance::cosine_distance(path, packed, packed);
        let _ = distance::l1(path, packed, packed);
    }
}

#[cfg(test)]
mod tests {
    use super::vector;

    #[test]
    fn the_target_takes_any_bytes() {
        for seed in [
            b"[1,2.5,-3]".as_slice(),
            b"float16:{1:0.5,3:2}/5",
            b"int8:[1,-2]",
            b"\x00\x02\x00\x00\x3f\x80\x00\x00\x40\x00\x00\x00",
            b"\x02\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x00\x40",
            b"\x05\x00\x40\x11\x01\x00\x03\x00\x07\x08",
        ] {
            // Each byte in turn takes some other values, and the bytes end early.
            for place in 0..seed.len() {
                for value in [0, 1, 0x7f, 0x80, 0xff] {
                    let mut bytes = seed.to_vec();
                    bytes[place] = value;
                    vector(&bytes);
                }
                vector(&seed[..place]);
            }
            vector(seed);
        }
    }
}
