//! Which proof a client is asked for, and whether it holds.

use super::arrive::{Failed, Introduced};
use super::certificate::Certificate;
use super::oauthbearer::{self, OAUTHBEARER, Rejected};
use super::request::{Asked, Request};
use super::sasl::{self, Chosen};
use super::scram::{Against, Scram};
use super::throttle::{Throttle, Who};
use super::tokens::{self, Tokens, Verified};
use super::wire::{Answer, INVALID_PASSWORD, LoginError, MAX_MESSAGE, Wire, invalid_length};
use crate::config::Settings;
use crate::directory::{CertificateMap, Directory, Login, Misfit, Principal, Vouched};
use crate::jwt::Refusal;
use crate::protocol::ClientError;
use crate::protocol::backend::{self, Authentication};
use crate::protocol::startup::Startup;
use crate::tenant::{LoginLimits, LoginName, SharedProfile, Standing, TenantId};
use crate::transport::ClientAddress;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The newest minor version of the protocol that is spoken.
const NEWEST_MINOR: u16 = 2;

/// Checks credentials.
#[derive(Debug)]
pub struct Authenticator {
    scram: Scram,
    tokens: Tokens,
    certificates: CertificateMap,
    end_expired: bool,
}

/// Where a client comes from, and what is known of failed logins.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// Its address.
    pub address: ClientAddress,
    /// What slows guessing down.
    pub throttle: &'a Throttle,
}

/// A client whose credential holds. It has not been told yet: the answer goes in
/// front of what it is told next.
#[derive(Debug)]
pub struct Authenticated {
    /// Its connection.
    pub wire: Wire,
    /// Its startup packet.
    pub startup: Startup,
    /// What its proof has led to.
    pub proven: Proven,
}

/// What a proof that holds leads to.
#[derive(Debug)]
pub struct Proven {
    /// Who the client is.
    pub principal: Principal,
    /// The end of the authentication, to be sent.
    pub answer: Vec<u8>,
    /// Whether its login is one of the directory's; else the credential alone
    /// says who it is.
    pub listed: bool,
    /// What says which profile it has, beside the directory.
    pub vouched: Option<Box<Vouched>>,
    /// When its credential expires, if its session is to end then.
    pub expires: Option<SystemTime>,
    /// What it has proved itself with, as `methods` of `[[logins]]` call it.
    pub method: &'static str,
}

/// Why what a client has proved itself with does not say any more which profile it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotVouched {
    /// Nothing is known any more of whoever made it.
    Unknown,
    /// It would lead to none.
    Refused,
}

