//! `[[peers]]`, and what `[listen]` says of this replica among them.

use super::hosts::{self, Host};
use super::isolation;
use super::listen;
use super::reader::{Entry, Section};
use aws_lc_rs::hmac;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A cancellation key has room for so many.
const MOST: u32 = 127;

/// This replica, as the others know it.
#[derive(Debug, Clone)]
pub struct OwnPeer {
    /// Its number (key `peer_id`), from 1 on.
    pub id: u8,
    /// Where the others reach it (key `peer_address`).
    pub addresses: Vec<SocketAddr>,
    /// What replicas prove to each other that they are (key `peer_key_file`).
    pub key: PeerKey,
}

/// The key that all replicas share. Never shown.
#[derive(Clone)]
pub struct PeerKey(hmac::Key);

impl PeerKey {
    /// The key of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The key itself.
    #[must_use]
    pub fn key(&self) -> &hmac::Key {
        &self.0
    }
}

impl std::fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeerKey(…)")
    }
}

/// The keys of `[listen]` that are about this replica.
pub(super) fn own(section: &mut Section<'_>) -> Option<OwnPeer> {
    let id = section.optional("peer_id");
    let address = section.optional("peer_address");
    let file = section.optional("peer_key_file");
    let Some(id) = id else {
        for key in ["peer_address", "peer_key_file"] {
            section.refuse(key, "has no meaning without listen.peer_id");
        }
        return None;
    };
    if address.is_none() {
        let what = "where the other replicas reach this one, such as \"10.0.0.5:6433\"";
        section.missing("peer_address", what);
    }
    if file.is_none() {
        let what = "the file with the key that all replicas share; make one with \
                    `openssl rand -hex 32`";
        section.missing("peer_key_file", what);
    }
    let id = number(&id);
    let addresses = address.map(|entry| listen::addresses(&entry));
    let key = file.and_then(|entry| isolation::key(&entry));
    Some(OwnPeer {
        id: id?,
        addresses: addresses?,
        key: PeerKey::new(&key?),
    })
}

fn number(entry: &Entry<'_>) -> Option<u8> {
    let id = entry.integer(1..=MOST)?;
    u8::try_from(id).ok()
}

/// The other replicas, by their numbers. This one may be among them, so that all can
/// have the same list: it is left out. `is_one`: `[listen]` says which one this is.
pub(super) fn read(
    sections: Vec<Section<'_>>,
    own: Option<&OwnPeer>,
    is_one: bool,
) -> BTreeMap<u8, Host> {
    let mut peers = BTreeMap::new();
    for mut section in sections {
        if !is_one {
            section.refuse_section("needs listen.peer_id, the number of this replica");
        }
        let id = section.required("id", "the number of the replica, its listen.peer_id");
        let address = section.required("address", "where it is reached: its listen.peer_address");
        let id = id.and_then(|entry| {
            let id = number(&entry)?;
            if peers.contains_key(&id) {
                entry.refuse("is the number of another of [[peers]] already");
            }
            Some(id)
        });
        let host = address.and_then(|entry| place(&entry));
        section.finish();
        if let (Some(id), Some(host)) = (id, host) {
            peers.insert(id, host);
        }
    }
    if let Some(own) = own {
        peers.remove(&own.id);
    }
    peers
}

/// A host with its port.
fn place(entry: &Entry<'_>) -> Option<Host> {
    let text = entry.text()?;
    let has_port = text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_whole = host.starts_with('[') == host.ends_with(']');
        is_whole && port.parse::<u16>().is_ok() && (host.ends_with(']') || !host.contains(':'))
    });
    let host = has_port.then(|| hosts::host(text)).flatten();
    if host.is_none() {
        entry.refuse(
            "must be a host name or an address with a port: \"10.0.0.6:6433\", \
             \"pgtenant-1.pgtenant:6433\", \"[2001:db8::6]:6433\"",
        );
    }
    host
}
