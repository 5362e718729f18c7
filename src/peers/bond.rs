//! What the two replicas of one connection sign.

use super::PeerError;
use crate::config::PeerKey;
use aws_lc_rs::hmac;

/// Bytes of a nonce, a signature and what identifies a TLS session.
pub(super) const LEN: usize = 32;

/// The first bytes that a replica sends.
const GREETING: &[u8; 8] = b"PGTPEER1";
/// How many first bytes there are.
pub(super) const HELLO: usize = GREETING.len() + 2 + LEN;

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Said {
    /// By the one that was reached, before all else: it has the key.
    Proof = 1,
    /// By the one that asks.
    Request = 2,
    /// By the one that was reached, in the end.
    Outcome = 3,
}

/// What a replica that asks says first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hello {
    pub(super) from: u8,
    pub(super) to: u8,
    nonce: [u8; LEN],
}

impl Hello {
    pub(super) fn new(from: u8, to: u8) -> Result<Self, PeerError> {
        Ok(Self {
            from,
            to,
            nonce: nonce()?,
        })
    }

    pub(super) fn encode(&self) -> [u8; HELLO] {
        let mut bytes = [0; HELLO];
        let parts = GREETING.iter().chain([&self.from, &self.to]);
        for (byte, part) in bytes.iter_mut().zip(parts.chain(&self.nonce)) {
            *byte = *part;
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HELLO]) -> Result<Self, PeerError> {
        let rest = bytes.strip_prefix(GREETING).ok_or(PeerError::Stranger)?;
        match rest {
            [from, to, nonce @ ..] => Ok(Self {
                from: *from,
                to: *to,
                nonce: nonce.try_into().map_err(|_| PeerError::Stranger)?,
            }),
            _ => Err(PeerError::Stranger),
        }
    }
}

/// Random bytes that were never used before.
pub(super) fn nonce() -> Result<[u8; LEN], PeerError> {
    let mut nonce = [0; LEN];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| PeerError::Cryptography)?;
    Ok(nonce)
}

/// What every signature of a connection covers: who asks whom, what both have drawn, and
/// the TLS session.
pub(super) struct Bond {
    key: hmac::Key,
    context: Vec<u8>,
}

impl Bond {
    /// `session` identifies the TLS session; empty without TLS.
    pub(super) fn new(key: &PeerKey, hello: &Hello, nonce: &[u8; LEN], session: &[u8]) -> Self {
        // Of fixed lengths, but for the last: no two connections have the same.
        let context = [&hello.encode()[..], nonce, session].concat();
        Self {
            key: key.key().clone(),
            context,
        }
    }

    pub(super) fn sign(&self, said: Said, body: &[u8]) -> hmac::Tag {
        hmac::sign(&self.key, &self.text(said, body))
    }

    pub(super) fn verify(&self, said: Said, body: &[u8], tag: &[u8]) -> Result<(), PeerError> {
        hmac::verify(&self.key, &self.text(said, body), tag).map_err(|_| PeerError::Unproven)
    }

    fn text(&self, said: Said, body: &[u8]) -> Vec<u8> {
        let len = u8::try_from(self.context.len()).unwrap_or(u8::MAX);
        [&[said as u8, len], &self.context[..], body].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_for_one_connection_and_one_thing_said() {
        let key = PeerKey::new(b"a key of at least thirty-two bytes");
        let hello = Hello::new(1, 2).unwrap();
        let bond = |hello: &Hello, nonce: u8, session: &[u8]| {
            Bond::new(&key, hello, &[nonce; LEN], session)
        };
        let own = bond(&hello, 1, &[7; LEN]);
        let tag = own.sign(Said::Request, b"body");
        let verify = |bond: &Bond, said, body: &[u8]| bond.verify(said, body, tag.as_ref()).is_ok();
        assert!(verify(&own, Said::Request, b"body"));
        assert!(!verify(&own, Said::Outcome, b"body"));
        assert!(!verify(&own, Said::Proof, b"body"));
        assert!(!verify(&own, Said::Request, b"bodY"));
        let back = Hello {
            from: 2,
            to: 1,
            ..hello
        };
        for other in [
            bond(&hello, 2, &[7; LEN]),
            bond(&hello, 1, &[8; LEN]),
            bond(&hello, 1, b""),
            bond(&back, 1, &[7; LEN]),
            bond(&Hello::new(1, 2).unwrap(), 1, &[7; LEN]),
            Bond::new(&PeerKey::new(&[1; LEN]), &hello, &[1; LEN], &[7; LEN]),
        ] {
            assert!(!verify(&other, Said::Request, b"body"));
        }
    }
}
