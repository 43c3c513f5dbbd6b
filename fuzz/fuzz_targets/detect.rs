//! What any bytes are taken for.  Its corpus begins with the fixtures (`fuzz/README.md`).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| formats::fuzz::detect(bytes));
