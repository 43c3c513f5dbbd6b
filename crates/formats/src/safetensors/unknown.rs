//! Values of keys that the format does not know.  They are read as strictly as the rest: duplicate keys, bad numbers and bad
//! strings are refused, though nobody looks at the value.

use super::header::{Header, Key};
use crate::Fault;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// The depth of a value in a tensor's entry: within the header and the entry.
const ENTRY_VALUE_DEPTH: u64 = 3;

/// Any value, at a depth.
pub(super) struct Unknown<'h, 'a> {
    header: &'h mut Header<'a>,
    /// Unknown keys of the entry so far.
    count: &'h mut u64,
    depth: u64,
}

impl<'h, 'a> Unknown<'h, 'a> {
    /// A value directly in a tensor's entry.
    pub(super) fn of_entry(header: &'h mut Header<'a>, count: &'h mut u64) -> Unknown<'h, 'a> {
        Unknown { header, count, depth: ENTRY_VALUE_DEPTH }
    }

    /// Counts an unknown key of the entry.
    pub(super) fn count_key<E: Error>(header: &mut Header<'_>, count: &mut u64) -> Result<(), E> {
        *count = count.saturating_add(1);
        let (value, limit) = (*count, header.limits.unknown_keys_max);
        if value > limit {
            let within = header.within.take();
            return Err(header.refuse(Fault::Limit { what: "unknown keys", within, value, limit }));
        }
        Ok(())
    }

    fn inner(&mut self) -> Unknown<'_, 'a> {
        Unknown { header: self.header, count: self.count, depth: self.depth.saturating_add(1) }
    }

    fn check_depth<E: Error>(&mut self) -> Result<(), E> {
        let (value, limit) = (self.depth, self.header.limits.nesting_max);
        if value > limit {
            let within = self.header.within.take();
            return Err(self.header.refuse(Fault::Limit { what: "nested values", within, value, limit }));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Unknown<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        // Not `deserialize_ignored_any`, which lets pass what the official reader refuses, e.g. 1e999.
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unknown<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        self.check_depth()?;
        while seq.next_element_seed(self.inner())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.check_depth()?;
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key_seed(Key(self.header))? {
            Self::count_key(self.header, self.count)?;
            if keys.contains(&key) {
                let within = self.header.within.take();
                return Err(self.header.refuse(Fault::DuplicateKey { within, key }));
            }
            keys.insert(key);
            map.next_value_seed(self.inner())?;
        }
        Ok(())
    }
}
