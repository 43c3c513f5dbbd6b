//! Models to measure with: incompressible safetensors files of any size, with tensors as real models have them.

use std::fs;
use std::path::Path;

use fixtures::safetensors::{TensorSpec, write_large};

use super::{Failure, Result};

const MIB: u64 = 1 << 20;

/// The tensors of a layer, named as they usually are: many of 4 to 16 MiB, and small ones beside them.
const LAYER: [(&str, u64); 12] = [
    ("input_layernorm.weight", 8 << 10),
    ("self_attn.q_proj.weight", 4 * MIB),
    ("self_attn.k_proj.weight", 4 * MIB),
    ("self_attn.v_proj.weight", 4 * MIB),
    ("self_attn.o_proj.weight", 4 * MIB),
    ("self_attn.q_proj.bias", 4 << 10),
    ("self_attn.rotary.inv_freq", 256),
    ("post_attention_layernorm.weight", 8 << 10),
    ("mlp.gate_proj.weight", 16 * MIB),
    ("mlp.up_proj.weight", 16 * MIB),
    ("mlp.down_proj.weight", 11 * MIB + 1000),
    ("mlp.down_proj.bias", 1000),
];

/// No tensor of a mix is larger than this part of the model, so that a small model has tensors of many sizes too.
const LARGEST_PART: u64 = 8;

/// A table of embeddings stands before every so many layers.
const LAYERS_PER_EMBEDDING: u64 = 4;
const EMBEDDING_BYTES: u64 = 64 * MIB;

/// A tensor so large that no batch of an import holds it.
const HUGE_BYTES: u64 = 512 * MIB;

/// Tensors of 1 MiB and larger, not all of them a multiple of anything.
const LARGE: [u64; 8] = [MIB, 64 * MIB, MIB + 2, 2_500_000, 4 * MIB, 7_654_322, 16 * MIB, 1_300_000];

/// Tensors that add up to `bytes`: some of 64 MiB, many of 4 to 16 MiB, some small.
pub fn mixed(seed: u64, bytes: u64) -> Vec<TensorSpec> {
    let layers = (0..).flat_map(|layer| {
        let embedding = (layer % LAYERS_PER_EMBEDDING == 0).then_some(("embed_tokens.weight", EMBEDDING_BYTES));
        let tensors = embedding.into_iter().chain(LAYER);
        tensors.map(move |(name, bytes)| (format!("model.layers.{layer}.{name}"), bytes))
    });
    fill(seed, bytes, layers)
}

/// The same with one tensor of 512 MiB, or of half of `bytes` if that is less, in front.
pub fn with_huge_tensor(seed: u64, bytes: u64) -> Vec<TensorSpec> {
    let huge = HUGE_BYTES.min(bytes / 2);
    let mut tensors = vec![tensor(seed, "lm_head.weight", huge)];
    tensors.extend(mixed(seed, bytes - huge));
    tensors
}

/// Tensors of 1 MiB and larger that add up to at least `bytes`.
pub fn large(seed: u64, bytes: u64) -> Vec<TensorSpec> {
    let mut left = bytes;
    let mut tensors = Vec::new();
    for (number, size) in LARGE.into_iter().cycle().enumerate() {
        if left == 0 {
            break;
        }
        // The last ones are cut down to what is left, but not below 1 MiB.
        let size = size.min(bytes / LARGEST_PART).min(left).max(MIB);
        tensors.push(tensor(seed, &format!("weight.{number}"), size));
        left = left.saturating_sub(size);
    }
    tensors
}

/// The same names and sizes, with other bytes in half of the tensors, counted in bytes.
pub fn half_changed(tensors: &[TensorSpec], seed: u64) -> Vec<TensorSpec> {
    let (mut seen, mut changed) = (0, 0);
    let similar = tensors.iter().map(|tensor| {
        seen += tensor.bytes();
        let change = changed + tensor.bytes() <= seen / 2 + tensor.bytes() / 2;
        changed += if change { tensor.bytes() } else { 0 };
        TensorSpec { seed: if change { seed } else { tensor.seed }, ..tensor.clone() }
    });
    similar.collect()
}

/// Writes a model to a file, in place of what was there, and returns its size.
pub fn write(path: &Path, tensors: &[TensorSpec]) -> Result<u64> {
    let failed = |error| Failure::io("write", path, &error);
    if path.exists() {
        fs::remove_file(path).map_err(failed)?;
    }
    write_large(path, tensors).map_err(failed)
}

/// Takes tensors until they are `bytes`; the last is cut.
fn fill(seed: u64, bytes: u64, sizes: impl Iterator<Item = (String, u64)>) -> Vec<TensorSpec> {
    let mut left = bytes;
    let mut tensors = Vec::new();
    for (name, size) in sizes {
        if left == 0 {
            break;
        }
        let size = size.min(bytes.div_ceil(LARGEST_PART)).min(left);
        tensors.push(tensor(seed, &name, size));
        left -= size;
    }
    tensors
}

/// 16-bit numbers; a single byte where the size is odd.
fn tensor(seed: u64, name: &str, bytes: u64) -> TensorSpec {
    if bytes.is_multiple_of(2) {
        TensorSpec::new(seed, name, "BF16", &[bytes / 2])
    } else {
        TensorSpec::new(seed, name, "U8", &[bytes])
    }
}

#[cfg(test)]
mod tests {
    use super::{MIB, TensorSpec, half_changed, large, mixed, with_huge_tensor};

    fn total(tensors: &[TensorSpec]) -> u64 {
        tensors.iter().map(TensorSpec::bytes).sum()
    }

    #[test]
    fn models_have_the_size_that_was_asked_for() {
        for bytes in [1_000_000, 77_777_777, 1_000_000_000] {
            assert_eq!(total(&mixed(1, bytes)), bytes);
            assert_eq!(total(&with_huge_tensor(1, bytes)), bytes);
            assert!((bytes..bytes + MIB + 1).contains(&total(&large(1, bytes))));
            assert!(large(1, bytes).iter().all(|tensor| tensor.bytes() >= MIB));
        }
    }

    #[test]
    fn half_of_a_similar_model_is_the_same() {
        for bytes in [50_000_000, 1_000_000_000] {
            let first = mixed(1, bytes);
            let second = half_changed(&first, 2);
            let same: u64 = first.iter().zip(&second).filter(|(a, b)| a.seed == b.seed).map(|(a, _)| a.bytes()).sum();
            assert!((45..=55).contains(&(same * 100 / total(&first))), "{same} of {bytes}");
        }
    }

    #[test]
    fn names_are_unique() {
        let tensors = with_huge_tensor(1, 1_000_000_000);
        let names: std::collections::BTreeSet<_> = tensors.iter().map(|tensor| &tensor.name).collect();
        assert_eq!(names.len(), tensors.len());
    }
}
