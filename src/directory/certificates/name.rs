//! The names in certificates.

use std::fmt;
use std::sync::Arc;

/// A name that a certificate was made for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CertificateName {
    /// The common name of the subject.
    CommonName(Arc<str>),
    /// A subject alternative name of type URI.
    Uri(Arc<str>),
    /// One of type DNS.
    Dns(Arc<str>),
    /// One of type email (rfc822Name).
    Email(Arc<str>),
}

/// What kind of name it is that a certificate was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// `CN=`: the common name of the subject.
    CommonName,
    /// `URI:`: a subject alternative name of type URI.
    Uri,
    /// `DNS:`: one of type DNS.
    Dns,
    /// `email:`: one of type email (rfc822Name).
    Email,
}

impl NameKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::CommonName, Self::Uri, Self::Dns, Self::Email];

    /// What stands before a name of this kind in the configuration.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::CommonName => "CN=",
            Self::Uri => "URI:",
            Self::Dns => "DNS:",
            Self::Email => "email:",
        }
    }
}

impl CertificateName {
    /// A name of this kind.
    #[must_use]
    pub fn new(kind: NameKind, text: &str) -> Self {
        let text = Arc::from(text);
        match kind {
            NameKind::CommonName => Self::CommonName(text),
            NameKind::Uri => Self::Uri(text),
            NameKind::Dns => Self::Dns(text),
            NameKind::Email => Self::Email(text),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> NameKind {
        match self {
            Self::CommonName(_) => NameKind::CommonName,
            Self::Uri(_) => NameKind::Uri,
            Self::Dns(_) => NameKind::Dns,
            Self::Email(_) => NameKind::Email,
        }
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::CommonName(text) | Self::Uri(text) | Self::Dns(text) | Self::Email(text) => text,
        }
    }
}

/// As the configuration spells it: `CN=…`, `URI:…`, `DNS:…`, `email:…`.
impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().prefix())?;
        f.write_str(self.as_str())
    }
}
