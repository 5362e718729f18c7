//! A client that speaks the protocol message by message, as an attacker would.

mod answer;
mod message;
mod session;

pub(super) use answer::{Answer, Failed};
pub(super) use message::Message;
pub(super) use session::{Login, Session};