impl Authenticator {
    /// An authenticator for these settings. `previous` is the one before they
    /// were read anew: keys of tokens that it has fetched are taken over where
    /// their address is the same. Must be called on a runtime that lasts: keys
    /// are fetched on it.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn new(
        settings: &Settings,
        previous: Option<&Self>,
    ) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let tls = settings.tls.certificates();
        Ok(Self {
            scram: Scram::new(&settings.tls)?,
            tokens: Tokens::new(&settings.tokens, previous.map(|before| &before.tokens)),
            certificates: settings.certificates.clone(),
            end_expired: tls.is_some_and(|own| own.end_expired),
        })
    }

    pub(super) fn scram(&self) -> &Scram {
        &self.scram
    }

    /// The issuers of tokens whose keys are fetched, by their names in the
    /// configuration, and how long ago that was; `None` if it never could be done.
    pub fn key_ages(&self) -> impl Iterator<Item = (&str, Option<Duration>)> {
        self.tokens.ages()
    }

    /// The profile that a client has whose login has `own`, by what it has proved itself
    /// with.
    ///
    /// # Errors
    /// If that is no proof of a profile any more.
    pub fn profile_of(
        &self,
        vouched: &Vouched,
        tenant: &TenantId,
        own: Option<&SharedProfile>,
    ) -> Result<Option<SharedProfile>, NotVouched> {
        let found = match vouched {
            Vouched::Token { issuer, named } => {
                let issuer = self.tokens.issuer(issuer).ok_or(NotVouched::Unknown)?;
                let found = issuer.profiles.of(own, named.as_deref());
                found.map_err(|_| NotVouched::Refused)?.cloned()
            }
            Vouched::Certificate { names, user } => match self.certificates.find(names, user) {
                Ok(holder) if holder.tenant == *tenant => holder.profile,
                Err(Misfit::SeveralProfiles) => return Err(NotVouched::Refused),
                Ok(_) | Err(_) => return Err(NotVouched::Unknown),
            },
        };
        Ok(found)
    }

    /// Runs the exchange. A user that does not exist takes the same path as one
    /// that does, and fails at its end.
    ///
    /// # Errors
    /// If the client does not prove who it is, or may not log in.
    pub async fn authenticate(
        &self,
        introduced: Introduced,
        directory: &Directory,
        peer: Peer<'_>,
    ) -> Result<Authenticated, Failed> {
        let Introduced { mut wire, startup } = introduced;
        match self.exchange(&mut wire, &startup, directory, peer).await {
            Ok(proven) => Ok(Authenticated {
                wire,
                startup,
                proven,
            }),
            Err(error) => Err((Some(Box::new(wire)), error)),
        }
    }

    async fn exchange(
        &self,
        wire: &mut Wire,
        startup: &Startup,
        directory: &Directory,
        peer: Peer<'_>,
    ) -> Result<Proven, LoginError> {
        let user = parameter(startup, "user")
            .filter(|user| !user.is_empty())
            .ok_or_else(|| {
                LoginError::told(ClientError::fatal(
                    "28000",
                    "no PostgreSQL user name specified in startup packet",
                ))
            })?;
        let login = directory.find(user);
        let who = Who::new(peer.address.ip(), user, login.is_some());
        let client = Client {
            user,
            login,
            directory,
            guess: Guess { user, who, peer },
        };
        if login.is_none() && !directory.has_all_logins() {
            return Err(unavailable("the login may be one that is away".to_owned()));
        }
        let mut out = Vec::new();
        negotiate(startup, &mut out);
        let proven = self.prove(wire, &client, out).await;
        let proven = proven.and_then(|proven| allowed(proven, user, &peer.address));
        match &proven {
            Ok(_) => peer.throttle.succeeded(who),
            // A right password from a wrong address counts too, or the delay
            // that does not come would tell that it was right.
            Err(error) if error.is_wrong_guess() => peer.throttle.failed(who),
            Err(_) => {}
        }
        match proven {
            Ok(proven) => standing(proven),
            // Perhaps its tenant is only away.
            Err(error)
                if error.is_wrong_credential() && login.is_none() && !directory.is_complete() =>
            {
                Err(unavailable(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    /// Asks the client for the proof that it can give, with `out` in front.
    async fn prove(
        &self,
        wire: &mut Wire,
        client: &Client<'_>,
        mut out: Vec<u8>,
    ) -> Result<Proven, LoginError> {
        let certificate = Certificate::of(&wire.transport);
        let expires = certificate.as_ref().map(|certificate| certificate.expires);
        let expires = expires.filter(|_| self.end_expired);
        let asked = Asked {
            certificate: certificate.as_ref(),
            is_tls: wire.transport.is_tls(),
            directory: client.directory,
        };
        let request = match client.login {
            Some(login) => asked.of_listed(login),
            None => asked.of_unlisted(client.user, &self.certificates, self.tokens.ask()),
        };
        match request {
            Request::Certificate(principal) => {
                wire.method = Some("cert");
                Authentication::Ok.encode(&mut out);
                let is_ruled = client.login.is_none();
                Ok(Proven {
                    principal,
                    answer: out,
                    listed: client.login.is_some(),
                    vouched: certificate
                        .filter(|_| is_ruled)
                        .map(|own| Box::new(own.vouches_for(client.user))),
                    expires,
                    method: "cert",
                })
            }
            Request::Tls => Err(needs_tls(client.user)),
            Request::Token => self.token(wire, client, out).await,
            Request::Sasl {
                scram,
                certificate,
                oauthbearer,
            } => {
                let expires = expires.filter(|_| certificate);
                let offered = Offered { scram, oauthbearer };
                let proven = self.sasl(wire, client, out, offered).await?;
                Ok(Proven {
                    expires: proven.expires.or(expires),
                    method: if certificate {
                        "cert+scram"
                    } else {
                        proven.method
                    },
                    ..proven
                })
            }
        }
    }

    /// Asks for a token as the password.
    async fn token(
        &self,
        wire: &mut Wire,
        client: &Client<'_>,
        mut out: Vec<u8>,
    ) -> Result<Proven, LoginError> {
        wire.method = Some("jwt");
        Authentication::CleartextPassword.encode(&mut out);
        wire.send(&out).await?;
        let body = match wire.answer_within(tokens::MAX_MESSAGE).await? {
            Answer::Body(body) => body,
            Answer::TooLong => return Err(too_long(client.user)),
        };
        let text = body
            .strip_suffix(b"\0")
            .and_then(|text| std::str::from_utf8(text).ok())
            .ok_or_else(|| uncounted(client.user, "what was sent is not a signed JWT"))?;
        self.verified(text, client, wire.deadline)
            .await
            .map_err(|rejected| rejected.refusal(client.user))
    }

    /// Offers SASL mechanisms: SCRAM where there may be a verifier, OAUTHBEARER.
    async fn sasl(
        &self,
        wire: &mut Wire,
        client: &Client<'_>,
        out: Vec<u8>,
        offered: Offered<'_>,
    ) -> Result<Proven, LoginError> {
        wire.method = Some(match &offered.scram {
            Some(_) => "scram",
            None => "oauthbearer",
        });
        if !offered.oauthbearer {
            client.guess.check()?;
        }
        let mut mechanisms = Vec::new();
        if offered.scram.is_some() {
            mechanisms.extend_from_slice(self.scram.mechanisms(wire.transport.is_tls()));
        }
        let mut most = MAX_MESSAGE;
        if offered.oauthbearer {
            mechanisms.push(OAUTHBEARER);
            most = tokens::MAX_MESSAGE;
        }
        let chosen = sasl::offer(wire, out, &mechanisms, most).await;
        let chosen = chosen.map_err(|error| match (error, &offered.scram) {
            // A client that has no password, most often.
            (LoginError::Lost(_), Some(Against::Nothing { reason, .. })) => {
                LoginError::Left(format!("login {:?}: {reason}", client.user))
            }
            (error, _) => error,
        })?;
        let chosen = match chosen {
            Some(chosen) => chosen,
            None if offered.oauthbearer => return Err(too_long(client.user)),
            None => return Err(invalid_length()),
        };
        let against = match offered.scram {
            Some(against) if chosen.mechanism != OAUTHBEARER => against,
            _ => return self.bearer(wire, client, chosen).await,
        };
        client.guess.check()?;
        let answer = self.scram.exchange(wire, client.guess, against, chosen);
        let answer = answer.await?;
        match client.login {
            Some(login) => Ok(Proven {
                principal: login.principal.clone(),
                answer,
                listed: true,
                vouched: None,
                expires: None,
                method: "scram",
            }),
            None => Err(failed(client.user, "no proof")),
        }
    }

    async fn bearer(
        &self,
        wire: &mut Wire,
        client: &Client<'_>,
        chosen: Chosen,
    ) -> Result<Proven, LoginError> {
        wire.method = Some("oauthbearer");
        let verified = match oauthbearer::token(wire, client.user, chosen).await? {
            Ok(token) => self.verified(&token, client, wire.deadline).await,
            Err(rejected) => Err(rejected),
        };
        match (verified, self.tokens.discovery()) {
            (Ok(proven), _) => Ok(Proven {
                method: "oauthbearer",
                ..proven
            }),
            (Err(rejected), Some(discovery)) => {
                Err(oauthbearer::refuse(wire, client.user, discovery, &rejected).await)
            }
            (Err(rejected), None) => Err(rejected.refusal(client.user)),
        }
    }

    async fn verified(
        &self,
        token: &str,
        client: &Client<'_>,
        deadline: Instant,
    ) -> Result<Proven, Rejected> {
        let verified = self.tokens.verify(token, deadline).await?;
        let principal = client.principal(&verified)?;
        let mut answer = Vec::new();
        Authentication::Ok.encode(&mut answer);
        Ok(Proven {
            principal,
            answer,
            listed: client.login.is_some(),
            vouched: Some(Box::new(verified.vouches())),
            expires: verified.session_ends(),
            method: "jwt",
        })
    }
}

/// What a client is offered to prove itself by.
struct Offered<'a> {
    scram: Option<Against<'a>>,
    oauthbearer: bool,
}

/// Who a client says it is.
struct Client<'d> {
    user: &'d str,
    /// Its login, if the directory has one of this name.
    login: Option<&'d Login>,
    directory: &'d Directory,
    guess: Guess<'d>,
}

impl Client<'_> {
    /// Who the client is by its token, which holds.
    fn principal(&self, verified: &Verified<'_>) -> Result<Principal, Rejected> {
        let rejected = |reason: String| Rejected::new(reason);
        let claims = &verified.claims;
        if verified.issuer.user_must_match && claims.user != self.user {
            return Err(rejected(format!(
                "the token is that of user {:?}",
                claims.user
            )));
        }
        let id = TenantId::parse(&claims.tenant);
        if let Some(login) = self.login {
            let principal = &login.principal;
            return if principal.tenant.id == id {
                self.with_profile(principal.clone(), verified)
            } else {
                Err(rejected(format!(
                    "the token is for tenant {:?}, the login is of {:?}",
                    claims.tenant,
                    principal.tenant.id.as_str()
                )))
            };
        }
        if self.directory.find(&claims.user).is_some() {
            // That login has rules of its own.
            return Err(rejected(format!(
                "the token's user {:?} has a login of its own, and did not use it",
                claims.user
            )));
        }
        let tenant = self
            .directory
            .tenant(&id)
            .ok_or_else(|| rejected(format!("no tenant has the token's id {:?}", claims.tenant)))?;
        let principal = Principal {
            login: LoginName::new(&claims.user),
            tenant: tenant.clone(),
            limits: LoginLimits::default(),
        };
        self.with_profile(principal, verified)
    }

    /// The client, with the profile that it has by its token.
    fn with_profile(
        &self,
        principal: Principal,
        verified: &Verified<'_>,
    ) -> Result<Principal, Rejected> {
        let named = verified.claims.profile.as_deref();
        let own = principal.limits.profile.as_ref();
        let profile = verified.issuer.profiles.of(own, named);
        let profile = profile.map_err(|error| Rejected::new(error.to_string()))?;
        let profile = profile.cloned();
        let placed = self.directory.with_profile(principal, profile);
        placed.map_err(|error| Rejected::new(error.to_string()))
    }
}

/// A credential that a client tries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guess<'a> {
    pub(super) user: &'a str,
    who: Who,
    peer: Peer<'a>,
}

