//! Checking tokens: by the rules of their issuers, with keys that are fetched
//! where they have to be.

use super::jwks::FetchedKeys;
use crate::config::{self, Ask, KeySource};
use crate::directory::Vouched;
use crate::jwt::{self, Claims, Keys, Refusal, Rules, Token};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The most bytes of a message with a token: what is around it included.
pub(super) const MAX_MESSAGE: usize = jwt::MAX_LENGTH + (1 << 10);

/// All issuers of tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issuers: Vec<Issuer>,
    ask: Ask,
    discovery: Option<Discovery>,
}

#[derive(Debug)]
struct Issuer {
    settings: config::Issuer,
    keys: Source,
}

#[derive(Debug)]
enum Source {
    Fixed(Arc<Keys>),
    Fetched(Arc<FetchedKeys>),
}

/// Where clients are told to get tokens.
#[derive(Debug)]
pub(super) struct Discovery {
    pub(super) scope: String,
    pub(super) url: String,
}

/// A token that holds.
pub(super) struct Verified<'s> {
    pub(super) claims: Claims,
    pub(super) issuer: &'s config::Issuer,
}

impl Verified<'_> {
    /// What it says of the client's profile.
    pub(super) fn vouches(&self) -> Vouched {
        Vouched::Token {
            issuer: self.issuer.rules.issuer().into(),
            named: self.claims.profile.as_deref().map(Box::from),
        }
    }

    /// When its session is to end, if it is to.
    pub(super) fn session_ends(&self) -> Option<SystemTime> {
        self.claims.expires.filter(|_| self.issuer.end_expired)
    }
}

impl Tokens {
    /// The issuer of this name, as its tokens call it.
    pub(super) fn issuer(&self, name: &str) -> Option<&config::Issuer> {
        let mut all = self.issuers.iter().map(|issuer| &issuer.settings);
        all.find(|issuer| issuer.rules.issuer() == name)
    }

    /// For these sections. What `previous` has fetched from an address that has
    /// not changed is taken over. Must be called on a runtime where an address
    /// is named: it begins to fetch.
    pub(super) fn new(settings: &config::Tokens, previous: Option<&Self>) -> Self {
        let known = || previous.into_iter().flat_map(|tokens| &tokens.issuers);
        let issuer = |settings: &config::Issuer| Issuer {
            settings: settings.clone(),
            keys: match &settings.keys {
                KeySource::Fixed(keys) => Source::Fixed(keys.clone()),
                KeySource::Fetched(from) => {
                    let mut known = known().filter_map(|issuer| match &issuer.keys {
                        Source::Fetched(keys) if keys.are_from(from) => Some(keys.clone()),
                        _ => None,
                    });
                    let start = || FetchedKeys::start(&settings.name, from.clone());
                    Source::Fetched(known.next().unwrap_or_else(start))
                }
            },
        };
        let discovery = settings.issuers.first().map(|issuer| Discovery {
            scope: issuer.scope.clone(),
            url: format!(
                "{}/.well-known/openid-configuration",
                issuer.rules.issuer().trim_end_matches('/')
            ),
        });
        Self {
            issuers: settings.issuers.iter().map(issuer).collect(),
            ask: settings.ask,
            discovery,
        }
    }

    /// The issuers whose keys are fetched, by their names in the configuration, and how
    /// long ago that was; `None` if it never could be done.
    pub(super) fn ages(&self) -> impl Iterator<Item = (&str, Option<Duration>)> {
        self.issuers.iter().filter_map(|issuer| match &issuer.keys {
            Source::Fixed(_) => None,
            Source::Fetched(keys) => Some((&*issuer.settings.name, keys.age())),
        })
    }

    /// How clients without a login of their own are asked; `None` if they are
    /// not let in.
    pub(super) fn ask(&self) -> Option<Ask> {
        (!self.issuers.is_empty()).then_some(self.ask)
    }

    /// What clients are told that have no good token. Of several issuers it is
    /// the first by name.
    pub(super) fn discovery(&self) -> Option<&Discovery> {
        self.discovery.as_ref()
    }

    /// Verifies a token; by `deadline`, where newer keys have to be waited for.
    pub(super) async fn verify(
        &self,
        text: &str,
        deadline: Instant,
    ) -> Result<Verified<'_>, Rejection> {
        let token = Token::parse(text)?;
        let mut issuers = self.issuers.iter();
        let Some(issuer) = issuers.find(|issuer| issuer.settings.rules.issuer() == token.issuer())
        else {
            return Err(Refusal::UnknownIssuer(jwt::Shown::new(token.issuer())).into());
        };
        let claims = issuer.verify(&token, deadline).await?;
        Ok(Verified {
            claims,
            issuer: &issuer.settings,
        })
    }
}

impl Issuer {
    async fn verify(&self, token: &Token<'_>, deadline: Instant) -> Result<Claims, Rejection> {
        let rules = &self.settings.rules;
        let fetched = match &self.keys {
            Source::Fixed(keys) => return Ok(rules.verify(token, keys)?),
            Source::Fetched(fetched) => fetched,
        };
        let mut newest = fetched.newest();
        loop {
            let keys = newest.keys();
            let refusal = match rules.verify(token, &keys) {
                Ok(claims) => return Ok(claims),
                Err(refusal) => refusal,
            };
            if !Rules::wants_newer_keys(&refusal, token, &keys) {
                return Err(refusal.into());
            }
            if !newest.newer(deadline).await {
                return Err(Rejection {
                    trouble: newest.trouble(),
                    refusal,
                });
            }
        }
    }
}

/// Why a token is not accepted, for the log.
#[derive(Debug)]
pub(super) struct Rejection {
    refusal: Refusal,
    /// Why there are no newer keys.
    trouble: Option<String>,
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            trouble: None,
        }
    }
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.refusal)?;
        match &self.trouble {
            Some(trouble) => write!(f, " (the issuer's keys could not be fetched: {trouble})"),
            None => Ok(()),
        }
    }
}
