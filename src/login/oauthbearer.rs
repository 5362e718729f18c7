//! OAUTHBEARER (RFC 7628; protocol section "OAUTHBEARER Authentication"): the
//! token comes in the client's first SASL message.

use super::authenticate::{too_long, uncounted};
use super::sasl::Chosen;
use super::tokens::{Discovery, MAX_MESSAGE, Rejection};
use super::wire::{Answer, LoginError, Wire};
use crate::protocol::ClientError;
use crate::protocol::backend::Authentication;
use serde_json::json;

pub(super) const OAUTHBEARER: &str = "OAUTHBEARER";

/// Stands between keys and values, and alone ends an exchange that failed.
const SEPARATOR: u8 = 1;

/// A client that sent no good token.
pub(super) struct Rejected {
    /// Why it is none, for the log.
    pub(super) reason: String,
}

impl Rejected {
    /// Whose token is none, for this reason.
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }

    /// The refusal. Tokens cannot be guessed: that one has expired must not slow
    /// down whoever comes from the same address.
    pub(super) fn refusal(&self, user: &str) -> LoginError {
        uncounted(user, &self.reason)
    }
}

impl From<Rejection> for Rejected {
    fn from(rejection: Rejection) -> Self {
        Self::new(rejection.to_string())
    }
}

/// The client's first message: its token, if it sent one.
pub(super) async fn token(
    wire: &mut Wire,
    user: &str,
    chosen: Chosen,
) -> Result<Result<String, Rejected>, LoginError> {
    let first = match chosen.data {
        Some(data) => data,
        None => {
            let mut out = Vec::new();
            Authentication::SaslContinue(b"").encode(&mut out);
            wire.send(&out).await?;
            match wire.answer_within(MAX_MESSAGE).await? {
                Answer::Body(body) => body,
                Answer::TooLong => return Err(too_long(user)),
            }
        }
    };
    let credential = credential(&first).map_err(|what| {
        LoginError::told(ClientError::protocol(format!(
            "malformed OAUTHBEARER message: {what}"
        )))
    })?;
    Ok(match credential {
        "" => Err(Rejected::new("the client asks where tokens are to be had")),
        credential => match bearer(credential) {
            Some(token) => Ok(token.to_owned()),
            None => Err(Rejected::new("what was sent is not a bearer token")),
        },
    })
}

/// Tells the client that its token does not do, and where it may get one; the
/// client ends the exchange (RFC 7628, sections 3.2.2 and 3.2.3). Returns the
/// refusal.
pub(super) async fn refuse(
    wire: &mut Wire,
    user: &str,
    discovery: &Discovery,
    rejected: &Rejected,
) -> LoginError {
    let told = json!({
        "status": "invalid_token",
        "scope": discovery.scope,
        "openid-configuration": discovery.url,
    });
    let mut out = Vec::new();
    Authentication::SaslContinue(told.to_string().as_bytes()).encode(&mut out);
    // Whatever becomes of it: the reason that counts is the token's.
    if wire.send(&out).await.is_ok() {
        let _ = wire.answer().await;
    }
    rejected.refusal(user)
}

/// The value of `auth` in the client's first message: `n,,^Aauth=…^A^A`.
fn credential(message: &[u8]) -> Result<&str, &'static str> {
    let message = std::str::from_utf8(message).map_err(|_| "it is not UTF-8")?;
    let mut header = message.splitn(3, ',');
    let (Some(binding), Some(identity), Some(rest)) = (header.next(), header.next(), header.next())
    else {
        return Err("its header is incomplete");
    };
    // There is no form of it with channel binding.
    if !matches!(binding, "n" | "y") {
        return Err("it asks for channel binding");
    }
    if !identity.is_empty() {
        return Err("it asks for an authorization identity");
    }
    let separator = char::from(SEPARATOR);
    let pairs = rest
        .strip_prefix(separator)
        .and_then(|rest| rest.strip_suffix(separator))
        .ok_or("separators are missing")?;
    let mut credential = None;
    for pair in pairs.split_terminator(separator) {
        let (key, value) = pair.split_once('=').ok_or("a key has no value")?;
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphabetic()) {
            return Err("a key is not one");
        }
        if key == "auth" && credential.replace(value).is_some() {
            return Err("auth stands twice");
        }
    }
    if !pairs.ends_with(separator) {
        return Err("separators are missing");
    }
    credential.ok_or("auth is missing")
}

/// The token of `Bearer TOKEN` (RFC 6750, section 2.1; the scheme in any case).
fn bearer(credential: &str) -> Option<&str> {
    let (scheme, token) = credential.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let of_token = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.chars().all(of_token))
        .then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_credential_is_found() {
        for (message, expected) in [
            ("n,,\x01auth=Bearer abc\x01\x01", "Bearer abc"),
            ("y,,\x01auth=\x01\x01", ""),
            (
                "n,,\x01host=h\x01port=1\x01auth=Bearer a=b\x01\x01",
                "Bearer a=b",
            ),
        ] {
            assert_eq!(credential(message.as_bytes()), Ok(expected), "{message:?}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for message in [
            "",
            "n,",
            "n,,",
            "n,,\x01",
            "n,,\x01\x01",
            "n,,\x01\x01\x01",
            "n,,\x01auth=Bearer abc",
            "n,,\x01auth=Bearer abc\x01",
            "n,,auth=Bearer abc\x01\x01",
            "p=tls-server-end-point,,\x01auth=Bearer abc\x01\x01",
            "n,a=admin,\x01auth=Bearer abc\x01\x01",
            "n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01",
            "n,,\x01auth\x01\x01",
            "n,,\x01=x\x01auth=Bearer abc\x01\x01",
            "n,,\x01host=h\x01\x01",
            "n,,\x01auth=Bearer abc\x01\x01more",
            "n,,\x01auth=Bearer abc\x01\x01\x01",
        ] {
            assert!(credential(message.as_bytes()).is_err(), "{message:?}");
        }
        assert!(credential(b"n,,\x01auth=\xff\x01\x01").is_err());
    }

    #[test]
    fn a_bearer_token_is_one_word() {
        assert_eq!(bearer("Bearer a.b.c"), Some("a.b.c"));
        assert_eq!(bearer("bearer  a.b.c"), Some("a.b.c"));
        for text in ["Bearer", "Bearer ", "Basic abc", "Bearer a b", "Bearer a\0"] {
            assert_eq!(bearer(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = credential(&bytes);
            let message = [b"n,,\x01auth=", &bytes[..], b"\x01\x01"].concat();
            if let Ok(found) = credential(&message) {
                let _ = bearer(found);
            }
        }
    }
}
