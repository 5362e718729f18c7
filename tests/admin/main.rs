//! The admin address: who gets in, health, metrics, and what service managers and
//! `pgtenant status` make of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod access;
mod browser;
mod client;
mod health;
mod limits;
mod metrics;
mod page;
mod service;
mod status;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::Door;
use pgtenant::directory::Verifier;
use std::path::PathBuf;
use std::sync::LazyLock;
use testkit::{Options, Proxy, site};

const TOKEN: &str = "a-token-of-24-characters";
const PASSWORD: &str = "pässword:with a colon";

static VERIFIER: LazyLock<String> = LazyLock::new(|| Verifier::derive(PASSWORD));

/// Written once: a proxy reloads when it changes.
static TOKEN_FILE: LazyLock<PathBuf> =
    LazyLock::new(|| site().write("admin.token", &format!("{TOKEN}\n")));

/// `[admin]` with these lines, and administrators of all kinds.
fn admin(lines: &str) -> String {
    let token = &*TOKEN_FILE;
    let scram = &*VERIFIER;
    format!(
        "[admin]\naddress = \"127.0.0.1:0\"\ntoken_file = {token:?}\n{lines}\n\
         [[admins]]\nuser = \"vera\"\nscram = {scram:?}\n\
         [[admins]]\nuser = \"otto\"\nrole = \"operator\"\nmethods = \"cert\"\n\
         [[admins]]\nuser = \"olga\"\nrole = \"operator\"\nscram = {scram:?}\n\
         [[admins]]\nuser = \"zoe\"\nmethods = \"cert+scram\"\nscram = {scram:?}\n"
    )
}

/// A proxy with them, which trusts the certificates of the site's authority.
fn proxy(lines: &str, options: Options) -> (Proxy, Door) {
    let more = format!("{}{}", admin(lines), options.more);
    let proxy = Proxy::start(&Options {
        tls_keys: format!("client_ca = {:?}\n", site().ca_file()),
        more,
        ..options
    });
    let door = Door::of(&proxy);
    (proxy, door)
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

fn basic(user: &str, password: &str) -> String {
    let both = STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {both}")
}
