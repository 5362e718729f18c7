//! What is recorded. Names of events and fields are documented in docs/audit.md and
//! stay as they are.

use super::json::Fields;
use super::statement::Ran;
use crate::transport::ClientAddress;
use std::time::Duration;

/// A client that is in: the fields that all its records have, written once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client(Box<[u8]>);

impl Client {
    /// The client of a tenant, by its login, from this address. `session`: its session's
    /// number in this run of the proxy.
    #[must_use]
    pub fn new(tenant: &str, login: &str, address: ClientAddress, session: u64) -> Self {
        let mut fields = Vec::new();
        Fields::behind(&mut fields)
            .text("tenant", tenant)
            .text("login", login)
            .plain("client", address)
            .number("session", session);
        Self(fields.into())
    }

    fn write(&self, fields: &mut Fields<'_>) {
        fields.more(&self.0);
    }
}

/// Something that is recorded.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The proxy begins to serve.
    Start {
        /// Its version.
        version: &'a str,
    },
    /// The proxy has ended.
    Stop,
    /// A client is in.
    Login {
        /// Who.
        client: &'a Client,
        /// The process id that it is told.
        pid: u32,
        /// How it has proved itself.
        method: &'a str,
        /// Over TLS.
        tls: bool,
        /// The database that it is connected to.
        database: &'a str,
    },
    /// A client was not let in.
    LoginRefused {
        /// The name that it gave.
        login: Option<&'a str>,
        /// The tenant of that name, or of what it has proved itself with.
        tenant: Option<&'a str>,
        /// Where it comes from.
        address: ClientAddress,
        /// The error's SQLSTATE, where the client was told one.
        sqlstate: Option<&'a str>,
        /// Why.
        reason: &'a str,
    },
    /// A client is out.
    Logout {
        /// Who.
        client: &'a Client,
        /// Why.
        reason: &'a str,
        /// It had to be ended: this is the SQLSTATE that it was told.
        sqlstate: Option<&'a str>,
        /// How long it was in.
        duration: Duration,
        /// How many statements it has sent.
        statements: u64,
        /// How many of them were refused.
        refused: u64,
    },
    /// A statement was refused, or would have been.
    Refused {
        /// Whose.
        client: &'a Client,
        /// Its number in the session.
        statement: u64,
        /// The rule.
        rule: &'a str,
        /// The error's SQLSTATE.
        sqlstate: &'a str,
        /// Why.
        reason: &'a str,
        /// It was not sent to the server.
        enforced: bool,
        /// Its text, as the settings want it.
        text: Option<&'a str>,
    },
    /// A statement has run.
    Statement {
        /// Whose.
        client: &'a Client,
        /// What it was, and what became of it.
        ran: &'a Ran<'a>,
    },
    /// A client has ended another session of its login, or cancelled its statement.
    Interrupted {
        /// Who.
        client: &'a Client,
        /// The process id of the other one.
        pid: u32,
        /// It was ended.
        ended: bool,
    },
    /// A cancel request had a wrong key.
    CancelRefused,
    /// A session that was told to end has not done so in time.
    SessionLate {
        /// Its tenant.
        tenant: &'a str,
        /// Its login.
        login: &'a str,
        /// Why it was to end.
        reason: &'a str,
    },
    /// The configuration has changed, or was to change.
    Configuration {
        /// Its file.
        source: &'a str,
        /// It is in force.
        applied: bool,
        /// The keys that say something else.
        keys: &'a [String],
        /// What has changed of tenants.
        tenants: Option<&'a str>,
        /// What has changed of logins.
        logins: Option<&'a str>,
        /// Why it is not in force.
        problems: &'a [String],
    },
    /// The directory's rows have changed.
    Directory {
        /// What has changed of tenants.
        tenants: Option<&'a str>,
        /// What has changed of logins.
        logins: Option<&'a str>,
    },
    /// Somebody has run a command of the program.
    Command {
        /// The command.
        command: &'a str,
        /// The user of the operating system.
        user: &'a str,
        /// What it is about.
        subject: &'a str,
        /// What came of it.
        outcome: &'a str,
    },
    /// An administrator is in.
    AdminLogin {
        /// Who.
        user: &'a str,
        /// Where from.
        address: ClientAddress,
        /// How it has proved itself.
        method: &'a str,
    },
    /// An administrator was not let in.
    AdminRefused {
        /// Where from.
        address: ClientAddress,
        /// Why.
        reason: &'a str,
    },
    /// An administrator has given a command.
    AdminCommand {
        /// Who.
        user: &'a str,
        /// Where from.
        address: ClientAddress,
        /// The command.
        command: &'a str,
        /// What came of it.
        outcome: &'a str,
    },
}

