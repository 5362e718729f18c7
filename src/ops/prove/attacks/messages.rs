//! Messages and texts that a proxy must understand before it forwards them.

use super::{ANY, Attack, Must, SETTING, Step, Way, attack};
use Step::{Bytes, Call, Sql};

#[rustfmt::skip]
pub(super) const ATTACKS: &[Attack] = &[
    attack("fast-path", "P5", SETTING, Way::Both, Must::Hold, &[Call("set_config", &["{setting}", "{bare}", "f"]), Sql("{rows}")]),
    attack("unknown-message", "P4", ANY, Way::Alone, Must::Refuse, &[Bytes(b"y\0\0\0\x04")]),
    attack("wrong-length", "P4", ANY, Way::Alone, Must::Refuse, &[Bytes(b"S\0\0\0\x09hello")]),
    attack("not-terminated", "P4", ANY, Way::Alone, Must::Refuse, &[Bytes(b"Q\0\0\0\x0cSELECT 1")]),
    attack("text-behind-the-end", "P4", ANY, Way::Alone, Must::Refuse, &[Bytes(b"Q\0\0\0\x13SELECT 1\0RESET\0")]),
    attack("not-utf-8", "P4", ANY, Way::Alone, Must::Refuse, &[Bytes(b"Q\0\0\0\x0fSELECT '\xe4'\0")]),
    attack("not-sql", "P4", ANY, Way::Alone, Must::Refuse, &[Sql("SELECT 1; SELEC 2")]),
];
