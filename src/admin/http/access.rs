//! Who may see what.

use super::proof::Proof;
use crate::config::{Admin, AdminHttp, AdminLogin, AdminRole, ClientCertificates};
use crate::directory::{Method, Verifier};
use crate::login::{Certificate, Throttle, Who, admin_verifier};
use crate::tenant::LoginName;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use rustls::ServerConfig;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Whom the server lets in, by the settings of a moment.
#[derive(Debug)]
pub struct Access {
    tls: Option<Arc<ServerConfig>>,
    /// Of the token: those of two texts take equally long to be compared.
    token: Option<Digest>,
    public: Vec<Arc<str>>,
    admins: BTreeMap<LoginName, AdminLogin>,
    /// What the password of an administrator that does not exist is tried against.
    decoy: Option<Verifier>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// Anybody who reaches the address.
    Anybody,
    /// Somebody who has the token.
    Token,
    /// One of `[[admins]]`.
    Admin(LoginName, AdminRole),
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denied {
    /// There was no proof.
    Unproven,
    /// The proof does not hold; for the log.
    Wrong(String),
    /// The password was not looked at: too many have failed. How long to wait.
    Throttled(Duration),
}

impl Access {
    /// What the settings say; `http` is that of the process, whose addresses wait for a
    /// restart.
    #[must_use]
    pub fn new(http: &AdminHttp, admin: &Admin) -> Self {
        Self {
            tls: http.tls.as_ref().map(|own| Arc::new(https(own))),
            token: http.token.as_ref().map(|token| hashed(token.reveal())),
            public: http.public.clone(),
            admins: admin.logins.clone(),
            decoy: Verifier::derive("nobody's").parse().ok(),
        }
    }

    /// TLS, unless it is clear text.
    pub(super) fn tls(&self) -> Option<&Arc<ServerConfig>> {
        self.tls.as_ref()
    }

    /// `https` or `http`.
    pub(super) fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }

    /// Whether anybody may read this path.
    pub(super) fn is_public(&self, path: &str) -> bool {
        self.public.iter().any(|public| **public == *path)
    }

