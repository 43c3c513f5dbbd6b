//! Any bytes as a vector, in each form that one has.  Its corpus begins with the fixtures (`fuzz/README.md`).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vector::fuzz::vector(bytes));
