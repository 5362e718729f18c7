//! Settings that `SET` changes while the proxy runs, by PgBouncer's names.

use crate::attach::is_userset;
use crate::problem::nearest;
use std::time::Duration;

/// A setting that can be changed while the proxy runs.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// PgBouncer's name.
    pub name: &'static str,
    /// The key of the configuration, such as `pool.size`.
    pub key: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Seconds,
    Bytes,
}

const SETTINGS: [Setting; 15] = [
    Setting::new("max_client_conn", "listen.max_clients", Kind::Number),
    Setting::new(
        "max_user_client_connections",
        "listen.clients_per_tenant",
        Kind::Number,
    ),
    Setting::new(
        "client_login_timeout",
        "listen.login_timeout",
        Kind::Seconds,
    ),
    Setting::new("max_packet_size", "listen.max_statement", Kind::Bytes),
    Setting::new(
        "client_idle_timeout",
        "listen.client_idle_timeout",
        Kind::Seconds,
    ),
    Setting::new("query_timeout", "listen.statement_timeout", Kind::Seconds),
    Setting::new(
        "idle_transaction_timeout",
        "listen.idle_in_transaction_timeout",
        Kind::Seconds,
    ),
    Setting::new(
        "transaction_timeout",
        "listen.transaction_timeout",
        Kind::Seconds,
    ),
    Setting::new("default_pool_size", "pool.size", Kind::Number),
    Setting::new("min_pool_size", "pool.min_idle", Kind::Number),
    Setting::new("max_user_connections", "pool.size_per_tenant", Kind::Number),
    Setting::new("query_wait_timeout", "pool.wait_timeout", Kind::Seconds),
    Setting::new("server_idle_timeout", "pool.idle_timeout", Kind::Seconds),
    Setting::new("server_lifetime", "pool.connection_lifetime", Kind::Seconds),
    Setting::new("server_check_delay", "pool.check_after", Kind::Seconds),
];

/// `SET` with one of these behind it is PostgreSQL's, and no setting's name.
const SESSION_WORDS: [&str; 10] = [
    "session",
    "local",
    "time",
    "names",
    "transaction",
    "role",
    "schema",
    "constraints",
    "seed",
    "xml",
];

impl Setting {
    const fn new(name: &'static str, key: &'static str, kind: Kind) -> Self {
        Self { name, key, kind }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// What the configuration has for what an administrator has written: numbers alone
    /// are seconds or bytes.
    ///
    /// # Errors
    /// What the administrator is told of what is neither. Whether it is too large is
    /// the configuration's to say.
    pub fn value(&self, text: &str) -> Result<String, String> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = || {
            let seconds: f64 = text.parse().ok()?;
            Duration::try_from_secs_f64(seconds).ok()
        };
        match self.kind {
            Kind::Number if is_number => Ok(text.to_owned()),
            Kind::Number => Err(format!("{} must be a whole number", self.name)),
            Kind::Bytes if is_number => Ok(format!("{text}B")),
            Kind::Bytes => Ok(text.to_owned()),
            Kind::Seconds => Ok(match seconds() {
                Some(time) => format!("{}ms", time.as_millis()),
                None => text.to_owned(),
            }),
        }
    }
}

/// Whether a session of PostgreSQL's has this setting: drivers set some at the start of
/// each session, whomever they talk to. `name`: in lower case.
pub(super) fn is_session_s(name: &str) -> bool {
    is_userset(name) || name.contains('.') || SESSION_WORDS.contains(&name)
}

/// What an administrator is told of a name that is no setting's.
pub(super) fn unknown(name: &str) -> String {
    let names = SETTINGS.iter().map(|setting| setting.name);
    match nearest(name, names) {
        Some(nearest) => format!("no setting '{name}' can be changed; did you mean {nearest}?"),
        None => format!("no setting '{name}' can be changed; SHOW CONFIG has those that can"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_seconds_and_bytes_as_pgbouncer_has_them() {
        for (name, text, value) in [
            ("default_pool_size", "7", "7"),
            ("query_wait_timeout", "1.5", "1500ms"),
            ("query_wait_timeout", "2min", "2min"),
            ("max_packet_size", "131072", "131072B"),
            ("max_packet_size", "1MiB", "1MiB"),
        ] {
            assert_eq!(Setting::named(name).unwrap().value(text).unwrap(), value);
        }
        let size = Setting::named("default_pool_size").unwrap();
        assert!(size.value("-1").is_err() && size.value("").is_err());
        let wait = Setting::named("query_wait_timeout").unwrap();
        for text in ["NaN", "-1", "1e300"] {
            assert_eq!(wait.value(text).unwrap(), text);
        }
    }
}
