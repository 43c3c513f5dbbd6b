//! Decoded values agree with numpy, `ml_dtypes` and `gguf`, bit for bit, for every dtype and odd blocks.

use std::path::{Path, PathBuf};

use fixtures::noise::Noise;
use formats::decode::values;
use formats::{ByteOrder, Dtype};

use crate::python;

/// Blocks of noise per type.  Their scales are NaN or infinite now and then.
const NOISE_BLOCKS: usize = 4096;

/// Words that overwrite each place of a block: as half precision 0, -0, the least and greatest denormals, the greatest numbers,
/// 1, infinities, NaN of both signs, quiet and signalling; then infinities and NaN as the upper half of single precision.
const WORDS: [u16; 17] = [
    0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x7BFF, 0xFBFF, 0x3C00, 0x7C00, 0xFC00, 0x7E00, 0xFE00, 0x7C01, 0xFD55,
    0x7F80, 0xFF80, 0x7FC1,
];

/// Returns the types that have values.
fn dtypes() -> impl Iterator<Item = Dtype> {
    Dtype::PLAIN.into_iter().chain(Dtype::QUANTIZED).filter(|dtype| *dtype != Dtype::C64)
}

/// Returns every code of 16 bits, then noise, then blocks of one byte, of noise with one word changed and of such alone.
fn odd_blocks(dtype: Dtype) -> Vec<u8> {
    let block_bytes = dtype.block().bytes as usize;
    let mut noise = Noise::new(1, dtype.name());
    let mut bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    bytes.truncate(bytes.len() / block_bytes * block_bytes);
    bytes.extend(noise_bytes(&mut noise, NOISE_BLOCKS * block_bytes));
    (0..=u8::MAX).for_each(|byte| bytes.extend(vec![byte; block_bytes]));
    for at in (0..block_bytes - block_bytes % 2).step_by(2) {
        for word in WORDS {
            for mut block in [vec![0; block_bytes], vec![255; block_bytes], noise_bytes(&mut noise, block_bytes)] {
                block[at..at + 2].copy_from_slice(&word.to_le_bytes());
                bytes.extend(block);
            }
        }
    }
    match dtype {
        Dtype::I64 => change_integers(&mut bytes, |integer| (integer.cast_signed() >> 10).cast_unsigned()),
        Dtype::U64 => change_integers(&mut bytes, |integer| integer >> 11),
        _ => {}
    }
    bytes
}

/// Brings integers of 64 bits into the range of exact values.
fn change_integers(bytes: &mut [u8], change: impl Fn(u64) -> u64) {
    for integer in bytes.as_chunks_mut().0 {
        *integer = change(u64::from_le_bytes(*integer)).to_le_bytes();
    }
}

fn noise_bytes(noise: &mut Noise, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    noise.fill(&mut bytes);
    bytes
}

/// Decodes files named after their dtypes by Python.
fn decode_by_python(paths: &[PathBuf]) -> Vec<Vec<f64>> {
    python::run("decode_values.py", paths);
    paths.iter().map(|path| read_values(&path.with_extension("f64"))).collect()
}

fn read_values(path: &Path) -> Vec<f64> {
    let bytes = std::fs::read(path).expect("the script has written it");
    bytes.as_chunks().0.iter().map(|value| f64::from_le_bytes(*value)).collect()
}

/// Returns the bits of a value as `formats::decode` promises them, from those that Python gave.
fn promised(dtype: Dtype, official: f64) -> u64 {
    const QUIET: u64 = 1 << 51;
    match official.is_nan() {
        true if dtype.is_quantized() => f64::NAN.to_bits(),
        // numpy widens a signalling NaN of half precision without making it quiet.
        true if dtype != Dtype::F64 => official.to_bits() | QUIET,
        _ => official.to_bits(),
    }
}

/// Returns the bits of a decoded value; of a block type a NaN is any.
fn decoded(dtype: Dtype, value: f64) -> u64 {
    match value.is_nan() && dtype.is_quantized() {
        true => f64::NAN.to_bits(),
        false => value.to_bits(),
    }
}

fn assert_agree(dtype: Dtype, bytes: &[u8], official: &[f64]) {
    let mut own = vec![0.0; official.len()];
    values(dtype, ByteOrder::Little, bytes, &mut own).unwrap_or_else(|error| panic!("{dtype}: {error}"));
    let differs =
        own.iter().zip(official).position(|(own, official)| decoded(dtype, *own) != promised(dtype, *official));
    if let Some(index) = differs {
        let block = dtype.block();
        let number = index / block.elements as usize;
        let bytes = &bytes[number * block.bytes as usize..][..block.bytes as usize];
        let (own, official, element) = (own[index], official[index], index % block.elements as usize);
        panic!("{dtype}: {own:e} for {official:e}, element {element} of block {number}: {bytes:02x?}");
    }
}

#[test]
fn every_type_agrees_on_odd_blocks() {
    let dir = tempfile::tempdir().expect("/tmp is writable");
    let files: Vec<(Dtype, Vec<u8>)> = dtypes().map(|dtype| (dtype, odd_blocks(dtype))).collect();
    let paths: Vec<PathBuf> = files.iter().map(|(dtype, _)| dir.path().join(dtype.name())).collect();
    for ((_, bytes), path) in files.iter().zip(&paths) {
        std::fs::write(path, bytes).expect("writable");
    }
    for ((dtype, bytes), official) in files.iter().zip(decode_by_python(&paths)) {
        assert_eq!(dtype.size(official.len() as u64), Ok(bytes.len() as u64), "{dtype}");
        assert_agree(*dtype, bytes, &official);
    }
}
