//! Which proof a client is asked for, and whether it holds.

use super::arrive::{Failed, Introduced};
use super::oauthbearer::{self, OAUTHBEARER, Rejected};
use super::sasl::{self, Chosen};
use super::scram::Scram;
use super::tokens::{self, Tokens, Verified};
use super::wire::{Answer, LoginError, MAX_MESSAGE, Wire, invalid_length};
use crate::settings::{Ask, Settings};
use crate::tenant::{Directory, Login, LoginName, Method, Principal, TenantId, Verifier};
use crate::wire::ClientError;
use crate::wire::backend::{self, Authentication};
use crate::wire::startup::Startup;
use std::time::SystemTime;
use tokio::time::Instant;

/// The newest minor version of the protocol that is spoken.
const NEWEST_MINOR: u16 = 2;

/// Checks credentials.
#[derive(Debug)]
pub struct Authenticator {
    scram: Scram,
    tokens: Tokens,
}

/// A client whose credential holds. It has not been told yet: `answer` goes in
/// front of what it is told next.
#[derive(Debug)]
pub struct Authenticated {
    /// Its connection.
    pub wire: Wire,
    /// Its startup packet.
    pub startup: Startup,
    /// Who it is.
    pub principal: Principal,
    /// The end of the authentication, to be sent.
    pub answer: Vec<u8>,
    /// Whether its login is one of the directory, not only its tenant.
    pub listed: bool,
    /// When its credential expires, if its session is to end then.
    pub expires: Option<SystemTime>,
}

/// What was proved.
struct Proof {
    principal: Principal,
    answer: Vec<u8>,
    listed: bool,
    expires: Option<SystemTime>,
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
        Ok(Self {
            scram: Scram::new(&settings.tls)?,
            tokens: Tokens::new(&settings.tokens, previous.map(|before| &before.tokens)),
        })
    }

    /// Runs the exchange. A user that does not exist takes the same path as one
    /// that does, and fails at its end.
    ///
    /// # Errors
    /// If the client does not prove who it is.
    pub async fn authenticate(
        &self,
        introduced: Introduced,
        directory: &Directory,
    ) -> Result<Authenticated, Failed> {
        let Introduced { mut wire, startup } = introduced;
        match self.exchange(&mut wire, &startup, directory).await {
            Ok(proof) => Ok(Authenticated {
                wire,
                startup,
                principal: proof.principal,
                answer: proof.answer,
                listed: proof.listed,
                expires: proof.expires,
            }),
            Err(error) => Err((Some(Box::new(wire)), error)),
        }
    }

    async fn exchange(
        &self,
        wire: &mut Wire,
        startup: &Startup,
        directory: &Directory,
    ) -> Result<Proof, LoginError> {
        let user = parameter(startup, "user")
            .filter(|user| !user.is_empty())
            .ok_or_else(|| {
                LoginError::told(ClientError::fatal(
                    "28000",
                    "no PostgreSQL user name specified in startup packet",
                ))
            })?;
        let mut out = Vec::new();
        negotiate(startup, &mut out);
        let client = Client {
            user,
            login: directory.find(user),
            directory,
        };
        if client.login.is_none() && !directory.has_all_logins() {
            return Err(unavailable());
        }
        let proof = match self.request(&client, wire.transport.is_tls()) {
            Request::Token => self.token(wire, &client, out).await,
            Request::Sasl { scram, oauthbearer } => {
                self.sasl(wire, &client, out, scram, oauthbearer).await
            }
            Request::Tls => Err(needs_tls(user)),
        };
        match proof {
            Err(LoginError::Refused { error, reason })
                if error.sqlstate == "28P01"
                    && client.login.is_none()
                    && !directory.is_complete() =>
            {
                // Perhaps its tenant is only away.
                Err(LoginError::Refused {
                    error: Box::new(unavailable_error()),
                    reason,
                })
            }
            proof => proof,
        }
    }

    /// What the client is asked for. One that must send a token is never asked
    /// without TLS.
    fn request<'d>(&self, client: &Client<'d>, is_tls: bool) -> Request<'d> {
        let Some(login) = client.login else {
            return match self.tokens.ask() {
                Some(_) if !is_tls => Request::Tls,
                Some(Ask::Password) => Request::Token,
                Some(Ask::OauthBearer) => Request::Sasl {
                    scram: None,
                    oauthbearer: true,
                },
                None => Request::scram(None),
            };
        };
        let methods = || login.methods.iter();
        let verifier = methods().find_map(password_of);
        let oauthbearer = methods().any(|method| *method == Method::OauthBearer);
        if methods().any(|method| *method == Method::Jwt) {
            return if is_tls { Request::Token } else { Request::Tls };
        }
        match verifier {
            None if oauthbearer && !is_tls => Request::Tls,
            None if oauthbearer => Request::Sasl {
                scram: None,
                oauthbearer,
            },
            verifier => Request::Sasl {
                scram: Some(verifier),
                oauthbearer: oauthbearer && is_tls,
            },
        }
    }

    /// Asks for a token as the password.
    async fn token(
        &self,
        wire: &mut Wire,
        client: &Client<'_>,
        mut out: Vec<u8>,
    ) -> Result<Proof, LoginError> {
        Authentication::CleartextPassword.encode(&mut out);
        wire.send(&out).await?;
        let body = match wire.answer_within(tokens::MAX_MESSAGE).await? {
            Answer::Body(body) => body,
            Answer::TooLong => return Err(failed(client.user, TOO_LONG)),
        };
        let text = body
            .strip_suffix(b"\0")
            .and_then(|text| std::str::from_utf8(text).ok())
            .ok_or_else(|| failed(client.user, "what was sent is not a signed JWT"))?;
        self.verified(text, client, wire.deadline)
            .await
            .map_err(|rejected| failed(client.user, &rejected.reason))
    }

    /// Offers SASL mechanisms: SCRAM where there may be a verifier, OAUTHBEARER.
    async fn sasl(
        &self,
        wire: &mut Wire,
        client: &Client<'_>,
        out: Vec<u8>,
        scram: Option<Option<&Verifier>>,
        oauthbearer: bool,
    ) -> Result<Proof, LoginError> {
        let mut mechanisms = Vec::new();
        if scram.is_some() {
            mechanisms.extend_from_slice(self.scram.mechanisms(wire.transport.is_tls()));
        }
        let mut most = MAX_MESSAGE;
        if oauthbearer {
            mechanisms.push(OAUTHBEARER);
            most = tokens::MAX_MESSAGE;
        }
        let chosen = match sasl::offer(wire, out, &mechanisms, most).await? {
            Some(chosen) => chosen,
            None if oauthbearer => return Err(failed(client.user, TOO_LONG)),
            None => return Err(invalid_length()),
        };
        if chosen.mechanism == OAUTHBEARER {
            return self.bearer(wire, client, chosen).await;
        }
        let principal = client.login.map(|login| &login.principal);
        let found = principal.zip(scram.flatten());
        let exchange = self.scram.exchange(wire, client.user, found, chosen);
        let (principal, answer) = exchange.await?;
        Ok(Proof {
            principal: principal.clone(),
            answer,
            listed: true,
            expires: None,
        })
    }

    async fn bearer(
        &self,
        wire: &mut Wire,
        client: &Client<'_>,
        chosen: Chosen,
    ) -> Result<Proof, LoginError> {
        let verified = match oauthbearer::token(wire, client.user, chosen).await? {
            Ok(token) => self.verified(&token, client, wire.deadline).await,
            Err(rejected) => Err(rejected),
        };
        match (verified, self.tokens.discovery()) {
            (Ok(proof), _) => Ok(proof),
            (Err(rejected), Some(discovery)) => {
                Err(oauthbearer::refuse(wire, client.user, discovery, &rejected).await)
            }
            (Err(rejected), None) => Err(failed(client.user, &rejected.reason)),
        }
    }

    async fn verified(
        &self,
        token: &str,
        client: &Client<'_>,
        deadline: Instant,
    ) -> Result<Proof, Rejected> {
        let verified = self.tokens.verify(token, deadline).await?;
        let principal = client.principal(&verified)?;
        let mut answer = Vec::new();
        Authentication::Ok.encode(&mut answer);
        Ok(Proof {
            principal,
            answer,
            listed: client.login.is_some(),
            expires: verified.session_ends(),
        })
    }
}

