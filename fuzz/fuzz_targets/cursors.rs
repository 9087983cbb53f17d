#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| taskscope_fuzz::cursors::check(input));
