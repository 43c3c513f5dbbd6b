//! The type `content_hash`: text and binary forms, casts, comparison, hashing.

use std::ffi::CStr;

use ::atom::ContentHash;
use pgrx::prelude::*;

use crate::pg::error::{PgResult, code, fault};
use crate::pg::fixed_datum::HashDatum;

#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_in(text: &CStr) -> PgResult<HashDatum> {
    let text = text.to_string_lossy();
    text.parse().map(HashDatum).map_err(|error: ::atom::HashTextError| {
        fault(code::MALFORMED_TEXT, format!("invalid input syntax for type content_hash: \"{text}\""))
            .set_detail(format!("{error}."))
    })
}

#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_out(hash: HashDatum) -> std::ffi::CString {
    std::ffi::CString::new(hash.0.to_string()).expect("hexadecimal digits hold no NUL")
}

#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_recv(message: pgrx::datum::Internal) -> PgResult<HashDatum> {
    let bytes = crate::pg::message::take_all(message);
    ContentHash::try_from(bytes.as_slice()).map(HashDatum).map_err(|_| {
        fault(code::MALFORMED, format!("the binary form of a content_hash has 32 bytes, not {}", bytes.len()))
    })
}

#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_send(hash: HashDatum) -> Vec<u8> {
    hash.0.as_bytes().to_vec()
}

#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_from_bytea(bytes: &[u8]) -> PgResult<HashDatum> {
    ContentHash::try_from(bytes).map(HashDatum).map_err(|_| {
        fault(code::ARGUMENT, format!("a content hash has 32 bytes, not {}", bytes.len()))
            .set_hint("hash_bytes(data) computes the hash of any bytes.")
    })
}

#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_to_bytea(hash: HashDatum) -> Vec<u8> {
    hash.0.as_bytes().to_vec()
}

#[pg_extern(immutable, strict, parallel_safe)]
fn hash_bytes(data: &[u8]) -> HashDatum {
    HashDatum(ContentHash::of(data))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_eq(a: HashDatum, b: HashDatum) -> bool {
    a == b
}

#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_ne(a: HashDatum, b: HashDatum) -> bool {
    a != b
}

#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_lt(a: HashDatum, b: HashDatum) -> bool {
    a < b
}

#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_le(a: HashDatum, b: HashDatum) -> bool {
    a <= b
}

#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_gt(a: HashDatum, b: HashDatum) -> bool {
    a > b
}

#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_ge(a: HashDatum, b: HashDatum) -> bool {
    a >= b
}

#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_cmp(a: HashDatum, b: HashDatum) -> i32 {
    a.cmp(&b) as i32
}

/// The hash is uniform already: its first bytes serve.
#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_hash(hash: HashDatum) -> i32 {
    let [a, b, c, d, ..] = *hash.0.as_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// Equal to `content_hash_hash` in its low half for seed 0, as PostgreSQL asks.
#[pg_extern(immutable, strict, parallel_safe)]
fn content_hash_hash_extended(hash: HashDatum, seed: i64) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash.0.as_bytes();
    let first = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
    if seed == 0 {
        return first;
    }
    fnv(seed, hash.0.as_bytes()) as i64
}

/// FNV-1a over seed and bytes: its constants never change, as hash partitions depend on it.
pub fn fnv(seed: i64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    seed.to_le_bytes().iter().chain(bytes).fold(0xcbf2_9ce4_8422_2325, step)
}
