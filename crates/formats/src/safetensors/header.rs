//! The header's JSON, visited without a tree: `__metadata__` and one entry per tensor.
//!
//! A visitor can only return serde's own error, which carries text.  So a broken rule is put into `Header::fault`, and the
//! JSON error that ends the visit is worth only its position.

use super::entry::Entry;
use super::text::HeaderText;
use crate::seen::Seen;
use crate::{Fault, FormatError, Limits, Tensor, Value};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::io::BufReader;

/// The one key of the header that is not a tensor.
const METADATA_KEY: &str = "__metadata__";

/// What was read of a header so far.
pub(super) struct Header<'a> {
    pub(super) limits: &'a Limits,
    /// Absolute position that the header's offsets count from.
    pub(super) data_start: u64,
    pub(super) file_bytes: u64,
    pub(super) tensors: Vec<Tensor>,
    pub(super) metadata: Vec<(Box<str>, Value)>,
    names: Seen,
    /// The tensor whose entry is being read, and the key whose value is: where an error belongs.
    pub(super) within: Option<Box<str>>,
    pub(super) key: Option<Box<str>>,
    fault: Option<Fault>,
}

/// Parses a header to its last byte.  The layout of the data is not proved yet.
pub(super) fn parse<'a>(
    mut text: HeaderText<'_>,
    limits: &'a Limits,
    data_start: u64,
    file_bytes: u64,
) -> Result<Header<'a>, FormatError> {
    let mut header = Header {
        limits,
        data_start,
        file_bytes,
        tensors: Vec::new(),
        metadata: Vec::new(),
        names: Seen::default(),
        within: None,
        key: None,
        fault: None,
    };
    let visited = match text.held()? {
        Some(held) => visit(serde_json::Deserializer::from_slice(&held), &mut header),
        None => {
            let buffered = BufReader::with_capacity(text.refill_bytes(), &mut text);
            visit(serde_json::Deserializer::from_reader(buffered), &mut header)
        }
    };
    match visited {
        Ok(()) => Ok(header),
        Err(error) => Err(header.blame(&error, &mut text)),
    }
}

/// Visits a header to its last byte.
fn visit<'de, R: serde_json::de::Read<'de>>(
    mut json: serde_json::Deserializer<R>,
    header: &mut Header<'_>,
) -> Result<(), serde_json::Error> {
    json.deserialize_map(header).and_then(|()| json.end())
}

impl Header<'_> {
    /// Keeps a fault for `blame` and returns the error that ends the visit.
    pub(super) fn refuse<E: Error>(&mut self, fault: Fault) -> E {
        self.fault = Some(fault);
        E::custom("refused")
    }

    /// Returns the error of a visit that ended early.
    fn blame(mut self, error: &serde_json::Error, text: &mut HeaderText<'_>) -> FormatError {
        if let Some(stopped) = text.stopped() {
            return stopped;
        }
        let fault = self.fault.take().unwrap_or_else(|| self.describe(error));
        match text.locate(error.line(), error.column()) {
            Ok(offset) => fault.at(offset),
            Err(stopped) => stopped,
        }
    }

    /// Puts serde's own refusals into our words.
    fn describe(self, error: &serde_json::Error) -> Fault {
        let mut problem = error.to_string();
        // The position is said as an offset; line and column of a header in one line help nobody.
        if let Some(end) = problem.rfind(" at line ") {
            problem.truncate(end);
        }
        match error.is_data() {
            true => Fault::HeaderValue { within: self.within, key: self.key, problem },
            false => Fault::HeaderJson { problem },
        }
    }

    /// Takes the name of the next tensor.
    fn begin_tensor<E: Error>(&mut self, name: Box<str>) -> Result<(), E> {
        let limit = self.limits.tensors_max;
        if self.tensors.len() as u64 >= limit {
            let value = limit.saturating_add(1);
            return Err(self.refuse(Fault::Limit { what: "tensors", within: None, value, limit }));
        }
        if self.names.twice(&name, self.tensors.iter().map(|tensor| &*tensor.name)) {
            return Err(self.refuse(Fault::DuplicateTensor { name }));
        }
        self.within = Some(name);
        Ok(())
    }

    /// Makes room for one more tensor.  Growing by a quarter, not by doubling, keeps the copy during growth within the bound.
    pub(super) fn push_tensor(&mut self, tensor: Tensor) {
        push_sparingly(&mut self.tensors, tensor);
    }
}

/// Appends to a vector that grows by a quarter.
fn push_sparingly<T>(vec: &mut Vec<T>, item: T) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact((vec.len() / 4).max(64));
    }
    vec.push(item);
}

impl<'de> Visitor<'de> for &mut Header<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut metadata_came = false;
        while let Some(key) = map.next_key_seed(Key(self))? {
            if *key != *METADATA_KEY {
                self.begin_tensor(key)?;
                map.next_value_seed(Entry(self))?;
            } else if std::mem::replace(&mut metadata_came, true) {
                return Err(self.refuse(Fault::DuplicateKey { within: None, key }));
            } else {
                map.next_value_seed(Metadata(self))?;
            }
        }
        Ok(())
    }
}

/// Any key: a string within the limit.
pub(super) struct Key<'h, 'a>(pub(super) &'h mut Header<'a>);

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Box<str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Box<str>, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Box<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Box<str>, E> {
        let (value, limit) = (key.len() as u64, self.0.limits.name_bytes_max);
        if value > limit {
            let within = self.0.within.clone();
            return Err(self.0.refuse(Fault::Limit { what: "bytes in a name", within, value, limit }));
        }
        Ok(key.into())
    }
}

/// The value of `__metadata__`: null, which the official reader takes for none, or an object of strings.
struct Metadata<'h, 'a>(&'h mut Header<'a>);

impl<'de> DeserializeSeed<'de> for Metadata<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Metadata<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Metadata(header) = self;
        let mut keys = Seen::default();
        while let Some(key) = map.next_key_seed(Key(header))? {
            let limit = header.limits.metadata_entries_max;
            if header.metadata.len() as u64 >= limit {
                let value = limit.saturating_add(1);
                return Err(header.refuse(Fault::Limit { what: "metadata entries", within: None, value, limit }));
            }
            if keys.twice(&key, header.metadata.iter().map(|(key, _)| &**key)) {
                return Err(header.refuse(Fault::DuplicateKey { within: None, key }));
            }
            header.key = Some(key);
            let value = map.next_value::<Box<str>>()?;
            let key = header.key.take().unwrap_or_default();
            push_sparingly(&mut header.metadata, (key, Value::Text(value)));
        }
        Ok(())
    }
}