impl Event<'_> {
    /// Writes its fields.
    pub fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Start { version } => {
                let pid = u64::from(std::process::id());
                Fields::new("start", out)
                    .text("version", version)
                    .number("pid", pid);
            }
            Self::Stop => {
                Fields::new("stop", out);
            }
            Self::Login {
                client,
                pid,
                method,
                tls,
                database,
            } => {
                let mut fields = Fields::new("login", out);
                client.write(&mut fields);
                fields
                    .number("pid", pid.into())
                    .text("database", database)
                    .text("method", method)
                    .boolean("tls", tls);
            }
            Self::LoginRefused {
                login,
                tenant,
                address,
                sqlstate,
                reason,
            } => {
                Fields::new("login_refused", out)
                    .optional("tenant", tenant)
                    .optional("login", login)
                    .plain("client", address)
                    .optional("sqlstate", sqlstate)
                    .text("reason", reason);
            }
            Self::Logout {
                client,
                reason,
                sqlstate,
                duration,
                statements,
                refused,
            } => {
                let mut fields = Fields::new("logout", out);
                client.write(&mut fields);
                fields
                    .text("reason", reason)
                    .optional("sqlstate", sqlstate)
                    .number("duration_us", micros(duration))
                    .number("statements", statements)
                    .number("refused", refused);
            }
            Self::Refused {
                client,
                statement,
                rule,
                sqlstate,
                reason,
                enforced,
                text,
            } => {
                let event = match enforced {
                    true => "statement_refused",
                    false => "statement_would_be_refused",
                };
                let mut fields = Fields::new(event, out);
                client.write(&mut fields);
                fields
                    .number("statement", statement)
                    .text("rule", rule)
                    .text("sqlstate", sqlstate)
                    .text("reason", reason)
                    .optional("text", text);
            }
            Self::Statement { client, ran } => {
                let mut fields = Fields::new("statement", out);
                client.write(&mut fields);
                ran.write(&mut fields);
            }
            _ => self.write_others(out),
        }
    }

    /// Those that are no client's.
    fn write_others(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Interrupted { client, pid, ended } => {
                let event = match ended {
                    true => "session_ended",
                    false => "statement_cancelled",
                };
                let mut fields = Fields::new(event, out);
                client.write(&mut fields);
                fields.number("pid", u64::from(pid));
            }
            Self::SessionLate {
                tenant,
                login,
                reason,
            } => {
                Fields::new("session_late", out)
                    .text("tenant", tenant)
                    .text("login", login)
                    .text("reason", reason);
            }
            Self::Configuration {
                source,
                applied,
                keys,
                tenants,
                logins,
                problems,
            } => {
                let event = match applied {
                    true => "configuration_changed",
                    false => "configuration_refused",
                };
                let mut fields = Fields::new(event, out);
                fields
                    .text("source", source)
                    .optional("tenants", tenants)
                    .optional("logins", logins);
                match applied {
                    true => fields.list("keys", keys),
                    false => fields.list("problems", problems),
                };
            }
            Self::Directory { tenants, logins } => {
                Fields::new("directory_changed", out)
                    .optional("tenants", tenants)
                    .optional("logins", logins);
            }
            Self::Command {
                command,
                user,
                subject,
                outcome,
            } => {
                Fields::new("command", out)
                    .text("command", command)
                    .text("user", user)
                    .text("subject", subject)
                    .text("outcome", outcome);
            }
            Self::AdminLogin {
                user,
                address,
                method,
            } => {
                Fields::new("admin_login", out)
                    .text("user", user)
                    .plain("client", address)
                    .text("method", method);
            }
            Self::AdminRefused { address, reason } => {
                Fields::new("admin_refused", out)
                    .plain("client", address)
                    .text("reason", reason);
            }
            Self::AdminCommand {
                user,
                address,
                command,
                outcome,
            } => {
                Fields::new("admin_command", out)
                    .text("user", user)
                    .plain("client", address)
                    .text("command", command)
                    .text("outcome", outcome);
            }
            _ => {
                Fields::new("cancel_refused", out);
            }
        }
    }
}

/// Microseconds, as far as they fit.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