/// What a client is asked for.
enum Request<'d> {
    /// A token, as the password.
    Token,
    /// One of several mechanisms.
    Sasl {
        /// SCRAM, and the verifier if there is one.
        scram: Option<Option<&'d Verifier>>,
        oauthbearer: bool,
    },
    /// To come back with TLS.
    Tls,
}

impl<'d> Request<'d> {
    fn scram(verifier: Option<&'d Verifier>) -> Self {
        Self::Sasl {
            scram: Some(verifier),
            oauthbearer: false,
        }
    }
}

/// Who a client says it is.
struct Client<'d> {
    user: &'d str,
    /// Its login, if the directory has one of this name.
    login: Option<&'d Login>,
    directory: &'d Directory,
}

impl Client<'_> {
    /// Who the client is by its token, which holds.
    fn principal(&self, verified: &Verified<'_>) -> Result<Principal, Rejected> {
        let rejected = |reason: String| Rejected { reason };
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
                Ok(principal.clone())
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
        Ok(Principal {
            login: LoginName::new(&claims.user),
            tenant: tenant.clone(),
        })
    }
}

const TOO_LONG: &str = "the token is longer than 64 KiB";

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

/// What the password is checked against, where a password is enough.
fn password_of(method: &Method) -> Option<&Verifier> {
    match method {
        Method::Scram(verifier) => Some(verifier),
        _ => None,
    }
}

/// Whoever is not in the directory may be in the part of it that is away.
fn unavailable() -> LoginError {
    LoginError::told(unavailable_error())
}

fn unavailable_error() -> ClientError {
    ClientError::fatal("57P03", "the tenant directory is not available")
        .hint("Try again in a moment.")
}

/// The value of a startup parameter.
pub(crate) fn parameter<'a>(startup: &'a Startup, name: &str) -> Option<&'a str> {
    let found = startup.parameters.iter().find(|(known, _)| known == name)?;
    Some(&found.1)
}

/// Tells the client what it asked for and will not get: a newer minor version,
/// or protocol options.
fn negotiate(startup: &Startup, out: &mut Vec<u8>) {
    let names = startup.parameters.iter().map(|(name, _)| name.as_str());
    let unknown: Vec<_> = names.filter(|name| name.starts_with("_pq_.")).collect();
    if startup.minor > NEWEST_MINOR || !unknown.is_empty() {
        backend::negotiate_protocol_version(out, startup.minor.min(NEWEST_MINOR), &unknown);
    }
}

/// One message for every cause, so that nobody learns which it was.
pub(super) fn failed(user: &str, reason: &str) -> LoginError {
    LoginError::Refused {
        error: Box::new(ClientError::fatal(
            "28P01",
            format!("password authentication failed for user \"{user}\""),
        )),
        reason: format!("login {user:?}: {reason}"),
    }
}
