//! Statements of a grammar, as the bytes choose.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgtenant_fuzz::statements(data));
