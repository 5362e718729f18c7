//! What a token must claim, and what is taken from it.

use super::json::{JsonError, Object};
use super::keys::Keys;
use super::refusal::{NoKey, Refusal, Shown};
use super::token::Token;
use super::{ALGORITHMS, name_of};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, Validation, decode};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, SystemTime};

/// The most bytes of a claim that tells tenant or user.
const MAX_CLAIM: usize = 256;

/// What the tokens of one issuer must be like.
#[derive(Debug, Clone)]
pub struct Rules {
    issuer: String,
    /// By algorithm: the library wants one family in each.
    validations: HashMap<Algorithm, Validation>,
    tenant: ClaimPath,
    user: ClaimPath,
    profile: Option<ClaimPath>,
    leeway: Duration,
}

/// What a token that holds tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The tenant's id, as the issuer spells it.
    pub tenant: String,
    /// The user's name.
    pub user: String,
    /// The profile that it names, if it names one and is asked for it.
    pub profile: Option<String>,
    /// Until when it holds: `exp`, and the leeway; `None` for times beyond the
    /// clock's.
    pub expires: Option<SystemTime>,
}

impl Rules {
    /// Tokens of `issuer` for one of `audiences`, signed by one of `algorithms`.
    /// Clocks may differ by `leeway`, of which whole seconds count.
    #[must_use]
    pub fn new(
        issuer: &str,
        audiences: &[&str],
        algorithms: &[Algorithm],
        leeway: Duration,
        tenant: ClaimPath,
        user: ClaimPath,
    ) -> Self {
        let validation = |algorithm: &Algorithm| {
            let mut validation = Validation::new(*algorithm);
            validation.set_issuer(&[issuer]);
            validation.set_audience(audiences);
            validation.set_required_spec_claims(&["exp", "iss", "aud"]);
            validation.validate_nbf = true;
            validation.leeway = leeway.as_secs();
            (*algorithm, validation)
        };
        Self {
            issuer: issuer.to_owned(),
            validations: algorithms.iter().map(validation).collect(),
            tenant,
            user,
            profile: None,
            leeway,
        }
    }

    /// The same, of tokens that may name a profile there.
    #[must_use]
    pub fn naming_profiles(self, claim: Option<ClaimPath>) -> Self {
        Self {
            profile: claim,
            ..self
        }
    }

    /// Whose tokens these are.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The algorithms that are accepted, in the order of [`ALGORITHMS`].
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        let all = ALGORITHMS.iter().map(|(_, algorithm)| *algorithm);
        all.filter(|algorithm| self.validations.contains_key(algorithm))
    }

    /// Verifies the signature, then the claims.
    ///
    /// # Errors
    /// With the first reason for which it is refused.
    pub fn verify(&self, token: &Token<'_>, keys: &Keys) -> Result<Claims, Refusal> {
        let algorithm = token.algorithm;
        let validation = self
            .validations
            .get(&algorithm)
            .ok_or_else(|| Refusal::Algorithm(Shown::new(name_of(algorithm))))?;
        let mut refusal = Refusal::NoKey(NoKey {
            id: token.key_id.as_deref().map(Shown::new),
            algorithm: name_of(algorithm),
        });
        for key in keys.candidates(token.key_id.as_deref(), algorithm) {
            match decode::<Object>(token.text, key, validation) {
                Ok(token) => return self.claims(&token.claims.0),
                Err(error) => refusal = refusal_of(&error),
            }
            if refusal != Refusal::Signature {
                break;
            }
        }
        Err(refusal)
    }

    /// Whether a token that was refused so might hold with newer keys.
    #[must_use]
    pub fn wants_newer_keys(refusal: &Refusal, token: &Token<'_>, keys: &Keys) -> bool {
        match refusal {
            Refusal::NoKey(_) => true,
            Refusal::Signature => !token.key_id.as_deref().is_some_and(|id| keys.has_id(id)),
            _ => false,
        }
    }

    fn claims(&self, claims: &Map<String, Value>) -> Result<Claims, Refusal> {
        Ok(Claims {
            tenant: self.tenant.id_in(claims)?,
            user: self.user.text_in(claims)?.to_owned(),
            profile: self.profile(claims)?,
            expires: expiry(claims)?.and_then(|exp| exp.checked_add(self.leeway)),
        })
    }

    fn profile(&self, claims: &Map<String, Value>) -> Result<Option<String>, Refusal> {
        let Some(path) = &self.profile else {
            return Ok(None);
        };
        match path.text_in(claims) {
            Ok(name) => Ok(Some(name.to_owned())),
            Err(Refusal::NoClaim(_)) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }
}

/// The time of `exp`; `None` if the clock does not know such a time.
fn expiry(claims: &Map<String, Value>) -> Result<Option<SystemTime>, Refusal> {
    let seconds = claims.get("exp").and_then(Value::as_f64);
    let seconds = seconds.ok_or_else(|| Refusal::Missing("exp".into()))?;
    let since = Duration::try_from_secs_f64(seconds).ok();
    Ok(since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)))
}

fn refusal_of(error: &Error) -> Refusal {
    match error.kind() {
        ErrorKind::ExpiredSignature => Refusal::Expired,
        ErrorKind::ImmatureSignature => Refusal::NotYet,
        ErrorKind::InvalidAudience => Refusal::Audience,
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
            Refusal::Missing(claim.clone())
        }
        ErrorKind::InvalidIssuer => Refusal::Missing("iss".into()),
        ErrorKind::Json(error) if JsonError::of(error) == JsonError::Twice => {
            Refusal::Twice("payload")
        }
        ErrorKind::Json(_) => Refusal::NotAnObject("header or payload"),
        ErrorKind::Base64(_) | ErrorKind::InvalidToken => Refusal::NotAToken,
        // A key of another kind than its algorithm's verifies nothing.
        _ => Refusal::Signature,
    }
}

/// Where in the claims a value is: names from the outermost object inwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// The path of these names; at least one.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// Names with dots between (`realm_access.org`). What has the form of an
    /// address (`https://example.com/org`) is one name, as issuers do that keep
    /// their own claims apart from others so.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.contains("://") {
            Self::new([text])
        } else {
            Self::new(text.split('.'))
        }
    }

    /// Whether no name of it is empty, and there is one.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|name| !name.is_empty())
    }

    /// The value there.
    fn value_in<'c>(&self, claims: &'c Map<String, Value>) -> Result<&'c Value, Refusal> {
        let missing = || Refusal::NoClaim(self.to_string());
        let (first, rest) = self.0.split_first().ok_or_else(missing)?;
        let mut value = claims.get(first).ok_or_else(missing)?;
        for name in rest {
            value = value.get(name).ok_or_else(missing)?;
        }
        Ok(value)
    }

    /// The text there, or the digits of a whole number: only what is written as
    /// such, in JSON's one way, and fits into 64 bits.
    fn id_in(&self, claims: &Map<String, Value>) -> Result<String, Refusal> {
        match self.value_in(claims)? {
            Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
            _ => self.text_in(claims).map(str::to_owned),
        }
    }

    /// The text there.
    fn text_in<'c>(&self, claims: &'c Map<String, Value>) -> Result<&'c str, Refusal> {
        let value = self.value_in(claims)?;
        let usable = |text: &&str| {
            !text.is_empty() && text.len() <= MAX_CLAIM && !text.contains(char::is_control)
        };
        value
            .as_str()
            .filter(usable)
            .ok_or_else(|| Refusal::UnusableClaim(self.to_string()))
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
