//! The text of a token, taken apart.

use super::json::{JsonError, Object};
use super::refusal::{Refusal, Shown};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::Value;
use std::fmt;

/// The most bytes of a token.
pub const MAX_LENGTH: usize = 64 << 10;

/// The types of tokens that prove who a user is: ID tokens, most access tokens,
/// and those of RFC 9068.
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// A token that is well-formed. Nothing in it has been verified: it serves to
/// find the keys.
#[derive(Clone)]
pub struct Token<'t> {
    pub(super) text: &'t str,
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    issuer: String,
}

impl<'t> Token<'t> {
    /// Takes `text` apart (RFC 7515, section 7.1). What the header says of keys
    /// but `kid` (`jwk`, `jku`, `x5u`, …) is not read: keys come from the
    /// configuration alone.
    ///
    /// # Errors
    /// If it is not the text of a token that could be accepted at all.
    pub fn parse(text: &'t str) -> Result<Self, Refusal> {
        if text.len() > MAX_LENGTH {
            return Err(Refusal::TooLong);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::NotAToken);
        };
        let header = part(header, "header")?;
        let payload = part(payload, "payload")?;
        if header.0.contains_key("crit") {
            return Err(Refusal::Critical);
        }
        if let Some(kind) = text_of(&header, "typ", "header's typ")?
            && !TYPES.iter().any(|known| kind.eq_ignore_ascii_case(known))
        {
            return Err(Refusal::Type(Shown::new(kind)));
        }
        let algorithm = text_of(&header, "alg", "header's alg")?.unwrap_or_default();
        let key_id = text_of(&header, "kid", "header's kid")?;
        let issuer = text_of(&payload, "iss", "claim iss")?;
        let Some((_, known)) = super::ALGORITHMS
            .iter()
            .find(|(name, _)| *name == algorithm)
        else {
            return Err(Refusal::Algorithm(Shown::new(algorithm)));
        };
        Ok(Self {
            text,
            algorithm: *known,
            key_id: key_id.map(str::to_owned),
            issuer: issuer
                .ok_or_else(|| Refusal::Missing("iss".into()))?
                .to_owned(),
        })
    }

    /// Who claims to have made it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn part(text: &str, name: &'static str) -> Result<Object, Refusal> {
    let json = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Refusal::NotAToken)?;
    Object::parse(&json).map_err(|error| match error {
        JsonError::NoObject => Refusal::NotAnObject(name),
        JsonError::Twice => Refusal::Twice(name),
    })
}

fn text_of<'o>(
    object: &'o Object,
    key: &str,
    name: &'static str,
) -> Result<Option<&'o str>, Refusal> {
    match object.0.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::WrongType(name, "text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(header: &str, payload: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.", encode(header), encode(payload))
    }

    #[test]
    fn what_is_needed_to_find_a_key_is_read() {
        let text = of(r#"{"alg":"ES256","kid":"k"}"#, r#"{"iss":"i"}"#);
        let token = Token::parse(&text).unwrap();
        assert_eq!(token.algorithm, Algorithm::ES256);
        assert_eq!(token.key_id.as_deref(), Some("k"));
        assert_eq!(token.issuer(), "i");
        let shown = format!("{token:?}");
        assert_eq!(shown, "Token { algorithm: ES256, .. }");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}", header in "\\PC{0,80}") {
            let _ = Token::parse(&text);
            let _ = Token::parse(&of(&header, &text));
        }
    }
}
