//! The `pgtenant` program: arguments, and which command they name.

fn main() {}
