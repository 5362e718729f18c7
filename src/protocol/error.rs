//! What a client is told when something is refused or fails.

use bytes::BytesMut;
use pgwire::messages::Message as _;
use pgwire::messages::response::{ErrorResponse, NoticeResponse};
use std::borrow::Cow;

/// How bad it is (protocol section "Error and Notice Message Fields").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing failed; a NoticeResponse.
    Warning,
    /// The statement failed; the session goes on.
    Error,
    /// The connection ends.
    Fatal,
}

/// An ErrorResponse, or NoticeResponse: all that the client sees of an error, apart from what is
/// logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError {
    /// Whether the session survives.
    pub severity: Severity,
    /// Five characters (PostgreSQL documentation, appendix "Error Codes").
    pub sqlstate: &'static str,
    /// What happened, without a full stop.
    pub message: Cow<'static, str>,
    /// More of what happened, in sentences.
    pub detail: Option<Cow<'static, str>>,
    /// What can be done about it.
    pub hint: Option<Cow<'static, str>>,
}

impl ClientError {
    /// An error that ends the connection.
    #[must_use]
    pub fn fatal(sqlstate: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            severity: Severity::Fatal,
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    /// A warning, which is not an error at all.
    #[must_use]
    pub fn warning(sqlstate: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            severity: Severity::Warning,
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    /// An error that the session survives.
    #[must_use]
    pub fn error(sqlstate: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            severity: Severity::Error,
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    /// The same with a detail.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A violation of the protocol; the connection cannot be trusted further.
    #[must_use]
    pub fn protocol(message: impl Into<Cow<'static, str>>) -> Self {
        Self::fatal("08P01", message)
    }

    /// Appends the message's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let severity = match self.severity {
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
        };
        let mut fields = vec![
            (b'S', severity.to_owned()),
            (b'V', severity.to_owned()),
            (b'C', self.sqlstate.to_owned()),
            (b'M', without_nul(&self.message)),
        ];
        if let Some(detail) = &self.detail {
            fields.push((b'D', without_nul(detail)));
        }
        if let Some(hint) = &self.hint {
            fields.push((b'H', without_nul(hint)));
        }
        let mut bytes = BytesMut::new();
        // Encoding into memory has no way to fail; were it to, the client would
        // see the connection close, which is what a lost error must look like.
        let encoded = match self.severity {
            Severity::Warning => NoticeResponse::new(fields).encode(&mut bytes),
            Severity::Error | Severity::Fatal => ErrorResponse::new(fields).encode(&mut bytes),
        };
        if encoded.is_ok() {
            out.extend_from_slice(&bytes);
        }
    }
}

/// A field ends at its first NUL: one inside would cut the message.
fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.sqlstate)
    }
}

impl std::error::Error for ClientError {}
