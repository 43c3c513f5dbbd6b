//! Files share their vocabulary, whatever else their headers say.

use std::collections::HashSet;

use atom::{ContentHash, Never};
use fixtures::gguf::{Model, Value, types};
use fixtures::noise::Noise;
use formats::{Bytes, Limits, Reading};
use store::{Cutter, Strategy, spans};

const TOKENS: usize = 100_000;

/// Returns a model of 100,000 tokens, most of them of one type, and what a publisher writes before them.
fn model(name: &str, context: u32) -> Vec<u8> {
    let mut noise = Noise::new(1, "tokens");
    let tokens: Vec<String> = (0..TOKENS).map(|_| format!("{:x}", noise.next_u64() >> 32)).collect();
    let types_of_tokens = (0..TOKENS).map(|index| Value::I32(if index % 30_000 == 9 { 3 } else { 1 })).collect();
    Model::new()
        .with("general.name", Value::text(name))
        .with("llama.context_length", Value::U32(context))
        .with("tokenizer.ggml.tokens", Value::texts(tokens.iter().map(String::as_str)))
        .with("tokenizer.ggml.token_type", Value::Array(types::I32, types_of_tokens))
        .with("tokenizer.ggml.eos_token_id", Value::U32(context % 7))
        .tensor("t", "F32", &[64, 64])
        .bytes()
}

/// Returns the parts of a file as the strategy `tensor` cuts it, by their hashes, and the lengths.
fn parts(file: &[u8]) -> Vec<(ContentHash, u64, u64)> {
    let reading = formats::read(&Bytes(file), &Limits::default(), &Never).unwrap();
    assert!(matches!(reading, Reading::Structured(_)));
    let parts = Cutter::new(spans(&reading, file.len() as u64), Strategy::Tensor).push(file);
    let hashed = |offset, length| (ContentHash::of(&file[offset as usize..][..length as usize]), offset, length);
    parts.into_iter().map(|part| hashed(part.offset, part.length)).collect()
}

#[test]
fn files_that_differ_in_a_few_values_share_their_vocabulary() {
    let (one, other) = (model("one", 4096), model("another, longer name", 131_072));
    let (one, other) = (parts(&one), parts(&other));
    assert_eq!(one.len(), other.len());
    let known: HashSet<ContentHash> = one.iter().map(|part| part.0).collect();
    let new: Vec<_> = other.iter().filter(|part| !known.contains(&part.0)).collect();
    // What is before the vocabulary and what is behind it; not a byte of it.
    assert_eq!(new.len(), 2, "{new:?}");
    assert!(new.iter().all(|part| part.2 < 300), "{new:?}");
}

#[test]
fn token_types_become_few_atoms() {
    let parts = parts(&model("one", 4096));
    let distinct: HashSet<ContentHash> = parts.iter().map(|part| part.0).collect();
    let stored: u64 = distinct.iter().map(|hash| parts.iter().find(|part| part.0 == *hash).unwrap().2).sum();
    let all: u64 = parts.iter().map(|part| part.2).sum();
    assert!(all - stored > 4 * TOKENS as u64 / 2, "{stored} of {all} bytes in {} atoms", distinct.len());
}