    /// The schemes of authentication that can be tried (RFC 9110, 11.6.1).
    pub(super) fn challenges(&self) -> impl Iterator<Item = &'static str> {
        let has_password =
            |method: &Method| matches!(method, Method::Scram(_) | Method::CertificateAndScram(..));
        let mut admins = self.admins.values();
        let basic = admins.any(|admin| admin.methods.iter().any(has_password));
        let basic = basic.then_some("Basic realm=\"pgtenant\", charset=\"UTF-8\"");
        let bearer = self.token.map(|_| "Bearer realm=\"pgtenant\"");
        basic.into_iter().chain(bearer)
    }

    /// Who it is that asks.
    pub(super) async fn identify(
        &self,
        proof: Proof,
        certificate: Option<&Certificate>,
        address: IpAddr,
        desk: &Desk<'_>,
    ) -> Result<Caller, Denied> {
        match proof {
            Proof::None => self.by_certificate(certificate),
            Proof::Token(token) => self.by_token(&token),
            Proof::Password { user, password } => {
                let checked =
                    self.by_throttled_password(&user, password, certificate, address, desk);
                let name = checked.await?;
                let role = self.role(&name).ok_or(Denied::Unproven)?;
                Ok(Caller::Admin(name, role))
            }
            Proof::Unreadable => Err(Denied::Wrong(
                "the header Authorization is not one that is understood".to_owned(),
            )),
        }
    }

    /// Who it is that has this password, if not too many were wrong before.
    pub(super) async fn by_throttled_password(
        &self,
        user: &str,
        password: String,
        certificate: Option<&Certificate>,
        address: IpAddr,
        desk: &Desk<'_>,
    ) -> Result<LoginName, Denied> {
        let who = Who::admin(address, user, self.admins.contains_key(user));
        let checked = desk.throttle.check(who);
        checked.map_err(|throttled| Denied::Throttled(throttled.left()))?;
        let name = self.by_password(user, password, certificate, desk).await;
        match &name {
            Ok(_) => desk.throttle.succeeded(who),
            Err(_) => desk.throttle.failed(who),
        }
        name
    }

    fn by_token(&self, token: &str) -> Result<Caller, Denied> {
        let token = hashed(token);
        let is_own = |own: &Digest| verify_slices_are_equal(own.as_ref(), token.as_ref()).is_ok();
        match self.token.as_ref().is_some_and(is_own) {
            true => Ok(Caller::Token),
            false => Err(Denied::Wrong("the token is wrong".to_owned())),
        }
    }

    /// What the password of an administrator is tried against, who shows this
    /// certificate.
    pub(super) fn verifier(
        &self,
        user: &str,
        certificate: Option<&Certificate>,
    ) -> Option<&Verifier> {
        let certificate = certificate.filter(|shown| !shown.has_expired());
        let admin = self.admins.get(user)?;
        admin_verifier(&admin.methods, certificate).map(|(verifier, _)| verifier)
    }

    /// What an administrator may do.
    pub(super) fn role(&self, user: &LoginName) -> Option<AdminRole> {
        self.admins.get(user).map(|admin| admin.role)
    }

    /// Of several that the certificate is for, the one that may do least.
    fn by_certificate(&self, certificate: Option<&Certificate>) -> Result<Caller, Denied> {
        let certificate = certificate.filter(|shown| !shown.has_expired());
        let is_for = |admin: &AdminLogin| {
            let suffices = |method: &Method| match (method, certificate) {
                (Method::Certificate(name), Some(shown)) => shown.is_for(name),
                _ => false,
            };
            admin.methods.iter().any(suffices)
        };
        let admins = self.admins.iter().filter(|(_, admin)| is_for(admin));
        let least = admins.min_by_key(|(_, admin)| admin.role);
        let (name, admin) = least.ok_or(Denied::Unproven)?;
        Ok(Caller::Admin(name.clone(), admin.role))
    }

    async fn by_password(
        &self,
        user: &str,
        password: String,
        certificate: Option<&Certificate>,
        desk: &Desk<'_>,
    ) -> Result<LoginName, Denied> {
        let wrong = |reason: &str| Denied::Wrong(format!("administrator {user:?}: {reason}"));
        let own = self.verifier(user, certificate).cloned();
        let is_own = own.is_some();
        let Some(verifier) = own.or_else(|| self.decoy.clone()) else {
            return Err(wrong("there is no verifier to try it against"));
        };
        if !desk.is_of(verifier, password).await {
            return Err(wrong("the password is wrong"));
        }
        match self.admins.get(user).filter(|_| is_own) {
            Some(_) => Ok(LoginName::new(user)),
            None => Err(wrong("there is none who can log in by a password")),
        }
    }
}

fn hashed(text: &str) -> Digest {
    digest(&SHA256, text.as_bytes())
}

/// The certificate of the proxy with the protocol of the web.
fn https(own: &ClientCertificates) -> ServerConfig {
    let mut config = ServerConfig::clone(&own.config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// Where passwords are tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Desk<'a> {
    pub(super) throttle: &'a Throttle,
    /// So many are computed at a time; connections wait for their turn.
    pub(super) passwords: &'a Semaphore,
}

impl Desk<'_> {
    async fn is_of(&self, verifier: Verifier, password: String) -> bool {
        let Ok(_turn) = self.passwords.acquire().await else {
            return false;
        };
        // It takes half a millisecond or, with more iterations, longer.
        let compute = move || verifier.is_of(&normalized(&password));
        tokio::task::spawn_blocking(compute).await.unwrap_or(false)
    }
}

/// As PostgreSQL does: what SASLprep does not allow is taken as it is.
fn normalized(password: &str) -> std::borrow::Cow<'_, str> {
    stringprep::saslprep(password).unwrap_or(password.into())
}