impl<'a> Guess<'a> {
    pub(super) fn new(user: &'a str, who: Who, peer: Peer<'a>) -> Self {
        Self { user, who, peer }
    }

    /// Whether it may be looked at now.
    pub(super) fn check(&self) -> Result<(), LoginError> {
        let checked = self.peer.throttle.check(self.who);
        checked.map_err(|throttled| uncounted(self.user, &throttled.to_string()))
    }
}

/// Whether the tenant's clients may come from this address.
fn allowed(proven: Proven, user: &str, address: &ClientAddress) -> Result<Proven, LoginError> {
    let Principal { tenant, limits, .. } = &proven.principal;
    if tenant.allows(limits, address) {
        return Ok(proven);
    }
    Err(failed(user, "address not allowed"))
}

/// Whether the tenant's clients may log in at all. Who has proved to be one may
/// know.
fn standing(proven: Proven) -> Result<Proven, LoginError> {
    match proven.principal.tenant.standing {
        Standing::Active | Standing::ReadOnly => Ok(proven),
        Standing::Suspended => Err(LoginError::Refused {
            error: Box::new(ClientError::fatal("28000", "the tenant is suspended")),
            reason: format!(
                "login {:?}: tenant {} is suspended",
                proven.principal.login.as_str(),
                proven.principal.tenant.id
            ),
        }),
    }
}

