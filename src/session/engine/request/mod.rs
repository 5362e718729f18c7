//! The client's messages, one kind a file.

mod bind;
mod close;
mod copy;
mod describe;
mod execute;
mod function_call;
mod parse;
mod query;
mod sync;

pub(super) use bind::Unbound;
