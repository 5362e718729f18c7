//! What a client is asked for, by what its login accepts and what it has.

use super::certificate::{Certificate, spelled};
use super::scram::Against;
use crate::config::Ask;
use crate::directory::{CertificateMap, Directory, Login, Method, Principal, Verifier};
use crate::tenant::{LoginLimits, LoginName};

/// What a client is asked for.
pub(super) enum Request<'d> {
    /// Nothing more: its certificate says who it is.
    Certificate(Principal),
    /// A token, as the password.
    Token,
    /// One of several mechanisms.
    Sasl {
        /// SCRAM, and what the password is checked against.
        scram: Option<Against<'d>>,
        /// Whether a certificate was needed besides.
        certificate: bool,
        /// A token, by OAUTHBEARER.
        oauthbearer: bool,
    },
    /// To come back with TLS.
    Tls,
}

/// A client that is to be asked.
pub(super) struct Asked<'a> {
    /// Its certificate, which has been verified.
    pub(super) certificate: Option<&'a Certificate>,
    /// Without TLS nobody is asked for a token.
    pub(super) is_tls: bool,
    pub(super) directory: &'a Directory,
}

impl Asked<'_> {
    /// The strongest of the login's methods that the client has the means for.
    pub(super) fn of_listed<'d>(&self, login: &'d Login) -> Request<'d> {
        let has = |name| self.certificate.is_some_and(|own| own.is_for(name));
        let methods = || login.methods.iter();
        let accepts = |wanted| methods().any(|method| *method == wanted);
        if methods().any(|method| matches!(method, Method::Certificate(name) if has(name))) {
            return Request::Certificate(login.principal.clone());
        }
        let both = methods().find_map(|method| match method {
            Method::CertificateAndScram(name, verifier) if has(name) => Some(verifier),
            _ => None,
        });
        if let Some(verifier) = both {
            return Request::Sasl {
                scram: Some(Against::Verifier(verifier)),
                certificate: true,
                oauthbearer: false,
            };
        }
        if accepts(Method::Jwt) {
            return self.token(Request::Token);
        }
        let oauthbearer = accepts(Method::OauthBearer);
        match methods().find_map(password_of) {
            None if oauthbearer => self.token(BEARER),
            Some(verifier) => Request::Sasl {
                scram: Some(Against::Verifier(verifier)),
                certificate: false,
                oauthbearer: oauthbearer && self.is_tls,
            },
            None => self.hopeless(missing(login, self.certificate)),
        }
    }

    /// A user that is not listed: a certificate or a token says itself whose it
    /// is.
    pub(super) fn of_unlisted<'d>(
        &self,
        user: &str,
        certificates: &CertificateMap,
        ask: Option<Ask>,
    ) -> Request<'d> {
        let reason = match self.by_certificate(user, certificates) {
            Ok(principal) => return Request::Certificate(principal),
            Err(reason) => reason,
        };
        match ask {
            Some(Ask::Password) => self.token(Request::Token),
            Some(Ask::OauthBearer) => self.token(BEARER),
            None => self.hopeless(reason),
        }
    }

    fn by_certificate(
        &self,
        user: &str,
        certificates: &CertificateMap,
    ) -> Result<Principal, String> {
        let certificate = self.certificate.ok_or_else(|| "no such login".to_owned())?;
        let holder = certificates
            .find(&certificate.names, user)
            .map_err(|misfit| {
                let shown = certificate.shown();
                format!("no such login, and {misfit} ({shown})")
            })?;
        if self.directory.find(&holder.login).is_some() {
            // That login has rules of its own.
            return Err(format!(
                "the client certificate's user {:?} has a login of its own, and did not use it",
                holder.login
            ));
        }
        match self.directory.tenant(&holder.tenant) {
            Some(tenant) => {
                let principal = Principal {
                    login: LoginName::new(&holder.login),
                    tenant: tenant.clone(),
                    limits: LoginLimits::default(),
                };
                let placed = self.directory.with_profile(principal, holder.profile);
                placed.map_err(|error| error.to_string())
            }
            None => Err(format!(
                "the client certificate is for tenant {:?}, which does not exist",
                holder.tenant.as_str()
            )),
        }
    }

    /// A token would be read by everybody on the way, were there no TLS.
    fn token<'d>(&self, request: Request<'d>) -> Request<'d> {
        if self.is_tls { request } else { Request::Tls }
    }

    /// Asked for a password like everybody; none will do.
    fn hopeless<'d>(&self, reason: String) -> Request<'d> {
        let (iterations, salt_len) = self.directory.usual_secret();
        Request::Sasl {
            scram: Some(Against::Nothing {
                iterations,
                salt_len,
                reason,
            }),
            certificate: false,
            oauthbearer: false,
        }
    }
}

const BEARER: Request<'static> = Request::Sasl {
    scram: None,
    certificate: false,
    oauthbearer: true,
};

/// What the password is checked against, where a password is enough.
fn password_of(method: &Method) -> Option<&Verifier> {
    match method {
        Method::Scram(verifier) => Some(verifier),
        _ => None,
    }
}

/// Why none of the login's methods can be used.
fn missing(login: &Login, certificate: Option<&Certificate>) -> String {
    let names: Vec<_> = login
        .methods
        .iter()
        .filter_map(|method| match method {
            Method::Certificate(name) | Method::CertificateAndScram(name, _) => Some(name),
            _ => None,
        })
        .collect();
    let needed = spelled(names.iter().copied());
    match certificate {
        _ if names.is_empty() => "the login does not accept what the client has".to_owned(),
        None => format!("no client certificate, and the login needs one for {needed}"),
        Some(certificate) => format!(
            "the client certificate is {}, and the login needs one for {needed}",
            certificate.shown()
        ),
    }
}