/// Whoever is not in the directory may be in the part of it that is away.
fn unavailable(reason: String) -> LoginError {
    let error = ClientError::fatal("57P03", "the tenant directory is not available")
        .hint("Try again in a moment.");
    LoginError::Refused {
        error: Box::new(error),
        reason,
    }
}

/// The value of a startup parameter.
pub(crate) fn parameter<'a>(startup: &'a Startup, name: &str) -> Option<&'a str> {
    let found = startup.parameters.iter().find(|(known, _)| known == name)?;
    Some(&found.1)
}

/// Tells the client what it asked for and will not get: a newer minor version,
/// or protocol options.
pub(super) fn negotiate(startup: &Startup, out: &mut Vec<u8>) {
    let names = startup.parameters.iter().map(|(name, _)| name.as_str());
    let unknown: Vec<_> = names.filter(|name| name.starts_with("_pq_.")).collect();
    if startup.minor > NEWEST_MINOR || !unknown.is_empty() {
        backend::negotiate_protocol_version(out, startup.minor.min(NEWEST_MINOR), &unknown);
    }
}

/// A token would be read by everybody on the way.
fn needs_tls(user: &str) -> LoginError {
    LoginError::Refused {
        error: Box::new(
            ClientError::fatal("28000", "this login needs TLS")
                .hint("Connect with sslmode=require, or better sslmode=verify-full."),
        ),
        reason: format!("login {user:?}: a token is not asked for without TLS"),
    }
}

/// One message for every cause, so that nobody learns which it was.
pub(super) fn failed(user: &str, reason: &str) -> LoginError {
    LoginError::Refused {
        error: Box::new(wrong_credential(user)),
        reason: format!("login {user:?}: {reason}"),
    }
}

/// The same, where it was no guess at a password.
pub(super) fn uncounted(user: &str, reason: &str) -> LoginError {
    LoginError::Uncounted {
        error: Box::new(wrong_credential(user)),
        reason: format!("login {user:?}: {reason}"),
    }
}

/// A message that no token can fill.
pub(super) fn too_long(user: &str) -> LoginError {
    uncounted(user, &Refusal::TooLong.to_string())
}

fn wrong_credential(user: &str) -> ClientError {
    ClientError::fatal(
        INVALID_PASSWORD,
        format!("password authentication failed for user \"{user}\""),
    )
}
