//! A client that logs in with a token, and the proxy that it comes to.

use crate::issuer::{AUDIENCE, ISSUER, Signer, jwks};
use testkit::{Fields, Options, Proxy, Raw, Tls, V3_0, message, site, startup, wait_until};

/// The proxy with a section `[jwt.test]` of these lines, and more behind it.
pub(crate) fn proxy(lines: &str, more: &str) -> Proxy {
    Proxy::start(&options(lines, more))
}

pub(crate) fn options(lines: &str, more: &str) -> Options {
    Options {
        tls: "allow",
        more: format!(
            "[jwt.test]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\n{lines}\n{more}"
        ),
        ..Options::default()
    }
}

/// The line of a JWK set in a file.
pub(crate) fn keys_of(signers: &[&Signer]) -> String {
    let path = site().write_new(".jwks", &jwks(signers));
    format!("jwks_file = {path:?}")
}

/// Comes over TLS as `user`, and is asked for a password.
pub(crate) fn asked(proxy: &Proxy, user: &str) -> Result<Raw, Fields> {
    let mut conn = Raw::secured(proxy.port, Tls::V1_3);
    conn.send(&startup(V3_0, &[("user", user)]));
    let request = conn.try_read().unwrap();
    match (request.tag, &request.body[..]) {
        (b'R', [0, 0, 0, 3]) => Ok(conn),
        (b'E', _) => Err(request.fields()),
        _ => panic!("a request for the password was expected: {request:?}"),
    }
}

/// Logs in with the token as the password.
pub(crate) fn log_in(proxy: &Proxy, user: &str, token: &str) -> Result<Raw, Fields> {
    let mut conn = asked(proxy, user)?;
    send_password(&mut conn, token);
    conn.finish_login()?;
    Ok(conn)
}

pub(crate) fn send_password(conn: &mut Raw, token: &str) {
    conn.send(&message(b'p', &[token.as_bytes(), b"\0"].concat()));
}

/// Whose rows the connection sees.
pub(crate) fn email(conn: &mut Raw) -> String {
    conn.value("SELECT email FROM users")
}

/// Asserts what everybody is told whose token is not accepted, and what the log
/// says of it.
#[track_caller]
pub(crate) fn refused(proxy: &Proxy, outcome: Result<Raw, Fields>, user: &str, reason: &str) {
    let Err(error) = outcome else {
        panic!("{reason}: the token was accepted");
    };
    let expected = format!("password authentication failed for user \"{user}\"");
    assert_eq!(error.message(), expected, "{reason}: {error:?}");
    assert_eq!((error.severity(), error.code()), ("FATAL", "28P01"));
    assert_eq!(error.hint(), "");
    let said = format!("login {user:?}: ");
    wait_until(reason, || {
        let is_it = |line: &str| {
            line.contains("login_refused") && line.contains(&said) && line.contains(reason)
        };
        proxy.log().lines().any(is_it)
    });
}
