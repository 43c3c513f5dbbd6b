//! One tensor's entry: exactly `dtype`, `shape` and `data_offsets`; other keys are read, checked as JSON and ignored, as the
//! official reader does.

use super::header::{Header, Key};
use super::unknown::Unknown;
use crate::{Dtype, Fault, Tensor, Unsized};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// The value of a tensor's name; the name is `Header::within`.
pub(super) struct Entry<'h, 'a>(pub(super) &'h mut Header<'a>);

/// What an entry said so far.
#[derive(Default)]
struct Said {
    dtype: Option<Dtype>,
    shape: Option<Box<[u64]>>,
    offsets: Option<[u64; 2]>,
    unknown: HashSet<Box<str>>,
    /// Keys of nested objects included.
    unknown_count: u64,
}

impl<'de> DeserializeSeed<'de> for Entry<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entry<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Entry(header) = self;
        let mut said = Said::default();
        while let Some(key) = map.next_key_seed(Key(header))? {
            if said.has(&key) {
                let within = header.within.take();
                return Err(header.refuse(Fault::DuplicateKey { within, key }));
            }
            header.key = Some(key.clone());
            match &*key {
                "dtype" => said.dtype = Some(map.next_value_seed(DtypeName(header))?),
                "shape" => said.shape = Some(map.next_value_seed(Shape(header))?),
                "data_offsets" => said.offsets = Some(map.next_value_seed(Offsets)?),
                _ => {
                    said.unknown.insert(key);
                    let count = &mut said.unknown_count;
                    Unknown::count_key(header, count)?;
                    map.next_value_seed(Unknown::of_entry(header, count))?;
                }
            }
            header.key = None;
        }
        let name = header.within.take().unwrap_or_default();
        match said.tensor(name, header.data_start, header.file_bytes) {
            Ok(tensor) => header.push_tensor(tensor),
            Err(fault) => return Err(header.refuse(fault)),
        }
        Ok(())
    }
}

impl Said {
    fn has(&self, key: &str) -> bool {
        match key {
            "dtype" => self.dtype.is_some(),
            "shape" => self.shape.is_some(),
            "data_offsets" => self.offsets.is_some(),
            _ => self.unknown.contains(key),
        }
    }

    /// Proves that the entry is whole and its numbers agree, and places the tensor in the file.
    fn tensor(self, name: Box<str>, data_start: u64, file_bytes: u64) -> Result<Tensor, Fault> {
        let missing = |key| Fault::MissingKey { name: name.clone(), key };
        let dtype = self.dtype.ok_or_else(|| missing("dtype"))?;
        let shape = self.shape.ok_or_else(|| missing("shape"))?;
        let [begin, end] = self.offsets.ok_or_else(|| missing("data_offsets"))?;
        let Some(length) = end.checked_sub(begin) else {
            return Err(Fault::OffsetsReversed { name, begin, end });
        };
        let needed = bytes_needed(&name, dtype, &shape)?;
        if needed != length {
            return Err(Fault::SizeMismatch { name, dtype, needed, declared: length });
        }
        match data_start.checked_add(begin).filter(|offset| offset.checked_add(length).is_some()) {
            Some(offset) => Ok(Tensor { name, dtype, shape, offset, length }),
            None => Err(Fault::TensorPastEnd { name, end: u64::MAX, file_bytes }),
        }
    }
}

/// Returns the bytes of so many elements.  Multiplies from the left, so that a later 0 does not excuse an overflow: the
/// official reader does the same.
fn bytes_needed(name: &str, dtype: Dtype, shape: &[u64]) -> Result<u64, Fault> {
    let elements = shape.iter().try_fold(1_u64, |product, dim| product.checked_mul(*dim));
    elements.ok_or(Unsized::Overflow).and_then(|elements| dtype.size(elements)).map_err(|reason| match reason {
        Unsized::Overflow => Fault::SizeOverflow { name: name.into(), dtype, dims: shape.len() as u64 },
        Unsized::PartialBlock => {
            Fault::PartialBlock { name: name.into(), dtype, elements: elements.unwrap_or(u64::MAX) }
        }
    })
}

/// The value of `dtype`.
struct DtypeName<'h, 'a>(&'h mut Header<'a>);

impl<'de> DeserializeSeed<'de> for DtypeName<'_, '_> {
    type Value = Dtype;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Dtype, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for DtypeName<'_, '_> {
    type Value = Dtype;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a dtype")
    }

    fn visit_str<E: Error>(self, dtype: &str) -> Result<Dtype, E> {
        Dtype::from_name(dtype).filter(|dtype| !dtype.is_quantized()).ok_or_else(|| {
            let name = self.0.within.take().unwrap_or_default();
            self.0.refuse(Fault::UnknownDtype { name, dtype: dtype.into() })
        })
    }
}

/// The value of `shape`: integers from 0 to 2^64 - 1.
struct Shape<'h, 'a>(&'h mut Header<'a>);

impl<'de> DeserializeSeed<'de> for Shape<'_, '_> {
    type Value = Box<[u64]>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Box<[u64]>, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Shape<'_, '_> {
    type Value = Box<[u64]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of non-negative integers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Box<[u64]>, A::Error> {
        let limit = self.0.limits.dims_max;
        let mut shape = Vec::new();
        while let Some(dim) = seq.next_element::<u64>()? {
            if shape.len() as u64 >= limit {
                let (within, value) = (self.0.within.take(), limit.saturating_add(1));
                return Err(self.0.refuse(Fault::Limit { what: "dimensions", within, value, limit }));
            }
            shape.push(dim);
        }
        Ok(shape.into_boxed_slice())
    }
}

/// The value of `data_offsets`: begin and end, counted from the end of the header.
struct Offsets;

impl<'de> DeserializeSeed<'de> for Offsets {
    type Value = [u64; 2];

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<[u64; 2], D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Offsets {
    type Value = [u64; 2];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of two non-negative integers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<[u64; 2], A::Error> {
        let begin = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let end = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
        match seq.next_element::<u64>()? {
            None => Ok([begin, end]),
            Some(_) => Err(A::Error::invalid_length(3, &self)),
        }
    }
}
