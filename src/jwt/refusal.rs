//! Why a token is refused: for the log alone, a client is never told.

use std::fmt;

/// Why a token is refused. It shows no part of the token but names that stand in
/// its header and claims, cut when they are long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is longer than [`MAX_LENGTH`](super::MAX_LENGTH).
    #[error("the token is longer than 64 KiB")]
    TooLong,
    /// It is not three parts of base64url with dots between.
    #[error("what was sent is not a signed JWT")]
    NotAToken,
    /// A part is not a JSON object.
    #[error("the token's {0} is not a JSON object")]
    NotAnObject(&'static str),
    /// A name stands twice in a part.
    #[error("a name stands twice in the token's {0}")]
    Twice(&'static str),
    /// The header or a claim is of the wrong type.
    #[error("the token's {0} is not {1}")]
    WrongType(&'static str, &'static str),
    /// The header asks for extensions to be understood (RFC 7515, section
    /// 4.1.11).
    #[error("the token's header asks for extensions that are not known (crit)")]
    Critical,
    /// The header's type is of another kind of token (RFC 8725, section 3.11).
    #[error("tokens of type {0} are not for logging in")]
    Type(Shown),
    /// The algorithm is not in the list.
    #[error("the token's algorithm {0} is not accepted")]
    Algorithm(Shown),
    /// No section has the issuer.
    #[error("no section [jwt.NAME] has the token's issuer {0}")]
    UnknownIssuer(Shown),
    /// There is no key for it.
    #[error("no key is known for the token: {0}")]
    NoKey(NoKey),
    /// No key fits the signature.
    #[error("the token's signature does not verify")]
    Signature,
    /// A claim that is required is not there, or is of another type.
    #[error("the token has no claim {0}, or one of the wrong type")]
    Missing(String),
    /// `exp` is past.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is to come.
    #[error("the token is not valid yet")]
    NotYet,
    /// `aud` names others.
    #[error("the token is for another audience")]
    Audience,
    /// A claim that tells tenant or user is not there.
    #[error("the token has no claim {0}")]
    NoClaim(String),
    /// Such a claim is not text, or not one that can be used.
    #[error("the token's claim {0} is not text that can be used")]
    UnusableClaim(String),
}

/// For which token no key is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoKey {
    pub(super) id: Option<Shown>,
    pub(super) algorithm: &'static str,
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "kid {id}, {}", self.algorithm),
            None => write!(f, "without kid, {}", self.algorithm),
        }
    }
}

/// A text that a stranger sent, in quotes, cut when it is long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    const MOST: usize = 100;

    /// Makes `text` fit to be shown.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(match text.char_indices().nth(Self::MOST) {
            Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
            None => format!("{text:?}"),
        })
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
