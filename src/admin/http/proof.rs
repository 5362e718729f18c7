//! What a request brings along to prove whose it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap};

/// The proof in the header `Authorization`.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Proof {
    /// There is none.
    None,
    /// `Bearer` (RFC 6750)
    Token(String),
    /// `Basic` (RFC 7617)
    Password {
        /// The name of an administrator.
        user: String,
        /// The password, as it was sent.
        password: String,
    },
    /// Something else.
    Unreadable,
}

impl Proof {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let value = match (all.next(), all.next()) {
            (None, _) => return Self::None,
            (Some(value), None) => value,
            // Nobody could say which one counts.
            (Some(_), Some(_)) => return Self::Unreadable,
        };
        let text = value.to_str().ok();
        let Some((scheme, rest)) = text.and_then(|text| text.split_once(' ')) else {
            return Self::Unreadable;
        };
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Self::Token(rest.to_owned());
        }
        if scheme.eq_ignore_ascii_case("basic") {
            return Self::basic(rest).unwrap_or(Self::Unreadable);
        }
        Self::Unreadable
    }

    fn basic(encoded: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Self::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn proof(values: &[&str]) -> Proof {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        Proof::of(&headers)
    }

    #[test]
    fn a_proof_is_read_as_it_is_meant_or_not_at_all() {
        let password = |user: &str, password: &str| Proof::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        };
        let token = |text: &str| Proof::Token(text.to_owned());
        for (values, expected) in [
            (&[][..], Proof::None),
            (&["Bearer abc"], token("abc")),
            (&["bearer  abc "], token("abc")),
            (&["Basic b3BzOnNlY3JldA=="], password("ops", "secret")),
            (&["basic b3BzOmE6Yg=="], password("ops", "a:b")),
            (&["Basic Og=="], password("", "")),
            (&["Basic b3Bz"], Proof::Unreadable),
            (&["Basic //79"], Proof::Unreadable),
            (&["Basic !"], Proof::Unreadable),
            (&["Bearer"], Proof::Unreadable),
            (&["Digest username=ops"], Proof::Unreadable),
            (&[""], Proof::Unreadable),
            (&["Bearer a", "Bearer b"], Proof::Unreadable),
        ] {
            assert!(proof(values) == expected, "{values:?}");
        }
    }
}
