//! The first packet of a connection.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgtenant_fuzz::startup(data));
