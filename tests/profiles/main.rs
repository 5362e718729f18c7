//! What logins may that have a profile (`[profiles.NAME]`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod anything;
mod configuration;
mod limits;
mod masked;
mod results;
mod shares;

use testkit::{Fields, INNOVATE, Options, Proxy, Raw, site};

/// The login of Innovate's that has the profile `bi`.
const BI: &str = "innovate_bi";

/// The proxy with a section `[profiles.bi]` of these lines, and the login [`BI`].
fn start(profile: &str) -> Proxy {
    Proxy::start(&options(profile))
}

fn options(profile: &str) -> Options {
    Options {
        more: with_login(profile),
        ..Options::default()
    }
}

fn with_login(profile: &str) -> String {
    let verifier = &site().login_verifier;
    format!(
        "[[logins]]\nuser = {BI:?}\ntenant = {INNOVATE:?}\nscram = {verifier:?}\nprofile = \"bi\"\n\
         [profiles.bi]\n{profile}\n"
    )
}

/// A client of the login [`BI`].
fn bi(proxy: &Proxy) -> Raw {
    try_bi(proxy).unwrap()
}

fn try_bi(proxy: &Proxy) -> Result<Raw, Fields> {
    let database = proxy.database("innovate");
    let parameters = [("user", BI), ("database", &database)];
    Raw::log_in(proxy.port, &proxy.password, &parameters)
}
