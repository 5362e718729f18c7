//! What a server sends.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgtenant_fuzz::backend(data));
