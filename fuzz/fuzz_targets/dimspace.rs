//! A sound dimspace index, damaged as any bytes say, then read and written by every way there is.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dimspace::fuzz::pages(bytes));
