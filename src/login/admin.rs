//! The login of an administrator. Administrators are a name space of their own: none
//! is a tenant's login, so that no proof of one leads to a tenant's rows.

use super::arrive::{Failed, Introduced};
use super::authenticate::{Authenticator, Guess, Peer, failed, negotiate, parameter};
use super::certificate::Certificate;
use super::sasl;
use super::scram::Against;
use super::throttle::Who;
use super::wire::{LoginError, MAX_MESSAGE, Wire, invalid_length};
use crate::config::AdminLogin;
use crate::directory::{CertificateName, Method, Verifier};
use crate::protocol::backend::Authentication;
use crate::protocol::startup::Startup;
use crate::tenant::LoginName;
use std::collections::BTreeMap;

/// An administrator whose credential holds. It has not been told yet.
#[derive(Debug)]
pub struct AuthenticatedAdmin {
    /// Its connection.
    pub wire: Wire,
    /// Its startup packet.
    pub startup: Startup,
    /// Its name.
    pub user: LoginName,
    /// The end of the authentication, to be sent.
    pub answer: Vec<u8>,
    /// What it has proved itself with.
    pub method: &'static str,
}

impl Authenticator {
    /// Runs the exchange with somebody who wants to be one of `admins`. A user that
    /// does not exist takes the same path as one that does, and fails at its end;
    /// `usual` is what its verifier seems to be like.
    ///
    /// # Errors
    /// If the client does not prove who it is.
    pub async fn authenticate_admin(
        &self,
        introduced: Introduced,
        admins: &BTreeMap<LoginName, AdminLogin>,
        usual: (u32, usize),
        peer: Peer<'_>,
    ) -> Result<AuthenticatedAdmin, Failed> {
        let Introduced { mut wire, startup } = introduced;
        let user = parameter(&startup, "user").unwrap_or_default().to_owned();
        let admin = admins.get(user.as_str());
        let who = Who::admin(peer.address.ip(), &user, admin.is_some());
        let guess = Guess::new(&user, who, peer);
        let mut out = Vec::new();
        negotiate(&startup, &mut out);
        let proven = self.prove_admin(&mut wire, admin, usual, guess, out).await;
        match (&proven, admin) {
            (Ok(_), _) => peer.throttle.succeeded(who),
            (Err(error), _) if error.is_wrong_guess() => peer.throttle.failed(who),
            _ => {}
        }
        match (proven, admin) {
            (Ok((answer, method)), Some(_)) => Ok(AuthenticatedAdmin {
                wire,
                startup,
                user: LoginName::new(&user),
                answer,
                method,
            }),
            (Ok(_), None) => Err((Some(Box::new(wire)), failed(&user, "no such admin"))),
            (Err(error), _) => Err((Some(Box::new(wire)), error)),
        }
    }

    async fn prove_admin(
        &self,
        wire: &mut Wire,
        admin: Option<&AdminLogin>,
        (iterations, salt_len): (u32, usize),
        guess: Guess<'_>,
        mut out: Vec<u8>,
    ) -> Result<(Vec<u8>, &'static str), LoginError> {
        let certificate = Certificate::of(wire.transport());
        let certificate = certificate.as_ref();
        let has = |name: &CertificateName| certificate.is_some_and(|own| own.is_for(name));
        let methods = admin.map_or(&[][..], |admin| &*admin.methods);
        let by_certificate = |method: &Method| matches!(method, Method::Certificate(n) if has(n));
        if methods.iter().any(by_certificate) {
            Authentication::Ok.encode(&mut out);
            return Ok((out, "cert"));
        }
        let (against, method) = match admin_verifier(methods, certificate) {
            Some((verifier, method)) => (Against::Verifier(verifier), method),
            None => {
                let reason = match admin {
                    Some(_) => "the administrator has shown no certificate that it needs",
                    None => "no such administrator",
                };
                let nothing = Against::Nothing {
                    iterations,
                    salt_len,
                    reason: reason.to_owned(),
                };
                (nothing, "scram")
            }
        };
        guess.check()?;
        let mechanisms = self.scram().mechanisms(wire.transport().is_tls());
        let chosen = sasl::offer(wire, out, mechanisms, MAX_MESSAGE).await?;
        let chosen = chosen.ok_or_else(invalid_length)?;
        guess.check()?;
        let answer = self.scram().exchange(wire, guess, against, chosen).await?;
        Ok((answer, method))
    }
}

/// What the password of an administrator with these methods is tried against, and what
/// that is called. With a certificate it may be another.
pub(crate) fn admin_verifier<'a>(
    methods: &'a [Method],
    certificate: Option<&Certificate>,
) -> Option<(&'a Verifier, &'static str)> {
    methods.iter().find_map(|method| match method {
        Method::Scram(verifier) => Some((verifier, "scram")),
        Method::CertificateAndScram(name, verifier)
            if certificate.is_some_and(|own| own.is_for(name)) =>
        {
            Some((verifier, "cert+scram"))
        }
        _ => None,
    })
}
