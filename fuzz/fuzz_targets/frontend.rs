//! What a client sends once it is logged in.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgtenant_fuzz::frontend(data));
